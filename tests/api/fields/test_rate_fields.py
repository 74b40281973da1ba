"""Rates over GraphQL: what is quoted, a customer's own rates and its method, set by operators, on record, and each refusal."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Final

from world import Customer, World

SET: Final = """mutation Set($month: String!, $from: String!, $to: String!, $rate: String!, $reopen: Boolean!) {
  setRate(month: $month, currency: $from, intoCurrency: $to, rate: $rate, reopen: $reopen) {
    ... on RateSet { rate { month currency intoCurrency rate } } ... on Refusal { code message }
  }
}"""
REMOVE: Final = """mutation Remove($month: String!) {
  removeRate(month: $month, currency: "NOK", intoCurrency: "DKK") {
    ... on RateRemoved { rate { rate } } ... on Refusal { code message }
  }
}"""


def set_rate(customer: Customer, **changed: Any) -> dict[str, Any]:
    """The answer of setRate."""
    given = {"month": "2020-05", "from": "NOK", "to": "DKK", "rate": "0.660", "reopen": False} | changed
    found: dict[str, Any] = customer.data(SET, **given)["setRate"]
    return found


def test_a_customers_own_rates(world: World) -> None:
    customer = world.customer("operator")
    own = {"month": "2020-05", "currency": "NOK", "intoCurrency": "DKK", "rate": "0.66"}
    assert set_rate(customer) == {"rate": own}
    method = customer.data("mutation { setRateMethod(method: MONTH) { method } }")["setRateMethod"]
    asked = customer.data("{ customerRates { method nodes { month currency intoCurrency rate } } }")["customerRates"]
    assert asked == {**method, "nodes": [own]} == {"method": "MONTH", "nodes": [own]}
    assert customer.data(REMOVE, month="2020-05")["removeRate"] == {"rate": {"rate": "0.66"}}
    assert customer.data(REMOVE, month="2020-05")["removeRate"]["code"] == "RATE_NOT_FOUND"
    for changed, said in (
        ({"month": "2020-13"}, "month: '2020-13' is not accepted: use YYYY-MM, from 1970 to 2105"),
        ({"rate": "0"}, "rate: '0' is not accepted: use a number above 0, such as 1.0842"),
        ({"to": "NOK"}, "currency: 'NOK' is not accepted: use two currencies; one is 1 in itself"),
        ({"from": "nok"}, "currency: 'nok' is not accepted: use an ISO 4217 code, such as USD"),
    ):
        assert set_rate(customer, **changed) == {"code": "RATE_NOT_ACCEPTED", "message": said}
    log = world.metadata.access_audit.find(customer_id=customer.customer_id)
    acts = [(one.action, one.name, one.actor != "cli") for one in log if "rate" in one.action]
    assert acts == [
        ("remove_rate", "2020-05 NOK to DKK", True),
        ("set_rate_method", "month", True),
        ("set_rate", "2020-05 NOK to DKK", True),
    ]


def test_what_is_quoted(world: World) -> None:
    customer = world.customer()
    world.metadata.rates.update(
        "ECB", [(date(2019, 5, 3), "NOK", Decimal("9.8")), (date(2019, 5, 2), "NOK", Decimal(9))]
    )
    asked = customer.data('{ exchangeRates(day: "2019-05-05") { nodes { currency date perEuro source } } }')
    assert asked["exchangeRates"]["nodes"] == [
        {"currency": "NOK", "date": "2019-05-03", "perEuro": "9.8", "source": "ECB"}
    ]
