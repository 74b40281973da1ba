"""The recipes of ``docs/bi.md`` run as they are written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sql_asking import rows, with_costs
from world import Customer, World

from optiinfra_api.reading.syntax_tree import FUNCTIONS, VIEWS

TEXT = (Path(__file__).parents[3] / "docs" / "bi.md").read_text()


def blocks(language: str) -> list[str]:
    """The blocks of code in one language."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found
    return found


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    return with_costs(world)


def run(customer: Customer, command: list[str]) -> str:
    """What a command says that reaches the service of the tests in place of the one of the documents."""
    there = [part.replace("http://127.0.0.1:8000", customer.world.url) for part in command]
    done = subprocess.run(
        there, env={**os.environ, "TOKEN": customer.token}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("statement", blocks("sql"), ids=range(len(blocks("sql"))))
def test_a_statement_answers_rows(customer: Customer, statement: str) -> None:
    assert rows(customer, statement)


def test_the_requests_of_the_shell_are_answered(customer: Customer) -> None:
    statement, link = (json.loads(run(customer, ["bash", "-c", block])) for block in blocks("sh"))
    assert [row["billed"] for row in statement] == ["3.75", "0.125"]
    answer = customer.world.http.get(customer.world.url + link["path"])
    assert answer.status_code == 200
    assert "Compute" in answer.text


def test_pandas_reads_exports_and_statements(customer: Customer) -> None:
    (program,) = blocks("python")
    said = run(customer, [sys.executable, "-c", program])
    assert re.search(r"Compute\s+3\.75", said)
    assert re.search(r"2026-10-06\s+2\.625", said)


def test_the_request_of_power_query_is_answered(customer: Customer) -> None:
    (program,) = blocks("powerquery")
    path = re.search(r'RelativePath = "(.*?)"', program)
    query = re.search(r"Query = \[(.*?)\]", program)
    assert path
    assert query
    answer = customer.world.http.get(
        f"{customer.world.url}/{path[1]}",
        params=dict(re.findall(r'(\w+) = "(.*?)"', query[1])),
        headers={"Authorization": f"Bearer {customer.token}"},
    )
    assert answer.status_code == 200, answer.text
    assert '"cost"' in answer.text


def test_clickhouse_parses_the_statements_for_a_server(world: World) -> None:
    (text,) = blocks("clickhouse")
    for statement in text.split(";"):
        found = world.warehouse.client.query("SELECT formatQuery({text:String})", {"text": statement.strip()})
        assert found.result_rows
    assert "CONST" in text


def test_the_page_names_every_view_and_every_function() -> None:
    for name in (*VIEWS, *FUNCTIONS):
        assert f"`{name}`" in TEXT, name
