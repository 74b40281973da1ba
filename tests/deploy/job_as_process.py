"""Dagster's launcher for Kubernetes without a cluster: it makes its Jobs as always, and the container of each is a process of this machine.

What a cluster does with a Job in addition (images, volumes, users, limits) is not shown by it. The variable `PLACES` says, as JSON, where
what is mounted into the container lies here, and what its image sets.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any, Final

from dagster_k8s.launcher import K8sRunLauncher
from kubernetes.client import V1Job, V1JobStatus

PLACES: Final = "OPTIINFRA_TEST_PLACES"


class Cluster:
    """What the launcher asks of a cluster."""

    def __init__(self) -> None:
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def create_namespaced_job_with_retries(self, body: V1Job, namespace: str) -> None:
        """Start the container of a Job, with the variables of its image and of the Job and no others."""
        given = json.loads(os.environ[PLACES])
        (container,) = body.spec.template.spec.containers
        asked = {one.name: one.value for one in container.env}
        mounted = {mount.mount_path for mount in container.volume_mounts}
        assert namespace == "costs"
        assert mounted == given["places"].keys(), mounted
        environment = {name: given["places"].get(value, value) for name, value in (given["image"] | asked).items()}
        self._started[body.metadata.name] = subprocess.Popen(
            container.args,
            env={**environment, "PATH": given["path"], "PYTHONVERBOSE": "1"},
            cwd=given["places"]["/tmp"],  # noqa: S108 - what a container has there
        )

    def get_job_status(self, namespace: str, job_name: str, **_: Any) -> V1JobStatus:
        """Whether the container runs, and how it ended."""
        code = self._started[job_name].poll()
        return V1JobStatus(active=int(code is None), succeeded=int(code == 0), failed=int(code not in (None, 0)))

    def delete_job(self, job_name: str, namespace: str) -> bool:
        """End the container."""
        self._started[job_name].terminate()
        return True


class JobAsProcess(K8sRunLauncher):
    """The launcher, with that in place of a cluster."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._api_client = Cluster()
