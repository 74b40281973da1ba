"""What was seen and collected of slices, generation numbers, and the lock on a slice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from loopback import HANG, eventually

from optiinfra_assets.database.errors import SliceBusy
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.failures import Fault
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.slices import GONE, SliceLock
from optiinfra_assets.settings import Settings

ACCOUNT = Account("acme.main", "acme", "focus")
OCTOBER, NOVEMBER = BillingPeriod(2026, 10), BillingPeriod(2026, 11)
SLICE = Slice.of(ACCOUNT, OCTOBER)
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def account(metadata: Metadata) -> Metadata:
    """The metadata with one account in it."""
    metadata.customers.add("acme")
    metadata.accounts.add(ACCOUNT)
    return metadata


def due(metadata: Metadata) -> dict[BillingPeriod, str | None]:
    return {one.slice.billing_period: one.seen_token for one in metadata.slices.states(due=True)}


def test_what_a_probe_sees_is_due_until_it_is_collected(account: Metadata) -> None:
    assert account.slices.record_probe("acme.main", {OCTOBER: "a", NOVEMBER: "b"}, AT) == 2
    assert due(account) == {OCTOBER: "a", NOVEMBER: "b"}
    account.slices.record_collection(SLICE, "a", AT, generation=7, published_at=AT)
    assert due(account) == {NOVEMBER: "b"}
    assert account.slices.record_probe("acme.main", {OCTOBER: "a", NOVEMBER: "c"}, AT) == 1
    assert due(account) == {NOVEMBER: "c"}
    (state, _) = account.slices.states()
    assert (state.slice, state.seen_token, state.collected_token) == (SLICE, "a", "a")
    assert (state.generation, state.published_at, state.checked_at, state.is_due) == (7, AT, AT, False)


def test_a_collection_answers_to_what_it_read_not_to_what_is_seen_later(account: Metadata) -> None:
    account.slices.record_probe("acme.main", {OCTOBER: "a"}, AT)
    account.slices.record_probe("acme.main", {OCTOBER: "b"}, AT)
    account.slices.record_collection(SLICE, "a", AT, generation=7, published_at=AT)
    assert due(account) == {OCTOBER: "b"}


def test_a_period_the_source_no_longer_has_is_due_as_gone(account: Metadata) -> None:
    account.slices.record_probe("acme.main", {OCTOBER: "a", NOVEMBER: "b"}, AT)
    account.slices.record_collection(SLICE, "a", AT)
    assert account.slices.record_probe("acme.main", {NOVEMBER: "b"}, AT) == 1
    assert due(account) == {OCTOBER: GONE, NOVEMBER: "b"}
    account.slices.record_collection(SLICE, GONE, AT)
    assert account.slices.record_probe("acme.main", {NOVEMBER: "b"}, AT) == 0
    assert due(account) == {NOVEMBER: "b"}
    assert account.slices.record_probe("acme.main", {OCTOBER: "a", NOVEMBER: "b"}, AT) == 1
    assert due(account) == {OCTOBER: "a", NOVEMBER: "b"}


def test_a_collection_that_found_nothing_new_moves_only_the_check(account: Metadata) -> None:
    account.slices.record_collection(SLICE, "a", AT, generation=7, published_at=AT)
    account.slices.record_collection(SLICE, "b", AT + timedelta(hours=1))
    (state,) = account.slices.states()
    assert (state.collected_token, state.checked_at) == ("b", AT + timedelta(hours=1))
    assert (state.generation, state.published_at) == (7, AT)
    assert not state.is_due


def test_the_account_remembers_how_its_probes_went(account: Metadata) -> None:
    account.slices.record_probe("acme.main", {OCTOBER: "a"}, AT)
    account.slices.record_probe("acme.main", {OCTOBER: "a"}, AT + timedelta(minutes=15))
    account.work_queue.record_probe_errors({"acme.main": ("no answer", Fault.NETWORK)}, AT)
    (state,) = account.accounts.states()
    assert (state.last_probe_at, state.last_change_at) == (AT + timedelta(minutes=15), AT)
    assert state.last_error == "no answer"
    account.slices.record_probe("acme.main", {}, AT + timedelta(minutes=45))
    assert account.accounts.states()[0].last_error is None


def test_slices_of_disabled_accounts_are_not_due(account: Metadata) -> None:
    account.slices.record_probe("acme.main", {OCTOBER: "a"}, AT)
    assert account.slices.states(customer_id="acme", provider="focus", account_id="acme.main", due=True)
    assert account.slices.states(customer_id="zenith") == []
    account.accounts.disable("acme.main")
    assert account.slices.states() == []
    assert due(account) == {}


def test_generation_numbers_only_grow(account: Metadata) -> None:
    numbers = [account.slices.start_generation(SLICE, "run") for _ in range(3)]
    assert numbers == sorted(set(numbers))
    assert account.slices.live_generations() == set(numbers)
    account.slices.finish_generation(numbers[0], "published")
    account.slices.finish_generation(numbers[1], "discarded")
    assert account.slices.live_generations() == {numbers[2]}
    assert account.slices.live_generations(timedelta(0)) == frozenset()


@contextmanager
def locked(metadata: Metadata, slice_: Slice) -> Iterator[SliceLock]:
    """Hold the lock on one slice."""
    with metadata.slices.locks() as locks:
        yield locks.acquire(slice_)


HOLDER = """
import sys
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings

metadata = Metadata.connect(Settings(postgres_url=sys.argv[1]))
with metadata.slices.locks() as locks:
    locks.acquire(Slice("acme", "focus", "acme.main", BillingPeriod(2026, 10)))
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock on `SLICE`."""
    command = [sys.executable, "-c", HOLDER, str(settings.postgres_url)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_one_process_at_a_time_and_kill_9_frees_the_lock(account: Metadata, settings: Settings) -> None:
    with holding(settings) as holder:
        with (
            pytest.raises(SliceBusy, match=r"focus/acme\.main/2026-10: another run is collecting it"),
            locked(account, SLICE),
        ):
            pytest.fail("the lock was given twice")
        with locked(account, Slice.of(ACCOUNT, NOVEMBER)):
            pass
        holder.kill()
        holder.wait(HANG)
        assert eventually(lambda: _is_free(account)), "the server notices a broken connection within moments"


def _is_free(metadata: Metadata) -> bool:
    try:
        with locked(metadata, SLICE) as lock:
            lock.check()
    except SliceBusy:
        return False
    return True


def test_the_lock_is_free_after_an_error_within(account: Metadata) -> None:
    with pytest.raises(ZeroDivisionError), locked(account, SLICE):
        raise ZeroDivisionError
    with locked(account, SLICE) as lock:
        lock.check()
        with pytest.raises(SliceBusy), locked(account, SLICE):
            pytest.fail("the lock was given twice")


def test_the_lock_is_given_back_before_its_connection_closes(
    account: Metadata, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a closed connection held is free only when its server process has ended: under load the next collection was refused."""
    held = []
    close = psycopg.Connection.close
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as watcher:

        def watched(self: psycopg.Connection) -> None:
            if self is not watcher:
                locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = %s"
                held.append(watcher.execute(locks, (self.info.backend_pid,)).fetchone())
            close(self)

        monkeypatch.setattr(psycopg.Connection, "close", watched)
        with locked(account, SLICE) as lock:
            lock.check()
        with pytest.raises(ZeroDivisionError), locked(account, SLICE):
            raise ZeroDivisionError
        monkeypatch.undo()
    assert held == [(0,), (0,)]


def test_a_lock_lost_with_its_connection_is_noticed_before_publishing(account: Metadata, settings: Settings) -> None:
    with locked(account, SLICE) as lock:
        with psycopg.connect(str(settings.postgres_url), autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        with pytest.raises(SliceBusy, match="the lock was lost"):
            lock.check()
