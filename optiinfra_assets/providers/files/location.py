"""Files of a folder or of an ``s3://`` prefix: listed with their versions, opened, and checked for a change while they were read."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pyarrow as pa

from optiinfra_assets.domain.errors import BadData, CredentialRejected, NothingThere, Transient
from optiinfra_assets.providers.context import Meter

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SUFFIXES = (".csv", ".csv.gz", ".csv.zst", ".parquet")
"""Names that count, whatever their case."""
HIDDEN = (".", "_")
"""Beginnings of names, of files or of folders, that do not count: ``_SUCCESS``, ``_temporary``, ``.part-0.csv.swp``."""
SPAN_BYTES = 4 << 20
"""Asked of a store with one request, but in a large Parquet file: its columns lie apart, and most of each span would be of others."""


@dataclass(frozen=True, slots=True, order=True)
class FileVersion:
    """One version of one file.

    Attributes:
        name: path below the location, with forward slashes.
        size: bytes.
        version: modification time in nanoseconds, or the ETag: another text means that the content may differ.
        written_at: UTC instant at which it was written, where the place says so; no part of what makes a version.
    """

    name: str
    size: int
    version: str
    written_at: datetime | None = field(default=None, compare=False)


class Gone(Transient):
    """The file is not there, or not in this version, any more."""


class Location(ABC):
    """A place that holds files.

    Attributes:
        address: as people write it.
        requests: requests made to a service so far.
    """

    def __init__(self, address: str, meter: Meter | None = None) -> None:
        self.address = address
        self._meter = meter or Meter()

    @property
    def requests(self) -> int:
        return self._meter.requests

    def files(self) -> list[FileVersion]:
        """The files that count, sorted by name: those with a known suffix, not hidden, at any depth.

        Raises:
            NothingThere: the place is missing or has none.
            ProviderError: the place cannot be listed.
        """
        found = sorted(file for file in self._list() if is_data_file(file.name))
        if not found:
            raise NothingThere(
                f"{self.address}: no file named *{', *'.join(SUFFIXES)}: nothing that is stored is changed"
            )
        return found

    @abstractmethod
    def _list(self) -> Iterator[FileVersion]:
        """Every file below the location."""

    @abstractmethod
    def open(self, file: FileVersion) -> pa.NativeFile:
        """Open a file for random access.

        Raises:
            Transient: it is gone or is another version now.
            ProviderError: it cannot be read.
        """

    @abstractmethod
    def current(self, name: str) -> FileVersion | None:
        """The version of a file now; None if it is gone."""

    def path(self, name: str) -> str:
        """The full address of a file, for messages."""
        return f"{self.address}/{name}"

    @contextmanager
    def reading(self, file: FileVersion) -> Iterator[pa.NativeFile]:
        """Open a file, and make sure at the end that it is still the version that was listed.

        Raises:
            Transient: it changed meanwhile.
            ProviderError: it cannot be read.
        """
        if file.size == 0:
            raise BadData(f"{self.path(file.name)}: the file is empty (0 bytes): remove it, or write it again")
        self.refuse_change(file)
        try:
            with self.open(file) as opened:
                yield opened
        except BadData:
            self.refuse_change(file)  # half a file that is being replaced is not bad, only early
            raise
        self.refuse_change(file)

    def refuse_change(self, file: FileVersion) -> None:
        """Raise Transient if `file` is not what the location holds now."""
        if self.current(file.name) != file:
            raise self.gone(file.name)

    def gone(self, name: str) -> Gone:
        """The error for a file that is not what the location holds now."""
        return Gone(f"{self.path(name)}: is gone or changed while it was read: it is read again once it is whole")


class RemoteLocation(Location):
    """A place whose files are read with one request for each span of bytes."""

    @abstractmethod
    def span(self, file: FileVersion, start: int, size: int) -> bytes:
        """`size` bytes of exactly this version.

        Raises:
            Transient: it is gone or is another version now.
            ProviderError: it cannot be read.
        """

    def open(self, file: FileVersion) -> pa.NativeFile:
        spans = _Spans(self, file)
        is_buffered = file.size <= SPAN_BYTES or not file.name.lower().endswith(".parquet")
        return pa.PythonFile(io.BufferedReader(spans, SPAN_BYTES) if is_buffered else spans, mode="r")


class _Spans(io.RawIOBase):
    """A file for random access, each read of which is one request."""

    def __init__(self, location: RemoteLocation, file: FileVersion) -> None:
        super().__init__()
        self._location = location
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._file.size - self._position)
        wanted = left if size < 0 else min(size, left)
        data = self._location.span(self._file, self._position, wanted) if wanted else b""
        self._position += len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position


def is_data_file(name: str) -> bool:
    """Whether a file is taken for data: not those that start with '.' or '_', or lie in a folder that does."""
    parts = PurePosixPath(name).parts
    return name.lower().endswith(SUFFIXES) and not any(part.startswith(HIDDEN) for part in parts)


def change_token(files: Iterable[FileVersion]) -> str:
    """A text that differs when any of the files, or which files there are, differs."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.name}\0{file.size}\0{file.version}\n".encode())
    return digest.hexdigest()[:32]


class LocalFolder(Location):
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def _list(self) -> Iterator[FileVersion]:
        try:
            found = self._path.stat()
        except FileNotFoundError as error:
            raise NothingThere(f"{self.address}: there is no such folder: nothing that is stored is changed") from error
        except OSError as error:
            raise _explained(error, self._path) from error
        if not stat.S_ISDIR(found.st_mode):
            raise BadData(f"{self.address}: is a file: give the folder that holds it")
        yield from self._below(self._path, "", set())

    def _below(self, folder: Path, prefix: str, seen: set[tuple[int, int]]) -> Iterator[FileVersion]:
        """Files below a folder, links followed. What two names lead to is counted once, or it would be billed twice."""
        try:
            found = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise _explained(error, folder) from error
        for entry in found:
            name = prefix + entry.name
            if entry.name.startswith(HIDDEN):
                continue
            if _is_folder(entry):
                if _is_new(Path(entry.path), seen):
                    yield from self._below(Path(entry.path), f"{name}/", seen)
            elif is_data_file(name) and _is_new(Path(entry.path), seen):
                self._refuse_unless_utf8(name)
                yield _version_of(Path(entry.path), name)

    def _refuse_unless_utf8(self, name: str) -> None:
        """Raise BadData for a name that is not UTF-8: no message, no token and no lineage could hold it."""
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise BadData(
                f"{self.address}: the name {name!r} is not text in UTF-8: rename the file or its folder"
            ) from error

    def open(self, file: FileVersion) -> pa.NativeFile:
        path = self._path / file.name
        try:
            return pa.OSFile(str(path))
        except OSError as error:
            raise _explained(error, path) from error

    def current(self, name: str) -> FileVersion | None:
        try:
            return _version_of(self._path / name, name)
        except Transient:
            return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one; a link that cannot be followed is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _version_of(path: Path, name: str) -> FileVersion:
    try:
        found = path.stat()
    except OSError as error:
        raise _explained(error, path) from error
    return FileVersion(name, found.st_size, str(found.st_mtime_ns))


def _is_new(path: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether this file or folder was not seen under another name; remembers it."""
    try:
        found = path.stat()
    except OSError as error:
        raise _explained(error, path) from error
    known = len(seen)
    seen.add((found.st_dev, found.st_ino))
    return len(seen) > known


def _explained(error: OSError, path: Path) -> Exception:
    if isinstance(error, PermissionError):
        return CredentialRejected(f"{path}: no permission to read it: give this user the right to read it")
    if isinstance(error, FileNotFoundError):
        return Transient(f"{path}: is gone, or is a link to nothing")
    return Transient(f"{path}: cannot be read: {error.strerror or error}")
