"""Pages put together are the whole, whatever their size and whatever is published meanwhile."""

from __future__ import annotations

import base64
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import charges
import documents
import pytest
from charges import Charge, slice_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod, Slice

OCTOBER = BillingPeriod(2026, 10)
PERIOD = {"start": "2026-10-01", "end": "2026-11-01"}


def _charges(seed: int) -> list[Charge]:
    # Few days and amounts, so that many rows are equal in all of the order but its last key.
    return [
        Charge(
            date(2026, 10, 1) + timedelta(days=number * 7 % 5),
            Decimal((number * seed) % 4),
            currency="USD" if number % 3 else "EUR",
            resource=f"r-{number % 11}" if number % 4 else None,
            hour=number % 3,
        )
        for number in range(45)
    ]


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """Two accounts whose line items tie in every way."""
    customer = world.customer()
    for account in ("a", "b"):
        customer.publish(_slice(customer, account), _charges(7))
    return customer


def _slice(customer: Customer, account: str) -> Slice:
    return slice_of(customer.customer_id, account, OCTOBER)


def _pages(
    customer: Customer, field: str, document: str, first: int, publish_after: int | None
) -> list[dict[str, Any]]:
    """All rows, page by page; account b is published anew after some pages."""
    nodes: list[dict[str, Any]] = []
    after = None
    for page_number in range(1000):
        if page_number == publish_after:
            customer.publish(_slice(customer, "b"), _charges(page_number + 2))
        page = customer.data(document, period=PERIOD, first=first, after=after)[field]
        assert len(page["nodes"]) <= first
        nodes += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return nodes
        assert len(page["nodes"]) == first
        after = page["pageInfo"]["endCursor"]
    raise AssertionError("the pages never end")


@settings(max_examples=6)
@given(first=st.integers(6, 100), publish_after=st.none() | st.integers(1, 3))
@example(first=90, publish_after=None)
@example(first=13, publish_after=1)
def test_pages_of_line_items_are_the_whole(customer: Customer, first: int, publish_after: int | None) -> None:
    whole = customer.data(documents.LINE_ITEMS, period=PERIOD, first=1000)["costMetrics"]["nodes"]
    assert _pages(customer, "costMetrics", documents.LINE_ITEMS, first, publish_after) == whole
    assert len(whole) == 90
    order = [(-_seconds(one), one["generation"], one["lineNumber"]) for one in whole]
    assert order == sorted(order)


def _seconds(line_item: dict[str, Any]) -> int:
    text = line_item["chargePeriodStart"]
    return int(text[8:10]) * 86400 + int(text[11:13]) * 3600


@settings(max_examples=6)
@given(first=st.integers(4, 60), publish_after=st.none() | st.integers(1, 3))
@example(first=3, publish_after=2)
def test_pages_of_resources_are_the_whole(customer: Customer, first: int, publish_after: int | None) -> None:
    whole = charges.by_resource(customer.held, "BILLED")
    assert _pages(customer, "costsByResource", documents.RESOURCES, first, publish_after) == whole


def _cursor(customer: Customer, first: int = 5) -> str:
    page = customer.data(documents.LINE_ITEMS, period=PERIOD, first=first)["costMetrics"]
    cursor: str = page["pageInfo"]["endCursor"]
    return cursor


def test_a_cursor_may_be_used_with_another_page_size(customer: Customer) -> None:
    whole = customer.data(documents.LINE_ITEMS, period=PERIOD, first=1000)["costMetrics"]["nodes"]
    page = customer.data(documents.LINE_ITEMS, period=PERIOD, first=7, after=_cursor(customer))["costMetrics"]
    assert page["nodes"] == whole[5:12]


@pytest.mark.parametrize(
    "changes",
    [
        {"period": {"start": "2026-10-01", "end": "2026-10-31"}},
        {"filter": {"currency": ["USD"]}},
        {"asOf": "2026-11-01T00:00:00Z"},
    ],
    ids=["period", "filter", "asOf"],
)
def test_a_cursor_belongs_to_one_question(customer: Customer, changes: dict[str, Any]) -> None:
    asked = {"period": PERIOD, "first": 5, "after": _cursor(customer), **changes}
    error = customer.error(documents.LINE_ITEMS, **asked)
    assert error["message"] == "after: the cursor belongs to a query with other arguments"
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"


def test_a_cursor_of_one_field_is_not_one_of_another(customer: Customer) -> None:
    error = customer.error(documents.RESOURCES, period=PERIOD, first=5, after=_cursor(customer))
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"


def test_a_cursor_opens_nothing_to_another_customer(customer: Customer, world: World) -> None:
    other = world.customer()
    error = other.error(documents.LINE_ITEMS, period=PERIOD, first=5, after=_cursor(customer))
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "text", ["", "x", "AAAAAAAANQ", "AAAA", "ä", "W10", "W10=" * 99, base64.b64encode(b"[1,2,3]").decode()]
)
def test_what_is_no_cursor_is_refused(customer: Customer, text: str) -> None:
    error = customer.error(documents.LINE_ITEMS, period=PERIOD, first=5, after=text)
    assert error["message"] == "after: not a cursor of this service"


@given(place=st.integers(0, 200), bit=st.integers(0, 7))
@settings(max_examples=20)
def test_a_changed_cursor_is_refused(customer: Customer, place: int, bit: int) -> None:
    cursor = _cursor(customer)
    sealed = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    sealed[place % len(sealed)] ^= 1 << bit
    changed = base64.urlsafe_b64encode(bytes(sealed)).decode()
    error = customer.error(documents.LINE_ITEMS, period=PERIOD, first=5, after=changed)
    assert error["message"] == "after: not a cursor of this service"


@pytest.mark.parametrize("first", [0, -1, 1001])
@pytest.mark.parametrize("document", [documents.LINE_ITEMS, documents.RESOURCES])
def test_a_page_size_out_of_range_is_refused(customer: Customer, document: str, first: int) -> None:
    error = customer.error(document, period=PERIOD, first=first)
    assert error["message"] == f"first: {first} is not accepted"
    assert error["extensions"] == {"code": "INVALID_ARGUMENT", "remedy": "Use 1 to 1000."}


def test_pages_whose_generation_retention_removed_cannot_be_continued(world: World) -> None:
    customer = world.customer()
    slice_ = _slice(customer, "a")
    first = customer.publish(slice_, _charges(3))
    cursor = _cursor(customer)
    customer.publish(slice_, _charges(5))
    world.warehouse.client.command(
        "INSERT INTO removed_generations VALUES ({customer:String}, {generation:UInt64}, now64())",
        parameters={"customer": customer.customer_id, "generation": first.generation},
    )
    error = customer.error(documents.LINE_ITEMS, period=PERIOD, first=5, after=cursor)
    assert error["extensions"] == {"code": "CURSOR_EXPIRED", "remedy": "Begin again without `after`."}
    error = customer.error(documents.TOTAL, period=PERIOD, asOf=first.published_at.isoformat())
    assert error["extensions"]["code"] == "AS_OF_NOT_KEPT"
    assert "is no longer kept: the nearest kept instants are" in error["message"]
