"""A backup is taken while collections go on, and a restore gives one state: every published total with its rows, and nothing lost."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from loopback import eventually, server_folder
from site_of_tests import (
    ACCOUNTS,
    MONTHS,
    NOW,
    Site,
    by_name,
    contents,
    serving,
    unseen,
    write_sources,
)
from warehouse_samples import Line, publish, write

from optiinfra_assets.backup import restore as restoring
from optiinfra_assets.backup import take as taking
from optiinfra_assets.backup.errors import BackupError, DamagedBackup
from optiinfra_assets.backup.manifest import NAME, Manifest
from optiinfra_assets.backup.restore import check, restore
from optiinfra_assets.database.migrations import AppliedMigration
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.embedded import exchange, home_folder
from optiinfra_assets.embedded.errors import PreflightError
from optiinfra_assets.ingestion.slice_attempt import CollectionOutcome

FAR = 10**9
"""Number of a generation that is not published, above all others."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for homes, sources and backups of this module."""
    with server_folder() as made:
        yield made


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    """A home whose databases run, with a published month of each of two accounts, and a secret."""
    with serving(folder / "home") as made:
        made.add_accounts(folder / "sources")
        made.add_secret()
        write_sources(folder / "sources")
        made.collect_all()
        yield made


@pytest.fixture(scope="module")
def whole(site: Site, folder: Path) -> Path:
    """A backup of it, for tests that spoil copies of it."""
    site.back_up(folder / "whole")
    return folder / "whole"


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """A copy of that backup."""
    return Path(shutil.copytree(whole, tmp_path / "copied"))


@pytest.fixture
def home() -> Iterator[Path]:
    """Where a home is made, outside of pytest's folder: PostgreSQL may run as another user."""
    with server_folder() as made:
        yield made / "home"


def test_a_restore_gives_the_totals_of_the_backup_and_the_schedule_goes_on(
    site: Site, folder: Path, home: Path
) -> None:
    before = write_sources(folder / "sources", "5.5")
    site.collect_all()
    earlier = site.totals()
    instant = max(one.published_at for one in site.warehouse.resolve("acme").publications)
    before = write_sources(folder / "sources", "7")
    site.collect_all()
    token = site.metadata.tokens.issue("reader", "acme", "viewer")
    site.back_up(folder / "quiet")
    after = write_sources(folder / "sources", "100")
    site.collect_all()
    site.metadata.tokens.revoke(token.token.token_id)
    restored = restore(folder / "quiet", home, NOW, unseen)
    assert restored.kept is None
    assert len(restored.missing_keys) == 1, "the master key is not in the backup"
    assert by_name(site.totals()) == after
    with serving(home) as there:
        assert by_name(there.totals()) == before
        current = there.warehouse.client.query("SELECT sum(billed_cost) FROM costs_current WHERE customer_id = 'acme'")
        assert current.first_row[0] == sum(there.totals().values()), "the views of the backup"
        assert there.totals(instant) == earlier
        assert there.metadata.tokens.authenticate(token.plaintext) is not None
        assert there.metadata.credentials.master_keys()[0].credentials == 1
        there.collect_all()
        assert by_name(there.totals()) == after
    assert not (home / "master.key").exists()


def test_a_backup_of_moving_databases_is_one_state(site: Site, folder: Path, home: Path) -> None:
    """Collections publish all the time, one is half written. All that is published has its rows, what PostgreSQL takes for collected is
    there, and the rows of the half one, whose number PostgreSQL's dump may not know, never enter a later generation."""
    half = Slice("acme", "focus", ACCOUNTS[0], BillingPeriod.parse(MONTHS[0]))
    write(site.warehouse, FAR, [Line(Decimal(999))] * 3, half)
    stop, published, failed = threading.Event(), count(), []

    def go_on() -> None:
        try:
            for number in count(1):
                write_sources(folder / "sources", f"{number}")
                site.collect_all()
                next(published)
                if stop.is_set():
                    return
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        site.back_up(folder / "moving")
    finally:
        stop.set()
        thread.join()
    assert failed == []
    assert next(published) > 0
    restore(folder / "moving", home, NOW, unseen)
    with serving(home) as there:
        assert there.warehouse.unequal_generation() is None
        current = {one.slice: one.generation for one in there.warehouse.resolve("acme").publications}
        for state in there.metadata.slices.states():
            assert state.generation is not None
            assert state.generation <= current[state.slice], "PostgreSQL takes for collected what ClickHouse lacks"
        there.collect_all()
        assert there.totals() == site.totals()
        write_sources(folder / "sources", "31337")
        there.collect_all()
        assert min(one.generation for one in there.warehouse.resolve("acme").publications) > FAR


def test_the_databases_are_taken_in_the_order_that_loses_nothing(
    site: Site, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moments: a collection ends right between any two of the three steps."""
    steps = []
    dump, backup = taking.databases.dump_postgres, taking.databases.backup_clickhouse

    def then_collect(step: object) -> object:
        def run(*arguments: object) -> None:
            step(*arguments)  # type: ignore[operator]
            steps.append(step)
            write_sources(folder / "sources", f"{len(steps)}000")
            site.collect(ACCOUNTS[0], MONTHS[0])

        return run

    monkeypatch.setattr(taking.databases, "dump_postgres", then_collect(dump))
    monkeypatch.setattr(taking.databases, "backup_clickhouse", then_collect(backup))
    site.back_up(folder / "between")
    assert len(steps) == 3
    restore(folder / "between", home, NOW, unseen)
    with serving(home) as there:
        moved = Slice("acme", "focus", ACCOUNTS[0], BillingPeriod.parse(MONTHS[0]))
        known = {state.slice: state.generation for state in there.metadata.slices.states()}[moved]
        (current,) = (one for one in there.warehouse.resolve("acme").publications if one.slice == moved)
        assert known is not None
        assert known < current.generation, "it was collected between the two databases: to PostgreSQL it must be due"
        assert there.warehouse.unequal_generation() is None
        assert there.collect(ACCOUNTS[0], MONTHS[0]).outcome is CollectionOutcome.PUBLISHED
        assert there.totals()[moved] == site.totals()[moved]


def test_files_are_readable_by_their_owner_only(whole: Path) -> None:
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (whole, *whole.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_a_backup_holds_neither_the_master_key_nor_a_secret(site: Site, whole: Path) -> None:
    key = (site.home / "master.key").read_bytes().strip()
    text = b"".join(path.read_bytes() for path in whole.rglob("*") if path.is_file())
    assert key not in text
    assert b"a-secret-of-tests" not in text
    assert Manifest.read(whole).master_keys == [site.metadata.credentials.master_keys()[0].key_id]


def test_an_existing_folder_is_never_written_to(site: Site, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="exists already: name a new folder"):
        site.back_up(tmp_path)
    with pytest.raises(BackupError, match="there is no such folder"):
        site.back_up(tmp_path / "nowhere" / "backup")
    assert list(tmp_path.iterdir()) == []


_TAKER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from optiinfra_assets.backup.take import take
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse
home, postgres_url, clickhouse_url, target = sys.argv[1:]
settings = Settings(home=Path(home), postgres_url=postgres_url, clickhouse_url=clickhouse_url)
stores = Metadata.connect(settings), Warehouse.connect(settings)
take(Path(target), postgres_url, *stores, lambda: datetime.now(UTC), lambda *progress: None)
"""


def test_a_killed_backup_never_looks_whole_and_the_next_one_clears_it(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    for _ in range(20):
        urls = str(site.settings.postgres_url), str(site.settings.clickhouse_url)
        process = subprocess.Popen([sys.executable, "-c", _TAKER, str(site.home), *urls, str(target)])
        assert eventually(lambda: any(tmp_path.iterdir()), 0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = list(tmp_path.iterdir())
        if any(path != target for path in left):
            break
    assert [path.name for path in left] == [f"backup.incomplete-{process.pid}"], "never killed half-way"
    for path in (*left, target):
        with pytest.raises(DamagedBackup, match="no whole backup"):
            check(path, unseen)
    site.back_up(target)
    assert list(tmp_path.iterdir()) == [target]
    check(target, unseen)


@pytest.mark.parametrize("step", ["dump_postgres", "backup_clickhouse"])
def test_a_backup_that_fails_leaves_nothing(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    original = getattr(taking.databases, step)

    def full(*arguments: object) -> None:
        original(*arguments)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(taking.databases, step, full)
    with pytest.raises(BackupError, match="its disk is full: nothing is kept"):
        site.back_up(tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 kB; only root can have one."""
    disk = tmp_path / "tiny"
    disk.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    options = ("-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk))
    if not mount or not umount or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run([umount, str(disk)], check=True)


@pytest.mark.parametrize("room", [0, 150_000, 330_000])
def test_a_disk_that_becomes_full_leaves_nothing(
    site: Site, tiny: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """Whoever writes when it is full: pg_dump, ClickHouse or we."""
    monkeypatch.setattr(taking, "need_room", unseen)
    (tiny / "other").write_bytes(bytes(390_000 - room))
    with pytest.raises(BackupError, match=f"{tiny}: its disk is full: nothing is kept"):
        site.back_up(tiny / "backup")
    assert [path.name for path in tiny.iterdir()] == ["other"]


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"MB free and 1000000000 MB are needed: free some space"):
        taking.need_room(tmp_path, 10**15)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _largest(folder: Path, part: str) -> Path:
    return max((path for path in (folder / part).rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


DAMAGES = {
    "a bit of PostgreSQL's dump": lambda folder: _flip(folder / "postgres.dump"),
    "a bit of ClickHouse's rows": lambda folder: _flip(_largest(folder, "clickhouse-rows")),
    "a file cut short": lambda folder: os.truncate(_largest(folder, "clickhouse-published"), 3),
    "a file that is gone": lambda folder: _largest(folder, "clickhouse-rows").unlink(),
    "a manifest cut short": lambda folder: os.truncate(folder / NAME, 100),
    "a manifest that is a list": lambda folder: (folder / NAME).write_text("[]"),
    "a manifest that leads elsewhere": lambda folder: (folder / NAME).write_text(
        (folder / NAME).read_text().replace("postgres.dump", "../postgres.dump")
    ),
    "no manifest": lambda folder: (folder / NAME).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_refused_and_changes_nothing(copied: Path, home: Path, damage: str) -> None:
    home.mkdir()
    (home / "master.key").write_text("kept")
    DAMAGES[damage](copied)
    before = contents(home)
    with pytest.raises(DamagedBackup, match=str(copied)):
        restore(copied, home, NOW, unseen)
    with pytest.raises(DamagedBackup):
        check(copied, unseen)
    assert contents(home) == before


def _newer(manifest: Manifest, what: str) -> Manifest:
    if what in manifest.migrations:
        one = AppliedMigration(len(manifest.migrations[what]) + 1, "something_new", "")
        return replace(manifest, migrations={**manifest.migrations, what: [*manifest.migrations[what], one]})
    if what == "format":
        return replace(manifest, format=2)
    return replace(manifest, versions={**manifest.versions, what: "9999.1"})


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("postgres", r"PostgreSQL: migration 00\d\d_something_new was run by a newer version, this one knows \d+"),
        ("clickhouse", r"ClickHouse: migration 00\d\d_something_new was run by a newer version, this one knows \d+"),
        ("optiinfra", r"written with optiinfra 9999\.1, here is "),
        ("dagster", r"written with dagster 9999\.1, here is "),
        ("format", "a newer version of OptiInfra wrote this backup"),
    ],
)
def test_a_backup_of_a_newer_version_is_refused(copied: Path, home: Path, what: str, said: str) -> None:
    manifest = _newer(Manifest.read(copied), what)
    (copied / NAME).unlink()
    manifest.write(copied)
    with pytest.raises(BackupError, match=said + ".*: upgrade optiinfra"):
        restore(copied, home, NOW, unseen)
    assert not home.exists()


def test_rows_that_are_not_those_that_were_published_are_refused(site: Site, folder: Path, home: Path) -> None:
    """Checksums only say that files are as they were written. A backup that was wrong from the beginning is found by its control totals."""
    other = Slice("other", "focus", "other.main", BillingPeriod.parse(MONTHS[0]))
    change = f"ALTER TABLE raw_costs UPDATE list_cost = {{}} WHERE generation = {2 * FAR} SETTINGS mutations_sync = 2"
    publish(site.warehouse, 2 * FAR - 1, [Line(Decimal(1))], other)
    publish(site.warehouse, 2 * FAR, [Line(Decimal(2))], other, published_at=NOW + timedelta(days=1))
    assert site.warehouse.unequal_generation() is None
    site.warehouse.client.command(change.format(3))
    site.back_up(folder / "wrong")
    site.warehouse.client.command(change.format(2))
    assert site.warehouse.unequal_generation() is None
    with pytest.raises(DamagedBackup, match=r"other\.main.* generation 2000000000: its line items are not those"):
        restore(folder / "wrong", home, NOW, unseen)
    assert contents(home) == {}
    assert not exchange.holds_data(home)


def old_databases(home: Path) -> dict[str, str]:
    """What stands for the databases of a home that a restore finds there; returns its contents."""
    for name in exchange.DATABASES:
        (home / name).mkdir(parents=True)
        (home / name / "file").write_text(f"old {name}")
    return contents(home)


def test_databases_that_are_there_are_exchanged_only_when_told_and_kept(whole: Path, home: Path) -> None:
    before = old_databases(home)
    with pytest.raises(BackupError, match="has databases already: add --replace"):
        restore(whole, home, NOW, unseen)
    assert contents(home) == before
    restored = restore(whole, home, NOW, unseen, replace=True)
    assert restored.kept == home / "replaced-20261120T120000Z"
    assert contents(restored.kept) == before
    assert not (home / "postgres" / "file").exists()


def test_a_home_in_use_is_refused(whole: Path, home: Path) -> None:
    home.mkdir()
    with home_folder.open_lock(home) as held:
        assert home_folder.try_lock(held) is None
        held.write(str(os.getpid()))
        held.flush()
        with pytest.raises(PreflightError, match=f"already served by process {os.getpid()}"):
            restore(whole, home, NOW, unseen, replace=True)
    assert not exchange.holds_data(home)


@pytest.mark.parametrize("step", ["restore_postgres", "restore_clickhouse"])
def test_a_restore_that_fails_half_way_leaves_the_home_as_it_was(
    whole: Path, home: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = old_databases(home)
    original = getattr(restoring.databases, step)

    def fail(*arguments: object) -> None:
        original(*arguments)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(restoring.databases, step, fail)
    with pytest.raises(BackupError, match="its disk is full"):
        restore(whole, home, NOW, unseen, replace=True)
    assert contents(home) == before
    assert not (home / exchange.BUILDING).exists()


class Killed(BaseException):
    """As a kill: nothing catches it."""


@pytest.mark.parametrize("calls", range(1, 9))
@pytest.mark.parametrize("had_data", [True, False])
def test_an_exchange_that_is_killed_is_whole_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int, had_data: bool
) -> None:
    """Killed before each of its renames in turn: before the first the old databases stay, then the next start has the new ones."""
    if had_data:
        old_databases(tmp_path)
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "storage").write_text("of the old tables")
    built = exchange.building(tmp_path)
    for name in exchange.DATABASES:
        (built / name).mkdir()
        (built / name / "file").write_text(f"new {name}")
    left = [calls]
    original = Path.replace

    def killed(path: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return original(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        try:
            exchange.commit(tmp_path, NOW)
        except Killed:
            pass
        else:
            assert calls > 5
    exchange.finish(tmp_path)
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.glob("*/file")}
    if calls == 1:
        assert found == ({f"{name}/file": f"old {name}" for name in exchange.DATABASES} if had_data else {})
        return
    assert found == {f"{name}/file": f"new {name}" for name in exchange.DATABASES}
    kept = {path.parent.name: path.read_text() for path in tmp_path.glob("replaced-*/*/file")}
    assert kept == ({name: f"old {name}" for name in exchange.DATABASES} if had_data else {})
    assert not (tmp_path / "dagster" / "storage").exists()
    assert not (tmp_path / exchange.READY).exists()
