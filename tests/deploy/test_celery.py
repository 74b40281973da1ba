"""Runs executed by Celery's workers, through a broker on loopback."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml
from balancer import Balancer
from collecting_deployed import ask, collected, connect, runs, token_of, trigger
from deployment import DEPLOY, Deployment, deployed
from loopback import HANG, eventually, free_port

from optiinfra_assets.settings import Settings

REDIS = shutil.which("redis-server", path=os.environ.get("OPTIINFRA_TEST_REDIS", os.environ["PATH"]))
pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("dagster_celery") is None,
        reason="NOT TESTED: runs by Celery: install deploy/checks.lock (make test-deploy)",
    ),
    pytest.mark.skipif(REDIS is None, reason="NOT TESTED: runs by Celery: no redis-server (Debian: redis-server)"),
]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """Address of a broker that knows a password."""
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--requirepass", "of-the-broker", "--save", ""]
    process = subprocess.Popen([str(REDIS), *options, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        import redis

        client = redis.Redis(port=port, password="of-the-broker")

        def answers() -> bool:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

        assert eventually(answers)
        yield f"redis://:of-the-broker@127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(HANG)


@pytest.fixture
def with_celery(empty_databases: Settings, broker: str) -> Iterator[Deployment]:
    """A deployment whose runs go to one worker of Celery, with two code locations behind one address."""
    dagster_yaml = yaml.safe_load((DEPLOY.parent / "dagster.yaml").read_text())
    dagster_yaml["run_launcher"] = {
        "module": "optiinfra_assets.dagster_processes.celery_launcher",
        "class": "BrokerRunLauncher",
    }
    given = empty_databases.model_copy(update={"celery_broker": broker})
    first, second = free_port(), free_port()
    with (
        Balancer(first, second) as balancer,
        deployed(given, dagster_yaml, balancer.port, ports={"code-location": first}) as found,
    ):
        found.start("code-location", "code-location-2", second)
        found.wait_for_code_location(second)
        start_worker(found, "first")
        yield found


def start_worker(deployment: Deployment, name: str) -> None:
    """Start a worker, and wait until it takes runs."""
    module = "optiinfra_assets.dagster_processes.celery_worker"
    command = [str(deployment.python), "-m", module, "--concurrency=1", f"--hostname={name}@localhost"]
    deployment.start("celery-worker", name, command=[*command, "--loglevel=info"])
    assert eventually(lambda: f"{name}@localhost ready." in deployment.log(name).read_text(), 0.2), deployment.said(
        name
    )


@contextmanager
def overheard(broker: str) -> Iterator[list[str]]:
    """What is asked of the broker."""
    import redis

    found: list[str] = []
    with redis.Redis.from_url(broker) as client, client.monitor() as monitor:

        def listen() -> None:
            with suppress(redis.ConnectionError, OSError, ValueError):
                found.extend(command["command"] for command in monitor.listen())

        threading.Thread(target=listen, daemon=True).start()
        yield found


def test_a_worker_collects_with_no_secret_on_the_broker_and_nothing_embedded(
    with_celery: Deployment, broker: str
) -> None:
    connect(with_celery, "acme", rows=2)
    token = token_of(with_celery, "acme")
    with overheard(broker) as commands:
        trigger(with_celery, token)
        assert eventually(lambda: collected(with_celery, token) == "2.5", 0.3), with_celery.said("first")
    assert any("execute_job" in command for command in commands)
    assert [one for one in with_celery.secrets.values() if any(one in command for command in commands)] == []
    imported = with_celery.imported("first")
    assert "optiinfra_assets.ingestion.collect_slice" in imported
    assert [one for one in imported if one.startswith("optiinfra_assets.embedded")] == []
    assert "optiinfra_assets.ingestion.collect_slice" not in with_celery.imported("dagster-daemon")
    with_celery.show_no_secret()


def test_a_run_whose_worker_is_killed_is_run_again_by_another(with_celery: Deployment) -> None:
    connect(with_celery, "acme", rows=400_000)
    token = token_of(with_celery, "acme")
    trigger(with_celery, token)
    assert eventually(lambda: "STEP_START" in with_celery.log("first").read_text(), 0.05)
    with_celery.kill("first")
    start_worker(with_celery, "second")
    assert eventually(lambda: collected(with_celery, token) == "500000", 0.5), with_celery.said("second")
    # The killed one keeps no place: Dagster's own launcher would count it as running for hours.
    assert eventually(lambda: {"FAILURE", "SUCCESS"} == set(runs(with_celery)), 1), runs(with_celery)


def test_a_canceled_run_ends_and_leaves_its_place_to_the_next(with_celery: Deployment) -> None:
    """The worker runs one at a time."""
    connect(with_celery, "acme", rows=1_000_000)
    token = token_of(with_celery, "acme")
    task = trigger(with_celery, token)
    assert eventually(lambda: "STEP_START" in with_celery.log("first").read_text(), 0.05)
    canceled = ask(with_celery, token, f'mutation {{ cancelCollection(taskId: "{task}") {{ __typename }} }}')
    assert canceled == {"data": {"cancelCollection": {"__typename": "CollectionCanceled"}}}
    connect(with_celery, "other", rows=2)
    other = token_of(with_celery, "other")
    trigger(with_celery, other)
    assert eventually(lambda: collected(with_celery, other) == "2.5", 0.3), with_celery.said("first")
    assert collected(with_celery, token) is None


def test_a_code_location_is_killed_and_collections_go_on(with_celery: Deployment) -> None:
    """What is asked for, and a new account, which a sensor finds by itself."""
    with_celery.kill("code-location")
    connect(with_celery, "acme", rows=2)
    token = token_of(with_celery, "acme")
    trigger(with_celery, token)
    assert eventually(lambda: collected(with_celery, token) == "2.5", 0.3), with_celery.said("dagster-webserver")
    connect(with_celery, "other", rows=4)
    other = token_of(with_celery, "other")
    assert eventually(lambda: collected(with_celery, other) == "5", 0.3), with_celery.said("dagster-daemon")
