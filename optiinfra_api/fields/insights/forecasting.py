"""Answers questions about costs to come from the forecast of all series of a customer, stored or made for the question.

A forecast that is stored is answered as it was made. One is made for the question if none is stored yet, or for another cost basis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
from strawberry.utils.str_converters import to_camel_case

from optiinfra_api.access.context import CustomerData
from optiinfra_api.fields.costs.arguments import CostBasis
from optiinfra_api.fields.costs.cost_series import MAX_SERIES
from optiinfra_api.graphql.errors import InvalidArgument, TooExpensive
from optiinfra_api.reading.cost_query import FILTERS, CostQuery, validated
from optiinfra_assets.analytics.customer_forecast import (
    HISTORY_DAYS,
    HORIZON_DAYS,
    CurrencyForecast,
    SeriesKey,
    final_days,
    forecast_customer,
)
from optiinfra_assets.analytics.forecast import usual_spans
from optiinfra_assets.analytics.forecast_groups import ForecastGroup, SpansOf, groups_of, matcher
from optiinfra_assets.analytics.forecast_split import SHARE_DAYS, Shares, shares
from optiinfra_assets.analytics.stored_forecast import from_bytes
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.metadata.forecasts import MadeForecast, StoredOverride
from optiinfra_assets.warehouse.cost_history import FORECAST_BASIS, series_columns

OF_SERIES: Final = {
    "provider": "providers",
    "account": "accounts",
    "sub_account": "sub_accounts",
    "service": "services",
}
"""What every series has -> the filter of a cost query."""
_SPLIT: Final = {"region": "regions", "charge_category": "charge_categories"}
_ALL: Final = OF_SERIES | _SPLIT | {"currency": "currencies"}
ANSWERED: Final = _ALL.keys()
"""The filters that forecasts have, beside a tag."""


@dataclass(frozen=True, slots=True)
class ForecastQuery:
    """What is asked of a forecast.

    Attributes:
        question: the filters; without a period.
        others: further filters: charges are meant that match any of them.
        group_by: dimensions, such as ``sub_account``, or ``tag``.
        tag_key: the tag that is grouped by, '' for none.
        as_of: the instant whose forecast is asked for.
    """

    question: CostQuery
    basis: CostBasis
    as_of: datetime
    group_by: frozenset[str] = frozenset()
    tag_key: str = ""
    others: tuple[CostQuery, ...] = ()

    @property
    def questions(self) -> tuple[CostQuery, ...]:
        """All filters."""
        return (self.question, *self.others)

    @property
    def tag(self) -> str:
        """The tag that series have to be told apart by, '' for none.

        Raises:
            InvalidArgument: these are two.
        """
        keys = {one.tag_filter for one in self.questions if one.tag_values} | (
            {self.tag_key} if self.tag_key else set()
        )
        if len(keys) > 1:
            names = " and ".join(map(repr, sorted(keys)))
            raise InvalidArgument(
                f"groupByTag: {names} are asked together", "Forecasts are told apart by one tag: use one of them."
            )
        return "".join(keys)

    def dimensions(self, *, is_by_sub_account: bool) -> list[str]:
        """What the stored series are not told apart by, and the question needs."""
        filtered = {
            name for name, values in _ALL.items() if any(getattr(one, values) for one in self.questions)
        } | self.group_by
        needed = filtered & _SPLIT.keys()
        needed |= {"tag"} if self.tag else set()
        needed |= set() if is_by_sub_account else filtered & {"sub_account"}
        return sorted(needed)


@dataclass(frozen=True)
class ForecastAnswer:
    """What answers a question: what it was made of, and its groups."""

    made: MadeForecast
    overrides: list[StoredOverride]
    groups: list[ForecastGroup]
    finals: Mapping[str, date | None]
    """The last final day of each account that has series."""


def check_supported(question: CostQuery, group_by: Iterable[str] = ()) -> None:
    """Check that forecasts can be told apart by what is asked.

    Raises:
        InvalidArgument: they cannot; the message names the filter or the dimension.
    """
    known = "provider, account, subAccount, service, region, chargeCategory, currency and one tag in its case"
    for name, values in FILTERS.items():
        if name not in ANSWERED and getattr(question, values):
            raise InvalidArgument(
                f"filter.{to_camel_case(name)}: forecasts and budgets do not have it", f"Use {known}."
            )
    if question.more_tags:
        raise InvalidArgument("filter.tags: forecasts and budgets do not have them", f"Use {known}.")
    for name in sorted(group_by):
        if name not in ANSWERED and name != "tag":
            raise InvalidArgument(f"groupBy: forecasts are not told apart by {name.upper()}", f"Use {known}.")


async def forecast_answer(data: CustomerData, asked: ForecastQuery, spans: SpansOf | None = None) -> ForecastAnswer:
    """Answer a question; `spans` says which sums of days are wanted, from the first day that is not final.

    Raises:
        InvalidArgument: the question is about two tags.
        TooExpensive: a limit on reading is exceeded, or there are more groups than are answered.
        AsOfNotRetained: the forecast has to be made, and retention has removed what it would be made of.
    """
    for question in asked.questions:
        check_supported(question, asked.group_by)
    made, currencies = await _forecast(data, asked)
    overrides = await data.read(data.services.metadata.forecasts.overrides, asked.as_of)
    dimensions = asked.dimensions(is_by_sub_account=made.is_by_sub_account)
    wanted = [one for one in currencies if any(_may_match(question, one.currency) for question in asked.questions)]
    found = await _shares(data, asked, made, wanted, dimensions) if dimensions and wanted else {}
    spans_of = spans or (lambda first: usual_spans(asked.as_of.date(), first - timedelta(days=1)))
    groups = await data.services.run(_groups, asked, wanted, overrides, found, dimensions, spans_of)
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
    data: CustomerData,
    asked: ForecastQuery,
    made: MadeForecast,
    currencies: Sequence[CurrencyForecast],
    dimensions: Sequence[str],
) -> Shares:
    """What series cost lately by what they are not told apart by."""
    known = [one.through[~np.isnat(one.through)].max() for one in currencies if not np.isnat(one.through).all()]
    if not known:
        return {}
    end = max(known).astype(date) + timedelta(days=1)
    question = validated((end - timedelta(days=SHARE_DAYS), end), asked.question.as_of)
    resolved: ResolvedGenerations = await data.resolve(question)
    needs_sub_account = made.is_by_sub_account or "sub_account" in dimensions
    cost = asked.basis.value
    if "tag" in dimensions:
        columns = {
            "sub_account": "sub_account_key" if needs_sub_account else "nothing",
            "region": "region_key" if "region" in dimensions else "nothing",
        }
        rows = await data.rows("charge_shares", question, resolved, cost=cost, tag_key=asked.tag, **columns)
    else:
        region = "region_id" if "region" in dimensions else "nothing"
        columns = series_columns(by_sub_account=needs_sub_account, region=region)
        rows = await data.rows("forecast_history", question, resolved, cost=cost, **columns)
    return shares(rows, dimensions, made.is_by_sub_account)


def _groups(
    asked: ForecastQuery,
    currencies: Sequence[CurrencyForecast],
    overrides: Sequence[StoredOverride],
    found: Shares,
    dimensions: Sequence[str],
    spans_of: SpansOf,
) -> list[ForecastGroup]:
    groups = []
    for one in currencies:
        matches = [_matcher(question) for question in asked.questions if _may_match(question, one.currency)]
        groups += groups_of(one, matches, asked.group_by, overrides, found, dimensions, spans_of)
    if len(groups) > MAX_SERIES:
        raise TooExpensive(
            f"the answer would have more than {MAX_SERIES} groups", "Group by less, or narrow the filter."
        )
    return groups


def _may_match(question: CostQuery, currency: str) -> bool:
    return not question.currencies or currency in question.currencies


def _matcher(question: CostQuery) -> Callable[[SeriesKey], bool]:
    chosen = {name: getattr(question, values) for name, values in (OF_SERIES | _SPLIT).items()}
    return matcher(chosen | {"tag": question.tag_values})
