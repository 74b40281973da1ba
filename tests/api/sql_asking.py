"""Asks `/sql`, and makes customers whose rows can be told apart."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import httpx
from charges import Charge, slice_of
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod

OCTOBER = BillingPeriod(2026, 10)


def ask(world: World, token: str | None, query: str, form: str | None = None, **headers: str) -> httpx.Response:
    """One statement, as it is answered."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    body = {"query": query} | ({} if form is None else {"format": form})
    return world.http.post(f"{world.url}/sql", json=body, headers=sent)


def rows(customer: Customer, query: str) -> list[dict[str, Any]]:
    """The rows of a statement that runs."""
    response = ask(customer.world, customer.token, query)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()
    return found


def refused(customer: Customer, query: str) -> str:
    """Why a statement does not run."""
    response = ask(customer.world, customer.token, query)
    assert response.status_code == 400, (response.status_code, response.text)
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"
    return str(error["message"])


def with_costs(world: World, mark: str = "Compute") -> Customer:
    """A customer with one account, whose October was published twice: the second time with the service `mark` and a machine."""
    customer = world.customer()
    slice_ = slice_of(customer.customer_id, "main", OCTOBER)
    customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(100), service="Superseded")])
    charges = [
        Charge(date(2026, 10, 5), Decimal("1.25"), service=mark, tags={"team": mark}, region="eu-1"),
        Charge(date(2026, 10, 6), Decimal("2.50"), service=mark, resource=f"machine-{mark}"),
        Charge(date(2026, 10, 6), Decimal("0.125"), service="=1+1"),
    ]
    customer.publish(slice_, charges)
    return customer
