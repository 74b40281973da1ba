"""Kept answers of providers, on the real PostgreSQL: the same as the ones in memory, but for everyone and for good."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.readings import SnapshotRepository
from optiinfra_assets.providers.context import MemorySnapshots, Snapshot, Snapshots
from optiinfra_assets.settings import Settings

NOVEMBER = BillingPeriod(2026, 11)
NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


@pytest.fixture
def snapshots(metadata: Metadata) -> Snapshots:
    return of(metadata, "acme.main")


def of(metadata: Metadata, account_id: str) -> Snapshots:
    customer_id = account_id.partition(".")[0]
    metadata.customers.add(customer_id)
    metadata.accounts.add(Account(account_id, customer_id, "vultr"))
    return SnapshotRepository(metadata, account_id, Snapshot)


def pending(hours: int, body: bytes, kind: str = "pending", period: BillingPeriod = NOVEMBER) -> Snapshot:
    return Snapshot(kind, period, NOON + timedelta(hours=hours), body)


def test_what_was_added_comes_back_oldest_first(snapshots: Snapshots) -> None:
    added = [
        pending(0, b"{}"),
        pending(1, bytes(range(256))),
        pending(2, b""),
        pending(3, b"{}"),
        pending(9, b"x" * 300_000),
    ]
    assert snapshots.newest("pending", NOVEMBER) is None
    assert [snapshots.add(one) for one in added] == [True] * 5
    assert list(snapshots.read("pending", NOVEMBER)) == added
    assert snapshots.newest("pending", NOVEMBER) == added[-1]


def test_those_of_chosen_instants_are_read_alone(snapshots: Snapshots) -> None:
    added = [pending(hours, bytes([hours])) for hours in range(5)]
    for one in added:
        snapshots.add(one)
    taken = snapshots.taken("pending", NOVEMBER)
    assert list(taken) == [one.taken_at for one in added]
    chosen = {taken[3], taken[1], NOON + timedelta(minutes=1)}
    assert list(snapshots.read("pending", NOVEMBER, chosen)) == [added[1], added[3]]
    assert list(snapshots.read("pending", NOVEMBER, [])) == []


def test_an_equal_answer_is_not_kept_again(snapshots: Snapshots) -> None:
    assert snapshots.add(pending(0, b"1")) is True
    assert snapshots.add(pending(1, b"1")) is False
    assert snapshots.add(pending(2, b"2")) is True
    assert snapshots.add(pending(3, b"1")) is True
    assert [one.taken_at for one in snapshots.read("pending", NOVEMBER)] == [
        NOON + timedelta(hours=hours) for hours in (0, 2, 3)
    ]


def test_kinds_periods_and_accounts_are_apart(metadata: Metadata) -> None:
    one, two = of(metadata, "acme.main"), of(metadata, "acme.other")
    for snapshots in (one, two):
        assert snapshots.add(pending(0, b"same"))
        assert snapshots.add(pending(0, b"same", kind="invoices"))
        assert snapshots.add(pending(0, b"same", period=NOVEMBER.shift(-1)))
    two.add(pending(1, b"more"))
    assert [len(snapshots.read("pending", NOVEMBER)) for snapshots in (one, two)] == [1, 2]


def test_an_answer_not_after_the_newest_is_not_kept(snapshots: Snapshots) -> None:
    assert snapshots.add(pending(1, b"1")) is True
    for hours in (0, 1):
        assert snapshots.add(pending(hours, b"0")) is False
    assert [one.body for one in snapshots.read("pending", NOVEMBER)] == [b"1"]


def test_instants_are_utc_whatever_zone_they_came_in(snapshots: Snapshots) -> None:
    there = NOON.astimezone(timezone(timedelta(hours=-5)))
    snapshots.add(Snapshot("pending", NOVEMBER, there, b""))
    (kept,) = snapshots.read("pending", NOVEMBER)
    assert (kept.taken_at, kept.taken_at.utcoffset()) == (NOON, timedelta(0))
    with pytest.raises(ValueError, match="without a zone: use UTC"):
        snapshots.add(Snapshot("pending", NOVEMBER, datetime(2026, 11, 3, 12), b""))  # noqa: DTZ001 - the point


def test_an_unknown_account_is_named(metadata: Metadata) -> None:
    with pytest.raises(RecordNotFound, match=r"'acme\.nobody' does not exist"):
        SnapshotRepository(metadata, "acme.nobody", Snapshot).add(pending(0, b""))


def test_of_many_equal_answers_at_one_moment_one_is_kept(snapshots: Snapshots) -> None:
    with ThreadPoolExecutor(8) as pool:
        for round_ in range(20):
            body = str(round_).encode()
            added = [pool.submit(snapshots.add, pending(round_, body)) for _ in range(8)]
            assert [one.result() for one in added].count(True) == 1
    kept = snapshots.read("pending", NOVEMBER)
    assert [one.body for one in kept] == [str(round_).encode() for round_ in range(20)]
    assert all(one.taken_at < two.taken_at for one, two in pairwise(kept))


def test_the_stored_hash_is_the_bodys(snapshots: Snapshots, settings: Settings) -> None:
    snapshots.add(pending(0, b"body"))
    assert settings.postgres_url
    with psycopg.connect(settings.postgres_url) as connection:
        row = connection.execute("SELECT sha256 FROM optiinfra.provider_snapshots").fetchone()
    assert row == (hashlib.sha256(b"body").digest(),)


@trying(max_examples=25)
@given(added=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([b"", b"a", b"b", b"\0\xff"])), max_size=8))
def test_they_behave_as_the_ones_in_memory(metadata: Metadata, added: list[tuple[int, bytes]]) -> None:
    """Any order of instants and bodies: the same answers, the same content."""
    stored, memory = of(metadata, f"acme.a{next(_numbers)}"), MemorySnapshots()
    for hours, body in added:
        assert stored.add(pending(hours, body)) == memory.add(pending(hours, body))
    assert list(stored.read("pending", NOVEMBER)) == list(memory.read("pending", NOVEMBER))
    assert list(stored.taken("pending", NOVEMBER)) == list(memory.taken("pending", NOVEMBER))
    assert stored.newest("pending", NOVEMBER) == memory.newest("pending", NOVEMBER)


_numbers = iter(range(10**6))
