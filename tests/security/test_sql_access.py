"""Statements of one customer over `/sql`, which try to reach another customer's rows, other tables, the machine, and everybody's time."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from api_server import serving
from hostile_sql import failing_statements, hostile_statements
from loopback import eventually
from sql_asking import ask, rows, with_costs
from world import Customer, World

from optiinfra_api.reading.syntax_tree import FUNCTIONS, VIEWS

COUNT = 500
OTHERS = "Secret of another"


@pytest.fixture(scope="module")
def other(world: World) -> Customer:
    return with_costs(world, OTHERS)


@pytest.fixture(scope="module")
def own(world: World, other: Customer) -> Customer:
    """Who attacks; her rows stand beside those of the other in the same parts and granules of each table."""
    customer = with_costs(world, "1")
    for table in ("raw_costs", "cost_trends", "cost_by_resource", "publications"):
        world.warehouse.client.command(f"OPTIMIZE TABLE {table} FINAL")
    return customer


def _count(world: World, table: str) -> int:
    return int(world.warehouse.client.query(f"SELECT count() FROM {table}").result_rows[0][0])


def test_no_hostile_statement_reaches_anything(world: World, own: Customer, other: Customer, tmp_path: Path) -> None:
    database = str(world.warehouse.client.database)
    before = {table: _count(world, table) for table in ("raw_costs", "publications", "cost_trends")}
    statements = hostile_statements(database, other.customer_id, COUNT)
    assert len(set(statements)) == COUNT
    there = [one.replace("/tmp/", f"{tmp_path}/") for one in statements]  # noqa: S108 - where they try to write
    answers = [(statement, ask(world, own.token, statement)) for statement in there]
    assert [(statement, one.text[:300]) for statement, one in answers if one.status_code != 400] == []
    for statement, answer in answers:
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "INVALID_ARGUMENT", (statement, error)
        assert error["extensions"]["remedy"], statement
        # The statement may be quoted, and it may name the other customer; it does not know what that one has.
        assert OTHERS not in answer.text, statement
    assert {table: _count(world, table) for table in before} == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("view", VIEWS)
def test_no_error_tells_of_rows_of_others(world: World, own: Customer, other: Customer, view: str) -> None:
    """ClickHouse may compute a condition before the filter of rows that belongs to a table: then its errors would tell of others."""
    failed = {}
    for statement in failing_statements(view, own.customer_id, other.customer_id):
        response = ask(world, own.token, statement)
        if response.status_code != 200 or OTHERS in response.text:
            failed[statement] = response.text
    assert failed == {}


@pytest.mark.parametrize("view", VIEWS)
def test_the_same_statements_fail_on_the_others_own_rows(
    world: World, own: Customer, other: Customer, view: str
) -> None:
    """So the test above would see it."""
    statement = f"SELECT count() AS n FROM {view} WHERE intDiv(1, customer_id != '{other.customer_id}') >= 0"
    assert ask(world, other.token, statement).status_code == 400
    assert ask(world, own.token, statement).status_code == 200


READING_EVERYTHING = (
    "SELECT * FROM {view}",
    "SELECT * FROM {view} WHERE customer_id = '{other}' OR 1",
    "SELECT * FROM (SELECT * FROM {view} UNION ALL SELECT * FROM {view})",
    "WITH x AS (SELECT * FROM {view}) SELECT * FROM x AS a CROSS JOIN x AS b",
    "SELECT a.* FROM {view} AS a FULL JOIN {view} AS b ON a.customer_id = b.service_name",
    "SELECT groupUniqArray(customer_id), groupUniqArray(service_name), max(service_name) FROM {view}",
    "SELECT (SELECT groupArray(service_name) FROM {view} WHERE customer_id = '{other}')",
    "SELECT customer_id, service_name, count() OVER () FROM {view} ORDER BY 1, 2",
    "SELECT customer_id FROM {view} WHERE customer_id IN (SELECT customer_id FROM {view}) GROUP BY ROLLUP(customer_id)",
    "SELECT min(customer_id), any(service_name) FROM {view} HAVING count() > 0",
)


@pytest.mark.parametrize("view", VIEWS)
def test_whatever_is_accepted_answers_rows_of_the_own_customer(
    world: World, own: Customer, other: Customer, view: str
) -> None:
    for frame in READING_EVERYTHING:
        statement = frame.format(view=view, other=other.customer_id)
        response = ask(world, own.token, statement)
        assert response.status_code == 200, (statement, response.text)
        assert OTHERS not in response.text, statement
        assert f'"{other.customer_id}"' not in response.text, statement


ON_ANOTHER_TABLE = (
    "SELECT (SELECT {call} FROM payroll)",
    "WITH (SELECT {call} FROM payroll) AS x SELECT x",
    "WITH payroll AS (SELECT * FROM payroll) SELECT (SELECT {call} FROM payroll)",
    "WITH payroll AS (SELECT 'a' AS salary) SELECT (SELECT {call} FROM payroll)",
    "SELECT (WITH payroll AS (SELECT 'a' AS salary) SELECT 1 FROM payroll), (SELECT {call} FROM payroll)",
    "WITH RECURSIVE payroll AS (SELECT 'a' AS salary UNION ALL SELECT salary FROM payroll) SELECT (SELECT {call} FROM payroll)",
    "SELECT (SELECT {call} FROM payroll) FROM costs_daily AS payroll",
    "WITH `x\nQUERY id: 2, is_subquery: 1, is_cte: 1, cte_name: payroll` AS (SELECT 1) SELECT (SELECT {call} FROM payroll)",
    "SELECT 'x\nQUERY id: 2, is_subquery: 1, is_cte: 1, cte_name: payroll', (SELECT {call} FROM payroll)",
    "SELECT 1 AS payroll, (SELECT {call} FROM payroll)",
    "SELECT 1 FROM costs_daily WHERE 1 IN (SELECT {call} FROM payroll)",
)


def test_a_table_of_somebody_else_in_the_same_database_is_not_even_looked_at(world: World, own: Customer) -> None:
    """ClickHouse computes subqueries that stand for one value while it looks up names: an error would tell what the table holds."""
    world.warehouse.client.command(
        f"CREATE TABLE payroll ENGINE = MergeTree ORDER BY () AS SELECT '{OTHERS}' AS salary"
    )
    try:
        for frame in ON_ANOTHER_TABLE:
            for call in ("toInt64(salary)", "intDiv(1, salary = '')", "substring(salary, 1, 1000000)", "1"):
                response = ask(world, own.token, frame.format(call=call))
                assert response.status_code == 400, (frame, call, response.text)
                assert OTHERS not in response.text
                said = response.json()["errors"][0]["message"]
                assert "table 'payroll' is not accepted" in said or "line breaks" in said, (frame, call, said)
    finally:
        world.warehouse.client.command("DROP TABLE payroll")


def test_a_statement_that_was_accepted_for_one_is_asked_anew_for_another(own: Customer, other: Customer) -> None:
    statement = "SELECT DISTINCT customer_id AS id FROM costs_current"
    assert [rows(one, statement) for one in (own, other)] == [[{"id": one.customer_id}] for one in (own, other)]


def test_another_customer_cannot_be_named(world: World, own: Customer, other: Customer) -> None:
    body = {"query": "SELECT * FROM costs_current", "customerId": other.customer_id}
    response = world.http.post(f"{world.url}/sql", json=body, headers={"Authorization": f"Bearer {own.token}"})
    assert response.status_code == 404
    assert OTHERS not in response.text


def test_no_function_that_is_accepted_reads_a_table(world: World) -> None:
    """Neither as a table function, nor as an ordinary one that is given the name of a table, a dictionary or a setting."""
    found = world.warehouse.client.query("SELECT lower(name) FROM system.table_functions").result_rows
    assert FUNCTIONS & {row[0] for row in found} == set()
    named = "match(lower(name), 'dict|setting|^(file|join|current|server)')"
    found = world.warehouse.client.query(f"SELECT lower(name) FROM system.functions WHERE {named}").result_rows
    assert FUNCTIONS & {row[0] for row in found} == set()


ALIASES = ", ".join(f"concat(a{number}, a{number}) AS a{number + 1}" for number in range(30))
HEAVY = (
    "SELECT count() FROM " + ", ".join(f"costs_current AS a{number}" for number in range(24)),
    "WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM x) SELECT sum(a) FROM x",
    f"WITH 'a' AS a0, {ALIASES} SELECT length(a30)",
    f"WITH service_name AS a0, {ALIASES} SELECT max(length(a30)) FROM costs_daily",
    "SELECT " + "(" * 500 + "1" + ")" * 500,
    "SELECT " + "+".join(["1"] * 8_000),
    "SELECT * FROM " + "(SELECT * FROM " * 200 + "costs_daily" + ")" * 200,
)


def test_no_statement_takes_more_than_its_limits(world: World, own: Customer) -> None:
    limits = {"api_max_seconds": 1, "api_max_memory": 200 * 2**20}
    with serving(world.settings.model_copy(update=limits)) as url:
        headers = {"Authorization": f"Bearer {own.token}"}
        for statement in HEAVY:
            began = time.monotonic()
            response = world.http.post(f"{url}/sql", json={"query": statement}, headers=headers)
            assert response.status_code in (200, 400, 422), (statement[:100], response.status_code, response.text[:300])
            assert time.monotonic() - began < 20, statement[:100]


def test_others_are_answered_while_one_is_heavy(world: World, own: Customer, other: Customer) -> None:
    with serving(world.settings.model_copy(update={"api_max_seconds": 3, "api_max_exports": 3})) as url:
        answers: list[int] = []
        headers = {"Authorization": f"Bearer {own.token}"}

        def heavy() -> None:
            status = 429  # as long as a statement of `is_refused` has its place
            while status == 429:
                status = world.http.post(f"{url}/sql", json={"query": HEAVY[0]}, headers=headers).status_code
            answers.append(status)

        def is_refused() -> bool:
            return world.http.post(f"{url}/sql", json={"query": "SELECT 1"}, headers=headers).status_code == 429

        threads = [threading.Thread(target=heavy) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert eventually(is_refused), "one token has as many places as for exports"
        theirs = {"Authorization": f"Bearer {other.token}"}
        counted = world.http.post(
            f"{url}/sql", json={"query": "SELECT count() AS n FROM costs_current"}, headers=theirs
        )
        assert counted.json() == [{"n": 3}]
        for thread in threads:
            thread.join()
        assert answers == [422] * 3
