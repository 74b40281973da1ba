"""What a budget counts of several currencies: exact, by the rates that it names, and nothing where one is missing."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiinfra_assets.analytics.budget_rates import (
    BudgetRates,
    DayCost,
    ExpectedCosts,
    RatesMissing,
    combined,
    months_between,
    spent_in,
)
from optiinfra_assets.analytics.budgets import Outlook
from optiinfra_assets.analytics.currency import OVERRIDE, Rate

FIRST, TODAY, END = date(2026, 4, 1), date(2026, 4, 21), date(2026, 6, 1)
DAY = timedelta(days=1)
DAYS = [FIRST + number * DAY for number in range((END - FIRST).days)]
MONEY = st.decimals(-(10**12), 10**12, places=18)
RATE = st.decimals(Decimal("0.000001"), 10**6, places=36)
NAMES = ("EUR", "USD", "JPY")


def rates(usd: dict[date, Rate], jpy: dict[date, Rate] | None = None) -> BudgetRates:
    """Rates into euros; a day that is not there has none."""
    found = {"USD": usd, "JPY": jpy or {}}
    return BudgetRates("EUR", TODAY, {name: {day: of.get(day) for day in DAYS} for name, of in found.items()})


def quoted(value: Decimal | str, day: date = FIRST, source: str = "ECB") -> Rate:
    """A rate of a day."""
    return Rate(Decimal(value), day, source)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(DAYS[:20]), st.sampled_from(NAMES), MONEY), max_size=40),
    st.lists(RATE, min_size=20, max_size=20),
    st.lists(RATE, min_size=20, max_size=20),
)
def test_what_is_spent_is_the_sum_of_all_costs_at_their_rates_to_the_last_digit(
    costs: list[tuple[date, str, Decimal]], usd: list[Decimal], jpy: list[Decimal]
) -> None:
    known = {"USD": dict(zip(DAYS, usd, strict=False)), "JPY": dict(zip(DAYS, jpy, strict=False))}
    given_rates = rates(*({day: quoted(rate, day) for day, rate in of.items()} for of in known.values()))
    days, used = spent_in([DayCost(*one) for one in costs], given_rates)
    exact = sum(
        (
            Fraction(amount) * (1 if currency == "EUR" else Fraction(known[currency][day]))
            for day, currency, amount in costs
        ),
        Fraction(0),
    )
    assert sum((Fraction(amount) for _, amount in days), Fraction(0)) == exact
    assert sum((Fraction(one.amount) * Fraction(one.rate.value) for one in used), Fraction(0)) == exact
    assert [day for day, _ in days] == sorted({day for day, _, amount in costs if amount})
    assert not any(one.is_expected for one in used)


def test_costs_without_a_rate_are_told_by_currency_and_day_and_costs_of_zero_need_none() -> None:
    costs = [
        DayCost(FIRST, "EUR", Decimal(1)),
        DayCost(FIRST, "JPY", Decimal(100)),
        DayCost(FIRST + DAY, "JPY", Decimal(100)),
        DayCost(FIRST + DAY, "USD", Decimal(1)),
        DayCost(FIRST + 2 * DAY, "USD", Decimal(0)),
    ]
    with pytest.raises(RatesMissing) as missing:
        spent_in(costs, rates({}))
    assert str(missing.value) == (
        "There is no rate from JPY to EUR on days from 2026-04-01 to 2026-04-02 and from USD to EUR on 2026-04-02,"
        " at most 7 days old, so what is spent cannot be told"
    )
    days, _ = spent_in(costs[-1:], rates({}))
    assert days == []


def outlook(amounts: list[str], bounds: tuple[str, str] | None = None, first: date = TODAY) -> Outlook:
    """What is expected from a day on, within the same bounds of both levels."""
    around = None if bounds is None else (Decimal(bounds[0]), Decimal(bounds[1]))
    return Outlook(first, [Decimal(one) for one in amounts], around, around)


def test_days_to_come_are_converted_by_the_newest_rate_and_a_customers_own_goes_before() -> None:
    """Quoted until the 17th, carried until the 24th; May has a rate of the customer's own."""
    quote = quoted("0.9", date(2026, 4, 17))
    own = quoted("0.5", date(2026, 5, 1), OVERRIDE)
    usd = dict.fromkeys(DAYS[16:24], quote) | {day: own for day in DAYS if day.month == 5}
    expected = [
        ExpectedCosts("USD", TODAY - DAY, outlook(["10"] * 12, ("100", "140")), "model"),
        ExpectedCosts("EUR", TODAY - 3 * DAY, outlook(["1"] * 14, ("13", "16"), TODAY - 2 * DAY), "model"),
    ]
    found, reason, used = combined(expected, rates(usd), date(2026, 5, 3))
    assert found is not None
    assert (found.first_day, len(found.daily), reason) == (TODAY - 2 * DAY, 14, "model")
    assert found.expected == 10 * 9 + 2 * 5 + 14
    assert [one.amount * one.rate.value for one in used] == [14, 90, 10]
    assert [(one.rate.day, one.first_day, one.last_day) for one in used[1:]] == [
        (date(2026, 4, 17), TODAY, date(2026, 4, 30)),
        (date(2026, 5, 1), date(2026, 5, 1), date(2026, 5, 2)),
    ]
    assert all(one.is_expected for one in used)
    assert found.within_80 == (100 - Decimal(20) * Decimal("0.9") + 13, 100 + Decimal(20) * Decimal("0.9") + 16)


def test_an_old_rate_is_carried_to_the_last_known_day_and_no_further() -> None:
    """Costs are known to the 10th: a quote of the 3rd converts what is expected, one of the 2nd nothing."""
    known_to = date(2026, 4, 10)
    expected = [ExpectedCosts("USD", known_to, outlook(["10"] * 3), "run-rate")]
    third, second = quoted("2", date(2026, 4, 3)), quoted("2", date(2026, 4, 2))
    found, _, used = combined(expected, rates(dict.fromkeys(DAYS[2:10], third)), TODAY + 3 * DAY)
    assert found is not None
    assert (found.expected, used[0].rate) == (60, third)
    none, reason, used = combined(expected, rates(dict.fromkeys(DAYS[1:9], second)), TODAY + 3 * DAY)
    assert (none, used) == (None, [])
    assert reason == (
        "No rate from USD to EUR is known from 2026-04-03 on, so nothing is forecast. Run `optiinfra rates update`, or set a"
        " rate of your own with `optiinfra rates override`."
    )


def test_without_bounds_or_forecast_of_one_currency_there_are_none_of_all() -> None:
    one, other = (ExpectedCosts("EUR", TODAY, outlook(["1"], ("1", "2")), "model"), "USD")
    usd = rates({day: quoted("2") for day in DAYS})
    found, reason, _ = combined([one, ExpectedCosts(other, TODAY, outlook(["1"]), "short")], usd, TODAY + DAY)
    assert found is not None
    assert (found.expected, found.within_80, reason) == (3, None, "EUR: model USD: short")
    assert combined([one, ExpectedCosts(other, TODAY, None, "none")], usd, TODAY + DAY) == (None, "USD: none", [])
    done = Outlook(END, (), None, None)
    ended, reason, _ = combined([ExpectedCosts(name, TODAY, done, "over") for name in NAMES], usd, END)
    assert (ended, reason) == (Outlook(END, (), None, None), "over")


def test_months_are_those_from_one_day_to_another() -> None:
    assert months_between(date(2025, 11, 30), date(2026, 2, 1)) == ["2025-11", "2025-12", "2026-01", "2026-02"]
    assert months_between(FIRST, FIRST) == ["2026-04"]
