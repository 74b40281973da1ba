"""Several statements as one: all of what a thread stores within, or none of it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from optiinfra_assets.model import Account
from optiinfra_assets.store.credential_audit import Actor
from optiinfra_assets.store.errors import NotFound
from optiinfra_assets.store.keys import MasterKeyMissing
from optiinfra_assets.store.metadata import Metadata
from optiinfra_assets.store.settings import Settings

ACCOUNT = Account("acme.main", "acme", "vultr")


def connect(metadata: Metadata, account: Account = ACCOUNT) -> None:
    with metadata.transaction():
        metadata.add_customer(account.customer_id)
        metadata.add_account(account)
        metadata.credentials.put(account, {"api_key": SecretStr("planted")}, Actor("a person", "here"))


def test_an_account_comes_with_its_secrets(metadata: Metadata, settings: Settings) -> None:
    connect(metadata)
    other = Metadata.connect(settings)
    assert other.account("acme.main") == ACCOUNT
    assert other.credentials.reveal("acme.main", Actor.here("probe"), "probe") == {"api_key": "planted"}
    assert other.credentials.made_key_file is None
    other.close()
    assert metadata.credentials.made_key_file == settings.home / "master.key"
    assert (settings.home / "master.key").stat().st_mode & 0o777 == 0o600


def test_without_a_usable_key_there_is_neither(metadata: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIINFRA_MASTER_KEY", "not a key")
    with pytest.raises(MasterKeyMissing):
        connect(metadata)
    assert metadata.customers() == []
    with pytest.raises(NotFound):
        metadata.account("acme.main")


def test_a_lost_key_file_is_not_replaced_by_another(metadata: Metadata, settings: Settings) -> None:
    connect(metadata)
    (settings.home / "master.key").rename(settings.home / "elsewhere")
    later = Metadata.connect(settings)
    with pytest.raises(MasterKeyMissing, match="put this installation's key file back"):
        connect(later, Account("acme.second", "acme", "vultr"))
    later.close()
    assert [one.account_id for one in metadata.accounts()] == ["acme.main"]
    assert not Path(settings.home / "master.key").exists()


def test_another_thread_is_not_part_of_it_and_the_next_is_a_new_one(metadata: Metadata) -> None:
    def elsewhere() -> None:
        metadata.add_customer("beta")

    def interrupted() -> None:
        with metadata.transaction():
            metadata.add_customer("acme")
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            with metadata.transaction():
                metadata.add_customer("gamma")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        interrupted()
    assert [one.customer_id for one in metadata.customers()] == ["beta"]
    metadata.add_customer("acme")
    assert [one.customer_id for one in metadata.customers()] == ["acme", "beta"]
