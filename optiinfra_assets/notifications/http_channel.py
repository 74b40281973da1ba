"""Posts a message over HTTP, under the policy and the deadline of connections to providers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx

from optiinfra_assets.domain.errors import ProviderError
from optiinfra_assets.notifications.errors import NotReceived
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.providers.http.client import retry_after
from optiinfra_assets.providers.http.connections import during
from optiinfra_assets.providers.http.httpx_transport import GuardedTransport
from optiinfra_assets.providers.http.redaction import redactor

LONGEST_WAIT: Final = timedelta(hours=6)
"""A server that asks for a longer pause is asked again after this."""
_READ_BYTES: Final = 4096
_SAID: Final = 200
"""What is read of an answer, and how many characters of it a message may have: cut after the address is hidden, which it may repeat."""


def signed_headers(delivery_id: str, body: bytes, key: bytes, at: datetime) -> dict[str, str]:
    """Return the headers by which a receiver knows who sent a message, when, and whether it has it already.

    They follow https://www.standardwebhooks.com: the signature is over id, timestamp and body, so that a copy is refused by its age, and
    a repeated message is known by its id. `at` is the UTC instant of sending.
    """
    timestamp = str(int(at.timestamp()))
    signed = b".".join((delivery_id.encode(), timestamp.encode(), body))
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": delivery_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{digest}"}


def post(url: str, body: bytes, headers: Mapping[str, str], context: ProviderContext) -> None:
    """Post JSON to an address, and return if the server took it.

    Raises:
        NotReceived: the policy does not allow the address, it cannot be reached, or the answer is no status of 200 to 299.
    """
    parts = urlsplit(url)
    place = f"{parts.path}?{parts.query}"
    hide = redactor([place, unquote(place)])
    sent = {
        "content-type": "application/json; charset=utf-8",
        "user-agent": "OptiInfra",
        "accept-encoding": "identity",
        **headers,
    }
    try:
        with during(context), _client(f"{parts.scheme}://{parts.netloc}") as client:
            request = client.build_request("POST", url, content=body, headers=sent)
            response = client.send(request, stream=True)
            try:
                _check(response, parts.netloc, context, hide)
            finally:
                response.close()
    except httpx.TimeoutException:
        raise NotReceived(f"{parts.netloc}: no answer in time") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ProviderError) as error:
        said = str(error) if isinstance(error, ProviderError) else f"{parts.netloc}: {error or type(error).__name__}"
        raise NotReceived(hide(said)) from None


def _check(response: httpx.Response, host: str, context: ProviderContext, hide: Callable[[str], str]) -> None:
    if response.is_success:
        return
    now = context.clock()
    until = retry_after(response.headers, now)
    said = ""
    if context.network.is_quoted:
        start = hide(next(response.iter_raw(_READ_BYTES), b"").decode(errors="replace"))[:_SAID]
        said = ": " + " ".join("".join(one if one.isprintable() else " " for one in start).split()) if start else ""
    wait = None if until is None else min(max(until - now, timedelta(0)), LONGEST_WAIT)
    raise NotReceived(f"{host}: answers {response.status_code}{said}", wait)


def _client(origin: str) -> httpx.Client:
    verify = tls() if origin.startswith("https:") else None
    return httpx.Client(transport=GuardedTransport(origin, verify), timeout=10, trust_env=False)


@cache
def tls() -> ssl.SSLContext:
    """Read the certificates that are trusted, once."""
    return httpx.create_ssl_context()
