"""Places that files are written to: a folder of this machine, or a prefix in S3. A file is replaced as a whole, or not at all.

In a folder a file is written beside its place under a hidden name, and renamed when it is on disk; in S3 an object appears when its last
byte has arrived. So who reads meanwhile, and whoever comes after a process that was killed, finds the old file or the new one.
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from optiinfra_assets.domain.errors import BadData, CredentialRejected, NothingThere, ProviderError, Transient
from optiinfra_assets.providers.files.location import LocalFolder, Location
from optiinfra_assets.providers.files.s3 import S3Location
from optiinfra_assets.providers.http.boto_client import BotoCalls

PART_BYTES: Final = 64 << 20
"""Larger files go to S3 in parts of this size; 10,000 parts are the most that S3 takes."""


class Destination(ABC):
    """A place that files are written to.

    Attributes:
        location: the same place, to be read.
    """

    location: Location

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; None if it does not exist.

        Raises:
            ProviderError: the place cannot be read.
        """

    @abstractmethod
    def replace(self, name: str, source: Path) -> None:
        """Put the content of the file `source` in the place of `name`, in one step.

        Raises:
            ProviderError: it cannot be written; what was there is there still.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it exists.

        Raises:
            ProviderError: it cannot be removed.
        """

    def data_files(self) -> list[str]:
        """Return the names of the data files that are there.

        Raises:
            ProviderError: the place cannot be listed.
        """
        try:
            return [one.name for one in self.location.files()]
        except NothingThere:
            return []


class FolderDestination(Destination):
    """A folder of this machine; it is made if it does not exist."""

    def __init__(self, path: Path) -> None:
        """Store the path; nothing is written yet."""
        self._path = path
        self.location = LocalFolder(path)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file."""
        with self._explained(name):
            try:
                return (self._path / name).read_bytes()
            except FileNotFoundError:
                return None

    def replace(self, name: str, source: Path) -> None:
        """Copy to the disk of the folder, then rename."""
        target = self._path / name
        waiting = target.with_name(f".{target.name}.writing")
        with self._explained(name):
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as given, waiting.open("wb") as out:
                shutil.copyfileobj(given, out, 1 << 20)
                out.flush()
                os.fsync(out.fileno())
            waiting.replace(target)
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def remove(self, name: str) -> None:
        """Remove a file."""
        with self._explained(name):
            (self._path / name).unlink(missing_ok=True)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            raise CredentialRejected(
                f"{error.filename}: no permission: give this user the right to write {self._path}"
            ) from None
        except OSError as error:
            raise Transient(f"{self._path / name}: cannot be written: {error.strerror or error}") from None


class BucketDestination(Destination):
    """A prefix in S3, or in a compatible store."""

    def __init__(self, address: str, make: Callable[[], Any], calls: BotoCalls) -> None:
        """Store the arguments, which are those of `S3Location`; no request is sent yet."""
        self._address, self._make, self._calls = address, make, calls
        self.location = S3Location(address, lambda: self._client, calls)
        self._bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        self._needed = f"s3:PutObject and s3:DeleteObject on arn:aws:s3:::{self._bucket}/{self._prefix}*"

    @cached_property
    def _client(self) -> Any:
        return self._make()

    def read(self, name: str) -> bytes | None:
        """Return the content of an object."""
        location = self.location
        found = location.fetched(name) if isinstance(location, S3Location) else None
        return found[1] if found else None

    def replace(self, name: str, source: Path) -> None:
        """Send the object, a large one in parts; it appears when it is whole."""
        key = {"Bucket": self._bucket, "Key": self._prefix + name}
        if source.stat().st_size <= PART_BYTES:
            self._ask(name, lambda: self._client.put_object(**key, Body=source.read_bytes()))
            return
        upload = {**key, "UploadId": self._ask(name, lambda: self._client.create_multipart_upload(**key))["UploadId"]}
        try:
            self._send_parts(name, source, upload)
        except ProviderError:
            self._ask(name, lambda: self._client.abort_multipart_upload(**upload))
            raise

    def _send_parts(self, name: str, source: Path, upload: dict[str, Any]) -> None:
        parts: list[dict[str, Any]] = []
        with source.open("rb") as given:
            while chunk := given.read(PART_BYTES):
                number = len(parts) + 1
                send = partial(self._client.upload_part, **upload, PartNumber=number, Body=chunk)
                sent = self._ask(name, send)
                parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        self._ask(name, lambda: self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}))

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._ask(name, lambda: self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name))

    def _ask(self, name: str, operation: Callable[[], Any]) -> Any:
        where = f"{self._address}/{name}"

        def explain(code: str, said: str) -> Exception | None:
            return (
                BadData(f"{where}: there is no bucket {self._bucket}: make it first")
                if code == "NoSuchBucket"
                else None
            )

        return self._calls(operation, where, self._needed, explain=explain)
