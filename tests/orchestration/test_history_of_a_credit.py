"""A credit that comes late, from the cloud to what readers see: there after one tick, and not there `asOf` before it. Every cloud."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.ingestion.account_access import stored_context
from optiinfra_assets.ingestion.collect_slice import collect_slice
from optiinfra_assets.ingestion.slice_attempt import SliceResult
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.simulators import SIMULATORS
from optiinfra_assets.simulators.world.scenario import EventKind, Scenario, ScenarioEvent, ScenarioResource
from optiinfra_assets.simulators.world.world import SimulatedClock
from optiinfra_assets.warehouse.warehouse import Warehouse

FEBRUARY = BillingPeriod(2026, 2)
DAY_39 = datetime(2026, 2, 8, 12, tzinfo=UTC)
WEB = ScenarioResource("6e1f-web", "web (simulated)", "compute", "standard-2", "fra", "main", Decimal("0.10"))
CREDIT = ScenarioEvent(EventKind.CREDIT, date(2026, 1, 5), posted_on=date(2026, 2, 9), amount=Decimal("7.50"))


@pytest.mark.parametrize("name", sorted(SIMULATORS))
def test_a_credit_on_day_40_for_day_5(name: str, warehouse: Warehouse, metadata: Metadata) -> None:
    clock = SimulatedClock(DAY_39)
    scenario = Scenario("credit", date(2026, 1, 1), (WEB,), (CREDIT,), tax_rate=Decimal(0))
    with SIMULATORS[name].make(scenario, clock, secret="planted") as cloud:
        metadata.customers.add("acme")
        account = Account("acme.main", "acme", name, cloud.settings(), is_simulated=True)
        metadata.accounts.add(account)
        account = Account("acme.main", "acme", name, cloud.settings(), cloud.secrets(), is_simulated=True)

        def tick() -> SliceResult:
            context = ProviderContext(clock, stored_context(metadata, account).snapshots, sleep=lambda seconds: None)
            PROVIDERS[name].probe(account, {}, context)
            return collect_slice(
                PROVIDERS[name],
                account,
                FEBRUARY,
                warehouse=warehouse,
                metadata=metadata,
                run_id="run",
                context=context,
                log=logging.getLogger(__name__),
            )

        before = tick()
        shown_before = cloud.shown_amount(FEBRUARY)
        clock.advance(days=1)
        after = tick()
        shown_after = cloud.shown_amount(FEBRUARY)
    assert before.published is not None
    assert after.published is not None
    assert after.published.generation != before.published.generation
    assert after.published.totals["USD"].billed_cost == shown_after
    day_before = after.published.published_at - timedelta(microseconds=1)
    assert total_as_of(warehouse, day_before) == shown_before
    assert total_as_of(warehouse, None) == shown_after


def total_as_of(warehouse: Warehouse, as_of: datetime | None) -> Decimal:
    """What readers of February see."""
    generations = list(warehouse.resolve("acme", as_of=as_of).generations)
    query = "SELECT sum(billed_cost) FROM raw_costs WHERE generation IN {generations:Array(UInt64)}"
    return Decimal(warehouse.client.query(query, parameters={"generations": generations}).first_row[0])
