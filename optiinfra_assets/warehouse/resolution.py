"""Finds the generations that a query has to read: the first, small statement of every read.

Data in: rows of ``publications``. Data out: `ResolvedGenerations`, whose generation numbers the data query takes as a parameter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any

from clickhouse_connect.driver.client import Client

from optiinfra_assets.database import clickhouse
from optiinfra_assets.database.errors import AsOfNotRetained
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.freshness import Freshness
from optiinfra_assets.domain.publications import PublishedGeneration, ResolvedGenerations

_Span = tuple[datetime, datetime]
"""A time span from the first instant (inclusive) to the second (exclusive)."""

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ResolutionQuery:
    """The customer, accounts and days of a query (see `Warehouse.resolve`), and its ClickHouse settings (see `Warehouse.only`)."""

    customer_id: str
    providers: Collection[str]
    accounts: Collection[str]
    start: date | None
    end: date | None
    settings: dict[str, str]


def resolve(client: Client, question: ResolutionQuery, standing: Freshness) -> ResolvedGenerations:
    """Resolve the generations that readers see now; see `Warehouse.resolve`."""
    found = _published(client, "resolve.sql", question)
    return ResolvedGenerations.of((one for one, _ in found), question.start, question.end, standing)


def resolve_as_of(client: Client, question: ResolutionQuery, as_of: datetime) -> ResolvedGenerations:
    """Resolve the generations that readers saw at the instant `as_of`; see `Warehouse.resolve`.

    Raises:
        ValueError: `as_of` has no time zone.
        AsOfNotRetained: the query needs generations that retention has removed.
    """
    if as_of.tzinfo is None:
        raise ValueError(f"asOf: {as_of.isoformat()} has no time zone: add one, such as {as_of.isoformat()}Z")
    found = list(_published(client, "resolve_as_of.sql", question, as_of=as_of))
    resolved = ResolvedGenerations.of((one for one, _ in found), question.start, question.end)
    removed = {one.generation for one, is_removed in found if is_removed}
    if not removed.isdisjoint(resolved.generations):
        before, after = _nearest_kept(client, question, as_of)
        raise AsOfNotRetained(as_of, before, after)
    return resolved


def published_after(
    client: Client, customer_id: str, generation: int, settings: dict[str, str]
) -> list[PublishedGeneration]:
    """Return the publications of a customer with a higher generation than this; `settings` are those of `Warehouse.only`."""
    question = ResolutionQuery(customer_id, (), (), None, None, settings)
    return [one for one, _ in _published(client, "published_after.sql", question, generation=generation)]


def _published(
    client: Client, statement: str, question: ResolutionQuery, **values: Any
) -> Iterator[tuple[PublishedGeneration, bool]]:
    """Yield the publications that a statement finds for the accounts of `question`, each with whether its rows are removed.

    Python filters the accounts: conditions on two more columns cost ClickHouse 0.8 ms of planning, and a customer has few slices.
    """
    values["customer_id"] = question.customer_id
    for provider, account_id, billing_period, *columns, is_removed in clickhouse.tuples(
        client, statement, values, question.settings
    ):
        if question.providers and provider not in question.providers:
            continue
        if question.accounts and account_id not in question.accounts:
            continue
        slice_ = _slice(question.customer_id, provider, account_id, billing_period)
        yield PublishedGeneration(slice_, *columns), bool(is_removed)


@lru_cache(maxsize=100_000)
def _slice(customer_id: str, provider: str, account_id: str, billing_period: date) -> Slice:
    return Slice(customer_id, provider, account_id, BillingPeriod.of(billing_period))


def _nearest_kept(client: Client, question: ResolutionQuery, as_of: datetime) -> tuple[datetime | None, datetime]:
    """Return the nearest readable instants before (None: there is none) and after `as_of`, which is not readable itself."""
    found = list(_published(client, "published_generations.sql", question))
    removed = {one.generation for one, is_removed in found if is_removed}
    history = [one for one, _ in found]
    lost = [
        span
        for span, one in _spans(history)
        if one.generation in removed and one.has_charges_in(question.start, question.end)
    ]
    first, last = as_of, as_of + _TICK
    for begin, finish in sorted(lost, reverse=True):
        if finish >= first and begin < first:
            first = begin
    for begin, finish in sorted(lost):
        if begin <= last and finish > last:
            last = finish
    has_earlier = any(one.published_at < first for one in history)
    return (first - _TICK if has_earlier else None), last


def _spans(history: Iterable[PublishedGeneration]) -> Iterator[tuple[_Span, PublishedGeneration]]:
    """Yield each superseded publication of `history` (ordered by slice, oldest first) with the span in which it was the newest."""
    for _, versions in groupby(history, key=lambda one: one.slice):
        for one, following in pairwise(versions):
            yield (one.published_at, following.published_at), one
