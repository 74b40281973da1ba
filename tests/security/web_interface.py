"""Dagster's web interface behind the sign-in, and who asks it for something."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import psycopg

from optiinfra_assets.domain.automation import Automation
from optiinfra_assets.ingestion.dagster_client import DagsterClient
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.tokens import IssuedToken, Role
from optiinfra_assets.metadata.web_sessions import LINK_PATH
from optiinfra_assets.settings import Settings

INSTALLATION_TOKEN = "made-for-this-installation"
PUBLIC = "https://dagster.example"
AUTOMATIONS = 12
"""Schedules and sensors of the platform."""
STATES = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  schedules { name state: scheduleState { id } } sensors { name state: sensorState { id } } } } } }"""
STOP = 'mutation { stopRunningSchedule(id: "%s") { __typename ... on Error { message } } }'


@dataclass(frozen=True)
class WebInterface:
    """The served interface, what it keeps its state in, and its log."""

    settings: Settings
    metadata: Metadata
    instance: dg.DagsterInstance
    log: Path

    @property
    def url(self) -> str:
        """Its address."""
        return self.settings.dagster_url

    @property
    def host(self) -> str:
        """What browsers send as ``Host``."""
        return self.url.removeprefix("http://")

    def stopped_or_running(self) -> list[Automation]:
        """Its schedules and sensors, as our own client sees them."""
        with DagsterClient(self.settings) as client:
            return client.automations()

    def is_untouched(self) -> bool:
        """Whether every schedule and sensor runs."""
        return all(one.is_running for one in self.stopped_or_running())

    def start_all(self) -> None:
        """Start what was stopped."""
        with DagsterClient(self.settings) as client:
            for one in client.automations():
                if not one.is_running:
                    client.start(one)

    @cached_property
    def stop(self) -> str:
        """The mutation that stops the schedule which collects, for good."""
        headers = {"Authorization": f"Bearer {INSTALLATION_TOKEN}"}
        answer = httpx.post(f"{self.url}/graphql", json={"query": STATES}, headers=headers, timeout=60).json()
        (node,) = answer["data"]["repositoriesOrError"]["nodes"]
        (found,) = (one["state"]["id"] for one in node["schedules"] if one["name"] == "collect_due")
        return STOP % found

    def token(self, customer: str | None = None, role: Role = "admin") -> IssuedToken:
        """A new token; without `customer`, for all of them."""
        if customer:
            self.metadata.customers.add(customer)
        return self.metadata.tokens.issue(f"test-{uuid.uuid4().hex[:8]}", customer, role)

    def browser(self, **headers: str) -> httpx.Client:
        """What sends requests as a browser's page of this origin does, not signed in."""
        own = {"Origin": self.url, "Sec-Fetch-Site": "same-origin", "Accept": "text/html,*/*"}
        return httpx.Client(base_url=self.url, headers=own | headers, timeout=60)

    @contextmanager
    def signed_in(self, token: IssuedToken | None = None) -> Iterator[httpx.Client]:
        """Such a browser, signed in with `token`, or with a new one for all customers."""
        with self.browser() as browser:
            answer = browser.post("/sign-in", data={"token": (token or self.token()).plaintext})
            assert answer.status_code == 303, answer.text
            yield browser

    def link(self, **how: Any) -> str:
        """The secret of a one-time link for a new token for all customers."""
        return self.metadata.web_sessions.make_link(self.token().token.token_id, **how)

    @contextmanager
    def read_only(self) -> Iterator[httpx.Client]:
        """A browser that was signed in by a read-only link."""
        with self.browser() as browser:
            assert browser.post("/sign-in/link", data={"link": self.link(is_read_only=True)}).status_code == 303
            yield browser

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement of the test's own."""
        with psycopg.connect(str(self.settings.postgres_url)) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    """The parts of ``Set-Cookie``, by lower-case name; the name of the cookie is `name`, its value `value`."""
    first, *rest = answer.headers["set-cookie"].split("; ")
    name, _, value = first.partition("=")
    parts = dict(re.split("=", part, maxsplit=1) if "=" in part else (part, "") for part in rest)
    return {"name": name, "value": value, **{key.lower(): value for key, value in parts.items()}}


__all__ = ["INSTALLATION_TOKEN", "LINK_PATH", "PUBLIC", "WebInterface", "cookie_of"]
