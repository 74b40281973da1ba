"""The API with a clock that stands, and a customer with two months of costs, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from api_server import serving
from planted_anomaly import planted_anomaly
from site_world import NOW, spend_and_state
from tool_client import Tools
from world import World

from optiinfra_assets.domain.anomalies import UsageKey
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.metadata.tokens import Principal

ANOMALY = "0f3c5a1b2d4e6f78"
"""That which the cases of the evaluation are about."""


@pytest.fixture(scope="session")
def tools_url(world: World) -> Iterator[str]:
    """Where the API is that takes `NOW` for now."""
    with serving(world.settings, clock=lambda: NOW) as url:
        yield url


@pytest.fixture(scope="session")
def tools(world: World, tools_url: str) -> Tools:
    """The tools, with a reader's token of a customer that `spend` has filled."""
    customer = world.customer()
    spend_and_state(customer)
    author = Principal("author", "author", customer.customer_id, "operator")
    days = [NOW.date().replace(day=day) for day in range(1, NOW.day)]
    world.metadata.rates.update("ECB", [(day, "USD", Decimal("1.2")) for day in days])
    budget = Budget("all", Cadence.MONTHLY, Decimal(500), "USD")
    world.metadata.budgets.save(budget, customer_id=customer.customer_id, principal=author, now=NOW)
    series = UsageKey("aws", f"{customer.customer_id}.main", "Compute", "USD")
    planted_anomaly(
        world.metadata, series, NOW.date() - timedelta(days=5), Decimal(500), author, NOW - timedelta(days=4), ANOMALY
    )
    return Tools(f"{tools_url}/mcp", customer.token, customer.customer_id)
