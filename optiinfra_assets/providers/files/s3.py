"""Files under an ``s3://`` prefix: S3 and what speaks like it, every request under the one policy for clients of boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any, Final, TypeVar

import pyarrow as pa
from botocore.exceptions import BotoCoreError, IncompleteReadError

from optiinfra_assets.domain.errors import BadData, ContractChanged, NothingThere
from optiinfra_assets.providers.files.location import FileVersion, Gone, Location, Spans
from optiinfra_assets.providers.http.boto_client import Calls
from optiinfra_assets.providers.http.pagination import Page, items

_CHANGED: Final = frozenset({"404", "412", "NoSuchKey", "PreconditionFailed"})
_OR_GONE: Final = "; or it is gone: S3 answers so, not 404, to whoever may not list that"

T = TypeVar("T")


class Bucket(Location):
    """The objects under a prefix. A file's version is its ETag."""

    def __init__(
        self, address: str, make: Callable[[], Any], calls: Calls, folder: str | None = None
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            address: ``s3://bucket`` or ``s3://bucket/prefix``.
            make: makes the client, before the first request.
            calls: the policy of its requests, and their meter.
            folder: key below which objects are read, which messages name; None: the prefix.
        """
        super().__init__(address, calls.meter)
        self._bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        self._make = make
        self._calls = calls
        read = f"{self._bucket}/{self._prefix if folder is None else f'{folder}/'}*"
        self._needed = f"s3:ListBucket on arn:aws:s3:::{self._bucket} and s3:GetObject on arn:aws:s3:::{read}"

    @cached_property
    def _client(self) -> Any:
        return self._make()

    def _list(self) -> Iterator[FileVersion]:
        return self.below("")

    def below(self, prefix: str) -> Iterator[FileVersion]:
        """Every object whose name begins with `prefix`, in order of name."""

        def read(token: str | None) -> Page[FileVersion]:
            asked = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
            if token:
                asked["ContinuationToken"] = token
            page = self._ask(lambda: self._client.list_objects_v2(**asked))
            found = [
                self._found(one["Key"].removeprefix(self._prefix), one["Size"], one)
                for one in page.get("Contents", ())
            ]
            return Page(found, page.get("NextContinuationToken"))

        return items(read, self.address, may_be_empty=True)

    def _found(self, name: str, size: int, said: dict[str, Any]) -> FileVersion:
        if not said.get("ETag"):
            raise ContractChanged(
                f"{self.path(name)}: an answer without an ETag: check endpoint_url, and whether a proxy answers in its place"
            )
        return FileVersion(name, size, said["ETag"].strip('"'), said.get("LastModified"))

    def open(self, file: FileVersion) -> pa.NativeFile:
        if file.name.lower().endswith(".parquet"):
            return pa.PythonFile(Spans(partial(self.span, file), file.size), mode="r")
        return pa.PythonFile(_Stream(self, file), mode="r")

    def current(self, name: str) -> FileVersion | None:
        try:
            found = self._ask(
                lambda: self._client.head_object(Bucket=self._bucket, Key=self._prefix + name), name
            )
        except Gone:
            return None
        return self._found(name, found.get("ContentLength", 0), found)

    def fetched(self, name: str) -> tuple[FileVersion, bytes] | None:
        """All of a small object with its version now, in one request; None if it is not there.

        Raises:
            Transient: it did not come whole.
            ProviderError: it cannot be read.
        """

        def operation() -> tuple[FileVersion, bytes]:
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            data = _drained(found["Body"])
            return self._found(name, len(data), found), data

        try:
            return self._ask(operation, name)
        except Gone:
            return None

    def span(self, file: FileVersion, start: int, size: int) -> bytes:
        """`size` bytes of exactly this version, in one request.

        Raises:
            Transient: it is gone or is another version now.
            ProviderError: it cannot be read.
        """

        def operation() -> bytes:
            data = _drained(self._body(file, start, start + size))
            if len(data) != size:
                raise IncompleteReadError(actual_bytes=len(data), expected_bytes=size)
            return data

        return self._ask(operation, file.name)

    def stream(self, file: FileVersion, start: int) -> Any:
        """The body of one request for exactly this version, from a byte to its end.

        Raises:
            ProviderError: as `span`.
        """
        return self._ask(lambda: self._body(file, start, file.size), file.name)

    def read_on(self, operation: Callable[[], bytes], file: FileVersion) -> bytes:
        """What `operation` reads of a body, tried as often as a request.

        Raises:
            ProviderError: as `span`.
        """
        return self._ask(operation, file.name, is_request=False)

    def _body(self, file: FileVersion, start: int, end: int) -> Any:
        asked = {"Bucket": self._bucket, "Key": self._prefix + file.name, "IfMatch": f'"{file.version}"'}
        if (start, end) != (0, file.size):
            asked["Range"] = f"bytes={start}-{end - 1}"
        found = self._client.get_object(**asked)
        if self._found(file.name, file.size, found) != file:
            raise self.gone(file.name)  # of a store that does not know conditions
        return found["Body"]

    def _ask(self, operation: Callable[[], T], name: str | None = None, *, is_request: bool = True) -> T:
        """What `operation` returns, which asks for the object `name` or else for a list."""
        where = self.address if name is None else self.path(name)

        def explain(code: str, said: str) -> Exception | None:
            if code == "NoSuchBucket":
                return NothingThere(
                    f"{where}: there is no bucket {self._bucket}: nothing that is stored is changed"
                )
            if code == "InvalidObjectState":
                return BadData(f"{where}: is archived: restore it, or move it out of the prefix")
            return self.gone(name) if name is not None and code in _CHANGED else None

        needed = self._needed if name is None else f"{self._needed}{_OR_GONE}"
        return self._calls(operation, where, needed, explain=explain, is_request=is_request)


def _drained(body: Any) -> bytes:
    """All of a body, which tells itself whether it was as long as announced."""
    try:
        data: bytes = body.read()
        return data
    finally:
        body.close()


class _Stream:
    """An object as a stream from its beginning; goes on where it was after a connection that broke."""

    closed = False

    def __init__(self, bucket: Bucket, file: FileVersion) -> None:
        self._bucket = bucket
        self._file = file
        self._position = 0
        self._body: Any = None

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        return self._bucket.read_on(lambda: self._read(size), self._file)

    def _read(self, size: int) -> bytes:
        self._body = self._body or self._bucket.stream(self._file, self._position)
        try:
            data: bytes = self._body.read(None if size < 0 else size)
            end = self._position + len(data)
            if end < self._file.size and size != 0 and (size < 0 or not data):
                # Something on the way may cut an answer and still announce the length of the rest.
                raise IncompleteReadError(actual_bytes=end, expected_bytes=self._file.size)
        except (BotoCoreError, OSError):
            self._body.close()
            self._body = None
            raise
        self._position = end
        return data

    def close(self) -> None:
        """Give the connection back."""
        self.closed = True
        if self._body is not None:
            self._body.close()
