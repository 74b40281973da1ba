"""Compares what the database holds of generations with what was sent: counts and exact sums per currency of the raw and derived tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.client import Client

from optiinfra_assets.database import clickhouse
from optiinfra_assets.database.errors import IntegrityError
from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.domain.publications import MEASURES

if TYPE_CHECKING:
    from optiinfra_assets.warehouse.loading import LoadResult

_Sums = dict[str, dict[str, Any]]
"""Currency -> measure -> value."""


def unequal(
    client: Client, sent: Mapping[int, tuple[Slice, LoadResult]], derived: Sequence[str]
) -> dict[int, IntegrityError]:
    """Compare ``raw_costs`` with what was sent, and each table of `derived` with ``raw_costs``; see `Warehouse.unequal`."""
    customers = sorted({slice_.customer_id for slice_, _ in sent.values()})
    values = {"customers": customers, "generations": list(sent), "tables": clickhouse.matching(derived)}
    sums: dict[tuple[int, str], _Sums] = defaultdict(dict)
    for row in clickhouse.rows(client, "sums_of_generations.sql", values):
        sums[row.pop("generation"), row.pop("table")][row.pop("billing_currency")] = row
    found = {}
    for generation, (slice_, loaded) in sent.items():
        tables = {table: sums[generation, table] for table in derived}
        for difference in _differences(sums[generation, "raw_costs"], tables, loaded):
            found[generation] = IntegrityError(f"{slice_} generation {generation}: {difference}: collect it again")
            break
    return found


def _differences(raw: _Sums, derived: Mapping[str, _Sums], loaded: LoadResult) -> Iterator[str]:
    sent = {currency: {name: getattr(totals, name) for name in MEASURES} for currency, totals in loaded.totals.items()}
    yield from _compared("raw_costs", raw, sent)
    line_items = sum(one["line_items"] for one in raw.values())
    if line_items != loaded.line_items:
        yield f"raw_costs has {line_items} line items, {loaded.line_items} were sent"
    for table, found in derived.items():
        yield from _compared(table, found, raw)


def _compared(table: str, found: _Sums, expected: _Sums) -> Iterator[str]:
    for currency in sorted(found.keys() | expected.keys()):
        for measure in expected.get(currency) or found[currency]:
            here = found.get(currency, {}).get(measure, Decimal(0))
            there = expected.get(currency, {}).get(measure, Decimal(0))
            if here != there:
                yield f"{table} has {measure} {here} {currency}, expected {there}"
