"""Rules on budgets and forecasts: their messages have the figures that `budgetStatus` answers, each occasion is told once a period."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from alert_world import ALICE, PAGES, Receiver, hook, receiving
from charges import Charge, slice_of
from psycopg.types.json import Jsonb
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.ingestion.forecasting import forecast_costs
from optiinfra_assets.metadata.alerts import WantedRule
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.notifications.finding import find_occasions
from optiinfra_assets.notifications.sender import Sender
from optiinfra_assets.warehouse.warehouse import Warehouse

AS_OF = datetime(2026, 4, 21, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FINAL = {"one": date(2026, 4, 20), "two": date(2026, 4, 18)}
LAST = date(2026, 4, 20)
STATUS = """query($asOf: DateTime) { budgetStatus(first: 100, asOf: $asOf) { nodes {
  budget { name } amount spent forecast lower80 upper80 probability isSimulated
} } }"""
SAVE = """mutation($rule: AlertRuleInput!) { saveAlertRule(rule: $rule) {
  ... on AlertRuleSaved { rule { kind options { name value } accounts services budgets } } ... on Refusal { message }
} }"""


@pytest.fixture
def costs(world: World) -> Customer:
    """Two accounts whose days are final to different ones, with regions and tags, and a forecast of them."""
    customer = world.customer("operator")
    publish(customer, "one")
    publish(customer, "two")
    forecast(customer, AS_OF)
    return customer


def publish(customer: Customer, account: str, factor: int = 1, currencies: tuple[str, ...] = ("USD",)) -> None:
    """Costs of an account from January on, some of them without a tag or a region."""
    slices = {}
    for month in range(1, 5):
        days = [date(2026, month, 1) + place * DAY for place in range(31)]
        charges = [
            Charge(
                day,
                amount := Decimal(9 + place) * factor + Decimal("0.000000000000000001"),
                effective=amount * 2,
                service=service,
                region=[None, "eu", "us"][place],
                sub_account=f"team-{place}",
                tags={"team": service} if place else {},
                currency=currency,
            )
            for currency in currencies
            for day in days
            if day.month == month and day <= FINAL.get(account, LAST)
            for place, service in enumerate(("Compute", "Storage", "Network"))
        ]
        slices[slice_of(customer.customer_id, account, BillingPeriod(2026, month))] = charges
    through = datetime.combine(FINAL.get(account, LAST) + DAY, datetime.min.time(), UTC)
    changes = {"published_at": AS_OF - timedelta(hours=1), "data_through": through}
    customer.publish_all(slices, dict.fromkeys(slices, changes))


def forecast(customer: Customer, at: datetime) -> None:
    """Forecast the costs of a customer, as is done after a publication."""
    world = customer.world
    assert forecast_costs(world.metadata, world.warehouse, customer.customer_id, at, 400).error is None


def budget(customer: Customer, name: str, amount: str, **values: Any) -> str:
    """A budget of a customer; its id."""
    currency = values.pop("currency", "USD")
    made = Budget(name, values.pop("cadence", Cadence.MONTHLY), Decimal(amount), currency, **values)
    principal = Principal("test", "test", customer.customer_id, "operator")
    budgets = customer.world.metadata.budgets
    return budgets.save(made, customer_id=customer.customer_id, principal=principal, now=AS_OF).budget_id


@pytest.fixture
def receiver(costs: Customer) -> Iterator[Receiver]:
    """Takes what is told to the customer."""
    with receiving() as opened:
        hook(costs.world.metadata, opened.url, customer_id=costs.customer_id)
        yield opened


def watch(customer: Customer, kind: str, at: datetime = AS_OF, **wanted: Any) -> None:
    """A rule that tells by the one channel."""
    alerts = customer.world.metadata.alerts
    (channel,) = alerts.channels(customer_id=customer.customer_id)
    rule = WantedRule(kind, f"{kind} {wanted}"[:90], [channel.channel_id], **wanted)
    alerts.save_rule(rule, at, customer_id=customer.customer_id, actor=ALICE)


def told(customer: Customer, receiver: Receiver, at: datetime = AS_OF) -> list[dict[str, Any]]:
    """Look for occasions and send them; what comes."""
    world, known = customer.world, len(receiver.got)
    find_occasions(world.metadata, lambda: Warehouse.connect(world.settings), at)
    Sender(world.metadata, PAGES, lambda: at).run()
    return [one for message in receiver.got[known:] for one in message.json["occasions"]]


def budgets_of(customer_id: str) -> dict[str, dict[str, Any]]:
    """Budgets of every kind of filter, basis and cadence."""
    one, two = f"{customer_id}.one", f"{customer_id}.two"
    return {
        "all": {},
        "service": {"filters": ({"service": ["Compute"]},)},
        "two filters": {"filters": ({"account": [one], "service": ["Compute"]}, {"account": [two]})},
        "region": {"filters": ({"region": ["eu", None]},)},
        "category": {"filters": ({"charge_category": ["Usage"], "provider": ["focus"]},)},
        "sub account": {"filters": ({"sub_account": ["team-1"]},)},
        "tag": {"filters": ({"tag": {"key": "team", "values": ["Storage", None]}},)},
        "tags": {
            "filters": ({"tags": [{"key": "TEAM", "values": ["Storage", None], "ignore_case": True}], "sku": [None]},)
        },
        "months": {"filters": ({"billing_period": ["2026-04"], "service_category": [None]},)},
        "effective": {"cost_basis": "effective_cost", "filters": ({"region": ["us"]},)},
        "quarter": {"cadence": Cadence.QUARTERLY},
        "between": {"cadence": Cadence.BETWEEN, "start": date(2026, 4, 10), "end": date(2026, 5, 20)},
    }


def test_a_budget_is_told_with_the_figures_that_its_status_has(costs: Customer, receiver: Receiver) -> None:
    """Whatever its filters, cost basis and cadence are: nine in ten of what is expected is more than is spent."""
    budgets = budgets_of(costs.customer_id)
    for name, values in budgets.items():
        budget(costs, name, "1", **values)
    nodes = costs.data(STATUS, asOf=AS_OF.isoformat())["budgetStatus"]["nodes"]
    statuses = {one["budget"]["name"]: one for one in nodes}
    ids = {
        name: budget(costs, f"{name} again", f"{Decimal(statuses[name]['forecast']) * 9 / 10:.2f}", **values)
        for name, values in budgets.items()
    }
    watch(costs, "budget", options={"actual": 0}, budgets=list(ids.values()))
    found = {one["title"].split(":")[0]: one for one in told(costs, receiver)}
    assert found.keys() == {f"Budget {name} again" for name in budgets}
    for name, status in statuses.items():
        one = found[f"Budget {name} again"]
        last = date.fromisoformat(one["key"].split()[2]) - DAY
        assert one["title"].endswith(f": more than 100 % is expected by {last}")
        figures = {figure["name"]: figure["amount"] for figure in one["figures"]}
        same = ("spent", "forecast", "lower80", "upper80")
        assert {of: figures[of] for of in same} == {of: status[of] for of in same}, name
        assert one["link"] == f"{PAGES}/forecast#budgets"
        assert one["dataThrough"] == "2026-04-19T00:00:00+00:00"
    assert Decimal(statuses["tag"]["spent"]) > 0 < Decimal(statuses["effective"]["spent"])


FOREIGN = ("EUR", "XAL", "XBE")
"""What charges are billed in: euros, and two currencies of the test's own."""


def quote(world: World, last: date, factor: int = 1) -> None:
    """Rates of each day to a last one, which go up and down."""
    days = [date(2026, 1, 1) + place * DAY for place in range((last - date(2026, 1, 1)).days + 1)]
    lines = [
        (day, name, Decimal(base + day.day % 7) * factor / 8)
        for day in days
        for name, base in (("XAL", 7), ("XBE", 900))
    ]
    world.metadata.rates.update("TEST", lines)


@pytest.fixture
def foreign(world: World) -> Customer:
    """Two accounts that are billed in three currencies, rates of them to two days before, and a forecast."""
    quote(world, date(2026, 4, 18))
    customer = world.customer("operator")
    for account in FINAL:
        publish(customer, account, currencies=FOREIGN)
    forecast(customer, AS_OF)
    return customer


def test_a_budget_of_several_currencies_is_told_with_the_figures_that_its_status_has(foreign: Customer) -> None:
    """Of every kind of filter, by a rate of the customer's own too, whichever of both is asked first."""
    world = foreign.world
    world.metadata.rates.override(
        date(2026, 5, 1), "XBE", "EUR", Decimal("0.01"), customer_id=foreign.customer_id, actor=ALICE
    )
    budgets = {name: {"currency": "EUR", **values} for name, values in budgets_of(foreign.customer_id).items()}
    budgets |= {
        "one currency": {"currency": "XAL", "filters": ({"currency": ["XAL"]},)},
        "two currencies": {
            "currency": "XBE",
            "filters": ({"currency": ["EUR"]}, {"currency": ["XAL"], "region": ["eu"]}),
        },
    }
    for name, values in budgets.items():
        budget(foreign, name, "1000000", **values)
    with receiving() as receiver:
        hook(world.metadata, receiver.url, customer_id=foreign.customer_id)
        watch(foreign, "budget", options={"actual": "0.000000001"})
        found = {one["title"].split(":")[0].removeprefix("Budget "): one for one in told(foreign, receiver)}
    nodes = foreign.data(STATUS, asOf=AS_OF.isoformat())["budgetStatus"]["nodes"]
    statuses = {one["budget"]["name"]: one for one in nodes}
    assert found.keys() == statuses.keys() == budgets.keys()
    for name, status in statuses.items():
        figures = {figure["name"]: figure["amount"] for figure in found[name]["figures"]}
        same = ("spent", "forecast", "lower80", "upper80")
        assert {of: figures[of] for of in same} == {of: status[of] for of in same}, name
        assert {figure.get("currency") for figure in found[name]["figures"]} == {budgets[name]["currency"], None}
    assert len({one["spent"] for one in statuses.values()}) > 8


def test_a_changed_rate_is_looked_at_and_a_missing_one_is_told_and_holds_up_no_other_budget(foreign: Customer) -> None:
    """Nothing else has changed: no forecast, no day, no budget."""
    world = foreign.world
    publish(foreign, "lost", currencies=("XMI",))
    budget(foreign, "euros", "1", currency="EUR", filters=({"currency": ["EUR"]},))
    budget(foreign, "all", "1", currency="EUR")
    with receiving() as receiver:
        hook(world.metadata, receiver.url, customer_id=foreign.customer_id)
        watch(foreign, "budget")
        found = {one["title"]: one for one in told(foreign, receiver)}
        assert found.keys() == {"Budget euros: the amount is passed", "Budget all: a rate is missing"}
        missing = found["Budget all: a rate is missing"]["text"]
        assert "There is no rate from XMI to EUR on days from 2026-04-01 to 2026-04-20" in missing
        assert "Run `optiinfra rates update`" in missing
        assert told(foreign, receiver, AS_OF + MINUTE) == []
        days = [date(2026, 4, 1) + place * DAY for place in range(20)]
        world.metadata.rates.update("TEST", [(day, "XMI", Decimal(2)) for day in days])
        found = {one["title"]: one for one in told(foreign, receiver, AS_OF + 2 * MINUTE)}
        assert found.keys() == {"Budget all: the amount is passed"}
        assert told(foreign, receiver, AS_OF + 3 * MINUTE) == []


@pytest.mark.parametrize("who", ["the API", "the rule"])
def test_whoever_asks_first_freezes_the_rates_of_a_month_that_has_ended_for_both(foreign: Customer, who: str) -> None:
    """The same figures after the quotes were revised, though nobody asks in the same process or on the same day."""
    world, at = foreign.world, datetime(2026, 5, 4, tzinfo=UTC)
    budget(foreign, "april", "1", currency="EUR", cadence=Cadence.BETWEEN, start=date(2026, 4, 1), end=date(2026, 5, 1))
    with receiving() as receiver:
        hook(world.metadata, receiver.url, customer_id=foreign.customer_id)
        watch(foreign, "budget", AS_OF)
        before = foreign.data(STATUS, asOf=at.isoformat()) if who == "the API" else told(foreign, receiver, at)
        quote(world, date(2026, 4, 18), factor=3)
        watch(foreign, "budget", AS_OF, options={"actual": 99})
        (again,) = told(foreign, receiver, at + MINUTE)[-1:]
        (after,) = foreign.data(STATUS, asOf=(at + MINUTE).isoformat())["budgetStatus"]["nodes"]
        spent = next(one["amount"] for one in again["figures"] if one["name"] == "spent")
        quote(world, date(2026, 4, 18))
    assert spent == after["spent"]
    first = (
        before["budgetStatus"]["nodes"][0]["spent"] if isinstance(before, dict) else before[0]["figures"][1]["amount"]
    )
    assert first == spent


def test_a_month_that_is_expected_to_cost_more_is_told_of_each_currency_by_itself(foreign: Customer) -> None:
    """What a rule on forecasts compares is billed in one currency, and needs no rate."""
    of_one = {"cadence": Cadence.MONTHLY, "currency": "XAL", "filters": ({"currency": ["XAL"]},)}
    budget(foreign, "month", "1", **of_one)
    (status,) = foreign.data(STATUS, asOf=AS_OF.isoformat())["budgetStatus"]["nodes"]
    with receiving() as receiver:
        hook(foreign.world.metadata, receiver.url, customer_id=foreign.customer_id)
        watch(foreign, "forecast", options={"amount": f"{Decimal(status['forecast']):f}"})
        assert told(foreign, receiver) == [], "each currency costs the same, and is met to the cent"
        watch(foreign, "forecast", options={"amount": f"{Decimal(status['forecast']) - 1:f}"})
        found = [one["figures"][2] for one in told(foreign, receiver, AS_OF + MINUTE)]
    assert {one["currency"] for one in found} == set(FOREIGN)
    assert {one["amount"] for one in found} == {status["forecast"]}


def test_each_threshold_is_told_once_a_period_however_often_costs_come(costs: Customer, receiver: Receiver) -> None:
    (status,) = (budget(costs, "web", "1000"),) and costs.data(STATUS, asOf=AS_OF.isoformat())["budgetStatus"]["nodes"]
    spent, expected = Decimal(status["spent"]), Decimal(status["forecast"])
    amount = f"{(spent + expected) / 2:.2f}"
    budget(costs, "close", amount)
    watch(costs, "budget", options={"actual": 50, "forecast": 100, "probability": 90})
    close = [one for one in told(costs, receiver) if "close" in one["title"]]
    assert sorted(one["title"] for one in close) == [
        "Budget close: an overrun by 2026-04-30 is 100% likely",
        "Budget close: more than 100 % is expected by 2026-04-30",
        "Budget close: more than 50 % is spent",
    ]
    assert f"{spent:,.2f} USD of {Decimal(amount):,.2f} USD" in close[0]["text"]
    assert "is spent from 2026-04-01 to 2026-04-30" in close[0]["text"]
    assert told(costs, receiver, AS_OF + MINUTE) == []
    publish(costs, "one", factor=2)
    assert told(costs, receiver, AS_OF + 2 * MINUTE) == [], "no forecast knows of it"
    forecast(costs, AS_OF + 3 * MINUTE)
    assert told(costs, receiver, AS_OF + 4 * MINUTE) == [], "other figures of the same occasions"
    later = AS_OF + 100 * DAY
    for statement in ("forget_alert_deliveries.sql", "forget_alert_occasions.sql"):
        costs.world.metadata.rows(statement, {"before": later, "most": 1000})
    assert told(costs, receiver, AS_OF + 3 * DAY) == [], "it holds on, though it is not known any more that it was told"
    watch(costs, "budget", AS_OF, options={"actual": 100}, budgets=[])
    again = told(costs, receiver, AS_OF + 5 * MINUTE)
    assert sorted(one["title"] for one in again) == ["Budget close: the amount is passed", "Budget web: the amount is passed"]  # fmt: skip
    assert all("was passed on 2026-04-" in one["text"] for one in again)
    found = told(costs, receiver, datetime(2026, 5, 2, tzinfo=UTC))
    assert {one["key"].split()[1] for one in found} <= {"2026-05-01"}, "nothing of April again"


def test_a_month_that_is_expected_to_cost_more_than_an_amount_is_told_once(costs: Customer, receiver: Receiver) -> None:
    budget(costs, "month", "1", filters=({"service": ["Storage"]},))
    (status,) = costs.data(STATUS, asOf=AS_OF.isoformat())["budgetStatus"]["nodes"]
    expected = Decimal(status["forecast"])
    watch(costs, "forecast", options={"amount": f"{expected:f}"}, services=["Storage"])
    assert told(costs, receiver) == [], "it is met to the cent"
    watch(costs, "forecast", options={"amount": f"{expected - 1:f}"}, services=["Storage"])
    watch(costs, "forecast", options={"amount": f"{expected - 1:f}"}, services=["Network"], accounts=[])
    found = told(costs, receiver, AS_OF + MINUTE)
    assert [one["title"].split(" more")[0] for one in found] == ["2026-04 is expected to cost"] * 2
    assert "Billed cost of Storage" in found[0]["text"] + found[1]["text"]
    figures = [{figure["name"]: figure for figure in one["figures"]} for one in found]
    assert {"name": "forecast", "amount": status["forecast"], "currency": "USD"} in [one["forecast"] for one in figures]
    assert told(costs, receiver, AS_OF + DAY) == []


def test_budgets_that_time_does_not_suffice_for_are_looked_at_the_next_time(
    costs: Customer, receiver: Receiver
) -> None:
    for number in range(5):
        budget(costs, f"budget {number}", "1")
    watch(costs, "budget")
    world, titles = costs.world, []
    for _ in range(7):
        ticks = itertools.count()  # the first two are the beginning, and that of the rule
        found = find_occasions(
            world.metadata,
            lambda: Warehouse.connect(world.settings),
            AS_OF,
            budget=4,
            seconds=lambda ticks=ticks: next(ticks),
        )
        titles.append(found)
    assert titles == [2, 2, 1, 0, 0, 0, 0]


def test_nothing_is_told_before_there_is_a_forecast(world: World) -> None:
    customer = world.customer("operator")
    budget(customer, "web", "1")
    with receiving() as receiver:
        hook(world.metadata, receiver.url, customer_id=customer.customer_id)
        watch(customer, "budget")
        assert told(customer, receiver) == []


def test_what_is_spent_is_told_without_any_forecast_and_a_budget_that_cannot_be_used_holds_up_none(
    world: World,
) -> None:
    customer = world.customer("operator")
    publish(customer, "one")
    watched = budget(customer, "web", "700")
    values = {"customer_id": customer.customer_id, "name": "an old one", "budget_id": f"{customer.customer_id} old"}
    by = {"now": AS_OF, "actor": "test", "author_name": "test", "origin": "test", "detail": ""}
    definition = Jsonb(
        Budget("x", Cadence.BETWEEN, Decimal(5), "USD", start=date(1, 1, 1), end=date(9999, 1, 1)).stored()
    )
    world.metadata.rows("save_budget.sql", values | by | {"definition": definition})
    with receiving() as receiver:
        hook(world.metadata, receiver.url, customer_id=customer.customer_id)
        watch(customer, "budget", options={"actual": 80, "forecast": 90, "probability": 1})
        (found,) = told(customer, receiver)
        assert found["title"] == "Budget web: more than 80 % is spent"
        assert [one["name"] for one in found["figures"]] == ["amount", "spent"]
        assert found["dataThrough"] == "2026-04-21T00:00:00+00:00"
        assert told(customer, receiver, AS_OF + MINUTE) == []
        forecast(customer, AS_OF + 2 * MINUTE)
        titles = {one["title"] for one in told(customer, receiver, AS_OF + 3 * MINUTE)}
        assert titles == {
            "Budget web: more than 90 % is expected by 2026-04-30",
            "Budget web: an overrun by 2026-04-30 is 100% likely",
        }
        assert watched


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"kind": "budget", "accounts": ["one"]}, "accounts: rules of the kind budget are narrowed to budgets"),
        ({"kind": "budget", "budgets": ["0a1b"]}, "budget: '0a1b' does not exist"),
        ({"kind": "budget", "options": {"actual": "0", "forecast": "0"}}, "actual or forecast or probability: needed"),
        (
            {"kind": "budget", "options": {"probability": "101"}},
            "probability: '101' is not accepted: use a number from 0",
        ),
        ({"kind": "forecast"}, "amount: needed: a rule of the kind forecast needs a number above 0"),
        ({"kind": "anomaly", "services": [" "]}, "services: ' ' is not accepted"),
        ({"kind": "anomaly", "options": {"days": "63"}}, "days: '63' is not accepted: use a number from 0 to 62"),
        ({"kind": "anomaly", "accounts": ["nobody"]}, "account: 'nobody' does not exist"),
        ({"kind": "collection", "services": ["x"]}, "services: rules of the kind collection are narrowed to accounts"),
    ],
)
def test_what_is_no_rule_is_refused(world: World, rule: dict[str, Any], message: str) -> None:
    customer = world.customer("operator")
    channel, _ = hook(world.metadata, "https://example.com/x", customer_id=customer.customer_id)
    options = [{"name": name, "value": value} for name, value in rule.get("options", {}).items()]
    given = {"name": "x", "channels": [channel.channel_id], **rule, "options": options}
    assert message in customer.data(SAVE, rule=given)["saveAlertRule"]["message"]


def test_a_budget_of_another_customer_is_none(world: World, costs: Customer) -> None:
    other = world.customer("operator")
    channel, _ = hook(world.metadata, "https://example.com/x", customer_id=other.customer_id)
    rule = {"kind": "budget", "name": "x", "channels": [channel.channel_id], "budgets": [budget(costs, "theirs", "1")]}
    assert "does not exist" in other.data(SAVE, rule=rule)["saveAlertRule"]["message"]
    own = budget(other, "own", "1")
    saved = other.data(SAVE, rule=rule | {"budgets": [own]})["saveAlertRule"]["rule"]
    assert saved["budgets"] == [own]
