"""Closed months whose total a publication has changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.alerts import AlertMessage, AlertRule, Figure, Occasion
from optiinfra_assets.domain.exact_amounts import exact_difference
from optiinfra_assets.domain.publications import Publication
from optiinfra_assets.notifications.kinds.base import Facts, Found, account_path, money, shown
from optiinfra_assets.warehouse.lineage import RestatementRecord, restatements, slice_history
from optiinfra_assets.warehouse.warehouse import Warehouse

OVERLAP: Final = timedelta(hours=1)
"""A publication has its time before it can be seen; so each look begins earlier than the last one ended."""
_PAGE: Final = 500


def find_restatements(facts: Facts, rule: AlertRule) -> Found:
    """Find the publications since the last look that changed the total of a closed month by as much as the rule says."""
    since = max(rule.created_at, (rule.checked_at or rule.created_at) - OVERLAP)
    if not facts.has_published(rule.customer_id, since):
        return Found()
    days = timedelta(days=float(rule.number("days")))
    found = []
    warehouse = facts.warehouse()
    for one in _restated(warehouse, rule, since, facts.now + OVERLAP):
        new, old = (kept.publication for kept in slice_history(warehouse, one.slice, 2, one.generation + 1))
        is_closed = old.is_final or new.published_at >= one.slice.billing_period.end + days
        changes = _changes(old, new)
        if is_closed and any(_is_told(rule, *change) for change in changes.values()):
            found.append(Occasion(f"{one.slice} generation {one.generation}", _message(old, new, changes)))
    return Found(tuple(reversed(found)))


def _restated(warehouse: Warehouse, rule: AlertRule, since: datetime, until: datetime) -> Iterator[RestatementRecord]:
    """Restatements of months that have ended, newest first."""
    before = None
    while True:
        page = restatements(
            warehouse, rule.customer_id, since, until, first=_PAGE, before=before, accounts=rule.accounts
        )
        yield from (one for one in page if one.published_at >= one.slice.billing_period.end)
        if len(page) < _PAGE:
            return
        before = (page[-1].published_at, page[-1].generation)


def _changes(old: Publication, new: Publication) -> dict[str, tuple[Decimal, Decimal]]:
    """Billed cost before and after, by currency, where it differs."""
    both = {
        currency: (
            old.totals[currency].billed_cost if currency in old.totals else Decimal(0),
            new.totals[currency].billed_cost if currency in new.totals else Decimal(0),
        )
        for currency in sorted(old.totals.keys() | new.totals.keys())
    }
    return {currency: (before, after) for currency, (before, after) in both.items() if before != after}


def _is_told(rule: AlertRule, before: Decimal, after: Decimal) -> bool:
    change = exact_difference(after, before).copy_abs()
    return change >= rule.number("amount") and change * 100 >= rule.number("percent") * abs(before)


def _message(old: Publication, new: Publication, changes: dict[str, tuple[Decimal, Decimal]]) -> AlertMessage:
    slice_ = new.slice
    said = "; ".join(
        f"{money(before, currency)} became {money(after, currency)} ({_change(before, after, currency)})"
        for currency, (before, after) in changes.items()
    )
    figures = [
        Figure(name, f"{amount:f}", currency)
        for currency, (before, after) in changes.items()
        for name, amount in (("before", before), ("after", after), ("change", exact_difference(after, before)))
    ]
    through = new.covered_through
    return AlertMessage(
        title=f"{slice_.account_id}: the bill of {slice_.billing_period} has changed",
        text=f"Billed cost of the closed month: {said}. Published {shown(new.published_at)}; the figures before were of "
        f"{shown(old.published_at)}.",
        path=f"{account_path(slice_.account_id)}&month={slice_.billing_period}",
        figures=tuple(figures),
        data_through=through.isoformat() if through else None,
        is_simulated=new.is_simulated,
    )


def _change(before: Decimal, after: Decimal, currency: str) -> str:
    change = exact_difference(after, before)
    share = f", {change / abs(before):+.1%}" if before else ""
    return f"{'+' if change > 0 else ''}{money(change, currency)}{share}"
