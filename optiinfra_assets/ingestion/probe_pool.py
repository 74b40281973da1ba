"""Ask many accounts at once whether anything changed, in bounded time. No Dagster here.

Each account is asked in a thread of a few; one that does not answer in time is recorded as such and left to its own time-outs,
while another thread takes its place. So one slow, throttled or broken account delays no other.
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
from optiinfra_assets.providers.base import Probe, Provider
from optiinfra_assets.providers.context import Meter, ProviderContext
from optiinfra_assets.providers.http.redaction import account_redactor

WORKERS: Final = 16
"""Probes are waiting, not computing: 16 at 50 ms each ask 300 accounts a second."""

ACCOUNT_SECONDS: Final = 15.0
"""A probe that takes longer is taken for hanging; providers answer one in well under a second."""

BUDGET_SECONDS: Final = 25.0
"""No probe begins later than this: with the last one's 15 s and the bookkeeping it stays under the 60 s that Dagster gives a tick.
What was not reached begins the next tick."""

_unanswered: set[str] = set()
"""Accounts whose probe of an earlier tick has still not returned, so that hanging ones do not pile up."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What came of one account.

    Attributes:
        probe: the answer, None if there is none.
        error: why not, in one line.
        until: the provider wants no request before it (UTC).
        requests: made to the provider, also for an error.
        cost: what the provider charges for them, in USD.
    """

    account: Account
    probe: Probe | None = None
    error: str | None = None
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
    """Probe accounts in the given order, as many as `budget` seconds allow; each that was begun comes out once.

    Args:
        accounts: whom to ask.
        providers: by name; holds that of every account.
        since: by account id, the tokens of the last collection.
        opened: gives what a provider is handed: the account with its secrets, and its context; called in the account's own thread.
        budget: seconds after which no probe begins.
        account_seconds: seconds after which one is given up.
    """
    round_ = _ProbePool(deque(accounts), providers, since, opened, time.monotonic() + budget)
    for _ in range(min(WORKERS, len(accounts))):
        round_.add_worker()
    yield from round_.results(account_seconds)


class _ProbePool:
    """One call of `probe_all`: accounts not begun, accounts under way since when, and answers."""

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
        # A daemon thread: a provider that hangs for ever must not keep the process from ending.
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
        """Take an account from under way, with its answer; False if it was given up before."""
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
            probe = self._providers[account.provider].probe(opened, self._since.get(account.account_id, {}), context)
        except ProviderError as error:
            until = error.until if isinstance(error, Throttled) else None
            return _failed(account, account_redactor(opened)(str(error)), spent, until)
        except Exception as error:  # noqa: BLE001 - a bug in one provider must not end the tick of all others
            return _failed(account, f"unexpected {type(error).__name__} in the probe of {account.provider}", spent)
        return ProbeResult(account, probe, requests=probe.requests, cost=probe.cost)


def _failed(account: Account, error: str, spent: Meter, until: datetime | None = None) -> ProbeResult:
    return ProbeResult(account, error=error, until=until, requests=spent.requests, cost=spent.cost)
