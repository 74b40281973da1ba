"""displayCurrency on every cost query: 36 months in three currencies and one without rates, against fractions of the test's own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import pytest
from charges import Charge, slice_of
from exporting import ask, csv_rows, parquet_rows
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.vault.credential_audit import Actor

FIRST, END = date(2022, 1, 1), date(2025, 1, 1)
PERIOD: Final = {"start": str(FIRST), "end": str(END)}
INTO: Final = "CHF"
LOST: Final = "XTS"
"""A currency that nobody quotes."""
ACTOR: Final = Actor("token", "192.0.2.7")
CONVERTED: Final = "amount currency rate rateDate rateSource firstRateDate lastRateDate"
SUMS: Final = f"cost {{ amount currency converted {{ {CONVERTED} }} }}"
CONVERSION: Final = "conversion { currency method total warnings }"
TOTAL: Final = f"""query Total($period: Period!, $into: String, $filter: CostFilter) {{
  totalCost(period: $period, displayCurrency: $into, filter: $filter) {{ totals {{ {SUMS} }} {CONVERSION} }}
}}"""
TRENDS: Final = f"""query Trends($period: Period!, $into: String, $by: Granularity, $filter: CostFilter) {{
  costTrends(period: $period, displayCurrency: $into, granularity: $by, groupBy: [SERVICE], filter: $filter) {{
    series {{ service currency dates amounts convertedAmounts rates {SUMS} }} {CONVERSION}
  }}
}}"""


def _days() -> list[date]:
    return [FIRST + timedelta(number) for number in range((END - FIRST).days)]


def _quotes(seed: int) -> list[tuple[date, str, Decimal]]:
    """Quotes of two currencies on weekdays; one has a hole of ten days, the other one a day without."""
    dice = random.Random(seed)  # noqa: S311 - repeatable data, not a secret
    hole = [date(2023, 5, 1) + timedelta(number) for number in range(10)]
    return [
        (day, currency, Decimal(dice.randrange(8_000, 12_000)).scaleb(-4))
        for day in _days()
        if day.weekday() < 5
        for currency in ("USD", INTO)
        if not (currency == "USD" and day in hole) and not (currency == INTO and day == date(2023, 7, 5))
    ]


@dataclass(slots=True)
class Books:
    """A customer and what its charges are by an independent computation."""

    customer: Customer
    charges: list[Charge]
    quotes: dict[tuple[str, date], Fraction]

    def rate(self, currency: str, day: date) -> Fraction | None:
        """Of the newest date on which both are quoted, at most seven days before."""
        if currency == INTO:
            return Fraction(1)
        for back in range(8):
            own = Fraction(1) if currency == "EUR" else self.quotes.get((currency, day - timedelta(back)))
            into = self.quotes.get((INTO, day - timedelta(back)))
            if own and into:
                return into / own
        return None

    def sum(self, wanted: Callable[[Charge], bool] = lambda _: True) -> Fraction | None:
        """What charges are in the display currency; None if one has no rate."""
        total = Fraction(0)
        for one in filter(wanted, self.charges):
            rate = self.rate(one.currency, one.day)
            if rate is None:
                return None
            total += Fraction(one.billed) * rate
        return total

    def ask(self, document: str, into: str | None = INTO, **variables: Any) -> Any:
        """The answer of the one field of a document."""
        (found,) = self.customer.data(document, **{"period": PERIOD, "into": into, **variables}).values()
        return found


def same(amount: str | None, exact: Fraction | None) -> bool:
    """Whether an amount is an exact one to the 18th digit."""
    if amount is None or exact is None:
        return amount is None and exact is None
    return round(Fraction(amount) * 10**18) == round(exact * 10**18)


def fractions(amounts: Iterable[str | None]) -> Fraction:
    """The sum of amounts, all of which are there."""
    return sum((Fraction(one or "nothing") for one in amounts), Fraction(0))


@pytest.fixture(scope="module")
def books(world: World) -> Books:
    """Charges of every third day, in the last month also in a currency without rates."""
    dice = random.Random(20261130)  # noqa: S311 - repeatable data, not a secret
    quotes = _quotes(1)
    world.metadata.rates.update("ECB", quotes)
    customer = world.customer("operator")
    charges: list[Charge] = []
    for number in range(36):
        period = BillingPeriod(2022, 1).shift(number)
        for day in range(1, 28, 3):
            charges += [
                Charge(
                    day=period.start.date().replace(day=day),
                    billed=Decimal(dice.randrange(-(10**12), 10**13)).scaleb(-dice.randrange(4, 11)),
                    currency=currency,
                    service=dice.choice(["Compute", "Storage"]),
                    category=dice.choice(["Usage", "Tax"]),
                    resource=dice.choice([None, "machine-1", "machine-2"]),
                    quantity=Decimal(day),
                    unit="Hours",
                )
                for currency in ("CHF", "EUR", "USD", *([LOST] if period == BillingPeriod(2024, 12) else []))
            ]
    for year in (2022, 2023, 2024):
        slice_ = slice_of(customer.customer_id, "one", BillingPeriod(year, 12))
        customer.publish(slice_, [one for one in charges if one.day.year == year])
    return Books(customer, charges, {(currency, day): Fraction(rate) for day, currency, rate in quotes})


KNOWN: Final = {"currency": ["CHF", "EUR", "USD"]}
"""A filter for what has rates, but for days of the hole."""
WHOLE: Final = {"start": "2023-06-01", "end": "2024-12-01"}
"""Days that all have a rate."""


def test_totals_equal_an_independent_computation_to_the_last_digit(books: Books) -> None:
    for period in (WHOLE, {"start": "2022-01-05", "end": "2023-05-01"}):
        start, end = (date.fromisoformat(period[name]) for name in ("start", "end"))
        asked = books.ask(TOTAL, period=period, filter=KNOWN)
        assert asked["conversion"]["warnings"] == []
        assert same(asked["conversion"]["total"], books.sum(lambda one: start <= one.day < end))  # noqa: B023
        for one in asked["totals"]:
            code, shown = one["cost"]["currency"], one["cost"]["converted"]
            exact = books.sum(lambda one: one.currency == code and start <= one.day < end)  # noqa: B023
            assert same(shown["amount"], exact), code
        assert fractions(one["cost"]["converted"]["amount"] for one in asked["totals"]) == Fraction(
            asked["conversion"]["total"]
        )
    chf, eur, _ = asked["totals"]
    assert chf["cost"]["converted"] | {"amount": 0} == {
        "amount": 0,
        "currency": "CHF",
        "rate": "1",
        "rateDate": None,
        "rateSource": "identity",
        "firstRateDate": None,
        "lastRateDate": None,
    }
    assert chf["cost"]["converted"]["amount"] == chf["cost"]["amount"]
    assert (eur["cost"]["converted"]["rate"], eur["cost"]["converted"]["rateSource"]) == (None, "ECB")
    assert eur["cost"]["converted"]["lastRateDate"] == "2023-04-25"


def test_a_missing_rate_is_null_and_a_warning_and_exact_amounts_stay(books: Books) -> None:
    asked, plain = books.ask(TOTAL), books.ask(TOTAL, into=None)
    shown = {one["cost"]["currency"]: one["cost"] for one in asked["totals"]}
    assert {code: one["amount"] for code, one in shown.items()} == {
        one["cost"]["currency"]: one["cost"]["amount"] for one in plain["totals"]
    }
    assert [one["cost"]["converted"] for one in plain["totals"]] == [None] * 4
    assert plain["conversion"] is None
    assert (shown["USD"]["converted"]["amount"], shown["USD"]["converted"]["rate"]) == (None, None)
    assert shown[LOST]["converted"]["amount"] is None
    assert shown["EUR"]["converted"]["amount"] is None, "the first days of 2022 have no quote"
    assert asked["conversion"]["total"] is None
    assert asked["conversion"]["warnings"] == [
        "No rate from EUR to CHF on 2022-01-01: what was charged then is not converted.",
        "No rate from USD to CHF on 3 days from 2022-01-01 to 2023-05-10: what was charged then is not converted.",
        "No rate from XTS to CHF on 9 days from 2024-12-01 to 2024-12-25: what was charged then is not converted.",
    ]


@pytest.mark.parametrize("by", ["DAILY", "WEEKLY", "MONTHLY"])
def test_series_are_the_same_as_without_and_add_up(books: Books, by: str) -> None:
    asked, plain = (books.ask(TRENDS, into=into, by=by, filter=KNOWN) for into in (INTO, None))
    for one, before in zip(asked["series"], plain["series"], strict=True):
        for name in ("service", "currency", "dates", "amounts"):
            assert one[name] == before[name], name
        for day, amount, rate, shown in zip(
            *(one[n] for n in ("dates", "amounts", "rates", "convertedAmounts")), strict=True
        ):
            if by == "DAILY":
                exact = books.rate(one["currency"], date.fromisoformat(day))
                assert (rate is None) == (exact is None)
            if rate is not None:
                assert Fraction(shown) == Fraction(amount) * Fraction(rate)
        if None not in one["convertedAmounts"]:
            assert fractions(one["convertedAmounts"]) == Fraction(one["cost"]["converted"]["amount"])
    whole = books.ask(TRENDS, by=by, filter=KNOWN, period=WHOLE)
    total = books.ask(TOTAL, filter=KNOWN, period=WHOLE)["conversion"]["total"]
    assert whole["conversion"]["total"] == total
    assert fractions(one["cost"]["converted"]["amount"] for one in whole["series"]) == Fraction(total)


@pytest.mark.parametrize("by", ["DAILY", "MONTHLY"])
def test_what_is_held_of_line_items_is_converted_as_derived_tables_are(books: Books, by: str) -> None:
    """The first two periods are asked of ClickHouse, the later ones of memory."""
    of_line_items = KNOWN | {"serviceProvider": [None]}
    for day in range(1, 8):
        period = WHOLE | {"start": f"2023-06-{day:02}"}
        from_line_items = books.ask(TRENDS, by=by, filter=of_line_items, period=period)
        assert from_line_items == books.ask(TRENDS, by=by, filter=KNOWN, period=period)
    series = from_line_items["series"]
    assert len(series) == 6
    total = fractions(one["cost"]["converted"]["amount"] for one in series)
    assert same(from_line_items["conversion"]["total"], total)


RESOURCES: Final = f"""query Resources($period: Period!, $into: String!, $filter: CostFilter) {{
  costsByResource(period: $period, first: 100, displayCurrency: $into, filter: $filter) {{
    nodes {{ resourceId {SUMS} }} {CONVERSION}
  }}
}}"""


def test_every_other_cost_query_adds_up_to_the_same(books: Books) -> None:
    found = books.ask(
        f"""query All($period: Period!, $into: String!, $filter: CostFilter) {{
          costsByType(period: $period, displayCurrency: $into, filter: $filter) {{ types {{ {SUMS} }} {CONVERSION} }}
        }}""",
        period=WHOLE,
        filter=KNOWN,
    )
    total = books.ask(TOTAL, filter=KNOWN, period=WHOLE)["conversion"]["total"]
    assert found["conversion"]["total"] == total
    pages = books.ask(RESOURCES, period=WHOLE, filter=KNOWN)
    assert len(pages["nodes"]) == 9
    assert books.ask(RESOURCES, period=WHOLE, filter=KNOWN | {"serviceProvider": [None]}) == pages, "from line items"
    assert fractions(one["cost"]["converted"]["amount"] for one in pages["nodes"]) == Fraction(total)
    assert pages["conversion"]["total"] is None
    lines = books.ask(
        f"""query Lines($period: Period!, $into: String!, $filter: CostFilter) {{
          costMetrics(period: $period, first: 1000, displayCurrency: $into, filter: $filter) {{
            nodes {{ chargePeriodStart billedCost {{ amount currency converted {{ {CONVERTED} }} }} listCost {{ amount }} }}
            {CONVERSION}
          }}
        }}""",
        period=WHOLE,
        filter=KNOWN,
    )
    assert fractions(one["billedCost"]["converted"]["amount"] for one in lines["nodes"]) == Fraction(total)
    for one in lines["nodes"]:
        cost, day = one["billedCost"], one["chargePeriodStart"][:10]
        assert Fraction(cost["converted"]["amount"]) == Fraction(cost["amount"]) * Fraction(cost["converted"]["rate"])
        assert (cost["converted"]["rateDate"] or day) <= day
    one_resource = books.ask(
        f"""query One($period: Period!, $into: String!, $account: String!) {{
          resource(period: $period, accountId: $account, resourceId: "machine-1", displayCurrency: $into) {{
            series {{ currency: dates amounts convertedAmounts rates {SUMS} }} {CONVERSION}
          }}
        }}""",
        period=WHOLE,
        account=f"{books.customer.customer_id}.one",
    )
    ranked = [one for one in pages["nodes"] if one["resourceId"] == "machine-1"]
    assert Fraction(one_resource["conversion"]["total"]) == fractions(
        one["cost"]["converted"]["amount"] for one in ranked
    )


def test_the_latest_days_and_a_whole_in_the_currency_it_is_billed_in(books: Books) -> None:
    latest = books.ask(
        f"""query Latest($into: String!) {{
          latestCosts(days: 2, displayCurrency: $into) {{
            accounts {{ currency dates amounts convertedAmounts rates {SUMS} }} {CONVERSION}
          }}
        }}""",
        period=None,
    )
    by_code = {one["currency"]: one for one in latest["accounts"]}
    assert by_code["CHF"]["convertedAmounts"] == by_code["CHF"]["amounts"]
    assert by_code["CHF"]["rates"] == ["1", "1"]
    assert by_code[LOST]["convertedAmounts"] == [None, None]
    for day, amount, shown in zip(*(by_code["USD"][n] for n in ("dates", "amounts", "convertedAmounts")), strict=True):
        exact = books.rate("USD", date.fromisoformat(day))
        assert exact is not None
        assert same(shown, Fraction(amount) * exact)
    unknown = books.ask(TOTAL, into=LOST, period=WHOLE, filter={"currency": ["USD"]})
    assert unknown["conversion"]["total"] is None
    assert "No rate from USD to XTS" in unknown["conversion"]["warnings"][0]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_has_the_same_amounts_rounded_once(books: Books, form: str) -> None:
    """Also of three years, whose rates are many for the values of one statement."""
    read = {"csv": csv_rows, "parquet": parquet_rows}[form]

    def rows(what: str, period: dict[str, str]) -> list[dict[str, Any]]:
        asked = [*period.items(), ("displayCurrency", INTO), *(("currency", one) for one in KNOWN["currency"])]
        asked += [("groupBy", "SERVICE")] if what == "trends" else []
        answer = ask(books.customer.world, books.customer.token, f"{what}.{form}", asked)
        assert answer.status_code == 200, answer.text
        return read(answer.content)

    series = books.ask(TRENDS, by="DAILY", filter=KNOWN)["series"]
    expected = {
        (one["service"], one["currency"], day): None if shown is None else round(Fraction(shown) * 10**18)
        for one in series
        for day, shown in zip(one["dates"], one["convertedAmounts"], strict=True)
    }
    found = rows("trends", PERIOD)
    assert expected == {(row["service"], row["currency"], str(row["date"])): _units(row) for row in found}
    assert None in expected.values()
    for row in found:
        lost = f"No rate from {row['currency']} to {INTO} on 1 days from {row['date']} to {row['date']}"
        assert (row["conversion_warning"] or None) == (None if _units(row) is not None else lost)
    for period in (PERIOD, WHOLE):
        start, end = (date.fromisoformat(period[name]) for name in ("start", "end"))
        for row in rows("total", period):
            exact = books.sum(lambda one: one.currency == row["currency"] and start <= one.day < end)  # noqa: B023
            assert _units(row) == (None if exact is None else round(exact * 10**18))
            assert bool(row["conversion_warning"]) == (exact is None)


def _units(row: dict[str, Any]) -> int | None:
    """The converted cost of a row of a file in units of 10**-18."""
    return None if row["converted_cost"] in ("", None) else round(Fraction(row["converted_cost"]) * 10**18)


@pytest.mark.parametrize("code", ["", "chf", "CH", "CHFX", "CHF\n", "1.0"])
def test_what_is_no_currency_is_refused(books: Books, code: str) -> None:
    error = books.customer.error(TOTAL, period=PERIOD, into=code)
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"
    assert "displayCurrency" in error["message"]


def test_new_and_revised_rates_leave_closed_months_as_they_were(world: World) -> None:
    """Months that were seen stay, for the customer that saw them; others, and another method, take the rates there are."""
    rates = world.metadata.rates
    rates.update("ECB", [(date(2021, 3, 1), "SEK", Decimal(10)), (date(2021, 3, 15), "SEK", Decimal(11))])
    seeing, other = world.customer("operator"), world.customer()
    march = BillingPeriod(2021, 3)
    for one in (seeing, other):
        days = [Charge(day=date(2021, 3, day), billed=Decimal(10), currency="EUR") for day in (1, 15, 28)]
        one.publish(slice_of(one.customer_id, "one", march), days)
    period = {"start": "2021-03-01", "end": "2021-04-01"}

    def shown(customer: Customer) -> list[str | None]:
        (one,) = customer.data(TRENDS, period=period, into="SEK", by="DAILY")["costTrends"]["series"]
        found: list[str | None] = one["convertedAmounts"]
        return found

    assert shown(seeing) == ["100", "110", None]
    rates.update("ECB", [(date(2021, 3, 1), "SEK", Decimal(20)), (date(2021, 3, 26), "SEK", Decimal(12))])
    assert shown(seeing) == ["100", "110", "120"], "what was null is filled, nothing else moves"
    assert shown(other) == ["200", "110", "120"]
    rates.set_method("month", customer_id=seeing.customer_id, actor=ACTOR)
    average = Fraction(20 + 11 + 12, 3) * 10
    assert all(same(one, average) for one in shown(seeing))
    rates.update("ECB", [(date(2021, 3, 2), "SEK", Decimal(1))])
    assert all(same(one, average) for one in shown(seeing))
    rates.set_method("day", customer_id=seeing.customer_id, actor=ACTOR)
    assert shown(seeing) == ["100", "110", "120"]
    with pytest.raises(ValueError, match="converted already"):
        rates.override(march.start.date(), "EUR", "SEK", Decimal(3), customer_id=seeing.customer_id, actor=ACTOR)
    rates.override(
        march.start.date(), "SEK", "EUR", Decimal("0.2"), customer_id=seeing.customer_id, actor=ACTOR, reopen=True
    )
    assert shown(seeing) == ["50", "50", "50"], "the other direction is inverted"
    assert shown(other) == ["200", "110", "120"]


_MONEY: Final = f"{{ amount converted {{ {CONVERTED} }} }}"
_EFFECTS: Final = f"priceEffect {_MONEY} usageEffect {_MONEY} exchangeEffect {{ amount currency }}"
COMPARISON: Final = f"""query Comparison($period: Period!, $with: Period!, $into: String, $filter: CostFilter, $limit: Int!) {{
  compareCosts(period: $period, with: $with, displayCurrency: $into, filter: $filter, groupBy: [SERVICE, CHARGE_CATEGORY], limit: $limit) {{
    totals {{ currency before {_MONEY} after {_MONEY} difference {_MONEY} {_EFFECTS} }}
    groups {{ service chargeCategory isOther currency before {_MONEY} after {_MONEY} difference {_MONEY} {_EFFECTS} }} {CONVERSION}
  }}
}}"""


@pytest.mark.parametrize("limit", [1, 9])
def test_a_comparison_is_converted_in_both_periods(books: Books, limit: int) -> None:
    other = {"start": "2022-01-05", "end": "2023-05-01"}
    asked = {"period": WHOLE, "with": other, "filter": KNOWN, "limit": limit}
    found, plain_ = books.ask(COMPARISON, **asked), books.ask(COMPARISON, into=None, **asked)

    def expected(period: dict[str, str], one: dict[str, Any]) -> Fraction:
        amount = books.sum(
            lambda charge: (
                charge.currency == one["currency"]
                and period["start"] <= str(charge.day) < period["end"]
                and one.get("service") in (None, charge.service)
                and one.get("chargeCategory") in (None, charge.category)
            )
        )
        assert amount is not None
        return amount

    for one in [*found["totals"], *(one for one in found["groups"] if not one["isOther"])]:
        before, after = expected(other, one), expected(WHOLE, one)
        for name, amount in (("before", before), ("after", after), ("difference", after - before)):
            assert same(one[name]["converted"]["amount"], amount)
    for total in found["totals"]:
        own = [one for one in found["groups"] if one["currency"] == total["currency"]]
        for name in ("before", "after", "difference", "priceEffect", "usageEffect"):
            assert fractions(one[name]["converted"]["amount"] for one in own) == Fraction(
                total[name]["converted"]["amount"]
            )
        for one in (*own, total):
            parts = [one[name]["converted"]["amount"] for name in ("priceEffect", "usageEffect")]
            moved = one["exchangeEffect"]["amount"]
            assert fractions([*parts, moved]) == Fraction(one["difference"]["converted"]["amount"])
            assert (Fraction(moved) == 0) == (one["currency"] == INTO)
    assert Fraction(found["conversion"]["total"]) == fractions(
        one["difference"]["converted"]["amount"] for one in found["totals"]
    )
    assert [one["difference"]["amount"] for one in found["groups"]] == [
        one["difference"]["amount"] for one in plain_["groups"]
    ]
    assert plain_["conversion"] is plain_["totals"][0]["after"]["converted"] is None


def test_a_comparison_without_a_rate_is_null_and_says_so(books: Books) -> None:
    asked = {
        "period": {"start": "2024-12-01", "end": "2025-01-01"},
        "with": {"start": "2024-11-01", "end": "2024-12-01"},
        "limit": 9,
    }
    found = books.ask(COMPARISON, **asked)
    lost = {one["currency"]: one["difference"]["converted"]["amount"] for one in found["totals"]}
    assert {currency for currency, amount in lost.items() if amount is None} == {LOST}
    assert found["conversion"]["total"] is None
    (warning,) = found["conversion"]["warnings"]
    assert warning.startswith(f"No rate from {LOST} to {INTO}")


BILLING_PERIODS: Final = f"""query Months($from: String!, $to: String!, $into: String, $filter: CostFilter) {{
  costsByBillingPeriod(from: $from, to: $to, displayCurrency: $into, filter: $filter) {{
    months {{ billingPeriod currency invoiced {_MONEY} charged {_MONEY} difference {_MONEY} }} {CONVERSION}
  }}
}}"""


def test_billing_periods_are_converted_by_the_days_of_their_charges(books: Books) -> None:
    """All charges of a year are invoiced in its December."""
    found = books.ask(BILLING_PERIODS, **{"from": "2024-01", "to": "2024-12", "filter": KNOWN})
    for one in found["months"]:
        currency, month = one["currency"], one["billingPeriod"]
        charged = books.sum(
            lambda charge, currency=currency, month=month: (charge.currency, f"{charge.day:%Y-%m}") == (currency, month)
        )
        year = books.sum(lambda charge, currency=currency: (charge.currency, charge.day.year) == (currency, 2024))
        invoiced = year if month == "2024-12" else Fraction(0)
        assert charged is not None and invoiced is not None  # noqa: PT018
        for name, amount in (("charged", charged), ("invoiced", invoiced), ("difference", invoiced - charged)):
            assert same(one[name]["converted"]["amount"], amount)
    assert len(found["months"]) == 36
    assert Fraction(found["conversion"]["total"]) == fractions(
        one["invoiced"]["converted"]["amount"] for one in found["months"]
    )


LIMITED: Final = f"""query Limited($period: Period!, $into: String, $by: Granularity, $filter: CostFilter) {{
  costTrends(period: $period, displayCurrency: $into, granularity: $by, groupBy: [SERVICE], filter: $filter, limit: 1) {{
    series {{ service currency dates amounts convertedAmounts {SUMS} }}
    other {{ currency dates amounts convertedAmounts {SUMS} }} {CONVERSION}
  }}
}}"""


@pytest.mark.parametrize("by", ["DAILY", "MONTHLY"])
def test_what_a_limit_leaves_out_is_converted_too(books: Books, by: str) -> None:
    whole = books.ask(TRENDS, period=WHOLE, filter=KNOWN, by=by)
    found = books.ask(LIMITED, period=WHOLE, filter=KNOWN, by=by)
    assert found["conversion"] == whole["conversion"]
    assert [one["currency"] for one in found["other"]] == ["CHF", "EUR", "USD"]
    for other in found["other"]:
        shown = {one["service"] for one in found["series"] if one["currency"] == other["currency"]}
        (left,) = [
            one for one in whole["series"] if one["currency"] == other["currency"] and one["service"] not in shown
        ]
        assert Fraction(other["cost"]["converted"]["amount"]) == Fraction(left["cost"]["converted"]["amount"])
        amounts = dict(zip(left["dates"], left["convertedAmounts"], strict=True))
        for day, amount in zip(other["dates"], other["convertedAmounts"], strict=True):
            assert Fraction(amount) == Fraction(amounts.get(day, "0"))
