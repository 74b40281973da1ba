"""Keeps the parts of invoices: whoever issues one does not change it, so its items are read once, however often it is asked for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_sum, plain
from optiinfra_assets.domain.invoices import InvoicePart
from optiinfra_assets.providers.context import ProviderContext, Snapshot


def kept_parts(
    context: ProviderContext,
    period: BillingPeriod,
    invoice_id: str,
    amount: Decimal,
    read: Callable[[], Iterable[InvoicePart]],
) -> tuple[InvoicePart, ...]:
    """Return the parts of an invoice by charge category and service: as they were kept for the same amount, else as `read` returns them.

    Raises:
        ProviderError: they are not kept and could not be read.
    """
    kind = f"parts of invoice {invoice_id}"
    kept = context.snapshots.newest(kind, period)
    said = json.loads(kept.body) if kept else {}
    if said.get("amount") == plain(amount):
        return tuple(InvoicePart(category, Decimal(cost), service) for category, cost, service in said["parts"])
    warned = _warned(context)
    parts = summed(read())
    if _warned(context) > warned:
        return parts  # read again next time, when what explains them may be there
    body = {"amount": plain(amount), "parts": [[one.charge_category, plain(one.amount), one.service] for one in parts]}
    context.snapshots.add(Snapshot(kind, period, context.clock(), json.dumps(body).encode()))
    return parts


def _warned(context: ProviderContext) -> int:
    return sum(one.count for one in context.warnings)


def summed(parts: Iterable[InvoicePart]) -> tuple[InvoicePart, ...]:
    """Return one part for each charge category and service, without those that add up to nothing."""
    amounts: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for part in parts:
        amounts[part.charge_category, part.service].append(part.amount)
    sums = ((key, exact_sum(some)) for key, some in sorted(amounts.items()))
    return tuple(InvoicePart(category, amount, service) for (category, service), amount in sums if amount)
