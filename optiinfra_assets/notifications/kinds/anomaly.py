"""Anomalies of the last days that are large enough; each told once, whatever becomes of its days or of its place in the tree."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from optiinfra_assets.domain.alerts import AlertMessage, AlertRule, Figure, Occasion
from optiinfra_assets.domain.anomalies import RESOLVED, StoredAnomaly
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.metadata.anomalies import AnomalyFilter
from optiinfra_assets.notifications.kinds.base import Facts, Found, money

_LATEST: Final = timedelta(days=62)
"""An account whose data reach no further than so long ago has no news."""
_NAMED: Final = 3
"""Contributors that a message names."""


def find_anomalies(facts: Facts, rule: AlertRule) -> Found:
    """Find the anomalies that the rule tells of. What another anomaly shows too is told by that one, unless the rule names services."""
    since = facts.now.date() - _LATEST - timedelta(days=int(rule.number("days")))
    asked = AnomalyFilter(accounts=rule.accounts, is_folded=True, start=since)
    known = facts.metadata.anomalies.find(asked, customer_id=rule.customer_id)
    told = facts.metadata.alert_outbox.told(rule.rule_id, [one.anomaly_id for one in known])
    told |= {one.folded_into for one in known if one.anomaly_id in told and one.folded_into}
    refresh = facts.metadata.anomalies.refreshed(None, customer_id=rule.customer_id)
    usual = refresh.data_through if refresh else None
    found = []
    for one in reversed(known):
        through = facts.reached(rule.customer_id, one.series.account) or usual
        if one.anomaly_id not in told and _is_told(rule, one, through or facts.now):
            found.append(Occasion(one.anomaly_id, _message(one, through)))
    return Found(tuple(found))


def _is_told(rule: AlertRule, one: StoredAnomaly, through: datetime) -> bool:
    is_meant = one.series.service in rule.services if rule.services else one.folded_into is None
    excess = abs(one.excess)
    is_large = excess >= rule.number("amount") and excess * 100 >= rule.number("percent") * abs(one.expected)
    last_final = (through - timedelta(days=1)).date()
    is_recent = (last_final - one.last_day).days <= rule.number("days")
    return is_meant and is_large and is_recent and one.said not in RESOLVED


def _message(one: StoredAnomaly, through: datetime | None) -> AlertMessage:
    series = one.series
    where = ", ".join(name for name in (series.account, series.service) if name)
    is_more, difference = one.excess > 0, money(abs(one.excess), series.currency)
    title = f"{where}: {difference} {'more' if is_more else 'less'} than expected"
    days = f"On {one.first_day}" if one.first_day == one.last_day else f"From {one.first_day} to {one.last_day}"
    part = f" ({one.excess / abs(one.expected):+.0%})" if one.expected else ", and nothing was expected"
    text = f"{days} it cost {money(one.cost, series.currency)} instead of {money(one.expected, series.currency)}{part}."
    if one.kind == "LEAK":
        text += " It grows bit by bit."
    text += f" By the end of the month that makes {money(one.projected, series.currency)}.{_causes(one.causes)}"
    amounts = {"cost": one.cost, "expected": one.expected, "excess": one.excess, "projected": one.projected}
    return AlertMessage(
        title=title,
        text=text,
        path=f"/anomalies/anomaly?{urlencode({'id': one.anomaly_id})}",
        figures=tuple(Figure(name, plain(amount), series.currency) for name, amount in amounts.items()),
        data_through=through.isoformat() if through else None,
        is_simulated=one.is_simulated,
    )


def _causes(causes: Mapping[str, object]) -> str:
    contributors = causes.get("contributors")
    names = [str(one["value"]) for one in contributors if one["value"]] if isinstance(contributors, list) else []
    return f" Most of it comes from {causes['dimension']} {', '.join(names[:_NAMED])}."[:500] if names else ""
