"""HTTP client of all providers: time-outs, retries with the provider's own waiting times, metering, and no secret in any message.

A provider writes::

    with Client(endpoint, context, headers=bearer_header("api_key", token), secrets=[token]) as api:
        answer = api.get("/billing/invoices", {"per_page": "500"}, permission="billing (read)")
        for invoice in answer.fields().objects("billing_invoices"):
            amount = invoice.money("amount")

The client handles a response by its status::

    2xx                            returns an `ApiResponse`
    401, 403                       CredentialRejected, which names the permission
    429, or 503 with a time        waits briefly and retries; if the provider asks for a longer wait, Throttled(until)
    `retry.PASSING`, 5xx, network  retries after 0.5, 1 and 2 seconds; then Transient
    a body that breaks off         the same
    a web page, a redirect         Transient at once: a proxy answers
    a body that is too large       BadData, before it is in memory
    anything else                  ContractChanged; for 404 ResourceNotFound

`retry_after`, ``retry.py`` and ``redaction.py`` beside this file and ``providers/context.py`` also serve providers that use the vendor's
own client.
"""

from __future__ import annotations

import email.utils
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, Self

import httpx

from optiinfra_assets.domain.errors import ContractChanged, ProviderError, Transient, Unreachable
from optiinfra_assets.providers.context import Meter, ProviderContext
from optiinfra_assets.providers.http.answer_size import AnswerSize
from optiinfra_assets.providers.http.endpoint_policy import check_endpoint
from optiinfra_assets.providers.http.httpx_transport import GuardedTransport
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE, JsonFields
from optiinfra_assets.providers.http.redaction import redactor
from optiinfra_assets.providers.http.retry import RetryableError, error_for_status, with_retries
from optiinfra_assets.providers.http.translation import FROM_BEHIND_A_PAGE, is_web_page, no_answer, web_page

TIMEOUT: Final = httpx.Timeout(60, connect=10)
DEADLINE: Final = 300.0
"""Seconds for a whole response; with `TIMEOUT` alone a server could send one byte a minute forever."""
LONGEST_REST: Final = 90.0
"""Seconds to wait between two pages of a long list; clouds count requests by the minute."""
UNPACED: Final = 20
"""Number of requests of one client that never wait for a `Pace`: probes and small months need no more."""

Wait = Callable[[Mapping[str, str], datetime], datetime | None]
"""From the headers of an error response and the present UTC instant: the instant from which the provider allows another request."""

Says = Callable[["ApiResponse"], str]
"""From an error response: the provider's own message for a person, or an empty text. May raise a ProviderError if there is none."""

Pace = Callable[[Mapping[str, str]], float]
"""From the headers of a response: the seconds to wait before the next request, so that the provider refuses none."""


def retry_after(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Returns the instant that ``Retry-After`` names, in seconds or as a date (RFC 9110, 10.2.3); None if there is no usable one."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return now + timedelta(seconds=min(int(text[:20]), 86_400))
    try:
        return email.utils.parsedate_to_datetime(text).astimezone(UTC) if text else None
    except (ValueError, OverflowError):  # no date, or one at an end of the calendar that lies beyond it in UTC
        return None


def rate_limit_end(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """As `retry_after`; without that header, the reset of a limit with nothing remaining: ``RateLimit-Reset``, with or without ``X-``.

    The reset is in seconds since 1970. A reset in the past or more than a day ahead is ignored.
    """
    until = retry_after(headers, now)
    for prefix in ("ratelimit", "x-ratelimit"):
        reset = headers.get(f"{prefix}-reset", "").strip()
        if until or headers.get(f"{prefix}-remaining") != "0" or not (reset.isascii() and reset.isdecimal()):
            continue
        seconds = int(reset[:20]) - now.timestamp()
        until = now + timedelta(seconds=seconds) if 0 < seconds <= 86_400 else None
    return until


def resting(context: ProviderContext) -> Callable[[ApiResponse], None]:
    """Returns a function that waits after a response while the rate limit is used up, so that lists of thousands of pages can be read."""

    def rest(answer: ApiResponse) -> None:
        now = context.clock()
        until = rate_limit_end(answer.headers, now)
        if until is not None:
            context.sleep(min(max((until - now).total_seconds(), 0), LONGEST_REST))

    return rest


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response with a status of 2xx.

    Attributes:
        body: as sent, decompressed.
        headers: names in lower case.
        asked_at: UTC instant at which its request was sent; the response may lack what happened later.
        where: method and address without the query, for messages.
        hide: redacts secrets in a message.
        note: gets a line about each field that only explains costs and is left out.
    """

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    asked_at: datetime
    where: str
    hide: Callable[[str], str] = field(repr=False)
    note: Callable[[str], object] = field(repr=False)

    def fields(self) -> JsonFields:
        """Returns the body as a JSON object.

        Raises:
            Transient: the body breaks off.
            ContractChanged: the body is not a JSON object.
        """
        return JsonFields.parse(self.body, self.where, self.hide, self.note)


class Client:
    """Sends requests to one API with one credential, for the duration of one call of a provider. Use it in a ``with``."""

    def __init__(
        self,
        endpoint: str,
        context: ProviderContext,
        *,
        headers: Mapping[str, str],
        secrets: Iterable[str],
        wait: Wait = retry_after,
        reason: str | Says | None = None,
        meter: Meter | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Prepares requests below an address; sends none.

        Args:
            endpoint: beginning of every address.
            context: gives the clock and the sleep.
            headers: sent with every request, including the credential.
            secrets: values that no message may contain.
            wait: reads the provider's own waiting headers.
            reason: name of the field of an error response with the provider's message for a person, or a function that returns it.
            meter: counts the requests; by default one of the context.
            pace: reads the provider's rate limits, for lists of very many pages; None sends each request at once.

        Raises:
            ValueError: credentials may not be sent to this address.
        """
        self.meter = meter or context.meter()
        self._endpoint = check_endpoint(endpoint)
        self._context = context
        self._secrets = [secret for secret in secrets if secret]
        self._hide = redactor(self._secrets)
        self._wait = wait
        self._reason = reason
        self._pace = pace
        self._pause = 0.0
        is_remote = self._endpoint.startswith("https:")
        self._client = httpx.Client(
            headers=headers,
            timeout=TIMEOUT,
            transport=GuardedTransport(self._endpoint, _tls() if is_remote else None),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, params: Mapping[str, str] | None = None, *, permission: str) -> ApiResponse:
        """Requests one resource.

        Args:
            path: path below the endpoint, with a leading slash.
            params: query parameters; must contain no secret.
            permission: permission that the credential needs; the error names it if the provider refuses.

        Raises:
            ProviderError: as the table above.
        """
        request = self._client.build_request("GET", self._endpoint + path, params=params)
        return self.send(request, permission=permission)

    def send(self, request: httpx.Request, *, permission: str) -> ApiResponse:
        """Sends a request that may be sent more than once, as often as `retry.TRIES` and `retry.PATIENCE` allow.

        Raises:
            ProviderError: as the table above.
            ValueError: the address contains a secret.
        """
        if any(secret in str(request.url) for secret in self._secrets):
            raise ValueError("a secret stands in the address of a request; send it in a header, addresses are logged")
        where = f"{request.method} {request.url.netloc.decode()}{request.url.path}"
        return with_retries(lambda: self._try(request, permission, where), self._context, where)

    def _try(self, request: httpx.Request, permission: str, where: str) -> ApiResponse:
        if self._pause and self.meter.requests >= UNPACED:
            self._context.sleep(self._pause)
        sent_at = self._context.clock()
        self.meter.count()
        try:
            response, body = self._exchange(request, where)
        except httpx.TimeoutException:
            raise RetryableError(Unreachable(f"{where}: no answer in time; try again later")) from None
        except httpx.HTTPError as error:
            said = self._context.network.quoted(self._hide(str(error)) or type(error).__name__)
            raise RetryableError(no_answer(where, said)) from None
        answer = ApiResponse(body, dict(response.headers), sent_at, where, self._hide, self._context.leave_out)
        self._pause = self._pace(answer.headers) if self._pace else 0.0
        if is_web_page(body) and response.status_code not in FROM_BEHIND_A_PAGE:
            raise web_page(where)
        if not response.is_success:
            now = self._context.clock()
            until = self._wait(answer.headers, now)
            raise error_for_status(response.status_code, where, self._said(answer), permission, until=until, now=now)
        if response.headers.get("content-type", "").startswith("application/json"):
            _refuse_broken(body, where)
        return answer

    def _exchange(self, request: httpx.Request, where: str) -> tuple[httpx.Response, bytes]:
        deadline = time.monotonic() + DEADLINE
        response = self._client.send(request, stream=True)
        try:
            if "," in response.headers.get("content-encoding", ""):
                raise ContractChanged(f"{where}: an answer that is compressed more than once; {ASK_FOR_UPDATE}")
            body, size = bytearray(), AnswerSize(where)
            for chunk in response.iter_bytes():
                size.add(chunk)
                body += chunk
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("too slow", request=request)
            return response, bytes(body)
        finally:
            response.close()

    def _said(self, answer: ApiResponse) -> str:
        """Returns the provider's own message, with secrets redacted; empty if there is none."""
        if self._reason is None:
            return ""
        try:
            found = self._reason(answer) if callable(self._reason) else answer.fields().text(self._reason)
        except ProviderError:
            return ""
        return self._context.network.quoted(self._hide(found)) if found else ""


def _refuse_broken(body: bytes, where: str) -> None:
    """JSON ends with the bracket that it starts with. A proxy that cuts a body may still announce the length of the rest."""
    text = body.strip()
    if text[:1] in {b"{", b"["} and text[-1:] != {b"{": b"}", b"[": b"]"}[text[:1]]:
        raise RetryableError(Transient(f"{where}: the answer broke off after {len(body)} bytes; try again later"))


@cache
def _tls() -> ssl.SSLContext:
    """Reads the certificates once: that takes 20 ms, and every probe of every account makes a client."""
    return httpx.create_ssl_context()
