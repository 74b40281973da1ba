"""Dagster's default run launcher, extended to report whether the worker of a run still lives.

Without this, a run whose worker died together with the code location (power cut, kill -9, an ended `optiinfra up`)
counts as running until its time limit and keeps its place in the queue. With it, run monitoring fails the run
within seconds and run retries start it again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from dagster import DagsterRun, deserialize_value
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult

from optiinfra_assets.settings import SUPERVISOR_MARKER


class WatchedRunLauncher(DefaultRunLauncher):
    """Launches runs in the code location, as `DefaultRunLauncher` does, and asks the code location for their workers."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: `check_run_worker_health` works."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Report whether the code location that launched `run` still has a worker process for it.

        A code location that does not answer may be restarting, so the result is then unknown. One whose socket is gone has ended, and its
        workers with it. Under `optiinfra up` the same is true of one that an earlier version served on a port.
        """
        server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
        if not server:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "no code location launched this run")
        has_port_of_old = "socket" not in server and SUPERVISOR_MARKER in os.environ
        if has_port_of_old or (server.get("socket") and not Path(server["socket"]).exists()):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the code location that launched it has ended")
        client = DagsterGrpcClient(
            port=server.get("port"),
            socket=server.get("socket"),
            host=server.get("host"),
            use_ssl=bool(server.get("use_ssl")),
        )
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id))
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "the code location does not answer")
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its worker process has ended without a result")
