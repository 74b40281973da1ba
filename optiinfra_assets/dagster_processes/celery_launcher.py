"""Dagster's run launcher for Celery, at the broker of our settings: workers on any number of machines run what it puts there.

It needs the extra ``deploy`` (dagster-celery). In ``dagster.yaml``::

    run_launcher:
      module: optiinfra_assets.dagster_processes.celery_launcher
      class: BrokerRunLauncher
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from dagster import DagsterRun
from dagster._config import UserConfigSchema
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._serdes import ConfigurableClassData
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from optiinfra_assets.settings import Settings

QUEUE: Final = "dagster"
ANSWER_SECONDS: Final = 2.0
MISSES: Final = 3
"""Looks in a row, one at each round of run monitoring, at which a worker's process does not answer: then it is gone with its runs."""


class BrokerRunLauncher(CeleryRunLauncher):  # type: ignore[misc] # its package is not there everywhere
    """Dagster's launcher, without the broker's address in ``dagster.yaml``, which is handed on with each run.

    It also tells of a run that was canceled and of a worker that is gone with its machine; else such a run counted as running for hours.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        broker = Settings().celery_broker
        if broker is None:
            raise ValueError("OPTIINFRA_CELERY_BROKER: unset: runs go to Celery's workers through it")
        super().__init__(default_queue=QUEUE, broker=broker, backend=broker, inst_data=inst_data)
        self._silent: Counter[str] = Counter()

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Take no configuration: see `Settings`."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BrokerRunLauncher:
        """Called by Dagster with ``run_launcher`` of ``dagster.yaml``."""
        return cls(inst_data)

    def terminate(self, run_id: str) -> bool:
        """Have the worker's process ended; run monitoring then says that the run is canceled."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        return bool(super().terminate(run_id))

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Report what Celery knows of the task of `run`, and whether the worker that has it answers."""
        task = self.celery.AsyncResult(run.tags[DAGSTER_CELERY_TASK_ID_TAG])
        if task.state == "REVOKED":
            return CheckRunHealthResult(WorkerStatus.FAILED, "the task was revoked")
        if task.state != "STARTED":
            found: CheckRunHealthResult = super().check_run_worker_health(run)
            return found
        worker = str((task.info or {}).get("hostname"))
        answers = self.celery.control.ping(destination=[worker], timeout=ANSWER_SECONDS)
        self._silent[run.run_id] = 0 if answers else self._silent[run.run_id] + 1
        if self._silent[run.run_id] < MISSES:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"its worker {worker} does not answer")
