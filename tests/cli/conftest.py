"""The command line, run in this process with the databases of one test."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Ran, Run

from optiinfra_assets import cli
from optiinfra_assets.settings import Settings


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The entry point with an empty home and nothing else set."""
    for name in ("CLICKHOUSE_URL", "POSTGRES_URL", "DAGSTER_URL", "API_PORT", "DEBUG"):
        monkeypatch.delenv(f"OPTIINFRA_{name}", raising=False)
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path / "home"))

    def call(*arguments: str) -> Ran:
        monkeypatch.setattr("sys.argv", ["optiinfra", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return call


@pytest.fixture
def connected(settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same with the databases of this test, migrated, and no Dagster."""
    monkeypatch.setenv("OPTIINFRA_CLICKHOUSE_URL", str(settings.clickhouse_url))
    monkeypatch.setenv("OPTIINFRA_POSTGRES_URL", str(settings.postgres_url))
    monkeypatch.setenv("OPTIINFRA_DAGSTER_URL", "http://127.0.0.1:1")
    migrated = run("migrate")
    assert migrated.code == 0, migrated.err
    return run
