"""Files under an ``s3://`` prefix: AWS S3 and what speaks like it.

Access comes from the AWS default chain (environment, profile, role), or from whoever hands in a client of his own.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import boto3
import pyarrow as pa
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

from optiinfra_assets.domain.errors import BadData, CredentialRejected, NothingThere, ProviderError, Transient
from optiinfra_assets.providers.files.location import FileVersion, Location
from optiinfra_assets.providers.http.pagination import Page, items
from optiinfra_assets.providers.http.retry import TRIES

_CONFIG = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 4})
_REJECTED = frozenset(
    {
        "401",
        "403",
        "AccessDenied",
        "AllAccessDisabled",
        "AccountProblem",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "UnauthorizedAccess",
    }
)
_WRONG_PLACE = frozenset(
    {"301", "400", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
_CHANGED = frozenset({"404", "412", "NoSuchKey", "PreconditionFailed"})

T = TypeVar("T")


class Ask(Protocol):
    """Makes one request in place of a `Bucket`, which then neither counts it nor tries it again."""

    def __call__(self, operation: Callable[[], T], where: str) -> T:
        """What `operation` returns; its ClientErrors become ours."""
        ...


@lru_cache(maxsize=64)
def client(endpoint_url: str | None, region: str | None, profile: str | None) -> Any:
    """An S3 client, safe for several threads; making one costs 50 ms of CPU, too much for each account at each probe."""
    session = boto3.Session(profile_name=profile, region_name=region)
    return session.client("s3", endpoint_url=endpoint_url, config=_CONFIG)


class Bucket(Location):
    """The objects under a prefix. A file's version is its ETag."""

    def __init__(
        self,
        address: str,
        endpoint_url: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        *,
        made: Any = None,
        ask: Ask | None = None,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            address: ``s3://bucket`` or ``s3://bucket/prefix``.
            endpoint_url: of a service other than AWS.
            region: of the bucket; None: that of the machine.
            profile: None: the default chain.
            made: a client in place of one made of these.
            ask: makes the requests, under a policy of its own.
        """
        super().__init__(address)
        self._bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        self._policy = ask
        with self._asking(address, requests=0):
            self._client = made or client(endpoint_url, region, profile)

    def _list(self) -> Iterator[FileVersion]:
        return self.below("")

    def below(self, prefix: str) -> Iterator[FileVersion]:
        """Every object whose name begins with `prefix`, in order of name."""

        def read(token: str | None) -> Page[FileVersion]:
            more = {"ContinuationToken": token} if token else {}
            page = self._ask(
                lambda: self._client.list_objects_v2(
                    Bucket=self._bucket, Prefix=self._prefix + prefix, **more
                ),
                self.address,
            )
            return Page(
                [self._found(one) for one in page.get("Contents", ())], page.get("NextContinuationToken")
            )

        return items(read, self.address, may_be_empty=True)

    def _found(self, one: dict[str, Any]) -> FileVersion:
        name = one["Key"].removeprefix(self._prefix)
        return FileVersion(name, one["Size"], one["ETag"].strip('"'), one.get("LastModified"))

    def open(self, file: FileVersion) -> pa.NativeFile:
        if file.name.lower().endswith(".parquet"):
            return pa.PythonFile(_Ranges(self, file), mode="r")
        return pa.PythonFile(_Body(self, file), mode="r")

    def current(self, name: str) -> FileVersion | None:
        try:
            found = self._ask(
                lambda: self._client.head_object(Bucket=self._bucket, Key=self._prefix + name),
                self.path(name),
            )
        except Gone:
            return None
        return self._found({**found, "Key": self._prefix + name, "Size": found["ContentLength"]})

    def get(self, file: FileVersion, span: str | None = None) -> Any:
        """The body of one request for an object, or for a span of its bytes, of exactly this version."""
        only = {"Range": span} if span else {}
        answer = self._ask(
            lambda: self._client.get_object(
                Bucket=self._bucket, Key=self._prefix + file.name, IfMatch=f'"{file.version}"', **only
            ),
            self.path(file.name),
        )
        return answer["Body"]

    def read(self, file: FileVersion, body: Any, size: int | None) -> bytes:
        """The next bytes of a body."""
        with self._asking(self.path(file.name), requests=0):
            data: bytes = body.read(size)
            return data

    def fetched(self, name: str) -> tuple[FileVersion, bytes] | None:
        """All of a small object with its version now, in one request; None if it is not there.

        Raises:
            Transient: it did not come whole.
            ProviderError: it cannot be read.
        """
        key = self._prefix + name

        def operation() -> tuple[FileVersion, bytes]:
            found = self._client.get_object(Bucket=self._bucket, Key=key)
            try:
                data: bytes = found["Body"].read()
            finally:
                found["Body"].close()
            if len(data) != found["ContentLength"]:
                raise IncompleteReadError(actual_bytes=len(data), expected_bytes=found["ContentLength"])
            return self._found({**found, "Key": key, "Size": len(data)}), data

        try:
            return self._ask(operation, self.path(name))
        except Gone:
            return None

    def _ask(self, operation: Callable[[], T], what: str) -> T:
        def told() -> T:
            try:
                return operation()
            except ClientError as error:
                about_objects = _about_objects(error, what, self._bucket)
                if about_objects is not None:
                    raise about_objects from error
                raise

        if self._policy is not None:
            return self._policy(told, what)
        with self._asking(what):
            return told()

    @contextmanager
    def _asking(self, what: str, *, requests: int = 1) -> Iterator[None]:
        """Count requests, and turn the SDK's errors into ours."""
        self.requests += requests
        try:
            yield
        except ClientError as error:
            raise _explained(error, what) from error
        except (NoCredentialsError, PartialCredentialsError, ProfileNotFound, TokenRetrievalError) as error:
            raise CredentialRejected(
                f"{what}: {error}: set AWS credentials for this process, or another profile"
            ) from error
        except (ConnectionError, HTTPClientError, IncompleteReadError, OSError) as error:
            raise Transient(f"{what}: {error}") from error
        except (BotoCoreError, ValueError) as error:
            raise BadData(f"{what}: {error}: check location, endpoint_url and region") from error


class Gone(Transient):
    """The object is not there, or not in this version, any more."""


def _about_objects(error: ClientError, what: str, bucket: str) -> ProviderError | None:
    """What a refusal says about objects and buckets; None if it is about anything else."""
    code = _code(error)
    if code == "NoSuchBucket":
        return NothingThere(f"{what}: there is no bucket {bucket}: nothing that is stored is changed")
    if code in _CHANGED:
        return Gone(f"{what}: is gone or changed while it was read: it is read again once it is whole")
    if code == "InvalidObjectState":
        return BadData(f"{what}: is archived: restore it, or move it out of the prefix")
    return None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _explained(error: ClientError, what: str) -> ProviderError:
    code = _code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _REJECTED:
        return CredentialRejected(
            f"{what}: S3 answered {code}: allow s3:ListBucket and s3:GetObject to this credential"
        )
    if code in _WRONG_PLACE:
        return CredentialRejected(f"{what}: S3 answered {code}: check region and endpoint_url")
    if status >= 500 or status == 429 or code in ("SlowDown", "RequestTimeout"):
        return Transient(f"{what}: S3 answered {code or status}")
    return BadData(f"{what}: S3 answered {code or status}: check location, endpoint_url and region")


def _broken(bucket: Bucket, file: FileVersion, missing: int) -> Transient:
    """Something on the way may cut an answer and still announce the length of the rest."""
    return Transient(
        f"{bucket.path(file.name)}: the answer broke off {missing} bytes before its end; try again later"
    )


class _Body:
    """An object as a stream from its beginning; goes on where it was after a connection that broke."""

    closed = False

    def __init__(self, bucket: Bucket, file: FileVersion) -> None:
        self._bucket = bucket
        self._file = file
        self._position = 0
        self._body = bucket.get(file)

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        for _ in range(TRIES - 1):
            try:
                return self._read(size)
            except Gone:
                raise
            except Transient:
                self._body.close()
                self._body = self._bucket.get(self._file, f"bytes={self._position}-{self._file.size - 1}")
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = self._bucket.read(self._file, self._body, None if size < 0 else size)
        missing = self._file.size - self._position - len(data)
        if missing > 0 and size != 0 and (size < 0 or not data):
            raise _broken(self._bucket, self._file, missing)
        self._position += len(data)
        return data

    def close(self) -> None:
        """Give the connection back."""
        self.closed = True
        self._body.close()


class _Ranges:
    """An object for random access: each read is one request for a span of its bytes."""

    closed = False

    def __init__(self, bucket: Bucket, file: FileVersion) -> None:
        self._bucket = bucket
        self._file = file
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """Bytes from the current position."""
        end = self._file.size if size < 0 else min(self._position + size, self._file.size)
        if end <= self._position:
            return b""
        body = self._bucket.get(self._file, f"bytes={self._position}-{end - 1}")
        data = self._bucket.read(self._file, body, None)
        missing = end - self._position - len(data)
        if missing:
            raise _broken(self._bucket, self._file, missing)
        self._position = end
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """The current position."""
        return self._position

    def close(self) -> None:
        """Nothing is held open."""
        self.closed = True
