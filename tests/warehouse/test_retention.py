"""Retention: what is kept, what goes and when, and that no reader notices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from warehouse_samples import NOW, OCTOBER, SLICE, Line, publish, write

from optiinfra_assets import cli
from optiinfra_assets.database import sql_files
from optiinfra_assets.database.errors import AsOfNotRetained
from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.domain.publications import key
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.lineage import published_since, restatements, slice_history
from optiinfra_assets.warehouse.retention import GRACE, GarbageCollectionResult
from optiinfra_assets.warehouse.warehouse import Warehouse, derived_tables

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""An example takes seconds: shrinking one takes longer than reading it."""
SLICES = (
    SLICE,
    Slice("acme", "focus", "acme.main", OCTOBER.shift(1)),
    Slice("zenith", "aws", "zenith.main", OCTOBER),
)
NOTHING = GarbageCollectionResult(expired=0, removed=0, orphans=0, rows=0)


@dataclass(frozen=True)
class Version:
    """A published generation and the instants at which readers saw it; superseded None: they still do."""

    slice: Slice
    generation: int
    published: datetime
    superseded: datetime | None


def is_kept(version: Version, now: datetime, retention_days: int, daily_days: int | None = None) -> bool:
    """The rule of the design, said day by day: further back than `daily_days`, only Sundays and last days of months count."""
    superseded = version.superseded
    if superseded is None or superseded > now - GRACE:
        return True
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    daily = retention_days if daily_days is None else daily_days
    day_ends = [
        end
        for back in range(retention_days + 1)
        if (end := today + DAY - TICK - back * DAY)
        and (back <= daily or end.isoweekday() == 7 or (end + TICK).day == 1)
    ]
    return any(version.published <= end < superseded for end in day_ends)


def write_history(warehouse: Warehouse, steps: list[tuple[int, timedelta]]) -> list[Version]:
    """One publication after another of the slices with these indexes, each so long before `NOW`; generation n costs n."""
    newest: dict[Slice, Version] = {}
    versions: list[Version] = []
    for generation, (index, ago) in enumerate(steps, start=1):
        version = Version(SLICES[index], generation, NOW - ago + generation * TICK, None)
        if (previous := newest.get(version.slice)) is not None:
            versions[previous.generation - 1] = replace(previous, superseded=version.published)
        newest[version.slice] = version
        versions.append(version)
    rows = [Line(Decimal(one.generation)).values(one.slice, one.generation, 0) for one in versions]
    insert(warehouse, "raw_costs", rows)
    dates = {"first_charge_date": date(2026, 10, 1), "last_charge_date": date(2026, 10, 1), "sources": "[]"}
    published = [
        {**key(one.slice), "generation": one.generation, "published_at": one.published, **dates} for one in versions
    ]
    insert(warehouse, "publications", published)
    return versions


def insert(warehouse: Warehouse, table: str, rows: list[dict[str, Any]]) -> None:
    warehouse.client.insert(table, [list(row.values()) for row in rows], column_names=list(rows[0]))


def generations_in(warehouse: Warehouse, table: str = "raw_costs") -> set[int]:
    return {row[0] for row in warehouse.client.query(f"SELECT DISTINCT generation FROM {table}").result_rows}


def read(warehouse: Warehouse, customer: str, as_of: datetime | None) -> set[int] | None:
    """Generations that answer, None if the answer is refused."""
    try:
        return set(warehouse.resolve(customer, as_of=as_of).generations)
    except AsOfNotRetained:
        return None


def truncate(warehouse: Warehouse) -> None:
    for table in ("publications", "archived_publications", "removed_generations", "raw_costs"):
        warehouse.client.command(f"TRUNCATE TABLE {table}")


histories = st.lists(
    st.tuples(
        st.integers(0, len(SLICES) - 1),
        st.builds(
            timedelta,
            days=st.integers(0, 6),
            minutes=st.sampled_from([0, 20, 59, 60, 61, 300, 720, 721, 1439]),
        ),
    ),
    min_size=1,
    max_size=12,
).map(lambda steps: sorted(steps, key=lambda step: -step[1]))


@settings(max_examples=8)
@given(steps=histories, retention_days=st.integers(0, 5), live=st.booleans())
def test_exactly_the_rule_goes_and_no_reader_notices(
    warehouse: Warehouse, steps: list[tuple[int, timedelta]], retention_days: int, live: bool
) -> None:
    truncate(warehouse)
    versions = write_history(warehouse, steps)
    write(warehouse, 500, [Line()])
    instants = [
        None,
        *(at for one in versions for at in (one.published, one.published + HOUR)),
        NOW - 3 * DAY,
    ]
    before = {(customer, at): read(warehouse, customer, at) for customer in ("acme", "zenith") for at in instants}
    gone = {one.generation for one in versions if not is_kept(one, NOW, retention_days)}
    spared = {500} if live else set()

    first = warehouse.collect_garbage(NOW, retention_days, spared)
    assert first == GarbageCollectionResult(expired=len(gone), removed=0, orphans=0, rows=0)
    assert generations_in(warehouse, "removed_generations") == gone
    assert generations_in(warehouse) == {one.generation for one in versions} | {500}
    assert warehouse.collect_garbage(NOW, retention_days, spared) == NOTHING

    second = warehouse.collect_garbage(NOW + GRACE, retention_days, spared)
    assert (second.removed, second.rows) == (len(gone), len(gone))
    assert generations_in(warehouse) == {one.generation for one in versions} - gone | {500}
    third = warehouse.collect_garbage(NOW + GRACE, retention_days, spared)
    assert third == NOTHING

    lost = generations_in(warehouse, "removed_generations")
    for (customer, at), needed in before.items():
        assert needed is not None
        assert read(warehouse, customer, at) == (None if needed & lost else needed), (customer, at)
    sums = dict(warehouse.client.query("SELECT generation, sum(billed_cost) FROM raw_costs GROUP BY 1").result_rows)
    assert sums == {one.generation: one.generation for one in versions if one.generation not in gone} | {500: 1}


long_histories = st.lists(
    st.tuples(
        st.integers(0, len(SLICES) - 1),
        st.builds(timedelta, days=st.integers(0, 50), minutes=st.sampled_from([0, 20, 59, 61, 300, 720, 721, 1439])),
    ),
    min_size=1,
    max_size=20,
).map(lambda steps: sorted(steps, key=lambda step: -step[1]))


@settings(max_examples=6, phases=NO_SHRINKING)
@given(
    steps=long_histories,
    days=st.tuples(st.integers(0, 45), st.none() | st.integers(1, 30)),
    hours=st.lists(st.sampled_from([0, 1, 2, 24, 24 * 6, 24 * 9]), min_size=1, max_size=6),
    instants=st.lists(st.builds(timedelta, minutes=st.integers(0, 55 * 1440)), min_size=6, max_size=6),
)
def test_as_of_over_any_history_and_runs_is_the_models(
    warehouse: Warehouse,
    steps: list[tuple[int, timedelta]],
    days: tuple[int, int | None],
    hours: list[int],
    instants: list[timedelta],
) -> None:
    """`asOf` answers the generations of the instant, or is refused if one of them is gone, however far their publications are archived;
    and lineage, restatements and what was published since an instant answer the same before and after."""
    truncate(warehouse)
    versions = write_history(warehouse, steps)
    told = lineage_of(warehouse)
    now, gone, settled = NOW, set[int](), set[int]()
    for pause in hours:
        now += pause * HOUR
        if pause:
            settled = set(gone)
        gone |= {one.generation for one in versions if not is_kept(one, now, *days)}
        warehouse.collect_garbage(now, days[0], (), daily_days=days[1])
        assert generations_in(warehouse) == {one.generation for one in versions} - settled
        ends = [NOW.replace(hour=0) - back * DAY - TICK for back in (0, 3, 8, 15, 22, 29, 40)]
        for at in [*(NOW - ago for ago in instants), *ends, *(one.published for one in versions)]:
            for customer in ("acme", "zenith"):
                needed = {
                    one.generation
                    for one in versions
                    if one.slice.customer_id == customer
                    and one.published <= at
                    and (one.superseded is None or at < one.superseded)
                }
                assert read(warehouse, customer, at) == (None if needed & gone else needed), (customer, at)
        assert lineage_of(warehouse) == told
        assert {
            one.publication.generation
            for slice_ in SLICES
            for one in slice_history(warehouse, slice_, 1000)
            if not one.is_kept
        } == gone
    left, archived = generations_in(warehouse, "publications"), generations_in(warehouse, "archived_publications")
    assert left | archived == {one.generation for one in versions}
    assert archived <= gone


def lineage_of(warehouse: Warehouse) -> Any:
    """What is told of all publications, apart from whether their rows are kept."""
    histories = [
        [(one.publication, one.superseded_at) for one in slice_history(warehouse, slice_, 1000)] for slice_ in SLICES
    ]
    restated = [
        [
            (one.generation, one.previous_generation, one.published_at, one.previous_published_at)
            for one in restatements(warehouse, customer, NOW - 90 * DAY, NOW + DAY, first=1000)
        ]
        for customer in ("acme", "zenith")
    ]
    since = [published_since(warehouse, customer, NOW - 20 * DAY, first=1000) for customer in ("acme", "zenith")]
    counted = warehouse.client.query(sql_files.read("clickhouse", "queries", "published_by_provider.sql")).result_rows
    return histories, restated, since, sorted(counted)


def test_publications_of_what_is_gone_are_in_the_archive_only(warehouse: Warehouse) -> None:
    """However a run died between two steps: what it had left is done by the next, and nothing is told twice."""
    publish(warehouse, 1, [Line()], published_at=NOW - 2 * DAY)
    publish(warehouse, 2, [Line()], published_at=NOW - 2 * DAY + HOUR)
    told = lineage_of(warehouse)
    warehouse.collect_garbage(NOW, 95, ())
    assert generations_in(warehouse, "archived_publications") == set()
    warehouse.collect_garbage(NOW + HOUR, 95, ())
    assert generations_in(warehouse, "archived_publications") == {1}
    assert generations_in(warehouse, "publications") == {1, 2}
    assert lineage_of(warehouse) == told
    # Two runs at the same moment, of which neither saw the other's copy.
    warehouse.client.command("INSERT INTO archived_publications SELECT * FROM archived_publications")
    assert lineage_of(warehouse) == told
    assert warehouse.collect_garbage(NOW + 2 * HOUR, 95, (), dry_run=True).archived == 1
    assert generations_in(warehouse, "publications") == {1, 2}
    assert warehouse.collect_garbage(NOW + 2 * HOUR, 95, ()).archived == 1
    assert generations_in(warehouse, "publications") == {2}
    assert generations_in(warehouse, "removed_generations") == set()
    assert lineage_of(warehouse) == told
    assert read(warehouse, "acme", NOW - 2 * DAY) is None
    # A run that died before it had removed the record of a removal.
    warehouse.client.command(
        "INSERT INTO removed_generations SELECT customer_id, generation, published_at FROM archived_publications LIMIT 1"
    )
    assert warehouse.collect_garbage(NOW + 3 * HOUR, 95, ()) == NOTHING
    assert generations_in(warehouse, "removed_generations") == set()


def test_the_archive_has_the_columns_of_publications(warehouse: Warehouse) -> None:
    """Statements read both by `*`, so a migration that adds a column to one has to add it to the other, at the same place."""
    published, archived = (
        warehouse.client.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String} ORDER BY position",
            parameters={"table": table},
        ).result_rows
        for table in ("publications", "archived_publications")
    )
    assert list(archived[:-1]) == list(published)
    assert archived[-1][0] == "archived_at"


@settings(max_examples=8)
@given(steps=histories, retention_days=st.integers(1, 5))
def test_the_state_at_the_end_of_every_kept_day_can_be_read(
    warehouse: Warehouse, steps: list[tuple[int, timedelta]], retention_days: int
) -> None:
    truncate(warehouse)
    write_history(warehouse, steps)
    warehouse.collect_garbage(NOW, retention_days, ())
    midnight = NOW.replace(hour=0)
    for back in range(retention_days):
        assert read(warehouse, "acme", midnight - back * DAY - TICK) is not None


def test_orphans_go_once_something_begun_after_them_is_published_for_an_hour(warehouse: Warehouse) -> None:
    for generation in (2, 3, 4, 9):
        write(warehouse, generation, [Line()])
        warehouse.derive({generation: SLICE})
    publish(warehouse, 5, [Line()], published_at=NOW - 2 * HOUR)
    publish(warehouse, 12, [Line()], SLICES[1], published_at=NOW - HOUR / 2)
    found = warehouse.collect_garbage(NOW, 95, {3}, dry_run=True)
    assert (found.orphans, found.rows) == (2, 2 * (1 + len(derived_tables())))
    assert generations_in(warehouse) == {2, 3, 4, 5, 9, 12}
    assert warehouse.collect_garbage(NOW, 95, {3}) == found
    for table in ("raw_costs", *derived_tables()):
        assert generations_in(warehouse, table) == {3, 5, 9, 12}
    assert warehouse.collect_garbage(NOW, 95, {3}) == NOTHING
    assert warehouse.collect_garbage(NOW + HOUR, 95, ()).orphans == 2


def test_nothing_published_means_nothing_is_an_orphan(warehouse: Warehouse) -> None:
    write(warehouse, 2, [Line()])
    assert warehouse.collect_garbage(NOW, 95, ()) == NOTHING


def test_rows_go_from_every_table_and_month(warehouse: Warehouse) -> None:
    for generation, slice_ in enumerate((SLICES[0], SLICES[0], SLICES[1], SLICES[1]), start=1):
        publish(warehouse, generation, [Line()] * 3, slice_, published_at=NOW - DAY + generation * TICK)
    warehouse.collect_garbage(NOW, 95, ())
    assert warehouse.collect_garbage(NOW + GRACE, 95, ()).removed == 2
    for table in ("raw_costs", *derived_tables()):
        assert generations_in(warehouse, table) == {2, 4}


def test_a_run_that_died_half_way_is_completed_by_the_next(warehouse: Warehouse) -> None:
    publish(warehouse, 1, [Line()], published_at=NOW - 2 * DAY)
    publish(warehouse, 2, [Line()], published_at=NOW - 2 * DAY + HOUR)
    warehouse.collect_garbage(NOW, 95, ())
    remaining = ("raw_costs", "cost_trends")
    for table in set(derived_tables()) - set(remaining):
        warehouse.client.command(f"ALTER TABLE {table} DELETE WHERE generation = 1", settings={"mutations_sync": 2})
    assert warehouse.collect_garbage(NOW + GRACE, 95, ()) == GarbageCollectionResult(
        expired=0, removed=1, orphans=0, rows=2
    )
    assert all(generations_in(warehouse, table) == {2} for table in remaining)


def test_a_publication_repeated_by_the_network_expires_nothing(warehouse: Warehouse) -> None:
    publish(warehouse, 1, [Line()], published_at=NOW - 5 * DAY)
    warehouse.client.command("INSERT INTO publications SELECT * FROM publications")
    assert warehouse.collect_garbage(NOW, 0, ()) == NOTHING
    assert warehouse.resolve("acme").generations == (1,)


def test_a_dry_run_changes_nothing(warehouse: Warehouse) -> None:
    publish(warehouse, 1, [Line()], published_at=NOW - 2 * DAY)
    publish(warehouse, 2, [Line()], published_at=NOW - 2 * DAY + HOUR)
    assert warehouse.collect_garbage(NOW, 95, (), dry_run=True).expired == 1
    assert generations_in(warehouse, "removed_generations") == set()
    assert warehouse.resolve("acme", as_of=NOW - 2 * DAY).generations == (1,)


@pytest.mark.parametrize("count", [1200])
def test_many_generations_go_in_several_statements(warehouse: Warehouse, count: int) -> None:
    lines = [Line(columns={"generation": generation}) for generation in range(1, count + 1)]
    write(warehouse, 1, lines)
    publish(warehouse, count + 1, [Line()], published_at=NOW - DAY)
    assert warehouse.collect_garbage(NOW, 95, ()) == GarbageCollectionResult(
        expired=0, removed=0, orphans=count, rows=count
    )
    assert generations_in(warehouse) == {count + 1}


@pytest.mark.parametrize("days", [3650, 20_000, 36_500, 2**32 - 1])
def test_what_many_days_keep_fewer_would_not(warehouse: Warehouse, days: int) -> None:
    """Days that reach back to before 1970 are none that ClickHouse's Date can hold."""
    publish(warehouse, 1, [Line()], published_at=NOW - 3 * DAY)
    publish(warehouse, 2, [Line()], published_at=NOW - 2 * DAY)
    publish(warehouse, 3, [Line()], published_at=NOW - 2 * DAY + HOUR)
    assert warehouse.collect_garbage(NOW, days, (), dry_run=True).expired == 1
    assert warehouse.collect_garbage(NOW, 1, (), dry_run=True).expired == 2


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("-1", "Input should be greater than or equal to 1"),
        ("0", "Input should be greater than or equal to 1"),
        ("3651", "Input should be less than or equal to 3650"),
        ("soon", "Input should be a valid integer, unable to parse string as an integer"),
    ],
)
def test_days_out_of_range_are_refused_in_one_line(
    value: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.delenv("OPTIINFRA_DEBUG", raising=False)
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path))
    monkeypatch.setenv("OPTIINFRA_RETENTION_DAYS", value)
    monkeypatch.setattr("sys.argv", ["optiinfra", "gc", "--dry-run"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: OPTIINFRA_RETENTION_DAYS: {said}\n"


@pytest.mark.parametrize("value", [1, 3650])
def test_days_in_range_are_accepted(value: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path))
    monkeypatch.setenv("OPTIINFRA_RETENTION_DAYS", str(value))
    assert Settings().retention_days == value


def test_days_are_utc_days_whatever_zone_now_is_given_in(warehouse: Warehouse) -> None:
    publish(warehouse, 1, [Line()], published_at=datetime(2026, 11, 18, 23, 59, 59, tzinfo=UTC))
    publish(warehouse, 2, [Line()], published_at=datetime(2026, 11, 19, 0, 0, 0, tzinfo=UTC))
    zone = datetime.strptime("-1000", "%z").tzinfo
    assert warehouse.collect_garbage(NOW.astimezone(zone), 2, ()) == NOTHING
    assert warehouse.resolve("acme", end=date(2026, 11, 1)).generations == (2,)
