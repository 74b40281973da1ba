"""Probe many accounts at once for changes, in bounded time.

A few threads probe one account each. If a provider does not answer in time, this reports an error, leaves the thread to the provider's
own time-outs, and starts another thread. So a slow, throttled or broken account delays no other one.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import ProviderError, Throttled
from optiinfra_assets.domain.failures import Fault
from optiinfra_assets.ingestion.account_access import for_call
from optiinfra_assets.ingestion.failures import fault_of
from optiinfra_assets.providers.base import Probe, Provider
from optiinfra_assets.providers.context import Meter, ProviderContext
from optiinfra_assets.providers.http.redaction import account_redactor

WORKERS: Final = 16
"""Threads. Probes wait, they do not compute: 16 threads at 50 ms a probe ask 300 accounts a second."""

ACCOUNT_SECONDS: Final = 15.0
"""A probe that takes longer counts as hanging; providers answer in well under a second."""

BUDGET_SECONDS: Final = 25.0
"""No probe begins later than this. With 15 s for the last probe and the bookkeeping, a tick stays under the 60 s that Dagster allows.
The next tick begins with the accounts that were not reached."""

_unanswered: set[str] = set()
"""Ids of accounts whose probe of an earlier tick has not returned. They are not probed again, so that hanging threads do not pile up."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of probing one account.

    Attributes:
        probe: the provider's answer, None if the probe failed.
        error: why it failed, in one line; None if it did not.
        fault: whose fault an error is.
        until: UTC instant before which the provider wants no request, None if it named none.
        requests: number of requests made to the provider, also if the probe failed.
        cost: what the provider charges for them, in USD.
    """

    account: Account
    probe: Probe | None = None
    error: str | None = None
    fault: Fault = Fault.NETWORK
    until: datetime | None = None
    requests: int = 0
    cost: Decimal = Decimal(0)


def probe_all(
    accounts: Sequence[Account],
    providers: Mapping[str, Provider],
    since: Mapping[str, Mapping[BillingPeriod, str]],
    opened: Callable[[Account], tuple[Account, ProviderContext]],
    *,
    budget: float = BUDGET_SECONDS,
    account_seconds: float = ACCOUNT_SECONDS,
) -> Iterator[ProbeResult]:
    """Probe accounts in the given order, as many as `budget` seconds allow; yield one result for each probe that began.

    Args:
        accounts: the accounts to probe, without secrets.
        providers: by name; holds the provider of every account.
        since: by account id, the change tokens of the last collection by billing period.
        opened: returns the account with its secrets, and its context; called in the thread of the account.
        budget: seconds after which no probe begins.
        account_seconds: seconds after which a probe is given up.
    """
    round_ = _ProbePool(deque(accounts), providers, since, opened, time.monotonic() + budget)
    for _ in range(min(WORKERS, len(accounts))):
        round_.add_worker()
    yield from round_.results(account_seconds)


class _ProbePool:
    """The state of one call of `probe_all`: accounts that wait, accounts being probed with their start times, and results."""

    def __init__(
        self,
        waiting: deque[Account],
        providers: Mapping[str, Provider],
        since: Mapping[str, Mapping[BillingPeriod, str]],
        opened: Callable[[Account], tuple[Account, ProviderContext]],
        deadline: float,
    ) -> None:
        self._waiting = waiting
        self._providers = providers
        self._since = since
        self._opened = opened
        self._deadline = deadline
        self._lock = threading.Lock()
        self._under_way: dict[str, tuple[Account, float]] = {}
        self._answers: queue.SimpleQueue[ProbeResult] = queue.SimpleQueue()

    def add_worker(self) -> None:
        # A daemon thread: a provider that hangs forever must not keep the process from ending.
        threading.Thread(target=self._work, name="probe", daemon=True).start()

    def results(self, account_seconds: float) -> Iterator[ProbeResult]:
        while self._is_going():
            try:
                yield self._answers.get(timeout=0.05)
            except queue.Empty:
                yield from self._give_up(account_seconds)

    def _is_going(self) -> bool:
        with self._lock:
            begins = bool(self._waiting) and time.monotonic() < self._deadline
            return begins or bool(self._under_way) or not self._answers.empty()

    def _give_up(self, account_seconds: float) -> Iterator[ProbeResult]:
        for account, begun in list(self._under_way.values()):
            if time.monotonic() - begun > account_seconds and self._leave(account):
                _unanswered.add(account.account_id)
                self.add_worker()
                yield ProbeResult(account, error=f"the source did not answer within {account_seconds:g} s")

    def _work(self) -> None:
        while (account := self._next()) is not None:
            answer = self._ask(account)
            _unanswered.discard(account.account_id)
            if not self._leave(account, answer):
                return

    def _next(self) -> Account | None:
        with self._lock:
            while self._waiting and time.monotonic() < self._deadline:
                account = self._waiting.popleft()
                if account.account_id in _unanswered:
                    self._answers.put(
                        ProbeResult(account, error="the source has not answered the probe of an earlier tick")
                    )
                    continue
                self._under_way[account.account_id] = (account, time.monotonic())
                return account
        return None

    def _leave(self, account: Account, answer: ProbeResult | None = None) -> bool:
        """Remove an account from those being probed and put its answer into the queue; return False if it was given up before."""
        with self._lock:
            if self._under_way.pop(account.account_id, None) is None:
                return False
            if answer is not None:
                self._answers.put(answer)
            return True

    def _ask(self, account: Account) -> ProbeResult:
        spent, opened = Meter(), account
        try:
            opened, context = self._opened(account)
            spent = context.spent
            provider = self._providers[account.provider]
            with for_call(context, provider, opened, "probe") as limited:
                probe = provider.probe(opened, self._since.get(account.account_id, {}), limited)
        except ProviderError as error:
            until = error.until if isinstance(error, Throttled) else None
            return _failed(account, error, account_redactor(opened)(str(error)), spent, until)
        except Exception as error:  # noqa: BLE001 - a bug in one provider must not end the tick of all others
            message = f"unexpected {type(error).__name__} in the probe of {account.provider}"
            return _failed(account, error, message, spent)
        return ProbeResult(account, probe, requests=probe.requests, cost=probe.cost)


def _failed(
    account: Account, error: Exception, message: str, spent: Meter, until: datetime | None = None
) -> ProbeResult:
    requests, cost = spent.requests, spent.cost
    return ProbeResult(account, error=message, fault=fault_of(error), until=until, requests=requests, cost=cost)
