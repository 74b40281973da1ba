"""Every generation of a slice with where it came from, and pairs of one and the next."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from warehouse_samples import NOW, OCTOBER, SLICE, Line, publish

from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.warehouse.lineage import published_since, restatements, slice_history
from optiinfra_assets.warehouse.warehouse import Warehouse

HOUR = timedelta(hours=1)
OTHER = Slice("acme", "aws", "acme.other", OCTOBER)
FOREIGN = Slice("zenith", "aws", "zenith.main", OCTOBER)


def fill(warehouse: Warehouse) -> None:
    """Three versions of one slice, one of another account, two of another customer."""
    for generation in (1, 2, 4):
        sources = [{"file": f"october-{generation}.csv"}]
        publish(
            warehouse,
            generation,
            [Line(Decimal(generation))],
            published_at=NOW + generation * HOUR,
            sources=sources,
            run_id=f"run-{generation}",
        )
    publish(warehouse, 3, [Line()], OTHER, published_at=NOW + 3 * HOUR)
    publish(warehouse, 5, [Line()], FOREIGN, published_at=NOW)
    publish(warehouse, 6, [Line()], FOREIGN, published_at=NOW + 2 * HOUR)


def test_a_slice_has_its_generations_newest_first(warehouse: Warehouse) -> None:
    fill(warehouse)
    found = slice_history(warehouse, SLICE, 10)
    assert [one.publication.generation for one in found] == [4, 2, 1]
    assert [one.superseded_at for one in found] == [None, NOW + 4 * HOUR, NOW + 2 * HOUR]
    assert all(one.is_kept for one in found)
    newest = found[0].publication
    assert (newest.run_id, newest.sources) == ("run-4", [{"file": "october-4.csv"}])
    assert newest.totals["USD"].billed_cost == 4
    assert slice_history(warehouse, SLICE, 1, before=4)[0].publication.generation == 2
    assert slice_history(warehouse, Slice("acme", "aws", "zenith.main", OCTOBER), 10) == []


def test_a_restatement_knows_what_it_replaced(warehouse: Warehouse) -> None:
    fill(warehouse)
    found = restatements(warehouse, "acme", NOW, NOW + 9 * HOUR, first=10)
    assert [(one.previous_generation, one.generation) for one in found] == [(2, 4), (1, 2)]
    assert found[0].slice == SLICE
    assert found[0].previous_published_at == NOW + 2 * HOUR
    page = restatements(warehouse, "acme", NOW, NOW + 9 * HOUR, first=1, before=(found[0].published_at, 4))
    assert page == found[1:]
    assert restatements(warehouse, "acme", NOW + 3 * HOUR, NOW + 4 * HOUR, first=10) == []
    assert restatements(warehouse, "acme", NOW, NOW + 9 * HOUR, first=10, accounts=["acme.other"]) == []


def test_what_retention_removed_cannot_be_compared(warehouse: Warehouse) -> None:
    fill(warehouse)
    warehouse.collect_garbage(NOW + 200 * 24 * HOUR, 95, ())
    assert [one.is_kept for one in slice_history(warehouse, SLICE, 10)] == [True, False, False]
    found = restatements(warehouse, "acme", NOW, NOW + 9 * HOUR, first=10)
    assert [one.is_kept for one in found] == [False, False]


def test_publications_from_an_instant_on(warehouse: Warehouse) -> None:
    fill(warehouse)
    found = published_since(warehouse, "acme", NOW + 2 * HOUR, first=10)
    assert [one.generation for one in found] == [2, 3, 4]
    assert [one.generation for one in published_since(warehouse, "acme", NOW, first=9, providers=["aws"])] == [3]
