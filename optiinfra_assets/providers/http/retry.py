"""What becomes of a refused request, and another try where it may help: one policy for our own HTTP client and for the vendors' clients.

A provider that uses a vendor's client turns that client's own retries off, counts each request, and says what it was refused with::

    def attempt() -> bytes:
        meter.count()
        try:
            return sdk.read(...)
        except SdkError as error:
            raise refusal(error.status, "POST /query", hide(error.message), "role Reader", until=until, now=now) from None

    body = patiently(attempt, context.sleep)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar

from optiinfra_assets.domain.errors import (
    ContractChanged,
    CredentialRejected,
    ProviderError,
    ResourceNotFound,
    Throttled,
    Transient,
)
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE

TRIES: Final = 4
PATIENCE: Final = 10.0
"""Seconds one call may spend waiting before its tries; whoever asks for more gets it outside, where nobody holds a worker for it."""
UNKNOWN_WAIT: Final = timedelta(minutes=1)
"""How long to stay away from a provider that throttles without saying for how long."""

_T = TypeVar("_T")


class RetryableError(Exception):
    """Another try may help: after `wait` (seconds; None: as long as we think fit), or else `error` is raised."""

    def __init__(self, error: Transient, wait: float | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.wait = wait


def with_retries(attempt: Callable[[], _T], sleep: Callable[[float], None], patience: float = PATIENCE) -> _T:
    """What `attempt` returns, tried as often as `TRIES` and `patience` (seconds of waiting in all) allow while it raises `RetryableError`.

    Args:
        attempt: one request that may be sent more than once.
        sleep: waits that many seconds.

    Raises:
        ProviderError: that of the last `RetryableError`, or what `attempt` raises itself.
    """
    waited = 0.0
    tries = 1
    while True:
        try:
            return attempt()
        except RetryableError as again:
            wait = 0.5 * 2 ** (tries - 1) if again.wait is None else again.wait
            if tries == TRIES or waited + wait > patience:
                raise again.error from None
        sleep(wait)
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
    """What to raise for an answer that is not a success.

    Args:
        status: of HTTP.
        where: what was asked, without a secret.
        said: the provider's own words for a person, without a secret; made one short line here, as a whole body could carry anything.
        permission: what the credential needs, named if it is refused.
        until: UTC instant before which the provider wants no request, if it says so.
        now: the present UTC instant.
        advice: what to do about an answer that was not expected.
    """
    told = f"{status}: {' '.join(said.split())[:200]}" if said else str(status)
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
    if status in {408, 425} or status >= 500:
        return RetryableError(Transient(f"{where}: the provider failed ({told}); try again later"))
    kind = ResourceNotFound if status == 404 else ContractChanged
    return kind(f"{where}: an answer that was not expected (status {told}); {advice}")
