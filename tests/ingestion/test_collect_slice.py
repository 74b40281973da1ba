"""What one attempt at a slice leaves behind: numbers that are never used twice, and how far it reached if nothing was new."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from orchestrated import Files, Platform, Scripted

from optiinfra_assets.database.errors import IntegrityError
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import NothingThere
from optiinfra_assets.domain.source_warnings import SourceWarning
from optiinfra_assets.ingestion.collect_slice import collect_slice
from optiinfra_assets.ingestion.slice_attempt import CollectionOutcome, ControlTotalMismatch, SliceResult
from optiinfra_assets.providers.base import RequestedDays
from optiinfra_assets.warehouse.warehouse import derived_tables

OCTOBER = BillingPeriod(2026, 10)


def collect(platform: Platform, account_id: str, *, accept_empty: bool = False) -> SliceResult:
    account = platform.metadata.accounts.get(account_id)
    return collect_slice(
        platform.providers[account.provider],
        account,
        OCTOBER,
        warehouse=platform.warehouse,
        metadata=platform.metadata,
        run_id="run",
        accept_empty=accept_empty,
        log=logging.getLogger(__name__),
    )


def sums(platform: Platform, account_id: str) -> set[Decimal]:
    """What raw and derived tables say of the published generation of an account: one number if all is well."""
    (generation,) = platform.warehouse.resolve("acme", accounts=[account_id]).generations
    return {
        platform.warehouse.client.query(
            f"SELECT sum(billed_cost) FROM {table} WHERE customer_id = 'acme' AND generation = {generation}"
        ).first_row[0]
        for table in ("raw_costs", "cost_by_day", "cost_by_resource")
    }


def begin_numbers_anew(platform: Platform) -> None:
    """As in a PostgreSQL that was restored from before, or made anew, beside a ClickHouse that was not."""
    with psycopg.connect(str(platform.settings.postgres_url), autocommit=True) as connection:
        connection.execute("ALTER TABLE optiinfra.generations ALTER COLUMN generation RESTART WITH 1")
        connection.execute("DELETE FROM optiinfra.generations")


def test_a_postgres_older_than_its_clickhouse_neither_doubles_nor_erases(platform: Platform, tmp_path: Path) -> None:
    first, second = Files(tmp_path / "first"), Files(tmp_path / "second")
    first.write("a", "2026-10", ["1.00", "2.00"])
    second.write("b", "2026-10", ["7.00"])
    platform.add_account("acme.first", location=str(first.path))
    platform.add_account("acme.second", location=str(second.path))
    collect(platform, "acme.first")
    begin_numbers_anew(platform)
    assert collect(platform, "acme.first").outcome is CollectionOutcome.UNCHANGED
    begin_numbers_anew(platform)
    assert collect(platform, "acme.second").outcome is CollectionOutcome.PUBLISHED
    first.write("a", "2026-10", ["1.00", "2.50"])
    assert collect(platform, "acme.first").outcome is CollectionOutcome.PUBLISHED
    assert sums(platform, "acme.first") == {Decimal("3.5")}
    assert sums(platform, "acme.second") == {Decimal(7)}


@pytest.mark.parametrize(
    ("through", "is_final", "complete"),
    [
        (datetime(2026, 11, 1, tzinfo=UTC), False, True),
        (datetime(2026, 10, 20, tzinfo=UTC), True, True),
        (datetime(2026, 10, 31, tzinfo=UTC), False, False),
    ],
)
def test_equal_content_that_reaches_further_publishes_nothing_and_reaches_further(
    scripted_platform: Platform,
    scripted: Scripted,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    through: datetime,
    is_final: bool,
    complete: bool,
) -> None:
    files.write("a", "2026-10", ["1.00"])
    reached: list[tuple[datetime, bool]] = [(datetime(2026, 10, 20, tzinfo=UTC), False), (through, is_final)]
    original = scripted.collect

    def reaching(*asked: Any) -> Any:
        collection = original(*asked)
        collection.batches = stating(collection, collection.batches, *reached.pop(0))
        return collection

    def stating(collection: Any, batches: Iterator[Any], through: datetime, is_final: bool) -> Iterator[Any]:
        yield from batches
        collection.data_through, collection.is_final = through, is_final

    monkeypatch.setattr(scripted, "collect", reaching)
    assert collect(scripted_platform, "acme.files").outcome is CollectionOutcome.PUBLISHED
    assert collect(scripted_platform, "acme.files").outcome is CollectionOutcome.UNCHANGED
    resolved = scripted_platform.warehouse.resolve(
        "acme",
        start=date(2026, 10, 1),
        end=date(2026, 11, 1),
        standing=scripted_platform.metadata.slices.freshness("acme"),
    )
    assert len(resolved.publications) == 1
    assert resolved.data_through == (datetime(2026, 11, 1, tzinfo=UTC) if is_final else through)
    assert resolved.is_complete is complete


def test_warnings_are_published_with_the_generation_and_told_by_a_collection_that_publishes_nothing(
    scripted_platform: Platform, scripted: Scripted, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write("a", "2026-10", ["1.00"])
    original = scripted.collect
    said = SourceWarning("labels-missing", "labels could not be read", 2, "GET /v1/labels: 403")

    def lacking(*asked: Any) -> Any:
        collection = original(*asked)
        collection.batches = warning(collection, collection.batches)
        return collection

    def warning(collection: Any, batches: Iterator[Any]) -> Iterator[Any]:
        yield from batches
        collection.warnings.add(said.code, said.message, said.count, said.example)

    monkeypatch.setattr(scripted, "collect", lacking)
    published = collect(scripted_platform, "acme.files").published
    assert published is not None
    assert published.warnings == (said,)
    stored = scripted_platform.warehouse.current(published.slice)
    assert stored is not None
    assert stored.warnings == (said,)
    unchanged = collect(scripted_platform, "acme.files")
    assert unchanged.outcome is CollectionOutcome.UNCHANGED
    assert tuple(unchanged.collection.warnings) == (said,)


def change_streams(scripted: Scripted, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    """Set fields of every stream from now on."""
    original = scripted.collect

    def changed(*asked: Any) -> Any:
        collection = original(*asked)
        for name, value in fields.items():
            setattr(collection, name, value)
        return collection

    monkeypatch.setattr(scripted, "collect", changed)


def test_an_answer_with_nothing_where_something_is_published_changes_nothing_until_confirmed(
    scripted_platform: Platform, scripted: Scripted, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write("a", "2026-10", ["1.00", "2.00"])
    collect(scripted_platform, "acme.files")
    change_streams(scripted, monkeypatch, batches=iter(()), is_final=True)
    with pytest.raises(NothingThere, match=r"without any line item, and 2 are published: .*--accept-empty"):
        collect(scripted_platform, "acme.files")
    assert scripted_platform.total("2026-10", "scripted") == 3
    assert collect(scripted_platform, "acme.files", accept_empty=True).outcome is CollectionOutcome.PUBLISHED
    assert scripted_platform.total("2026-10", "scripted") == 0
    assert collect(scripted_platform, "acme.files").outcome is CollectionOutcome.UNCHANGED, "nothing is lost any more"


@pytest.mark.parametrize(
    ("charges", "asked", "is_refused"),
    [
        (5, (1, 31), True),
        (9, (1, 31), True),
        (10, (1, 31), False),
        (12, (1, 31), False),
        (5, (1, 5), False),
        (5, None, False),
    ],
)
def test_an_answer_of_fewer_days_than_are_published_changes_nothing_until_confirmed(
    scripted_platform: Platform,
    scripted: Scripted,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    charges: int,
    asked: tuple[int, int] | None,
    is_refused: bool,
) -> None:
    """One charge a day from the 1st on; ten are published."""
    files.write("a", "2026-10", ["1.00"] * 10)
    collect(scripted_platform, "acme.files")
    files.write("a", "2026-10", ["1.00"] * charges)
    days = asked and RequestedDays(date(2026, 10, asked[0]), date(2026, 10, asked[1]))
    change_streams(scripted, monkeypatch, days=days)
    if is_refused:
        with pytest.raises(NothingThere, match=rf"charges from 2026-10-01 to 2026-10-{charges:02d}, and those of"):
            collect(scripted_platform, "acme.files")
        assert scripted_platform.total("2026-10", "scripted") == 10
    collect(scripted_platform, "acme.files", accept_empty=True)
    assert scripted_platform.total("2026-10", "scripted") == charges


def hashed_by_an_earlier_version(platform: Platform, account_id: str) -> None:
    """Put the hash into the publication that ClickHouse computed of stored rows, up to version 0.1.0."""
    slice_ = platform.slice("2026-10", account_id)
    (generation,) = platform.warehouse.resolve("acme", accounts=[account_id]).generations
    of_then = platform.warehouse.earlier_content_hash(slice_, generation)
    statement = f"ALTER TABLE publications UPDATE content_hash = '{of_then}' WHERE generation = {generation}"
    platform.warehouse.client.command(statement, settings={"mutations_sync": 2})


@pytest.mark.parametrize("is_of_an_earlier_version", [False, True])
def test_only_what_is_new_is_published(platform: Platform, files: Files, is_of_an_earlier_version: bool) -> None:
    files.write("october", "2026-10", ["1", "2"])
    platform.add_account("acme.files", location=str(files.path))
    first = collect(platform, "acme.files").published
    assert first is not None
    if is_of_an_earlier_version:
        hashed_by_an_earlier_version(platform, "acme.files")
    again = collect(platform, "acme.files")
    assert (again.outcome, again.published and again.published.generation) == ("unchanged", first.generation)
    rows = platform.warehouse.client.query("SELECT count(), uniq(generation) FROM raw_costs").first_row
    assert rows == ((4, 2) if is_of_an_earlier_version else (2, 1))
    unchanged = {"unchanged": 1} if is_of_an_earlier_version else {}
    assert platform.metadata.platform_figures.read().generations == {"published": 1, **unchanged}
    files.write("october", "2026-10", ["1", "3"])
    changed = collect(platform, "acme.files").published
    assert changed is not None
    assert changed.generation > first.generation
    assert sums(platform, "acme.files") == {Decimal(4)}
    assert collect(platform, "acme.files").outcome is CollectionOutcome.UNCHANGED
    assert platform.metadata.slices.live_generations() == frozenset()


def test_a_new_slice_takes_five_statements(platform: Platform, files: Files) -> None:
    """In a run of its own; of those of a run, one is asked once."""

    def statements() -> int:
        counted = "SELECT value FROM system.events WHERE event = 'Query'"
        return int(platform.warehouse.client.query(counted).first_row[0])

    platform.add_account("acme.files", location=str(files.path))
    for amounts in (["1", "2"], ["1", "3"]):
        files.write("october", "2026-10", amounts)
        before = statements()
        assert collect(platform, "acme.files").outcome is CollectionOutcome.PUBLISHED
        assert statements() - before - 1 <= 5
    assert sums(platform, "acme.files") == {Decimal(4)}


def test_a_table_that_is_not_filled_keeps_a_slice_from_readers(platform: Platform, files: Files) -> None:
    files.write("october", "2026-10", ["1", "2"])
    platform.add_account("acme.files", location=str(files.path))
    platform.warehouse.client.command("DROP VIEW collected_to_cost_by_day")
    with pytest.raises(IntegrityError, match="cost_by_day has billed_cost 0 USD, expected 3"):
        collect(platform, "acme.files")
    assert platform.warehouse.resolve("acme").generations == ()
    platform.warehouse.migrate()
    collect(platform, "acme.files")
    assert sums(platform, "acme.files") == {Decimal(3)}


def test_what_failed_attempts_leave_has_a_bound_though_nothing_else_is_published(
    scripted_platform: Platform, scripted: Scripted, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Garbage collection removes nothing that is newer than what was published an hour ago."""

    def left() -> list[int]:
        tables = ("raw_costs", *derived_tables())
        return [scripted_platform.warehouse.client.command(f"SELECT count() FROM {table}") for table in tables]

    monkeypatch.setattr("optiinfra_assets.ingestion.collect_slice.MOST_LEFT", 5, raising=False)
    files.write("october", "2026-10", ["1", "2", "3"])
    scripted.control_totals = {"USD": Decimal(7)}
    for _ in range(8):
        with pytest.raises(ControlTotalMismatch):
            collect(scripted_platform, "acme.files")
        assert left()[0] <= 5 + 3
    scripted.control_totals = None
    assert collect(scripted_platform, "acme.files").outcome is CollectionOutcome.PUBLISHED
    published = left()
    scripted.control_totals = {"USD": Decimal(7)}
    monkeypatch.setattr("optiinfra_assets.warehouse.loading.HELD_BYTES", 0)
    for _ in range(4):
        with pytest.raises(ControlTotalMismatch):
            collect(scripted_platform, "acme.files")
        assert left()[0] <= published[0] + 5 + 3
    assert left()[1:] == published[1:]
    assert sums(scripted_platform, "acme.files") == {Decimal(6)}


def test_the_rows_of_another_slice_that_has_the_number_of_an_attempt_stay(platform: Platform, tmp_path: Path) -> None:
    first, second = Files(tmp_path / "first"), Files(tmp_path / "second")
    first.write("a", "2026-10", ["1.00", "2.00"])
    second.write("b", "2026-10", ["7.00"])
    for name, files in (("acme.first", first), ("acme.second", second)):
        platform.add_account(name, location=str(files.path))
    published = collect(platform, "acme.first").published
    assert published is not None
    for name in ("acme.first", "acme.second"):
        platform.warehouse.remove_attempts(platform.slice("2026-10", name), [published.generation], 0)
    assert sums(platform, "acme.first") == {Decimal(3)}
