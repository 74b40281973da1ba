"""Simulates the part of S3's REST interface that readers need: HEAD and GET of an object, byte ranges, lists with pages."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import cached_property
from xml.sax.saxutils import escape

from optiinfra_assets.simulators.server.server import SimulatedRequest, SimulatedResponse


@dataclass(frozen=True)
class StoredObject:
    """One object; `written_at` is UTC, to the millisecond in lists and to the second elsewhere (at S3 itself always a whole second)."""

    body: bytes
    written_at: datetime
    content_type: str = "application/octet-stream"

    @cached_property
    def etag(self) -> str:
        """The ETag of an object that was uploaded in one part."""
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """One bucket.

    Attributes:
        keys: returns the keys that begin with a prefix.
        read: returns the object with a key, None if there is none.
        listable: prefix of the keys that may be listed; for other keys the error does not say whether they exist.
    """

    bucket: str
    keys: Callable[[str], Iterable[str]]
    read: Callable[[str], StoredObject | None]
    listable: str = ""

    def answer(
        self, request: SimulatedRequest, page_size: int, *, repeats: bool, adds_unknown: bool
    ) -> SimulatedResponse:
        """Return S3's response to a request for this bucket or an object in it."""
        bucket, _, key = request.path.lstrip("/").partition("/")
        if bucket != self.bucket:
            return xml_error(404, "NoSuchBucket", "The specified bucket does not exist")
        asked = key or request.query.get("prefix", "")
        found = self.read(key) if key else None
        if found is None and not asked.startswith(self.listable):
            return xml_error(403, "AccessDenied", "Access Denied")
        if not key:
            return self._list(request, page_size, repeats=repeats, adds_unknown=adds_unknown)
        if found is None:
            return xml_error(404, "NoSuchKey", "The specified key does not exist.")
        if request.headers.get("if-match", found.etag) != found.etag:
            return xml_error(412, "PreconditionFailed", "At least one of the pre-conditions did not hold")
        return _object(request, found)

    def _list(
        self, request: SimulatedRequest, page_size: int, *, repeats: bool, adds_unknown: bool
    ) -> SimulatedResponse:
        keys = sorted(self.keys(request.query.get("prefix", "")))
        begin = 0 if repeats else int(request.query.get("continuation-token", 0))
        end = begin + min(page_size, 1000)
        parts = [f"<Contents>{self._described(key)}</Contents>" for key in keys[begin:end]]
        if end < len(keys):
            parts += [f"<IsTruncated>true</IsTruncated><NextContinuationToken>{end}</NextContinuationToken>"]
        parts += ["<BrandNew>1</BrandNew>"] if adds_unknown else []
        return xml(f"<ListBucketResult>{''.join(parts)}</ListBucketResult>")

    def _described(self, key: str) -> str:
        found = self.read(key)
        if found is None:
            raise KeyError(key)
        written = f"{found.written_at.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
        return (
            f"<Key>{escape(key)}</Key><LastModified>{written}</LastModified><ETag>{escape(found.etag)}</ETag>"
            f"<Size>{len(found.body)}</Size>"
        )


def _object(request: SimulatedRequest, found: StoredObject) -> SimulatedResponse:
    headers = {
        "ETag": found.etag,
        "Last-Modified": format_datetime(found.written_at, usegmt=True),
        "Content-Type": found.content_type,
        "Accept-Ranges": "bytes",
    }
    span = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
    if span is None:
        return SimulatedResponse(200, found.body, headers)
    begin, end = int(span[1]), min(int(span[2]) + 1, len(found.body))
    headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(found.body)}"
    return SimulatedResponse(206, found.body[begin:end], headers)


def xml(text: str, status: int = 200) -> SimulatedResponse:
    """Return an XML response."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
    return SimulatedResponse(status, body, {"Content-Type": "application/xml"})


def xml_error(status: int, code: str, message: str) -> SimulatedResponse:
    """Return an error in S3's format."""
    return xml(f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>", status)
