"""Every tool that shows costs shows them in a display currency, or says why it does not."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Final

import pytest
from charges import Charge, slice_of
from tool_client import Tools
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod

PERIOD: Final = {"start": "2018-05-01", "end": "2018-06-01"}


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """A service that is billed in two currencies."""
    day = date(2018, 5, 2)
    world.metadata.rates.update("ECB", [(day, "SGD", Decimal("1.5")), (day, "USD", Decimal("1.25"))])
    customer = world.customer()
    charges = [
        Charge(day, Decimal(amount), currency=currency, resource=resource, tags={"team": "web"})
        for amount, currency, resource in (("10", "USD", "a"), ("4", "EUR", "a"), ("1", "EUR", "b"))
    ]
    customer.publish(slice_of(customer.customer_id, "one", BillingPeriod(2018, 5)), charges)
    return customer


def _tools(customer: Customer) -> Tools:
    return Tools(f"{customer.world.url}/mcp", customer.token)


CALLS: Final[dict[str, tuple[dict[str, Any], list[list[str]]]]] = {
    "query_costs": ({"groupBy": ["SERVICE"]}, [["Compute", "SGD", "19.5"]]),
    "find_values": ({"dimension": "SERVICE"}, [["Compute", "SGD", "19.5"]]),
    "compare_periods": ({}, [["Compute", "SGD", "0", "19.5", "19.5"]]),
    "top_resources": ({}, [["SGD", "18"], ["SGD", "1.5"]]),
}


@pytest.mark.parametrize("tool", CALLS)
def test_costs_of_several_currencies_are_one(customer: Customer, tool: str) -> None:
    more, expected = CALLS[tool]
    found = _tools(customer).call(tool, period=PERIOD, displayCurrency="SGD", **more)
    assert found["displayCurrency"] == "SGD"
    assert "19.5" in found["totals"][0].values()
    known = {cell for row in expected for cell in row}
    assert [[cell for cell in row if isinstance(cell, str) and cell in known] for row in found["rows"]] == expected
    lost = _tools(customer).call(tool, period=PERIOD, displayCurrency="XTS", **more)
    assert "No rate from EUR to XTS on 2018-05-02" in lost["notConverted"]
    assert {one["currency"] for one in lost["totals"]} == {"EUR", "USD"}


def test_what_is_no_currency_is_refused(customer: Customer) -> None:
    for wrong in ("eur", 'EUR", first: 1', ""):
        said = _tools(customer).refused("query_costs", period=PERIOD, displayCurrency=wrong)
        assert said == "displayCurrency: is not accepted: an ISO 4217 code, such as EUR"
