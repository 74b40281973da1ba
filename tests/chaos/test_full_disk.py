"""A full disk, a real one of a few hundred MB: what is published stays, `status` names the disk, and once there is room all goes on."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from collector import collected
from loopback import eventually
from machine import PERIODS, Machine

from optiinfra_assets.cli.failures import failure_as_json
from optiinfra_assets.database.errors import MetadataUnavailable
from optiinfra_assets.ingestion.run import SliceFailure

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root can mount a small disk to fill")


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system in memory on `folder`, gone afterwards: a process of its own unmounts it, however this one ends."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True)  # noqa: S607
    unmounts = ["sh", "-c", 'cat; umount --lazy "$0"', str(folder)]
    guard = subprocess.Popen(unmounts, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield folder
    finally:
        guard.communicate()
        assert guard.returncode == 0


def fill(disk: Path, leave: int = 0) -> None:
    """Leave so many bytes."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - leave)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """ClickHouse, and PostgreSQL with the home, each on a small disk of its own."""
    random_ = random.Random(8)  # noqa: S311 - amounts of money, not secrets
    with tempfile.TemporaryDirectory(prefix="optiinfra-disk-") as name:
        folder = Path(name)
        with small_disk(folder / "ch", 300), small_disk(folder / "home", 300):
            machine = Machine(folder, folder / "home" / "postgres", rows=5_000)
            try:
                machine.start()
                machine.prepare()
                for period in PERIODS:
                    machine.write(period, random_)
                assert machine.collect() > 0
                yield machine
            finally:
                machine.stop()


def problems(machine: Machine) -> list[str]:
    """What `status` says of disks."""
    return [one["what"] for one in machine.status()["problems"] if one["kind"] == "disk"]


def test_the_disk_of_clickhouse_is_full(machine: Machine) -> None:
    before, disk = machine.totals(), machine.path / "ch"
    assert problems(machine) == []
    fill(disk)
    machine.write(PERIODS[0], random.Random(1))  # noqa: S311 - amounts of money
    with machine.stores() as stores:
        # What is published already is not written again, so a full disk does not fail it.
        failed = [one for one in collected(stores, machine.account) if isinstance(one, SliceFailure)]
        assert [one.slice.billing_period for one in failed] == [PERIODS[0]]
        found = list(map(failure_as_json, stores.metadata.failures.find()))
        assert [one["period"] for one in found] == [str(PERIODS[0])]
        for failure in found:
            assert failure["fault"] == "storage"
            assert failure["message"].startswith("the disk of ClickHouse is full: "), failure
            assert "disk" in failure["remedy"]
        assert machine.totals() == before
        (said,) = problems(machine)
        assert f"the disk of ClickHouse ({disk}" in said
        assert "full" in said
        assert machine.down() == set()
        (disk / "filler").unlink()
        collected(stores, machine.account)
        assert stores.metadata.failures.find() == []
    assert machine.totals() == machine.newest
    assert problems(machine) == []


@pytest.mark.parametrize("disks", [("home",), ("home", "ch")], ids=["PostgreSQL", "both"])
def test_the_disk_of_postgresql_is_full(machine: Machine, disks: tuple[str, ...]) -> None:
    """Its log cannot grow: it stops at once, as it must, and comes back when there is room."""
    before = machine.totals()
    machine.write(PERIODS[1], random.Random(len(disks)))  # noqa: S311 - amounts of money
    for disk in disks:
        fill(machine.path / disk)
    with machine.stores() as stores:
        with pytest.raises(psycopg.Error):
            _fill_log(machine.postgres_url)
        with pytest.raises(MetadataUnavailable) as refused:
            collected(stores, machine.account)
        assert "\n" not in str(refused.value)
        assert eventually(lambda: machine.down() == {"postgres"})
        found = machine.status()
        assert f"the disk of {machine.settings.home}" in " ".join(one["what"] for one in found["problems"])
        assert "full" in found["next"]
    for disk in disks:
        (machine.path / disk / "filler").unlink()
    machine.start()
    assert machine.totals() == before
    with machine.stores() as stores:
        collected(stores, machine.account)
        assert stores.metadata.failures.find() == []
    assert machine.totals() == machine.newest
    assert machine.down() == set()


def _fill_log(url: str) -> None:
    """Have PostgreSQL begin one file of its log after another."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(20):
            connection.execute("SELECT pg_switch_wal(), txid_current()")
