"""Answers questions about costs to come from the forecast of all series of a customer, stored or made for the question.

A forecast that is stored is answered as it was made. One is made for the question if none is stored yet, or for another cost basis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from optiinfra_api.access.context import CustomerData
from optiinfra_api.fields.costs.arguments import CostBasis
from optiinfra_api.fields.costs.cost_series import MAX_SERIES
from optiinfra_api.graphql.errors import TooExpensive
from optiinfra_api.reading.cost_query import CostQuery, validated
from optiinfra_assets.analytics.customer_forecast import (
    HISTORY_DAYS,
    HORIZON_DAYS,
    CurrencyForecast,
    final_days,
    forecast_customer,
)
from optiinfra_assets.analytics.forecast import usual_spans
from optiinfra_assets.analytics.forecast_groups import (
    ForecastGroup,
    ForecastSelection,
    SpansOf,
    TagName,
    groups_of,
)
from optiinfra_assets.analytics.forecast_split import SHARE_DAYS, Shares, shares
from optiinfra_assets.analytics.stored_forecast import from_bytes
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.metadata.forecasts import MadeForecast, StoredOverride
from optiinfra_assets.warehouse.cost_history import (
    FORECAST_BASIS,
    series_columns,
    share_columns,
    shares_need_line_items,
)

_MOST_SPLIT: Final = 20_000
"""Series of a question at most: what is not meant of a series is one, whatever else it is told apart by."""


@dataclass(frozen=True, slots=True)
class ForecastQuery:
    """What is asked of a forecast.

    Attributes:
        question: the filters; without a period.
        others: further filters: charges are meant that match any of them.
        group_by: dimensions, such as ``sub_account``.
        group_tags: the tags that are grouped by.
        as_of: the instant whose forecast is asked for.
    """

    question: CostQuery
    basis: CostBasis
    as_of: datetime
    group_by: frozenset[str] = frozenset()
    group_tags: tuple[TagName, ...] = ()
    others: tuple[CostQuery, ...] = ()

    @property
    def selection(self) -> ForecastSelection:
        """The series that are meant, and what they are told apart by."""
        return ForecastSelection((self.question, *self.others), self.group_by, self.group_tags)


@dataclass(frozen=True)
class ForecastAnswer:
    """What answers a question: what it was made of, and its groups."""

    made: MadeForecast
    overrides: list[StoredOverride]
    groups: list[ForecastGroup]
    finals: Mapping[str, date | None]
    """The last final day of each account that has series, whether it is meant or not."""


async def forecast_answer(data: CustomerData, asked: ForecastQuery, spans: SpansOf | None = None) -> ForecastAnswer:
    """Answer a question; `spans` says which sums of days are wanted, from the first day that is not final.

    Raises:
        TooExpensive: a limit on reading is exceeded, or there are more groups than are answered.
        AsOfNotRetained: the forecast has to be made, and retention has removed what it would be made of.
    """
    made, currencies = await _forecast(data, asked)
    overrides = await data.read(data.services.metadata.forecasts.overrides, asked.as_of)
    wanted = [one for one in currencies if asked.selection.of_currency(one.currency).filters]
    found = await _shares(data, asked, made, wanted)
    spans_of = spans or (lambda first: usual_spans(asked.as_of.date(), first - timedelta(days=1)))
    groups = await data.services.run(_groups, asked.selection, made, wanted, overrides, found, spans_of)
    finals = {
        key.account: None if np.isnat(day) else day.astype(date)
        for one in currencies
        for key, day in zip(one.keys, one.through, strict=True)
    }
    return ForecastAnswer(made, overrides, groups, finals)


async def _forecast(data: CustomerData, asked: ForecastQuery) -> tuple[MadeForecast, list[CurrencyForecast]]:
    """The forecast of all series: that which is stored, or one of the published costs."""
    cache, forecasts = data.services.forecasts, data.services.metadata.forecasts
    if asked.basis.value == FORECAST_BASIS:
        made = await data.read(forecasts.newest, asked.as_of)
        if made is not None:
            key = (data.customer_id, made.made_at, made.generation)
            found = cache.get(key)
            if found is None and (body := await data.read(forecasts.body, made.made_at)) is not None:
                found = cache[key] = await data.services.run(from_bytes, body)
            if found is not None:
                return made, found
    return await _made(data, asked)


async def _made(data: CustomerData, asked: ForecastQuery) -> tuple[MadeForecast, list[CurrencyForecast]]:
    today = asked.as_of.date()
    start, end = today - timedelta(days=HISTORY_DAYS), today + timedelta(days=1)
    question = validated((start, end), asked.question.as_of)
    resolved = await data.resolve(question)
    made = MadeForecast(
        made_at=asked.as_of,
        generation=max((one.generation for one in resolved.publications), default=0),
        data_through=resolved.data_through,
        published_at=resolved.published_at,
        is_simulated=resolved.is_simulated,
        is_by_sub_account=True,
    )
    cache, key = data.services.forecasts, (data.customer_id, today, resolved.generations, asked.basis)
    found = cache.get(key)
    if found is None:
        columns = series_columns(by_sub_account=True)
        rows = await data.rows("forecast_history", question, resolved, cost=asked.basis.value, **columns)
        horizon = end + timedelta(days=HORIZON_DAYS)
        found = await data.services.run(forecast_customer, rows, start, final_days(resolved), horizon)
        cache[key] = found
    return made, found


async def _shares(
    data: CustomerData, asked: ForecastQuery, made: MadeForecast, currencies: Sequence[CurrencyForecast]
) -> Shares:
    """What series cost lately by what they are not told apart by."""
    selection = asked.selection
    dimensions = selection.dimensions(is_by_sub_account=made.is_by_sub_account)
    known = [one.through[~np.isnat(one.through)].max() for one in currencies if not np.isnat(one.through).all()]
    if not known or not dimensions:
        return {}
    end = max(known).astype(date) + timedelta(days=1)
    question = validated((end - timedelta(days=SHARE_DAYS), end), asked.question.as_of)
    resolved: ResolvedGenerations = await data.resolve(question)
    statement = "charge_shares" if shares_need_line_items(dimensions) else "forecast_history"
    columns = share_columns(dimensions, selection.tags, by_sub_account=made.is_by_sub_account)
    rows = await data.groups(statement, question, resolved, cost=asked.basis.value, **columns)
    return await data.services.run(shares, rows, dimensions, made.is_by_sub_account)


def _check_size(selection: ForecastSelection, currencies: Sequence[CurrencyForecast], found: Shares) -> None:
    """Raise TooExpensive if series are told apart by too much: by month, each is as many as it has months."""
    if not currencies:
        return
    days_meant = selection.days_meant(currencies[0].days)
    told = {child for children in found.values() for child in children} or {
        key for one in currencies for key in one.keys
    }
    if (found or "period" in selection.named) and sum(len(days_meant(one)) for one in told) > _MOST_SPLIT:
        raise TooExpensive(f"more than {_MOST_SPLIT} series are asked for", "Group by less, or narrow the filter.")


def _groups(
    selection: ForecastSelection,
    made: MadeForecast,
    currencies: Sequence[CurrencyForecast],
    overrides: Sequence[StoredOverride],
    found: Shares,
    spans_of: SpansOf,
) -> list[ForecastGroup]:
    _check_size(selection, currencies, found)
    groups = []
    for one in currencies:
        groups += groups_of(one, selection, overrides, found, spans_of, is_by_sub_account=made.is_by_sub_account)
    if len(groups) > MAX_SERIES:
        raise TooExpensive(
            f"the answer would have more than {MAX_SERIES} groups", "Group by less, or narrow the filter."
        )
    return groups
