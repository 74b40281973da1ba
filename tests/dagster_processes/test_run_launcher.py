"""What the run launcher says of a run whose code location cannot be asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dagster import DagsterRun
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from loopback import free_port

from optiinfra_assets.dagster_processes.run_launcher import WatchedRunLauncher
from optiinfra_assets.embedded import sessions


def status(**server: object) -> WorkerStatus:
    """What is said of the worker of a run that the code location `server` launched."""
    run = DagsterRun(job_name="collect", tags={GRPC_INFO_TAG: json.dumps(server)})
    return WatchedRunLauncher().check_run_worker_health(run).status


def test_a_socket_that_is_gone_has_no_worker(tmp_path: Path) -> None:
    assert status(host="localhost", socket=str(tmp_path / "code-location.sock")) == WorkerStatus.NOT_FOUND


def test_a_port_of_an_earlier_version_has_none_under_a_supervisor_and_may_have_one_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a run that an update interrupted would count as running for six hours."""
    monkeypatch.delenv(sessions.MARKER, raising=False)
    port = free_port()
    assert status(host="127.0.0.1", port=port) == WorkerStatus.RUNNING
    monkeypatch.setenv(sessions.MARKER, "/home:1")
    assert status(host="127.0.0.1", port=port) == WorkerStatus.NOT_FOUND
