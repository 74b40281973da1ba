"""Customers and accounts, and how the store fails when PostgreSQL is not there."""

from __future__ import annotations

import threading
from dataclasses import replace

import psycopg
import pytest

from optiinfra_assets.model import Account
from optiinfra_assets.store.errors import AlreadyExists, MetadataUnavailable, NotFound
from optiinfra_assets.store.metadata import Metadata
from optiinfra_assets.store.settings import Settings

ACCOUNT = Account(
    "acme.main", "acme", "focus", {"path": "/data/it's", "nested": {"a": [1, None]}}, is_simulated=True
)


def test_a_customer_keeps_its_name_until_another_is_given(metadata: Metadata) -> None:
    assert metadata.add_customer("acme").name == "acme"
    assert metadata.add_customer("acme", "Acme Ltd").name == "Acme Ltd"
    added = metadata.add_customer("acme")
    assert added.name == "Acme Ltd"
    assert added.created_at.utcoffset() is not None
    metadata.add_customer("abacus")
    assert [one.customer_id for one in metadata.customers()] == ["abacus", "acme"]
    assert metadata.customer("acme") == added
    with pytest.raises(NotFound, match="customer: 'nobody' does not exist"):
        metadata.customer("nobody")
    with pytest.raises(ValueError, match="customer: 'No Body' is not accepted"):
        metadata.add_customer("No Body")


def test_an_account_comes_back_as_it_was_added(metadata: Metadata) -> None:
    metadata.add_customer("acme")
    assert metadata.add_account(ACCOUNT) == ACCOUNT
    assert metadata.add_account(ACCOUNT) == ACCOUNT
    assert metadata.account("acme.main") == ACCOUNT
    with pytest.raises(NotFound, match=r"account: 'acme\.other' does not exist"):
        metadata.account("acme.other")


def test_an_account_of_other_content_is_refused(metadata: Metadata) -> None:
    metadata.add_customer("acme")
    metadata.add_account(ACCOUNT)
    for other in (
        replace(ACCOUNT, settings={}),
        replace(ACCOUNT, provider="aws"),
        replace(ACCOUNT, is_simulated=False),
    ):
        with pytest.raises(AlreadyExists, match=r"'acme\.main' exists with other settings"):
            metadata.add_account(other)
    assert metadata.accounts() == [ACCOUNT]


def test_ids_belong_to_their_customer(metadata: Metadata) -> None:
    metadata.add_customer("acme")
    with pytest.raises(ValueError, match=r"account: 'other\.main' is not accepted: use acme\.<name>"):
        metadata.add_account(replace(ACCOUNT, account_id="other.main"))
    with pytest.raises(NotFound, match="customer: 'zenith' does not exist"):
        metadata.add_account(replace(ACCOUNT, account_id="zenith.main", customer_id="zenith"))


def test_secrets_are_refused_rather_than_dropped(metadata: Metadata) -> None:
    metadata.add_customer("acme")
    with pytest.raises(ValueError, match=r"secret fields \(key\) are not stored with it") as caught:
        metadata.add_account(replace(ACCOUNT, secrets={"key": "sekret"}))
    assert "sekret" not in str(caught.value)


def test_disabled_accounts_are_left_out_and_can_return(metadata: Metadata) -> None:
    metadata.add_customer("acme")
    metadata.add_account(ACCOUNT)
    metadata.disable("acme.main")
    assert metadata.accounts() == []
    assert metadata.accounts(include_disabled=True) == [ACCOUNT]
    assert metadata.account("acme.main") == ACCOUNT
    assert [one.status for one in metadata.account_states()] == ["disabled"]
    metadata.add_account(ACCOUNT)
    assert metadata.accounts() == [ACCOUNT]
    with pytest.raises(NotFound):
        metadata.disable("acme.other")


def test_filters_of_accounts(metadata: Metadata) -> None:
    for customer in ("acme", "zenith"):
        metadata.add_customer(customer)
        for provider in ("aws", "focus"):
            metadata.add_account(Account(f"{customer}.{provider}", customer, provider))
    ids = [one.account_id for one in metadata.accounts()]
    assert ids == ["acme.aws", "acme.focus", "zenith.aws", "zenith.focus"]
    assert [one.account_id for one in metadata.accounts(customer_id="zenith")] == ids[2:]
    assert [one.account_id for one in metadata.accounts(provider="aws")] == ["acme.aws", "zenith.aws"]
    assert [one.account_id for one in metadata.accounts(customer_id="acme", provider="focus")] == [
        "acme.focus"
    ]
    assert metadata.accounts(account_id="acme.aws", provider="focus") == []


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
    assert "sekret" not in message
    assert "\n" not in message


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
    metadata.add_customer("acme")
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert [one.customer_id for one in metadata.customers()] == ["acme"]


def test_many_threads_share_one_metadata(metadata: Metadata) -> None:
    metadata.add_customer("acme")
    added: list[Account] = []

    def add(number: int) -> None:
        added.append(metadata.add_account(Account(f"acme.{number}", "acme", "focus")))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.account_id for one in added) == [one.account_id for one in metadata.accounts()]
    assert len(added) == 20
