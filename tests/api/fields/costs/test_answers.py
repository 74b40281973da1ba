"""Each query's whole answer, against the same computed in Python from the charges that were published."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import charges
import documents
import pytest
from charges import Charge, Groups, slice_of
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.focus import COLUMNS, ColumnType

OCTOBER, NOVEMBER = BillingPeriod(2026, 10), BillingPeriod(2026, 11)
AUTUMN = {"start": "2026-10-01", "end": "2026-12-01"}
D = Decimal


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """Two accounts, two months, two currencies, credits, absent prices, resources in a month and across its end."""
    customer = world.customer()
    aws = slice_of(customer.customer_id, "aws", OCTOBER, "aws")
    focus = slice_of(customer.customer_id, "files", NOVEMBER)
    customer.publish(
        aws,
        [
            Charge(
                date(2026, 10, 1),
                D("10.5"),
                D("9"),
                D("12"),
                None,
                service="Compute",
                resource="vm-1",
                region="eu",
            ),
            Charge(
                date(2026, 10, 2),
                D("0.000000000000000001"),
                D(0),
                None,
                D(1),
                service="Storage",
                resource="disk-1",
            ),
            Charge(date(2026, 10, 2), D("-3.25"), D("-3"), None, None, category="Credit", service=""),
            Charge(
                date(2026, 10, 31),
                D("7"),
                D(7),
                D(8),
                D("7.5"),
                currency="EUR",
                resource="vm-1",
                sub_account="team-a",
            ),
            Charge(date(2026, 11, 1), D("2"), D(2), D(2), D(2), category="Tax", class_="Correction", service=""),
        ],
        data_through=datetime(2026, 11, 2, tzinfo=UTC),
        is_simulated=True,
    )
    customer.publish(
        focus,
        [
            Charge(
                date(2026, 11, 20),
                D("123456789.123456789"),
                D("0.1"),
                D("0.2"),
                D("0.3"),
                resource="vm-1",
                tags={"team": "red"},
                frequency="Usage-Based",
                pricing="Standard",
            ),
            Charge(date(2026, 11, 21), D("0.1"), D("0.2"), tags={"team": None, "env": "prod"}),
        ],
        data_through=datetime(2026, 11, 22, tzinfo=UTC),
    )
    return customer


def _reach(customer: Customer, **changes: Any) -> dict[str, Any]:
    published = max(one.published_at for one in customer.world.warehouse.resolve(customer.customer_id).publications)
    reach = {"dataThrough": "2026-11-02T00:00:00Z", "isComplete": False, "isSimulated": True}
    return {**reach, "publishedAt": published.isoformat().replace("+00:00", "Z"), **changes}


@pytest.mark.parametrize("basis", charges.BASES)
def test_total_cost_is_exact_in_each_currency(customer: Customer, basis: str) -> None:
    data = customer.data(documents.TOTAL, period=AUTUMN, costBasis=basis)
    expected = charges.total(customer.held, basis)
    assert data == {"totalCost": {"totals": expected, **_reach(customer)}}
    assert [one["cost"]["currency"] for one in expected] == ["EUR", "USD"]


def test_the_total_has_every_digit(customer: Customer) -> None:
    data = customer.data(documents.TOTAL, period=AUTUMN, filter={"currency": ["USD"]})
    (usd,) = data["totalCost"]["totals"]
    assert usd["cost"]["amount"] == "123456798.473456789000000001"


@pytest.mark.parametrize("granularity", charges.BUCKETS)
@pytest.mark.parametrize(
    ("group_by", "tag"),
    [
        ([], None),
        (["PROVIDER"], None),
        (["ACCOUNT", "SERVICE"], None),
        (["REGION", "SUB_ACCOUNT"], None),
        (["CHARGE_CATEGORY"], None),
        (["SERVICE"], "team"),
        (["BILLING_PERIOD"], None),
        (["BILLING_PERIOD", "SERVICE"], None),
        (["BILLING_PERIOD", "PRICING_CATEGORY"], None),
        (["BILLING_PERIOD", "REGION"], None),
        (list(charges.DIMENSIONS), "env"),
    ],
)
def test_trends_are_series_by_group(customer: Customer, granularity: str, group_by: list[str], tag: str | None) -> None:
    data = customer.data(documents.TRENDS, period=AUTUMN, granularity=granularity, groupBy=group_by, groupByTag=tag)
    expected = charges.trends(customer.held, "BILLED", granularity, Groups(group_by, tag))
    assert data == {"costTrends": {"series": expected, "other": [], **_reach(customer)}}


def test_costs_by_type(customer: Customer) -> None:
    data = customer.data(documents.TYPES, period=AUTUMN, costBasis="LIST")
    expected = charges.by_type(customer.held, "LIST")
    assert data == {"costsByType": {"types": expected, **_reach(customer)}}


@pytest.mark.parametrize(
    "period",
    [AUTUMN, {"start": "2026-10-02", "end": "2026-11-21"}, {"start": "2026-10-31", "end": "2026-11-02"}],
    ids=["whole months", "parts of months", "over the end of a month"],
)
def test_costs_by_resource(customer: Customer, period: dict[str, str]) -> None:
    data = customer.data(documents.RESOURCES, period=period, first=100)["costsByResource"]
    held = [
        one
        for one in customer.held
        if date.fromisoformat(period["start"]) <= one.charge.day < date.fromisoformat(period["end"])
    ]
    assert data["nodes"] == charges.by_resource(held, "BILLED")
    assert not data["pageInfo"]["hasNextPage"]


def test_resources_are_described_by_their_newest_month(customer: Customer) -> None:
    document = """query($period: Period!) { costsByResource(period: $period, first: 9, filter: {currency: ["EUR"]}) {
        nodes { resourceId name type services regions subAccounts } } }"""
    (node,) = customer.data(document, period=AUTUMN)["costsByResource"]["nodes"]
    assert node == {
        "resourceId": "vm-1",
        "name": "Name of vm-1",
        "type": "Machine",
        "services": ["Compute"],
        "regions": ["eu"],
        "subAccounts": ["team-a"],
    }


def test_of_several_names_and_types_of_a_resource_the_alphabetically_last_is_shown(world: World) -> None:
    """Each service names it in its own way, one of them not at all: the answer is the same whatever is read first."""
    customer = world.customer()
    charge = Charge(date(2026, 10, 1), D(1), resource="vm-1", name="web", type_="Disk")
    others = [
        replace(charge, service="Storage", name="web-2", type_="Machine"),
        replace(charge, service="Backup", name="vm", type_=""),
    ]
    customer.publish(slice_of(customer.customer_id, "aws", OCTOBER, "aws"), [charge, *others])
    document = "query($period: Period!) { costsByResource(period: $period, first: 9) { nodes { name type services } } }"
    assert customer.data(document, period=AUTUMN)["costsByResource"]["nodes"] == [
        {"name": "web-2", "type": "Machine", "services": ["Backup", "Compute", "Storage"]}
    ]


def test_charges_without_a_resource_are_one_row_of_nothing_known(customer: Customer) -> None:
    document = """query($period: Period!) { costsByResource(period: $period, first: 9, filter: {chargeCategory: ["Credit"]}) {
        nodes { resourceId name type services regions subAccounts cost { amount } } } }"""
    (node,) = customer.data(document, period=AUTUMN)["costsByResource"]["nodes"]
    assert node == {
        "resourceId": None,
        "name": None,
        "type": None,
        "services": [],
        "regions": [],
        "subAccounts": [],
        "cost": {"amount": "-3.25"},
    }


def test_latest_costs_are_the_newest_days_with_charges(customer: Customer) -> None:
    document = f"""{{ latestCosts(days: 2) {{
        accounts {{ provider account currency dates amounts dataThrough {documents.SUM} }} {documents.REACH} }} }}"""
    data = customer.data(document)["latestCosts"]
    aws, focus = f"{customer.customer_id}.aws", f"{customer.customer_id}.files"
    assert [
        (one["provider"], one["account"], one["currency"], one["dates"], one["amounts"], one["dataThrough"])
        for one in data["accounts"]
    ] == [
        ("aws", aws, "EUR", ["2026-10-31"], ["7"], "2026-11-02T00:00:00Z"),
        (
            "aws",
            aws,
            "USD",
            ["2026-10-02", "2026-11-01"],
            ["-3.249999999999999999", "2"],
            "2026-11-02T00:00:00Z",
        ),
        (
            "focus",
            focus,
            "USD",
            ["2026-11-20", "2026-11-21"],
            ["123456789.123456789", "0.1"],
            "2026-11-22T00:00:00Z",
        ),
    ]
    assert {name: data[name] for name in _reach(customer)} == _reach(customer)


def test_line_items_show_every_column_as_stored(world: World) -> None:
    customer = world.customer()
    slice_ = slice_of(customer.customer_id, "files", NOVEMBER)
    names = [column.snake for column in COLUMNS if column.until is None]
    customer.publish(slice_, [Charge(date(2026, 11, 3), D("1.50"), D(-1), hour=13, tags={"a": "b", "c": None})])
    fields = " ".join(_field(column.snake) for column in COLUMNS if column.until is None)
    document = f"""query($period: Period!) {{ costMetrics(period: $period, first: 1) {{ nodes {{
        provider account billingPeriod generation lineNumber source isEstimated xColumns {fields} }} }} }}"""
    (node,) = customer.data(document, period=AUTUMN)["costMetrics"]["nodes"]
    given = {name: value for name, value in node.items() if value not in (None, {})}
    assert given == {
        "provider": "focus",
        "account": f"{customer.customer_id}.files",
        "billingPeriod": "2026-11-01",
        "generation": node["generation"],
        "lineNumber": 0,
        "source": "",
        "isEstimated": False,
        "billedCost": {"amount": "1.5", "currency": "USD"},
        "effectiveCost": {"amount": "-1", "currency": "USD"},
        "billingCurrency": "USD",
        "billingPeriodStart": "1970-01-01T00:00:00Z",
        "billingPeriodEnd": "1970-01-01T00:00:00Z",
        "chargeCategory": "Usage",
        "chargePeriodStart": "2026-11-03T13:00:00Z",
        "chargePeriodEnd": "2026-11-03T14:00:00Z",
        "serviceName": "Compute",
        "tags": {"a": "b", "c": None},
    }
    assert len(node) == len(names) + 8


def _field(snake: str) -> str:
    head, *rest = snake.split("_")
    name = head + "".join(part.capitalize() for part in rest)
    is_money = snake in ("billed_cost", "effective_cost", "list_cost", "contracted_cost")
    return f"{name} {{ amount currency }}" if is_money else name


def test_the_narrow_and_the_wide_statement_show_the_same(customer: Customer) -> None:
    document = """query($period: Period!) { costMetrics(period: $period, first: 50) { nodes { ...Columns } } }
        fragment Columns on LineItem { chargePeriodStart serviceName regionId billedCost { amount } tags %s }"""
    narrow = customer.data(document % "", period=AUTUMN)["costMetrics"]["nodes"]
    wide = customer.data(document % "skuPriceId", period=AUTUMN)["costMetrics"]["nodes"]
    assert narrow == [{name: value for name, value in row.items() if name != "skuPriceId"} for row in wide]
    assert len(narrow) == 7


@pytest.mark.parametrize("kind", [ColumnType.DECIMAL, ColumnType.TIME])
def test_no_column_of_focus_is_missing(world: World, kind: ColumnType) -> None:
    document = '{ __type(name: "LineItem") { fields { name type { name ofType { name } } } } }'
    fields = {one["name"]: one["type"] for one in world.data(document, world.customer().token)["__type"]["fields"]}
    accepted = {ColumnType.DECIMAL: {"Decimal", "Money"}, ColumnType.TIME: {"DateTime"}}[kind]
    for column in COLUMNS:
        if column.kind is kind and column.until is None:
            type_ = fields[_field(column.snake).split()[0]]
            assert (type_["name"] or type_["ofType"]["name"]) in accepted


def test_sums_beyond_the_stored_type_do_not_wrap(world: World) -> None:
    customer = world.customer()
    huge = D("99999999999999999999.999999999999999999")
    for account in ("a", "b"):
        customer.publish(
            slice_of(customer.customer_id, account, OCTOBER), [Charge(date(2026, 10, 1), huge, resource="r")]
        )
    data = customer.data(documents.TOTAL, period=AUTUMN)
    assert data["totalCost"]["totals"][0]["cost"]["amount"] == "199999999999999999999.999999999999999998"
    series = customer.data(documents.TRENDS, period=AUTUMN, granularity="DAILY")["costTrends"]["series"]
    assert series[0]["amounts"] == ["199999999999999999999.999999999999999998"]
    tagged = customer.data(documents.TRENDS, period=AUTUMN, granularity="DAILY", groupByTag="x")["costTrends"]["series"]
    assert tagged[0]["amounts"] == ["199999999999999999999.999999999999999998"]


def test_as_of_answers_with_what_was_published_then(world: World) -> None:
    customer = world.customer()
    slice_ = slice_of(customer.customer_id, "files", OCTOBER)
    first = customer.publish(slice_, [Charge(date(2026, 10, 1), D(1))])
    second = customer.publish(slice_, [Charge(date(2026, 10, 1), D(2)), Charge(date(2026, 10, 2), D(3))])
    seen = {}
    for name, as_of in {
        "before": first.published_at - timedelta(microseconds=1),
        "first": first.published_at,
        "between": second.published_at - timedelta(microseconds=1),
        "second": second.published_at,
    }.items():
        answer = customer.data(documents.TOTAL, period=AUTUMN, asOf=as_of.isoformat())["totalCost"]
        seen[name] = [one["cost"]["amount"] for one in answer["totals"]], answer["publishedAt"]
    at_first, at_second = (one.published_at.isoformat().replace("+00:00", "Z") for one in (first, second))
    assert seen == {
        "before": ([], None),
        "first": (["1"], at_first),
        "between": (["1"], at_first),
        "second": (["5"], at_second),
    }


def test_a_new_publication_is_seen_at_once(world: World) -> None:
    customer = world.customer()
    slice_ = slice_of(customer.customer_id, "files", OCTOBER)
    for amount in range(1, 9):
        customer.publish(slice_, [Charge(date(2026, 10, 1), D(amount))])
        totals = customer.data(documents.TOTAL, period=AUTUMN)["totalCost"]["totals"]
        assert totals[0]["cost"]["amount"] == str(amount)


def test_a_period_without_charges_is_an_empty_answer(customer: Customer) -> None:
    period = {"start": "2025-01-01", "end": "2025-02-01"}
    assert customer.data(documents.TOTAL, period=period)["totalCost"]["totals"] == []
    assert customer.data(documents.TRENDS, period=period, granularity="DAILY")["costTrends"]["series"] == []
    page = customer.data(documents.RESOURCES, period=period, first=5)["costsByResource"]
    assert (page["nodes"], page["pageInfo"]) == ([], {"hasNextPage": False, "endCursor": None})
    assert customer.data(documents.LINE_ITEMS, period=period, first=5)["costMetrics"]["nodes"] == []


def test_what_ends_before_the_data_reach_is_complete(customer: Customer) -> None:
    data = customer.data(documents.TOTAL, period={"start": "2026-10-01", "end": "2026-11-02"})["totalCost"]
    assert data["isComplete"] is True
    data = customer.data(documents.TOTAL, period=AUTUMN, filter={"account": [f"{customer.customer_id}.files"]})
    assert data["totalCost"]["isSimulated"] is False
    assert data["totalCost"]["dataThrough"] == "2026-11-22T00:00:00Z"
