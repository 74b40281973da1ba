"""Several statements as one: all of what a thread stores within, or none of it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from loopback import HANG
from pydantic import SecretStr

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.credential_audit import Actor
from optiinfra_assets.vault.master_keys import MasterKeyMissing

ACCOUNT = Account("acme.main", "acme", "vultr")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def connect(metadata: Metadata, account: Account = ACCOUNT) -> None:
    with metadata.transaction():
        metadata.customers.add(account.customer_id)
        metadata.accounts.add(account)
        metadata.credentials.put(account, {"api_key": SecretStr("planted")}, Actor("a person", "here"))


def test_an_account_comes_with_its_secrets(metadata: Metadata, settings: Settings) -> None:
    connect(metadata)
    other = Metadata.connect(settings)
    assert other.accounts.get("acme.main") == ACCOUNT
    assert other.credentials.reveal("acme.main", Actor.here("probe"), "probe") == {"api_key": "planted"}
    assert other.credentials.made_key_file is None
    other.close()
    assert metadata.credentials.made_key_file == settings.home / "master.key"
    assert (settings.home / "master.key").stat().st_mode & 0o777 == 0o600


def test_without_a_usable_key_there_is_neither(metadata: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIINFRA_MASTER_KEY", "not a key")
    with pytest.raises(MasterKeyMissing):
        connect(metadata)
    assert metadata.customers.find() == []
    with pytest.raises(RecordNotFound):
        metadata.accounts.get("acme.main")


def test_a_lost_key_file_is_not_replaced_by_another(metadata: Metadata, settings: Settings) -> None:
    connect(metadata)
    (settings.home / "master.key").rename(settings.home / "elsewhere")
    later = Metadata.connect(settings)
    with pytest.raises(MasterKeyMissing, match="put this installation's key file back"):
        connect(later, Account("acme.second", "acme", "vultr"))
    later.close()
    assert [one.account_id for one in metadata.accounts.find()] == ["acme.main"]
    assert not Path(settings.home / "master.key").exists()


def test_another_thread_is_not_part_of_it_and_the_next_is_a_new_one(metadata: Metadata) -> None:
    def elsewhere() -> None:
        metadata.customers.add("beta")

    def interrupted() -> None:
        with metadata.transaction():
            metadata.customers.add("acme")
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            with metadata.transaction():
                metadata.customers.add("gamma")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        interrupted()
    assert [one.customer_id for one in metadata.customers.find()] == ["beta"]
    metadata.customers.add("acme")
    assert [one.customer_id for one in metadata.customers.find()] == ["acme", "beta"]


@pytest.mark.parametrize("tick_first", [False, True])
def test_who_changes_an_account_and_a_tick_wait_for_each_other_only(
    metadata: Metadata, settings: Settings, tick_first: bool
) -> None:
    """Both store what was seen of the account, and say at the account that it was seen."""
    accounts = [Account(f"acme.a{number}", "acme", "focus") for number in range(300 if tick_first else 3)]
    periods = [BillingPeriod(2026, month) for month in range(1, 12)]
    with metadata.transaction():
        metadata.customers.add("acme")
        for account in accounts:
            metadata.accounts.add(account)

    def tick(token: str) -> None:
        own = Metadata.connect(settings)
        own.work_queue.record_probes({one.account_id: dict.fromkeys(periods, token) for one in accounts}, NOW)
        own.close()

    def change(token: str) -> None:
        own = Metadata.connect(settings)
        with own.transaction():
            own.credentials.hold(accounts[1], None)
            time.sleep(0.1)  # sealing a secret, which may ask a service
            own.slices.record_probe(accounts[1].account_id, dict.fromkeys(periods, token), NOW)
        own.close()

    tick("0")
    order = (tick, change) if tick_first else (change, tick)
    with ThreadPoolExecutor(2) as pool:
        for number in range(1, 4):
            first = pool.submit(order[0], f"first {number}")
            time.sleep(0.05)
            second = pool.submit(order[1], f"second {number}")
            first.result(HANG)
            second.result(HANG)
