"""Sums of the line items of generations by what an invoice is for, straight from ``raw_costs``: no derived table has the issuer.

Data in: generation numbers of one customer. Data out: `ChargeGroup` objects by generation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from optiinfra_assets.database import clickhouse
from optiinfra_assets.domain.reconciliations import ChargeGroup
from optiinfra_assets.warehouse.warehouse import Warehouse


def charge_sums(
    warehouse: Warehouse, customer_id: str, generations: Collection[int], *, by_day: bool
) -> dict[int, Sequence[ChargeGroup]]:
    """Return the sums of each generation; a generation without rows is missing.

    Args:
        warehouse: holds the line items.
        customer_id: the tenant.
        generations: numbers of its generations.
        by_day: also by charge category, service and UTC day; otherwise those are empty.
    """
    if not generations:
        return {}
    values = {"customers": [customer_id], "generations": sorted(generations), "by_day": by_day}
    found: dict[int, list[ChargeGroup]] = defaultdict(list)
    rows = clickhouse.tuples(warehouse.client, "charge_sums.sql", values, warehouse.only(customer_id))
    for generation, issuer, currency, invoice_id, category, service, day, amount, line_items in rows:
        on = day if by_day else None
        found[generation].append(ChargeGroup(issuer, currency, invoice_id, category, service, on, amount, line_items))
    return dict(found)
