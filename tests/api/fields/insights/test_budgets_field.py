"""Budgets: exact costs of final days and the forecast of the rest, of any filters, with a history; roles, pages, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from charges import Charge, slice_of
from psycopg.types.json import Jsonb
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.domain.day_span import DaySpan

AS_OF = datetime(2026, 4, 21, 12, tzinfo=UTC)
FINAL = {"one": date(2026, 4, 20), "two": date(2026, 4, 18)}
CREATE = """mutation($budget: BudgetInput!) { createBudget(budget: $budget) {
  ... on BudgetSaved { budget { budgetId name amount filters { service tagKey tagValues } amountsByMonth { month amount } } }
  ... on BudgetNotAccepted { code message }
} }"""
KEPT = """{ budgets(first: 100) { nodes { budgetId filters {
  provider account subAccount service region chargeCategory serviceProvider serviceCategory invoice billingPeriod sku
  pricingCategory commitment
  tags { key values ignoreCase }
} } } }"""
STATUS = """query($first: Int!, $after: String, $id: String, $asOf: DateTime) {
  budgetStatus(first: $first, after: $after, budgetId: $id, asOf: $asOf) {
    nodes {
      budget { budgetId name history { name amount authorName } } periodStart periodEnd amount spent used
      forecast lower80 upper80 lower95 upper95 probability passedOn state reason dataThrough isSimulated finalDays { account lastDay }
    }
    pageInfo { hasNextPage endCursor }
  }
}"""


def cost(day: date, account: str, service: str) -> Decimal:
    """A weekly pattern, with digits that no float holds."""
    base = Decimal(10 if account == "one" else 4) + (Decimal(3) if service == "Storage" else 0)
    return base * (Decimal("0.5") if day.weekday() > 4 else 1) + Decimal("0.000000000000000001")


@pytest.fixture(scope="module")
def costs(world: World) -> Customer:
    """Two accounts whose days are final to different ones, two services each."""
    customer = world.customer("operator")
    days = [date(2026, 1, 1) + timedelta(days=place) for place in range(111)]
    for account, last in FINAL.items():
        for month in range(1, 5):
            customer.publish(
                slice_of(customer.customer_id, account, BillingPeriod(2026, month)),
                [
                    Charge(
                        day,
                        cost(day, account, service),
                        service=service,
                        tags={"team": service[0], "empty": "" if account == "one" else None},
                        sku=f"{service[0]}-{day.day % 3}" if day.day % 3 else None,
                        pricing="Standard" if day.day % 2 else None,
                        service_category=service,
                        service_provider="AWS",
                        invoice=f"i{month}",
                    )
                    for day in days
                    if day.month == month
                    for service in ("Compute", "Storage")
                ],
                published_at=AS_OF - timedelta(hours=1),
                data_through=datetime.combine(last + timedelta(days=1), datetime.min.time(), UTC),
            )
    return customer


def spent(start: date, services: tuple[str, ...] = ("Compute", "Storage")) -> Decimal:
    return sum(
        (
            cost(start + timedelta(days=place), account, service)
            for account, last in FINAL.items()
            for place in range((last - start).days + 1)
            for service in services
        ),
        Decimal(0),
    )


def made(customer: Customer, **budget: Any) -> str:
    found = customer.data(CREATE, budget={"currency": "USD"} | budget)["createBudget"]
    return str(found["budget"]["budgetId"])


def status(customer: Customer, budget_id: str) -> dict[str, Any]:
    (found,) = customer.data(STATUS, first=5, id=budget_id, asOf=AS_OF.isoformat())["budgetStatus"]["nodes"]
    return dict(found)


def test_what_is_spent_is_exact_and_the_rest_is_forecast(costs: Customer) -> None:
    april = spent(date(2026, 4, 1))
    close = status(costs, made(costs, name="close", amount=str(april + 260)))
    assert Decimal(close["spent"]) == april
    assert (
        Decimal(close["lower95"])
        <= Decimal(close["lower80"])
        <= Decimal(close["forecast"])
        <= Decimal(close["upper95"])
    )
    assert close["finalDays"] == [
        {"account": f"{costs.customer_id}.{name}", "lastDay": last.isoformat()} for name, last in FINAL.items()
    ]
    assert (close["periodStart"], close["periodEnd"]) == ("2026-04-01", "2026-05-01")
    assert 0 <= Decimal(close["probability"]) <= 1
    over = status(costs, made(costs, name="over", amount="100"))
    assert (over["state"], over["probability"], over["passedOn"]) == ("OVER", "1", "2026-04-03")
    within = status(costs, made(costs, name="within", amount="100000", cadence="YEARLY"))
    assert (within["state"], within["passedOn"]) == ("WITHIN", None)
    assert Decimal(within["spent"]) == spent(date(2026, 1, 1))
    assert (within["periodStart"], within["periodEnd"]) == ("2026-01-01", "2027-01-01")
    likely = status(costs, made(costs, name="likely", amount=str(round(april + 150))))
    assert likely["state"] == "LIKELY_OVER"
    assert "2026-04-21" <= likely["passedOn"] < "2026-05-01"


@pytest.mark.parametrize(
    "filters",
    [
        [{"sku": ["C-1"]}, {"sku": ["C-2", None], "service": ["Compute"]}],
        [{"pricingCategory": ["Standard"]}, {"pricingCategory": [None]}],
        [{"serviceCategory": ["Compute"], "invoice": ["i4", None]}],
        [{"serviceProvider": ["AWS"], "commitment": [None, "k"]}],
        [{"billingPeriod": ["2026-04"], "region": [None]}, {"billingPeriod": ["2026-03", "2026-05"], "region": [None]}],
        [{"tag": {"key": "team", "values": ["C"]}}, {"tag": {"key": "team", "values": ["S", None]}}],
        [{"tags": [{"key": "TEAM", "values": ["C", "S"], "ignoreCase": True}, {"key": "empty", "values": ["", None]}]}],
        [{"tag": {"key": "empty", "values": [""]}, "account": None}, {"tag": {"key": "empty", "values": [None]}}],
    ],
)
def test_every_filter_of_costs_is_one_of_budgets(costs: Customer, filters: list[dict[str, Any]]) -> None:
    """What is spent is what `totalCost` says of the same filters and days; what is shown can be given back."""
    budget_id = made(
        costs,
        name=f"of {hash(str(filters))}",
        amount="900",
        cadence="BETWEEN",
        start="2026-03-01",
        end="2026-04-19",
        filters=filters,
    )
    total = """query($period: Period!, $filter: CostFilter) {
      totalCost(period: $period, filter: $filter) { totals { cost { amount } } }
    }"""
    period = {"start": "2026-03-01", "end": "2026-04-19"}
    sums = [costs.data(total, period=period, filter=one)["totalCost"]["totals"] for one in filters]
    found = status(costs, budget_id)
    assert Decimal(found["spent"]) == sum((Decimal(one["cost"]["amount"]) for of in sums for one in of), Decimal(0)) > 0
    assert found["reason"] == "The budget is over, and its costs are final."
    ahead = status(costs, made(costs, name=f"to {hash(str(filters))}", amount="900", filters=filters))
    assert Decimal(ahead["spent"]) <= Decimal(ahead["forecast"])
    (kept,) = (one for one in costs.data(KEPT)["budgets"]["nodes"] if one["budgetId"] == budget_id)
    shown = [{name: values for name, values in one.items() if values} for one in kept["filters"]]
    assert (
        status(costs, made(costs, name=f"again {hash(str(filters))}", amount="900", filters=shown))["spent"]
        == ahead["spent"]
    )


def test_filters_together_are_their_sum_and_never_count_a_charge_twice(costs: Customer) -> None:
    both = [{"service": ["Compute"]}, {"service": ["Storage"]}]
    whole, parted = (
        status(costs, made(costs, name=name, amount="500", cadence="QUARTERLY", filters=filters))
        for name, filters in (("q whole", None), ("q parted", both))
    )
    same = ("spent", "forecast", "lower80", "upper95", "probability", "passedOn", "periodEnd")
    assert {name: whole[name] for name in same} == {name: parted[name] for name in same}
    tagged = status(
        costs, made(costs, name="tagged", amount="500", filters=[{"tag": {"key": "team", "values": ["S"]}}])
    )
    storage = status(costs, made(costs, name="storage", amount="500", filters=[{"service": ["Storage"]}]))
    assert tagged["spent"] == storage["spent"] == str(spent(date(2026, 4, 1), ("Storage",)))
    assert tagged["forecast"] == storage["forecast"]
    between = made(costs, name="days", amount="9", cadence="BETWEEN", start="2026-04-10", end="2026-06-15")
    assert Decimal(status(costs, between)["spent"]) == spent(date(2026, 4, 10))


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        *(
            ({"amount": one}, f"amount: {one!r} is not accepted: use a number from 0 to below 10^15, such as 1250.50")
            for one in ("many", "-1", "1_000", "٣", "1,000", "1e3", "NaN", "9" * 16, "0." + "1" * 19)
        ),
        (
            {"amountsByMonth": [{"month": "9999-12-01", "amount": "1"}]},
            "amountsByMonth: 9999-12-01 is not accepted: use a day from 1971-01-01 to 2100-01-01",
        ),
        ({"currency": "euro"}, "currency: 'euro' is not accepted: use an ISO 4217 code, such as EUR"),
        ({"cadence": "BETWEEN", "start": "2026-04-01"}, "start: needed with end, for a budget between two days"),
        (
            {"cadence": "BETWEEN", "start": "9999-01-01", "end": "9999-12-31"},
            "start: 9999-01-01 is not accepted: use a day from 1971-01-01 to 2100-01-01",
        ),
        ({"end": "0001-12-31"}, "end: 0001-12-31 is not accepted: use a day from 1971-01-01 to 2100-01-01"),
        (
            {"filters": [{"service": ["Compute"]}, {"account": ["one"]}]},
            "filters: a charge may match both 1 and 2, and would count twice: let them have no value in common",
        ),
    ],
)
def test_what_cannot_be_a_budget_is_refused(costs: Customer, budget: dict[str, Any], message: str) -> None:
    given = {"name": "refused", "amount": "5", "currency": "USD"} | budget
    assert costs.data(CREATE, budget=given)["createBudget"] == {"code": "BUDGET_NOT_ACCEPTED", "message": message}


@pytest.mark.parametrize("amount", [True, 0.1, 1e30, {}, ["1"]])
def test_an_amount_that_is_no_text_is_refused(world: World, amount: object) -> None:
    """Python takes true for 1, and a float for the digits that it has in binary."""
    given = {"name": "refused", "amount": amount, "currency": "USD"}
    answer = world.post({"query": CREATE, "variables": {"budget": given}}, world.customer("operator").token)
    (error,) = answer.json()["errors"]
    assert 'use a string such as "1250.50"' in error["message"]


def test_budgets_come_in_pages_and_their_history_stays(world: World) -> None:
    customer = world.customer("operator")
    ids = [made(customer, name=f"budget {number}", amount="10") for number in range(5)]
    change = """mutation($id: String!, $budget: BudgetInput!) { changeBudget(budgetId: $id, budget: $budget) { __typename } }"""
    customer.data(change, id=ids[0], budget={"name": "budget 9", "amount": "12.5", "currency": "EUR"})
    seen: list[dict[str, Any]] = []
    after = None
    while True:
        page = customer.data(STATUS, first=2, after=after)["budgetStatus"]
        seen += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert [one["budget"]["name"] for one in seen] == [f"budget {number}" for number in (1, 2, 3, 4, 9)]
    assert seen[-1]["budget"]["history"] == [
        {"name": "budget 9", "amount": "12.5", "authorName": "test"},
        {"name": "budget 0", "amount": "10", "authorName": "test"},
    ]
    assert (seen[0]["forecast"], seen[0]["spent"]) == (None, "0")
    assert seen[0]["reason"].startswith("No charge matched the budget")
    again = customer.data(CREATE, budget={"name": "budget 1", "amount": "1", "currency": "USD"})["createBudget"]
    assert again["message"] == "name: another budget is called 'budget 1'"
    remove = """mutation($id: String!) { removeBudget(budgetId: $id) { __typename } }"""
    assert [customer.data(remove, id=ids[1])["removeBudget"]["__typename"] for _ in range(2)] == [
        "BudgetRemoved", "BudgetNotFound"
    ]  # fmt: skip
    changes = world.metadata.budgets.changes([ids[1]], customer_id=customer.customer_id)
    assert [one.budget is None for one in changes] == [True, False]


def test_a_budget_that_cannot_be_used_is_shown_with_what_to_do_and_blocks_none_beside_it(world: World) -> None:
    """Earlier versions took days of any year; a definition may also come from a later version."""
    customer = world.customer("operator")
    made(customer, name="good", amount="10")
    plain = Budget("x", Cadence.BETWEEN, Decimal(5), "USD", start=date(1, 1, 1), end=date(9999, 12, 31)).stored()
    definitions = {
        "all days": plain,
        "no end": plain | {"cadence": "yearly", "end": "9999-12-31", "start": "9999-01-01"},
        "a later filter": plain | {"cadence": "monthly", "start": None, "end": None, "filters": [{"colour": ["red"]}]},
        "nothing": {},
    }
    for name, definition in definitions.items():
        values = {"customer_id": customer.customer_id, "name": name, "budget_id": f"{customer.customer_id} {name}"}
        by = {"now": AS_OF, "actor": "test", "author_name": "test", "origin": "test", "detail": ""}
        world.metadata.rows("save_budget.sql", values | by | {"definition": Jsonb(definition)})
    kept = customer.data("{ budgets(first: 9) { nodes { name problem history { name } } } }")["budgets"]["nodes"]
    problems = {one["name"]: one["problem"] for one in kept}
    assert problems.keys() == {"good", *definitions}
    assert problems["good"] is None
    assert problems["all days"] == (
        "start: 0001-01-01 is not accepted: use a day from 1971-01-01 to 2100-01-01. Change the budget, or remove it."
    )
    assert problems["a later filter"] == "ValueError: filters: 'colour' is not known. Change the budget, or remove it."
    asked = "query($at: DateTime) { budgetStatus(first: 9, asOf: $at) { nodes { budget { name } } unusable { name problem } } }"
    for at in (None, AS_OF.isoformat()):
        found = customer.data(asked, at=at)["budgetStatus"]
        assert [one["budget"]["name"] for one in found["nodes"]] == ["good"]
        assert {one["name"]: one["problem"] for one in found["unusable"]} == {
            name: problem for name, problem in problems.items() if problem
        }
    change = "mutation($id: String!, $to: BudgetInput!) { changeBudget(budgetId: $id, budget: $to) { __typename } }"
    whole = {"name": "all days", "amount": "5", "currency": "USD"}
    assert (
        customer.data(change, id=f"{customer.customer_id} all days", to=whole)["changeBudget"]["__typename"]
        == "BudgetSaved"
    )
    assert len(customer.data(asked, at=None)["budgetStatus"]["nodes"]) == 2


def test_amounts_of_months_take_the_place_of_their_share() -> None:
    budget = Budget("q", Cadence.QUARTERLY, Decimal(100), "USD", amounts={date(2026, 2, 1): Decimal(7)})
    assert budget.amount_of(DaySpan(date(2026, 1, 1), date(2026, 4, 1))) == Decimal("73.666666666666666666")
    assert budget.amount_of(DaySpan(date(2026, 4, 1), date(2026, 7, 1))) == 100
    assert budget.period(date(2026, 6, 30)) == DaySpan(date(2026, 4, 1), date(2026, 7, 1))
    assert Budget.of("q", budget.stored()) == budget
