"""Rates and converted sums against arithmetic of their own: fractions, which have no digits to lose."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiinfra_assets.analytics.currency import (
    OVERRIDE,
    SAME,
    PairRates,
    Quotes,
    Rate,
    RateMethod,
    converted,
    converted_sum,
    final_rates,
    inverse,
    month_rates,
)
from optiinfra_assets.domain.accounts import BillingPeriod

DAY, MONTH = RateMethod.DAY, RateMethod.MONTH
START = date(2024, 1, 1)
DIGIT = Decimal("1e-18")
AMOUNTS = st.decimals(-(10**19), 10**19, places=18)


def days(count: int) -> list[date]:
    """Days from `START`."""
    return [START + timedelta(number) for number in range(count)]


def quoted(random: Random) -> Quotes:
    """Quotes of a currency in three years, with holes of up to three weeks."""
    found, day = {}, 0
    while day < 1096:
        found[START + timedelta(day)] = (Decimal(random.randint(1, 10**8)).scaleb(-4), "ECB")
        day += random.choice((1, 1, 1, 3, 5, 9, 21))
    return found


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32))
def test_three_years_of_three_currencies_equal_an_independent_computation_to_the_last_digit(seed: int) -> None:
    """Each charge by the newest date, at most 7 days before, on which both currencies were quoted; a day without one has no rate."""
    random = Random(seed)  # noqa: S311 - a test that can be repeated
    usd, chf = quoted(random), quoted(random)
    expected, parts = Fraction(0), []
    for currency, own in (("USD", usd), ("EUR", None), ("CHF", chf)):
        pair = PairRates(own, chf)
        for day in days(1096):
            amount = Decimal(random.randint(-(10**15), 10**15)).scaleb(-10)
            rate = SAME if currency == "CHF" else pair.rate(day, DAY)
            recent = [day - timedelta(back) for back in range(8)]
            both = next((one for one in recent if one in chf and (own is None or one in own)), None)
            if currency == "CHF":
                expected += Fraction(amount)
            elif both is None:
                assert rate is None
                continue
            else:
                expected += Fraction(amount) * Fraction(chf[both][0]) / (Fraction(own[both][0]) if own else 1)
            parts.append((amount, rate))
    with localcontext() as context:
        context.prec = 90
        exact = Decimal(expected.numerator) / Decimal(expected.denominator)
        found = converted_sum(parts).amount
        assert found is not None
        assert found.quantize(DIGIT, ROUND_HALF_EVEN) == exact.quantize(DIGIT, ROUND_HALF_EVEN)


@given(parts=st.lists(st.tuples(AMOUNTS, st.integers(1, 10**40)), min_size=1, max_size=30))
def test_a_converted_sum_is_the_sum_of_what_is_shown_of_its_parts(parts: list[tuple[Decimal, int]]) -> None:
    rated = [(amount, Rate(Decimal(f"{value}e-36"), START, "ECB")) for amount, value in parts]
    whole = converted_sum(rated)
    shown = [converted(amount, rate) for amount, rate in rated]
    assert whole.amount is not None
    assert Fraction(whole.amount) == sum(Fraction(one) for one in shown if one is not None)
    assert (whole.rate is None) == (len({value for _, value in parts}) > 1)


def test_an_average_is_that_of_the_quotes_of_the_month_and_the_same_on_each_of_its_days() -> None:
    usd = {date(2024, 1, 2): (Decimal("1.1"), "ECB"), date(2024, 1, 31): (Decimal("1.2"), "ECB")}
    chf = {date(2024, 1, 2): (Decimal("0.9"), "ECB"), date(2024, 1, 31): (Decimal("0.8"), "bank")}
    pair = PairRates(usd, chf)
    assert pair.rate(date(2024, 1, 1), MONTH) is None, "nothing was quoted before"
    first, last = (pair.rate(date(2024, 1, day), MONTH) for day in (2, 31))
    assert first == last == Rate(Decimal("0." + "739130434782608695652173913043478261"), date(2024, 1, 31), "ECB, bank")
    assert pair.rate(date(2024, 1, 10), MONTH) is None, "the last quote is 8 days old"
    assert pair.rate(date(2024, 2, 3), MONTH) == pair.rate(date(2024, 1, 31), DAY), "no quote of February yet"


@pytest.mark.parametrize(("age", "is_there"), [(0, True), (7, True), (8, False)])
def test_a_rate_is_carried_seven_days_and_never_made_up(age: int, is_there: bool) -> None:
    pair = PairRates({START: (Decimal("1.25"), "ECB")}, None)
    rate = pair.rate(START + timedelta(age), DAY)
    assert (rate == Rate(Decimal("0.8"), START, "ECB")) if is_there else rate is None
    assert converted(Decimal(1), None) is None
    assert converted_sum([(Decimal(1), SAME), (Decimal(0), None)]).amount is None
    assert PairRates({}, None).rate(START, DAY) is None


def test_what_is_final_of_a_month() -> None:
    """A month that has ended, but for days whose own quote may still come, and an average as long as it may move."""
    january = BillingPeriod(2024, 1)
    pair = PairRates({day: (Decimal(2), "ECB") for day in days(29)}, None)  # to 29 January, a Monday
    rates = month_rates(pair, january, DAY, None)
    assert final_rates(rates, date(2024, 1, 31), pair.newest, DAY) == {}, "the month has not ended"
    assert sorted(final_rates(rates, date(2024, 2, 1), pair.newest, DAY)) == days(29)
    assert sorted(final_rates(rates, date(2024, 2, 1), date(2024, 2, 1), DAY)) == days(31), "no quote is to come"
    assert sorted(final_rates(rates, date(2024, 2, 8), pair.newest, DAY)) == days(31), "nobody waits for ever"
    averages = month_rates(pair, january, MONTH, None)
    assert final_rates(averages, date(2024, 2, 1), pair.newest, MONTH) == {}
    assert len(final_rates(averages, date(2024, 2, 8), pair.newest, MONTH)) == 31
    own = month_rates(pair, january, DAY, Decimal(3))
    assert set(own.values()) == {Rate(Decimal(3), START, OVERRIDE)}
    assert len(final_rates(own, date(2024, 2, 1), pair.newest, DAY)) == 31


def test_the_other_direction_is_rounded_once() -> None:
    assert inverse(Decimal("0.8")) == Decimal("1.25")
    assert str(inverse(Decimal(3))) == "0." + "3" * 36
