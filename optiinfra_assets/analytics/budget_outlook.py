"""Says what is expected of the days of a budget that are not final, from the forecast of its charges."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import numpy as np

from optiinfra_assets.analytics.budgets import Outlook
from optiinfra_assets.analytics.cost_history import NOTES, Method
from optiinfra_assets.analytics.forecast_groups import ForecastGroup
from optiinfra_assets.domain.day_span import DaySpan

SPAN: Final = "budget"
_TOO_FAR: Final = "The budget ends later than costs are forecast, 13 months ahead."
_DONE: Final = "The budget is over, and its costs are final."
_NOTHING: Final = "No charge matched the budget so far, or none to come can, so nothing is forecast."


def budget_spans(first: date, period: DaySpan) -> dict[str, DaySpan]:
    """Return the sum of days that a budget needs, of which `first` is the first that is not final."""
    begin = min(max(first, period.start), period.end - timedelta(days=1))
    return {SPAN: DaySpan(begin, period.end)}


def outlook_of(group: ForecastGroup | None, period: DaySpan) -> tuple[Outlook | None, str]:
    """Return what is expected of the days of a budget to come, None if nothing can be told; and what to know of that."""
    if group is None:
        return None, _NOTHING
    found, node = group.forecast, group.node
    if group.first_day >= period.end:
        return Outlook(period.end, (), None, None), _DONE
    if found.methods[node] is Method.NONE:
        return None, NOTES[Method.NONE]
    if found.days.dates[-1] < np.datetime64(period.end, "D") - 1:
        return None, _TOO_FAR
    span = found.totals[SPAN].span
    within = (found.days.dates >= np.datetime64(span.start, "D")) & (found.days.dates < np.datetime64(span.end, "D"))
    daily = np.sum([values[node, within] for values in found.parts.values()], axis=0)
    within_80, within_95 = found.bounds(SPAN, node, after_credits=True)
    days = tuple(found.amount(one) for one in daily)
    return Outlook(span.start, days, within_80, within_95), NOTES[found.methods[node]]
