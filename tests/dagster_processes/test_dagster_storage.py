"""Dagster's storage keeps a connection to PostgreSQL, and goes on where that was lost."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import psycopg
import pytest
from loopback import eventually

from optiinfra_assets.dagster_processes.storage import PostgresStorage, with_driver
from optiinfra_assets.settings import Settings

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def server(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection that looks at those of others."""
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as connection:
        yield connection


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """An instance with our storage in the database of the test."""
    storage = {"module": PostgresStorage.__module__, "class": PostgresStorage.__name__}
    config = {"postgres_url": with_driver(str(settings.postgres_url))}
    overrides = {"storage": {"custom": {**storage, "config": config}}}
    with dg.instance_for_test(overrides=overrides) as opened:
        yield opened


def connections(server: psycopg.Connection) -> set[int]:
    """Process ids of the connections of others."""
    return {pid for (pid,) in server.execute(f"SELECT pid {OTHERS}".encode()).fetchall()}


def use(instance: dg.DagsterInstance) -> None:
    """Read from each of the three storages, and store an event."""
    instance.get_runs(limit=1)
    instance.all_instigator_state()
    instance.report_runless_asset_event(dg.AssetMaterialization("one"))


def test_one_connection_serves_all_statements(instance: dg.DagsterInstance, server: psycopg.Connection) -> None:
    use(instance)
    assert eventually(lambda: len(connections(server)) == 1)  # what closed a moment ago is still seen
    kept = connections(server)
    for _ in range(5):
        use(instance)
    assert connections(server) == kept


def test_a_connection_that_was_lost_is_replaced(instance: dg.DagsterInstance, server: psycopg.Connection) -> None:
    use(instance)
    before = connections(server)
    server.execute(f"SELECT pg_terminate_backend(pid) {OTHERS}".encode())
    use(instance)
    assert connections(server).isdisjoint(before)
    records = instance.fetch_materializations(dg.AssetKey("one"), limit=10).records
    assert len(records) == 2


def test_without_an_address_there_is_no_other_place_for_it(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster's own default is a file, which the next process on another machine would not find."""
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path))
    monkeypatch.delenv("OPTIINFRA_POSTGRES_URL", raising=False)
    with pytest.raises(ValueError, match="OPTIINFRA_POSTGRES_URL: unset: Dagster keeps its history there"):
        PostgresStorage.from_config_value(None, {"should_autocreate_tables": True})
