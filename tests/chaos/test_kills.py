"""kill -9 of the collector, of ClickHouse and of PostgreSQL at random moments of a collection.

After every restart each slice's total is that of a published generation and of a version the files once had; then the collection that
was killed is run again and completes the work. The moments come from a seed that a failure prints. Each victim dies in every part of a
collection, which is cut into as many as there are kills of it: 8 here, and more of them where ``OPTIINFRA_TEST_KILLS`` asks for more.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing.process import BaseProcess
from pathlib import Path

import collector
import psutil
import psycopg
import pytest
from loopback import CLICKHOUSE_LOGIN, HANG, clickhouse_address, free_port, server_folder, wait_until_answers

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.embedded.postgres import __main__ as embedded_postgres
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

VICTIMS = ("collector", "clickhouse", "postgres")
KILLS = int(os.environ.get("OPTIINFRA_TEST_KILLS", "24"))
ROWS = 20_000
PERIODS = (BillingPeriod(2026, 9), BillingPeriod(2026, 10))
ACCOUNT = Account("chaos.files", "chaos", "focus")
FORKING = multiprocessing.get_context("forkserver")
"""A collector is a process of its own, forked where everything is imported: imports take longer than a collection does."""
FORKING.set_forkserver_preload(["pytest", "optiinfra_assets.ingestion.collect_slice", "optiinfra_assets.providers"])
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
        while not _answers(self.postgres_url):  # the process that serves it has not noticed yet that it died
            time.sleep(0.05)
            self.postgres_url = embedded_postgres.start(self.postgres)

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
            for number in range(ROWS)
        ]
        target = self.path / "files" / f"{period}.csv"
        written = target.with_suffix(".writing")
        written.write_text("\n".join([HEADER, *lines]) + "\n")
        written.rename(target)
        self.newest[period] = ROWS * Decimal(cents) + sum(Decimal(number) for number in range(ROWS)) / 10**6
        self.versions[period].add(self.newest[period])

    def collector(self) -> BaseProcess:
        """Start a collection and wait until it has begun to work."""
        begins = FORKING.Event()
        account = replace(ACCOUNT, settings={"location": str(self.path / "files")})
        process = FORKING.Process(target=collector.collect, args=(self.settings, account, begins))
        process.start()
        assert begins.wait(HANG)
        return process

    def collect(self) -> float:
        """Collect to the end; how many seconds that takes."""
        process, began = self.collector(), time.monotonic()
        assert ended(process) == 0
        return time.monotonic() - began

    def kill(self, victim: str, process: BaseProcess) -> None:
        """kill -9 of one of the three, and start again what a supervisor would; a collector that lost its database ends by itself."""
        if victim == "collector":
            process.kill()
        elif victim == "clickhouse":
            assert self.clickhouse is not None
            self.clickhouse.kill()
            self.clickhouse.wait(HANG)
        else:
            for one in psutil.process_iter(["name"]):
                if one.info["name"] == "postgres" and _works_in(one, self.postgres):
                    one.send_signal(signal.SIGKILL)
        self.start()
        ended(process)

    def totals(self) -> dict[BillingPeriod, Decimal]:
        """What a reader sees of each period: raw and derived agree with the publication, or this fails."""
        warehouse = Warehouse.connect(self.settings)
        found: dict[BillingPeriod, Decimal] = {}
        for published in warehouse.resolve(ACCOUNT.customer_id).publications:
            publication = warehouse.current(published.slice)
            assert publication is not None
            stated = publication.totals["USD"].billed_cost
            for table in ("raw_costs", "cost_by_day", "cost_by_resource"):
                statement = f"SELECT sum(billed_cost) FROM {table} WHERE generation = {published.generation}"
                assert warehouse.client.query(statement).result_rows[0][0] == stated, table
            found[published.slice.billing_period] = stated
        warehouse.close()
        return found


def ended(process: BaseProcess) -> int | None:
    """The exit code, once there is one."""
    process.join(HANG)
    assert not process.is_alive(), "the collector neither completes nor fails"
    return process.exitcode


def moments(seconds: float, random_: random.Random) -> list[tuple[str, float]]:
    """Whom to kill, and how many seconds after a collection began that takes so many; in random order."""
    parts = KILLS // len(VICTIMS)
    found = [(victim, (part + random_.random()) * seconds / parts) for victim in VICTIMS for part in range(parts)]
    random_.shuffle(found)
    return found


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


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    (tmp_path / "files").mkdir()
    with server_folder() as servers:
        machine = Machine(tmp_path, servers / "postgres")
        try:
            machine.start()
            warehouse, metadata = Warehouse.connect(machine.settings), Metadata.connect(machine.settings)
            warehouse.migrate()
            metadata.migrate()
            metadata.customers.add(ACCOUNT.customer_id, "Chaos")
            metadata.accounts.add(ACCOUNT)
            warehouse.close()
            metadata.close()
            yield machine
        finally:
            machine.stop()


@pytest.mark.timeout(900)
def test_nothing_half_is_ever_seen_and_the_next_collection_completes(machine: Machine) -> None:
    """After each kill the reader sees whole versions only, and the work that was killed completes when run again."""
    seed = random.SystemRandom().randrange(10**9)
    random_ = random.Random(seed)  # noqa: S311 - moments of kills, not secrets
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    for period in PERIODS:
        machine.write(period, random_)
    machine.collect()
    machine.write(PERIODS[0], random_)
    hits = 0
    for number, (victim, moment) in enumerate(moments(machine.collect(), random_)):
        machine.write(random_.choice(PERIODS), random_)
        process = machine.collector()
        process.join(moment)
        if process.is_alive():
            hits += 1
            machine.kill(victim, process)
        totals = machine.totals()
        assert set(totals) == set(PERIODS)
        assert all(total in machine.versions[period] for period, total in totals.items())
        if number % 5 == 4:
            machine.collect()
            assert machine.totals() == machine.newest
    assert hits > KILLS // 3, "collections had ended before they were to be killed"
    _no_row_is_left_behind(machine)


def _no_row_is_left_behind(machine: Machine) -> None:
    """Rows of killed attempts go with the next garbage collection; those of publications stay."""
    machine.collect()
    warehouse, metadata = Warehouse.connect(machine.settings), Metadata.connect(machine.settings)
    live = metadata.slices.live_generations(timedelta(0))
    warehouse.collect_garbage(datetime.now(UTC) + timedelta(days=2), 95, live)
    orphans = warehouse.client.query(
        "SELECT count() FROM raw_costs WHERE generation NOT IN (SELECT generation FROM publications)"
    ).result_rows[0][0]
    assert orphans == 0
    current = {one.slice: one.generation for one in warehouse.resolve(ACCOUNT.customer_id).publications}
    assert set(current) == {Slice.of(ACCOUNT, period) for period in PERIODS}
    warehouse.close()
    metadata.close()
    assert machine.totals() == machine.newest
