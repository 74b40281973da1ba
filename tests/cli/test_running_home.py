"""Commands find a running demo when nothing runs in the home that they would use, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run

from optiinfra_assets.embedded import home_folder
from optiinfra_assets.settings import Settings


def running(home: Path, settings: Settings | None = None, pid: int | None = None) -> None:
    """What a supervisor leaves in its home while it runs; this process is one that lives."""
    home.mkdir(parents=True, exist_ok=True)
    content = {"supervisor": os.getpid() if pid is None else pid, "dagster_url": "http://127.0.0.1:1", "api_port": 1}
    if settings:
        content |= {"postgres_url": settings.postgres_url, "clickhouse_url": settings.clickhouse_url}
    (home / "runtime.json").write_text(json.dumps(content))


@pytest.fixture
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_status_and_accounts_find_the_demo(
    connected: Run, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLICKHOUSE_URL", "POSTGRES_URL", "DAGSTER_URL", "HOME"):
        monkeypatch.delenv(f"OPTIINFRA_{name}")
    monkeypatch.setenv("HOME", str(tmp_path))
    running(tmp_path / ".optiinfra-demo", settings)
    for verb in ("status", "accounts"):
        monkeypatch.delenv("OPTIINFRA_HOME", raising=False)
        shown = connected(verb, "--json")
        assert f"using the demo that runs in {tmp_path / '.optiinfra-demo'}" in shown.err
    assert json.loads(shown.out) == []


@pytest.mark.parametrize(
    "case", ["both run", "the demo was killed", "another database is named", "no demo", "nonsense"]
)
def test_otherwise_the_usual_home_is_used(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: int, case: str
) -> None:
    home = tmp_path / "home"
    if case != "no demo":
        running(home / "demo", pid=ended if case == "the demo was killed" else None)
    if case == "both run":
        running(home)
    if case == "another database is named":
        monkeypatch.setenv("OPTIINFRA_POSTGRES_URL", "postgresql://127.0.0.1:1/x")
    if case == "nonsense":
        (home / "demo" / "runtime.json").write_text("[]")
    shown = run("status", "--json")
    assert "using the demo" not in shown.err
    assert json.loads(shown.out)["home"] == str(home)


@pytest.mark.parametrize("which", ["home", "home/demo"])
def test_a_platform_that_has_not_written_its_addresses_yet_is_starting(run: Run, tmp_path: Path, which: str) -> None:
    """It writes them when the databases answer, which takes up to a minute; who is told to start one then finds the home taken."""
    home = tmp_path / which
    home.mkdir(parents=True, exist_ok=True)
    with home_folder.open_lock(home) as file:
        assert home_folder.try_lock(file) is None
        shown = run("status")
    assert f"next: the platform in {home} is starting or stopping: ask again in a minute" in shown.out
    assert "next: nothing runs here" in run("status").out
