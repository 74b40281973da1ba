"""Verifies that the database holds what was sent: compares counts and exact sums per currency of the raw and every derived table."""

from __future__ import annotations

from collections.abc import Sequence
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


def verify(client: Client, slice_: Slice, generation: int, loaded: LoadResult, derived: Sequence[str]) -> None:
    """Compare ``raw_costs`` with `loaded`, and each table of `derived` with ``raw_costs``.

    Raises:
        IntegrityError: they differ; the message names table, currency, measure, the number found and the number expected.
    """
    values: dict[str, Any] = {"customer_id": slice_.customer_id, "generation": generation}
    raw: _Sums = {row.pop("billing_currency"): row for row in clickhouse.rows(client, "raw_sums.sql", values)}
    sent = {currency: {name: getattr(totals, name) for name in MEASURES} for currency, totals in loaded.totals.items()}
    _compare(slice_, generation, "raw_costs", raw, sent)
    found = sum(one["line_items"] for one in raw.values())
    if found != loaded.line_items:
        raise IntegrityError(
            f"{slice_} generation {generation}: raw_costs has {found} line items, {loaded.line_items} were sent: collect it again"
        )
    sums: dict[str, _Sums] = {table: {} for table in derived}
    values["tables"] = clickhouse.matching(derived)
    for row in clickhouse.rows(client, "derived_sums.sql", values):
        sums[row.pop("table")][row.pop("billing_currency")] = row
    for table, derived_sums in sums.items():
        _compare(slice_, generation, table, derived_sums, raw)


def _compare(slice_: Slice, generation: int, table: str, found: _Sums, expected: _Sums) -> None:
    for currency in sorted(found.keys() | expected.keys()):
        for measure in expected.get(currency) or found[currency]:
            here = found.get(currency, {}).get(measure, Decimal(0))
            there = expected.get(currency, {}).get(measure, Decimal(0))
            if here != there:
                raise IntegrityError(
                    f"{slice_} generation {generation}: {table} has {measure} {here} {currency}, expected {there}: collect it again"
                )
