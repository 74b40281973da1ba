"""A schedule or sensor that somebody stopped is said wherever people look, and is started from the command line."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from api_server import SCRAPER, serving
from click.testing import CliRunner, Result
from loopback import eventually
from web_interface import AUTOMATIONS, WebInterface

from optiinfra_assets.cli import command
from optiinfra_assets.settings import Settings

STOPPED = "stopped: schedule collect_due: type `optiinfra schedule start`"


def typed(settings: Settings, *words: str) -> Result:
    """What the command line of that platform says; an error of a command is its exception."""
    names = ("home", "postgres_url", "clickhouse_url", "dagster_url", "dagster_token")
    ours = {f"OPTIINFRA_{name.upper()}": str(value) for name in names if (value := getattr(settings, name))}
    return CliRunner().invoke(command, words, env=ours)


def automation(settings: Settings) -> dict[str, Any]:
    """What `optiinfra status` says of the schedules and sensors."""
    parts = json.loads(typed(settings, "status", "--json").stdout)["parts"]
    (found,) = (part for part in parts if part["name"] == "automation")
    return dict(found)


def said(is_up: bool, detail: str) -> dict[str, Any]:
    """The line of `optiinfra status` for the schedules and sensors."""
    return {"name": "automation", "is_up": is_up, "detail": detail}


def seen(url: str, path: str) -> httpx.Response:
    """What the service tells those who run it."""
    return httpx.get(f"{url}{path}", headers=SCRAPER)


@pytest.fixture
def settings_with_clickhouse(web: WebInterface, clickhouse_url: str) -> Settings:
    """The settings of the platform whose web interface is served."""
    return web.settings.model_copy(update={"clickhouse_url": clickhouse_url})


def test_a_stopped_schedule_is_said_everywhere_and_started_by_a_command(
    web: WebInterface, settings_with_clickhouse: Settings
) -> None:
    settings = settings_with_clickhouse
    assert eventually(lambda: automation(settings) == said(True, f"{AUTOMATIONS} schedules and sensors run"))
    with web.signed_in() as browser:
        assert browser.post("/graphql", json={"query": web.stop}).status_code == 200
    assert eventually(lambda: automation(settings) == said(False, STOPPED))
    assert typed(settings, "status").exit_code == 1
    with serving(settings) as url:
        assert eventually(lambda: seen(url, "/readyz").json()["automation"] == STOPPED, pause=0.5)
        assert eventually(lambda: 'optiinfra_up{part="dagster"} 1.0' in seen(url, "/metrics").text, pause=0.5)
        metrics = seen(url, "/metrics").text
        assert 'optiinfra_automation_running{kind="schedule",name="collect_due"} 0.0' in metrics
        assert 'optiinfra_automation_running{kind="sensor",name="new_accounts"} 1.0' in metrics
        listed = json.loads(typed(settings, "schedule", "list", "--json").stdout)
        assert [one["name"] for one in listed if not one["is_running"]] == ["collect_due"]
        assert "use collect_due, collect_garbage, " in str(typed(settings, "schedule", "start", "collect_du").output)
        assert typed(settings, "schedule", "start", "freshness").stdout == "nothing is stopped\n"
        assert typed(settings, "schedule", "start").stdout == "started schedule collect_due\n"
        assert typed(settings, "schedule", "start").stdout == "nothing is stopped\n"
        assert eventually(lambda: seen(url, "/readyz").json()["automation"] == "ok", pause=0.5)
    assert web.is_untouched()


def test_a_stopped_sensor_is_started_too(web: WebInterface) -> None:
    headers = {"Authorization": f"Bearer {web.settings.dagster_token}"}
    states = "{ repositoriesOrError { ... on RepositoryConnection { nodes { sensors { name sensorState { id } } } } } }"
    with httpx.Client(base_url=web.url, headers=headers, timeout=60) as program:
        found = program.post("/graphql", json={"query": states}).json()["data"]["repositoriesOrError"]["nodes"][0]
        for one in found["sensors"]:
            stop = f'mutation {{ stopSensor(id: "{one["sensorState"]["id"]}") {{ __typename }} }}'
            assert program.post("/graphql", json={"query": stop}).status_code == 200
    assert typed(web.settings, "schedule", "start", "new_accounts").stdout == "started sensor new_accounts\n"
    assert not web.is_untouched()
    assert typed(web.settings, "schedule", "start").stdout.count("started sensor ") == len(found["sensors"]) - 1
    assert web.is_untouched()


def test_where_dagster_does_not_answer_the_service_is_ready_and_says_so(settings_with_clickhouse: Settings) -> None:
    away = settings_with_clickhouse.model_copy(update={"dagster_url": "http://127.0.0.1:9"})
    with serving(away) as url:
        ready = seen(url, "/readyz").json()
        assert ready["automation"] == "unknown: Dagster does not answer"
        assert "automation" not in ready["parts"]
        assert 'optiinfra_up{part="dagster"} 0.0' in seen(url, "/metrics").text
    assert "127.0.0.1:9" in str(typed(away, "schedule", "list").exception)
