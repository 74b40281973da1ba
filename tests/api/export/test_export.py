"""/export gives what Python computes from the same charges, exactly, as CSV and as Parquet; and is asked as GraphQL is."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import product
from pathlib import Path
from typing import Any

import charges
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from charges import Charge, Held, slice_of, text
from exporting import PERIOD, Parameters, ask, collected, csv_rows, parquet_rows, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.utils.str_converters import to_camel_case
from world import Customer, World

from optiinfra_api.export.arguments import ACCEPTED
from optiinfra_api.fields.costs.arguments import CostFilter
from optiinfra_assets.domain import focus
from optiinfra_assets.domain.accounts import BillingPeriod
from tests.focus_samples import columns, random_rows, row, write_parquet

FIRST, DAYS = date(2026, 8, 20), 80
CHOICES: dict[str, list[str]] = {
    "provider": ["aws", "gcp"],
    "service": ["Compute", "Storage", ""],
    "region": ["eu", "us", ""],
    "subAccount": ["a", ""],
    "chargeCategory": ["Usage", "Credit"],
    "currency": ["USD", "EUR"],
    "serviceProvider": ["Amazon", ""],
    "serviceCategory": ["Compute", ""],
    "invoice": ["invoice-1", ""],
    "billingPeriod": ["2026-08", "2026-09"],
    "sku": ["sku-1", ""],
    "pricingCategory": ["Standard", ""],
    "commitment": ["plan-1", ""],
}


def _charge(dice: random.Random, period: BillingPeriod) -> Charge:
    price = Decimal(dice.randrange(-(10**17), 10**17)).scaleb(-dice.randrange(18))
    return Charge(
        day=period.start.date() + timedelta(days=dice.randrange(-5, 28)),
        billed=price,
        effective=price / 2,
        list_=dice.choice([None, price * 2]),
        contracted=dice.choice([None, price]),
        currency=dice.choice(CHOICES["currency"]),
        service=dice.choice(CHOICES["service"]),
        region=dice.choice(["eu", "us", None]),
        sub_account=dice.choice(["a", None]),
        category=dice.choice(CHOICES["chargeCategory"]),
        class_=dice.choice([None, "Correction"]),
        frequency=dice.choice([None, "Recurring"]),
        resource=dice.choice([None, *(f"resource-{number}" for number in range(8))]),
        tags={"team": team} if (team := dice.choice(["red", 'b"l,u\ne', "", None])) is not None else {},
        pricing=dice.choice([None, "Standard"]),
        service_provider=dice.choice(CHOICES["serviceProvider"]),
        service_category=dice.choice(CHOICES["serviceCategory"]),
        invoice=dice.choice([None, "invoice-1"]),
        sku=dice.choice([None, "sku-1"]),
        commitment=dice.choice([None, "plan-1"]),
    )


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """Three months of two accounts, one restated."""
    dice = random.Random(20261125)  # noqa: S311 - repeatable data, not a secret
    customer = world.customer()
    slices = [
        slice_of(customer.customer_id, account, BillingPeriod(2026, month), provider)
        for account, provider in (("one", "aws"), ("two", "gcp"))
        for month in (8, 9, 10)
    ]
    for part in ([one for one in slices if one.billing_period.month == 9], slices):
        customer.publish_all({one: [_charge(dice, one.billing_period) for _ in range(40)] for one in part})
    return customer


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        **{
            name: st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)
            for name, values in CHOICES.items()
        },
        "tagValue": st.lists(st.sampled_from(["red", 'b"l,u\ne', "", '""']), min_size=1, max_size=2, unique=True),
    },
)
_READ: dict[str, Callable[[Held], str]] = {
    "provider": lambda one: one.slice.provider,
    "service": lambda one: one.charge.service,
    "region": lambda one: one.charge.region or "",
    "subAccount": lambda one: one.charge.sub_account or "",
    "chargeCategory": lambda one: one.charge.category,
    "currency": lambda one: one.charge.currency,
    "account": lambda one: one.slice.account_id,
    **{
        name: lambda one, read=read: read(one) or ""
        for name, read in charges.DIMENSIONS.values()
        if name not in ("provider", "account", "service", "region", "subAccount", "chargeCategory")
    },
    "tagValue": lambda one: {None: "", "": '""'}.get(one.charge.tags.get("team"), one.charge.tags.get("team")),
}


def _sums(held: list[Held], basis: str, key: Callable[[Held], tuple[str, ...]]) -> dict[tuple[str, ...], Any]:
    """cost, line items and unpriced ones by key, in Python."""
    groups = defaultdict(list)
    for one in held:
        groups[key(one)].append(getattr(one.charge, charges.BASES[basis]))
    with localcontext(prec=100):
        return {
            group: (
                text(sum((one or Decimal(0) for one in prices), Decimal(0))),
                str(len(prices)),
                str(prices.count(None)),
            )
            for group, prices in groups.items()
        }


def _found(exported: list[dict[str, str]], *names: str) -> dict[tuple[str, ...], Any]:
    found = {
        tuple(row[name] for name in names): (row["cost"], row["line_items"], row["unpriced_line_items"])
        for row in exported
    }
    assert len(found) == len(exported)
    return found


@settings(max_examples=5)
@given(
    at=st.tuples(st.integers(0, DAYS), st.integers(1, DAYS)),
    chosen=FILTERS,
    basis=st.sampled_from(list(charges.BASES)),
    granularity=st.sampled_from(list(charges.BUCKETS)),
    groups=st.lists(st.sampled_from(list(charges.DIMENSIONS)), unique=True, max_size=4),
    by_tag=st.booleans(),
)
def test_every_export_is_what_python_computes(
    customer: Customer,
    at: tuple[int, int],
    chosen: dict[str, list[str]],
    basis: str,
    granularity: str,
    groups: list[str],
    by_tag: bool,
) -> None:
    start, end = FIRST + timedelta(at[0]), FIRST + timedelta(sum(at))
    filters: Parameters = [("start", str(start)), ("end", str(end))]
    filters += [(name, value) for name, values in chosen.items() for value in values]
    filters += [("tagKey", "team")] if "tagValue" in chosen else []
    asked = [*filters, ("costBasis", basis)]
    held = [
        one
        for one in customer.held
        if start <= one.charge.day < end and all(_READ[name](one) in values for name, values in chosen.items())
    ]

    assert _found(rows(customer, "total", asked), "currency") == _sums(held, basis, lambda one: (one.charge.currency,))
    kinds = ("charge_category", "charge_class", "charge_frequency", "pricing_category", "currency")
    assert _found(rows(customer, "by-type", asked), *kinds) == _sums(
        held,
        basis,
        lambda one: (
            one.charge.category,
            one.charge.class_ or "",
            one.charge.frequency or "",
            one.charge.pricing or "",
            one.charge.currency,
        ),
    )
    resources = rows(customer, "by-resource", asked)
    assert _found(resources, "account", "resource_id", "currency") == _sums(
        held, basis, lambda one: (one.slice.account_id, one.charge.resource or "", one.charge.currency)
    )
    assert all(
        row["resource_name"] == (f"Name of {row['resource_id']}" if row["resource_id"] else "") for row in resources
    )
    trends = [*asked, ("granularity", granularity)]
    trends += [("groupBy", name) for name in groups]
    read = [_READ[_camel(name)] for name in groups]
    columns = [name.lower() for name in groups]
    if by_tag:
        trends.append(("groupByTag", "team"))
        read.append(_READ["tagValue"])
        columns.append("tag")
    bucket = charges.BUCKETS[granularity]
    assert _found(rows(customer, "trends", trends), "date", "currency", *columns) == _sums(
        held,
        basis,
        lambda one: (str(bucket(one.charge.day)), one.charge.currency, *(each(one) for each in read)),
    )
    exported = sorted(
        (row["account"], row["billed_cost"], row["resource_id"]) for row in rows(customer, "line-items", filters)
    )
    assert exported == sorted(
        (one.slice.account_id, text(one.charge.billed), one.charge.resource or "") for one in held
    )


def _camel(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(one.capitalize() for one in rest)


def test_line_items_have_every_column_and_typed_money(customer: Customer) -> None:
    response = ask(customer.world, customer.token, "line-items.parquet")
    table = pq.read_table(io.BytesIO(response.content))
    ours = [column.snake for column in focus.COLUMNS if column.until is None]
    known = ["provider", "account", "billing_period", "generation", "line_number", "source", "is_estimated"]
    assert table.column_names == [*known, *ours, "x_columns"]
    for column in focus.COLUMNS:
        if column.until is None and column.kind is focus.ColumnType.DECIMAL:
            assert table.schema.field(column.snake).type == pa.decimal128(38, 18)
        if column.until is None and column.kind is focus.ColumnType.TIME:
            assert table.schema.field(column.snake).type == pa.timestamp("ms", tz="UTC")


def test_line_items_come_in_the_same_order_each_time(customer: Customer) -> None:
    first, second = (ask(customer.world, customer.token, "line-items.csv").content for _ in range(2))
    assert first == second
    exported = csv_rows(first)
    keys = [(int(one["generation"]), one["charge_period_start"], one["service_name"]) for one in exported]
    assert keys == sorted(keys)


def test_latest_has_the_newest_days_of_each_account_and_currency(customer: Customer) -> None:
    found = rows(customer, "latest", [("days", "2"), ("currency", "USD")])
    for account in ("one", "two"):
        account_id = f"{customer.customer_id}.{account}"
        held = [one for one in customer.held if one.slice.account_id == account_id and one.charge.currency == "USD"]
        newest = sorted({one.charge.day for one in held}, reverse=True)[:2]
        assert [row["date"] for row in found if row["account"] == account_id] == [str(day) for day in newest]
        sums = _sums([one for one in held if one.charge.day in newest], "BILLED", lambda one: (str(one.charge.day),))
        assert _found([row for row in found if row["account"] == account_id], "date") == sums


@pytest.mark.parametrize(
    "key", ["", "a'b", 'a"b', "a\\b", "sp ace", "semi;colon", "pct%25", "brace{}", "unié", "kubernetes.io/name"]
)
def test_every_key_of_a_tag_can_be_asked_for(world: World, key: str) -> None:
    customer = world.customer()
    lines = [
        Charge(date(2026, 10, 5), Decimal(1), tags={key: "x", "other": "y"}),
        Charge(date(2026, 10, 6), Decimal(2), tags={"other": "x"}),
    ]
    customer.publish(slice_of(customer.customer_id, "main", BillingPeriod(2026, 10)), lines)
    (one,) = rows(customer, "total", [*PERIOD, ("tagKey", key), ("tagValue", "x")])
    assert one["cost"] == "1"
    grouped = rows(customer, "trends", [*PERIOD, ("groupByTag", key), ("granularity", "MONTHLY")])
    assert sorted((one["tag"], one["cost"]) for one in grouped) == [("", "2"), ("x", "1")]
    question = """query($key: String!) { costTrends(period: {start: "2026-10-01", end: "2026-11-01"}, granularity: MONTHLY,
        groupByTag: $key, filter: {tag: {key: $key, values: ["x", null]}}) { series { tag amounts } } }"""
    series = customer.data(question, key=key)["costTrends"]["series"]
    assert series == [{"tag": None, "amounts": ["2"]}, {"tag": "x", "amounts": ["1"]}]


def test_charges_without_a_tag_and_with_an_empty_one_are_two_things(world: World) -> None:
    customer = world.customer()
    charges_ = [
        Charge(date(2026, 10, 5), Decimal(number), tags=tags)
        for number, tags in enumerate([{}, {"env": None}, {"env": ""}, {"env": "prod"}], start=1)
    ]
    customer.publish(slice_of(customer.customer_id, "main", BillingPeriod(2026, 10)), charges_)
    cases = (("", "3"), ('""', "3"), ("prod", "4"))
    for asked, cost in cases:
        total = csv_rows(
            ask(world, customer.token, "total.csv", [*PERIOD, ("tagKey", "env"), ("tagValue", asked)]).content
        )
        assert [one["cost"] for one in total] == [cost], asked
    shown = ask(world, customer.token, "trends.csv", [*PERIOD, ("groupByTag", "env"), ("granularity", "MONTHLY")]).text
    tags = [line.split(",")[7] for line in shown.splitlines()[1:]]
    assert sorted(tags) == ["", '""', '"prod"']


def test_several_tags_in_any_case_are_filtered_and_grouped_as_in_queries(world: World) -> None:
    customer = world.customer()
    tagged: list[dict[str, str | None]] = [
        {"team": "web", "env": "prod"},
        {"TEAM": "web", "env": ""},
        {"Env": "prod"},
        {},
    ]
    lines = [Charge(date(2026, 10, 5), Decimal(10**number), tags=tags) for number, tags in enumerate(tagged)]
    customer.publish(slice_of(customer.customer_id, "main", BillingPeriod(2026, 10)), lines)
    total = """query($tags: [TagFilter!]) {
      totalCost(period: {start: "2026-10-01", end: "2026-11-01"}, filter: {tags: $tags}) { totals { cost { amount } } } }"""
    trends = """query($names: [String!], $ignore: Boolean!) { costTrends(period: {start: "2026-10-01", end: "2026-11-01"},
      granularity: MONTHLY, groupByTags: $names, ignoreTagCase: $ignore) { series { tags amounts } } }"""
    found = set()
    for team, env, ignores in product((["web"], ["web", None]), (["prod"], ["", "prod"], [None]), (False, True)):
        filters: Parameters = [*PERIOD, ("ignoreTagCase", str(ignores).lower())]
        asked = {"team": team, "env": env}
        for name, accepted in asked.items():
            texts = [{None: "", "": '""'}.get(one, one) for one in accepted]
            filters += [("tag", f"{name}={one}") for one in texts]
        tags = [{"key": name, "values": accepted, "ignoreCase": ignores} for name, accepted in asked.items()]
        queried = [one["cost"]["amount"] for one in customer.data(total, tags=tags)["totalCost"]["totals"]]
        for what in ("total", "by-resource", "by-type", "trends"):
            assert [row["cost"] for row in rows(customer, what, filters)] == queried, (what, asked, ignores)
        found.add(tuple(queried))
    assert found >= {(one,) for one in ("1", "11", "101", "111", "1100", "1000")}, "these tell line items apart"
    for names, ignores in product((["team"], ["env", "team"]), (False, True)):
        groups: Parameters = [*PERIOD, ("granularity", "MONTHLY"), ("ignoreTagCase", str(ignores).lower())]
        exported = rows(customer, "trends", [*groups, *(("groupByTag", name) for name in names)])
        series = customer.data(trends, names=names, ignore=ignores)["costTrends"]["series"]
        values = [
            one["tags"] if len(names) == 1 else [json.dumps(dict(zip(names, one["tags"], strict=True)))]
            for one in series
        ]
        shown = [json.dumps(json.loads(row["tag"])) if len(names) > 1 else row["tag"] for row in exported]
        assert sorted(zip(shown, (row["cost"] for row in exported), strict=True)) == sorted(
            (one or "", *amounts["amounts"]) for (one,), amounts in zip(values, series, strict=True)
        )


def test_each_filter_of_queries_is_one_of_exports() -> None:
    filters = {to_camel_case(one.name) for one in fields(CostFilter)} - {"tag", "tags"}
    for what in ("line-items", "focus", "trends", "by-resource", "by-type", "total"):
        assert filters | {"tagKey", "tagValue", "tag", "ignoreTagCase"} <= ACCEPTED[what], what


RUN = "=cmd|' /C calc'!A0"


@pytest.mark.parametrize("text_", [RUN, "@SUM(1)", "+1", "-1", "\t=1", "'=1", "''-"])
def test_csv_for_people_has_no_text_that_a_spreadsheet_runs(world: World, text_: str) -> None:
    customer = world.customer()
    charge = Charge(date(2026, 10, 5), Decimal(-1), service=text_, region=text_, resource="r", tags={"team": text_})
    customer.publish(slice_of(customer.customer_id, "main", BillingPeriod(2026, 10)), [charge])
    for what, more in (
        ("line-items", []),
        ("trends", [("groupBy", "SERVICE"), ("groupBy", "REGION"), ("groupByTag", "team")]),
        ("by-resource", []),
    ):
        (one,) = csv_rows(ask(world, customer.token, f"{what}.csv", [*PERIOD, *more]).content)
        cells = {name: value for name, value in one.items() if value[:1] in tuple("=+-@\t\r")}
        assert cells.keys() <= {"cost", "billed_cost", "effective_cost"}, what
    (one,) = csv_rows(ask(world, customer.token, "line-items.csv", [*PERIOD, ("focus", "1.4")]).content)
    assert (one["ServiceName"], one["RegionId"]) == (text_, text_)
    (typed,) = parquet_rows(ask(world, customer.token, "line-items.parquet", PERIOD).content)
    assert (typed["service_name"], typed["region_id"]) == (text_, text_)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_download_in_our_own_columns_is_read_back_as_the_same_line_items(
    world: World, tmp_path: Path, form: str
) -> None:
    month = BillingPeriod(2024, 9)
    given = [
        *random_rows(40, 8),
        row(ResourceName=RUN, ChargeDescription="'=1", RegionId="-eu", Tags='{"=a": "=b", "c": null}', x_Own="=1"),
        row(ListCost=None, ServiceName="", Tags='{"a,b": "x\\"y\\n"}', x_Own='"quoted", twice', Other="o"),
    ]
    write_parquet(tmp_path / "given" / "rows.parquet", given, [*columns("1.2"), "x_Own", "Other"])
    customer, again = world.customer(), world.customer()
    first = collected(world, customer, tmp_path / "given", month)
    period = [("start", "2024-09-01"), ("end", "2024-10-01")]
    (tmp_path / "exported").mkdir()
    content = ask(world, customer.token, f"line-items.{form}", period).content
    (tmp_path / "exported" / f"rows.{form}").write_bytes(content)
    assert collected(world, again, tmp_path / "exported", month) == first


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("version", sorted(focus.BY_TEXT))
def test_a_focus_export_is_read_back_as_the_same_line_items(
    world: World, tmp_path: Path, version: str, form: str
) -> None:
    """Each version has its own columns, in order; what is in none of them is in columns of its own."""
    month = BillingPeriod(2024, 9)
    given = [
        *random_rows(40, 7, x_Own="=own", x_Quoted=None),
        row(ListCost=None, Tags='{"a,b": "x\\"y\\n"}', ChargeDescription='"quoted", twice', x_Own="", x_Quoted="a\nb"),
        row(ServiceName="", SkuPriceDetails='{"a": 1.50}', x_Own=None, x_Quoted='"'),
    ]
    odd = {"x_it's `{a:b}` \\ ü.z": pa.array([None] * 41 + ["odd"]), "x_\ttab": pa.array(["1"] * 42)}
    own = ["x_Own", "x_Quoted"]
    write_parquet(tmp_path / "given" / "rows.parquet", given, [*columns(version), *own], **odd)
    customer, again = world.customer(), world.customer()
    hashes = [collected(world, customer, tmp_path / "given", month)]
    period = [("start", "2024-09-01"), ("end", "2024-10-01"), ("version", version)]
    plain = [ask(world, customer.token, name, [*period, *more]) for name, more in _both_ways("focus", form)]
    assert plain[0].content == plain[1].content
    found = _read(form, plain[0])
    assert len(found) == len(given)
    assert list(found[0]) == columns(version)
    wide = [ask(world, customer.token, f"focus.{form}", [*period, ("xColumns", "true")]) for _ in range(2)]
    assert wide[0].content == wide[1].content
    assert list(_read(form, wide[0])[0]) == [*columns(version), *sorted([*own, *odd])]
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / f"rows.{form}").write_bytes(wide[0].content)
    hashes.append(collected(world, again, tmp_path / "exported", month))
    assert hashes[0] == hashes[1]


def _both_ways(what: str, form: str) -> list[tuple[str, Parameters]]:
    return [(f"{what}.{form}", []), (what, [("format", form)])]


def _read(form: str, response: httpx.Response) -> list[dict[str, Any]]:
    return csv_rows(response.content) if form == "csv" else parquet_rows(response.content)


@pytest.mark.parametrize("what", sorted(ACCEPTED))
def test_nothing_there_is_a_file_without_rows(customer: Customer, what: str) -> None:
    nobody = customer.world.customer()
    period = [] if what in ("latest", "forecast") else [("start", "2020-01-01"), ("end", "2020-02-01")]
    for asking, known in ((nobody, period), (customer, [*period, ("currency", "XXX")])):
        written = ask(asking.world, asking.token, f"{what}.csv", known)
        assert written.status_code == 200, written.text
        assert written.content.count(b"\n") == 1
        assert b"currency" in written.content.lower()
        table = pq.read_table(io.BytesIO(ask(asking.world, asking.token, f"{what}.parquet", known).content))
        assert table.num_rows == 0
        assert table.column_names == written.text.strip().replace('"', "").split(",")


def test_the_answer_says_what_it_is_and_how_far_it_reaches(world: World) -> None:
    customer = world.customer()
    slice_ = slice_of(customer.customer_id, "main", BillingPeriod(2026, 10))
    published = datetime(2026, 11, 2, 6, tzinfo=UTC)
    customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(7))], published_at=published, is_final=True)
    csv_answer = ask(world, customer.token, "total.csv")
    parquet_answer = ask(world, customer.token, "total.parquet")
    name = f"total-{customer.customer_id}-2026-10-01-2026-11-01"
    for answer, ending, kind in (
        (csv_answer, "csv", "text/csv; charset=utf-8; header=present"),
        (parquet_answer, "parquet", "application/vnd.apache.parquet"),
    ):
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}.{ending}"'
        assert answer.headers["content-type"] == kind
        assert answer.headers["x-published-at"] == "2026-11-02T06:00:00+00:00"
        assert answer.headers["x-data-through"] == "2026-11-01T00:00:00+00:00"
        assert answer.headers["x-is-complete"] == "true"
        assert answer.headers["x-is-simulated"] == "false"
    assert csv_answer.text == '"currency","cost","line_items","unpriced_line_items"\n"USD",7,1,0\n'


def test_csv_is_compressed_for_who_accepts_it(customer: Customer) -> None:
    plain = ask(customer.world, customer.token, "line-items.csv")
    assert "content-encoding" not in plain.headers
    packed = ask(customer.world, customer.token, "line-items.csv", Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content  # httpx has unpacked it
    assert int(packed.num_bytes_downloaded) < len(plain.content) / 3
    parquet = ask(customer.world, customer.token, "line-items.parquet", Accept_Encoding="gzip")
    assert "content-encoding" not in parquet.headers
    assert gzip.compress(plain.content)[:2] == b"\x1f\x8b"


def test_an_export_is_not_read_again_until_something_is_published(world: World) -> None:
    customer = world.customer()
    slice_ = slice_of(customer.customer_id, "main", BillingPeriod(2026, 10))
    customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(7))])
    first = ask(world, customer.token, "total.csv")
    etag = first.headers["etag"]
    assert etag.startswith('W/"')
    world.warehouse.client.command("RENAME TABLE cost_trends TO hidden_table")
    try:
        for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
            again = ask(world, customer.token, "total.csv", If_None_Match=known)
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert ask(world, customer.token, "total.csv", If_None_Match='W/"other"').status_code == 500
        head = world.http.head(
            f"{world.url}/export/total.csv",
            params=PERIOD,
            headers={"Authorization": f"Bearer {customer.token}"},
        )
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", etag)
    finally:
        world.warehouse.client.command("RENAME TABLE hidden_table TO cost_trends")
    others = [
        ask(world, customer.token, "total.parquet"),
        ask(world, customer.token, "by-type.csv"),
        ask(world, customer.token, "total.csv", [*PERIOD, ("costBasis", "LIST")]),
        ask(world, customer.token, "total.csv", [*PERIOD, ("service", "x")]),
    ]
    assert len({etag, *(one.headers["etag"] for one in others)}) == 5
    customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(8))])
    changed = ask(world, customer.token, "total.csv", If_None_Match=etag)
    assert (changed.status_code, csv_rows(changed.content)[0]["cost"]) == (200, "8")


def test_as_of_gives_the_file_of_then(world: World) -> None:
    customer = world.customer()
    slice_ = slice_of(customer.customer_id, "main", BillingPeriod(2026, 10))
    then = datetime(2026, 11, 2, 6, tzinfo=UTC)
    customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(7))], published_at=then)
    before = ask(world, customer.token, "total.csv")
    customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(8))])
    at = ask(world, customer.token, "total.csv", [*PERIOD, ("asOf", "2026-11-03T00:00:00Z")])
    assert at.content == before.content
    assert at.headers["etag"] == before.headers["etag"]
    assert csv_rows(ask(world, customer.token, "total.csv").content)[0]["cost"] == "8"


def test_a_sum_that_no_decimal_holds_is_an_error_and_no_number(world: World) -> None:
    customer = world.customer()
    for account in ("one", "two"):
        slice_ = slice_of(customer.customer_id, account, BillingPeriod(2026, 10))
        customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(10) ** 20 - 1)])
    response = ask(world, customer.token, "total.csv")
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (500, "INTERNAL")


@pytest.mark.parametrize(
    ("name", "parameters", "status", "message"),
    [
        ("total.csv", [("end", "2026-11-01")], 400, "start: needed"),
        ("total.csv", [("start", "2026-10-01")], 400, "end: needed"),
        (
            "total.csv",
            [("start", "2026-13-01"), ("end", "2026-11-01")],
            400,
            "start: '2026-13-01' is not accepted",
        ),
        (
            "total.csv",
            [("start", "2026-11-01"), ("end", "2026-10-01")],
            400,
            "period: 2026-11-01 to 2026-10-01 is not accepted: it has no day",
        ),
        ("total.csv", [*PERIOD, ("start", "2026-10-02")], 400, "start: given 2 times"),
        (
            "total.csv",
            [*PERIOD, ("granularity", "DAILY")],
            400,
            "granularity: not a parameter of this export",
        ),
        ("total.csv", [*PERIOD, ("costBasis", "billed")], 400, "costBasis: 'billed' is not accepted"),
        (
            "total.csv",
            [*PERIOD, ("asOf", "2026-10-01T00:00:00")],
            400,
            "asOf: '2026-10-01T00:00:00' is not accepted",
        ),
        (
            "total.csv",
            [*PERIOD, ("asOf", "2096-10-01T00:00:00Z")],
            400,
            "asOf: 2096-10-01T00:00:00+00:00 has not come yet",
        ),
        (
            "total.csv",
            [*PERIOD, ("chargeCategory", "usage")],
            400,
            "filter.chargeCategory: 'usage' is not accepted",
        ),
        ("total.csv", [*PERIOD, ("tagKey", "team")], 400, "tagKey: goes with tagValue"),
        ("total.csv", [*PERIOD, ("tagValue", "web")], 400, "tagKey: goes with tagValue"),
        ("total.csv", [*PERIOD, ("tag", "team")], 400, "tag: 'team' is not accepted"),
        ("trends.csv", [*PERIOD, *[("groupByTag", str(one)) for one in range(21)]], 400, "groupByTag: given 21 times"),
        ("total.csv", [*PERIOD, ("service", "\0")], 400, "service: the character U+0000 is not accepted"),
        ("trends.csv", [*PERIOD, ("groupBy", "TAG")], 400, "groupBy: 'TAG' is not accepted"),
        ("line-items.csv", [*PERIOD, ("focus", "1.3")], 400, "focus: '1.3' is not accepted"),
        ("focus.csv", [*PERIOD, ("version", "1.5")], 400, "version: '1.5' is not accepted"),
        ("focus", [*PERIOD, ("format", "json")], 400, "format: 'json' is not accepted"),
        ("focus.csv", [*PERIOD, ("format", "parquet")], 400, "format: 'parquet' is not accepted"),
        ("focus.csv", [*PERIOD, ("xColumns", "yes")], 400, "xColumns: 'yes' is not accepted"),
        ("latest.csv", [("days", "0")], 400, "days: 0 is not accepted"),
        ("latest.csv", [("days", "1e1")], 400, "days: '1e1' is not accepted"),
        ("latest.csv", [("service", "x")], 400, "service: not a parameter of this export"),
        ("total.csv", [*PERIOD, ("customerId", "nobody")], 404, "customerId: 'nobody' does not exist"),
        (
            "total.json",
            PERIOD,
            404,
            "there is no such export: use anomalies, anomaly-causes, by-resource, by-type, focus, forecast, latest, line-items, total, "
            "trends, with .csv or .parquet",
        ),
        (
            "nothing.csv",
            PERIOD,
            404,
            "there is no such export: use anomalies, anomaly-causes, by-resource, by-type, focus, forecast, latest, line-items, total, "
            "trends, with .csv or .parquet",
        ),
    ],
)
def test_a_parameter_that_is_not_accepted_is_named(
    world: World, name: str, parameters: Parameters, status: int, message: str
) -> None:
    response = ask(world, world.customer().token, name, parameters)
    (error,) = response.json()["errors"]
    assert (response.status_code, error["message"]) == (status, message)
    assert error["extensions"]["code"] == ("INVALID_ARGUMENT" if status == 400 else "NOT_FOUND")


@pytest.mark.parametrize("what", sorted(ACCEPTED))
def test_no_export_leads_to_another_customer(world: World, customer: Customer, what: str) -> None:
    other = world.customer("admin")
    period = [] if what in ("latest", "forecast") else PERIOD
    for token in (None, "oi_wrong", other.token[:-1]):
        response = ask(world, token, f"{what}.csv", period)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    theirs = ask(world, other.token, f"{what}.csv", [*period, ("customerId", customer.customer_id)])
    nobodys = ask(world, other.token, f"{what}.csv", [*period, ("customerId", "nobody")])
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.text.replace(customer.customer_id, "nobody") == nobodys.text
    account = ask(world, other.token, f"{what}.csv", [*period, ("account", f"{customer.customer_id}.one")])
    assert (account.status_code, account.content.count(b"\n")) == (200, 1)
    etag = ask(world, customer.token, f"{what}.csv", period).headers["etag"]
    assert ask(world, other.token, f"{what}.csv", period, If_None_Match=etag).status_code == 200


def test_an_administrator_exports_of_any_customer_by_name(world: World, customer: Customer) -> None:
    admin = world.metadata.tokens.issue("root", None, "admin").plaintext
    assert ask(world, admin, "total.csv").json()["errors"][0]["message"].startswith("customerId: needed")
    theirs = ask(world, admin, "total.csv", [*PERIOD, ("customerId", customer.customer_id)])
    assert theirs.content == ask(world, customer.token, "total.csv").content


@pytest.mark.parametrize(
    ("given_", "remedy"),
    [
        ("yesterday", "Use a form such as 2026-11-30T12:00:00Z."),
        ("0001-01-20T00:00:00Z", "Use an instant from 1900-01-01T00:00:00Z on."),
    ],
)
def test_a_remedy_can_be_copied(customer: Customer, given_: str, remedy: str) -> None:
    response = ask(customer.world, customer.token, "total.csv", [*PERIOD, ("asOf", given_)])
    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["extensions"]["remedy"] == remedy
