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
from optiinfra_api.fields.insights.forecast import series_of
from optiinfra_api.fields.insights.forecasting import ForecastAnswer, ForecastQuery, forecast_answer
from optiinfra_api.reading.cost_query import digest
from optiinfra_api.reading.stream import ExportFormat
from optiinfra_assets.analytics.charge_parts import CostPart

_GROUPS: Final = ("provider", "account", "sub_account", "service", "region", "charge_category", "tag")
_MONEYS: Final = (
    *("before_credits", "after_credits", "lower80", "upper80", "lower95", "upper95"),
    *(part.value for part in CostPart),
)
_MONEY: Final = pa.decimal128(38, 3)


async def forecast_rows(data: CustomerData, asked: ExportQuery) -> tuple[ForecastAnswer, ForecastQuery]:
    """Return the answer to an export's question, and the question.

    Raises:
        ApiError: as the field `forecast` does.
    """
    groups = asked.group_by | ({"tag"} if asked.group_by_tag is not None else set())
    as_of = asked.question.as_of or data.services.clock()
    question = ForecastQuery(asked.question, asked.basis, as_of, frozenset(groups), asked.group_by_tag or "")
    return await forecast_answer(data, question), question


def forecast_etag(data: CustomerData, asked: ExportQuery, answer: ForecastAnswer, form: ExportFormat) -> str:
    """Return the weak ETag of a file: the same while the question, what was forecast and what people expect are."""
    question = replace(asked.question, as_of=None)
    shown = (data.customer_id, question, sorted(asked.group_by), asked.group_by_tag, asked.basis, asked.days, form)
    overrides = [one.override_id for one in answer.overrides]
    return f'W/"{digest(*shown, answer.made.made_at, answer.made.generation, overrides)}"'


def forecast_file(answer: ForecastAnswer, question: ForecastQuery, days: int, form: ExportFormat) -> bytes:
    """Return the file: one row a day, group and currency."""
    groups = [name for name in _GROUPS if name in question.group_by]
    names = ["currency", *groups, "date", "method", *_MONEYS]
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for group in answer.groups:
        one = series_of(group, days, question.group_by, {})
        count = len(one["dates"])
        parts = {part["part"].lower(): part["amounts"] for part in one["parts"]}
        for name in ("currency", *groups, "method"):
            columns[name].extend([one[name]] * count)
        columns["date"].extend(map(date.fromisoformat, one["dates"]))
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
    return pa.string() if name in (*_GROUPS, "currency", "method") else _MONEY
