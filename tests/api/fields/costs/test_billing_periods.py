"""What a month is invoiced with is the sum of the line items of its billing period; beside it stands what was used in it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

import charges
import documents
import pytest
from charges import Charge, Groups, Held, slice_of, sum_fields, text
from hypothesis import given, settings
from hypothesis import strategies as st
from summed_costs import FILTERS, GROUPS, customer, matching
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod

__all__ = ["customer"]

EVER = {"start": "2026-01-01", "end": "2027-01-01"}


def _by_month(held: list[Held], groups: Groups, month: Any) -> dict[Any, list[Held]]:
    found = defaultdict(list)
    for one in held:
        found[
            one.charge.currency, month(one), tuple(pair for pair in groups.fields(one) if pair[0] != "billingPeriod")
        ].append(one)
    return found


@settings(max_examples=10)
@given(
    first=st.integers(7, 12),
    months=st.integers(0, 5),
    chosen=FILTERS,
    basis=st.sampled_from(list(charges.BASES)),
    groups=GROUPS,
)
def test_months_are_the_sums_of_their_line_items(
    customer: Customer, first: int, months: int, chosen: dict[str, Any], basis: str, groups: Groups
) -> None:
    chosen = {name: value for name, value in chosen.items() if name != "billingPeriod"}
    begin = BillingPeriod(2026, first)
    asked = {"from": str(begin), "to": str(begin.shift(months)), "filter": chosen, "costBasis": basis}
    found = customer.data(documents.BILLING_PERIODS, **asked, **groups.arguments)["costsByBillingPeriod"]["months"]
    held = matching(customer, EVER, chosen)
    names = [str(begin.shift(number)) for number in range(months + 1)]
    invoiced = _by_month(held, groups, lambda one: str(one.slice.billing_period))
    charged = _by_month(held, groups, lambda one: f"{one.charge.day:%Y-%m}")
    expected = {}
    for key in invoiced.keys() | charged.keys():
        currency, month, values = key
        if month in names:
            own, used = (sum_fields(sums.get(key, []), basis, currency) for sums in (invoiced, charged))
            amounts = [Decimal(one["cost"]["amount"]) for one in (own, used)]
            expected[currency, month, values] = {
                "invoiced": own["cost"],
                "charged": used["cost"],
                "difference": {"amount": text(_difference(*amounts)), "currency": currency},
                "lineItems": own["lineItems"],
                "unpricedLineItems": own["unpricedLineItems"],
                "isFinal": False,
            }
    answered = {}
    for one in found:
        fields = {**one, "tags": one["tags"] and tuple(one["tags"])}
        values = tuple((name, fields[name]) for name, _ in groups.fields(customer.held[0]) if name != "billingPeriod")
        answered[one["currency"], one["billingPeriod"], values] = {name: one[name] for name in documents.OF_A_MONTH}
    assert answered == expected
    assert len(found) == len(expected)
    assert [(one["currency"], one["billingPeriod"]) for one in found] == sorted((key[0], key[1]) for key in expected)


def _difference(amount: Decimal, other: Decimal) -> Decimal:
    with charges.localcontext(prec=100):
        return amount - other


def test_a_month_is_final_when_it_is_in_all_accounts(world: World) -> None:
    customer = world.customer()
    for account, month, is_final in (("one", 8, True), ("two", 8, True), ("one", 9, True), ("two", 9, False)):
        period = BillingPeriod(2026, month)
        slice_ = slice_of(customer.customer_id, account, period)
        customer.publish(slice_, [Charge(date(2026, month, 5), Decimal(3))], is_final=is_final)
    found = customer.data(documents.BILLING_PERIODS, **{"from": "2026-08", "to": "2026-09"})["costsByBillingPeriod"]
    assert {one["billingPeriod"]: one["isFinal"] for one in found["months"]} == {"2026-08": True, "2026-09": False}


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2026-13", "2026-12", "from: '2026-13' is not accepted"),
        ("2026-12", "November", "to: 'November' is not accepted"),
        ("2026-12", "2026-11", "to: '2026-11' is not accepted: from 2026-12 these are 0 months"),
        ("2000-01", "2026-11", "to: '2026-11' is not accepted: from 2000-01 these are 323 months"),
    ],
)
def test_months_that_are_none_are_refused(world: World, first: str, last: str, said: str) -> None:
    assert world.customer().error(documents.BILLING_PERIODS, **{"from": first, "to": last})["message"] == said


def test_the_months_are_said_once(world: World) -> None:
    asked = {"from": "2026-10", "to": "2026-11", "filter": {"billingPeriod": ["2026-10"]}}
    assert (
        world.customer().error(documents.BILLING_PERIODS, **asked)["message"]
        == "filter.billingPeriod: not accepted here"
    )
