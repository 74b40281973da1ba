"""What one Dagster run collects: consecutive billing periods of one account, and the run tags that name them.

The schedule and the sensors inside Dagster use this, and so does the trigger of the API and the command line, which has no Dagster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod, Slice

ASSET_JOB: Final = "__ASSET_JOB"
"""Dagster's implicit job of all assets; each run selects those of one provider. A named job can hold one provider's partitions only."""

TASK_TAG: Final = "optiinfra/task_id"
TRIGGER_TAG: Final = "optiinfra/trigger"
CUSTOMER_TAG: Final = "optiinfra/customer"
ACCEPT_EMPTY_TAG: Final = "optiinfra/accept_empty"

FIRST_PERIOD: Final = BillingPeriod(2020, 1)
"""FOCUS began in 2023, and backfilled exports reach three years further back; older invoices do not have FOCUS columns."""

MAX_PERIODS: Final = 13
"""Most billing periods in one run: a year and the open month. A longer history takes several runs, so that newer data do not wait."""

MAX_RUNTIME_SECONDS: Final = 6 * 3600
"""Dagster ends a run after this time: 13 periods of 5 million line items each load in under 2 hours at 10,000 a second."""

PRIORITY: Final = {"api": 10, "cli": 10, "ui": 10, "retry": 10, "schedule": 0, "backfill": -10}
"""Priority in Dagster's queue, by trigger: first what a person waits for, then new changes, then history."""


LOWEST_RANK: Final = 9
"""Runs of one trigger have ten priorities, so that the many runs of one customer do not go before the first of another."""


@dataclass(frozen=True, slots=True, order=True)
class RunScope:
    """Consecutive billing periods of one account; both ends inclusive."""

    customer_id: str
    provider: str
    account_id: str
    first: BillingPeriod
    last: BillingPeriod

    @property
    def periods(self) -> tuple[BillingPeriod, ...]:
        """The billing periods, newest first; they are collected in this order."""
        count = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1
        return tuple(self.last.shift(-back) for back in range(count))

    @property
    def slices(self) -> tuple[Slice, ...]:
        """The slices, newest first."""
        return tuple(Slice(self.customer_id, self.provider, self.account_id, period) for period in self.periods)

    def __str__(self) -> str:
        span = str(self.first) if self.first == self.last else f"{self.first}..{self.last}"
        return f"{self.provider}/{self.account_id}/{span}"

    def tags(self, task_id: str, trigger: str, *, accept_empty: bool = False, rank: int = 0) -> dict[str, str]:
        """Return the tags of the Dagster run: its partitions, task and trigger, owner, queue priority and maximum runtime.

        `rank` is the number of runs of the same customer before it: of runs with the same trigger, those of lower rank go first.
        """
        return {
            **self._partition_tags(),
            TASK_TAG: task_id,
            TRIGGER_TAG: trigger,
            **slice_tags(self.slices),
            "dagster/priority": str(PRIORITY[trigger] - min(rank, LOWEST_RANK)),
            "dagster/max_runtime": str(MAX_RUNTIME_SECONDS),
            **({ACCEPT_EMPTY_TAG: "true"} if accept_empty else {}),
        }

    def _partition_tags(self) -> dict[str, str]:
        if self.first == self.last:
            return {"dagster/partition": f"{self.account_id}|{self.first}"}
        return {
            "dagster/asset_partition_range_start": f"{self.account_id}|{self.first}",
            "dagster/asset_partition_range_end": f"{self.account_id}|{self.last}",
        }


def slice_tags(slices: Iterable[Slice]) -> dict[str, str]:
    """Return the tags that say what a run collects; whose it is only if all slices are of one customer, one account."""
    found = list(slices)
    periods = sorted({one.billing_period for one in found})
    each = {
        CUSTOMER_TAG: {one.customer_id for one in found},
        "optiinfra/provider": {one.provider for one in found},
        "optiinfra/account": {one.account_id for one in found},
        "optiinfra/billing_periods": {str(periods[0]) if len(periods) == 1 else f"{periods[0]}..{periods[-1]}"},
    }
    return {tag: values.pop() for tag, values in each.items() if len(values) == 1}


def run_scopes(slices: Iterable[Slice]) -> list[RunScope]:
    """Return the fewest scopes that cover exactly `slices`, each at most `MAX_PERIODS` long, those with the newest period first."""
    by_account: dict[tuple[str, str, str], set[BillingPeriod]] = {}
    for one in slices:
        by_account.setdefault((one.customer_id, one.provider, one.account_id), set()).add(one.billing_period)
    found = [RunScope(*owner, first, last) for owner, periods in by_account.items() for first, last in _spans(periods)]
    return sorted(sorted(found), key=lambda scope: scope.last, reverse=True)


def in_turns(scopes: Iterable[RunScope]) -> list[tuple[RunScope, int]]:
    """Order scopes so that customers take turns, each in the given order; return each with the number of its customer's before it."""
    seen: Counter[str] = Counter()
    ranked = []
    for scope in scopes:
        ranked.append((scope, seen[scope.customer_id]))
        seen[scope.customer_id] += 1
    return sorted(ranked, key=lambda one: one[1])


def _spans(periods: set[BillingPeriod]) -> Iterator[tuple[BillingPeriod, BillingPeriod]]:
    newest_first = sorted(periods, reverse=True)
    while newest_first:
        last = first = newest_first.pop(0)
        while newest_first and newest_first[0] == first.shift(-1) and first != last.shift(1 - MAX_PERIODS):
            first = newest_first.pop(0)
        yield first, last


def is_open(period: BillingPeriod, now: datetime) -> bool:
    """Whether a billing period can be collected at `now` (UTC): not before `FIRST_PERIOD`, and not in a future month."""
    return FIRST_PERIOD <= period <= BillingPeriod.of(now)
