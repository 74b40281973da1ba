"""Every change of a customer or a token has its line in the log: who, what, when, from where. Nobody changes a line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import psycopg
import pytest

from optiinfra_assets.database.errors import AlreadyExists, RecordNotFound
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.credential_audit import Actor

ALICE = Actor("token-of-alice", "192.0.2.7")


def lines(metadata: Metadata, **filters: str) -> list[tuple[object, ...]]:
    """The log, oldest first, without numbers and times."""
    return [
        (one.action, one.customer_id, one.name, one.detail, one.role, one.actor, one.origin)
        for one in reversed(metadata.access_audit.find(**filters))  # type: ignore[arg-type]
    ]


def test_acts_are_on_record_with_who_and_where(metadata: Metadata) -> None:
    begin = datetime.now(UTC)
    metadata.customers.create("acme", "Acme", ALICE)
    metadata.customers.rename("acme", "Acme Ltd", ALICE)
    issued = metadata.tokens.issue("dashboard", "acme", "viewer", actor=ALICE)
    metadata.tokens.revoke(issued.token.token_id, actor=ALICE)
    by = (ALICE.name, ALICE.origin)
    assert lines(metadata) == [
        ("create_customer", "acme", "Acme", None, None, *by),
        ("rename_customer", "acme", "Acme Ltd", "Acme", None, *by),
        ("create_token", "acme", "dashboard", None, "viewer", *by),
        ("revoke_token", "acme", "dashboard", None, "viewer", *by),
    ]
    found = metadata.access_audit.find()
    assert [one.token_id for one in found[:2]] == [issued.token.token_id] * 2
    assert all(begin <= one.at <= datetime.now(UTC) for one in found)
    assert issued.plaintext not in repr(found) + repr(issued)


def test_budgets_and_what_people_expect_are_on_record_with_who_and_where(metadata: Metadata) -> None:
    metadata.customers.add("acme")
    at, before = datetime.now(UTC), len(lines(metadata))
    who = {"customer_id": "acme", "principal": Principal("alice", "Alice", "acme", "operator"), "origin": "192.0.2.7"}
    budget = Budget("web", Cadence.MONTHLY, Decimal("5000.50"), "EUR")
    stored = metadata.budgets.save(budget, **who, now=at)
    metadata.budgets.save(replace(budget, name="shop", cadence=Cadence.YEARLY), stored.budget_id, **who, now=at)
    metadata.budgets.remove(stored.budget_id, **who, now=at)
    wanted = {"chosen": {}, "month": date(2027, 3, 1), "note": ""}
    expected = [
        metadata.forecasts.override({**wanted, "amount": None, "currency": None, "factor": Decimal(2)}, **who, now=at),
        metadata.forecasts.override(
            {**wanted, "amount": Decimal(70), "currency": "EUR", "factor": None}, **who, now=at
        ),
    ]
    by_bob = who | {"principal": Principal("cli", "command line", "acme", "operator"), "origin": None}
    metadata.forecasts.end_override(expected[0].override_id, **by_bob, now=at)
    with pytest.raises(RecordNotFound):
        metadata.forecasts.end_override(expected[0].override_id, **who, now=at)
    by = ("alice", "192.0.2.7")
    assert lines(metadata)[before:] == [
        ("save_budget", "acme", "web", "5000.5 EUR monthly", None, *by),
        ("save_budget", "acme", "shop", "5000.5 EUR yearly", None, *by),
        ("remove_budget", "acme", "shop", None, None, *by),
        ("set_forecast_override", "acme", "2027-03", "times 2", None, *by),
        ("set_forecast_override", "acme", "2027-03", "70 EUR", None, *by),
        ("remove_forecast_override", "acme", "2027-03", "of Alice", None, "cli", Actor.here("cli").origin),
    ]
    assert len(metadata.budgets.changes([stored.budget_id], customer_id="acme")) == 3, "its history stays"


def test_sign_ins_are_on_record_with_the_token_and_how(metadata: Metadata) -> None:
    metadata.customers.add("acme")
    issued = metadata.tokens.issue("dashboard", "acme", "viewer")
    token, sessions, here = issued.token.token_id, metadata.web_sessions, "192.0.2.7"
    before = len(lines(metadata))
    links = [sessions.make_link(token), sessions.make_link(token, is_read_only=True)]
    secrets = [str(sessions.open(token, here)), *(str(sessions.open_by_link(link, here)) for link in links)]
    assert sessions.open_by_link(links[0], here) is None
    sessions.end(secrets[0], here)
    sessions.end(secrets[0], here)
    sessions.end(secrets[1], here, "by signing in again")
    acts = [("sign_in", "by token"), ("sign_in", "by link"), ("sign_in", "by link, read-only")]
    acts += [("sign_out", None), ("sign_out", "by signing in again")]
    expected = [(action, "acme", "dashboard", detail, "viewer", token, here) for action, detail in acts]
    assert lines(metadata)[before:] == expected
    found = metadata.access_audit.find(first=5)
    assert {one.token_id for one in found} == {token}
    assert not any(secret in repr(found) for secret in [issued.plaintext, *links, *secrets])


def test_a_refused_secret_names_its_token_or_nobody(metadata: Metadata, settings: Settings) -> None:
    metadata.customers.add("acme")
    issued = metadata.tokens.issue("dashboard", "acme", "viewer")
    token, audit = issued.token.token_id, metadata.access_audit
    link = metadata.web_sessions.make_link(token)
    session = str(metadata.web_sessions.open(token, "192.0.2.7"))
    metadata.tokens.revoke(token)
    assert metadata.web_sessions.open_by_link(link, "192.0.2.7") is None
    for how, secret in (("token", issued.plaintext), ("link", link)):
        assert audit.presented(how, secret) == Principal(token, "dashboard", "acme", "viewer")  # type: ignore[arg-type]
    unknown = [("token", link), ("link", issued.plaintext), ("link", session), ("token", ""), ("token", "a\0\ud800")]
    assert not any(audit.presented(how, secret) for how, secret in unknown)  # type: ignore[arg-type]


def test_what_changes_nothing_has_no_line(metadata: Metadata) -> None:
    metadata.customers.add("acme", "Acme")
    issued = metadata.tokens.issue("dashboard", "acme", "viewer")
    first = metadata.tokens.revoke(issued.token.token_id)
    before = lines(metadata)
    metadata.customers.add("acme")
    metadata.customers.add("acme", "Acme")
    metadata.customers.rename("acme", "Acme", ALICE)
    assert metadata.tokens.revoke(issued.token.token_id) == first
    with pytest.raises(AlreadyExists, match="customer: 'acme' exists"):
        metadata.customers.create("acme", "Another", ALICE)
    with pytest.raises(RecordNotFound, match="customer: 'nobody' does not exist"):
        metadata.customers.rename("nobody", "Nobody", ALICE)
    assert lines(metadata) == before
    metadata.customers.add("acme", "Acme Ltd")
    assert lines(metadata)[-1][:4] == ("rename_customer", "acme", "Acme Ltd", "Acme")


def test_a_transaction_that_is_undone_leaves_no_line(metadata: Metadata) -> None:
    def add_and_fail() -> None:
        with metadata.transaction():
            metadata.customers.add("acme")
            metadata.customers.rename("nobody", "Nobody", ALICE)

    with pytest.raises(RecordNotFound, match="nobody"):
        add_and_fail()
    assert metadata.access_audit.find() == []


def test_a_token_of_another_customer_is_none(metadata: Metadata) -> None:
    for customer in ("acme", "beta"):
        metadata.customers.add(customer)
    issued = metadata.tokens.issue("dashboard", "acme", "viewer")
    for token_id in (issued.token.token_id, "nothing"):
        with pytest.raises(RecordNotFound, match=f"token: '{token_id}' does not exist"):
            metadata.tokens.revoke(token_id, customer_id="beta")
    assert metadata.tokens.authenticate(issued.plaintext) is not None
    metadata.tokens.revoke(issued.token.token_id, customer_id="acme")
    assert metadata.tokens.authenticate(issued.plaintext) is None


@pytest.mark.parametrize("name", ["", " Acme", "Acme ", "A\nB", "A\0B", "x" * 101])
def test_a_name_that_is_not_accepted(metadata: Metadata, name: str) -> None:
    metadata.customers.add("acme")
    for act in (
        lambda: metadata.customers.add("beta", name),
        lambda: metadata.customers.create("beta", name, ALICE),
        lambda: metadata.customers.rename("acme", name, ALICE),
        lambda: metadata.tokens.issue(name, "acme", "viewer").plaintext,
    ):
        with pytest.raises(ValueError, match=r"name: .* is not accepted: use 1 to 100 printable characters"):
            act()
    assert [one.customer_id for one in metadata.customers.find()] == ["acme"]


def test_pages_of_the_log_of_one_customer(metadata: Metadata) -> None:
    for customer in ("acme", "beta"):
        metadata.customers.add(customer)
        for number in range(3):
            metadata.tokens.issue(f"{customer} {number}", customer, "viewer")
    page = metadata.access_audit.find(first=2, customer_id="acme")
    rest = metadata.access_audit.find(first=9, before=page[-1].id, customer_id="acme")
    assert [one.name for one in page + rest] == ["acme 2", "acme 1", "acme 0", "acme"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE optiinfra.access_audit_log SET actor = 'nobody'",
        "DELETE FROM optiinfra.access_audit_log WHERE false",
        "TRUNCATE optiinfra.access_audit_log",
    ],
)
@pytest.mark.parametrize("role", ["origin", "replica"])
def test_nobody_changes_a_line(metadata: Metadata, settings: Settings, statement: str, role: str) -> None:
    metadata.customers.add("acme")
    with psycopg.connect(str(settings.postgres_url)) as connection:
        connection.execute(f"SET session_replication_role = {role}".encode())
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            connection.execute(statement.encode())
    assert lines(metadata)[0][1] == "acme"
