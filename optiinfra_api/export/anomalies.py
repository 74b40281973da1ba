"""The exports ``anomalies`` and ``anomaly-causes``: one row an anomaly that is told, or a value that explains it, the latest first.

They are made here, since anomalies are in PostgreSQL.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from optiinfra_api.access.context import CustomerData
from optiinfra_api.export.arguments import ExportQuery
from optiinfra_api.fields.insights.anomaly_tags import by_tag
from optiinfra_api.reading.cost_query import digest
from optiinfra_api.reading.stream import ExportFormat
from optiinfra_assets.analytics.stored_causes import AMOUNTS
from optiinfra_assets.analytics.usage_places import TAG
from optiinfra_assets.domain.anomalies import StoredAnomaly
from optiinfra_assets.metadata.anomalies import AnomalyFilter

_MONEY: Final = pa.decimal128(38, 18)
_INSTANT: Final = pa.timestamp("us", "UTC")
_WHICH: Final[dict[str, Any]] = {
    "anomaly_id": pa.string(),
    "provider": pa.string(),
    "account_id": pa.string(),
    "service_name": pa.string(),
    "kind": pa.string(),
    "first_day": pa.date32(),
    "last_day": pa.date32(),
    "odd_days": pa.int32(),
    "currency": pa.string(),
}
_COLUMNS: Final[dict[str, Any]] = {
    **_WHICH,
    "cost": _MONEY,
    "expected": _MONEY,
    "excess": _MONEY,
    "projected_impact": _MONEY,
    "score": pa.float64(),
    "state": pa.string(),
    "said_by": pa.string(),
    "said_at": _INSTANT,
    "note": pa.string(),
    "found_at": _INSTANT,
    "is_simulated": pa.bool_(),
}


_CAUSE_COLUMNS: Final[dict[str, Any]] = {
    **_WHICH,
    "dimension": pa.string(),
    "tag_key": pa.string(),
    "value": pa.string(),
    "is_others": pa.bool_(),
    **dict.fromkeys(AMOUNTS, _MONEY),
    "is_simulated": pa.bool_(),
}


async def anomaly_rows(data: CustomerData, asked: ExportQuery) -> list[StoredAnomaly]:
    """Return the anomalies that an export asks for: those with a day in its period, if it has one."""
    question = asked.question
    wanted = AnomalyFilter(
        providers=question.providers,
        accounts=question.accounts,
        services=question.services,
        start=asked.period.start if asked.period else None,
        end=asked.period.end if asked.period else None,
        as_of=question.as_of,
    )
    found = await data.read(data.services.metadata.anomalies.find, wanted)
    return [one for one in found if not question.currencies or one.series.currency in question.currencies]


def anomaly_etag(data: CustomerData, asked: ExportQuery, found: list[StoredAnomaly], form: ExportFormat) -> str:
    """Return the weak ETag of a file: the same while the anomalies of the question and what was said of them are."""
    versions = [(one.anomaly_id, one.made_at, one.state and one.state.set_at) for one in found]
    return f'W/"{digest(data.customer_id, asked.what, form, asked.group_by_tag, versions)}"'


def anomaly_file(found: list[StoredAnomaly], form: ExportFormat) -> bytes:
    """Return the file."""
    return _file(_COLUMNS, [_row(one) for one in found], form)


async def cause_file(data: CustomerData, asked: ExportQuery, found: list[StoredAnomaly], form: ExportFormat) -> bytes:
    """Return the file of what explains the anomalies: by each dimension, and by the tag that is asked for.

    Raises:
        TooExpensive: a limit on reading is exceeded.
        AsOfNotRetained: retention has removed the costs that a tag is read from.
    """
    rows: list[dict[str, Any]] = []
    for one in found:
        dimensions = list(one.causes.get("by_dimension", ()))
        if asked.group_by_tag:
            dimensions.append(await by_tag(data, one, asked.group_by_tag, asked.question.as_of))
        rows += [row for dimension in dimensions for row in _cause_rows(one, dimension, asked.group_by_tag)]
    return await data.services.run(_file, _CAUSE_COLUMNS, rows, form)


def _file(columns: Mapping[str, Any], rows: list[dict[str, Any]], form: ExportFormat) -> bytes:
    table = pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in columns.items()})
    body = io.BytesIO()
    if form is ExportFormat.CSV:
        pyarrow.csv.write_csv(table, body)
    else:
        pyarrow.parquet.write_table(table, body)
    return body.getvalue()


def _cause_rows(one: StoredAnomaly, found: Mapping[str, Any], tag: str | None) -> Iterator[dict[str, Any]]:
    of = {"dimension": found["dimension"], "tag_key": tag if found["dimension"] == TAG else None}
    for value in (*found["contributors"], found["others"]):
        amounts = {name: Decimal(value[name]) for name in AMOUNTS}
        yield {**_row(one), **of, "value": value["value"], "is_others": value is found["others"], **amounts}


def _row(one: StoredAnomaly) -> dict[str, Any]:
    said = one.state
    return {
        "anomaly_id": one.anomaly_id,
        "provider": one.series.provider,
        "account_id": one.series.account,
        "service_name": one.series.service or None,
        "kind": one.kind,
        "first_day": one.first_day,
        "last_day": one.last_day,
        "odd_days": len(one.days),
        "currency": one.series.currency,
        "cost": one.cost,
        "expected": one.expected,
        "excess": one.excess,
        "projected_impact": one.projected,
        "score": one.score,
        "state": one.said.value,
        "said_by": said and said.author_name,
        "said_at": said and said.set_at,
        "note": said and said.note,
        "found_at": one.found_at,
        "is_simulated": one.is_simulated,
    }
