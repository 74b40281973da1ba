"""Simulates FOCUS exports as blobs: runs with their manifests, as Cost Management writes them.

Each month has its newest run and, where runs are kept, an earlier one with less data. Runs are made every four hours; the last run of a
month is made when the month is closed, on the 5th of the next. Runs that a user requested are added to them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.focus import V1_0, V1_2, Version
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.azure.dated_costs import DatedCost, dated_costs, refreshed_at
from optiinfra_assets.simulators.azure.query_api import SERVICES, region, resource_id
from optiinfra_assets.simulators.focus_files.writers import Row, to_csv, to_parquet
from optiinfra_assets.simulators.server.wire import to_json

ROWS_OF_EXTRA: Final = 20_000
FOLDER: Final = "costs/daily"
_CATEGORIES: Final = {
    "Virtual Machines": "Compute",
    "Storage": "Storage",
    "Load Balancer": "Networking",
    "Reservations": "Other",
}


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob; `etag` without quotes."""

    name: str
    content: bytes
    modified: datetime

    @property
    def etag(self) -> str:
        """An ETag that differs for each content."""
        return f"0x{hashlib.sha256(self.name.encode() + self.content).hexdigest()[:15].upper()}"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the export.

    Attributes:
        at: when it was requested (UTC).
        last: the last day that it covers (inclusive); the first day is the first of the month.
    """

    period: BillingPeriod
    at: datetime
    last: date


class ExportFiles:
    """The blobs of one export.

    Attributes:
        suffix: ``csv.gz``, ``csv`` or ``snappy.parquet``.
        overwrites: a run replaces the earlier run of its month.
        data_version: FOCUS version as manifests name it: ``1.0``, ``1.0r2`` or ``1.2-preview``.
        selected: runs that a user requested ("Export selected dates"), in addition to those of the schedule.
    """

    def __init__(self, account: SimulatedAccount, subscription: str) -> None:
        self.suffix = "csv.gz"
        self.overwrites = False
        self.data_version = "1.2-preview"
        self.selected: list[Run] = []
        self._account = account
        self._subscription = subscription
        self._made: dict[tuple[Any, ...], list[Blob]] = {}

    def blobs(self) -> dict[str, Blob]:
        """All blobs by name, in order of name."""
        now = refreshed_at(self._account.world.clock())
        scheduled = [run for period in self._account.world.periods(now) for run in self._runs(period, now)]
        found = [blob for run in (*scheduled, *self.selected) for blob in self._run(run)]
        return {blob.name: blob for blob in sorted(found, key=lambda blob: blob.name)}

    def _runs(self, period: BillingPeriod, now: datetime) -> list[Run]:
        newest = min(now, self._account.world.invoiced_at(period))
        before = newest - timedelta(days=1)
        moments = [newest] if self.overwrites or before < period.start else [before, newest]
        return [Run(period, moment, (period.end - timedelta(days=1)).date()) for moment in moments]

    def _run(self, run: Run) -> list[Blob]:
        account = self._account
        how = (
            account.extra_items,
            account.duplicates_lines,
            account.adds_unknown_fields,
            account.renames_field,
        )
        key = (run, *how, self.suffix, self.overwrites, self.data_version)
        if key not in self._made:
            self._made[key] = self._write(run)
        return self._made[key]

    def _write(self, run: Run) -> list[Blob]:
        period = run.period
        costs = [cost for cost in dated_costs(self._account.world, period, run.at) if cost.day <= run.last]
        rows = [row for cost in costs for row in self._rows(cost, period)]
        contents = [(self._content(rows), len(rows))]
        if run.at >= self._account.world.invoiced_at(period):
            contents += self._extra(period)
        run_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{period} {'' if self.overwrites else run.at}"))
        folder = f"{FOLDER}/{period.start:%Y%m%d}-{run.last:%Y%m%d}/{run_id}"
        parts = [
            (Blob(f"{folder}/part_{number}_0001.{self.suffix}", content, run.at), count)
            for number, (content, count) in enumerate(contents)
        ]
        manifest = to_json(self._manifest(run, run_id, parts)).encode()
        return [*(blob for blob, _ in parts), Blob(f"{folder}/manifest.json", manifest, run.at)]

    def _extra(self, period: BillingPeriod) -> list[tuple[bytes, int]]:
        """Make parts of equal rows; parts of equal length share the same bytes."""
        quantum = self._account.world.quantum
        cost = DatedCost(period.start.date(), "Usage", None, quantum, quantum)
        row = self._row(cost, period, quantum, quantum)
        whole, rest = divmod(self._account.extra_items, ROWS_OF_EXTRA)
        parts = [(self._content([row] * ROWS_OF_EXTRA), ROWS_OF_EXTRA)] * whole if whole else []
        return [*parts, *([(self._content([row] * rest), rest)] if rest else [])]

    def _rows(self, cost: DatedCost, period: BillingPeriod) -> list[Row]:
        if not self._account.duplicates_lines or cost.charge_type != "Usage":
            return [self._row(cost, period, cost.billed, cost.effective)]
        half = (cost.billed / 2).quantize(self._account.world.quantum)
        rest = cost.billed - half
        return [self._row(cost, period, half, half), self._row(cost, period, rest, rest)]

    def _row(self, cost: DatedCost, period: BillingPeriod, billed: Decimal, effective: Decimal) -> Row:
        start = datetime.combine(cost.day, time(), UTC)
        resource = cost.resource
        is_odd = bool(cost.day.day % 2)
        service = SERVICES[resource.service][0] if resource else "Reservations"
        name = f"{self._account.world.scenario.name} (simulated)"
        is_bought = cost.charge_type in {"Purchase", "Refund"}
        row: Row = {
            "BilledCost": billed,
            "EffectiveCost": effective,
            "ListCost": billed,
            "ContractedCost": billed,
            "BillingAccountId": f"/providers/Microsoft.Billing/billingAccounts/{self._account.world.scenario.name}",
            "BillingAccountName": name,
            "BillingAccountType": "Billing Profile",
            "BillingCurrency": self._account.world.scenario.currency,
            "BillingPeriodStart": period.start,
            "BillingPeriodEnd": period.end,
            "ChargePeriodStart": start,
            "ChargePeriodEnd": start + timedelta(days=1),
            "ChargeCategory": "Purchase" if is_bought else "Usage",
            "ChargeClass": "Correction" if cost.charge_type == "Refund" else None,
            "ChargeFrequency": "One-Time" if is_bought else "Usage-Based",
            "ServiceName": service,
            "ServiceCategory": _CATEGORIES.get(service, "Databases"),
            "ProviderName": "Microsoft",
            "PublisherName": "Microsoft",
            "InvoiceIssuerName": "Microsoft",
            "SubAccountId": f"/subscriptions/{self._subscription}",
            "SubAccountName": name,
        }
        if resource is not None:
            row |= {
                "ResourceId": resource_id(resource, self._subscription, is_odd),
                "ResourceName": resource.name,
                "ResourceType": "Resource",
                "RegionId": region(resource, True),
                "Tags": dict(resource.tags),
            }
        return row

    def _content(self, rows: list[Row]) -> bytes:
        if self.suffix.endswith("parquet"):
            return _snappy(to_parquet(rows, self._version))
        content = to_csv(rows, self._version)
        head, rest = content.split(b"\n", 1)
        if self._account.renames_field:
            head = head.replace(b"BilledCost", b"renamed")
        if self._account.adds_unknown_fields:
            head += b",BrandNew"
            rest = rest.replace(b"\n", b",new\n")
        content = head + b"\n" + rest
        return gzip.compress(content, 6, mtime=0) if self.suffix.endswith("gz") else content

    @property
    def _version(self) -> Version:
        return V1_2 if self.data_version.startswith("1.2") else V1_0

    def _manifest(self, run: Run, run_id: str, parts: list[tuple[Blob, int]]) -> dict[str, Any]:
        export = f"/subscriptions/{self._subscription}/providers/Microsoft.CostManagement/exports/daily"
        return {
            "manifestVersion": "2024-04-01",
            "byteCount": sum(len(blob.content) for blob, _ in parts),
            "blobCount": len(parts),
            "dataRowCount": sum(count for _, count in parts),
            "exportConfig": {
                "exportName": "daily",
                "resourceId": export,
                "dataVersion": self.data_version,
                "apiVersion": "2023-07-01-preview",
                "type": "FocusCost",
                "timeFrame": "MonthToDate",
                "granularity": "Daily",
            },
            "deliveryConfig": {
                "partitionData": True,
                "dataOverwriteBehavior": "OverwritePreviousReport" if self.overwrites else "CreateNewReport",
                "fileFormat": "Parquet" if self.suffix.endswith("parquet") else "Csv",
                "compressionMode": {"csv.gz": "gzip", "csv": "none"}.get(self.suffix, "snappy"),
                "containerUri": "simulated",
                "rootFolderPath": "costs",
            },
            "runInfo": {
                "executionType": "Scheduled",
                "submittedTime": f"{run.at:%Y-%m-%dT%H:%M:%S}.0000000Z",
                "runId": run_id,
                "startDate": f"{run.period.start:%Y-%m-%dT%H:%M:%S}",
                "endDate": f"{run.last:%Y-%m-%dT00:00:00}",
            },
            "blobs": [
                {"blobName": blob.name, "byteCount": len(blob.content), "dataRowCount": count} for blob, count in parts
            ],
        }


def _snappy(parquet: bytes) -> bytes:
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(parquet)), file, compression="snappy")
    return file.getvalue()
