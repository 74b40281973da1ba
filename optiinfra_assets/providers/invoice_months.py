"""Which month an invoice bills, where a cloud invoices on the 1st for the month before and, past a threshold, within the month too.

In: when each invoice was issued, and what its lines are for where the date alone does not tell. Out: `Invoice` objects with their month. An
invoice that is put into the wrong month closes it before its time or leaves it open for ever, so where there is a doubt the lines decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from optiinfra_assets.model import BillingPeriod
from optiinfra_assets.providers.running_totals import Invoice

LAST_DAY: Final = 7
"""Day of the month up to which an invoice may be the late one of the month before."""
LATEST_EDGE: Final = timedelta(hours=12)
"""How long after midnight (UTC) of the 1st a month may end, in whichever zone the cloud counts months."""


@dataclass(frozen=True, slots=True)
class Issued:
    """An invoice as it is listed; its instant in UTC, its amount with tax and credits."""

    invoice_id: str
    issued_at: datetime
    amount: Decimal


def invoices_of(
    issued: Iterable[Issued],
    zone: tzinfo,
    began: datetime | None,
    bills_before: Callable[[str, BillingPeriod], bool],
) -> Iterator[Invoice]:
    """Invoices with the month that each bills, oldest first.

    The first one of a 1st bills the month before. Of any other of the first week `bills_before` tells; later ones bill their own month.

    Args:
        issued: all invoices from the beginning of some month on.
        zone: in which months begin.
        began: UTC instant from which the account exists, if known: there is nothing before it to bill.
        bills_before: whether an invoice, by its lines, has nothing of the month it was issued in; asked only where dates do not tell.
    """
    begun: set[BillingPeriod] = set()
    for one in sorted(issued, key=lambda one: (one.issued_at, one.invoice_id)):
        local = one.issued_at.astimezone(zone)
        month = BillingPeriod(local.year, local.month)
        is_due = local.day == 1 and month not in begun
        begun.add(month)
        may_be_before = local.day <= LAST_DAY and (began is None or began < month_begin(month, zone))
        if may_be_before and (is_due or bills_before(one.invoice_id, month)):
            # East of Greenwich the last invoice of a month comes before the month is over in UTC.
            yield Invoice(one.invoice_id, max(one.issued_at, month.start), one.amount, month.shift(-1))
        else:
            yield Invoice(one.invoice_id, one.issued_at, one.amount, month)


def end_before(ends: Iterable[datetime | None], month: BillingPeriod) -> bool:
    """Whether nothing that ends at these UTC instants (None: it has no dates) is for `month`."""
    return all(end is None or end <= month.start + LATEST_EDGE for end in ends)


def month_begin(month: BillingPeriod, zone: tzinfo) -> datetime:
    """The instant at which a month begins in a zone."""
    return datetime(month.year, month.month, 1, tzinfo=zone)


def check_zone(name: str) -> str:
    """`name`, if it is that of a time zone.

    Raises:
        ValueError: saying what is accepted.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("the name of a time zone is accepted, such as UTC or America/New_York") from None
    return name


ZoneName = Annotated[str, AfterValidator(check_zone)]
"""Type of a field of a credential model that names the zone in which months begin."""
