"""Simulates an AWS data export: one run a day and period, each of which writes its data files and then its manifest.

By default runs keep the files of earlier runs (here those of the last two); with `overwrites` each run replaces them in place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.aws.bill_lines import lines_of, payer_of, refreshed_at
from optiinfra_assets.simulators.aws.export_tables import ExportTable, Row, compressed, to_csv, to_parquet
from optiinfra_assets.simulators.aws.s3 import StoredObject
from optiinfra_assets.simulators.invoices import invoice_id
from optiinfra_assets.simulators.world.scenario import Charge
from optiinfra_assets.simulators.world.world import World

FOLDER: Final = "exports/costs"
NAME: Final = "costs"
_ITEMS_A_FILE: Final = 20_000
_KEPT_RUNS: Final = 3
"""How many runs of a period are kept, with the newest."""
_NUMBER: Final = "@@@"


@dataclass
class SimulatedExport:
    """The objects of one export.

    Attributes:
        extra_items: number of additional line items in every closed month.
        twice: each usage line comes as two.
        adds_column: files have a column that no provider knows.
        renames_column: the column with the cost has another name.
        overwrites: runs replace the files of earlier runs.
        parquet: data files are Parquet, not compressed CSV.
        addresses: how the manifest names files: ``s3``, ``object`` or ``key``.
        goes_on: for how long after its end a period is exported again.
    """

    world: World
    table: ExportTable
    bucket: str
    extra_items: int = 0
    twice: bool = False
    adds_column: bool = False
    renames_column: bool = False
    overwrites: bool = False
    parquet: bool = False
    addresses: str = "s3"
    goes_on: timedelta = timedelta(days=15)
    _made: dict[Any, StoredObject] = field(default_factory=dict, init=False, repr=False)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys of all objects that begin with `prefix`."""
        for period in self.world.periods():
            runs = list(self._runs(period))
            kept = runs[-1:] if self.overwrites else runs[-_KEPT_RUNS:]
            found = [self._manifest_key(period)] if runs else []
            found += [self._manifest_key(period, run) for run in kept if not self.overwrites]
            if not prefix.startswith(f"{FOLDER}/metadata/"):
                found += [self._data_key(period, run, part) for run in kept for part in range(self._parts(period, run))]
            yield from (key for key in found if key.startswith(prefix))

    def read(self, key: str) -> StoredObject | None:
        """Return the object with a key, None if there is none."""
        period, run = self._named(key)
        if period is None or run is None:
            return None
        if key in (self._manifest_key(period), self._manifest_key(period, run)):
            return self._manifest(period, run)
        stem = key.rpartition("/")[2].partition(".")[0].rpartition("-")[2]
        part = int(stem) - 1 if stem.isdecimal() else -1
        if not 0 <= part < self._parts(period, run) or key != self._data_key(period, run, part):
            return None
        return self._data(period, run, part)

    def _runs(self, period: BillingPeriod) -> Iterator[datetime]:
        first = max(period.start, self.world.periods()[0].start)
        last = min(refreshed_at(self.world), period.end + self.goes_on)
        for day in range((last - first).days + 1):
            yield first + timedelta(days=day)

    def _named(self, key: str) -> tuple[BillingPeriod | None, datetime | None]:
        """Parse period and run out of a key."""
        parts = key.removeprefix(f"{FOLDER}/").split("/")
        if len(parts) < 3 or not parts[1].startswith("BILLING_PERIOD="):
            return None, None
        period = BillingPeriod.parse(parts[1].removeprefix("BILLING_PERIOD="))
        runs = {self._run_id(run): run for run in list(self._runs(period))[-_KEPT_RUNS:]}
        newest = list(runs.values())[-1:]
        return period, runs.get(parts[2], *newest) if newest else None

    def _run_id(self, run: datetime) -> str:
        return f"{run:%Y%m%dT%H%M%SZ}-{hashlib.sha256(run.isoformat().encode()).hexdigest()[:8]}"

    def _manifest_key(self, period: BillingPeriod, run: datetime | None = None) -> str:
        folder = f"{self._run_id(run)}/" if run else ""
        return f"{FOLDER}/metadata/BILLING_PERIOD={period}/{folder}{NAME}-Manifest.json"

    def _data_key(self, period: BillingPeriod, run: datetime, part: int) -> str:
        folder = "" if self.overwrites else f"{self._run_id(run)}/"
        suffix = "snappy.parquet" if self.parquet else "csv.gz"
        return f"{FOLDER}/data/BILLING_PERIOD={period}/{folder}{NAME}-{part + 1:05d}.{suffix}"

    def _parts(self, period: BillingPeriod, run: datetime) -> int:
        return 1 + -(-self._extra(period, run) // _ITEMS_A_FILE)

    def _extra(self, period: BillingPeriod, run: datetime) -> int:
        return self.extra_items if self.world.invoice(period, run) is not None else 0

    def _manifest(self, period: BillingPeriod, run: datetime) -> StoredObject:
        keys = [self._data_key(period, run, part) for part in range(self._parts(period, run))]
        addresses: list[Any] = keys
        if self.addresses != "key":
            addresses = [f"s3://{self.bucket}/{key}" for key in keys]
        if self.addresses == "object":
            addresses = [{"s3Uri": address, "size": 1} for address in addresses]
        said = {
            "exportName": NAME,
            "executionId": self._run_id(run),
            "billingPeriod": str(period),
            "dataFiles": addresses,
        }
        return StoredObject(json.dumps(said).encode(), run, "application/json")

    def _data(self, period: BillingPeriod, run: datetime, part: int) -> StoredObject:
        """Make the file on request; the last few are cached because a client asks for its size first."""
        key = (
            period,
            run,
            part,
            self.extra_items,
            self.twice,
            self.adds_column,
            self.renames_column,
            self.parquet,
        )
        if key not in self._made:
            while len(self._made) > 3:
                self._made.pop(next(iter(self._made)), None)
            body = self._first(period, run) if part == 0 else self._more(period, run, part - 1)
            self._made[key] = StoredObject(body, run)
        return self._made[key]

    def _first(self, period: BillingPeriod, run: datetime) -> bytes:
        rows = self._rows(period, run, self.world.charges(period, run))
        if self.parquet:
            return to_parquet(self._columns, [self._changed(row) for row in rows])
        return compressed(to_csv(self._columns, [self._changed(row) for row in rows]))

    def _more(self, period: BillingPeriod, run: datetime, part: int) -> bytes:
        begin = part * _ITEMS_A_FILE
        end = min(begin + _ITEMS_A_FILE, self._extra(period, run))
        usage = next(charge for charge in self.world.charges(period, run) if charge.kind == "usage")
        charge = Charge(
            key="extra",
            kind="usage",
            day=usage.day,
            billing_period=period,
            resource=usage.resource,
            description=f"Snapshot storage {_NUMBER} (simulated)",
            quantity=usage.quantity,
            amount=self.world.quantum,
            posted_at=usage.posted_at,
        )
        (row,) = self._rows(period, run, [charge], twice=False)
        header, line = to_csv(self._columns, [self._changed(row)]).splitlines(keepends=True)
        return compressed(header + "".join(line.replace(_NUMBER, str(number)) for number in range(begin, end)))

    def _rows(
        self, period: BillingPeriod, run: datetime, charges: list[Charge], *, twice: bool | None = None
    ) -> list[Row]:
        is_invoiced = self.world.invoice(period, run) is not None
        lines = lines_of(self.world, charges, twice=self.twice if twice is None else twice)
        return [
            self.table.row(
                line, payer_of(self.world), period, invoice_id(period, line.charge.kind) if is_invoiced else None
            )
            for line in lines
        ]

    @property
    def _columns(self) -> list[str]:
        names = ["renamed" if self.renames_column and name == self.table.cost else name for name in self.table.columns]
        return [*names, "BrandNew"] if self.adds_column else names

    def _changed(self, row: Row) -> Row:
        return row | {"BrandNew": "1", "renamed": row[self.table.cost]}
