"""The lineage of published costs: every generation of a slice, and the restatements, in which one generation replaced another.

Data in: rows of ``publications`` of one customer (`tenant_filter`). Data out: frozen objects, newest first unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from optiinfra_assets.database import clickhouse
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.publications import Publication, PublishedGeneration, key, slice_of
from optiinfra_assets.warehouse.warehouse import Warehouse

LAST_GENERATION: Final = 2**64 - 1
"""Above every generation number: the cursor of the first page."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One published version of a slice.

    Attributes:
        superseded_at: UTC instant from which readers see the next generation; None: they see this one.
        is_kept: `asOf` can read its rows; otherwise retention has removed them.
    """

    publication: Publication
    superseded_at: datetime | None
    is_kept: bool


@dataclass(frozen=True, slots=True)
class RestatementRecord:
    """A restatement: one generation replaced another. Times are UTC.

    Attributes:
        is_kept: the rows of both generations still exist and can be compared.
    """

    slice: Slice
    generation: int
    published_at: datetime
    previous_generation: int
    previous_published_at: datetime
    is_kept: bool


def slice_history(warehouse: Warehouse, slice_: Slice, first: int, before: int = 0) -> list[Generation]:
    """Return at most `first` generations of a slice, newest first, below the generation `before` if that is not 0."""
    values = {**key(slice_), "first": first, "before": before}
    return [
        Generation(Publication.of(row), row["superseded_at"], not row["is_removed"])
        for row in _rows(warehouse, "slice_history.sql", values)
    ]


def restatements(
    warehouse: Warehouse,
    customer_id: str,
    since: datetime,
    until: datetime,
    *,
    first: int,
    before: tuple[datetime, int] | None = None,
    accounts: Sequence[str] = (),
    providers: Sequence[str] = (),
) -> list[RestatementRecord]:
    """Return at most `first` restatements of a customer published in [since, until) (UTC), newest first.

    Args:
        warehouse: holds the publications.
        customer_id: the tenant.
        since: UTC instant, inclusive.
        until: UTC instant, exclusive.
        first: the most to return.
        before: cursor: instant and generation of the last one of the previous page; None: begin with the newest.
        accounts: only these account ids, all if empty.
        providers: only these, all if empty.
    """
    before_at, before_generation = before or (until, LAST_GENERATION)
    values = {
        "customer_id": customer_id,
        "since": since,
        "until": until,
        "first": first,
        "before_at": before_at,
        "before_generation": before_generation,
        "accounts": list(accounts),
        "providers": list(providers),
    }
    return [
        RestatementRecord(
            slice=slice_of({**row, "customer_id": customer_id}),
            generation=row["generation"],
            published_at=row["published_at"],
            previous_generation=row["previous_generation"],
            previous_published_at=row["previous_published_at"],
            is_kept=not (row["is_removed"] or row["previous_is_removed"]),
        )
        for row in _rows(warehouse, "restated.sql", values)
    ]


def newest_publications(warehouse: Warehouse) -> dict[str, datetime]:
    """Return the UTC instant of the newest publication of each customer, by customer id."""
    return {row["customer_id"]: row["newest"] for row in clickhouse.rows(warehouse.client, "newest_publications.sql")}


def published_since(
    warehouse: Warehouse,
    customer_id: str,
    since: datetime,
    *,
    first: int,
    accounts: Sequence[str] = (),
    providers: Sequence[str] = (),
) -> list[PublishedGeneration]:
    """Return at most `first` publications of a customer published at or after `since` (UTC), oldest first."""
    values = {
        "customer_id": customer_id,
        "since": since,
        "first": first,
        "accounts": list(accounts),
        "providers": list(providers),
    }
    found = []
    only = warehouse.only(customer_id)
    for provider, account_id, period, *columns in clickhouse.tuples(
        warehouse.client, "published_since.sql", values, only
    ):
        slice_ = Slice(customer_id, provider, account_id, BillingPeriod.of(period))
        found.append(PublishedGeneration(slice_, *columns))
    return found


def _rows(warehouse: Warehouse, statement: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    return clickhouse.rows(warehouse.client, statement, values, warehouse.only(values["customer_id"]))
