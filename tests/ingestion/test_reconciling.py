"""Invoices from a cloud to published comparisons, on real engines: what agrees, what is wrong and where, and how it stood before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import dagster as dg
import pyarrow as pa
import pytest
from orchestrated import Platform

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.domain.invoices import Invoice
from optiinfra_assets.domain.reconciliations import StoredReconciliation
from optiinfra_assets.ingestion.account_access import stored_context
from optiinfra_assets.ingestion.collect_slice import collect_slice
from optiinfra_assets.ingestion.invoice_reading import InvoiceReader, ReadingSummary
from optiinfra_assets.ingestion.reconciling import NotReconciled, reconcile_months
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.invoices import Months
from optiinfra_assets.orchestration.reconciliation_assets import INVOICES, RECONCILED_MONTHS
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.aws.provider import Aws
from optiinfra_assets.providers.base import LineItemStream, Provider
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.simulators.aws.simulator import FocusExport
from optiinfra_assets.simulators.invoices import LateRefund
from optiinfra_assets.simulators.world.scenario import Scenario, ScenarioResource
from optiinfra_assets.simulators.world.world import SimulatedClock
from optiinfra_assets.vault.credential_audit import Actor
from optiinfra_assets.warehouse.warehouse import Warehouse

JANUARY, FEBRUARY, MARCH = (BillingPeriod(2026, month) for month in (1, 2, 3))
WEB = ScenarioResource("6e1f-web", "web (simulated)", "compute", "standard-2", "fra", "main", Decimal("0.50"))
DISK = ScenarioResource("disk", "disk (simulated)", "storage", "object", "fra", "main", Decimal("0.13"))

Fault = Callable[[pa.Table], pa.Table]


class Faulty(Aws):
    """The cloud, with what a fault of ours would make of its line items."""

    def __init__(self) -> None:
        self.fault: Fault | None = None

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        stream = super().collect(account, billing_period, context)
        if self.fault is not None:
            read = list(stream.batches)
            stream.batches = iter(self.fault(pa.Table.from_batches(read)).to_batches())
        return stream


@dataclass
class Life:
    """One account that is collected, whose invoices are read, and that is reconciled."""

    warehouse: Warehouse
    metadata: Metadata
    cloud: FocusExport
    clock: SimulatedClock
    provider: Faulty = field(default_factory=Faulty)

    def __post_init__(self) -> None:
        self.metadata.customers.add("acme")
        self.account = Account("acme.main", "acme", "aws", self.cloud.settings(), is_simulated=True)
        self.metadata.accounts.add(self.account)
        self.account = replace(self.account, secrets=self.cloud.secrets())
        self.metadata.credentials.put(self.account, self.cloud.secrets(), Actor.here("test"))

    @property
    def providers(self) -> dict[str, Provider]:
        """The faulty one in the place of its kind."""
        return {**PROVIDERS, "aws": self.provider}

    def collect(self, period: BillingPeriod, fault: Fault | None = None) -> None:
        """Collect a month, as it is or with a fault."""
        self.provider.fault = fault
        kept = stored_context(self.metadata, self.account).snapshots
        collect_slice(
            self.provider,
            self.account,
            period,
            warehouse=self.warehouse,
            metadata=self.metadata,
            run_id="run",
            context=ProviderContext(self.clock, kept, sleep=lambda seconds: None),
            log=logging.getLogger(__name__),
        )

    def read(self) -> ReadingSummary:
        """Read what the cloud states of invoices."""
        return InvoiceReader(self.metadata, self.providers, clock=self.clock).read()

    def reconcile(self) -> list[StoredReconciliation]:
        """Compare, a little later; what is new."""
        self.clock.advance(minutes=1)
        return reconcile_months(self.metadata, self.warehouse, self.clock())

    def month(self, period: BillingPeriod, as_of: datetime | None = None) -> StoredReconciliation:
        """The one comparison of a month."""
        asked = replace(Months.of(Slice.of(self.account, period)), as_of=as_of)
        (found,) = self.metadata.invoices.reconciliations(asked)
        return found


@pytest.fixture
def life(warehouse: Warehouse, metadata: Metadata) -> Iterator[Life]:
    clock = SimulatedClock(datetime(2026, 3, 20, 12, tzinfo=UTC))
    scenario = Scenario("books", date(2026, 1, 1), (WEB, DISK), (), tax_rate=Decimal("0.2"))
    with FocusExport.make(scenario, clock, secret="planted", mode="focus-export") as cloud:
        assert isinstance(cloud, FocusExport)
        yield Life(warehouse, metadata, cloud, clock)


def row(table: pa.Table, service: str) -> int:
    """Number of the tenth line item of a service."""
    return [n for n, name in enumerate(table["service_name"].to_pylist()) if name == service][10]


def without(table: pa.Table, number: int) -> pa.Table:
    return pa.concat_tables([table.slice(0, number), table.slice(number + 1)])


def twice(table: pa.Table, number: int) -> pa.Table:
    return pa.concat_tables([table, table.slice(number, 1)])


def changed(table: pa.Table, number: int) -> pa.Table:
    costs = table["billed_cost"].to_pylist()
    costs[number] += Decimal("0.01")
    column = pa.array(costs, table.schema.field("billed_cost").type)
    return table.set_column(table.schema.get_field_index("billed_cost"), table.schema.field("billed_cost"), column)


def test_closed_months_are_reconciled_and_the_open_one_is_not_over(life: Life) -> None:
    for period in (JANUARY, FEBRUARY, MARCH):
        life.collect(period)
    assert (life.read().read, life.read().published) == (2, 0)
    found = life.reconcile()
    statuses = {one.slice.billing_period: str(one.found.status) for one in found}
    assert statuses == {JANUARY: "reconciled", FEBRUARY: "reconciled", MARCH: "open"}
    assert {one.found.difference for one in found} == {Decimal(0), None}
    assert life.reconcile() == [], "nothing changed"


@pytest.mark.parametrize("fault", [without, twice, changed])
def test_a_fault_in_a_closed_month_is_a_mismatch_that_names_service_and_day(
    life: Life, fault: Callable[[pa.Table, int], pa.Table]
) -> None:
    """However small; it is over once the costs are right again, and `asOf` shows how it stood."""
    service = "Amazon Simple Storage Service"
    life.collect(JANUARY)
    life.read()
    life.reconcile()
    agreed = life.month(JANUARY)
    life.collect(JANUARY, lambda table: fault(table, row(table, service)))
    life.reconcile()
    wrong = life.month(JANUARY)
    assert (str(wrong.found.status), wrong.since) == ("mismatch", wrong.compared_at)
    assert wrong.found.moved == wrong.found.difference != 0
    (gap,) = wrong.found.gaps
    assert (gap.charge_category, gap.service, gap.amount) == ("Usage", service, wrong.found.difference)
    assert gap.day == date(2026, 1, 11)
    life.collect(JANUARY)
    life.reconcile()
    assert str(life.month(JANUARY).found.status) == "reconciled"
    assert life.month(JANUARY, wrong.compared_at).found == wrong.found
    assert life.month(JANUARY, agreed.compared_at).found == agreed.found
    before = life.metadata.invoices.reconciliations(
        Months(customer_id="acme", as_of=agreed.compared_at - timedelta(seconds=1))
    )
    assert before == []


@pytest.mark.parametrize("is_first", [True, False], ids=["alone first", "all at once"])
def test_a_fault_of_a_cent_in_the_first_load_of_a_month_is_seen_by_the_others(life: Life, is_first: bool) -> None:
    """The month was never equal to its invoices, and FOCUS takes a cent for rounding; three other months are equal to the last digit."""
    service = "Amazon Simple Storage Service"
    life.clock.advance(days=90)
    life.collect(JANUARY, lambda table: changed(table, row(table, service)))
    life.read()
    if is_first:
        life.reconcile()
        assert str(life.month(JANUARY).found.status) == "reconciled"
        life.clock.advance(days=1)
    for number in range(1, 4):
        life.collect(JANUARY.shift(number))
    life.read()
    life.reconcile()
    found = life.month(JANUARY).found
    assert (str(found.status), found.difference) == ("mismatch", Decimal("0.01"))
    assert found.reason == (
        "the difference is no rounding: the invoices of 3 other months are equal to the costs to the last digit"
    )
    assert found.gaps[0].charge_category in ("", "Usage")
    life.collect(JANUARY)
    life.reconcile()
    assert str(life.month(JANUARY).found.status) == "reconciled"


def test_a_late_refund_reopens_a_month_and_is_named(life: Life) -> None:
    life.cloud.late_refunds.append(LateRefund(JANUARY, datetime(2026, 3, 25, tzinfo=UTC), Decimal("12.50")))
    life.collect(JANUARY)
    life.read()
    life.reconcile()
    life.clock.advance(days=10)
    assert life.read().published == 1
    life.reconcile()
    found = life.month(JANUARY).found
    assert (str(found.status), found.difference, len(found.invoice_ids)) == ("mismatch", Decimal("12.50"), 2)
    assert [(one.amount, one.invoice_id) for one in found.gaps] == [(Decimal("12.50"), "SIM202601L0")]


def test_a_person_records_what_no_source_states(life: Life) -> None:
    """A source that cannot be asked is `not stated`, and never passes; what a person recorded counts until the source states it."""
    slice_ = Slice.of(life.account, JANUARY)
    life.collect(JANUARY)
    life.reconcile()
    assert str(life.month(JANUARY).found.status) == "not stated"
    total = life.month(JANUARY).found.ours
    recorded = Invoice(
        invoice_id="SIM202601", issuer="AWS", billing_period=JANUARY, currency="USD", total=total, document="order 7"
    )
    actor = Actor("somebody", "127.0.0.1")
    life.metadata.invoices.record(slice_, replace(recorded, total=total - 50), life.clock(), author="a", actor=actor)
    life.reconcile()
    assert str(life.month(JANUARY).found.status) == "mismatch"
    life.metadata.invoices.record(slice_, recorded, life.clock(), author="a", actor=actor)
    life.reconcile()
    assert str(life.month(JANUARY).found.status) == "reconciled"
    life.read()
    life.reconcile()
    found = life.month(JANUARY).found
    assert (str(found.status), found.invoice_ids) == ("reconciled", ("SIM202601",))
    acts = life.metadata.access_audit.find(customer_id="acme")
    details = [one.detail for one in acts if one.action == "record_invoice"]
    assert details[0] == f"2026-01 SIM202601: {plain(total)} USD"


def test_a_customer_whose_months_cannot_be_compared_keeps_no_other_from_it(life: Life) -> None:
    """As if an older version had recorded it: the first customer fails each time, and the next one is compared all the same."""
    life.metadata.customers.add("a-first")
    life.metadata.accounts.add(Account("a-first.main", "a-first", "focus"))
    recorded = Invoice(
        invoice_id="R-1", issuer="Cloud", billing_period=BillingPeriod(9999, 12), currency="USD", total=Decimal(1)
    )
    slice_ = Slice("a-first", "focus", "a-first.main", BillingPeriod(9999, 12))
    actor = Actor("somebody", "127.0.0.1")
    life.metadata.invoices.record(slice_, recorded, life.clock(), author="a", actor=actor)
    life.collect(JANUARY)
    life.read()
    with pytest.raises(NotReconciled, match="customers not reconciled: a-first: "):
        life.reconcile()
    assert str(life.month(JANUARY).found.status) == "reconciled"


def test_a_cloud_that_refuses_is_said_and_changes_nothing(life: Life) -> None:
    life.collect(JANUARY)
    life.read()
    life.reconcile()
    assert life.read().read == 0, "once a day"
    life.cloud.refuses_credential = True
    life.clock.advance(days=1)
    (failure,) = life.read().failures
    assert "access_key_id" in failure.error or "credential" in failure.error.lower() or "token" in failure.error
    assert life.reconcile() == []
    (check,) = life.metadata.invoices.checks(["acme.main"])
    assert check.error == failure.error
    assert check.checked_at is not None


def test_dagster_reads_compares_and_warns(life: Life, platform: Platform) -> None:
    """Both assets and the check, in one run; and the sensor asks for it where there is something new, and for nothing else."""
    assert not platform.sense("reconcile_changes").run_requests
    life.collect(JANUARY)
    platform.clock.now = life.clock.now
    made = Platform(platform.settings, life.warehouse, life.metadata, platform.instance, life.providers, platform.clock)
    checked = reconciled_by(made)
    assert (checked.passed, checked.metadata["reconciled"].value) == (True, 1)
    life.collect(JANUARY, lambda table: without(table, row(table, "Amazon Elastic Compute Cloud")))
    (request,) = made.sense("reconcile_changes").run_requests or []
    assert request.asset_selection == [INVOICES, RECONCILED_MONTHS]
    checked = reconciled_by(made)
    assert not checked.passed
    assert checked.severity is dg.AssetCheckSeverity.WARN
    assert "moved by" in str(checked.metadata["not reconciled"].value)


def reconciled_by(platform: Platform) -> dg.AssetCheckEvaluation:
    """The check, as a run of both assets evaluates it."""
    job = platform.definitions.get_repository_def().get_job("__ASSET_JOB")
    keys = {INVOICES, RECONCILED_MONTHS}
    checks = {
        key for key in platform.definitions.resolve_asset_graph().asset_check_keys if key.asset_key == RECONCILED_MONTHS
    }
    result = job.get_subset(asset_selection=keys, asset_check_selection=checks).execute_in_process(
        instance=platform.instance
    )
    (found,) = result.get_asset_check_evaluations()
    return found
