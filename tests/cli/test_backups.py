"""The commands backup and restore, on databases that a supervisor runs, as a person uses them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from command_line import Run
from loopback import server_folder
from running_platform import Platform
from warehouse_samples import Line, publish

from optiinfra_assets.backup.restore import check
from optiinfra_assets.embedded import exchange
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

ENGINES = str(Path(__file__).parents[1] / "embedded" / "engines_only.py")


@pytest.fixture
def platform() -> Iterator[Platform]:
    """The two databases under their supervisor, in a home of this test."""
    with server_folder() as folder:
        made = Platform(folder / "home")
        yield made
        if made.process and made.process.poll() is None:
            made.stop()


def total(platform: Platform) -> Decimal:
    """What a reader sees of customer acme, from the address in the runtime file."""
    address = json.loads((platform.home / "runtime.json").read_text())["clickhouse_url"]
    with closing(Warehouse.connect(Settings(home=platform.home, clickhouse_url=address))) as warehouse:
        (generation,) = warehouse.resolve("acme").generations
        found = warehouse.client.query(f"SELECT sum(billed_cost) FROM raw_costs WHERE generation = {generation}")
    return Decimal(found.result_rows[0][0])


def published(platform: Platform, generation: int, amount: Decimal) -> None:
    """Publish a generation with one line item."""
    address = json.loads((platform.home / "runtime.json").read_text())["clickhouse_url"]
    with closing(Warehouse.connect(Settings(home=platform.home, clickhouse_url=address))) as warehouse:
        publish(warehouse, generation, [Line(amount)])


def test_yesterday_comes_back_into_the_same_home(platform: Platform) -> None:
    """Backup while the databases are used; more is published; restore, and another backup, while nothing runs."""
    folder = platform.home.parent / "backup"
    platform.up(ENGINES)
    assert platform.command("migrate").returncode == 0
    published(platform, 1, Decimal("1.23"))
    made = platform.command("backup", str(folder), "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["folder"] == str(folder)
    runtime = json.loads((platform.home / "runtime.json").read_text())
    for secret in (runtime["dagster_token"], runtime["clickhouse_url"]):
        assert secret not in made.stdout + made.stderr
    published(platform, 2, Decimal("4.56"))
    assert total(platform) == Decimal("4.56")
    platform.stop()
    restored = platform.command("restore", "--replace", str(folder))
    assert restored.returncode == 0, restored.stderr
    (kept,) = platform.home.glob("replaced-*")
    assert str(kept) in restored.stdout
    assert "next: optiinfra up" in restored.stdout
    platform.up(ENGINES)
    assert total(platform) == Decimal("1.23")
    platform.stop()
    again = platform.command("backup", f"{folder}-2")
    assert again.returncode == 0, again.stderr
    assert check(folder.with_name("backup-2"), lambda *progress: None).migrations


def test_a_start_finishes_the_exchange_of_a_killed_restore(platform: Platform) -> None:
    platform.home.mkdir()
    built = exchange.building(platform.home)
    (built / "replaced").write_text("replaced-before")
    (built / "clickhouse").mkdir()
    (built / "clickhouse" / "mark").write_text("restored")
    built.replace(platform.home / exchange.READY)
    platform.up(ENGINES)
    assert (platform.home / "clickhouse" / "mark").read_text() == "restored"
    assert not (platform.home / exchange.READY).exists()


@pytest.mark.parametrize("verb", ["backup", "restore"])
@pytest.mark.parametrize("name", ["OPTIINFRA_POSTGRES_URL", "OPTIINFRA_CLICKHOUSE_URL"])
def test_ones_own_servers_are_left_to_their_own_tools(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, name: str
) -> None:
    monkeypatch.setenv(name, "postgresql://someone:a-password@db.example.com/x")
    refused = run(verb, str(tmp_path / "backup"))
    assert refused.error == (
        f"{name}: is your own server: back it up and restore it with its own tools, PostgreSQL before ClickHouse (docs/backup.md)"
    )


def test_a_platform_on_ones_own_servers_is_recognised(platform: Platform, tmp_path: Path) -> None:
    """The address may have been given to `optiinfra up` and not to this command."""
    platform.up(ENGINES)
    runtime = platform.home / "runtime.json"
    content = json.loads(runtime.read_text())
    runtime.write_text(json.dumps({**content, "postgres_url": "postgresql://someone:a-password@127.0.0.1:1/x"}))
    refused = platform.command("backup", str(tmp_path / "backup"))
    assert refused.returncode == 1
    assert "OPTIINFRA_POSTGRES_URL of the platform that runs: is your own server" in refused.stderr
    assert "a-password" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_home_without_databases_has_nothing_to_back_up(run: Run, tmp_path: Path) -> None:
    assert "has no databases: set OPTIINFRA_HOME" in run("backup", str(tmp_path / "backup")).error
    assert "no whole backup" in run("restore", str(tmp_path / "nowhere")).error
    assert not (tmp_path / "home").exists()
