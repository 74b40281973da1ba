"""`optiinfra keys`: the master key changes while collections open secrets, and what stands in the way is named."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import psycopg
import pytest
from command_line import Run

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.domain.errors import Transient
from optiinfra_assets.ingestion.account_access import with_secrets
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.credential_audit import Actor

ACCOUNTS = [Account(f"acme.n{number:02d}", "acme", "vultr") for number in range(12)]


@pytest.fixture
def metadata(connected: Run, settings: Settings) -> Iterator[Metadata]:
    """Twelve accounts with a secret each, under the key of the file."""
    opened_here = Metadata.connect(settings)
    opened_here.customers.add("acme")
    for account in ACCOUNTS:
        opened_here.accounts.add(account)
        opened_here.credentials.put(account, {"api_key": f"PLANTED-{account.account_id}"}, Actor.here("test"))
    yield opened_here
    opened_here.close()


def listed(run: Run) -> list[tuple[int | None, str, int]]:
    """Version, status and number of credentials of each key."""
    done = run("keys", "list", "--json")
    assert done.code == 0, done.err
    return [(one["version"], one["status"], one["credentials"]) for one in json.loads(done.out)]


def opens(metadata: Metadata) -> None:
    """Every secret, as a collection opens it."""
    for account in ACCOUNTS:
        secret = with_secrets(metadata, PROVIDERS["vultr"], account, "collect", "run-1").secrets
        assert secret == {"api_key": f"PLANTED-{account.account_id}"}


def test_a_secret_is_not_opened_for_the_address_that_an_account_had(metadata: Metadata) -> None:
    account = ACCOUNTS[0]
    metadata.accounts.change_settings(account.account_id, {"endpoint_url": "https://new.example"})
    metadata.credentials.put(account, {"api_key": "PLANTED-new"}, Actor.here("test"))
    with pytest.raises(Transient, match=f"account: '{account.account_id}' was changed since it was read"):
        with_secrets(metadata, PROVIDERS["vultr"], account, "probe")
    again = metadata.accounts.get(account.account_id)
    assert with_secrets(metadata, PROVIDERS["vultr"], again, "probe").secrets == {"api_key": "PLANTED-new"}


def test_the_key_changes_while_collections_run(connected: Run, metadata: Metadata, settings: Settings) -> None:
    stop = Event()

    def collecting() -> int:
        own, rounds = Metadata.connect(settings), 0
        while not stop.is_set():
            opens(own)
            rounds += 1
        own.close()
        return rounds

    with ThreadPoolExecutor(3) as pool:
        busy = [pool.submit(collecting) for _ in range(3)]
        try:
            for _ in range(2):
                done = connected("keys", "rotate", "--json")
                assert done.code == 0, done.err
                answer = json.loads(done.out)
                assert (answer["rewrapped"], answer["refused"]) == (12, {})
                assert connected("keys", "retire", *answer["spare"]).code == 0
        finally:
            stop.set()
        assert min(one.result() for one in busy) > 0
    assert listed(connected) == [(1, "retired", 0), (2, "retired", 0), (3, "in use", 12)]
    assert len((settings.home / "master.key").read_text().split()) == 1
    assert {one.outcome for one in metadata.credentials.audit(first=10**6)} == {"done"}


def test_keys_given_in_the_variable_are_changed_there(
    connected: Run, metadata: Metadata, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = (settings.home / "master.key").read_text().strip()
    new = base64.b64encode(os.urandom(32)).decode()
    monkeypatch.setenv("OPTIINFRA_MASTER_KEY", old)
    assert "put the new key before the present one" in connected("keys", "rotate").error
    monkeypatch.setenv("OPTIINFRA_MASTER_KEY", f"{new},{old}")
    assert listed(connected) == [(1, "known", 12), (None, "in use", 0)]
    done = connected("keys", "rotate")
    assert done.code == 0, done.err
    assert "12 secrets are under master key local-" in done.out
    assert done.out.splitlines()[-1].startswith("next: optiinfra keys retire local-")
    monkeypatch.setenv("OPTIINFRA_MASTER_KEY", new)
    own = Metadata.connect(settings)
    opens(own)
    own.close()
    assert listed(connected) == [(1, "missing", 0), (2, "in use", 12)]


def test_what_cannot_be_rewrapped_is_named_and_left(connected: Run, metadata: Metadata, settings: Settings) -> None:
    with psycopg.connect(str(settings.postgres_url)) as connection:
        connection.execute(
            "UPDATE optiinfra.credentials SET wrapped_key = set_byte(wrapped_key, 60, 255 - get_byte(wrapped_key, 60)) "
            "WHERE account_id = 'acme.n03'"
        )
    done = connected("keys", "rotate")
    assert done.code == 1
    assert "11 secrets are under master key" in done.out
    assert "error: acme.n03: credential of account 'acme.n03': the stored ciphertext was changed" in done.err
    assert "PLANTED" not in done.out + done.err
    (used,) = [one.key_id for one in metadata.credentials.master_keys() if one.credentials == 1]
    assert "still wraps credentials" in connected("keys", "retire", used).error


def test_a_key_in_use_or_unknown_is_not_retired(connected: Run, metadata: Metadata) -> None:
    (key,) = metadata.credentials.master_keys()
    assert "in use: rotate to a new one first" in connected("keys", "retire", key.key_id).error
    assert "was never used here" in connected("keys", "retire", "local-0").error


def test_without_a_key_nothing_is_rotated(connected: Run, settings: Settings) -> None:
    assert listed(connected) == []
    assert "no master key yet" in connected("keys", "list").out
    assert "none given" in connected("keys", "rotate").error
    assert not (settings.home / "master.key").exists()
