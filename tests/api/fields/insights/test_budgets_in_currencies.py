"""Budgets of charges in several currencies: all count, by the customer's rates, which are told; a missing rate is no other budget's."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from charges import Charge, slice_of
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.vault.credential_audit import Actor

AS_OF = datetime(2026, 4, 21, 12, tzinfo=UTC)
LAST, QUOTED = date(2026, 4, 20), date(2026, 4, 17)
DAY = timedelta(days=1)
ACTOR = Actor("token", "192.0.2.7")
DAYS = [date(2026, 1, 1) + number * DAY for number in range((LAST - date(2026, 1, 1)).days + 1)]
CREATE = """mutation($budget: BudgetInput!) { createBudget(budget: $budget) {
  ... on BudgetSaved { budget { budgetId filters { currency service } } } ... on BudgetNotAccepted { message }
} }"""
STATUS = """query($id: String, $asOf: DateTime) { budgetStatus(first: 100, budgetId: $id, asOf: $asOf) {
  nodes {
    budget { name } amount spent forecast lower80 upper80 lower95 upper95 probability state reason
    conversions { currency isExpected amount converted lowestRate highestRate firstRateDate lastRateDate source }
    rates { currency rate rateDate source amount firstDay lastDay isExpected }
  }
  unusable { name problem }
} }"""


@dataclass(frozen=True, slots=True)
class Books:
    """A customer, its charges and the quotes of their currencies, to compute with apart from the product."""

    customer: Customer
    charges: list[Charge]
    quotes: dict[str, dict[date, Decimal]]

    def rate(self, currency: str, into: str, day: date) -> Fraction:
        """Of the newest date on which both are quoted, rounded half-even to 36 digits."""
        if currency == into:
            return Fraction(1)
        for back in range(8):
            own, other = (
                Fraction(1) if one == "EUR" else Fraction(self.quotes[one].get(day - back * DAY, 0))
                for one in (currency, into)
            )
            if own and other:
                return Fraction(round(other / own * 10**36), 10**36)
        raise AssertionError(f"{currency} on {day}")

    def spent(self, into: str, wanted: Callable[[Charge], bool]) -> Fraction:
        """What charges are in a currency."""
        return sum(
            (Fraction(one.billed) * self.rate(one.currency, into, one.day) for one in self.charges if wanted(one)),
            Fraction(0),
        )


def quotes(seed: int) -> dict[str, dict[date, Decimal]]:
    """Quotes on weekdays to the last one, of which one currency has no quote on a Wednesday."""
    dice = random.Random(seed)  # noqa: S311 - repeatable data, not a secret
    days = [day for day in (date(2025, 12, 29) + number * DAY for number in range(112)) if day <= QUOTED]
    return {
        name: {
            day: Decimal(dice.randrange(8_000, 12_000)) * scale
            for day in days
            if day.weekday() < 5 and (name, day) != ("XJP", date(2026, 4, 8))
        }
        for name, scale in (("XUS", Decimal("0.0001")), ("XJP", Decimal("0.0173")))
    }


def quote(world: World, found: dict[str, dict[date, Decimal]]) -> None:
    """Store quotes."""
    lines = [(day, name, rate) for name, of in found.items() for day, rate in of.items()]
    world.metadata.rates.update("TEST", lines)


def publish(customer: Customer, charges: list[Charge], account: str = "one") -> None:
    """Publish charges, all of whose days are final to the last one."""
    through = datetime.combine(LAST + DAY, datetime.min.time(), UTC)
    slices = {
        slice_of(customer.customer_id, account, BillingPeriod(2026, month)): [
            one for one in charges if one.day.month == month
        ]
        for month in range(1, 5)
    }
    changes = {"published_at": AS_OF - timedelta(hours=1), "data_through": through}
    customer.publish_all(slices, dict.fromkeys(slices, changes))


def charged(seed: int, currencies: tuple[str, ...] = ("XUS", "EUR", "XJP")) -> list[Charge]:
    """Charges of each day in each currency, with digits that no float holds."""
    dice = random.Random(seed)  # noqa: S311 - repeatable data, not a secret
    return [
        Charge(
            day,
            Decimal(dice.randrange(9 * 10**18, 11 * 10**18)).scaleb(-18) * (100 if currency == "XJP" else 1),
            currency=currency,
            service=service,
            tags={"team": service},
        )
        for day in DAYS
        for currency in currencies
        for service in ("Compute", "Storage")
    ]


@pytest.fixture(scope="module")
def books(world: World) -> Books:
    """Three currencies, quoted to a Friday; costs are known to the Monday after it."""
    found = quotes(1)
    quote(world, found)
    customer = world.customer("operator")
    charges = charged(2)
    publish(customer, charges)
    return Books(customer, charges, found)


def made(customer: Customer, **budget: Any) -> str:
    """A budget of a customer in euros; its id."""
    found = customer.data(CREATE, budget={"amount": "10000", "currency": "EUR"} | budget)["createBudget"]
    return str(found["budget"]["budgetId"])


def status(customer: Customer, budget_id: str) -> dict[str, Any]:
    """How it stands."""
    (found,) = customer.data(STATUS, id=budget_id, asOf=AS_OF.isoformat())["budgetStatus"]["nodes"]
    return dict(found)


@pytest.mark.parametrize("into", ["EUR", "XUS", "XJP"])
@pytest.mark.parametrize(
    ("name", "filters", "wanted"),
    [
        ("all", None, lambda _: True),
        ("tag", [{"tag": {"key": "team", "values": ["Storage"]}}], lambda one: one.service == "Storage"),
        ("currencies", [{"currency": ["XUS", "XJP"]}], lambda one: one.currency != "EUR"),
        (
            "groups",
            [{"currency": ["EUR"]}, {"currency": ["XJP"], "service": ["Compute"]}],
            lambda one: one.currency == "EUR" or (one.currency == "XJP" and one.service == "Compute"),
        ),
    ],
)
@pytest.mark.parametrize("cadence", ["MONTHLY", "YEARLY"])
def test_all_currencies_count_at_the_rates_that_are_told(
    books: Books, into: str, name: str, filters: Any, wanted: Callable[[Charge], bool], cadence: str
) -> None:
    start = date(2026, 4, 1) if cadence == "MONTHLY" else date(2026, 1, 1)
    budget_id = made(books.customer, name=f"{name} {into} {cadence}", currency=into, filters=filters, cadence=cadence)
    found = status(books.customer, budget_id)
    exact = books.spent(into, lambda one: one.day >= start and wanted(one))
    assert Fraction(found["spent"]) == exact > 0
    for is_expected, total in ((False, exact), (True, Fraction(found["forecast"]) - exact)):
        told = [one for one in found["rates"] if one["isExpected"] is is_expected]
        assert sum((Fraction(one["amount"]) * Fraction(one["rate"]) for one in told), Fraction(0)) == total > 0
        assert {one["currency"] for one in told} == {one.currency for one in books.charges if wanted(one)}
        for one in told:
            day = LAST + DAY if is_expected else date.fromisoformat(one["firstDay"])
            assert Fraction(one["rate"]) == books.rate(one["currency"], into, day)
            same = ("identity", None)
            assert (one["source"], one["rateDate"]) == same if one["currency"] == into else one["source"] == "TEST"
        sums = [one for one in found["conversions"] if one["isExpected"] is is_expected]
        assert sum((Fraction(one["converted"]) for one in sums), Fraction(0)) == total
        for one in sums:
            of = [rate for rate in told if rate["currency"] == one["currency"]]
            assert Fraction(one["amount"]) == sum((Fraction(rate["amount"]) for rate in of), Fraction(0))
            values = sorted(Fraction(rate["rate"]) for rate in of)
            assert [Fraction(one["lowestRate"]), Fraction(one["highestRate"])] == [values[0], values[-1]]
            dates = sorted(rate["rateDate"] or "" for rate in of)
            assert [one["firstRateDate"] or "", one["lastRateDate"] or ""] == [dates[0], dates[-1]]
    newest = {one["rateDate"] for one in found["rates"] if one["isExpected"] and one["currency"] != into}
    assert newest == {str(QUOTED)}
    lower, upper = Fraction(found["lower80"]), Fraction(found["upper80"])
    assert lower <= Fraction(found["forecast"]) <= upper


def test_filters_of_a_currency_are_shown_as_they_were_given(books: Books) -> None:
    given = {"name": "shown", "amount": "1", "currency": "EUR", "filters": [{"currency": ["XUS"]}]}
    found = books.customer.data(CREATE, budget=given)["createBudget"]["budget"]
    assert found["filters"] == [{"currency": ["XUS"], "service": None}]


def test_a_missing_rate_is_told_and_blocks_no_other_budget(world: World) -> None:
    """Of a currency that nobody quotes, on two days; zero needs no rate."""
    quote(world, quotes(1))
    customer = world.customer("operator")
    lost = [Charge(date(2026, 4, day), Decimal(day - 2), currency="XLO") for day in (2, 3, 4)]
    publish(customer, [*charged(3, ("EUR", "XUS")), *lost])
    made(customer, name="all")
    made(customer, name="euros", filters=[{"currency": ["EUR"]}])
    found = customer.data(STATUS, asOf=AS_OF.isoformat())["budgetStatus"]
    assert [one["budget"]["name"] for one in found["nodes"]] == ["euros"]
    assert found["unusable"] == [
        {
            "name": "all",
            "problem": "There is no rate from XLO to EUR on days from 2026-04-03 to 2026-04-04, at most 7 days old, so what is spent"
            " cannot be told. Run `optiinfra rates update`, or set a rate of your own with `optiinfra rates override`.",
        }
    ]
    world.metadata.rates.update("TEST", [(date(2026, 4, 1), "XLO", Decimal(4))])
    both = customer.data(STATUS, asOf=AS_OF.isoformat())["budgetStatus"]
    assert [one["budget"]["name"] for one in both["nodes"]] == ["all", "euros"]
    (lost_rate,) = (one for one in both["nodes"][0]["rates"] if one["currency"] == "XLO" and not one["isExpected"])
    assert lost_rate == {
        "currency": "XLO",
        "rate": "0.25",
        "rateDate": "2026-04-01",
        "source": "TEST",
        "amount": "3",
        "firstDay": "2026-04-03",
        "lastDay": "2026-04-04",
        "isExpected": False,
    }


def test_without_a_rate_for_days_to_come_what_is_spent_is_told_and_nothing_forecast(world: World) -> None:
    """The last quote converts costs of eleven days before the last known one, and nothing later."""
    customer = world.customer("operator")
    world.metadata.rates.update("TEST", [(date(2026, 3, 30), "XOL", Decimal(2))])
    days = [day for day in DAYS if day >= date(2026, 4, 1)]
    publish(customer, [Charge(day, Decimal(4 if day.day < 6 else 0), currency="XOL") for day in days])
    found = status(customer, made(customer, name="all"))
    assert (found["spent"], found["forecast"], found["probability"]) == ("10", None, None)
    assert found["reason"].startswith("No rate from XOL to EUR is known from 2026-04-13 on, so nothing is forecast.")


def test_a_customers_own_rate_and_method_count_for_it_alone(world: World) -> None:
    quotes_ = quotes(1)
    quote(world, quotes_)
    customers = [world.customer("operator") for _ in range(2)]
    charges = [Charge(day, Decimal(10), currency="XUS") for day in DAYS]
    for one in customers:
        publish(one, charges)
    own, other = ((one, made(one, name="all", cadence="YEARLY")) for one in customers)
    before = [status(*one)["spent"] for one in (own, other)]
    assert before[0] == before[1]
    rates = world.metadata.rates
    of_customer = {"customer_id": own[0].customer_id, "actor": ACTOR}
    rates.override(date(2026, 4, 1), "XUS", "EUR", Decimal("0.5"), **of_customer, reopen=True)
    found = status(*own)
    april = {one["rate"]: one for one in found["rates"] if one["source"] == "override"}
    assert april.keys() == {"0.5"}
    assert [one["amount"] for one in found["rates"] if one["source"] == "override" and not one["isExpected"]] == ["200"]
    books = Books(own[0], charges, quotes_)
    assert Fraction(found["spent"]) == 100 + books.spent("EUR", lambda one: one.day.month < 4)
    rates.set_method("month", **of_customer)
    by_month = Fraction(status(*own)["spent"])
    average = [
        (lambda found: Fraction(round(len(found) / sum(map(Fraction, found)) * 10**36), 10**36))(
            [rate for day, rate in quotes_["XUS"].items() if (day.year, day.month) == (2026, month)]
        )
        for month in (1, 2, 3)
    ]
    assert by_month == 100 + 10 * sum(rate * days for rate, days in zip(average, (31, 28, 31), strict=True))
    assert status(*other)["spent"] == before[1]


def test_rates_of_a_month_that_has_ended_stay_as_they_were_used(world: World) -> None:
    customer = world.customer("operator")
    world.metadata.rates.update("TEST", [(day, "XFR", Decimal(2)) for day in DAYS if day <= QUOTED])
    publish(customer, [Charge(day, Decimal(1), currency="XFR") for day in DAYS])
    march = made(customer, name="march", cadence="BETWEEN", start="2026-03-01", end="2026-04-01")
    assert status(customer, march)["spent"] == "15.5"
    world.metadata.rates.update("TEST", [(day, "XFR", Decimal(4)) for day in DAYS if day <= QUOTED])
    assert status(customer, march)["spent"] == "15.5"
    later = world.customer("operator")
    publish(later, [Charge(day, Decimal(1), currency="XFR") for day in DAYS])
    again = made(later, name="march", cadence="BETWEEN", start="2026-03-01", end="2026-04-01")
    assert status(later, again)["spent"] == "7.75", "nobody converted its costs before"
