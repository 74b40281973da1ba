"""Asks a deployment for collections and for what they published, as a user does."""

from __future__ import annotations

import json
from typing import Any

import httpx
from deployment import Deployment
from focus_samples import csv_text, row, write_csv
from loopback import HANG

TOTAL = """{ totalCost(period: {start: "2024-09-01", end: "2024-10-01"}) { totals { cost { amount currency } } } }"""


def connect(deployment: Deployment, customer: str, rows: int) -> None:
    """Connect a folder with a file of so many charges of 1.25 USD."""
    source = deployment.folder / "tmp" / customer
    source.mkdir()
    file = write_csv(source / "costs.csv", csv_text([row()]))
    header, line = file.read_text().splitlines()
    file.write_text("\n".join([header, *[line] * rows, ""]))
    for path in (source, file):
        path.chmod(0o755)
    deployment.run("optiinfra", "connect", "focus", "--customer", customer, "--location", str(source))


def token_of(deployment: Deployment, customer: str) -> str:
    """Make a token that may collect."""
    made = deployment.run("optiinfra", "token", "create", "--customer", customer, "--role", "operator", "--json")
    return str(json.loads(made)["token"])


def ask(deployment: Deployment, token: str, document: str, url: str = "") -> Any:
    """What the service answers."""
    answer = httpx.post(
        f"{url or deployment.address('api')}/graphql",
        json={"query": document},
        headers={"Authorization": f"Bearer {token}"},
        timeout=HANG,
    )
    return answer.raise_for_status().json()


def trigger(deployment: Deployment, token: str) -> str:
    """Ask for a collection, and return its task."""
    answer = ask(deployment, token, "mutation { triggerCollection { ... on CollectionQueued { taskId } } }")
    assert answer["data"]["triggerCollection"], answer
    return str(answer["data"]["triggerCollection"]["taskId"])


def runs(deployment: Deployment) -> list[str]:
    """The status of each run, as Dagster's webserver tells it."""
    answer = httpx.post(
        f"{deployment.address('dagster-webserver')}/graphql",
        json={"query": "{ runsOrError { ... on Runs { results { status } } } }"},
        headers={"Authorization": f"Bearer {deployment.secrets['optiinfra_dagster_token']}"},
        timeout=HANG,
    )
    found = answer.raise_for_status().json()["data"]["runsOrError"]["results"]
    return [str(run["status"]) for run in found]


def collected(deployment: Deployment, token: str) -> str | None:
    """What is published, in USD; None while nothing is."""
    totals = ask(deployment, token, TOTAL)["data"]["totalCost"]["totals"]
    return str(totals[0]["cost"]["amount"]) if totals else None
