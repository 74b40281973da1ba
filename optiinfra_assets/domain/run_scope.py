"""What one Dagster run collects: consecutive billing periods of one account, or small slices of many, and the run tags that name them.

The schedule and the sensors inside Dagster use this, and so does the trigger of the API and the command line, which has no Dagster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from optiinfra_assets.domain.accounts import BillingPeriod, Slice

ASSET_JOB: Final = "__ASSET_JOB"
"""Dagster's implicit job of all assets; each run selects those of one provider. A named job can hold one provider's partitions only."""

TASK_TAG: Final = "optiinfra/task_id"
TRIGGER_TAG: Final = "optiinfra/trigger"
CUSTOMER_TAG: Final = "optiinfra/customer"
ACCEPT_EMPTY_TAG: Final = "optiinfra/accept_empty"
SLICES_TAG: Final = "optiinfra/slices"
PARTITION_TAG: Final = "dagster/partition"

SLICES: Final = "slices"
"""Name in the configuration of a run under which the partition keys of several slices stand."""

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


SMALL: Final = 50_000
"""Line items up to which a slice is collected together with others: about what a run holds in memory of one slice."""

TOGETHER: Final = 100
"""Most slices of several accounts in one run. Starting a run costs as much as collecting ten small slices; with more, a run that dies
repeats more. Slices that nobody has collected may be large: 100 of 5 million line items, four at a time, take three and a half hours."""


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


@dataclass(frozen=True, slots=True)
class CollectionRunRequest:
    """A run to request from Dagster, of one provider.

    Attributes:
        scopes: what it collects.
        key: equal requests of one task have equal keys, so that a tick evaluated twice makes one run.
        tags: the tags of the run.
    """

    scopes: tuple[RunScope, ...]
    key: str
    tags: Mapping[str, str]

    @classmethod
    def of(
        cls,
        scopes: tuple[RunScope, ...],
        key: str,
        task_id: str,
        trigger: str,
        *,
        accept_empty: bool = False,
        rank: int = 0,
    ) -> CollectionRunRequest:
        """Build the request with its tags: partitions, task and trigger, owner, queue priority and maximum runtime.

        `rank` is the number of runs of the same customer before it: of runs with the same trigger, those of lower rank go first.
        """
        slices = slices_of(scopes)
        tags = {
            **({PARTITION_TAG: partition_key(slices[0])} if len(slices) == 1 else {SLICES_TAG: str(len(slices))}),
            TASK_TAG: task_id,
            TRIGGER_TAG: trigger,
            **slice_tags(slices),
            "dagster/priority": str(PRIORITY[trigger] - min(rank, LOWEST_RANK)),
            "dagster/max_runtime": str(MAX_RUNTIME_SECONDS),
            **({ACCEPT_EMPTY_TAG: "true"} if accept_empty else {}),
        }
        return cls(scopes, key, tags)

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return self.scopes[0].provider

    @property
    def slices(self) -> list[Slice]:
        """The slices of all scopes."""
        return slices_of(self.scopes)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the run: the partition keys of several slices. Dagster's tags name one, or those added one after another."""
        if len(self.slices) == 1:
            return {}
        return {"ops": {op_name(self.provider): {"config": {SLICES: [partition_key(one) for one in self.slices]}}}}


def slices_of(scopes: Iterable[RunScope]) -> list[Slice]:
    """Return the slices of scopes, in their order."""
    return [slice_ for scope in scopes for slice_ in scope.slices]


def partitions_name(provider: str) -> str:
    """Return the name of the dynamic partitions that hold the slices of one provider."""
    return f"{provider}_slices"


def partition_key(slice_: Slice) -> str:
    """Return the key of the partition of a slice, unique within its provider."""
    return f"{slice_.account_id}|{slice_.billing_period}"


def op_name(provider: str) -> str:
    """Return the name of the step that collects slices of one provider."""
    return f"collect_{provider}"


def together(
    ranked: Iterable[tuple[RunScope, int]], line_items: Mapping[Slice, int | None]
) -> list[tuple[tuple[RunScope, ...], int]]:
    """Put scopes of different accounts of one provider into one run, up to `TOGETHER` slices; each with a large slice is a run of its own.

    Args:
        ranked: scopes in order, each with its rank; see `in_turns`.
        line_items: their numbers at the last collection, None where nobody knows. Only large ones matter.

    Returns:
        The scopes of each run, in the order of their first, with the rank of that.
    """
    runs: list[tuple[list[RunScope], int]] = []
    open_runs: dict[tuple[str, int], list[RunScope]] = {}
    before: Counter[tuple[str, str]] = Counter()
    for scope, rank in ranked:
        is_small = all((line_items.get(slice_) or 0) <= SMALL for slice_ in scope.slices)
        account = scope.provider, scope.account_id
        place = scope.provider, before[account]
        run = open_runs.get(place, []) if is_small else []
        if not run or sum(len(one.periods) for one in (*run, scope)) > TOGETHER:
            run = []
            runs.append((run, rank))
        if is_small:
            open_runs[place] = run
            before[account] += 1
        run.append(scope)
    return [(tuple(scopes), rank) for scopes, rank in runs]


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
