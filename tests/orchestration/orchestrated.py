"""A customer with a folder of FOCUS files, the definitions on the test's own databases, and a Dagster instance of its own."""

from __future__ import annotations

import csv
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
from dagster._core.definitions.schedule_definition import ScheduleExecutionData
from dagster._core.definitions.sensor_definition import SensorExecutionData

from optiinfra_assets.definitions import build_definitions
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.run_scope import PARTITION_TAG, RunScope, partitions_name
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.partitions import register
from optiinfra_assets.orchestration.resources import StoresResource
from optiinfra_assets.providers.base import LineItemStream, Probe, Provider
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.providers.focus_files.provider import FocusFiles
from optiinfra_assets.settings import Settings
from optiinfra_assets.simulators.world.world import SimulatedClock
from optiinfra_assets.warehouse.warehouse import Warehouse

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass(slots=True)
class Files:
    """A folder of FOCUS 1.0 files, one or more a month, whose sums are known."""

    path: Path
    amounts: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def write(self, name: str, period: str, amounts: list[str], currency: str = "USD") -> None:
        """A file of one month with one line item for each amount."""
        self.path.mkdir(parents=True, exist_ok=True)
        month = BillingPeriod.parse(period)
        with (self.path / f"{name}.csv").open("w", newline="") as file:
            rows = csv.DictWriter(file, self._row(month, "0", currency, 0))
            rows.writeheader()
            rows.writerows(self._row(month, amount, currency, number) for number, amount in enumerate(amounts))
        self.amounts[name] = [(period, amount) for amount in amounts]

    def remove(self, name: str) -> None:
        """Take a file away."""
        (self.path / f"{name}.csv").unlink()
        del self.amounts[name]

    def total(self, period: str) -> Decimal:
        """Exact sum of a month over all files."""
        return sum(
            (Decimal(amount) for rows in self.amounts.values() for one, amount in rows if one == period),
            Decimal(0),
        )

    @staticmethod
    def _row(month: BillingPeriod, amount: str, currency: str, number: int) -> Mapping[str, str]:
        day = f"{month.year:04d}-{month.month:02d}-{number % 28 + 1:02d}T00:00:00Z"
        return {
            **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), amount),
            "BillingAccountId": "1",
            "BillingAccountName": "",
            "ChargeClass": "",
            "BillingCurrency": currency,
            "BillingPeriodStart": f"{month.start:%Y-%m-%dT%H:%M:%SZ}",
            "BillingPeriodEnd": f"{month.end:%Y-%m-%dT%H:%M:%SZ}",
            "ChargeCategory": "Usage",
            "ChargeDescription": f"charge {number}",
            "ChargePeriodStart": day,
            "ChargePeriodEnd": day.replace("T00", "T01"),
            "InvoiceIssuerName": "Example",
            "PricingQuantity": "1",
            "PricingUnit": "Hours",
            "ProviderName": "Example",
            "PublisherName": "Example",
            "ServiceCategory": "Compute",
            "ServiceName": "Machines",
        }


class Scripted(FocusFiles):
    """Real FOCUS files behind a provider that fails on demand: `on_probe` and `on_collect` are called first, with the account id."""

    name: ClassVar[str] = "scripted"
    title: ClassVar[str] = "Files of a provider that fails on demand"

    def __init__(self) -> None:
        self.on_probe: Callable[[str], object] = lambda account_id: None
        self.on_collect: Callable[[str, BillingPeriod], object] = lambda account_id, period: None
        self.control_totals: dict[str, Decimal] | None = None

    def probe(
        self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext | None = None
    ) -> Probe:
        self.on_probe(account.account_id)
        return super().probe(account, since, context)

    def collect(
        self, account: Account, billing_period: BillingPeriod, context: ProviderContext | None = None
    ) -> LineItemStream:
        self.on_collect(account.account_id, billing_period)
        collection = super().collect(account, billing_period, context)
        collection.control_totals = self.control_totals
        return collection


@dataclass(slots=True)
class Platform:
    """What a test drives: real stores, real Dagster, the providers it names, and a clock that moves with the schedule's ticks."""

    settings: Settings
    warehouse: Warehouse
    metadata: Metadata
    instance: dg.DagsterInstance
    providers: Mapping[str, Provider]
    clock: SimulatedClock
    retry: dg.RetryPolicy = field(default_factory=lambda: dg.RetryPolicy(max_retries=3, delay=0))
    definitions: dg.Definitions = field(init=False)

    def __post_init__(self) -> None:
        self.definitions = build_definitions(self.providers, self._stores, self.retry)

    @property
    def _stores(self) -> StoresResource:
        return StoresResource(lambda: self.settings, self.clock)

    def add_account(self, account_id: str, provider: str = "focus", **settings: Any) -> Account:
        """An account of customer ``acme``."""
        self.metadata.customers.add("acme")
        return self.metadata.accounts.add(Account(account_id, "acme", provider, settings))

    def slice(self, period: str, account_id: str = "acme.files", provider: str = "focus") -> Slice:
        """A slice of customer ``acme``."""
        return Slice("acme", provider, account_id, BillingPeriod.parse(period))

    def run(
        self,
        tags: Mapping[str, str],
        provider: str = "focus",
        selected: Sequence[dg.AssetKey] = (),
        config: Mapping[str, Any] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Execute what the UI, the schedule and the API launch: Dagster's job of all assets, for those of one provider, or the selected.

        The partition of the tags is added first, as each of them does.
        """
        if key := tags.get(PARTITION_TAG):
            self.instance.add_dynamic_partitions(partitions_name(provider), [key])
        job = self.definitions.get_repository_def().get_job("__ASSET_JOB")
        subset = job.get_subset(asset_selection=set(selected or ProviderAssetKeys(provider).collected))
        return subset.execute_in_process(
            run_config=config, instance=self.instance, tags=dict(tags), raise_on_error=False
        )

    def materialise(
        self, first: str, last: str | None = None, account_id: str = "acme.files", provider: str = "focus"
    ) -> dg.ExecuteInProcessResult:
        """Collect one month, or a range of months that become partitions one after another, as a person would from the UI."""
        scope = RunScope("acme", provider, account_id, BillingPeriod.parse(first), BillingPeriod.parse(last or first))
        register(self.instance, scope.slices)
        if last is None:
            return self.run({"dagster/partition": f"{account_id}|{first}"}, provider)
        start, end = f"{account_id}|{first}", f"{account_id}|{last}"
        return self.run(
            {"dagster/asset_partition_range_start": start, "dagster/asset_partition_range_end": end}, provider
        )

    def _evaluate(self, at: datetime) -> ScheduleExecutionData:
        self.clock.now = at
        context = dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=at,
            repository_def=self.definitions.get_repository_def(),
            resources={"stores": self._stores},
        )
        return self.definitions.get_repository_def().get_schedule_def("collect_due").evaluate_tick(context)

    def tick(self, at: datetime) -> list[dg.RunRequest]:
        """Evaluate the schedule at an instant; its run requests."""
        return list(self._evaluate(at).run_requests or [])

    def skip_reason(self, at: datetime) -> str | None:
        """Evaluate the schedule at an instant; why it asks for no run."""
        return self._evaluate(at).skip_message

    def sense(self, name: str) -> SensorExecutionData:
        """Evaluate a sensor now."""
        context = dg.build_sensor_context(
            instance=self.instance,
            repository_def=self.definitions.get_repository_def(),
            resources={"stores": self._stores},
        )
        return self.definitions.get_repository_def().get_sensor_def(name).evaluate_tick(context)

    def collect(self, requests: Sequence[dg.RunRequest]) -> list[dg.ExecuteInProcessResult]:
        """Execute what the schedule or a sensor asked for."""
        return [
            self.run(request.tags, request.asset_selection[0].path[0], config=request.run_config)
            for request in requests
            if request.asset_selection
        ]

    def history(self) -> list[tuple[str, str, str | None]]:
        """Period, status and error of every collection, oldest first."""
        return [
            (str(row.slice.billing_period), row.status, row.error)
            for row in self.metadata.collections.history(first=1000)[::-1]
        ]

    def publications(self, period: str) -> int:
        """How many generations of a slice were ever published."""
        query = "SELECT count() FROM publications WHERE billing_period = {period:Date}"
        return int(self.warehouse.client.query(query, parameters={"period": f"{period}-01"}).first_row[0])

    def stored(self, table: str, period: str) -> set[int]:
        """Generations with rows in a table."""
        query = f"SELECT DISTINCT generation FROM {table} WHERE billing_period = {{period:Date}}"
        return {row[0] for row in self.warehouse.client.query(query, parameters={"period": f"{period}-01"}).result_rows}

    def total(self, period: str, provider: str = "focus", account_id: str = "acme.files") -> Decimal | None:
        """Billed total that readers see, None if the slice was never published."""
        publication = self.warehouse.current(self.slice(period, account_id, provider))
        if publication is None:
            return None
        return sum((one.billed_cost for one in publication.totals.values()), Decimal(0))


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
