"""Both databases on folders of a test, what collects into them, and what `optiinfra status` says of them meanwhile."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import collector
import dagster as dg
import psutil
import psycopg
from click.testing import CliRunner
from loopback import CLICKHOUSE_LOGIN, HANG, clickhouse_address, eventually, free_port, wait_until_answers

from optiinfra_assets.cli.status import status
from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.embedded.postgres import __main__ as embedded_postgres
from optiinfra_assets.ingestion.run import Stores
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.orchestration.run_monitoring import monitor_runs
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

PERIODS = (BillingPeriod(2026, 9), BillingPeriod(2026, 10))
ACCOUNT = Account("chaos.files", "chaos", "focus")
RECOVERY = 60
"""Seconds after which PostgreSQL does not recover any more: its log is a few MB here."""
FORKING = multiprocessing.get_context("forkserver")
"""A collector is a process of its own, forked where everything is imported: imports take longer than a collection does."""
FORKING.set_forkserver_preload(["pytest", "optiinfra_assets.ingestion.run", "optiinfra_assets.providers"])
HEADER = (
    "BilledCost,BillingAccountId,BillingAccountName,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,ChargeCategory,ChargeClass,"
    "ChargeDescription,ChargePeriodEnd,ChargePeriodStart,ContractedCost,EffectiveCost,InvoiceIssuerName,ListCost,PricingQuantity,"
    "PricingUnit,ProviderName,PublisherName,ServiceCategory,ServiceName,ResourceId"
)


@dataclass
class Machine:
    """Both databases as processes of their own on one folder, and a folder of cost files."""

    path: Path
    postgres: Path
    rows: int = 2_000
    port: int = field(default_factory=free_port)
    clickhouse: subprocess.Popen[bytes] | None = None
    postgres_url: str = ""
    versions: dict[BillingPeriod, set[Decimal]] = field(default_factory=lambda: {period: set() for period in PERIODS})
    newest: dict[BillingPeriod, Decimal] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(
            home=self.path / "home",
            clickhouse_url=clickhouse_address(self.port),
            postgres_url=self.postgres_url,
        )

    def start(self) -> None:
        """Start what does not run."""
        if self.clickhouse is None or self.clickhouse.poll() is not None:
            engine = [sys.executable, "-m", "optiinfra_assets.embedded.clickhouse"]
            self.clickhouse = subprocess.Popen(
                [*engine, "--path", str(self.path / "ch"), "--port", str(self.port)],
                env={**os.environ, **CLICKHOUSE_LOGIN},
            )
            wait_until_answers(f"http://127.0.0.1:{self.port}/ping", self.clickhouse)
        self.postgres_url = embedded_postgres.start(self.postgres)
        if not eventually(self._postgres_answers, seconds=RECOVERY):
            # Twice, on 2026-12-01, PostgreSQL 18.4 never ended the recovery after its disk was full; whoever runs it starts it anew.
            warnings.warn(f"started again: {self.postgres.with_name('postgres.log').read_text()[-2000:]}", stacklevel=2)
            embedded_postgres.stop(self.postgres)
            self.postgres_url = embedded_postgres.start(self.postgres)
            assert eventually(self._postgres_answers, seconds=RECOVERY)

    def _postgres_answers(self) -> bool:
        """Whether it does; the process that serves it may not have noticed yet that it died, and is then started again."""
        self.postgres_url = embedded_postgres.start(self.postgres)
        return _answers(self.postgres_url)

    def stop(self) -> None:
        if self.clickhouse is not None:
            self.clickhouse.terminate()
            self.clickhouse.wait(HANG)
        embedded_postgres.stop(self.postgres)

    def write(self, period: BillingPeriod, random_: random.Random) -> None:
        """Give the file of `period` other contents, whole at once as exports do."""
        cents = random_.randrange(1, 10**6)
        ends = f"{period.end:%Y-%m-%dT00:00:00Z},{period.start:%Y-%m-%dT00:00:00Z}"
        charge = f"{period.start + timedelta(days=2):%Y-%m-%dT00:00:00Z},{period.start + timedelta(days=1):%Y-%m-%dT00:00:00Z}"
        lines = [
            f"{cents}.{number:06d},acc,Chaos,USD,{ends},Usage,,line,{charge},1,1,Chaos,1,1,h,P,P,Compute,S{number % 7},r{number}"
            for number in range(self.rows)
        ]
        target = self.path / "files" / f"{period}.csv"
        written = target.with_suffix(".writing")
        written.write_text("\n".join([HEADER, *lines]) + "\n")
        written.rename(target)
        self.newest[period] = self.rows * Decimal(cents) + sum(Decimal(number) for number in range(self.rows)) / 10**6
        self.versions[period].add(self.newest[period])

    @property
    def account(self) -> Account:
        return replace(ACCOUNT, settings={"location": str(self.path / "files")})

    def collector(self) -> BaseProcess:
        """Start a collection and wait until it has begun to work."""
        return _begun(collector.collect, self.settings, self.account)

    def garbage_collector(self) -> BaseProcess:
        """Start what collects garbage until it is killed."""
        return _begun(collector.collect_garbage, self.settings)

    @contextmanager
    def stores(self) -> Iterator[Stores]:
        """Both databases, opened in this process."""
        warehouse, metadata = Warehouse.connect(self.settings), Metadata.connect(self.settings)
        try:
            yield Stores(warehouse, metadata, logging.getLogger("chaos"))
        finally:
            warehouse.close()
            metadata.close()

    def prepare(self) -> None:
        """Make the tables, the folder of files and the account."""
        (self.path / "files").mkdir()
        with self.stores() as stores:
            stores.warehouse.migrate()
            stores.metadata.migrate()
            stores.metadata.customers.add(ACCOUNT.customer_id, "Chaos")
            stores.metadata.accounts.add(self.account)

    def status(self) -> dict[str, Any]:
        """What the command says now; it never fails by an exception."""
        urls = {"CLICKHOUSE_URL": self.settings.clickhouse_url, "POSTGRES_URL": self.settings.postgres_url}
        others = {"HOME": str(self.settings.home), "DAGSTER_URL": "http://127.0.0.1:1", "API_PORT": "1"}
        environment = {f"OPTIINFRA_{name}": value for name, value in {**urls, **others}.items()}
        said = CliRunner().invoke(status, ["--json"], env=environment)
        assert said.exit_code == 1, "Dagster and the API do not run here"
        found: dict[str, Any] = json.loads(said.stdout)
        assert not found["is_well"]
        return found

    def down(self) -> set[str]:
        """The databases of which the command says that they are down, each with a reason in one line."""
        parts = [one for one in self.status()["parts"] if one["name"] in ("postgres", "clickhouse")]
        assert len(parts) == 2
        for one in parts:
            assert one["detail"]
            assert "\n" not in one["detail"]
            assert "Traceback" not in one["detail"]
        return {one["name"] for one in parts if not one["is_up"]}

    def check_history(self, instance: dg.DagsterInstance) -> None:
        """No collection is told to run, and once those that were queued are given up, what is told of every one is true."""
        with self.stores() as stores:
            metadata = stores.metadata
            now = datetime.now(UTC)
            monitor_runs(metadata, instance, now)
            assert {row.status for row in metadata.work_queue.open_collections()} <= {"queued"}
            monitor_runs(metadata, instance, now + timedelta(hours=1))
            assert metadata.work_queue.open_collections() == []
            published = {
                row[0] for row in stores.warehouse.client.query("SELECT generation FROM publications").result_rows
            }
            for row in metadata.collections.history(first=1000):
                assert row.status != "succeeded" or row.generation in published
                assert row.status != "failed" or row.error

    def collect(self) -> float:
        """Collect to the end; how many seconds that takes."""
        process, began = self.collector(), time.monotonic()
        assert ended(process) == 0
        return time.monotonic() - began

    def kill(self, victim: str) -> None:
        """kill -9 of a database."""
        if victim == "clickhouse":
            assert self.clickhouse is not None
            self.clickhouse.kill()
            self.clickhouse.wait(HANG)
            return
        for one in psutil.process_iter(["name"]):
            if one.info["name"] == "postgres" and _works_in(one, self.postgres):
                one.send_signal(signal.SIGKILL)

    def totals(self) -> dict[BillingPeriod, Decimal]:
        """What a reader sees of each period: raw and derived agree with the publication, or this fails."""
        with self.stores() as stores:
            return self._totals(stores.warehouse)

    def _totals(self, warehouse: Warehouse) -> dict[BillingPeriod, Decimal]:
        found: dict[BillingPeriod, Decimal] = {}
        for published in warehouse.resolve(ACCOUNT.customer_id).publications:
            publication = warehouse.current(published.slice)
            assert publication is not None
            stated = publication.totals["USD"].billed_cost
            for table in ("raw_costs", "cost_by_day", "cost_by_resource"):
                statement = f"SELECT sum(billed_cost) FROM {table} WHERE generation = {published.generation}"
                assert warehouse.client.query(statement).result_rows[0][0] == stated, table
            counted = f"SELECT count() FROM raw_costs WHERE generation = {published.generation}"
            assert warehouse.client.query(counted).result_rows[0][0] == published.line_items == self.rows
            found[published.slice.billing_period] = stated
        return found


def ended(process: BaseProcess) -> int | None:
    """The exit code, once there is one."""
    process.join(HANG)
    assert not process.is_alive(), "the collector neither completes nor fails"
    return process.exitcode


def _begun(work: Callable[..., None], *arguments: object) -> BaseProcess:
    begins = FORKING.Event()
    process = FORKING.Process(target=work, args=(*arguments, begins))
    process.start()
    assert begins.wait(HANG)
    return process


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _works_in(process: psutil.Process, path: Path) -> bool:
    try:
        return Path(process.cwd()) == path.resolve()
    except psutil.Error:
        return False
