"""Exports in a display currency: CSV and Parquet have converted costs, rates and warnings beside what they have without one."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any, Final

import pytest
from charges import Charge, slice_of
from exporting import Parameters, ask, csv_rows, parquet_rows
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.publications import MEASURES

PERIOD: Final = [("start", "2020-03-01"), ("end", "2020-04-01")]
INTO: Final = [("displayCurrency", "HUF")]
CONVERTED: Final = {"display_currency", "converted_cost", "rate", "first_rate_date", "last_rate_date", "rate_source"}
QUOTES: Final = {
    ("HUF", date(2020, 3, 2)): Decimal("337.57"),
    ("HUF", date(2020, 3, 3)): Decimal("336.5"),
    ("PLN", date(2020, 3, 2)): Decimal("4.3138"),
    ("PLN", date(2020, 3, 3)): Decimal("4.2955"),
}
CHARGES: Final = [
    Charge(date(2020, 3, 2), Decimal("10.123456789012345678"), currency="EUR", resource="a", tags={"team": "web"}),
    Charge(date(2020, 3, 3), Decimal("7"), currency="EUR", resource="b"),
    Charge(date(2020, 3, 2), Decimal("-3.3"), currency="PLN", resource="a", service="Storage", tags={"team": "web"}),
    Charge(date(2020, 3, 8), Decimal("100"), currency="PLN", list_=Decimal("1.5")),
    Charge(date(2020, 3, 9), Decimal("0.5"), currency="HUF", resource="a"),
]
LOST: Final = Charge(date(2020, 3, 20), Decimal("1"), currency="PLN", service="Late", resource="c")


def rate(currency: str, day: date) -> Fraction:
    """What one unit is in HUF."""
    quoted = min(day, date(2020, 3, 3))
    if currency == "HUF":
        return Fraction(1)
    return Fraction(QUOTES["HUF", quoted]) / (Fraction(QUOTES["PLN", quoted]) if currency == "PLN" else 1)


def exact(charges: list[Charge]) -> Decimal:
    """What charges are in HUF, rounded once to 18 digits."""
    total = sum((Fraction(one.billed) * rate(one.currency, one.day) for one in charges), Fraction(0))
    return Decimal(round(total * 10**18)).scaleb(-18)


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """A month of three currencies, and one charge so late that no rate is left."""
    world.metadata.rates.update("ECB", [(day, code, value) for (code, day), value in QUOTES.items()])
    customer = world.customer()
    customer.publish(slice_of(customer.customer_id, "one", BillingPeriod(2020, 3)), [*CHARGES, LOST])
    return customer


def both(world: World, customer: Customer, what: str, more: Parameters) -> list[dict[str, Any]]:
    """The rows of an export as Parquet has them, after CSV was found to have the same."""
    csv, parquet = (ask(world, customer.token, f"{what}.{form}", more) for form in ("csv", "parquet"))
    assert (csv.status_code, parquet.status_code) == (200, 200), csv.text
    rows, texts = parquet_rows(parquet.content), csv_rows(csv.content)
    for row, line in zip(rows, texts, strict=True):
        for name, value in row.items():
            if isinstance(value, Decimal):
                assert Decimal(line[name]) == value, name
            elif value is None or isinstance(value, str):
                assert line[name] == (value or ""), name
    return rows


@pytest.mark.parametrize("tag", [False, True])
@pytest.mark.parametrize("what", ["total", "trends", "by-type", "by-resource"])
def test_sums_are_those_of_converted_days(world: World, customer: Customer, what: str, tag: bool) -> None:
    filters = [("tagKey", "team"), ("tagValue", "web"), ("tagValue", "")] if tag else []
    grouped = [("groupBy", "SERVICE"), ("granularity", "MONTHLY")] if what == "trends" else []
    plain = both(world, customer, what, [*PERIOD, *filters, *grouped])
    found = both(world, customer, what, [*PERIOD, *filters, *grouped, *INTO])
    assert [{name: row[name] for name in plain[0]} for row in found] == plain
    assert set(found[0]) - set(plain[0]) == CONVERTED | {"conversion_warning"}
    lost = [row for row in found if row["converted_cost"] is None]
    assert {row["currency"] for row in lost} == {"PLN"}
    assert {row["conversion_warning"] for row in lost} == {
        "No rate from PLN to HUF on 1 days from 2020-03-20 to 2020-03-20"
    }
    kept = [row for row in found if row["converted_cost"] is not None]
    assert {row["conversion_warning"] for row in kept} == {None}
    if what in ("trends", "by-resource"):
        total = sum((row["converted_cost"] for row in kept), Decimal(0))
        lost_too = [one for one in CHARGES if what == "by-resource" or one.service != "Late"]
        assert abs(total - exact(lost_too)) <= Decimal("1e-18") * len(kept)
    (forint,) = [row for row in found if row["currency"] == "HUF"]
    assert (forint["converted_cost"], forint["rate"], forint["rate_source"]) == (Decimal("0.5"), 1, "identity")
    assert (forint["first_rate_date"], forint["last_rate_date"]) == (None, None)
    euro = [row for row in found if row["currency"] == "EUR"]
    if len(euro) == 1:
        assert (euro[0]["rate"], euro[0]["first_rate_date"], euro[0]["last_rate_date"]) == (
            None,
            date(2020, 3, 2),
            date(2020, 3, 3),
        )
        assert euro[0]["converted_cost"] == exact([one for one in CHARGES if one.currency == "EUR"])


def test_line_items_have_each_of_their_costs(world: World, customer: Customer) -> None:
    plain = both(world, customer, "line-items", PERIOD)
    found = both(world, customer, "line-items", [*PERIOD, *INTO])
    assert [{name: row[name] for name in plain[0]} for row in found] == plain
    assert set(found[0]) - set(plain[0]) == {
        *(f"converted_{one}" for one in MEASURES),
        *("display_currency", "rate", "rate_date", "rate_source", "conversion_warning"),
    }
    by_key = {(row["billing_currency"], row["charge_period_start"].date()): row for row in found}
    for one in CHARGES:
        row = by_key[one.currency, one.day]
        assert row["converted_billed_cost"] == exact([one])
        shown = Decimal(round(rate(one.currency, one.day) * 10**18)).scaleb(-18)
        assert row["rate"].quantize(Decimal("1e-18"), ROUND_HALF_EVEN) == shown
        assert row["conversion_warning"] is None
    assert by_key["PLN", date(2020, 3, 8)]["converted_list_cost"] is not None
    assert by_key["EUR", date(2020, 3, 2)]["converted_list_cost"] is None, "it has no list price"
    late = by_key["PLN", LOST.day]
    assert (late["converted_billed_cost"], late["rate"], late["rate_date"]) == (None, None, None)
    assert late["conversion_warning"] == "No rate from PLN to HUF on 2020-03-20"


def test_the_latest_and_no_charges_at_all(world: World, customer: Customer) -> None:
    found = both(world, customer, "latest", INTO)
    assert {(row["currency"], row["converted_cost"]) for row in found} == {
        ("EUR", exact([CHARGES[1]])),
        ("HUF", Decimal("0.5")),
        ("PLN", None),
    }
    assert both(world, customer, "total", [("start", "2019-01-01"), ("end", "2019-02-01"), *INTO]) == []


def test_an_etag_follows_the_rates_and_wrong_currencies_are_refused(world: World, customer: Customer) -> None:
    other = world.customer()
    charge = Charge(date(2020, 4, 2), Decimal(1), currency="EUR")
    other.publish(slice_of(other.customer_id, "one", BillingPeriod(2020, 4)), [charge])
    asked = [("start", "2020-04-01"), ("end", "2020-05-01"), ("displayCurrency", "CZK")]
    first = ask(world, other.token, "total.csv", asked)
    assert ask(world, other.token, "total.csv", asked, If_None_Match=first.headers["ETag"]).status_code == 304
    world.metadata.rates.update("ECB", [(date(2020, 4, 2), "CZK", Decimal(27))])
    second = ask(world, other.token, "total.csv", asked, If_None_Match=first.headers["ETag"])
    assert (second.status_code, csv_rows(second.content)[0]["converted_cost"]) == (200, "27")
    for more, said in (
        ([("displayCurrency", "eur")], "displayCurrency: 'eur' is not accepted"),
        ([("displayCurrency", "EUR"), ("focus", "1.4")], "displayCurrency: goes without focus"),
    ):
        refused = ask(world, customer.token, "line-items.csv", [*PERIOD, *more])
        assert (refused.status_code, said in refused.text) == (400, True), refused.text
