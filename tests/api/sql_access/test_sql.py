"""What `/sql` answers: the views of what is current, in three formats, and errors that say what is accepted."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from api_server import serving
from charges import slice_of
from loopback import eventually
from sql_asking import OCTOBER, ask, refused, rows, with_costs
from world import Customer, World

from optiinfra_api.reading.syntax_tree import VIEWS

BY_SERVICE = "SELECT service_name, sum(billed_cost) AS billed FROM {} GROUP BY 1 ORDER BY 1"
EXPECTED = [{"service_name": "=1+1", "billed": "0.125"}, {"service_name": "Compute", "billed": "3.75"}]


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    return with_costs(world)


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_has_the_generation_that_readers_see(customer: Customer, view: str) -> None:
    assert rows(customer, BY_SERVICE.format(view)) == EXPECTED
    assert rows(customer, f"SELECT DISTINCT customer_id FROM {view}") == [{"customer_id": customer.customer_id}]


@pytest.mark.parametrize("view", VIEWS)
def test_a_publication_is_seen_at_once(world: World, view: str) -> None:
    customer = with_costs(world)
    assert rows(customer, f"SELECT count() > 0 AS some FROM {view}") == [{"some": 1}]
    customer.publish(slice_of(customer.customer_id, "main", OCTOBER), [])
    assert rows(customer, f"SELECT count() AS lines FROM {view}") == [{"lines": 0}]


def test_amounts_are_decimals_in_every_format(world: World, customer: Customer) -> None:
    query = BY_SERVICE.format("costs_daily")
    answers = {form: ask(world, customer.token, query, form) for form in ("csv", "arrow", "json")}
    assert [one.status_code for one in answers.values()] == [200] * 3
    found = list(csv.DictReader(io.StringIO(answers["csv"].text)))
    assert found == [{"service_name": "'=1+1", "billed": "0.125"}, EXPECTED[1]]
    table = pa.ipc.open_stream(answers["arrow"].content).read_all()
    assert table.to_pylist() == [
        {"service_name": one["service_name"], "billed": Decimal(one["billed"])} for one in EXPECTED
    ]
    assert answers["json"].json() == EXPECTED
    assert answers["csv"].headers["content-type"].startswith("text/csv")


def test_a_text_that_is_cut_within_a_character_breaks_no_json_and_no_csv(world: World, customer: Customer) -> None:
    query = "SELECT left('d\u00e9', 2) AS cut, leftUTF8('d\u00e9', 2) AS whole, substringUTF8('d\u00e9', 2) AS last"
    expected = [{"cut": "d\ufffd", "whole": "d\u00e9", "last": "\u00e9"}]
    assert ask(world, customer.token, query).json() == expected
    found = ask(world, customer.token, query, "csv").content.decode()
    assert list(csv.DictReader(io.StringIO(found))) == expected
    whole = query.replace("left('d\u00e9', 2) AS cut, ", "")
    table = pa.ipc.open_stream(ask(world, customer.token, whole, "arrow").content).read_all()
    assert table.to_pylist() == [{"whole": "d\u00e9", "last": "\u00e9"}]


def test_a_large_answer_of_characters_of_several_bytes_is_whole(world: World, customer: Customer) -> None:
    numbers = " + ".join(f"arrayJoin({[digit * power for digit in range(10)]})" for power in (1, 10, 100))
    text = "d\u00e9\u65e5\U0001f600" * 20
    query = f"SELECT concat('{text}', toString({numbers})) AS a FROM costs_current"
    answers = {form: ask(world, customer.token, query, form) for form in ("csv", "json")}
    lines = list(csv.DictReader(io.StringIO(answers["csv"].content.decode())))
    assert len(lines) == len({one["a"] for one in lines}) * 3 == 3000
    assert lines == answers["json"].json()


def test_the_format_is_that_of_accept_unless_one_is_named(world: World, customer: Customer) -> None:
    arrow = {"Accept": "text/html, application/vnd.apache.arrow.stream;q=0.9"}
    assert "arrow" in ask(world, customer.token, "SELECT 1", **arrow).headers["content-type"]
    assert "csv" in ask(world, customer.token, "SELECT 1", "csv", **arrow).headers["content-type"]
    assert ask(world, customer.token, "SELECT 1 AS a").json() == [{"a": 1}]


def test_a_get_a_head_and_a_body_that_is_the_statement(world: World, customer: Customer) -> None:
    headers = {"Authorization": f"Bearer {customer.token}"}
    url, query = f"{world.url}/sql", "SELECT 1 AS a -- one\n ; "
    assert world.http.get(url, params={"query": query}, headers=headers).json() == [{"a": 1}]
    head = world.http.head(url, params={"query": query, "format": "csv"}, headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    assert world.http.head(url, params={"query": "SELECT a FROM b"}, headers=headers).status_code == 400
    plain = headers | {"Content-Type": "application/sql"}
    assert world.http.post(url, params={"format": "csv"}, content=query, headers=plain).text == '"a"\n1\n'


def test_an_answer_says_how_fresh_it_is_as_every_answer_about_costs(world: World, customer: Customer) -> None:
    headers = {"Authorization": f"Bearer {customer.token}"}
    period = {"start": "2026-10-01", "end": "2026-11-01"}
    exported = world.http.get(f"{world.url}/export/total.csv", params=period, headers=headers).headers
    answered = ask(world, customer.token, "SELECT 1").headers
    for name in ("X-Data-Through", "X-Published-At", "X-Is-Simulated"):
        assert answered[name] == exported[name]
    assert answered["X-Published-At"]
    assert answered["X-Is-Complete"] in ("true", "false")


NOT_ACCEPTED: list[tuple[dict[str, Any], str]] = [
    ({}, "query: needed"),
    ({"query": " ; "}, "query: needed"),
    ({"query": "SELECT 1", "format": "xml"}, "format: 'xml' is not accepted"),
    ({"query": "SELECT 1", "limit": "1"}, "limit: not a parameter of /sql"),
    ({"query": 1}, "query: a text is needed"),
    ({"query": "SELECT '" + "x" * 40_000 + "'"}, "query: at most 32768 bytes"),
]


@pytest.mark.parametrize(("body", "said"), NOT_ACCEPTED, ids=[said for _, said in NOT_ACCEPTED])
def test_a_request_that_is_not_accepted_is_told_why(
    world: World, customer: Customer, body: dict[str, Any], said: str
) -> None:
    headers = {"Authorization": f"Bearer {customer.token}"}
    response = world.http.post(f"{world.url}/sql", json=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"].startswith(said)


def test_other_bodies_and_no_token_are_refused(world: World, customer: Customer) -> None:
    headers = {"Authorization": f"Bearer {customer.token}"}
    url = f"{world.url}/sql"
    assert ask(world, None, "SELECT 1").status_code == 401
    assert ask(world, "oi_" + "x" * 43, "SELECT 1").status_code == 401
    assert world.http.post(url, json=[1], headers=headers).status_code == 400
    assert world.http.post(url, content=b"\xff", headers=headers).status_code == 400
    assert world.http.post(url, content=b"<a/>", headers=headers | {"Content-Type": "text/xml"}).status_code == 415
    assert world.http.post(url, content=b"x" * 100_000, headers=headers).status_code == 413
    assert (
        world.http.get(url, params=[("query", "SELECT 1"), ("query", "SELECT 2")], headers=headers).status_code == 400
    )


def test_an_administrator_of_all_customers_names_one(world: World, customer: Customer) -> None:
    token = world.metadata.tokens.issue("all", None, "admin").plaintext
    headers = {"Authorization": f"Bearer {token}"}
    body = {"query": "SELECT DISTINCT customer_id AS id FROM costs_current"}
    assert "customerId" in world.http.post(f"{world.url}/sql", json=body, headers=headers).text
    named = world.http.post(f"{world.url}/sql", json=body | {"customerId": customer.customer_id}, headers=headers)
    assert named.json() == [{"id": customer.customer_id}]


def test_an_answer_over_a_limit_names_the_limit(world: World, customer: Customer) -> None:
    limits = {"api_export_max_rows": 1, "api_max_memory": 4 * 2**20}
    many = ", ".join(f"costs_current AS a{number}" for number in range(10))
    statements = {
        "SELECT service_name FROM costs_current": "1 rows (OPTIINFRA_API_EXPORT_MAX_ROWS)",
        f"SELECT length(groupArray(concat('x', a9.customer_id))) FROM {many}": "1 MiB (a quarter of OPTIINFRA_API_MAX_MEMORY)",
    }
    with serving(world.settings.model_copy(update=limits)) as url:
        for statement, limit in statements.items():
            headers = {"Authorization": f"Bearer {customer.token}"}
            answer = world.http.post(f"{url}/sql", json={"query": statement}, headers=headers)
            assert answer.status_code == 422, answer.text
            assert limit in answer.json()["errors"][0]["message"]


FAILING = {
    "SELECT * FROM costs_daily FINAL": "FINAL is not accepted",
    "SELECT a.service_name FROM costs_daily AS a FINAL JOIN costs_daily AS b ON 1": "FINAL is not accepted",
    "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM r WHERE a < 9) SELECT a FROM r": "WITH RECURSIVE is not accepted",
    "SELECT intDiv(1, 0 * line_items) FROM costs_daily": "division by zero",
    "SELECT toInt64(service_name) FROM costs_daily": "toInt64OrNull",
    "SELECT (SELECT service_name FROM costs_current) AS a FROM costs_current": "several rows",
    "SELECT nothing FROM costs_daily": "nothing",
    "SELECT 1\n  FRO M N": "at line 2, column 7",
}


@pytest.mark.parametrize("query", FAILING)
def test_a_statement_that_fails_says_why_without_a_value(customer: Customer, query: str) -> None:
    said = refused(customer, query)
    assert FAILING[query] in said
    assert "Compute" not in said


def test_what_is_asked_is_logged_without_its_text(
    world: World, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "optiinfra_api.requests"):
        ask(world, customer.token, "SELECT 'planted' AS a", "csv")
        ask(world, customer.token, "DROP TABLE planted")
        expected = [{"sql.csv": "ok"}, {"sql.json": "INVALID_ARGUMENT"}]
        assert eventually(lambda: [one["outcomes"] for one in _facts(caplog)] == expected)
    assert {one["customer"] for one in _facts(caplog)} == {customer.customer_id}
    assert "planted" not in repr([record.__dict__ for record in caplog.records])


def _facts(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.facts for record in caplog.records if hasattr(record, "facts")]
