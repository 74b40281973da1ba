"""The API's reads of both databases are bound to a customer by the databases themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from charges import Charge, slice_of
from world import World

from optiinfra_api.services import ApiServices
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.warehouse import tenant_filter


def _with_services(world: World, use: Callable[[ApiServices], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        services = await ApiServices.open(world.settings)
        try:
            return await use(services)
        finally:
            await services.close()

    return asyncio.run(run())


@pytest.fixture
def customers(world: World) -> list[str]:
    """Two customers with data."""
    found = [world.customer(), world.customer()]
    for customer in found:
        slice_ = slice_of(customer.customer_id, "main", BillingPeriod(2026, 10))
        customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(7))])
        world.metadata.collections.start(f"task-{customer.customer_id}", "cli", slice_, "run")
    return [customer.customer_id for customer in found]


def test_a_statement_without_a_condition_shows_one_customer(world: World, customers: list[str]) -> None:
    async def read(services: ApiServices) -> None:
        for table in set(tenant_filter.customer_tables()) - {"removed_generations", "archived_publications"}:
            for customer in customers:
                only = services.warehouse.only(customer)
                rows = await services.engine._read(f"SELECT customer_id FROM {table}", {}, only)
                assert rows == [{"customer_id": customer}], table

    _with_services(world, read)


def test_a_statement_cannot_run_without_a_customer(world: World) -> None:
    async def read(services: ApiServices) -> None:
        with pytest.raises(KeyError, match="customer_id"):
            await services.engine.rows("publication_count", {})
        assert await services.engine.rows("publication_count", {"customer_id": ""}) == [
            {"publications": 0, "numbers": 0}
        ]

    _with_services(world, read)


def test_metadata_without_a_condition_show_one_customer(world: World, customers: list[str]) -> None:
    async def read(services: ApiServices) -> None:
        for customer in customers:
            history = await services.run_for(customer, services.metadata.collections.history)
            tokens = await services.run_for(customer, services.metadata.tokens.find)
            assert {one.slice.customer_id for one in history} == {customer}
            assert {one.customer_id for one in tokens} == {customer}

    _with_services(world, read)
