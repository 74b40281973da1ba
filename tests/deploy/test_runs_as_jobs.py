"""The container of a run's Job, as dagster-k8s makes it from the chart: it collects with what the Job gives it and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from collecting_deployed import collected, connect, token_of, trigger
from deployment import Deployment, deployed, image_environment
from loopback import eventually
from test_chart import dagster_yaml, rendered_only

from optiinfra_assets.settings import Settings

pytestmark = rendered_only

KUBECONFIG = """{apiVersion: v1, kind: Config, current-context: none, clusters: [{name: none, cluster: {server: 'https://127.0.0.1:1'}}],
  users: [{name: none, user: {}}], contexts: [{name: none, context: {cluster: none, user: none}}]}"""


@pytest.fixture
def with_jobs(empty_databases: Settings) -> Iterator[Deployment]:
    """A deployment with Dagster's settings of the chart."""
    of_chart = dagster_yaml("as it is")
    launcher = of_chart["run_launcher"]
    launcher |= {"module": "job_as_process", "class": "JobAsProcess"}
    launcher["config"] |= {"load_incluster_config": False}
    with deployed(empty_databases, of_chart, prepare=_prepare) as found:
        yield found


def _prepare(deployment: Deployment) -> None:
    """Make what is mounted into a run's pod: empty folders, and the secrets."""
    folders = {"/tmp": "job-tmp", "/var/lib/dagster": "job-dagster", "/run/secrets/optiinfra": "secrets"}  # noqa: S108
    places = {mounted: str(deployment.folder / name) for mounted, name in folders.items()}
    for place in places.values():
        deployment.make_folder(Path(place))
    kubeconfig = deployment.folder / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    given = {"places": places, "image": image_environment(), "path": deployment.environment["PATH"]}
    deployment.more |= {
        "KUBECONFIG": str(kubeconfig),
        "OPTIINFRA_TEST_PLACES": json.dumps(given),  # of `job_as_process`, which needs the extra
        "PYTHONPATH": str(Path(__file__).parent),
    }


def test_a_job_collects_with_what_it_is_given(with_jobs: Deployment) -> None:
    connect(with_jobs, "acme", rows=2)
    token = token_of(with_jobs, "acme")
    trigger(with_jobs, token)
    assert eventually(lambda: collected(with_jobs, token) == "2.5", 0.3), with_jobs.said("dagster-daemon")
    imported = with_jobs.imported("dagster-daemon")  # a container writes where its cluster does
    assert "optiinfra_assets.ingestion.collect_slice" in imported
    assert [one for one in imported if one.startswith("optiinfra_assets.embedded")] == []
    assert "optiinfra_assets.ingestion.collect_slice" not in with_jobs.imported("dagster-webserver")
    with_jobs.show_no_secret()
    with_jobs.show_nothing_written_elsewhere()
