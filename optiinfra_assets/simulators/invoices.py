"""The invoices of a simulated month where a cloud states them apart from its costs: several a month, credit memos, taxes, late refunds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.world.scenario import Charge
from optiinfra_assets.simulators.world.world import World


@dataclass(frozen=True, slots=True)
class LateRefund:
    """A refund for a month that is closed: a credit memo, of which the costs of the month never show anything.

    Attributes:
        period: the month that it is for.
        issued_at: UTC instant.
        amount: positive.
    """

    period: BillingPeriod
    issued_at: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class SimulatedInvoice:
    """One invoice or credit memo.

    Attributes:
        charges: amount before tax and credits; negative on a credit memo.
        credits: what pays for it, negative.
        corrects: id of the invoice that a credit memo corrects.
    """

    invoice_id: str
    period: BillingPeriod
    issued_at: datetime
    charges: Decimal
    tax: Decimal = Decimal(0)
    credits: Decimal = Decimal(0)
    corrects: str = ""

    @property
    def total(self) -> Decimal:
        """What is to be paid, negative on a credit memo."""
        return self.charges + self.credits + self.tax


def invoice_id(period: BillingPeriod, kind: str, *, taxes_apart: bool = False) -> str:
    """Return the id of the invoice of a month that bills a kind of charge: purchases and refunds have their own."""
    apart = {"purchase": "P", "refund": "C"} | ({"tax": "T"} if taxes_apart else {})
    return f"SIM{period.year}{period.month:02d}{apart.get(kind, '')}"


def invoices_of(
    world: World,
    period: BillingPeriod,
    *,
    besides: Decimal = Decimal(0),
    taxes_apart: bool = False,
    late_refunds: Iterable[LateRefund] = (),
) -> list[SimulatedInvoice]:
    """Return the invoices of a month that are issued by now; none before that, or if nothing was charged.

    Args:
        world: whose charges.
        period: the month.
        besides: charges beyond those of the world.
        taxes_apart: an invoice of its own has the tax and nothing else.
        late_refunds: credit memos beyond those of the world.
    """
    groups: dict[str, list[Charge]] = {}
    for charge in world.invoice(period) or ():
        groups.setdefault(invoice_id(period, charge.kind, taxes_apart=taxes_apart), []).append(charge)
    main = invoice_id(period, "usage")
    issued_at = world.invoiced_at(period)
    found = [
        _invoice(name, period, issued_at, charges, besides if name == main else Decimal(0), main)
        for name, charges in sorted(groups.items())
    ]
    late = (one for one in late_refunds if one.period == period and one.issued_at <= world.clock())
    return found + [
        SimulatedInvoice(f"{main}L{number}", period, one.issued_at, -one.amount, corrects=main)
        for number, one in enumerate(late)
    ]


def _invoice(
    name: str, period: BillingPeriod, issued_at: datetime, charges: Sequence[Charge], besides: Decimal, main: str
) -> SimulatedInvoice:
    sums = {kind: sum((one.amount for one in charges if one.kind == kind), Decimal(0)) for kind in ("tax", "credit")}
    whole = sum((one.amount for one in charges), besides)
    corrects = main if whole < 0 and name != main else ""
    return SimulatedInvoice(
        name, period, issued_at, whole - sums["tax"] - sums["credit"], sums["tax"], sums["credit"], corrects
    )
