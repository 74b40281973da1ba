"""Tells series apart that were forecast together: each is split as its costs of the last weeks were, to the last subunit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from optiinfra_assets.analytics.arrays import Flags, Integers
from optiinfra_assets.analytics.charge_parts import CostPart
from optiinfra_assets.analytics.cost_history import SeriesForecasts
from optiinfra_assets.analytics.customer_forecast import SeriesKey, part_of_row
from optiinfra_assets.analytics.forecast import exact

SHARE_DAYS: Final = 62
"""Days of which costs tell shares: so many have a charge of each month."""
_USUAL_CATEGORY: Final = {CostPart.TAX: "Tax", CostPart.CREDITS: "Credit"}

_NAMES: Final = {"account_group": "account_id", "service_group": "service_name"}
"""Columns of ``charge_shares`` that are called otherwise in ``forecast_history``; of the others an ending goes."""

Shares = dict[tuple[SeriesKey, CostPart], dict[SeriesKey, float]]
"""What parts of series cost by what they are split into."""
DaysMeant = Callable[[SeriesKey], Sequence[tuple[SeriesKey, Flags | None]]]
"""What is meant of a child: under which keys, each on which days; None: on all of them."""


def shares(rows: Iterable[Mapping[str, Any]], dimensions: Sequence[str], is_by_sub_account: bool) -> Shares:
    """Return shares by `dimensions` of `SeriesKey`, from rows of ``charge_shares`` or ``forecast_history``.

    Args:
        is_by_sub_account: whether the series that are split are told apart by sub account.
    """
    found: Shares = {}
    for one in rows:
        row = {_NAMES.get(name, name.removesuffix("_group")): value for name, value in one.items()}
        part = part_of_row(row)
        if part is None:
            continue
        sub_account = row["sub_account"] if is_by_sub_account else ""
        key = SeriesKey(row["provider"], row["account_id"], sub_account, row["service_name"])
        values: dict[str, Any] = {name: tuple(row[name]) if name == "tags" else row[name] for name in dimensions}
        children, child = found.setdefault((key, part), {}), key._replace(**values)
        amount = row["amount"] if "amount" in row else sum(row["amounts"])
        children[child] = children.get(child, 0.0) + abs(amount)
    return found


@dataclass(frozen=True, slots=True)
class SplitSeries:
    """Series that are told apart: those that are meant, and one for the rest of each, which has no key."""

    series: SeriesForecasts
    keys: list[SeriesKey | None]
    parents: Integers
    """The place of what each was split from."""


@dataclass(frozen=True, slots=True)
class _Child:
    """What is meant of a series: the shares of each part that lie before it and end with it, and its days; None: all."""

    parent: int
    key: SeriesKey
    ends: Mapping[CostPart, tuple[float, float]]
    days: Flags | None

    @property
    def weight(self) -> float:
        """What it weighs in the errors of a series, which are those of its use."""
        before, after = self.ends[CostPart.USAGE]
        return after - before


def split(
    series: SeriesForecasts,
    keys: Sequence[SeriesKey],
    found: Shares,
    dimensions: Sequence[str],
    tags: int,
    digits: int,
    days_meant: DaysMeant,
) -> SplitSeries:
    """Return `series` told apart by `dimensions`. Parts that cost nothing lately go to what lacks the dimension.

    Args:
        found: what series cost lately by what they are split into.
        tags: how many tags are among the dimensions.
        digits: decimal places of the subunit: whatever is meant, its parts and the rest sum to the whole to the last subunit.
        days_meant: says of a key which keys are meant of it, each on which days; None: on all.
    """
    children: list[_Child] = []
    has_rest = np.zeros(len(keys), dtype=bool)
    for parent, key in enumerate(keys):
        of_key = {part: found.get((key, part)) or {_without(key, part, dimensions, tags): 1.0} for part in CostPart}
        ends: dict[SeriesKey, dict[CostPart, tuple[float, float]]] = {}
        for part, amounts in of_key.items():
            for child, both in _ends(amounts).items():
                ends.setdefault(child, {})[part] = both
        for child in sorted(ends, key=str):
            meant = days_meant(child)
            all_ends = {part: ends[child].get(part, (0.0, 0.0)) for part in CostPart}
            children += [_Child(parent, name, all_ends, days) for name, days in meant]
            has_rest[parent] |= len(meant) != 1 or meant[0][1] is not None
    return _split(series, children, np.flatnonzero(has_rest), digits)


def _ends(amounts: Mapping[SeriesKey, float]) -> dict[SeriesKey, tuple[float, float]]:
    """Return where the share of each child begins and ends, when all lie side by side from 0 to 1."""
    total, before, found = sum(amounts.values()), 0.0, {}
    for child in sorted(amounts, key=str):
        share = amounts[child] / total if total > 0 else 1 / len(amounts)
        found[child] = before, min(before + share, 1.0)
        before = found[child][1]
    if found:
        found[child] = found[child][0], 1.0
    return found


def _split(series: SeriesForecasts, children: Sequence[_Child], rests: Integers, digits: int) -> SplitSeries:
    rows = np.array([one.parent for one in children], dtype=np.int64)
    parents = np.concatenate([rows, rests])
    weight = np.array([one.weight for one in children])
    left = 1.0 - np.bincount(rows, weight, len(series.level))[rests]
    weights = np.concatenate([weight, np.clip(left, 0.0, 1.0)])
    parts, before = {}, np.zeros((len(parents), series.parts[CostPart.USAGE].shape[1]))
    is_day = np.array([np.ones(before.shape[1], dtype=bool) if one.days is None else one.days for one in children])
    for part in CostPart:
        whole = series.parts[part].astype(np.float64)
        lower, upper = (np.array([one.ends[part][end] for one in children])[:, None] for end in (0, 1))
        own = np.rint(whole[rows] * upper) - np.rint(whole[rows] * lower)
        if part is not CostPart.CREDITS:
            before[: len(rows)] += own / 10**digits
        own = np.where(is_day.reshape(own.shape), own, 0.0)
        taken = np.zeros(whole.shape)
        np.add.at(taken, rows, own)
        parts[part] = exact(np.concatenate([own, (whole - taken)[rests]]))
    result = replace(
        series,
        parts=parts,
        errors_of_sums=series.errors_of_sums[parents] * weights[:, None, None],
        errors_of_days=series.errors_of_days[parents] * weights[:, None, None],
        actual=series.actual[parents] * weights[:, None],
        level=series.level[parents] * weights,
        methods=[series.methods[row] for row in parents],
        credits_run_out=series.credits_run_out[parents],
    )
    before[len(rows) :] = result.before_credits()[len(rows) :]
    if series.plain is not None:
        now = series.before_credits()[parents]
        result.plain = np.where(now > 0, series.plain[parents] / np.where(now > 0, now, 1.0) * before, before)
    elif any(one.days is not None for one in children):
        result.plain = before
    return SplitSeries(result, [*(one.key for one in children), *([None] * len(rests))], parents)


def _without(key: SeriesKey, part: CostPart, dimensions: Sequence[str], tags: int) -> SeriesKey:
    has_category = "charge_category" in dimensions
    lacking = key._replace(tags=(None,) * tags)
    return lacking._replace(charge_category=_USUAL_CATEGORY.get(part, "Usage")) if has_category else lacking
