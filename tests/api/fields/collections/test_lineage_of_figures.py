"""Accounts at a glance, where figures come from, and what replaced what: through the running service."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from charges import Charge, slice_of
from hypothesis import given, settings
from hypothesis import strategies as st
from world import Customer, World

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.publications import CONTROL_TOTAL, WARNING

OCTOBER = BillingPeriod(2026, 10)
PERIOD = '{start: "2026-10-01", end: "2026-11-01"}'
BEGIN = datetime(2026, 11, 2, 6, tzinfo=UTC)

ACCOUNTS = """query($first: Int!, $after: String) { accounts(first: $first, after: $after) {
  nodes { id provider isActive isSimulated lastProbeAt lastError lastPublishedAt dataThrough knownBillingPeriods dueBillingPeriods
          requests requestCost { amount currency } }
  pageInfo { hasNextPage endCursor } } }"""
LINEAGE = """query($account: String!, $period: String!, $first: Int! = 10, $after: String) {
  lineage(account: $account, billingPeriod: $period, first: $first, after: $after) {
    account provider billingPeriod
    generations { generation publishedAt supersededAt isKept lineItems totals { currency billedCost }
                  controlTotals { amount currency } sources { fields { name value } } warnings { code message count example } runId runUrl }
    pageInfo { hasNextPage endCursor } } }"""
RESTATEMENTS = f"""query($first: Int!, $after: String, $since: DateTime, $until: DateTime, $filter: CostFilter) {{
  restatements(period: {PERIOD}, first: $first, after: $after, since: $since, until: $until, filter: $filter) {{
    nodes {{ account billingPeriod generation previousGeneration publishedAt
             changes {{ date service currency before after change }} }}
    pageInfo {{ hasNextPage endCursor }} }} }}"""


def charge(day: int, amount: str, service: str = "Compute", currency: str = "USD") -> Charge:
    return Charge(date(2026, 10, day), Decimal(amount), service=service, currency=currency)


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """Account ``a`` was published three times, ``b`` once."""
    customer = world.customer()
    for name in ("a", "b"):
        world.metadata.accounts.add(
            Account(f"{customer.customer_id}.{name}", customer.customer_id, "focus", is_simulated=name == "b")
        )
    a, b = (slice_of(customer.customer_id, name, OCTOBER) for name in ("a", "b"))
    world.metadata.slices.record_probe(a.account_id, {OCTOBER: "t", OCTOBER.shift(1): "u"}, BEGIN)
    world.metadata.activity.record_requests("probe", {a.account_id: (3, Decimal("0.03"))}, BEGIN)
    versions = [
        [charge(1, "10"), charge(2, "5", "Storage"), charge(2, "1", currency="EUR")],
        [charge(1, "12.5"), charge(2, "5", "Storage"), charge(2, "1", currency="EUR")],
        [charge(1, "12.5"), charge(3, "-2", "")],
    ]
    for number, charges in enumerate(versions):
        sources = [
            {"file": f"v{number}.csv"},
            {"kind": CONTROL_TOTAL, "currency": "USD", "billed_cost": "15"},
            {
                "kind": WARNING,
                "code": "labels-missing",
                "message": "no labels",
                "count": "2",
                "example": "GET /v1/labels",
            },
        ]
        customer.publish(
            a, charges, published_at=BEGIN + timedelta(hours=number), sources=sources, run_id=f"run-{number}"
        )
    customer.publish(b, [charge(1, "1")], published_at=BEGIN, data_through=OCTOBER.end)
    return customer


def test_accounts_say_how_they_do(customer: Customer) -> None:
    first = customer.data(ACCOUNTS, first=1)["accounts"]
    assert first["pageInfo"]["hasNextPage"]
    rest = customer.data(ACCOUNTS, first=5, after=first["pageInfo"]["endCursor"])["accounts"]
    assert not rest["pageInfo"]["hasNextPage"]
    a, b = first["nodes"] + rest["nodes"]
    assert a == {
        "id": f"{customer.customer_id}.a",
        "provider": "focus",
        "isActive": True,
        "isSimulated": False,
        "lastProbeAt": "2026-11-02T06:00:00Z",
        "lastError": None,
        "lastPublishedAt": "2026-11-02T08:00:00Z",
        "dataThrough": None,
        "knownBillingPeriods": 2,
        "dueBillingPeriods": 2,
        "requests": 3,
        "requestCost": {"amount": "0.03", "currency": "USD"},
    }
    assert (b["isSimulated"], b["dataThrough"], b["lastProbeAt"]) == (True, "2026-11-01T00:00:00Z", None)


def test_lineage_names_run_sources_and_totals_of_each_generation(customer: Customer) -> None:
    account = f"{customer.customer_id}.a"
    lineage = customer.data(LINEAGE, account=account, period="2026-10")["lineage"]
    newest, middle, oldest = lineage["generations"]
    assert newest["supersededAt"] is None
    assert middle["supersededAt"] == newest["publishedAt"] == "2026-11-02T08:00:00Z"
    assert oldest["sources"] == [{"fields": [{"name": "file", "value": "v0.csv"}]}]
    assert oldest["warnings"] == [
        {"code": "labels-missing", "message": "no labels", "count": 2, "example": "GET /v1/labels"}
    ]
    assert oldest["controlTotals"] == [{"amount": "15", "currency": "USD"}]
    assert oldest["totals"] == [
        {"currency": "EUR", "billedCost": "1"},
        {"currency": "USD", "billedCost": "15"},
    ]
    assert (oldest["runId"], oldest["runUrl"]) == ("run-0", "http://127.0.0.1:9/runs/run-0")
    page = customer.data(LINEAGE, account=account, period="2026-10", first=1)["lineage"]
    following = customer.data(LINEAGE, account=account, period="2026-10", first=1, after=page["pageInfo"]["endCursor"])[
        "lineage"
    ]
    assert page["generations"] + following["generations"] == [newest, middle]


def test_a_slice_without_a_generation_is_empty_and_an_account_of_others_is_none(
    customer: Customer, world: World
) -> None:
    account = f"{customer.customer_id}.a"
    assert customer.data(LINEAGE, account=account, period="2020-01")["lineage"]["generations"] == []
    assert customer.data(LINEAGE, account="nobody.a", period="2026-10")["lineage"] is None
    assert world.customer().data(LINEAGE, account=account, period="2026-10")["lineage"] is None


def test_restatements_show_what_changed_by_service_and_day(customer: Customer) -> None:
    span = {"since": "2026-11-01T00:00:00Z", "until": "2026-11-03T00:00:00Z"}
    found = customer.data(RESTATEMENTS, first=5, **span)["restatements"]
    newest, before = found["nodes"]
    assert before["changes"] == [
        {
            "date": "2026-10-01",
            "service": "Compute",
            "currency": "USD",
            "before": "10",
            "after": "12.5",
            "change": "2.5",
        }
    ]
    assert newest["changes"] == [
        {
            "date": "2026-10-02",
            "service": "Compute",
            "currency": "EUR",
            "before": "1",
            "after": "0",
            "change": "-1",
        },
        {
            "date": "2026-10-02",
            "service": "Storage",
            "currency": "USD",
            "before": "5",
            "after": "0",
            "change": "-5",
        },
        {
            "date": "2026-10-03",
            "service": None,
            "currency": "USD",
            "before": "0",
            "after": "-2",
            "change": "-2",
        },
    ]
    assert newest["previousGeneration"] == before["generation"]
    page = customer.data(RESTATEMENTS, first=1, **span)["restatements"]
    following = customer.data(RESTATEMENTS, first=1, after=page["pageInfo"]["endCursor"], **span)
    assert page["nodes"] + following["restatements"]["nodes"] == [newest, before]
    other = {"filter": {"account": [f"{customer.customer_id}.b"]}}
    assert customer.data(RESTATEMENTS, first=5, **span, **other)["restatements"]["nodes"] == []
    assert customer.data(RESTATEMENTS, first=5, since="2026-11-02T09:00:00Z")["restatements"]["nodes"] == []


@pytest.mark.parametrize("until", ["2255-06-06T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_pages_of_restatements_go_on_whatever_instant_they_end_at(customer: Customer, until: str) -> None:
    span = {"since": "2026-11-01T00:00:00Z", "until": until}
    whole = customer.data(RESTATEMENTS, first=5, **span)["restatements"]["nodes"]
    page = customer.data(RESTATEMENTS, first=1, **span)["restatements"]
    rest = customer.data(RESTATEMENTS, first=5, after=page["pageInfo"]["endCursor"], **span)["restatements"]
    assert page["nodes"] + rest["nodes"] == whole
    assert len(whole) == 2


def test_what_restatements_do_not_know_is_said(customer: Customer) -> None:
    for asked in ({"billingPeriod": ["2026-10"]}, {"sku": ["a"]}, {"currency": ["USD"]}):
        error = customer.error(RESTATEMENTS, first=5, filter=asked)
        assert error["message"] == "filter: restatements know provider and account only"
    error = customer.error(RESTATEMENTS, first=5, filter={"service": ["Compute"]})
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"
    assert "provider and account only" in error["message"]
    error = customer.error(RESTATEMENTS, first=5, since="2026-11-03T00:00:00Z", until="2026-11-02T00:00:00Z")
    assert "is not before until" in error["message"]


AMOUNTS = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from(["Compute", "Storage", ""]),
        st.sampled_from(["USD", "EUR"]),
        st.decimals("-99", "99", places=6),
    ),
    max_size=8,
)


@settings(max_examples=6)
@given(before=AMOUNTS, after=AMOUNTS)
def test_changes_are_exactly_the_difference(world: World, before: Any, after: Any) -> None:
    customer = world.customer()
    slice_ = slice_of(customer.customer_id, "a", OCTOBER)
    for number, version in enumerate((before, after)):
        charges = [charge(day, str(amount), service, currency) for day, service, currency, amount in version]
        customer.publish(slice_, charges, published_at=BEGIN + timedelta(hours=number))
    sums: dict[tuple[Any, ...], Decimal] = {}
    for sign, version in ((-1, before), (1, after)):
        for day, service, currency, amount in version:
            key = (f"2026-10-0{day}", service or None, currency)
            sums[key] = sums.get(key, Decimal(0)) + sign * amount
    (node,) = customer.data(RESTATEMENTS, first=5, since="2026-11-01T00:00:00Z", until="2026-11-03T00:00:00Z")[
        "restatements"
    ]["nodes"]
    shown = {(one["date"], one["service"], one["currency"]): Decimal(one["change"]) for one in node["changes"]}
    assert shown == {key: amount for key, amount in sums.items() if amount}
    assert all(Decimal(one["after"]) - Decimal(one["before"]) == Decimal(one["change"]) for one in node["changes"])
