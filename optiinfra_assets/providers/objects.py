"""Files under an ``s3://`` prefix: AWS S3 and what speaks like it. Access comes from the AWS default chain (environment, profile, role)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import boto3
import pyarrow as pa
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

from optiinfra_assets.providers.base import (
    BadData,
    CredentialRejected,
    NothingThere,
    ProviderError,
    Transient,
)
from optiinfra_assets.providers.files import FileVersion, Location

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


@lru_cache(maxsize=64)
def client(endpoint_url: str | None, region: str | None, profile: str | None) -> Any:
    """An S3 client, safe for several threads; making one costs 50 ms of CPU, too much for each account at each probe."""
    session = boto3.Session(profile_name=profile, region_name=region)
    return session.client("s3", endpoint_url=endpoint_url, config=_CONFIG)


class Bucket(Location):
    """The objects under a prefix. A file's version is its ETag."""

    def __init__(
        self, address: str, endpoint_url: str | None, region: str | None, profile: str | None
    ) -> None:
        super().__init__(address)
        self._bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        with self._asking(address, requests=0):
            self._client = client(endpoint_url, region, profile)

    def _list(self) -> Iterator[FileVersion]:
        with self._asking(self.address, requests=0):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            for page in pages:
                self.requests += 1
                for found in page.get("Contents", ()):
                    yield FileVersion(
                        found["Key"].removeprefix(self._prefix), found["Size"], found["ETag"].strip('"')
                    )

    def open(self, file: FileVersion) -> pa.NativeFile:
        if file.name.lower().endswith(".parquet"):
            return pa.PythonFile(_Ranges(self, file), mode="r")
        return pa.PythonFile(_Body(self, file), mode="r")

    def current(self, name: str) -> FileVersion | None:
        try:
            with self._asking(self.path(name)):
                found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)
        except _Gone:
            return None
        return FileVersion(name, found["ContentLength"], found["ETag"].strip('"'))

    def get(self, file: FileVersion, span: str | None = None) -> Any:
        """The body of one request for an object, or for a span of its bytes, of exactly this version."""
        only = {"Range": span} if span else {}
        with self._asking(self.path(file.name)):
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._prefix + file.name, IfMatch=f'"{file.version}"', **only
            )
            return answer["Body"]

    def read(self, file: FileVersion, body: Any, size: int | None) -> bytes:
        """The next bytes of a body."""
        with self._asking(self.path(file.name), requests=0):
            data: bytes = body.read(size)
            return data

    @contextmanager
    def _asking(self, what: str, *, requests: int = 1) -> Iterator[None]:
        """Count requests, and turn the SDK's errors into ours."""
        self.requests += requests
        try:
            yield
        except ClientError as error:
            raise _explained(error, what, self._bucket) from error
        except (NoCredentialsError, PartialCredentialsError, ProfileNotFound, TokenRetrievalError) as error:
            raise CredentialRejected(
                f"{what}: {error}: set AWS credentials for this process, or another profile"
            ) from error
        except (ConnectionError, HTTPClientError, OSError) as error:
            raise Transient(f"{what}: {error}") from error
        except (BotoCoreError, ValueError) as error:
            raise BadData(f"{what}: {error}: check location, endpoint_url and region") from error


class _Gone(Transient):
    """The object is not there, or not in this version, any more."""


def _explained(error: ClientError, what: str, bucket: str) -> ProviderError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket":
        return NothingThere(f"{what}: there is no bucket {bucket}: nothing that is stored is changed")
    if code in _CHANGED:
        return _Gone(f"{what}: is gone or changed while it was read: it is read again once it is whole")
    if code in _REJECTED:
        return CredentialRejected(
            f"{what}: S3 answered {code}: allow s3:ListBucket and s3:GetObject to this credential"
        )
    if code in _WRONG_PLACE:
        return CredentialRejected(f"{what}: S3 answered {code}: check region and endpoint_url")
    if code == "InvalidObjectState":
        return BadData(f"{what}: is archived: restore it, or move it out of the prefix")
    if status >= 500 or status == 429 or code in ("SlowDown", "RequestTimeout"):
        return Transient(f"{what}: S3 answered {code or status}")
    return BadData(f"{what}: S3 answered {code or status}: check location, endpoint_url and region")


class _Body:
    """An object as a stream from its beginning."""

    closed = False

    def __init__(self, bucket: Bucket, file: FileVersion) -> None:
        self._bucket = bucket
        self._file = file
        self._body = bucket.get(file)

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        return self._bucket.read(self._file, self._body, None if size < 0 else size)

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
        self._position += len(data)
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
