"""Judges the days of customers of whom something new is published, and keeps what was expected and what is odd."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.analytics.anomaly_events import folded
from optiinfra_assets.analytics.customer_anomalies import (
    HISTORY_DAYS,
    JUDGED_DAYS,
    NamedEvent,
    exact_days,
    first_changed,
    judge_days,
)
from optiinfra_assets.analytics.customer_forecast import final_days
from optiinfra_assets.analytics.explanation import projected_impact
from optiinfra_assets.analytics.stored_causes import stored_cause
from optiinfra_assets.analytics.usage_places import BEFORE_DAYS, UsageQuery
from optiinfra_assets.analytics.usage_series import UsageSeries
from optiinfra_assets.domain.anomalies import AnomalyDay, StoredAnomaly, UsageKey
from optiinfra_assets.domain.day_span import next_month
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.domain.subunits import decimal_places
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.anomalies import AnomalyRefresh
from optiinfra_assets.warehouse.cost_history import forecast_history
from optiinfra_assets.warehouse.usage import UsageReader
from optiinfra_assets.warehouse.warehouse import Warehouse

_ALIVE_DAYS: Final = 35
"""For so many days after its last odd one, what an anomaly will have cost in that day's month may change."""


@dataclass(frozen=True, slots=True)
class RefreshedAnomalies:
    """What was judged of a customer, or why it was not.

    Attributes:
        days: how many days were judged.
        found: anomalies that were not known.
        changed: anomalies that are new, another or gone.
    """

    customer_id: str
    series: int = 0
    days: int = 0
    found: int = 0
    changed: int = 0
    error: Exception | None = None


def refresh_anomalies(
    metadata: Metadata, warehouse: Warehouse, now: datetime, retention_days: int
) -> Iterator[RefreshedAnomalies]:
    """Judge the days of each customer of whom something is published that was not known. What fails for one hinders no other."""
    for customer_id, newest in metadata.anomalies.due().items():
        try:
            yield find_anomalies(metadata, warehouse, customer_id, now, retention_days, newest)
        except Exception as error:  # noqa: BLE001
            yield RefreshedAnomalies(customer_id, error=error)


def find_anomalies(
    metadata: Metadata, warehouse: Warehouse, customer_id: str, now: datetime, retention_days: int, newest: int = 0
) -> RefreshedAnomalies:
    """Judge the days of one customer that are new, or cost something else than when they were judged; store it in one transaction.

    Raises:
        WarehouseUnavailable: ClickHouse went away.
        MetadataUnavailable: PostgreSQL went away.
    """
    start, end = now.date() - timedelta(days=HISTORY_DAYS), now.date() + timedelta(days=1)
    resolved = warehouse.resolve(customer_id, start=start, end=end, standing=metadata.slices.freshness(customer_id))
    _, rows = forecast_history(warehouse, customer_id, resolved, start, end, 0)
    usage = UsageSeries.of_rows(rows, start, final_days(resolved), (end - start).days)
    repository = metadata.anomalies
    known = repository.all(customer_id=customer_id)
    oldest = (usage.last_final or end) - timedelta(days=JUDGED_DAYS)
    since = first_changed(usage, repository.expectations(oldest, end, customer_id=customer_id))
    states = [one.state for one in known if one.state is not None]
    judged = judge_days(customer_id, usage, since, known, states)
    reader = UsageReader(warehouse, customer_id, resolved)
    anomalies = _Anomalies(usage, reader, resolved, now, {one.anomaly_id: one for one in known})
    changed = anomalies.changed(judged.events)
    refresh = AnomalyRefresh(
        made_at=now,
        generation=max([newest, *(one.generation for one in resolved.publications)]),
        data_through=resolved.data_through,
        published_at=resolved.published_at,
        is_simulated=resolved.is_simulated,
    )
    bodies = {day: one.to_bytes() for day, one in judged.days.items()}
    repository.keep(customer_id, refresh, bodies, changed, retention_days)
    found = sum(one.found_at == now for one in changed)
    return RefreshedAnomalies(customer_id, len(usage.keys), len(bodies), found, len(changed))


@dataclass(frozen=True)
class _Anomalies:
    """Makes what is stored of what was found."""

    usage: UsageSeries
    reader: UsageReader
    resolved: ResolvedGenerations
    now: datetime
    known: dict[str, StoredAnomaly]

    def changed(self, events: Sequence[NamedEvent]) -> list[StoredAnomaly]:
        """Return the anomalies that are not as they were stored, those that are gone among them."""
        exact = [self._stored(event) for event in events]
        parents = self.usage.parents
        shown = [
            replace(event, days={day: amounts.excess for day, amounts in one.days.items()})
            for event, one in zip(events, exact, strict=True)
        ]
        above = folded(shown, parents)
        found = [
            replace(one, folded_into=events[above[place]].anomaly_id if place in above else None)
            for place, one in enumerate(exact)
        ]
        standing = {one.anomaly_id for one in found}
        gone = [
            replace(one, made_at=self.now, is_gone=True)
            for one in self.known.values()
            if not one.is_gone and one.anomaly_id not in standing and one.series in self.usage.places
        ]
        return [one for one in found if _content(one) != _content(self.known.get(one.anomaly_id))] + gone

    def _stored(self, event: NamedEvent) -> StoredAnomaly:
        series = self.usage.keys[event.series]
        known = self.known.get(event.anomaly_id)
        through = self.usage.through[event.series].astype(date) or event.last_day
        if known is not None and not known.is_gone and event.days.keys() == known.days.keys():
            is_old = (through - event.last_day).days > _ALIVE_DAYS
            if is_old and all(known.days[day].expected == event.expected[day] for day in event.days):
                return known
        start = event.first_day - timedelta(days=BEFORE_DAYS)
        costs = self.reader.days(series, start, through + timedelta(days=1))
        days = exact_days(event, costs)
        return StoredAnomaly(
            anomaly_id=event.anomaly_id,
            made_at=self.now,
            found_at=known.found_at if known else self.now,
            series=series,
            kind=event.kind.name,
            days=days,
            projected=_projected(series.currency, days, costs, through),
            score=round(event.score, 3),
            folded_into=None,
            causes=self._causes(series, days, known),
            is_gone=False,
            is_simulated=any(
                one.is_simulated for one in self.resolved.publications if one.slice.account_id == series.account
            ),
            state=known.state if known else None,
        )

    def _causes(self, series: UsageKey, days: dict[date, AnomalyDay], known: StoredAnomaly | None) -> Any:
        if known is not None and known.days == days and not known.is_gone and "by_dimension" in known.causes:
            return known.causes
        expected = exact_sum(one.expected for one in days.values())
        return stored_cause(self.reader.cause(UsageQuery(series, sorted(days), expected)))


def _content(one: StoredAnomaly | None) -> object:
    """What makes a version of an anomaly another one than the version before."""
    has_all_causes = one is not None and "by_dimension" in one.causes
    return one and (
        one.kind,
        dict(one.days),
        one.projected,
        one.folded_into,
        one.is_gone,
        one.is_simulated,
        has_all_causes,
    )


def _projected(currency: str, days: dict[date, AnomalyDay], costs: dict[date, Decimal], through: date) -> Decimal:
    """Return what an anomaly will have cost by the end of the month of its last day: with the days since it began, if it goes on."""
    last = min(through, next_month(max(days)) - timedelta(days=1))
    digits = decimal_places(currency)
    first = min(days)
    before = [costs.get(first - timedelta(days=back), Decimal(0)) for back in range(1, BEFORE_DAYS + 1)]
    usual = exact_sum(before) / len(before)
    expected = dict.fromkeys(_days(first, last), usual) | {day: one.expected for day, one in days.items()}
    all_days = {day: costs.get(day, Decimal(0)) for day in expected}
    recent = [all_days[day] - usual for day in _days(max(first, last - timedelta(days=2)), last)]
    mean = exact_sum(recent) / len(recent)
    odd = exact_sum(one.excess for one in days.values()) / len(days)
    if mean * odd > 0 and abs(mean) >= abs(odd) / 2:
        return projected_impact(all_days, expected, last, digits)
    return projected_impact(
        {day: one.cost for day, one in days.items()}, {day: one.expected for day, one in days.items()}, last, digits
    )


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=count) for count in range((last - first).days + 1)]
