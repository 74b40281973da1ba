"""Checks that a request is signed with a secret by AWS's Signature Version 4; the secret itself is never sent."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final
from urllib.parse import quote

from optiinfra_assets.simulators.server.server import SimulatedRequest

_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/[^/]+/[^/]+/aws4_request), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)


def key_id(request: SimulatedRequest) -> str:
    """The access key id that a request names; empty if the request is not signed."""
    match = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    return match[1] if match else ""


def is_signed_with(request: SimulatedRequest, secret: str) -> bool:
    """Whether the signature was made with `secret`."""
    match = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if match is None:
        return False
    _, scope, signed_headers, signature = match.groups()
    canonical = hashlib.sha256(_canonical(request, signed_headers).encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers.get("x-amz-date", ""), scope, canonical])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    return hmac.compare_digest(_mac(key, text).hex(), signature)


def _canonical(request: SimulatedRequest, signed_headers: str) -> str:
    query = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted(request.query.items()))
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed_headers.split(";")
    )
    payload = request.headers.get("x-amz-content-sha256") or hashlib.sha256(request.body).hexdigest()
    return "\n".join([request.method, quote(request.path, safe="/-_.~"), query, headers, signed_headers, payload])


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
