"""Secrets of accounts on the real PostgreSQL: stored encrypted, opened for their account alone, each use on record."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from pydantic import SecretStr

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.credential_audit import Actor
from optiinfra_assets.vault.credentials import CredentialRepository
from optiinfra_assets.vault.keyring import Keyring
from optiinfra_assets.vault.master_keys import (
    CiphertextTampered,
    KeyWrapper,
    MasterKeyMissing,
    MasterKeyWrong,
    VaultError,
)

PLANTED = "Plant3d-s3cret-value"
ALICE = Actor("token 12ab", "192.0.2.7")
COLLECTOR = Actor("collection", "worker-1:4711")


def account(name: str = "main", customer_id: str = "acme", provider: str = "vultr") -> Account:
    return Account(f"{customer_id}.{name}", customer_id, provider)


def open_credentials(metadata: Metadata, settings: Settings) -> CredentialRepository:
    """As another process would: with master keys of its own reading."""
    return CredentialRepository(metadata, Keyring.configured(settings))


@pytest.fixture
def accounts(metadata: Metadata) -> list[Account]:
    for customer_id in ("acme", "beta"):
        metadata.customers.add(customer_id)
    made = [account(), account("other"), account(customer_id="beta")]
    return [metadata.accounts.add(one) for one in made]


@pytest.fixture
def credentials(metadata: Metadata, settings: Settings, accounts: list[Account]) -> CredentialRepository:
    return open_credentials(metadata, settings)


@pytest.fixture
def sql(settings: Settings) -> Iterator[Callable[..., list[Any]]]:
    """Statements past our code, as an intruder or an administrator would run them."""
    assert settings.postgres_url
    with psycopg.connect(settings.postgres_url, autocommit=True) as connection:

        def run(statement: str, *values: object) -> list[Any]:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

        yield run


def reveal(credentials: CredentialRepository, account_id: str = "acme.main") -> dict[str, Any]:
    return dict(credentials.reveal(account_id, COLLECTOR, "collect", "run-1"))


class Interrupted(Keyring):
    """Master keys as configured; just before the first call of `method`, something else happens."""

    def __init__(self, settings: Settings, method: str, happens: Callable[[], object]) -> None:
        configured = Keyring.configured(settings)
        super().__init__(configured._given, configured._file)
        self._pending = {method: happens}

    def key(self, key_id: str) -> KeyWrapper:
        self._pending.pop("key", lambda: None)()
        return super().key(key_id)

    def current(self) -> KeyWrapper:
        self._pending.pop("current", lambda: None)()
        return super().current()


class TestStoring:
    @trying(max_examples=30)
    @given(
        secrets=st.dictionaries(
            st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()), max_size=4
        )
    )
    def test_what_was_put_is_revealed(self, credentials: CredentialRepository, secrets: dict[str, Any]) -> None:
        credentials.put(account(), secrets, ALICE)
        assert reveal(credentials) == secrets

    def test_secret_strings_are_taken_and_other_types_refused_without_showing_them(
        self, credentials: CredentialRepository
    ) -> None:
        credentials.put(account(), {"key": SecretStr(PLANTED)}, ALICE)
        assert reveal(credentials) == {"key": PLANTED}
        with pytest.raises(TypeError, match="field of type bytes is not accepted") as caught:
            credentials.put(account(), {"key": PLANTED.encode()}, ALICE)
        assert PLANTED not in str(caught.value)

    def test_one_credential_an_account_with_a_version_for_each_secret(self, credentials: CredentialRepository) -> None:
        first = credentials.put(account(), {"key": "1"}, ALICE)
        second = credentials.put(account(), {"key": "2"}, ALICE)
        third = credentials.rotate_secret("acme.main", {"key": "3"}, ALICE)
        assert [first.version, second.version, third.version] == [1, 2, 3]
        assert first.credential_id == second.credential_id == third.credential_id
        assert (second.rotated_at, first.created_at) == (None, third.created_at)
        assert third.rotated_at == third.updated_at > second.updated_at > first.updated_at
        assert reveal(credentials) == {"key": "3"}
        assert [one.action for one in credentials.audit()] == ["reveal", "rotate", "update", "create"]

    def test_only_for_an_account_as_it_is(
        self, credentials: CredentialRepository, sql: Callable[..., list[Any]]
    ) -> None:
        for wrong in (account("nobody"), Account("acme.main", "beta", "vultr"), account(provider="linode")):
            with pytest.raises(RecordNotFound, match=f"account: '{wrong.account_id}' does not exist"):
                credentials.put(wrong, {"key": PLANTED}, ALICE)
        assert sql("SELECT * FROM optiinfra.credentials") == []

    def test_of_many_who_store_at_once_each_is_a_version(
        self, credentials: CredentialRepository, metadata: Metadata, settings: Settings
    ) -> None:
        others = [open_credentials(metadata, settings) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            stored = list(pool.map(lambda n: others[n % 4].put(account(), {"n": n}, ALICE).version, range(24)))
        assert sorted(stored) == list(range(1, 25))
        assert reveal(credentials)["n"] == stored.index(24)
        assert len(credentials.master_keys()) == 1

    def test_a_writer_who_lost_its_lock_overwrites_nothing_unseen(
        self,
        credentials: CredentialRepository,
        metadata: Metadata,
        settings: Settings,
        sql: Callable[..., list[Any]],
    ) -> None:
        credentials.put(account(), {"by": "first"}, ALICE)

        def lose_the_lock() -> None:
            sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            credentials.put(account(), {"by": "other"}, ALICE)

        slow = CredentialRepository(metadata, Interrupted(settings, "current", lose_the_lock))
        assert slow.put(account(), {"by": "slow"}, COLLECTOR).version == 3
        assert reveal(credentials) == {"by": "slow"}


class TestDeleting:
    def test_deleted_is_not_revealed_and_not_gone(
        self, credentials: CredentialRepository, sql: Callable[..., list[Any]]
    ) -> None:
        credentials.put(account(), {"key": PLANTED}, ALICE)
        with pytest.raises(RecordNotFound, match="none that is deleted: delete it first"):
            credentials.purge("acme.main", ALICE)
        credentials.delete("acme.main", ALICE)
        for act in (
            lambda: reveal(credentials),
            lambda: credentials.delete("acme.main", ALICE),
            lambda: credentials.rotate_secret("acme.main", {}, ALICE),
        ):
            with pytest.raises(RecordNotFound, match=r"account 'acme\.main' has none in use: add one"):
                act()
        stored = "SELECT account_id, deleted_at IS NOT NULL FROM optiinfra.credentials"
        assert sql(stored) == [("acme.main", True)]

    def test_stored_again_it_is_in_use_again(self, credentials: CredentialRepository) -> None:
        credentials.put(account(), {"key": "1"}, ALICE)
        credentials.delete("acme.main", ALICE)
        assert credentials.put(account(), {"key": "2"}, ALICE).deleted_at is None
        assert reveal(credentials) == {"key": "2"}

    def test_purged_is_gone_and_the_log_stays(
        self, credentials: CredentialRepository, sql: Callable[..., list[Any]]
    ) -> None:
        before = credentials.put(account(), {"key": PLANTED}, ALICE)
        credentials.delete("acme.main", ALICE)
        credentials.purge("acme.main", ALICE)
        assert sql("SELECT * FROM optiinfra.credentials") == []
        with pytest.raises(RecordNotFound):
            reveal(credentials)
        again = credentials.put(account(), {"key": "2"}, ALICE)
        assert again.version == 1
        assert again.credential_id != before.credential_id
        assert [one.action for one in credentials.audit()] == ["create", "purge", "delete", "create"]


CHANGES_OF_THE_LOG = (
    "UPDATE optiinfra.credential_audit_log SET actor = 'nobody'",
    "UPDATE optiinfra.credential_audit_log SET actor = 'nobody' WHERE false",
    "DELETE FROM optiinfra.credential_audit_log",
    "DELETE FROM optiinfra.credential_audit_log WHERE id < 0",
    "TRUNCATE optiinfra.credential_audit_log",
    "TRUNCATE optiinfra.credential_audit_log CASCADE",
    "MERGE INTO optiinfra.credential_audit_log USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
    "INSERT INTO optiinfra.credential_audit_log (id, actor, origin, action, outcome) OVERRIDING SYSTEM VALUE "
    "VALUES (1, 'a', 'b', 'reveal', 'done') ON CONFLICT (id) DO UPDATE SET actor = 'nobody'",
)


class TestAudit:
    def test_each_use_says_who_what_when_from_where_and_for_which_run(self, credentials: CredentialRepository) -> None:
        stored = credentials.put(account(), {"key": PLANTED}, ALICE)
        credentials.reveal("acme.main", COLLECTOR, "collect", "run-77")
        credentials.reveal("acme.main", Actor.here("probe"), "probe")
        probe, collection, put = credentials.audit()
        assert (collection.actor, collection.origin, collection.run_id) == (
            "collection",
            "worker-1:4711",
            "run-77",
        )
        assert (collection.action, collection.outcome, collection.purpose) == ("reveal", "done", "collect")
        assert (collection.customer_id, collection.account_id) == ("acme", "acme.main")
        assert (collection.credential_id, collection.version) == (stored.credential_id, 1)
        assert collection.key_id == stored.key_id
        assert (put.action, put.actor, put.origin) == ("create", ALICE.name, ALICE.origin)
        assert (probe.purpose, probe.run_id) == ("probe", None)
        assert probe.origin.endswith(f":{os.getpid()}")
        assert put.at <= collection.at <= probe.at
        assert put.at.utcoffset() is not None

    def test_probes_of_a_day_are_one_line_until_something_about_them_changes(
        self,
        credentials: CredentialRepository,
        accounts: list[Account],
        settings: Settings,
        metadata: Metadata,
    ) -> None:
        def lines(account_id: str = "acme.main") -> list[tuple[str, int | None]]:
            log = credentials.audit(account_id=account_id, action="reveal")
            return [(one.outcome, one.version) for one in log]

        for one in accounts[:2]:
            credentials.put(one, {"key": PLANTED}, ALICE)
        for _ in range(3):
            credentials.reveal("acme.main", COLLECTOR, "probe")
            credentials.reveal("acme.other", COLLECTOR, "probe")
        assert lines() == lines("acme.other") == [("done", 1)]
        for _ in range(2):
            credentials.reveal("acme.main", COLLECTOR, "collect", "run-1")
        assert len(lines()) == 3
        credentials.reveal("acme.main", Actor("collection", "worker-2:1"), "probe")
        assert len(lines()) == 4
        credentials.rotate_secret("acme.main", {"key": "another"}, ALICE)
        for _ in range(2):
            credentials.reveal("acme.main", COLLECTOR, "probe")
        assert lines()[:2] == [("done", 2), ("done", 1)]
        (settings.home / "master.key").unlink()
        for _ in range(2):
            with pytest.raises(MasterKeyMissing):
                open_credentials(metadata, settings).reveal("acme.main", COLLECTOR, "probe")
        assert lines()[:2] == [("refused", 2), ("done", 2)]

    def test_only_probes_share_a_line(self, credentials: CredentialRepository) -> None:
        credentials.put(account(), {"key": PLANTED}, ALICE)
        for purpose in ("probe", "collect", "collect", "probe"):
            credentials.reveal("acme.main", COLLECTOR, purpose)
        log = credentials.audit(action="reveal")
        assert [one.purpose for one in log] == ["collect", "collect", "probe"]

    def test_a_use_that_cannot_be_put_on_record_reveals_nothing(
        self, credentials: CredentialRepository, sql: Callable[..., list[Any]]
    ) -> None:
        credentials.put(account(), {"key": PLANTED}, ALICE)
        sql("ALTER TABLE optiinfra.credential_audit_log ADD CHECK (action <> 'reveal')")
        with pytest.raises(psycopg.errors.CheckViolation):
            reveal(credentials)

    @pytest.mark.parametrize("role", ["origin", "replica"])
    def test_the_database_refuses_to_change_the_log(
        self, credentials: CredentialRepository, sql: Callable[..., list[Any]], role: str
    ) -> None:
        credentials.put(account(), {"key": PLANTED}, ALICE)
        before = credentials.audit()
        sql(f"SET session_replication_role = {role}")
        for statement in CHANGES_OF_THE_LOG:
            with pytest.raises(psycopg.errors.RestrictViolation, match=r"audit_log: refused: .*append-only"):
                sql(statement)
        assert credentials.audit() == before

    def test_pages_put_together_are_the_whole(self, credentials: CredentialRepository, accounts: list[Account]) -> None:
        for one in accounts:
            for _ in range(3):
                credentials.put(one, {}, ALICE)
                credentials.reveal(one.account_id, COLLECTOR, "test")
        whole = credentials.audit(first=1000)
        assert len(whole) == 18
        for size in (1, 4, 17, 18):
            pages, before = [], whole[0].id + 1
            while page := credentials.audit(first=size, before=before):
                pages += page
                before = page[-1].id
                credentials.reveal("acme.main", COLLECTOR, "test")  # does not shift the pages below
            assert pages == whole
        assert {one.customer_id for one in credentials.audit(customer_id="beta")} == {"beta"}
        assert len(credentials.audit(account_id="acme.other")) == 6
        assert {one.action for one in credentials.audit(customer_id="beta", action="update")} == {"update"}


BYTES = ("ciphertext", "nonce", "wrapped_key")


class TestTampering:
    @pytest.mark.parametrize("column", BYTES)
    def test_a_flipped_bit_is_refused_and_on_record(
        self, credentials: CredentialRepository, sql: Callable[..., list[Any]], column: str
    ) -> None:
        credentials.put(account(), {"key": PLANTED}, ALICE)
        ((whole,),) = sql(f"SELECT {column} FROM optiinfra.credentials")
        for bit in range(0, len(whole) * 8, 37):
            sql(
                f"UPDATE optiinfra.credentials SET {column} = set_bit(%s, %s, 1 - get_bit(%s, %s))",
                *(whole, bit) * 2,
            )
            with pytest.raises(CiphertextTampered, match=r"account 'acme\.main'.*changed or belongs to another"):
                reveal(credentials)
        last = credentials.audit(first=1)[0]
        assert (last.action, last.outcome, last.run_id) == ("reveal", "refused", "run-1")
        assert last.detail
        assert "changed or belongs to another" in last.detail
        sql(f"UPDATE optiinfra.credentials SET {column} = %s", whole)
        assert reveal(credentials) == {"key": PLANTED}

    @pytest.mark.parametrize("target", ["acme.other", "beta.main"])
    def test_a_ciphertext_moved_to_another_row_is_refused(
        self,
        credentials: CredentialRepository,
        accounts: list[Account],
        sql: Callable[..., list[Any]],
        target: str,
    ) -> None:
        for columns in (
            BYTES,
            (*BYTES, "version"),
            (*BYTES, "key_id"),
            ("ciphertext", "nonce"),
            ("wrapped_key",),
        ):
            for one in accounts:
                credentials.put(one, {"key": one.account_id}, ALICE)
            moved = ", ".join(f"{column} = source.{column}" for column in columns)
            sql(
                f"UPDATE optiinfra.credentials AS c SET {moved} FROM optiinfra.credentials AS source"
                " WHERE c.account_id = %s AND source.account_id = 'acme.main'",
                target,
            )
            with pytest.raises(CiphertextTampered, match=f"account '{target}'"):
                reveal(credentials, target)
            assert reveal(credentials) == {"key": "acme.main"}

    def test_a_row_given_to_someone_else_is_refused(
        self, credentials: CredentialRepository, sql: Callable[..., list[Any]]
    ) -> None:
        before = credentials.put(account(), {"key": PLANTED}, ALICE)
        for column, other, now_of in (
            ("account_id", "acme.other", "acme.other"),
            ("customer_id", "beta", "acme.main"),
            ("credential_id", "another", "acme.main"),
            ("version", 2, "acme.main"),
        ):
            sql(f"UPDATE optiinfra.credentials SET {column} = %s", other)
            with pytest.raises(CiphertextTampered):
                reveal(credentials, now_of)
            sql(f"UPDATE optiinfra.credentials SET {column} = %s", getattr(before, column))
        assert reveal(credentials) == {"key": PLANTED}

    def test_an_earlier_secret_put_back_is_refused(
        self, credentials: CredentialRepository, sql: Callable[..., list[Any]]
    ) -> None:
        credentials.put(account(), {"key": "stolen"}, ALICE)
        (old,) = sql("SELECT ciphertext, nonce, wrapped_key FROM optiinfra.credentials")
        credentials.rotate_secret("acme.main", {"key": "fresh"}, ALICE)
        sql("UPDATE optiinfra.credentials SET ciphertext = %s, nonce = %s, wrapped_key = %s", *old)
        with pytest.raises(CiphertextTampered):
            reveal(credentials)


class TestMasterKey:
    def test_the_first_secret_makes_the_key_file(self, credentials: CredentialRepository, settings: Settings) -> None:
        path = settings.home / "master.key"
        with pytest.raises(RecordNotFound):
            reveal(credentials)
        assert not path.exists()
        credentials.put(account(), {}, ALICE)
        assert path.stat().st_mode & 0o777 == 0o600

    def test_a_lost_key_is_said_so_not_replaced_and_nothing_is_lost(
        self, credentials: CredentialRepository, metadata: Metadata, settings: Settings
    ) -> None:
        credentials.put(account(), {"key": PLANTED}, ALICE)
        path = settings.home / "master.key"
        saved = path.read_text()
        path.unlink()
        again = open_credentials(metadata, settings)
        with pytest.raises(MasterKeyMissing, match=f"none given: put this installation's key file back at {path}"):
            reveal(again)
        with pytest.raises(MasterKeyMissing):
            again.put(account("other"), {}, ALICE)
        assert not path.exists()
        assert again.audit(first=1)[0].outcome == "refused"

        path.touch(0o600)
        path.write_text(saved)
        assert reveal(again) == {"key": PLANTED}

    def test_a_wrong_key_is_said_so_and_nothing_is_lost(
        self,
        credentials: CredentialRepository,
        metadata: Metadata,
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        right = credentials.put(account(), {"key": PLANTED}, ALICE).key_id
        wrong = base64.b64encode(bytes(32)).decode()
        monkeypatch.setenv("OPTIINFRA_MASTER_KEY", wrong)
        with pytest.raises(MasterKeyWrong, match=rf"account 'acme\.main'.*{right}: not among those given") as caught:
            reveal(open_credentials(metadata, settings))
        assert wrong not in str(caught.value)
        monkeypatch.delenv("OPTIINFRA_MASTER_KEY")
        assert reveal(open_credentials(metadata, settings)) == {"key": PLANTED}


def fill(metadata: Metadata, credentials: CredentialRepository, count: int) -> list[Account]:
    filled = [metadata.accounts.add(account(f"n{n:03d}")) for n in range(count)]
    for one in filled:
        credentials.put(one, {"key": one.account_id}, ALICE)
    return filled


def check(credentials: CredentialRepository, filled: list[Account]) -> None:
    for one in filled:
        assert reveal(credentials, one.account_id) == {"key": one.account_id}


class TestRotation:
    def test_data_keys_are_wrapped_anew_and_ciphertexts_stay(
        self, credentials: CredentialRepository, metadata: Metadata, sql: Callable[..., list[Any]]
    ) -> None:
        filled = fill(metadata, credentials, 5)
        credentials.delete("acme.n001", ALICE)
        stored = "SELECT account_id, ciphertext, nonce, version FROM optiinfra.credentials ORDER BY 1"
        before, old_wrapped = sql(stored), sql("SELECT wrapped_key FROM optiinfra.credentials")
        result = credentials.rotate_keys(ALICE)
        assert (result.done, result.refused) == (5, {})
        assert sql(stored) == before
        assert not set(old_wrapped) & set(sql("SELECT wrapped_key FROM optiinfra.credentials"))
        old, new = credentials.master_keys()
        assert [old.key_version, new.key_version] == [1, 2]
        assert [old.credentials, new.credentials, new.key_id] == [0, 5, result.key_id]
        check(credentials, [filled[0], *filled[2:]])
        assert sql("SELECT count(*) FROM optiinfra.credentials WHERE rewrapped_at IS NULL") == [(0,)]
        logged = credentials.audit(action="rewrap")
        assert len(logged) == 5
        assert {(one.actor, one.detail, one.key_id) for one in logged} == {(ALICE.name, old.key_id, new.key_id)}

    def test_a_key_retires_when_it_wraps_nothing_and_does_not_come_back(
        self, credentials: CredentialRepository, metadata: Metadata, settings: Settings
    ) -> None:
        filled = fill(metadata, credentials, 2)
        stale = open_credentials(metadata, settings)
        check(stale, filled)
        old = credentials.master_keys()[0].key_id
        saved = (settings.home / "master.key").read_text()
        with pytest.raises(VaultError, match="in use: rotate to a new one first"):
            credentials.retire_key(ALICE, old)
        with pytest.raises(RecordNotFound, match="never used here"):
            credentials.retire_key(ALICE, "local-unknown")
        new = credentials.rotate_keys(ALICE).key_id
        with pytest.raises(VaultError, match="in use"):
            credentials.retire_key(ALICE, new)
        credentials.retire_key(ALICE, old)
        assert old not in [one.key_id for one in credentials.master_keys() if one.retired_at is None]
        assert credentials.audit(first=1)[0].action == "retire_key"
        check(open_credentials(metadata, settings), filled)
        check(stale, filled)

        (settings.home / "master.key").write_text(saved)
        with pytest.raises(MasterKeyWrong, match=f"{old}: retired at"):
            open_credentials(metadata, settings).put(filled[0], {}, ALICE)

    def test_a_key_that_still_wraps_something_does_not_retire(
        self, credentials: CredentialRepository, metadata: Metadata, sql: Callable[..., list[Any]]
    ) -> None:
        filled = fill(metadata, credentials, 4)
        credentials.delete("acme.n003", ALICE)
        sql("UPDATE optiinfra.credentials SET wrapped_key = '\\x00' WHERE account_id = 'acme.n001'")
        result = credentials.rotate_keys(ALICE)
        assert result.done == 3
        assert list(result.refused) == ["acme.n001"]
        assert "changed or belongs to another" in result.refused["acme.n001"]
        old = credentials.master_keys()[0]
        assert old.credentials == 1
        with pytest.raises(VaultError, match="still wraps credentials"):
            credentials.retire_key(ALICE, old.key_id)
        check(credentials, [filled[0], filled[2]])

    def test_the_environment_rotates_in_three_steps(
        self, metadata: Metadata, accounts: list[Account], settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
        monkeypatch.setenv("OPTIINFRA_MASTER_KEY", old)
        filled = fill(metadata, open_credentials(metadata, settings), 3)
        with pytest.raises(VaultError, match="given in OPTIINFRA_MASTER_KEY, so it is changed there"):
            open_credentials(metadata, settings).rotate_keys(ALICE)
        for step in (f"{old},{new}", f"{new},{old}"):
            monkeypatch.setenv("OPTIINFRA_MASTER_KEY", step)
            check(open_credentials(metadata, settings), filled)
        assert open_credentials(metadata, settings).rotate_keys(ALICE).done == 3
        monkeypatch.setenv("OPTIINFRA_MASTER_KEY", new)
        check(open_credentials(metadata, settings), filled)

    def test_two_rotations_do_not_run_at_once(
        self, credentials: CredentialRepository, sql: Callable[..., list[Any]]
    ) -> None:
        credentials.put(account(), {"key": "1"}, ALICE)
        sql("SELECT pg_advisory_lock(hashtextextended('optiinfra.master_keys', 0))")
        with pytest.raises(VaultError, match="another rotation is under way"):
            credentials.rotate_keys(ALICE)
        sql("SELECT pg_advisory_unlock_all()")
        assert credentials.rotate_keys(ALICE).done == 1

    def test_nobody_fails_while_keys_rotate_and_retire(
        self, credentials: CredentialRepository, metadata: Metadata, settings: Settings
    ) -> None:
        """Readers and writers with keyrings of their own, as other processes have, through four rotations."""
        filled = fill(metadata, credentials, 25)
        stop = Event()

        def read() -> int:
            own, count = open_credentials(metadata, settings), 0
            while not stop.is_set():
                check(own, filled[:20])
                count += 20
            return count

        def write() -> int:
            own, count = open_credentials(metadata, settings), 0
            while not stop.is_set():
                for one in filled[20:]:
                    own.put(one, {"key": one.account_id}, ALICE)
                    count += 1
            return count

        with ThreadPoolExecutor(4) as pool:
            busy = [pool.submit(read), pool.submit(read), pool.submit(write)]
            try:
                for _ in range(4):
                    credentials.rotate_keys(ALICE)
                    for key in credentials.master_keys()[:-1]:
                        with suppress(VaultError):  # a writer may still have stored under it; then it stays
                            credentials.retire_key(ALICE, key.key_id)
            finally:
                stop.set()
            counts = [one.result() for one in busy]
        assert min(counts) > 0
        check(open_credentials(metadata, settings), filled)
        last = credentials.rotate_keys(ALICE)
        assert last.refused == {}
        assert [one.credentials for one in credentials.master_keys() if one.credentials] == [25]
        assert all(one.outcome == "done" for one in credentials.audit(first=10**6))

    def test_a_key_that_goes_between_two_reads_fails_nobody(
        self, credentials: CredentialRepository, metadata: Metadata, settings: Settings
    ) -> None:
        """The worst moment: the row is read under the old key, which retires before the reader has looked for it."""
        old = credentials.put(account(), {"key": PLANTED}, ALICE).key_id

        def rotate_and_retire() -> None:
            credentials.rotate_keys(ALICE)
            credentials.retire_key(ALICE, old)

        reader = CredentialRepository(metadata, Interrupted(settings, "key", rotate_and_retire))
        assert reveal(reader) == {"key": PLANTED}

    def test_nothing_is_stored_under_a_key_that_retires_in_that_moment(
        self, credentials: CredentialRepository, sql: Callable[..., list[Any]], settings: Settings
    ) -> None:
        credentials.put(account(), {"key": "1"}, ALICE)
        assert settings.postgres_url
        with ThreadPoolExecutor(1) as pool, psycopg.connect(settings.postgres_url) as retiring:
            retiring.execute("SELECT FROM optiinfra.master_keys FOR UPDATE")
            storing = pool.submit(credentials.put, account(), {"key": "2"}, ALICE)
            while not sql("SELECT 1 FROM pg_locks WHERE NOT granted"):
                assert not storing.done(), "it was to wait for the lock"
                time.sleep(0.01)
            retiring.execute("UPDATE optiinfra.master_keys SET retired_at = now()")
            retiring.commit()
            with pytest.raises(MasterKeyWrong, match="retired at"):
                storing.result()
        assert reveal(credentials) == {"key": "1"}

    def test_killed_in_the_middle_it_goes_on_where_it_stopped(
        self,
        credentials: CredentialRepository,
        metadata: Metadata,
        settings: Settings,
        sql: Callable[..., list[Any]],
    ) -> None:
        filled = fill(metadata, credentials, 80)
        program = (
            "from optiinfra_assets.vault.credentials import *\n"
            "from optiinfra_assets.vault.keyring import Keyring\n"
            "from optiinfra_assets.metadata import Metadata\n"
            "from optiinfra_assets.settings import Settings\n"
            "settings = Settings()\n"
            "CredentialRepository(Metadata.connect(settings), Keyring.configured(settings)).rotate_keys(Actor('killed', 'x'))"
        )
        assert settings.postgres_url
        environment = {
            **os.environ,
            "OPTIINFRA_HOME": str(settings.home),
            "OPTIINFRA_POSTGRES_URL": settings.postgres_url,
        }
        process = subprocess.Popen([sys.executable, "-c", program], env=environment)
        rewrapped = "SELECT count(*) FROM optiinfra.credentials WHERE rewrapped_at IS NOT NULL"
        while process.poll() is None and sql(rewrapped)[0][0] < 10:
            time.sleep(0.001)
        process.kill()
        process.wait()
        while not lock_is_free(sql):
            time.sleep(0.01)
        done = sql(rewrapped)[0][0]
        assert 10 <= done < 80, "it was to be stopped in the middle"
        check(credentials, filled)

        assert open_credentials(metadata, settings).rotate_keys(ALICE).done == 80 - done
        assert len(credentials.master_keys()) == 2, "the rotation was finished, not begun anew"
        check(credentials, filled)


def lock_is_free(sql: Callable[..., list[Any]]) -> bool:
    """PostgreSQL frees the lock of a killed process when it has noticed the closed connection."""
    lock = "SELECT pg_try_advisory_lock(hashtextextended('optiinfra.master_keys', 0))"
    is_free = bool(sql(lock)[0][0])
    sql("SELECT pg_advisory_unlock_all()")
    return is_free


def test_a_planted_secret_is_nowhere(
    credentials: CredentialRepository,
    accounts: list[Account],
    metadata: Metadata,
    settings: Settings,
    sql: Callable[..., list[Any]],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Every table, file, log line, error and repr after every act, in clear, hexadecimal and base64."""
    caplog.set_level(logging.DEBUG)
    shown: list[object] = []

    def expect(kind: type[Exception], act: Callable[[], object]) -> None:
        with pytest.raises(kind) as caught:
            act()
        shown.append(caught.getrepr(style="short"))

    secrets = {"api_key": PLANTED, "nested": {"pem": f"-----\n{PLANTED}\n"}}
    for one in accounts:
        shown.append(credentials.put(one, secrets, ALICE))
    shown += [credentials.rotate_secret("acme.main", {"api_key": SecretStr(PLANTED)}, ALICE)]
    shown += [credentials.reveal("acme.main", COLLECTOR, "collect"), credentials.rotate_keys(ALICE)]
    expect(TypeError, lambda: credentials.put(accounts[0], {"api_key": {PLANTED}}, ALICE))
    expect(RecordNotFound, lambda: credentials.put(account("nobody"), secrets, ALICE))
    sql("ALTER TABLE optiinfra.credentials ADD CONSTRAINT full_disk CHECK (version < 4)")
    credentials.put(accounts[0], secrets, ALICE)
    expect(psycopg.errors.CheckViolation, lambda: credentials.put(accounts[0], secrets, ALICE))
    sql("UPDATE optiinfra.credentials SET ciphertext = ciphertext || '\\x00' WHERE account_id = 'beta.main'")
    expect(CiphertextTampered, lambda: reveal(credentials, "beta.main"))
    shown += [credentials, credentials.audit(), credentials.master_keys()]
    (settings.home / "master.key").rename(settings.home / "lost")
    expect(MasterKeyMissing, lambda: reveal(open_credentials(metadata, settings)))
    (settings.home / "lost").rename(settings.home / "master.key")

    needles = [PLANTED, PLANTED.encode().hex(), *base64_of(PLANTED)]
    master_keys = (settings.home / "master.key").read_text().split()
    needles += [*master_keys, *(base64.b64decode(key).hex() for key in master_keys)]
    hay = {
        "tables": dump(settings),
        "shown": "\n".join(f"{one!r} {one}" for one in shown),
        "logs": caplog.text,
        "output": "".join(capfd.readouterr()),
    }
    assert re.search(r"credential_audit_log.*create.*acme\.main", hay["tables"], re.DOTALL)
    found = {where: one for where, text in hay.items() for one in needles if one.lower() in text.lower()}
    assert found == {}
    in_files = [path for path in settings.home.rglob("*") if path.is_file() and PLANTED.encode() in path.read_bytes()]
    assert in_files == []


def base64_of(text: str) -> set[str]:
    """What `text` looks like inside base64, at each of the three places it can begin in a group of three bytes."""
    return {base64.b64encode(b"\0" * shift + text.encode()).decode()[4 if shift else 0 : -4] for shift in range(3)}


def dump(settings: Settings) -> str:
    """All tables of the database as COPY writes them, bytes in hexadecimal, and all of the bytes in them as text besides."""
    assert settings.postgres_url
    parts = []
    with psycopg.connect(settings.postgres_url) as connection:
        tables = connection.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
                text = b"".join(bytes(block) for block in copy).decode()
            parts += [table, text]
            parts += [bytes.fromhex(one).decode("latin-1") for one in re.findall(r"\\\\x((?:[0-9a-f]{2})+)", text)]
    return "\n".join(parts)


def test_the_search_would_find_it(settings: Settings, metadata: Metadata, sql: Callable[..., list[Any]]) -> None:
    """The other way round: the same dump of a table that holds the secret in each of those forms."""
    sql("CREATE TABLE optiinfra.leak (a text, b bytea, c jsonb)")
    encoded = base64.b64encode(f"x{PLANTED}".encode()).decode()
    sql(
        "INSERT INTO optiinfra.leak VALUES (%s, %s, %s)",
        encoded,
        b"\0" + PLANTED.encode(),
        json.dumps({"hex": PLANTED.encode().hex()}),
    )
    text = dump(settings)
    assert PLANTED in text
    assert PLANTED.encode().hex() in text
    assert any(one in text for one in base64_of(PLANTED))


def test_home_holds_the_key_and_nothing_else(credentials: CredentialRepository, settings: Settings) -> None:
    credentials.put(account(), {"key": PLANTED}, ALICE)
    credentials.rotate_keys(ALICE)
    assert {path.name for path in Path(settings.home).iterdir()} == {"master.key", "master.key.lock"}
