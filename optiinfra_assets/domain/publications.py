"""Published generations of slices (rows of ``publications``), and the generations that a query reads.

Data in: rows of the statements in ``sql/clickhouse/store``. Data out: frozen objects.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.freshness import NOTHING, Freshness
from optiinfra_assets.domain.source_warnings import SourceWarning


@dataclass(frozen=True, slots=True)
class Totals:
    """The exact sums of the four costs over line items in one currency. Line items without a price are left out, not counted as zero."""

    billed_cost: Decimal = Decimal(0)
    effective_cost: Decimal = Decimal(0)
    list_cost: Decimal = Decimal(0)
    contracted_cost: Decimal = Decimal(0)


CONTROL_TOTAL = "control total"
"""The ``kind`` of a lineage source that is the total which the provider states, not a part of the data."""
WARNING = "warning"
"""The ``kind`` of a lineage source that is a warning about the data."""

MEASURES = tuple(one.name for one in fields(Totals))
"""Names of the four costs; every table with money has these columns."""


def complete_through(period: BillingPeriod, data_through: datetime | None, is_final: bool) -> datetime | None:
    """Return the UTC instant (exclusive) up to which a slice is complete: `data_through`, or the end of a final period if later."""
    if not is_final:
        return data_through
    return max(period.end, data_through or period.end)


@dataclass(frozen=True, slots=True)
class PublishedGeneration:
    """What a reader needs to know of one published generation.

    Attributes:
        slice: the slice of which it is a version.
        generation: its number, unique over all slices.
        published_at: UTC instant from which readers see it; each generation of a slice has a later one than the generation before.
        line_items: number of line items; 0 means that the slice has none.
        first_charge_date: UTC day of the earliest charge period start, None without line items.
        last_charge_date: UTC day of the latest charge period start (inclusive), None without line items.
        data_through: the charges of this slice are complete up to this UTC instant (exclusive), None if unknown.
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
        """Whether a charge period may start on a UTC day of [start, end); None: no bound."""
        if self.first_charge_date is None or self.last_charge_date is None:
            return False
        return (start is None or self.last_charge_date >= start) and (end is None or self.first_charge_date < end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication(PublishedGeneration):
    """One published generation with its lineage.

    Attributes:
        totals: exact costs by currency.
        content_hash: hash of the line items, independent of their order (`Warehouse.content_hash`).
        change_token: change token of the source when it returned these line items.
        sources: the origin of each part, and by their ``kind`` the totals that the provider states and the warnings.
        rounded_values: how many numbers had more than 18 fraction digits and were rounded.
        rounded_total: by how much rounding changed them in total.
        run_id: the Dagster run that collected it.
    """

    totals: Mapping[str, Totals]
    content_hash: str
    change_token: str
    sources: list[dict[str, str]] = field(default_factory=list)
    rounded_values: int = 0
    rounded_total: Decimal = Decimal(0)
    run_id: str = ""

    @property
    def warnings(self) -> tuple[SourceWarning, ...]:
        """What the line items lack, what was skipped, what was read leniently."""
        return tuple(SourceWarning.of(source) for source in self.sources if source.get("kind") == WARNING)

    def values(self) -> dict[str, Any]:
        """Return the row of ``publications`` that publishes it, by column name."""
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
        """Build it from a row of ``current_publications.sql``."""
        amounts = zip(*(row[measure] for measure in MEASURES), strict=True)
        totals = {currency: Totals(*four) for currency, four in zip(row["currencies"], amounts, strict=True)}
        columns = {name: row[name] for name in _OWN_COLUMNS}
        return cls(slice=slice_of(row), totals=totals, sources=json.loads(row["sources"]), **columns)


_NOT_COLUMNS = {"slice", "totals", "sources"}
_OWN_COLUMNS = tuple(one.name for one in fields(Publication) if one.name not in _NOT_COLUMNS)


def key(slice_: Slice) -> dict[str, Any]:
    """Return the values of the columns that identify `slice_` in ClickHouse."""
    return {
        "customer_id": slice_.customer_id,
        "provider": slice_.provider,
        "account_id": slice_.account_id,
        "billing_period": slice_.billing_period.start.date(),
    }


def slice_of(row: Mapping[str, Any]) -> Slice:
    """Return the slice that a row with the columns of `key` identifies."""
    return Slice(row["customer_id"], row["provider"], row["account_id"], BillingPeriod.of(row["billing_period"]))


@dataclass(frozen=True, slots=True)
class Extent:
    """What the generations that answer a question say together.

    Attributes:
        first_period: first day of their earliest billing period, None if there is none.
        last_period: first day of their latest billing period.
        line_items: about how many of their line items are on the asked days, as if each generation's were spread evenly over its days.
        is_simulated: some come from a simulator or sample files.
    """

    first_period: date | None
    last_period: date | None
    line_items: float
    is_simulated: bool


@dataclass(frozen=True, slots=True)
class ResolvedGenerations:
    """The generations that a query reads, and how complete its result is.

    Attributes:
        generations: numbers to read: only those with charges in the queried days. Empty: the query matches no line item.
        publications: the newest publication of every slice of the queried accounts, of any billing period.
        data_through: the result is complete up to this UTC instant (exclusive): the earliest over all accounts of the latest instant
            up to which any slice of the account is complete. Disabled accounts are ignored unless all are disabled. None if an
            account's instant is unknown, or nothing is published.
        published_at: UTC instant at which the newest of `publications` was published, None if there is none.
        is_complete: no charge of the queried days is missing: their end is not after `data_through`, or they have no end and
            every slice is final.
        standing: the freshness of the accounts beyond their publications.
        extent: what `generations` say together, None if nobody summed it up yet.
    """

    generations: tuple[int, ...]
    publications: tuple[PublishedGeneration, ...]
    data_through: datetime | None
    published_at: datetime | None
    is_complete: bool
    standing: Freshness = NOTHING
    extent: Extent | None = field(default=None, compare=False, repr=False)

    @property
    def is_simulated(self) -> bool:
        """Whether some of `generations` come from a simulator or sample files."""
        if self.extent is not None:
            return self.extent.is_simulated
        used = set(self.generations)
        return any(one.is_simulated and one.generation in used for one in self.publications)

    @classmethod
    def of(
        cls,
        publications: Iterable[PublishedGeneration],
        start: date | None,
        end: date | None,
        standing: Freshness = NOTHING,
    ) -> ResolvedGenerations:
        """Resolve `publications` for charges that start on UTC days of [start, end); None: no bound."""
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

    def of_billing_periods(self, months: Collection[str]) -> ResolvedGenerations:
        """This, with the generations of some billing periods, ``YYYY-MM``, only."""
        chosen = {one.generation for one in self.publications if str(one.slice.billing_period) in months}
        return replace(self, generations=tuple(one for one in self.generations if one in chosen), extent=None)

    def by_account(self) -> dict[str, ResolvedGenerations]:
        """Split it by account id, without bounds of days."""
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
    # Ignore disabled accounts unless all are disabled: their last day would make the data of the others look old.
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
