"""Lists the files of a folder or a remote location with their versions, opens them, and checks that they did not change while read."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pyarrow as pa

from optiinfra_assets.domain.errors import BadData, CredentialRejected, NothingThere, Transient
from optiinfra_assets.domain.quoting import quoted
from optiinfra_assets.providers.context import Meter
from optiinfra_assets.providers.files.folder_access import ConfinedAccess, FolderAccess, Outside

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SUFFIXES = (".csv", ".csv.gz", ".csv.zst", ".parquet")
"""Suffixes of data files, in any case."""
MAPPING_NAME = "optiinfra-mapping.toml"
"""Name of the file that says which FOCUS column each column of other files is."""
_MAPPING_NAMES = ("focus-mapping.toml", MAPPING_NAME)
"""What it was called before, and is; a folder with both is served by the newer name, which comes last."""
HIDDEN = (".", "_")
"""Files and folders whose names begin so are ignored: ``_SUCCESS``, ``_temporary``, ``.part-0.csv.swp``."""
NOT_READ = "a link that leads out of the folder, a pipe, a device or a socket is not read"
SPAN_BYTES = 4 << 20
"""Bytes of one request, except in a large Parquet file: its columns are far apart, and most of each span would be of other columns."""


@dataclass(frozen=True, slots=True, order=True)
class FileVersion:
    """One version of one file.

    Attributes:
        name: path below the location, with forward slashes.
        size: size in bytes.
        version: modification time in nanoseconds, or the ETag; if it differs, the content may differ.
        written_at: UTC instant of the last write, if the location gives it; not part of a version's identity.
    """

    name: str
    size: int
    version: str
    written_at: datetime | None = field(default=None, compare=False)


class Gone(Transient):
    """The file does not exist any more, or not in this version."""


class Location(ABC):
    """A place that holds files.

    Attributes:
        address: address as users write it.
        requests: number of requests made to a service so far.
        skipped: paths that the last listing passed over: what is no file, and links that lead out of a folder that may not be left.
    """

    def __init__(self, address: str, meter: Meter | None = None) -> None:
        self.address = address
        self._meter = meter or Meter()
        self.skipped: list[str] = []

    @property
    def requests(self) -> int:
        return self._meter.requests

    def files(self) -> list[FileVersion]:
        """Returns the data files, sorted by name: those with a known suffix, not hidden, at any depth.

        Raises:
            NothingThere: the location is missing or has no data files.
            ProviderError: the location cannot be listed.
        """
        return self.listing()[0]

    def listing(self) -> tuple[list[FileVersion], list[FileVersion]]:
        """Returns the data files as `files` does, and the mapping files beside them.

        Raises:
            NothingThere, ProviderError: as `files`.
        """
        listed = list(self._list())
        found = sorted(file for file in listed if is_data_file(file.name))
        if not found:
            skipped = f" ({NOT_READ}: {self.skipped[0]})" if self.skipped else ""
            raise NothingThere(
                f"{self.address}: no file named *{', *'.join(SUFFIXES)}{skipped}: nothing that is stored is changed"
            )
        return found, [file for file in listed if is_mapping_file(file.name)]

    @abstractmethod
    def _list(self) -> Iterator[FileVersion]:
        """Yields every file below the location."""

    @abstractmethod
    def open(self, file: FileVersion) -> pa.NativeFile:
        """Opens a file for random access.

        Raises:
            Transient: the file is gone or has another version now.
            ProviderError: the file cannot be read.
        """

    @abstractmethod
    def current(self, name: str) -> FileVersion | None:
        """Returns the present version of a file; None if it is gone."""

    def path(self, name: str) -> str:
        """Returns the full address of a file, for messages."""
        return f"{self.address}/{name}"

    @contextmanager
    def reading(self, file: FileVersion) -> Iterator[pa.NativeFile]:
        """Opens a file, and checks before and after that it is still the version that was listed.

        Raises:
            Transient: the file changed.
            BadData: the file is empty.
            ProviderError: the file cannot be read.
        """
        if file.size == 0:
            raise BadData(f"{self.path(file.name)}: the file is empty (0 bytes): remove it, or write it again")
        self.refuse_change(file)
        try:
            with self.open(file) as opened:
                yield opened
        except BadData:
            self.refuse_change(file)  # a file that is being replaced is not bad data: it was read too early
            raise
        self.refuse_change(file)

    def refuse_change(self, file: FileVersion) -> None:
        """Raises Transient if `file` is not the present version."""
        if self.current(file.name) != file:
            raise self.gone(file.name)

    def gone(self, name: str) -> Gone:
        """Returns the error for a file that is not the present version."""
        return Gone(f"{self.path(name)}: is gone or changed while it was read: it is read again once it is whole")


class RemoteLocation(Location):
    """A location whose files are read with one request for each span of bytes."""

    @abstractmethod
    def span(self, file: FileVersion, start: int, size: int) -> bytes:
        """Returns `size` bytes of exactly this version, from `start`.

        Raises:
            Transient: the file is gone or has another version now.
            ProviderError: the file cannot be read.
        """

    def open(self, file: FileVersion) -> pa.NativeFile:
        spans = _Spans(self, file)
        is_buffered = file.size <= SPAN_BYTES or not file.name.lower().endswith(".parquet")
        return pa.PythonFile(io.BufferedReader(spans, SPAN_BYTES) if is_buffered else spans, mode="r")


class _Spans(io.RawIOBase):
    """A file for random access that makes one request for each read."""

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
    """Returns whether a file is a data file: it has a known suffix, and neither it nor a folder above it starts with '.' or '_'."""
    parts = PurePosixPath(name).parts
    return name.lower().endswith(SUFFIXES) and not any(part.startswith(HIDDEN) for part in parts)


def is_mapping_file(name: str) -> bool:
    """Returns whether a file is a mapping file, not below a folder that starts with '.' or '_'."""
    parts = PurePosixPath(name).parts
    return parts[-1] in _MAPPING_NAMES and not any(part.startswith(HIDDEN) for part in parts)


def change_token(files: Iterable[FileVersion]) -> str:
    """Returns a text that differs if any of the files, or the set of files, differs."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.name}\0{file.size}\0{file.version}\n".encode())
    return digest.hexdigest()[:32]


class LocalFolder(Location):
    """A folder of this machine."""

    def __init__(self, path: Path, *, is_confined: bool = False) -> None:
        """Stores the arguments. `is_confined`: links that lead out of the folder are not followed."""
        super().__init__(str(path))
        self._access = (ConfinedAccess if is_confined else FolderAccess)(path)

    def _list(self) -> Iterator[FileVersion]:
        try:
            found = self._access.stat("")
        except FileNotFoundError as error:
            raise NothingThere(f"{self.address}: there is no such folder: nothing that is stored is changed") from error
        except Outside:
            raise self._not_itself() from None
        except OSError as error:
            raise self._explained(error, "") from error
        if not stat.S_ISDIR(found.st_mode):
            raise BadData(f"{self.address}: is a file: give the folder that holds it")
        self.skipped.clear()
        yield from self._below("", set())

    def _below(self, folder: str, seen: set[tuple[int, int]]) -> Iterator[FileVersion]:
        """Yields files below a folder, following links. A file reached by two names is yielded once, or it would be billed twice."""
        try:
            names = self._access.names(folder)
        except Outside:
            if not folder:
                raise self._not_itself() from None
            self._skip(folder)
            return
        except OSError as error:
            raise self._explained(error, folder) from error
        for name in (f"{folder}/{one}" if folder else one for one in names if not one.startswith(HIDDEN)):
            found = self._found(name)
            if found is None or (found.st_dev, found.st_ino) in seen:
                continue
            if stat.S_ISDIR(found.st_mode):
                seen.add((found.st_dev, found.st_ino))
                yield from self._below(name, seen)
            elif _is_wanted(name):
                seen.add((found.st_dev, found.st_ino))
                self._refuse_unless_utf8(name)
                if stat.S_ISREG(found.st_mode):
                    yield _version_of(name, found)
                else:
                    self._skip(name)

    def _found(self, name: str) -> os.stat_result | None:
        """Returns what the system tells of a name in a folder; None for what is not there for us."""
        try:
            return self._access.stat(name)
        except Outside:
            self._skip(name)
        except OSError as error:
            if _is_wanted(name):
                raise self._explained(error, name) from error
        return None

    def _skip(self, name: str) -> None:
        self.skipped.append(self.path(name))

    def _not_itself(self) -> CredentialRejected:
        return CredentialRejected(
            f"{self.address}: is reached over a link, which is not followed: give the path that the link leads to"
        )

    def _refuse_unless_utf8(self, name: str) -> None:
        """Raises BadData for a name that is not UTF-8: no message, token or lineage could hold it."""
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise BadData(
                f"{self.address}: the name {quoted(name)} is not text in UTF-8: rename the file or its folder"
            ) from error

    def open(self, file: FileVersion) -> pa.NativeFile:
        try:
            with self._access.opened(file.name) as path:
                return pa.OSFile(path)
        except Outside:
            raise self.gone(file.name) from None
        except OSError as error:
            raise self._explained(error, file.name) from error

    def current(self, name: str) -> FileVersion | None:
        try:
            return _version_of(name, self._access.stat(name))
        except Outside:
            return None
        except OSError as error:
            explained = self._explained(error, name)
            if isinstance(explained, Transient):
                return None
            raise explained from error

    def _explained(self, error: OSError, name: str) -> Exception:
        path = self.path(name) if name else self.address
        if isinstance(error, PermissionError):
            return CredentialRejected(f"{path}: no permission to read it: give this user the right to read it")
        if isinstance(error, FileNotFoundError):
            return Transient(f"{path}: is gone, or is a link to nothing")
        return Transient(f"{path}: cannot be read: {error.strerror or error}")


def _is_wanted(name: str) -> bool:
    return is_data_file(name) or is_mapping_file(name)


def _version_of(name: str, found: os.stat_result) -> FileVersion:
    return FileVersion(name, found.st_size, str(found.st_mtime_ns), _instant(found.st_mtime))


def _instant(seconds: float) -> datetime | None:
    """Returns a time of the file system, None for one that no calendar has: anybody can set it to anything."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OSError, OverflowError, ValueError):
        return None
