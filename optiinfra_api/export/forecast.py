"""The export ``forecast``: what each day is expected to cost, one row a day, group and currency; made here, since nothing stores rows."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from optiinfra_api.access.context import CustomerData
from optiinfra_api.export.arguments import ExportQuery
from optiinfra_api.fields.costs.cost_series import Grouping
from optiinfra_api.fields.insights.forecast import forecast_query, series_of
from optiinfra_api.fields.insights.forecasting import ForecastAnswer, forecast_answer
from optiinfra_api.reading.cost_query import digest
from optiinfra_api.reading.stream import ExportFormat
from optiinfra_assets.analytics.charge_parts import CostPart
from optiinfra_assets.domain.charge_filters import FILTERS

_DIMENSIONS: Final = {"billing_period": "period"}
"""Columns that name a dimension otherwise."""
_GROUPS: Final = (*(name for name in FILTERS if name != "currency"), "tag")
_MONEYS: Final = (
    *("before_credits", "after_credits", "lower80", "upper80", "lower95", "upper95"),
    *(part.value for part in CostPart),
)
_MONEY: Final = pa.decimal128(38, 3)


async def forecast_rows(data: CustomerData, asked: ExportQuery) -> tuple[ForecastAnswer, Grouping]:
    """Return the answer to an export's question, and what its groups are told apart by.

    Raises:
        ApiError: as the field `forecast` does.
    """
    groups = Grouping(asked.group_by, asked.group_by_tag, in_any_case=asked.ignores_tag_case)
    as_of = asked.question.as_of or data.services.clock()
    return await forecast_answer(data, forecast_query(asked.question, asked.basis, as_of, groups)), groups


def forecast_etag(data: CustomerData, asked: ExportQuery, answer: ForecastAnswer, form: ExportFormat) -> str:
    """Return the weak ETag of a file: the same while the question, what was forecast and what people expect are."""
    question = replace(asked.question, as_of=None)
    shown = (data.customer_id, question, sorted(asked.group_by), asked.group_by_tag, asked.ignores_tag_case)
    overrides = [one.override_id for one in answer.overrides]
    return (
        f'W/"{digest(*shown, asked.basis, asked.days, form, answer.made.made_at, answer.made.generation, overrides)}"'
    )


def forecast_file(answer: ForecastAnswer, grouping: Grouping, days: int, form: ExportFormat) -> bytes:
    """Return the file: one row a day, group and currency."""
    groups = [name for name in _GROUPS if _DIMENSIONS.get(name, name) in grouping.names]
    names = ["currency", *groups, "date", "method", *_MONEYS, "final_accounts"]
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for group in answer.groups:
        one = series_of(group, days, grouping, {})
        count = len(one["dates"])
        parts = {part["part"].lower(): part["amounts"] for part in one["parts"]}
        for name in ("currency", *groups, "method"):
            columns[name].extend([one[name]] * count)
        dates = [*map(date.fromisoformat, one["dates"])]
        columns["date"].extend(dates)
        columns["final_accounts"].extend(
            ", ".join(account for account, last in group.finals.items() if last and last >= day) for day in dates
        )
        for name in _MONEYS:
            amounts = parts[name] if name in parts else one[name]
            columns[name].extend([None] * count if amounts is None else map(Decimal, amounts))
    table = pa.table({name: pa.array(values, _type(name)) for name, values in columns.items()})
    body = io.BytesIO()
    if form is ExportFormat.CSV:
        pyarrow.csv.write_csv(table, body)
    else:
        pyarrow.parquet.write_table(table, body)
    return body.getvalue()


def _type(name: str) -> pa.DataType:
    if name == "date":
        return pa.date32()
    return pa.string() if name in (*_GROUPS, "currency", "method", "final_accounts") else _MONEY
