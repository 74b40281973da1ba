"""What is published: generations of slices as rows of ``publications``, and what a reader gets to see of them.

Flow in: rows of ``sql/clickhouse/store``. Flow out: frozen objects; no database access here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.freshness import NOTHING, Freshness


@dataclass(frozen=True, slots=True)
class Totals:
    """The four costs of a set of line items in one currency, exact. Line items without a price count as absent, not as zero."""

    billed_cost: Decimal = Decimal(0)
    effective_cost: Decimal = Decimal(0)
    list_cost: Decimal = Decimal(0)
    contracted_cost: Decimal = Decimal(0)


CONTROL_TOTAL = "control total"
"""Kind of the sources that are not a part of the data but what the provider states that they add up to."""

MEASURES = tuple(one.name for one in fields(Totals))
"""Names of the four costs, as columns of every table that has money."""


def complete_through(period: BillingPeriod, data_through: datetime | None, is_final: bool) -> datetime | None:
    """The UTC instant that a slice is complete to: `data_through`, or the end of its period if that is later and it is final."""
    if not is_final:
        return data_through
    return max(period.end, data_through or period.end)


@dataclass(frozen=True, slots=True)
class PublishedGeneration:
    """What a reader needs to know of one published generation.

    Attributes:
        slice: what it is a version of.
        generation: its number, unique over all slices.
        published_at: UTC instant from which readers see it; strictly grows from one generation of a slice to the next.
        line_items: number of line items; 0 is a complete answer that there are none.
        first_charge_date: UTC day of the earliest charge period start, None without line items.
        last_charge_date: UTC day of the latest charge period start (inclusive), None without line items.
        data_through: the charges of this slice are complete up to this UTC instant (exclusive), None if nobody knows.
        is_final: the provider will not change this slice any more.
        is_simulated: the figures come from a simulator or sample files.
    """

    slice: Slice
    generation: int
    published_at: datetime
    line_items: int
    first_charge_date: date | None
    last_charge_date: date | None
    data_through: datetime | None
    is_final: bool
    is_simulated: bool

    @property
    def covered_through(self) -> datetime | None:
        """See `complete_through`."""
        return complete_through(self.slice.billing_period, self.data_through, self.is_final)

    def has_charges_in(self, start: date | None, end: date | None) -> bool:
        """Whether a line item can start on a day of [start, end); None is unbounded."""
        if self.first_charge_date is None or self.last_charge_date is None:
            return False
        return (start is None or self.last_charge_date >= start) and (end is None or self.first_charge_date < end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication(PublishedGeneration):
    """One published generation with its lineage.

    Attributes:
        totals: exact costs by currency.
        content_hash: hash of the line items, whatever their order (`Warehouse.content_hash`).
        change_token: token of the source these line items answer to.
        sources: where each part came from.
        rounded_values: numbers that had more than 18 fraction digits.
        rounded_total: by how much in all they were changed.
        run_id: the run that collected it.
    """

    totals: Mapping[str, Totals]
    content_hash: str
    change_token: str
    sources: list[dict[str, str]] = field(default_factory=list)
    rounded_values: int = 0
    rounded_total: Decimal = Decimal(0)
    run_id: str = ""

    def values(self) -> dict[str, Any]:
        """The row of ``publications`` that publishes it, by column name."""
        currencies = sorted(self.totals)
        columns = {name: getattr(self, name) for name in _OWN_COLUMNS}
        money = {measure: [getattr(self.totals[one], measure) for one in currencies] for measure in MEASURES}
        return {
            **key(self.slice),
            **columns,
            **money,
            "currencies": currencies,
            "sources": json.dumps(self.sources),
        }

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Publication:
        """From a row of ``current_publication.sql``."""
        amounts = zip(*(row[measure] for measure in MEASURES), strict=True)
        totals = {currency: Totals(*four) for currency, four in zip(row["currencies"], amounts, strict=True)}
        columns = {name: row[name] for name in _OWN_COLUMNS}
        return cls(slice=slice_of(row), totals=totals, sources=json.loads(row["sources"]), **columns)


_NOT_COLUMNS = {"slice", "totals", "sources"}
_OWN_COLUMNS = tuple(one.name for one in fields(Publication) if one.name not in _NOT_COLUMNS)


def key(slice_: Slice) -> dict[str, Any]:
    """The columns that name `slice_` in ClickHouse."""
    return {
        "customer_id": slice_.customer_id,
        "provider": slice_.provider,
        "account_id": slice_.account_id,
        "billing_period": slice_.billing_period.start.date(),
    }


def slice_of(row: Mapping[str, Any]) -> Slice:
    """The slice that the columns of `key` name."""
    return Slice(row["customer_id"], row["provider"], row["account_id"], BillingPeriod.of(row["billing_period"]))


@dataclass(frozen=True, slots=True)
class ResolvedGenerations:
    """The generations that answer one question, and how far the answer can be trusted.

    Attributes:
        generations: numbers to read, pruned to those with charges in the asked period. Empty: no line item answers.
        publications: the newest publication of every slice of the asked accounts, whatever its period.
        data_through: the answer is complete up to this UTC instant (exclusive): of each account the latest instant that
            any of its slices is complete to, of all accounts the earliest. Accounts that are disabled hold nothing up. None if
            an account's is unknown, or nothing is published.
        published_at: when the newest of `publications` was published, None if nothing is.
        is_complete: no charge of the asked period is still to come: its end is not after `data_through`, or it has no
            end and every slice is final.
        standing: what else is known of the accounts.
    """

    generations: tuple[int, ...]
    publications: tuple[PublishedGeneration, ...]
    data_through: datetime | None
    published_at: datetime | None
    is_complete: bool
    standing: Freshness = NOTHING

    @classmethod
    def of(
        cls,
        publications: Iterable[PublishedGeneration],
        start: date | None,
        end: date | None,
        standing: Freshness = NOTHING,
    ) -> ResolvedGenerations:
        """The answer for charges that start on UTC days of [start, end); None is unbounded."""
        publications = tuple(publications)
        through = _data_through(publications, standing)
        return cls(
            generations=tuple(one.generation for one in publications if one.has_charges_in(start, end)),
            publications=publications,
            data_through=through,
            published_at=max((one.published_at for one in publications), default=None),
            is_complete=_is_complete(publications, through, end),
            standing=standing,
        )

    def by_account(self) -> dict[str, ResolvedGenerations]:
        """What is published of each account, by its id, without bounds of days."""
        found: dict[str, list[PublishedGeneration]] = {}
        for one in self.publications:
            found.setdefault(one.slice.account_id, []).append(one)
        return {
            account: ResolvedGenerations.of(published, None, None, self.standing)
            for account, published in found.items()
        }


def _data_through(publications: tuple[PublishedGeneration, ...], standing: Freshness) -> datetime | None:
    newest: dict[str, datetime | None] = {}
    for one in publications:
        account_id, covered = one.slice.account_id, one.covered_through
        known = newest.get(account_id, standing.reached.get(account_id))
        newest[account_id] = max(known, covered) if known and covered else known or covered
    # Unless it is all that is asked, an account that ended would make the others look as old as its end.
    if active := newest.keys() - standing.disabled:
        newest = {account_id: newest[account_id] for account_id in active}
    instants = [moment for moment in newest.values() if moment is not None]
    return min(instants) if instants and len(instants) == len(newest) else None


def _is_complete(publications: tuple[PublishedGeneration, ...], through: datetime | None, end: date | None) -> bool:
    if through is None:
        return False
    if end is None:
        return all(one.is_final for one in publications)
    return datetime(end.year, end.month, end.day, tzinfo=UTC) <= through
