"""Converts refused requests to our errors and retries where that may help: one policy for our HTTP client and for vendors' clients.

A provider that uses a vendor's client turns off that client's own retries, counts each request, and reports each error::

    def attempt() -> bytes:
        meter.count()
        try:
            return sdk.read(...)
        except SdkError as error:
            raise error_for_status(error.status, "POST /query", hide(error.message), "role Reader", until=until, now=now) from None

    body = with_retries(attempt, context, "POST /query")
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from optiinfra_assets.domain.errors import (
    ContractChanged,
    CredentialRejected,
    ProviderError,
    ResourceNotFound,
    Throttled,
    Transient,
)
from optiinfra_assets.providers.http.connections import during
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE
from optiinfra_assets.providers.http.translation import clock_error

if TYPE_CHECKING:
    from optiinfra_assets.providers.context import ProviderContext

TRIES: Final = 4
PATIENCE: Final = 10.0
"""Seconds that one call may wait in all before its retries; a longer wait happens outside, where it holds no worker."""
UNKNOWN_WAIT: Final = timedelta(minutes=1)
"""Wait for a provider that throttles without saying for how long."""

PASSING: Final = frozenset({408, 409, 412, 421, 423, 424, 425})
"""Statuses of requests that may succeed unchanged: time-out, conflict with another request, changed in between, wrong connection, locked,
another request failed, too early (RFC 9110, 4918, 8470)."""

_T = TypeVar("_T")


class RetryableError(Exception):
    """A retry may help, after `wait` seconds (None: our own delay); after the last one `error` is raised."""

    def __init__(self, error: Transient, wait: float | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.wait = wait


class DeadlineExceeded(Transient):
    """A call of a provider took longer than its deadline allows, however well each of its requests went."""

    @classmethod
    def of(cls, context: ProviderContext, where: str) -> Self:
        """Returns the error for a call that has requested `where` last."""
        limit = context.deadline
        if limit.is_explaining and limit.now() < limit.end:
            return cls(
                f"{where}: no answer in the time that a request may take which only explains costs; try again later"
            )
        return cls(
            f"{where}: not read to the end within {limit.seconds:g} s and {context.spent.requests} requests; try again later"
            + (f", or raise {limit.setting}" if limit.setting else "")
        )


def refusal_in(error: BaseException) -> ProviderError | RetryableError | None:
    """Returns the error of ours that a vendor's client wrapped into another one, if there is one."""
    seen: list[Any] = [error]
    for one in seen:
        if isinstance(one, ProviderError | RetryableError):
            return one
        inner = (one.__cause__, one.__context__, getattr(one, "kwargs", {}).get("error"), *one.args)
        seen += [other for other in inner if isinstance(other, BaseException) and other not in seen]
    return None


def with_retries(attempt: Callable[[], _T], context: ProviderContext, where: str, patience: float = PATIENCE) -> _T:
    """Returns what `attempt` returns; retries on `RetryableError`, within `TRIES` attempts and `patience` seconds of waiting in all.

    Connections that `attempt` opens are under the policy of `context`, and no attempt takes longer than its deadline.

    Args:
        attempt: makes one request that may be sent more than once.
        context: the call of the provider that the request belongs to.
        where: what is requested, for the message of a deadline that passes.
        patience: seconds to wait in all.

    Raises:
        DeadlineExceeded: the deadline passed, or would pass before the next try.
        ProviderError: that of the last `RetryableError`, or what `attempt` raises itself.
    """
    with context.deadline.request():
        return _tried(attempt, context, where, patience)


def _tried(attempt: Callable[[], _T], context: ProviderContext, where: str, patience: float) -> _T:
    waited = 0.0
    tries = 1
    while True:
        if context.deadline.left() <= 0:
            raise DeadlineExceeded.of(context, where)
        try:
            with during(context):
                return attempt()
        except RecursionError:
            raise ContractChanged(f"{where}: the answer is nested too deeply; {ASK_FOR_UPDATE}") from None
        except RetryableError as again:
            wait = 0.5 * 2 ** (tries - 1) if again.wait is None else again.wait
            left = context.deadline.left()
            is_last = tries == TRIES or waited + wait > patience or (context.deadline.is_explaining and left <= wait)
            if left > 0 and is_last:
                raise again.error from None
            if left <= wait:
                raise DeadlineExceeded.of(context, where) from None
        context.sleep(wait)
        waited += wait
        tries += 1


def error_for_status(
    status: int,
    where: str,
    said: str,
    permission: str,
    *,
    until: datetime | None,
    now: datetime,
    advice: str = ASK_FOR_UPDATE,
) -> ProviderError | RetryableError:
    """Returns the error to raise for a response that is not a success.

    Args:
        status: HTTP status.
        where: what was requested, without a secret.
        said: the provider's own message, without a secret; shortened here to one line of 200 characters, as a body could contain anything.
        permission: permission that the credential needs; the error names it for 401 and 403.
        until: UTC instant before which the provider wants no request, if it says so.
        now: the present UTC instant.
        advice: advice for a response that was not expected.
    """
    told = f"{status}: {' '.join(said.split())[:200]}" if said else str(status)
    clock = clock_error(where, told) if status in {400, 401, 403} else None
    if clock is not None:
        return clock
    if status == 401:
        return CredentialRejected(
            f"{where}: the credential is not accepted ({told}); connect again with a valid one; it needs: {permission}"
        )
    if status == 403:
        return CredentialRejected(f"{where}: the credential may not do this ({told}); it needs: {permission}")
    if status == 429 or (status == 503 and until):
        why = "too many requests" if status == 429 else "not available for now"
        error = Throttled(f"{where}: {why} ({told})", until or now + UNKNOWN_WAIT)
        return RetryableError(error, max(0.0, (until - now).total_seconds()) if until else None)
    if status in PASSING or status >= 500:
        return RetryableError(Transient(f"{where}: the provider failed ({told}); try again later"))
    if status == 407 or 300 <= status < 400:
        return Transient(
            f"{where}: answered with status {told}, as a proxy or a sign-in page does: check the network of this machine and endpoint_url; "
            "try again later"
        )
    kind = ResourceNotFound if status == 404 else ContractChanged
    return kind(f"{where}: an answer that was not expected (status {told}); {advice}")
