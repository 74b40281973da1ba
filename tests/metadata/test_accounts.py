"""Customers and accounts, and how the store fails when PostgreSQL is not there."""

from __future__ import annotations

import threading
from dataclasses import replace

import psycopg
import pytest

from optiinfra_assets.database.errors import AlreadyExists, MetadataUnavailable, RecordNotFound
from optiinfra_assets.database.postgres import postgres_errors
from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings

ACCOUNT = Account("acme.main", "acme", "focus", {"path": "/data/it's", "nested": {"a": [1, None]}}, is_simulated=True)


def test_a_customer_keeps_its_name_until_another_is_given(metadata: Metadata) -> None:
    assert metadata.customers.add("acme").name == "acme"
    assert metadata.customers.add("acme", "Acme Ltd").name == "Acme Ltd"
    added = metadata.customers.add("acme")
    assert added.name == "Acme Ltd"
    assert added.created_at.utcoffset() is not None
    metadata.customers.add("abacus")
    assert [one.customer_id for one in metadata.customers.find()] == ["abacus", "acme"]
    assert metadata.customers.get("acme") == added
    with pytest.raises(RecordNotFound, match="customer: 'nobody' does not exist"):
        metadata.customers.get("nobody")
    with pytest.raises(ValueError, match="customer: 'No Body' is not accepted"):
        metadata.customers.add("No Body")


def test_an_account_comes_back_as_it_was_added(metadata: Metadata) -> None:
    metadata.customers.add("acme")
    assert metadata.accounts.add(ACCOUNT) == ACCOUNT
    assert metadata.accounts.add(ACCOUNT) == ACCOUNT
    assert metadata.accounts.get("acme.main") == ACCOUNT
    with pytest.raises(RecordNotFound, match=r"account: 'acme\.other' does not exist"):
        metadata.accounts.get("acme.other")


def test_an_account_of_other_content_is_refused(metadata: Metadata) -> None:
    metadata.customers.add("acme")
    metadata.accounts.add(ACCOUNT)
    for other in (
        replace(ACCOUNT, settings={}),
        replace(ACCOUNT, provider="aws"),
        replace(ACCOUNT, is_simulated=False),
    ):
        with pytest.raises(AlreadyExists, match=r"'acme\.main' exists with other settings"):
            metadata.accounts.add(other)
    assert metadata.accounts.find() == [ACCOUNT]


def test_ids_belong_to_their_customer(metadata: Metadata) -> None:
    metadata.customers.add("acme")
    with pytest.raises(ValueError, match=r"account: 'other\.main' is not accepted: use acme\.<name>"):
        metadata.accounts.add(replace(ACCOUNT, account_id="other.main"))
    with pytest.raises(RecordNotFound, match="customer: 'zenith' does not exist"):
        metadata.accounts.add(replace(ACCOUNT, account_id="zenith.main", customer_id="zenith"))


def test_secrets_are_refused_rather_than_dropped(metadata: Metadata) -> None:
    metadata.customers.add("acme")
    with pytest.raises(ValueError, match=r"secret fields \(key\) are not stored with it") as caught:
        metadata.accounts.add(replace(ACCOUNT, secrets={"key": "sekret"}))
    assert "sekret" not in str(caught.value)


def test_disabled_accounts_are_left_out_and_can_return(metadata: Metadata) -> None:
    metadata.customers.add("acme")
    metadata.accounts.add(ACCOUNT)
    metadata.accounts.disable("acme.main")
    assert metadata.accounts.find() == []
    assert metadata.accounts.find(include_disabled=True) == [ACCOUNT]
    assert metadata.accounts.get("acme.main") == ACCOUNT
    assert [one.status for one in metadata.accounts.states()] == ["disabled"]
    metadata.accounts.add(ACCOUNT)
    assert metadata.accounts.find() == [ACCOUNT]
    with pytest.raises(RecordNotFound):
        metadata.accounts.disable("acme.other")


def test_filters_of_accounts(metadata: Metadata) -> None:
    for customer in ("acme", "zenith"):
        metadata.customers.add(customer)
        for provider in ("aws", "focus"):
            metadata.accounts.add(Account(f"{customer}.{provider}", customer, provider))
    ids = [one.account_id for one in metadata.accounts.find()]
    assert ids == ["acme.aws", "acme.focus", "zenith.aws", "zenith.focus"]
    assert [one.account_id for one in metadata.accounts.find(customer_id="zenith")] == ids[2:]
    assert [one.account_id for one in metadata.accounts.find(provider="aws")] == ["acme.aws", "zenith.aws"]
    assert [one.account_id for one in metadata.accounts.find(customer_id="acme", provider="focus")] == ["acme.focus"]
    assert metadata.accounts.find(account_id="acme.aws", provider="focus") == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://user:sekret@127.0.0.1:1/costs", "Connection refused"),
        ("postgresql://user:sekret@nowhere.invalid:5432/costs", "nowhere.invalid"),
        ("postgresql://user:sekret@/costs?host=/nowhere", "No such file or directory"),
    ],
)
def test_a_wrong_address_is_one_line_without_the_password(url: str, reason: str) -> None:
    with pytest.raises(MetadataUnavailable) as caught:
        Metadata.connect(Settings(postgres_url=url))
    message = str(caught.value)
    assert reason in message
    assert "database costs" in message
    assert message.endswith(": check OPTIINFRA_POSTGRES_URL")
    assert "sekret" not in message
    assert "\n" not in message


def test_a_full_disk_of_the_server_is_told_with_what_to_do(settings: Settings) -> None:
    """PostgreSQL is made to answer as it does then: the hint and the context that come after the message do not stand for it."""
    how = "ERRCODE = 'disk_full', HINT = 'Check free disk space.'"
    url = str(settings.postgres_url)
    with (
        psycopg.connect(url) as connection,
        pytest.raises(MetadataUnavailable, match=r": could not extend file: its disk is full, make room on it$"),
        postgres_errors(url),
    ):
        connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING {how}; END $$".encode())


def test_a_url_that_is_none_is_one_line() -> None:
    with pytest.raises(MetadataUnavailable, match="OPTIINFRA_POSTGRES_URL is not of the form") as caught:
        Metadata.connect(Settings(postgres_url="postgresql//user:sekret@here"))
    assert "sekret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    with pytest.raises(MetadataUnavailable, match="set OPTIINFRA_POSTGRES_URL"):
        Metadata.connect(Settings(postgres_url=None))


def test_a_missing_database_is_named(settings: Settings) -> None:
    url = str(settings.postgres_url).replace("/test_", "/absent_")
    with pytest.raises(MetadataUnavailable, match=r'database "absent_.*" does not exist'):
        Metadata.connect(settings.model_copy(update={"postgres_url": url}))


def test_connections_that_died_are_replaced(metadata: Metadata, settings: Settings) -> None:
    metadata.customers.add("acme")
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert [one.customer_id for one in metadata.customers.find()] == ["acme"]


def test_many_threads_share_one_metadata(metadata: Metadata) -> None:
    metadata.customers.add("acme")
    added: list[Account] = []

    def add(number: int) -> None:
        added.append(metadata.accounts.add(Account(f"acme.{number}", "acme", "focus")))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.account_id for one in added) == [one.account_id for one in metadata.accounts.find()]
    assert len(added) == 20
