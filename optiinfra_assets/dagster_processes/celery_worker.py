"""``python -m optiinfra_assets.dagster_processes.celery_worker --concurrency=2``: runs what `celery_launcher` puts on the broker.

The options are those of ``celery worker``. Runs are executed in copies of this process, which has loaded the definitions.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

from dagster import DagsterInstance
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

from optiinfra_assets.dagster_processes.celery_launcher import QUEUE, BrokerRunLauncher

_RUNS_A_PROCESS: Final = 50
"""A copy gives way to a new one after so many runs: what a run leaves behind in memory does not add up."""


def main(options: list[str]) -> None:
    """Work until a signal ends it; runs under way are waited for after the first.

    Raises:
        ValueError: ``dagster.yaml`` names another run launcher.
    """
    with DagsterInstance.get() as instance:
        launcher = instance.run_launcher
        if not isinstance(launcher, BrokerRunLauncher):
            raise ValueError(f"run_launcher of dagster.yaml: {type(launcher).__name__}: use BrokerRunLauncher")
        app = launcher.celery
    # What runs print is printed as it is, as where Dagster starts them itself: Celery would make a warning of each line.
    app.conf.worker_redirect_stdouts = False
    # A run that waits does so at the broker, where every worker sees it: in a worker it would wait for that one's runs, or be gone with it.
    app.conf.worker_disable_prefetch = True
    create_execute_job_task(app)
    create_resume_job_task(app)
    importlib.import_module("optiinfra_assets.definitions")
    app.worker_main(["worker", f"--queues={QUEUE}", f"--max-tasks-per-child={_RUNS_A_PROCESS}", *options])


if __name__ == "__main__":
    main(sys.argv[1:])
