"""Tells series apart that were forecast together: each is split as its costs of the last weeks were, to the last subunit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from optiinfra_assets.analytics.charge_parts import CostPart
from optiinfra_assets.analytics.cost_history import SeriesForecasts
from optiinfra_assets.analytics.customer_forecast import SeriesKey, part_of_row

SHARE_DAYS: Final = 62
"""Days of which costs tell shares: so many have a charge of each month."""
_USUAL_CATEGORY: Final = {CostPart.TAX: "Tax", CostPart.CREDITS: "Credit"}

Shares = dict[tuple[SeriesKey, CostPart], dict[SeriesKey, float]]
"""What parts of series cost by what they are split into."""


def shares(rows: Iterable[Mapping[str, Any]], dimensions: Sequence[str], is_by_sub_account: bool) -> Shares:
    """Return shares by `dimensions` of `SeriesKey`, from rows of ``charge_shares`` or ``forecast_history``.

    Args:
        is_by_sub_account: whether the series that are split are told apart by sub account.
    """
    found: Shares = {}
    for row in rows:
        part = part_of_row(row)
        if part is None:
            continue
        sub_account = row["sub_account"] if is_by_sub_account else ""
        key = SeriesKey(row["provider"], row["account_id"], sub_account, row["service_name"])
        child = key._replace(**{name: row[name] for name in dimensions})
        children = found.setdefault((key, part), {})
        amount = row["amount"] if "amount" in row else sum(row["amounts"])
        children[child] = children.get(child, 0.0) + abs(amount)
    return found


def split(
    series: SeriesForecasts, keys: Sequence[SeriesKey], found: Shares, dimensions: Sequence[str], digits: int
) -> tuple[SeriesForecasts, list[SeriesKey]]:
    """Return `series` told apart by `dimensions`, and their keys. Parts that cost nothing lately go to what lacks the dimension."""
    by_part: list[dict[CostPart, dict[SeriesKey, float]]] = []
    for key in keys:
        of_key = {part: found.get((key, part)) or {_without(key, part, dimensions): 1.0} for part in CostPart}
        by_part.append({part: _normalized(children) for part, children in of_key.items()})
    children = [sorted({child for of_part in one.values() for child in of_part}, key=str) for one in by_part]
    rows = np.repeat(np.arange(len(keys)), [len(one) for one in children])
    parts = {}
    for part in CostPart:
        share = [
            np.array([one[part].get(child, 0.0) for child in of]) for one, of in zip(by_part, children, strict=True)
        ]
        upper = np.concatenate([np.empty(0), *(np.minimum(np.cumsum(one), 1.0) for one in share)])
        lower = np.concatenate([np.empty(0), *(np.r_[0.0, np.minimum(np.cumsum(one), 1.0)[:-1]] for one in share)])
        whole = np.rint(series.parts[part][rows] * 10**digits)
        parts[part] = (np.rint(whole * upper[:, None]) - np.rint(whole * lower[:, None])) / 10**digits
    weight = np.concatenate([np.empty(0), *(_weights(one, of) for one, of in zip(by_part, children, strict=True))])
    result = replace(
        series,
        parts=parts,
        errors_of_sums=series.errors_of_sums[rows] * weight[:, None, None],
        errors_of_days=series.errors_of_days[rows] * weight[:, None, None],
        actual=series.actual[rows] * weight[:, None],
        level=series.level[rows] * weight,
        methods=[series.methods[row] for row in rows],
        credits_run_out=series.credits_run_out[rows],
    )
    if series.plain is not None:
        now, of_child = series.before_credits()[rows], result.before_credits()
        result.plain = np.where(now > 0, series.plain[rows] / np.where(now > 0, now, 1.0) * of_child, of_child)
    return result, [child for one in children for child in one]


def _without(key: SeriesKey, part: CostPart, dimensions: Sequence[str]) -> SeriesKey:
    has_category = "charge_category" in dimensions
    return key._replace(charge_category=_USUAL_CATEGORY.get(part, "Usage")) if has_category else key


def _normalized(children: Mapping[SeriesKey, float]) -> dict[SeriesKey, float]:
    """Return shares that sum to 1 and whose last sum rounds to nothing less."""
    total = sum(children.values())
    if total <= 0:
        return dict.fromkeys(children, 1 / len(children))
    return {child: amount / total for child, amount in children.items()}


def _weights(of_parts: Mapping[CostPart, Mapping[SeriesKey, float]], children: Sequence[SeriesKey]) -> Any:
    """Return what each child weighs in the errors of a series, which are those of its use."""
    return np.array([of_parts[CostPart.USAGE].get(child, 0.0) for child in children])
