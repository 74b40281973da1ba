"""What readers see: now, as of an instant, and while others publish."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from warehouse_samples import NOW, OCTOBER, SLICE, Line, publication, publish, show, write

from optiinfra_assets.database.errors import AsOfNotRetained
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

HOUR = timedelta(hours=1)


def slice_of(account: str, period: BillingPeriod = OCTOBER, provider: str = "focus", customer: str = "acme") -> Slice:
    return Slice(customer, provider, f"{customer}.{account}", period)


def total(warehouse: Warehouse, generations: Sequence[int], table: str = "raw_costs") -> Decimal:
    statement = f"SELECT sum(billed_cost) FROM {table} WHERE generation IN {{generations:Array(UInt64)}}"
    return Decimal(warehouse.client.query(statement, parameters={"generations": list(generations)}).result_rows[0][0])


def test_nothing_published_is_an_empty_answer(warehouse: Warehouse) -> None:
    write(warehouse, 5, [Line()])
    resolved = warehouse.resolve("acme")
    assert (resolved.generations, resolved.publications) == ((), ())
    assert (resolved.data_through, resolved.published_at, resolved.is_complete) == (None, None, False)


def test_the_newest_generation_of_each_slice_of_the_customer_alone(warehouse: Warehouse) -> None:
    publish(warehouse, 1, [Line()])
    publish(warehouse, 2, [Line()], slice_of("main", OCTOBER.shift(-1)))
    publish(warehouse, 3, [Line()], slice_of("other"), published_at=NOW + HOUR)
    publish(warehouse, 4, [Line()], slice_of("main", customer="zenith"))
    newest = publish(warehouse, 5, [Line()], published_at=NOW + 2 * HOUR)
    resolved = warehouse.resolve("acme")
    assert sorted(resolved.generations) == [2, 3, 5]
    assert resolved.published_at == newest.published_at
    assert warehouse.resolve("nobody").generations == ()


def test_filters_by_provider_and_account(warehouse: Warehouse) -> None:
    publish(warehouse, 1, [Line()], slice_of("one", provider="aws"))
    publish(warehouse, 2, [Line()], slice_of("two", provider="aws"))
    publish(warehouse, 3, [Line()], slice_of("three", provider="gcp"))
    assert set(warehouse.resolve("acme", providers=["aws"]).generations) == {1, 2}
    assert set(warehouse.resolve("acme", providers=["aws", "gcp"]).generations) == {1, 2, 3}
    assert set(warehouse.resolve("acme", accounts=["acme.two", "acme.three"]).generations) == {2, 3}
    assert set(warehouse.resolve("acme", accounts=["acme.two"], providers=["gcp"]).generations) == set()
    assert set(warehouse.resolve("acme", accounts=["it's \\ 'quoted'"]).generations) == set()


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (None, None, True),
        (date(2026, 10, 5), None, True),
        (date(2026, 10, 9), date(2026, 10, 10), True),
        (date(2026, 10, 10), None, False),
        (None, date(2026, 10, 5), False),
        (None, date(2026, 10, 6), True),
        (date(2026, 11, 1), date(2026, 12, 1), False),
    ],
)
def test_pruned_by_the_days_on_which_charges_start(
    warehouse: Warehouse, start: date | None, end: date | None, found: bool
) -> None:
    publish(warehouse, 1, [Line(day=5), Line(day=9)])
    resolved = warehouse.resolve("acme", start=start, end=end)
    assert resolved.generations == ((1,) if found else ())
    assert len(resolved.publications) == 1


def test_an_empty_generation_supersedes_and_has_nothing_to_read(warehouse: Warehouse) -> None:
    publish(warehouse, 1, [Line()])
    publish(warehouse, 2, [], published_at=NOW + HOUR)
    assert warehouse.resolve("acme").generations == ()
    assert warehouse.resolve("acme", as_of=NOW).generations == (1,)


def published_with(warehouse: Warehouse, *slices: tuple[int, str, BillingPeriod, datetime | None, bool]) -> None:
    sent = write(warehouse, 99, [Line()])
    for generation, account, period, through, final in slices:
        changes: dict[str, Any] = {"data_through": through, "is_final": final}
        show(warehouse, publication(generation, sent, slice_of(account, period), **changes))


def instant(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


def test_data_through_is_the_newest_of_each_account_and_the_earliest_of_all(warehouse: Warehouse) -> None:
    november = OCTOBER.shift(1)
    published_with(
        warehouse,
        (1, "one", OCTOBER, instant(10, 28), False),
        (2, "one", november, instant(11, 15), False),
        (3, "two", november, instant(11, 12), False),
    )
    assert warehouse.resolve("acme").data_through == instant(11, 12)
    assert warehouse.resolve("acme", accounts=["acme.one"]).data_through == instant(11, 15)
    assert warehouse.resolve("acme", end=date(2026, 10, 2)).data_through == instant(11, 12)
    assert warehouse.resolve("acme", end=date(2026, 11, 12)).is_complete
    assert not warehouse.resolve("acme", end=date(2026, 11, 13)).is_complete
    assert not warehouse.resolve("acme").is_complete


def test_a_final_slice_covers_its_billing_period_and_no_more(warehouse: Warehouse) -> None:
    published_with(warehouse, (1, "one", OCTOBER, instant(10, 20), True))
    resolved = warehouse.resolve("acme", end=date(2026, 11, 1))
    assert resolved.data_through == instant(11, 1)
    assert resolved.is_complete
    assert warehouse.resolve("acme").is_complete
    assert not warehouse.resolve("acme", end=date(2026, 11, 2)).is_complete


def test_an_account_nobody_knows_about_leaves_the_answer_open(warehouse: Warehouse) -> None:
    published_with(warehouse, (1, "one", OCTOBER, instant(10, 20), False), (2, "two", OCTOBER, None, False))
    resolved = warehouse.resolve("acme", end=date(2026, 10, 2))
    assert (resolved.data_through, resolved.is_complete) == (None, False)


def test_as_of_returns_what_was_published_then(warehouse: Warehouse) -> None:
    for generation, hours in ((1, 0), (2, 1), (3, 2)):
        publish(warehouse, generation, [Line(Decimal(generation))], published_at=NOW + hours * HOUR)
    seen = {
        NOW - timedelta(microseconds=1): (),
        NOW: (1,),
        NOW + HOUR - timedelta(microseconds=1): (1,),
        NOW + HOUR: (2,),
        NOW + 5 * HOUR: (3,),
    }
    assert {as_of: warehouse.resolve("acme", as_of=as_of).generations for as_of in seen} == seen
    elsewhere = (NOW + HOUR).astimezone(datetime.strptime("+0530", "%z").tzinfo)
    assert warehouse.resolve("acme", as_of=elsewhere).generations == (2,)


def test_as_of_without_a_time_zone_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(ValueError, match="asOf: 2026-11-20T12:00:00 has no time zone"):
        warehouse.resolve("acme", as_of=NOW.replace(tzinfo=None))


def test_as_of_what_is_gone_names_the_nearest_instants_kept(warehouse: Warehouse) -> None:
    """1 at 12:00, then 2, 3, 4 of one account and 5, 6 of another every hour; 2, 3 and 5 are removed: 13:00 to 16:00 + 1 h."""
    moments = {1: "one", 2: "one", 3: "one", 4: "one", 5: "two", 6: "two"}
    offsets = {1: 0, 2: 1, 3: 2, 4: 3, 5: 3, 6: 5}
    for generation, account in moments.items():
        publish(warehouse, generation, [Line()], slice_of(account), published_at=NOW + offsets[generation] * HOUR)
    for generation in (2, 3, 5):
        warehouse.client.insert(
            "removed_generations",
            [["acme", generation, NOW]],
            column_names=["customer_id", "generation", "removed_at"],
        )
    for as_of in (NOW + HOUR, NOW + 2.5 * HOUR, NOW + 3 * HOUR, NOW + 5 * HOUR - timedelta(microseconds=1)):
        with pytest.raises(AsOfNotRetained) as caught:
            warehouse.resolve("acme", as_of=as_of)
        before, after = caught.value.before, caught.value.after
        assert (before, after) == (NOW + HOUR - timedelta(microseconds=1), NOW + 5 * HOUR)
        assert before.isoformat() in str(caught.value)
        assert after.isoformat() in str(caught.value)
        assert warehouse.resolve("acme", as_of=before).generations == (1,)
        assert set(warehouse.resolve("acme", as_of=after).generations) == {4, 6}
    with pytest.raises(AsOfNotRetained) as caught:
        warehouse.resolve("acme", as_of=NOW + 4 * HOUR, accounts=["acme.two"])
    assert (caught.value.before, caught.value.after) == (None, NOW + 5 * HOUR)


def test_what_is_gone_but_not_asked_for_is_no_obstacle(warehouse: Warehouse) -> None:
    publish(warehouse, 1, [Line(day=3)])
    publish(warehouse, 2, [Line(day=3)], published_at=NOW + HOUR)
    names = ["customer_id", "generation", "removed_at"]
    warehouse.client.insert("removed_generations", [["acme", 1, NOW], ["zenith", 2, NOW]], column_names=names)
    assert warehouse.resolve("acme", as_of=NOW, start=date(2026, 10, 4)).generations == ()
    assert warehouse.resolve("acme", as_of=NOW + HOUR).generations == (2,)
    with pytest.raises(AsOfNotRetained):
        warehouse.resolve("acme", as_of=NOW)


def test_readers_see_whole_generations_only(warehouse: Warehouse, settings: Settings) -> None:
    """Every generation of n has 50 lines of n: any other sum would be half of one, or two at once."""
    publish(warehouse, 1, [Line(Decimal(1))] * 50)
    done = threading.Event()
    wrong: list[tuple[str, int, Decimal]] = []
    seen: set[int] = set()

    def read() -> None:
        reader = Warehouse.connect(settings)
        while not done.is_set():
            (generation,) = reader.resolve("acme").generations
            seen.add(generation)
            for table in ("raw_costs", "cost_by_day"):
                found = total(reader, [generation], table)
                if found != 50 * generation:
                    wrong.append((table, generation, found))
        reader.close()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for generation in range(2, 10):
            publish(warehouse, generation, [Line(Decimal(generation))] * 50)
            if generation % 3 == 0:
                write(warehouse, generation + 1000, [Line(Decimal(-1))] * 50)
                warehouse.derive({generation + 1000: SLICE})
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert len(seen) > 3
