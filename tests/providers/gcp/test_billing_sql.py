"""The SQL for Google's billing exports run by a real engine: no line counted twice, no digit lost, each month and day its own.

BigQuery itself cannot be had on a machine, so PostgreSQL runs the very text, with three things spelled its way: the table's name, the
parameters, and ``(record).field``. What BigQuery names differently (``STRING``, ``BIGNUMERIC``, ``TO_JSON_STRING``, ``FORMAT_DATE``) is
declared beforehand. The same rows go to the simulated BigQuery, which must answer alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.providers.gcp.bigquery import ResultRow
from optiinfra_assets.providers.gcp.export_tables import CostTable, ExportKind
from optiinfra_assets.providers.gcp.rows import BillingRows
from optiinfra_assets.simulators.gcp.billing_export import focus_schema
from optiinfra_assets.simulators.gcp.query_jobs import paths
from optiinfra_assets.simulators.gcp.simulator import USAGE
from optiinfra_assets.simulators.gcp.sql_answers import AggregateQuery, UnsupportedQuery

Row = dict[str, Any]
TYPES = {
    "STRING": "text",
    "FLOAT": "float8",
    "NUMERIC": "numeric",
    "TIMESTAMP": "timestamptz",
    "BOOLEAN": "boolean",
}
FOCUS = focus_schema(Decimal("0.01"))
MONTHS = ("202512", "202601", "202602")
JANUARY = BillingPeriod(2026, 1)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
CREDIT_TYPES = ("PROMOTION", "FREE_TIER", "SUSTAINED_USAGE_DISCOUNT", "COMMITTED_USAGE_DISCOUNT", None)
DIALECT = """
CREATE DOMAIN string AS text;
CREATE DOMAIN bignumeric AS numeric;
CREATE FUNCTION to_json_string(anyelement) RETURNS text LANGUAGE sql AS $$ SELECT to_json($1)::text $$;
CREATE FUNCTION format_date(text, date) RETURNS text LANGUAGE sql AS $$ SELECT to_char($2, 'YYYYMM') $$;
"""


def columns(schema: dict[str, Any]) -> tuple[Any, ...]:
    """A schema as tables.get gives it."""
    made = []
    for name, kind in schema.items():
        if isinstance(kind, str):
            made.append((name, kind, ()))
        elif isinstance(kind, list):
            made.append((name, "RECORD[]", columns(kind[0])))
        else:
            made.append((name, "RECORD", columns(kind)))
    return tuple(made)


DETAILED = CostTable.of("p.d.usage_export", columns(dict(USAGE)), by_day=True)
OF_FOCUS = CostTable.of("p.d.focus_export", columns(FOCUS), by_day=True)


class Engine:
    """The exports as tables of PostgreSQL."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute(DIALECT.encode())
        self._create("usage_export", dict(USAGE))
        self._create("focus_export", FOCUS)

    def fill(self, name: str, rows: list[Row]) -> None:
        """Make `rows` the content of a table."""
        self._connection.execute(f"TRUNCATE {name}".encode())
        text = json.dumps(_lowered(rows), default=str)
        insert = f"INSERT INTO {name} SELECT * FROM json_populate_recordset(NULL::{name}, %s)"
        self._connection.execute(insert.encode(), [text])

    def ask(self, statement: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """The answer to a statement, names in lower case."""
        text = re.sub(r"`p\.d\.(\w+)`", r"\1", statement)
        text = re.sub(r"@(\w+)", r"%(\1)s", text.replace("%", "%%"))
        text = re.sub(r"\b(?<![.(])(?!c\.)([a-z_]+)\.([a-z_]+)\b", r"(\1).\2", text)
        text = re.sub(r"(?<=[(])(?!c\.)([a-z_]+)\.([a-z_]+)\b", r"(\1).\2", text)
        with self._connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(text.encode(), parameters).fetchall()

    def _create(self, name: str, schema: dict[str, Any]) -> None:
        made = [f"{column} {self._type(f'{name}_{column}', kind)}" for column, kind in schema.items()]
        self._connection.execute(f"CREATE TABLE {name} (_partitiontime timestamptz, {', '.join(made)})".encode())

    def _type(self, name: str, kind: Any) -> str:
        if isinstance(kind, str):
            return TYPES[kind]
        within, ending = (kind[0], "[]") if isinstance(kind, list) else (kind, "")
        fields = ", ".join(f"{field} {self._type(f'{name}_{field}', one)}" for field, one in within.items())
        self._connection.execute(f"CREATE TYPE {name} AS ({fields})".encode())
        return f"{name}{ending}"


def _lowered(value: Any) -> Any:
    """PostgreSQL keeps the names of columns in lower case."""
    if isinstance(value, dict):
        return {key.lower(): _lowered(one) for key, one in value.items()}
    return [_lowered(one) for one in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def engine(postgres_url: str) -> Iterator[Engine]:
    """In a schema of its own, which is not committed."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE SCHEMA billing_sql; SET LOCAL search_path TO billing_sql")
        yield Engine(connection)
        connection.rollback()


amounts = st.decimals(-1_000, 1_000, places=9) | st.sampled_from(
    [Decimal("1.2E-10"), Decimal("0.1"), Decimal("4E-18"), Decimal(0)]
)
labels = st.lists(st.sampled_from(("team", "env", "app")), max_size=3, unique=True)
hours = st.integers(-30, 40 * 24)


@st.composite
def usage_rows(draw: st.DrawFn) -> list[Row]:
    """Lines of an export: several credits and labels each, days and months apart."""
    return [usage_row(draw) for _ in range(draw(st.integers(0, 6)))]


def usage_row(draw: st.DrawFn) -> Row:
    start = NEW_YEAR + timedelta(hours=draw(hours))
    credits_ = [
        {
            "name": f"credit {kind}",
            "amount": float(draw(amounts)),
            "full_name": None,
            "id": None,
            "type": kind,
        }
        for kind in draw(st.lists(st.sampled_from(CREDIT_TYPES), max_size=3))
    ]
    pairs = [{"key": key, "value": draw(st.sampled_from(("a", "b")))} for key in draw(labels)]
    exported = start + timedelta(hours=draw(st.integers(1, 400)))
    return {
        **{name: _nothing(kind) for name, kind in USAGE.items()},
        "_PARTITIONTIME": exported.replace(hour=0),
        "billing_account_id": "A-1",
        "service": {"id": "1", "description": "Compute Engine"},
        "sku": {"id": draw(st.sampled_from(("S1", "S2"))), "description": "cores"},
        "project": {"id": "shop", "number": "1", "name": "Shop", "labels": pairs[:1]},
        "labels": pairs,
        "usage_start_time": start,
        "usage_end_time": start + timedelta(hours=1),
        "export_time": exported,
        "cost": float(draw(amounts)),
        "currency": draw(st.sampled_from(("USD", "USD", "EUR"))),
        "usage": {
            "amount": float(draw(amounts)),
            "unit": "s",
            "amount_in_pricing_units": None,
            "pricing_unit": None,
        },
        "credits": credits_,
        "invoice": {"month": draw(st.sampled_from(MONTHS)), "publisher_type": "GOOGLE"},
        "cost_type": draw(st.sampled_from(("regular", "tax", "adjustment", "rounding_error"))),
    }


def _nothing(kind: Any) -> Any:
    if isinstance(kind, list):
        return []
    return {name: _nothing(one) for name, one in kind.items()} if isinstance(kind, dict) else None


def exact(number: float | None) -> Decimal:
    return Decimal(repr(number or 0.0)).quantize(Decimal("1E-18"))


def total(row: Row, *kinds: str | None) -> Decimal:
    """A line's credits, of some kinds or all."""
    return sum((exact(one["amount"]) for one in row["credits"] if not kinds or one["type"] in kinds), Decimal(0))


def simulated(table: CostTable, schema: dict[str, Any], statement: str, rows: list[Row], parameters: Row) -> list[Row]:
    """The answer of the simulated BigQuery, as cells by name; numbers as it would keep them."""
    select = AggregateQuery.parse(statement, ["_PARTITIONTIME", *paths(schema)])
    chosen = [(_as_decimals(row), 1) for row in rows if select.chooses(row, parameters)]
    names = [name.lower() for name in select.columns]
    return [dict(zip(names, cells, strict=True)) for cells in select.answer(chosen)]


def _as_decimals(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {key: _as_decimals(one) for key, one in value.items()}
    return [_as_decimals(one) for one in value] if isinstance(value, list) else value


def plain(answer: list[Row]) -> list[list[tuple[str, Any]]]:
    """Rows of either engine in one form and order."""
    return sorted(([(name, _plain(name, row[name])) for name in sorted(row)] for row in answer), key=str)


def _plain(name: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, datetime):
        return int(value.timestamp() * 1_000_000)
    text = str(value)
    if text[:1] in "[{":
        return json.dumps(json.loads(text))
    return Decimal(text).normalize() if re.fullmatch(r"-?[\d.]+(E-?\d+)?", text) else text


WIDE = {"oldest": "202512", "first": datetime(2025, 11, 1, tzinfo=UTC)}
SPAN = {"first": datetime(2025, 11, 1, tzinfo=UTC), "last": datetime(2027, 1, 1, tzinfo=UTC)}
quickly = settings(max_examples=40)


@quickly
@given(rows=usage_rows())
def test_lines_are_added_up_once_each_whatever_credits_and_labels_they_have(engine: Engine, rows: list[Row]) -> None:
    engine.fill("usage_export", rows)
    answer = engine.ask(DETAILED.lines(), {"month": "202601", **SPAN})
    mine = [row for row in rows if row["invoice"]["month"] == "202601"]
    assert sum(one["lines"] for one in answer) == len(mine)
    for currency in ("USD", "EUR"):
        told = [one for one in answer if one["billingcurrency"] == currency]
        lines = [row for row in mine if row["currency"] == currency]
        assert added(told, "contractedcost") == sum(exact(row["cost"]) for row in lines)
        assert added(told, "promotions") == sum(total(row, "PROMOTION") for row in lines)
        assert added(told, "free_tier") == sum(total(row, "FREE_TIER") for row in lines)
        given_ = added(told, "discounts") + added(told, "promotions") + added(told, "free_tier")
        assert given_ == sum(total(row) for row in lines)
        assert added(told, "consumedquantity") == sum(exact(row["usage"]["amount"]) for row in lines)
    assert {(one["day"], one["x_costtype"]) for one in answer} == {
        (row["usage_start_time"].date(), row["cost_type"]) for row in mine
    }


def added(answer: list[Row], name: str) -> Decimal:
    return sum((one[name] or Decimal(0) for one in answer), Decimal(0))


@quickly
@given(rows=usage_rows())
def test_the_reading_counts_what_the_lines_come_to(engine: Engine, rows: list[Row]) -> None:
    engine.fill("usage_export", rows)
    reading = engine.ask(DETAILED.reading(), WIDE)
    for month in MONTHS:
        counted = [one for one in reading if one["month"] == month]
        lines = engine.ask(DETAILED.lines(), {"month": month, **SPAN})
        assert sum(one["lines"] for one in counted) == sum(one["lines"] for one in lines)
        net = sum(added(lines, name) for name in ("contractedcost", "discounts", "promotions", "free_tier"))
        assert added(counted, "cost") + added(counted, "credits") == net


@quickly
@given(rows=usage_rows())
def test_the_simulated_bigquery_answers_as_the_engine_does(engine: Engine, rows: list[Row]) -> None:
    engine.fill("usage_export", rows)
    schema = dict(USAGE)
    for statement, parameters in (
        (DETAILED.lines(), {"month": "202601", **SPAN}),
        (DETAILED.reading(), WIDE),
    ):
        expected = plain(engine.ask(statement, parameters))
        assert plain(simulated(DETAILED, schema, statement, rows, parameters)) == expected


@pytest.mark.parametrize("name", ["cost", "service.id", "c.amount", "c.name"])
def test_the_simulated_bigquery_knows_no_other_column(name: str) -> None:
    statement = re.sub(rf"\b{re.escape(name)}\b", f"{name}_x", DETAILED.lines())
    with pytest.raises(UnsupportedQuery, match=f"Unrecognized name: {name}_x"):
        AggregateQuery.parse(statement, ["_PARTITIONTIME", *paths(dict(USAGE))])


@quickly
@given(rows=usage_rows())
def test_line_items_come_to_costs_and_all_credits(engine: Engine, rows: list[Row]) -> None:
    """Discounts within the usage, what is given beside it: the sum is the invoice's either way."""
    cells = [
        ResultRow(list(row.values()), {name: place for place, name in enumerate(row)}, "lines")
        for row in named(simulated(DETAILED, dict(USAGE), DETAILED.lines(), rows, {"month": "202601", **SPAN}))
    ]
    made = BillingRows(DETAILED, JANUARY, None, is_estimated=False)
    items = [item.values for one in cells for item in made.of(one)]
    mine = [row for row in rows if row["invoice"]["month"] == "202601"]
    billed = sum((item["BilledCost"] for item in items), Decimal(0))
    assert billed == sum(exact(row["cost"]) + total(row) for row in mine)
    credits_ = [item for item in items if item["ChargeCategory"] == "Credit"]
    given_ = sum(total(row, "PROMOTION", "FREE_TIER") for row in mine)
    assert sum((item["BilledCost"] for item in credits_), Decimal(0)) == given_
    assert made.exported_lines == len(mine)


def named(answer: list[Row]) -> list[Row]:
    names = {name.lower(): name for name in [*DETAILED.names(), "day", "lines"]}
    return [{names[name]: value for name, value in row.items()} for row in answer]


def test_only_loading_days_limit_what_is_read(engine: Engine) -> None:
    row = {
        **{name: _nothing(kind) for name, kind in USAGE.items()},
        "usage_start_time": NEW_YEAR, "usage_end_time": NEW_YEAR, "export_time": NEW_YEAR, "cost": 1.0, "currency": "USD",
        "invoice": {"month": "202601", "publisher_type": None}, "cost_type": "regular",
    }  # fmt: skip
    days = [NEW_YEAR + timedelta(days=number) for number in (0, 10, 20)]
    engine.fill("usage_export", [{**row, "_PARTITIONTIME": day} for day in days])
    window = {"first": days[0], "last": days[1]}
    assert [one["lines"] for one in engine.ask(DETAILED.lines(), {"month": "202601", **window})] == [2]
    parts = engine.ask(DETAILED.reading(), {"oldest": "202601", "first": days[1]})
    assert sorted(one["part"] for one in parts) == days[1:]
    engine.fill(
        "usage_export",
        [{**row, "_PARTITIONTIME": days[0], "invoice": {"month": None, "publisher_type": None}}],
    )
    assert [one["month"] for one in engine.ask(DETAILED.reading(), {"oldest": "202601", "first": days[0]})] == [None]


def test_a_focus_export_is_added_up_by_day_with_its_credits_apart(engine: Engine) -> None:
    start = datetime(2026, 1, 1, 8, tzinfo=UTC)  # midnight in California
    row = {
        **{name: _nothing(kind) for name, kind in FOCUS.items()},
        "_PARTITIONTIME": NEW_YEAR, "BillingAccountId": "A-1", "BillingCurrency": "USD", "ChargeCategory": "Usage",
        "BillingPeriodStart": start, "ChargePeriodStart": start, "ChargePeriodEnd": start + timedelta(hours=1),
        "x_ExportTime": NEW_YEAR, "BilledCost": "0.75", "ContractedCost": "1", "EffectiveCost": "0.75", "ListCost": "1",
        "x_Credits": [
            {"Name": "a", "Amount": "-0.20", "FullName": None, "Id": None, "Type": None},
            {"Name": "b", "Amount": "-0.05", "FullName": None, "Id": None, "Type": None},
        ],
        "x_Labels": [{"Key": "team", "Value": "shop"}, {"Key": "env", "Value": "live"}],
    }  # fmt: skip
    other = {**row, "BillingPeriodStart": start + timedelta(days=31)}
    engine.fill("focus_export", [row, row, other])
    (one,) = engine.ask(OF_FOCUS.lines(), {"month": "202601", **SPAN})
    assert OF_FOCUS.export is ExportKind.FOCUS
    assert (one["lines"], one["billedcost"], one["contractedcost"]) == (2, Decimal("1.5"), 2)
    assert one["credits"] == Decimal("-0.5")
    reading = engine.ask(OF_FOCUS.reading(), {"oldest": "202601", "first": NEW_YEAR})
    assert {(part["month"], part["lines"], part["cost"]) for part in reading} == {
        ("202601", 2, Decimal("1.5")),
        ("202602", 1, Decimal("0.75")),
    }
