"""Every query of every dashboard in ``deploy/grafana`` runs over `/sql` and answers the columns that its panel shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sql_asking import with_costs
from world import World

BOARDS = sorted((Path(__file__).parents[3] / "deploy" / "grafana" / "dashboards").glob("*.json"))
SHOWN = {
    "${__from:date:YYYY-MM-DD}": "2026-10-01",
    "${__to:date:YYYY-MM-DD}": "2026-10-31",
    "${currency}": "USD",
}
"""What Grafana puts in place of its variables."""


def queries() -> Iterator[tuple[str, dict[str, Any]]]:
    """The queries of all dashboards, and of the variables above them."""
    for path in BOARDS:
        board = json.loads(path.read_text())
        for variable in board["templating"]["list"]:
            yield f"{path.stem}: {variable['name']}", variable["query"]["infinityQuery"]
        for panel in board["panels"]:
            for query in panel["targets"]:
                assert query["datasource"] == panel["datasource"]
                yield f"{path.stem}: {panel['title']}", query


QUERIES = dict(queries())


@pytest.fixture(scope="module")
def token(world: World) -> str:
    return with_costs(world).token


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_answers_what_its_panel_shows(world: World, token: str, name: str) -> None:
    query = QUERIES[name]
    options = query["url_options"]
    assert (query["type"], query["source"], options["method"], options["body_type"]) == ("json", "url", "POST", "raw")
    statement = options["data"]
    for variable, value in SHOWN.items():
        statement = statement.replace(variable, value)
    assert "$" not in statement
    answer = world.http.post(
        world.url + query["url"],
        params={one["key"]: one["value"] for one in options["params"]},
        content=statement,
        headers={"Authorization": f"Bearer {token}", "Content-Type": options["body_content_type"]},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json(), "the panel would be empty"
    parsers = {"number": Decimal, "string": str, "timestamp": date.fromisoformat}
    for row in answer.json():
        assert set(row) == {column["selector"] for column in query["columns"]}
        for column in query["columns"]:
            parsers[column["type"]](row[column["selector"]])


def test_figures_of_the_dashboard_are_exact(world: World, token: str) -> None:
    query = QUERIES["costs: Billed in this time"]["url_options"]["data"]
    for variable, value in SHOWN.items():
        query = query.replace(variable, value)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/plain"}
    assert world.http.post(f"{world.url}/sql", content=query, headers=headers).json() == [{"billed": "3.875"}]
