"""One resource: its days agree with the charges that name it, and what is known of it is of the newest."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import charges
import pytest
from charges import Charge, slice_of
from hypothesis import given, settings
from hypothesis import strategies as st
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod

RESOURCE = """query($account: String!, $id: String!, $period: Period!, $costBasis: CostBasis, $asOf: DateTime) {
  resource(accountId: $account, resourceId: $id, period: $period, costBasis: $costBasis, asOf: $asOf) {
    provider account resourceId name type services regions subAccounts tags firstSeen lastSeen
    series { dates amounts cost { amount currency } lineItems unpricedLineItems }
    dataThrough isComplete publishedAt isSimulated
  }
}"""
FIRST = date(2026, 7, 20)


def _charge(dice: random.Random, period: BillingPeriod) -> Charge:
    """One of a month, or of the month before its invoice."""
    price = Decimal(dice.randrange(-(10**9), 10**9)).scaleb(-dice.randrange(9))
    return Charge(
        period.start.date() + timedelta(days=dice.randrange(-10, 28)),
        price,
        effective=price / 2,
        list_=dice.choice([None, price * 2]),
        currency=dice.choice(["USD", "EUR"]),
        service=dice.choice(["Compute", "Storage"]),
        region=dice.choice(["eu-west-1", None]),
        resource=dice.choice([None, "a", "b", "c"]),
        tags={"month": str(period)},
    )


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """Two accounts with resources of the same ids; c is not charged for at the end."""
    dice = random.Random(20261130)  # noqa: S311 - repeatable data, not a secret
    customer = world.customer()
    slices = {}
    for account in ("one", "two"):
        for month in (8, 9, 10):
            period = BillingPeriod(2026, month)
            found = [_charge(dice, period) for _ in range(40)]
            kept = [one for one in found if month < 10 or one.resource != "c"]
            slices[slice_of(customer.customer_id, account, period, "aws")] = kept
    customer.publish_all(slices)
    return customer


def _asked(customer: Customer, id_: str, account: str = "one", **more: Any) -> Any:
    period = {"start": "2026-08-01", "end": "2026-11-01"}
    variables = {"account": f"{customer.customer_id}.{account}", "id": id_, "period": period, **more}
    return customer.data(RESOURCE, **variables)["resource"]


@settings(max_examples=12)
@given(
    account=st.sampled_from(["one", "two"]),
    id_=st.sampled_from(["a", "b", "c"]),
    days=st.tuples(st.integers(0, 100), st.integers(1, 100)),
    basis=st.sampled_from(list(charges.BASES)),
)
def test_its_days_are_those_of_its_charges(
    customer: Customer, account: str, id_: str, days: tuple[int, int], basis: str
) -> None:
    start, end = FIRST + timedelta(days[0]), FIRST + timedelta(sum(days))
    account_id = f"{customer.customer_id}.{account}"
    its = [one for one in customer.held if (one.slice.account_id, one.charge.resource) == (account_id, id_)]
    found = _asked(customer, id_, account, period={"start": str(start), "end": str(end)}, costBasis=basis)
    held = [one for one in its if start <= one.charge.day < end]
    names = ("dates", "amounts", "cost", "lineItems", "unpricedLineItems")
    expected = charges.trends(held, basis, "DAILY", charges.Groups([]))
    assert found["series"] == [{name: one[name] for name in names} for one in expected]
    days_ = [one.charge.day for one in its]
    assert (found["firstSeen"], found["lastSeen"]) == (str(min(days_)), str(max(days_)))
    newest = max(one.slice.billing_period for one in its)
    last = [one.charge for one in its if one.slice.billing_period == newest]
    assert found["services"] == sorted({one.service for one in last})
    assert found["regions"] == sorted({one.region for one in last} - {None})
    assert (found["provider"], found["name"], found["type"]) == ("aws", f"Name of {id_}", "Machine")
    newest_day = max(one.charge.start for one in its)
    assert found["tags"] in [one.charge.tags for one in its if one.charge.start == newest_day]


@pytest.mark.parametrize("id_", ["d", "", "a' OR 1 --", "\N{PILE OF POO}"])
def test_what_no_charge_names_is_none(customer: Customer, id_: str) -> None:
    assert _asked(customer, id_) is None


def test_an_account_that_is_none_has_no_resource(customer: Customer) -> None:
    assert _asked(customer, "a", "three") is None


def test_it_is_as_it_was_at_an_instant(world: World) -> None:
    customer = world.customer()
    slice_ = slice_of(customer.customer_id, "one", BillingPeriod(2026, 10))
    charge = Charge(date(2026, 10, 5), Decimal(3), resource="a", tags={"team": "web", "empty": None})
    customer.publish(slice_, [charge])
    before = datetime.now(UTC).isoformat()
    customer.publish(slice_, [charge, Charge(date(2026, 10, 6), Decimal(4), resource="a")])
    now, then = _asked(customer, "a"), _asked(customer, "a", asOf=before)
    assert (now["series"][0]["cost"]["amount"], now["lastSeen"], now["tags"]) == ("7", "2026-10-06", {})
    assert (then["series"][0]["cost"]["amount"], then["lastSeen"]) == ("3", "2026-10-05")
    assert then["tags"] == {"team": "web", "empty": None}


def test_a_period_that_is_none_is_refused(customer: Customer) -> None:
    account = f"{customer.customer_id}.one"
    error = customer.error(RESOURCE, account=account, id="a", period={"start": "2026-10-02", "end": "2026-10-02"})
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"


SEEN = """query($period: Period!, $filter: CostFilter, $after: String) {
  costsByResource(period: $period, filter: $filter, first: 2, after: $after) {
    nodes { account resourceId firstSeen lastSeen } pageInfo { hasNextPage endCursor }
  }
}"""


@settings(max_examples=8)
@given(
    days=st.tuples(st.integers(0, 100), st.integers(1, 100)),
    accounts=st.sampled_from([["one"], ["one", "two"]]),
    services=st.sampled_from([["Compute"], ["Compute", "Storage"]]),
)
def test_every_resource_of_a_list_is_seen_from_its_first_to_its_last_charge(
    customer: Customer, days: tuple[int, int], accounts: list[str], services: list[str]
) -> None:
    """Whatever the period and the filter of the list; two accounts may have resources of the same id."""
    start, end = FIRST + timedelta(days[0]), FIRST + timedelta(sum(days))
    ids = [f"{customer.customer_id}.{name}" for name in accounts]
    asked = {"period": {"start": str(start), "end": str(end)}, "filter": {"account": ids, "service": services}}
    found, after, is_more = [], None, True
    while is_more:
        page = customer.data(SEEN, **asked, after=after)["costsByResource"]
        found += page["nodes"]
        after, is_more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    for node in found:
        key = node["account"], node["resourceId"]
        its = [one.charge.day for one in customer.held if (one.slice.account_id, one.charge.resource) == key]
        expected = (None, None) if node["resourceId"] is None else (str(min(its)), str(max(its)))
        assert (node["firstSeen"], node["lastSeen"]) == expected
    listed = {
        (one.slice.account_id, one.charge.resource)
        for one in customer.held
        if start <= one.charge.day < end and one.slice.account_id in ids and one.charge.service in services
    }
    assert {(node["account"], node["resourceId"]) for node in found} == listed
