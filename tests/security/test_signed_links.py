"""Links that expire: what they open, and that nobody can widen, prolong or forge one, or find one in a log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_IMODE
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from pydantic import ValidationError
from sql_asking import with_costs
from starlette.datastructures import QueryParams
from world import Customer, World

from optiinfra_api.access.signed_links import LinkSigner
from optiinfra_assets.settings import Settings

EXPORT = "/export/total.csv?start=2026-10-01&end=2026-11-01"
SQL = "/sql?format=csv&" + urlencode({"query": "SELECT DISTINCT customer_id AS id FROM costs_daily"})


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    return with_costs(world)


def make(world: World, token: str | None, **values: Any) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return world.http.post(f"{world.url}/links", json=values, headers=headers)


def link(world: World, token: str, path: str, **values: Any) -> str:
    response = make(world, token, path=path, **values)
    assert response.status_code == 200, response.text
    return str(response.json()["path"])


def read(world: World, path: str, **headers: str) -> httpx.Response:
    """One request without any token."""
    return httpx.get(f"{world.url}{path}", headers=headers)


def test_a_link_reads_what_it_was_made_for(world: World, customer: Customer) -> None:
    headers = {"Authorization": f"Bearer {customer.token}"}
    for path in (
        EXPORT,
        SQL,
        EXPORT + "&service=Compute&service=Other&granularity=DAILY".replace("&granularity=DAILY", ""),
    ):
        signed = link(world, customer.token, path)
        answer = read(world, signed)
        assert answer.status_code == 200, answer.text
        assert answer.content == world.http.get(f"{world.url}{path}", headers=headers).content
        assert customer.token not in signed


def test_it_lasts_seven_days_unless_it_is_said(world: World, customer: Customer) -> None:
    for days, expected in (({}, 7), ({"days": 90}, 90), ({"days": 1}, 1)):
        ends = datetime.fromisoformat(make(world, customer.token, path=EXPORT, **days).json()["expiresAt"])
        assert abs(ends - datetime.now(UTC) - timedelta(days=expected)) < timedelta(minutes=5)


NOT_MADE: list[tuple[dict[str, Any], int]] = [
    ({"path": EXPORT, "days": 91}, 400),
    ({"path": EXPORT, "days": 0}, 400),
    ({"path": EXPORT, "days": True}, 400),
    ({"path": EXPORT, "days": "7"}, 400),
    ({"path": "/export/total.csv"}, 400),
    ({"path": "/export/total.csv?start=2026-10-01&end=2026-11-01&customerId=customer-0"}, 404),
    ({"path": "/export/secrets.csv"}, 400),
    ({"path": "/graphql?query={tokens{id}}"}, 400),
    ({"path": "/metrics"}, 400),
    ({"path": f"https://example.com{EXPORT}"}, 400),
    ({"path": f"//example.com{EXPORT}"}, 400),
    ({"path": "/sql?query=SELECT+*+FROM+raw_costs"}, 400),
    ({"path": "/sql?query=SELECT+1&customerId=customer-0"}, 404),
    ({"path": "//["}, 400),
    ({"path": EXPORT, "day": 7}, 400),
    ({"path": 1}, 400),
    ({}, 400),
]


@pytest.mark.parametrize(("values", "status"), NOT_MADE, ids=[str(values) for values, _ in NOT_MADE])
def test_a_link_is_made_for_what_may_be_read(
    world: World, customer: Customer, values: dict[str, Any], status: int
) -> None:
    assert make(world, customer.token, **values).status_code == status


def test_a_session_makes_no_link_which_would_outlast_it(world: World, customer: Customer) -> None:
    (token,) = world.metadata.tokens.find(customer_id=customer.customer_id)
    secret = world.metadata.web_sessions.open(token.token_id, "127.0.0.1")
    headers = {"Cookie": f"optiinfra_session={secret}", "Origin": world.url}
    answer = world.http.post(f"{world.url}/links", json={"path": EXPORT}, headers=headers)
    assert answer.status_code == 401
    assert world.http.post(f"{world.url}/sql", json={"query": "SELECT 1"}, headers=headers).status_code == 200


def test_a_link_needs_a_token_and_opens_no_other(world: World, customer: Customer) -> None:
    assert make(world, None, path=EXPORT).status_code == 401
    signed = link(world, customer.token, EXPORT)
    query = urlsplit(signed).query
    assert world.http.post(f"{world.url}/links?{query}", json={"path": EXPORT}).status_code == 401
    assert (
        world.http.post(f"{world.url}/graphql?{query}", json={"query": "{accounts(first: 1){totalCount}}"}).status_code
        == 401
    )


def changed(signed: str) -> dict[str, str]:
    """Links that differ from one in a single place."""
    path, _, query = signed.partition("?")
    pairs = parse_qsl(query)
    last = int(dict(pairs)["expires"])

    def with_value(name: str, value: str) -> str:
        return f"{path}?{urlencode([(one, value if one == name else old) for one, old in pairs])}"

    return {
        "another end": with_value("end", "2027-11-01"),
        "later": with_value("expires", str(last + 1)),
        "for ever": with_value("expires", "9" * 12),
        "another token": with_value("token", "000000000000"),
        "a parameter more": f"{signed}&service=Compute",
        "a parameter twice": f"{signed}&expires={last + 1}",
        "signed twice": f"{signed}&signature=x",
        "a parameter less": f"{path}?{urlencode([pair for pair in pairs if pair[0] != 'end'])}",
        "another order": f"{path}?{urlencode(pairs[::-1])}",
        "another export": signed.replace("total.csv", "line-items.csv"),
        "another format": signed.replace("total.csv", "total.parquet"),
        "another signature": with_value("signature", "0" * 64),
        "no signature": with_value("signature", ""),
        "a signature that is no text": with_value("signature", "\u00e9"),
        "the other endpoint": signed.replace(path, "/sql"),
    }


def test_a_link_that_was_changed_opens_nothing(world: World, customer: Customer) -> None:
    signed = link(world, customer.token, EXPORT)
    for number, (what, one) in enumerate(changed(signed).items()):
        # Failures count by address and would soon be refused without a look; see `login_throttle`.
        answer = read(world, one)
        assert answer.status_code in ((401,) if number < 5 else (401, 429)), what
    assert LinkSigner(world.settings).token_id("/export/total.csv", QueryParams(urlsplit(signed).query)) is not None
    for what, one in changed(signed).items():
        parts = urlsplit(one)
        assert LinkSigner(world.settings).token_id(parts.path, QueryParams(parts.query)) is None, what


def test_a_link_to_one_statement_sends_no_other(world: World, customer: Customer) -> None:
    """The signature covers the address, and a POST has a body."""
    signed = link(world, customer.token, SQL)
    other = "SELECT 'another' AS statement"
    for request in ({"json": {"query": other}}, {"content": other, "headers": {"Content-Type": "application/sql"}}):
        answer = httpx.post(f"{world.url}{signed}", **request)
        assert answer.status_code == 401, answer.text
    assert httpx.request("GET", f"{world.url}{signed}", content=other).text == read(world, signed).text
    assert httpx.head(f"{world.url}{signed}").status_code == 200


def test_a_link_ends_with_its_time(tmp_path: Path) -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    times = iter([now + timedelta(days=7) - timedelta(seconds=1), now + timedelta(days=7)])
    signer = LinkSigner(Settings(home=tmp_path), clock=lambda: next(times))
    given = QueryParams(urlsplit(signer.signed("/sql", [("query", "SELECT 1")], "abc", now + timedelta(days=7))).query)
    assert [signer.token_id("/sql", given) for _ in range(2)] == ["abc", None]


def test_a_link_ends_with_its_token(world: World) -> None:
    customer = with_costs(world)
    issued = world.metadata.tokens.issue("for a link", customer.customer_id, "viewer")
    signed = link(world, issued.plaintext, SQL)
    assert read(world, signed).status_code == 200
    world.metadata.tokens.revoke(issued.token.token_id)
    assert read(world, signed).status_code in (401, 429)


def test_a_link_of_an_administrator_reads_the_customer_that_it_names(world: World, customer: Customer) -> None:
    token = world.metadata.tokens.issue("all", None, "admin").plaintext
    assert make(world, token, path=SQL).status_code == 400
    signed = link(world, token, f"{SQL}&customerId={customer.customer_id}")
    assert customer.customer_id in read(world, signed).text


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    tmp_path /= "home"
    first, second = LinkSigner(Settings(home=tmp_path)), LinkSigner(Settings(home=tmp_path))
    ends = datetime(2030, 1, 1, tzinfo=UTC)
    assert first.signed("/sql", [], "abc", ends) == second.signed("/sql", [], "abc", ends)
    (file,) = tmp_path.iterdir()
    assert S_IMODE(file.stat().st_mode) == 0o600
    given = LinkSigner(Settings(home=tmp_path, link_key="k" * 32))
    assert given.signed("/sql", [], "abc", ends) != first.signed("/sql", [], "abc", ends)
    with pytest.raises(ValidationError):
        Settings(home=tmp_path, link_key="short")
    assert "kkkk" not in repr(Settings(home=tmp_path, link_key="k" * 32))


def test_no_log_has_a_link(world: World, customer: Customer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        signed = link(world, customer.token, SQL)
        read(world, signed)
        read(world, f"{signed}x")
        read(world, signed.replace("/sql", "/nothing"))
    # uvicorn's log of requests is off, see `server_config`; only pytest hangs a handler of its own there.
    others = ("httpx", "httpcore", "uvicorn.access")
    ours = [record for record in caplog.records if not record.name.startswith(others)]
    assert ours
    signature = dict(parse_qsl(urlsplit(signed).query))["signature"]
    assert [record for record in ours if signature in repr(record.__dict__)] == []
