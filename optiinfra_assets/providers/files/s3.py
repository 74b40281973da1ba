"""Files under an ``s3://`` prefix, in S3 or a compatible store; every request follows the policy of `http.boto_client`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cached_property
from typing import Any, Final, TypeVar

from botocore.exceptions import IncompleteReadError

from optiinfra_assets.domain.errors import BadData, NothingThere
from optiinfra_assets.providers.files.location import FileVersion, Gone, RemoteLocation
from optiinfra_assets.providers.http.boto_client import BotoCalls
from optiinfra_assets.providers.http.pagination import Page, items
from optiinfra_assets.providers.http.translation import not_theirs

_CHANGED: Final = frozenset({"404", "412", "NoSuchKey", "PreconditionFailed"})
_OR_GONE: Final = "; or it is gone: S3 answers so, not 404, to whoever may not list that"

T = TypeVar("T")


class S3Location(RemoteLocation):
    """The objects under a prefix. The version of a file is its ETag."""

    def __init__(self, address: str, make: Callable[[], Any], calls: BotoCalls, folder: str | None = None) -> None:
        """Stores the arguments; sends no request.

        Args:
            address: ``s3://bucket`` or ``s3://bucket/prefix``.
            make: makes the boto3 client, before the first request.
            calls: policy and meter of the requests.
            folder: key below which objects are read, which messages name; None for the prefix.
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
        """Yields every object whose name begins with `prefix`, in order of name."""

        def read(token: str | None) -> Page[FileVersion]:
            asked = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
            if token:
                asked["ContinuationToken"] = token
            page = self._ask(lambda: self._client.list_objects_v2(**asked))
            found = [
                self._found(one["Key"].removeprefix(self._prefix), one["Size"], one) for one in page.get("Contents", ())
            ]
            return Page(found, page.get("NextContinuationToken"))

        return items(read, self.address, may_be_empty=True)

    def _found(self, name: str, size: int, said: dict[str, Any]) -> FileVersion:
        if not said.get("ETag"):
            raise not_theirs(self.path(name))
        return FileVersion(name, size, said["ETag"].strip('"'), said.get("LastModified"))

    def current(self, name: str) -> FileVersion | None:
        try:
            found = self._ask(lambda: self._client.head_object(Bucket=self._bucket, Key=self._prefix + name), name)
        except Gone:
            return None
        return self._found(name, found.get("ContentLength", 0), found)

    def fetched(self, name: str) -> tuple[FileVersion, bytes] | None:
        """Returns the present version of a small object with its whole content, in one request; None if it does not exist.

        Raises:
            Transient: the content is incomplete.
            ProviderError: the object cannot be read.
        """
        try:
            return self._ask(lambda: self._get(name), name)
        except Gone:
            return None

    def span(self, file: FileVersion, start: int, size: int) -> bytes:
        only = {} if size == file.size else {"Range": f"bytes={start}-{start + size - 1}"}

        def operation() -> bytes:
            found, data = self._get(file.name, IfMatch=f'"{file.version}"', **only)
            if found.version != file.version:
                raise self.gone(file.name)  # the store ignored IfMatch
            if len(data) != size:
                # A proxy may cut a body and still announce the length of the rest.
                raise IncompleteReadError(actual_bytes=len(data), expected_bytes=size)
            return data

        return self._ask(operation, file.name)

    def _get(self, name: str, **only: str) -> tuple[FileVersion, bytes]:
        said = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name, **only)
        with closing(said["Body"]) as body:
            found = self._found(name, said.get("ContentLength", 0), said)
            return found, body.read()

    def _ask(self, operation: Callable[[], T], name: str | None = None) -> T:
        """Returns what `operation` returns; it requests the object `name`, or a list if that is None."""
        where = self.address if name is None else self.path(name)

        def explain(code: str, said: str) -> Exception | None:
            if code == "NoSuchBucket":
                return NothingThere(f"{where}: there is no bucket {self._bucket}: nothing that is stored is changed")
            if code == "InvalidObjectState":
                return BadData(f"{where}: is archived: restore it, or move it out of the prefix")
            return self.gone(name) if name is not None and code in _CHANGED else None

        needed = self._needed if name is None else f"{self._needed}{_OR_GONE}"
        return self._calls(operation, where, needed, explain=explain)
