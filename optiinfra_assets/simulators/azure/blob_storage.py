"""Simulates Blob storage's REST API over a few blobs: list with prefix and marker, properties, ranges, conditions, errors in XML."""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from xml.sax.saxutils import escape

from optiinfra_assets.simulators.azure.exports import Blob
from optiinfra_assets.simulators.server.server import SimulatedRequest, SimulatedResponse

VERSION: Final = "2024-11-04"


def blob_answer(
    request: SimulatedRequest, container: str, blobs: Mapping[str, Blob], page_size: int, repeats: bool
) -> SimulatedResponse:
    """Respond to a request whose path is the container or a blob in it.

    Args:
        request: the request.
        container: path of the container.
        blobs: its blobs, in order of name.
        page_size: most blobs listed at once.
        repeats: every page of a list is the first page again.
    """
    if request.path == container and request.query.get("comp") == "list":
        return _listed(request, blobs, page_size, repeats)
    if not request.path.startswith(f"{container}/"):
        return storage_failure("ContainerNotFound", "The specified container does not exist.", 404)
    blob = blobs.get(request.path.removeprefix(f"{container}/"))
    if blob is None:
        return storage_failure("BlobNotFound", "The specified blob does not exist.", 404)
    if request.headers.get("if-match", f'"{blob.etag}"') != f'"{blob.etag}"':
        return storage_failure("ConditionNotMet", "The condition specified is not met.", 412)
    return _content(request, blob)


def storage_failure(code: str, message: str, status: int) -> SimulatedResponse:
    """Return an error of Blob storage."""
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    headers = {"Content-Type": "application/xml", "x-ms-error-code": code, "x-ms-version": VERSION}
    return SimulatedResponse(status, body.encode(), headers)


def _content(request: SimulatedRequest, blob: Blob) -> SimulatedResponse:
    headers = {
        "Content-Type": "application/octet-stream",
        "ETag": f'"{blob.etag}"',
        "Last-Modified": _http_date(blob.modified),
        "Accept-Ranges": "bytes",
        "x-ms-blob-type": "BlockBlob",
        "x-ms-version": VERSION,
    }
    said = request.headers.get("x-ms-range") or request.headers.get("range")
    if request.method == "HEAD" or not said:
        return SimulatedResponse(200, blob.content, headers)
    first, _, last = said.removeprefix("bytes=").partition("-")
    begin = int(first)
    end = min(int(last) + 1 if last else len(blob.content), len(blob.content))
    headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(blob.content)}"
    return SimulatedResponse(206, blob.content[begin:end], headers)


def _listed(request: SimulatedRequest, blobs: Mapping[str, Blob], page_size: int, repeats: bool) -> SimulatedResponse:
    prefix = request.query.get("prefix", "")
    marker = "" if repeats else request.query.get("marker", "")
    names = [name for name in blobs if name.startswith(prefix) and name >= marker]
    size = min(int(request.query.get("maxresults", 5_000)), page_size)
    following = names[size] if size < len(names) else ""
    body = (
        '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://simulated/" ContainerName="simulated">'
        f"<Prefix>{escape(prefix)}</Prefix><MaxResults>{size}</MaxResults><Blobs>"
        + "".join(_entry(blobs[name]) for name in names[:size])
        + f"</Blobs><NextMarker>{escape(following)}</NextMarker></EnumerationResults>"
    )
    return SimulatedResponse(200, body.encode(), {"Content-Type": "application/xml", "x-ms-version": VERSION})


def _entry(blob: Blob) -> str:
    modified = _http_date(blob.modified)
    return (
        f"<Blob><Name>{escape(blob.name)}</Name><Properties><Creation-Time>{modified}</Creation-Time>"
        f"<Last-Modified>{modified}</Last-Modified><Etag>{blob.etag}</Etag><Content-Length>{len(blob.content)}</Content-Length>"
        "<Content-Type>application/octet-stream</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
    )


def _http_date(moment: datetime) -> str:
    return email.utils.format_datetime(moment, usegmt=True)
