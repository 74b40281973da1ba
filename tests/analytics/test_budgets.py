"""Budgets: what is likely, what is certain, and on which day an amount is passed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiinfra_assets.analytics.budgets import BudgetRule, Outlook, RuleKind, Standing, budget_status, is_met
from optiinfra_assets.analytics.cost_history import CostHistory
from optiinfra_assets.analytics.forecast import forecast
from optiinfra_assets.domain.day_span import DaySpan

FIRST = date(2026, 4, 1)
SPENT = [(FIRST + timedelta(days=index), Decimal(10)) for index in range(10)]
OUTLOOK = Outlook(date(2026, 4, 11), [Decimal(10)] * 20, (Decimal(180), Decimal(220)), (Decimal(170), Decimal(230)))
MONEY = st.decimals(0, 1_000_000, places=2)


def test_a_budget_tells_what_is_spent_and_what_will_be() -> None:
    """300 at the end, within 280 and 320 in four of five cases."""
    status = budget_status(Decimal(300), SPENT, OUTLOOK)
    assert (status.spent, status.forecast, status.used) == (100, 300, Decimal("0.3333"))
    assert status.within_80 == (280, 320)
    assert status.probability == pytest.approx(0.5)
    assert [budget_status(Decimal(amount), SPENT, OUTLOOK).probability for amount in (280, 320, 330)] == pytest.approx(
        [0.9, 0.1, 0.025]
    )


def test_days_that_are_final_for_some_accounts_only_are_one_day() -> None:
    """One account is final to the tenth, another to the fourth: what it still brings comes on its own days, not after them."""
    outlook = Outlook(date(2026, 4, 5), [Decimal(1)] * 26, None, None)
    status = budget_status(Decimal(94), SPENT, outlook)
    assert (status.spent, status.passed_on) == (100, date(2026, 4, 9))  # 90 spent, and 5 to come until then
    assert budget_status(Decimal("100.5"), SPENT, outlook).passed_on == date(2026, 4, 10)


def test_a_tiny_amount_is_used_by_a_large_one() -> None:
    """The part has more digits than Python's default context holds."""
    amount = Decimal(1).scaleb(-18)
    assert budget_status(amount, [(FIRST, Decimal("12345678901.5"))], OUTLOOK).used == Decimal("12345678901.5E18")


@pytest.mark.parametrize(
    ("amount", "passed", "standing"),
    [
        (95, date(2026, 4, 10), Standing.OVER),
        (100, date(2026, 4, 11), Standing.LIKELY_OVER),
        (295, date(2026, 4, 30), Standing.LIKELY_OVER),
        (300, None, Standing.WITHIN),
        (400, None, Standing.WITHIN),
    ],
)
def test_the_day_is_told_on_which_an_amount_is_passed(amount: int, passed: date | None, standing: Standing) -> None:
    """An amount that is met to the cent is not passed."""
    status = budget_status(Decimal(amount), SPENT, OUTLOOK)
    assert (status.passed_on, status.standing) == (passed, standing)


@settings(max_examples=60, deadline=None)
@given(MONEY, MONEY, MONEY, MONEY, MONEY)
def test_a_larger_amount_is_never_more_likely_to_be_passed(
    low: Decimal, more: Decimal, expected: Decimal, near: Decimal, far: Decimal
) -> None:
    """Whatever the bounds are, also those of nothing and those that end at zero."""
    bounds = [(max(expected - width, Decimal(0)), expected + width) for width in (near, near + far)]
    outlook = Outlook(FIRST, [expected], bounds[0], bounds[1])
    less, larger = (budget_status(amount, [], outlook).probability for amount in (low, low + more))
    assert less is not None
    assert larger is not None
    assert 0 <= larger <= less <= 1


def test_what_is_over_is_certain_and_what_has_no_bounds_has_no_probability() -> None:
    """After the last day nothing is likely any more; a run-rate has no bounds, and a rule on probability is silent then."""
    ended = Outlook(date(2026, 4, 11), [], None, None)
    assert [budget_status(Decimal(amount), SPENT, ended).probability for amount in (99, 100)] == [1.0, 0.0]
    unknown = budget_status(Decimal(250), SPENT, replace(OUTLOOK, within_80=None, within_95=None))
    assert (unknown.probability, unknown.standing) == (None, Standing.LIKELY_OVER)
    rules = [BudgetRule(kind, Decimal("0.5")) for kind in RuleKind]
    assert [is_met(rule, unknown) for rule in rules] == [False, True, False]
    assert [is_met(rule, budget_status(Decimal(250), SPENT, OUTLOOK)) for rule in rules] == [False, True, True]
    assert is_met(rules[0], budget_status(Decimal(199), SPENT, OUTLOOK))


def test_a_forecast_is_an_outlook() -> None:
    """Its days and bounds, as they are, of costs around 100 a day against 3,000 and 3,300 in June."""
    usage = 100 * (1 + np.random.default_rng(1).normal(0, 0.05, (1, 160)))
    found = forecast(
        CostHistory.of_daily(date(2026, 1, 1), usage), {"rest": DaySpan(date(2026, 6, 10), date(2026, 7, 1))}
    )
    spent = [(date(2026, 6, 1 + index), Decimal(100)) for index in range(9)]
    within_80, within_95 = found.bounds("rest", 0)
    outlook = Outlook(
        date(2026, 6, 10), [found.amount(cost) for cost in next(iter(found.parts.values()))[0]], within_80, within_95
    )
    assert outlook.expected == found.total("rest", 0)
    near, far = (budget_status(Decimal(amount), spent, outlook).probability for amount in (3000, 3300))
    assert near is not None
    assert far is not None
    assert 0.05 < near < 0.95
    assert far < 0.01
