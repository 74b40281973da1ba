"""Retention of our own records: what is old goes, what adds up still adds up, and audit records stay for their term."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.errors import RestrictViolation

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.readings import SnapshotRepository
from optiinfra_assets.metadata.retention import ForgottenRecords
from optiinfra_assets.providers.context import Snapshot
from optiinfra_assets.providers.running_totals.readings import MeasuredAmounts, Reading, accrue

OCTOBER = BillingPeriod(2026, 10)
SLICE = Slice("acme", "focus", "acme.main", OCTOBER)
NOW = datetime.now(UTC)
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)


@pytest.fixture
def account(metadata: Metadata) -> Metadata:
    """The metadata with one account."""
    metadata.customers.add("acme")
    metadata.accounts.add(Account("acme.main", "acme", "focus"))
    return metadata


def forget(
    metadata: Metadata, history: datetime = LONG_AGO, snapshots: datetime = LONG_AGO, audit: datetime = LONG_AGO
) -> ForgottenRecords:
    return metadata.retention.forget(history=history, snapshots=snapshots, audit=audit)


def sql(metadata: Metadata, statement: str) -> None:
    """A statement as somebody with the database's own password could send it."""
    with psycopg.connect(metadata._url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_old_collections_go_and_the_counters_stay(account: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optiinfra_assets.metadata.retention.BATCH", 2)
    for number in range(7):
        row = account.collections.start(f"task-{number}", "schedule", SLICE, "run")
        account.slices.start_generation(SLICE, "run")
        if number < 6:
            account.collections.finish(row, "succeeded", requests=3, request_cost=Decimal("0.01"))
    before = account.platform_figures.read().collections
    sql(account, "UPDATE optiinfra.collection_history SET ended_at = ended_at - interval '9 days' WHERE id % 2 = 0")
    sql(account, "UPDATE optiinfra.generations SET started_at = started_at - interval '9 days' WHERE generation < 4")
    forgotten = forget(account, history=NOW - timedelta(days=5))
    assert (forgotten.collections, forgotten.generations) == (3, 3)
    assert len(account.collections.history()) == 4
    again = forget(account, history=NOW + timedelta(days=1))
    assert (again.collections, again.generations) == (3, 4)
    assert [row.status for row in account.collections.history()] == ["running"], "what is open stays"

    def counted(rows: Sequence[object]) -> list[str]:
        return sorted(map(str, rows))

    assert counted(account.platform_figures.read().collections) == counted(before)


def test_requests_by_day_are_added_up(account: Metadata) -> None:
    for back in range(5):
        account.activity.record_requests("probe", {"acme.main": (2, Decimal("0.01"))}, NOW - timedelta(days=back))
    (before,) = account.activity.find("acme")
    assert forget(account, history=NOW - timedelta(days=2)).request_days == 2
    assert forget(account, history=NOW - timedelta(days=1)).request_days == 1
    assert forget(account, history=NOW - timedelta(days=1)).request_days == 0
    assert account.activity.find("acme") == [before]


def test_audit_records_go_after_their_term_only(account: Metadata) -> None:
    logs = ("credential_audit_log", "access_audit_log")
    old = "now() - interval '2 years'"
    sql(
        account,
        "INSERT INTO optiinfra.access_audit_log (at, actor, origin, action, name) "
        f"VALUES ({old}, 'a', 'b', 'create_customer', 'c')",
    )
    sql(
        account,
        "INSERT INTO optiinfra.credential_audit_log (at, actor, origin, action, outcome) "
        f"VALUES ({old}, 'a', 'b', 'create', 'done')",
    )
    for log in logs:
        for statement in (f"DELETE FROM optiinfra.{log}", f"UPDATE optiinfra.{log} SET actor = 'x'"):
            with pytest.raises(RestrictViolation):
                sql(account, statement)
    assert forget(account, audit=NOW - timedelta(days=1000)).audit_records == 0
    assert forget(account, audit=NOW - timedelta(days=400)).audit_records == 2
    with pytest.raises(RestrictViolation, match="records of the last year stay"):
        forget(account, audit=NOW + timedelta(days=1))
    assert len(account.access_audit.find()) == 1
    with pytest.raises(RestrictViolation, match="append-only"):
        sql(account, "DELETE FROM optiinfra.access_audit_log")
    with pytest.raises(RestrictViolation):
        sql(account, "SELECT set_config('optiinfra.audit_term', 'x', false); TRUNCATE optiinfra.access_audit_log")


TIMES = st.lists(st.integers(0, 32 * 24 * 60), min_size=1, max_size=40, unique=True).map(sorted)


@settings(max_examples=20)
@given(minutes=TIMES, cut=st.integers(0, 40 * 24 * 60))
def test_without_the_snapshots_that_go_a_month_costs_the_same(account: Metadata, minutes: list[int], cut: int) -> None:
    """Also if it is thinned out in between, and read on."""
    kind = f"totals-{uuid.uuid4()}"
    snapshots = SnapshotRepository(account, "acme.main", Snapshot)

    def rows() -> list[object]:
        kept = snapshots.read(kind, OCTOBER)
        totals = [MeasuredAmounts(Decimal(json.loads(one.body))) for one in kept]
        readings = [Reading(one.taken_at, {("a",): total}) for one, total in zip(kept, totals, strict=True)]
        return list(accrue(OCTOBER, readings, []))

    every: list[Reading] = []
    for number, minute in enumerate(minutes):
        at = OCTOBER.start + timedelta(minutes=minute)
        snapshots.add(Snapshot(kind, OCTOBER, at, str(number * number).encode()))
        every.append(Reading(at, {("a",): MeasuredAmounts(Decimal(number * number))}))
        if minute > cut:
            forget(account, snapshots=OCTOBER.start + timedelta(minutes=cut))
            assert rows() == accrue(OCTOBER, every, [])
    forget(account, snapshots=OCTOBER.end + timedelta(days=40))
    assert rows() == accrue(OCTOBER, every, [])
    days = {one.taken_at.date() for one in snapshots.read(kind, OCTOBER)}
    assert len(snapshots.taken(kind, OCTOBER)) <= len(days) + 1
