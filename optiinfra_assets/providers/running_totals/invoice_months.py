"""Which month an invoice bills, where a cloud invoices on the 1st for the month before and, past a threshold, within the month too.

In: when each invoice was issued, and what its lines are for where the date alone does not tell. Out: `IssuedInvoice` objects with their
month. An invoice that is put into the wrong month closes it before its time or leaves it open for ever, and no total shows that. So in
the first week the dates of the lines decide::

    all of the old month         the invoice bills the old month, however late it is
    all begun in the new one     the invoice bills the new month, even on the 1st
    some of each, or no dates    the first such invoice bills the old month: a regular one may hold what is paid in advance, and one past a
                                 threshold what is given back
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.providers.running_totals.month import IssuedInvoice, Span

LAST_DAY: Final = 7
"""Day of the month up to which an invoice may be the late one of the month before."""
LATEST_EDGE: Final = timedelta(hours=12)
"""How long after midnight (UTC) of the 1st a month may end, in whichever zone the cloud counts months."""

_DAY: Final = timedelta(days=1)

Spans = Sequence[Span | None]
"""When the lines of an invoice began and ended, in UTC; None for a line without dates."""


@dataclass(frozen=True, slots=True)
class ListedInvoice:
    """An invoice as it is listed; its instant in UTC, its amount with tax and credits."""

    invoice_id: str
    issued_at: datetime
    amount: Decimal


def invoices_of(
    issued: Iterable[ListedInvoice],
    zone: tzinfo,
    began: datetime | None,
    bills_before: Callable[[str, BillingPeriod], bool | None],
) -> Iterator[IssuedInvoice]:
    """Invoices with the month that each bills, oldest first.

    Of those of the first week `bills_before` tells; later ones bill their own month.

    Args:
        issued: all invoices from the beginning of some month on.
        zone: in which months begin.
        began: UTC instant from which the account exists, if known: there is nothing before it to bill.
        bills_before: whether an invoice, by its lines, bills the month before the one it was issued in; None if they do not tell. Asked
            only where the date does not tell.
    """
    billed: set[BillingPeriod] = set()
    for one in sorted(issued, key=lambda one: (one.issued_at, one.invoice_id)):
        local = one.issued_at.astimezone(zone)
        month = BillingPeriod(local.year, local.month)
        may_be_before = local.day <= LAST_DAY and (began is None or began < month_begin(month, zone))
        is_before = bills_before(one.invoice_id, month) if may_be_before else False
        if is_before is None:
            is_before = month.shift(-1) not in billed
        if is_before:
            billed.add(month.shift(-1))
            # East of Greenwich the last invoice of a month comes before the month is over in UTC.
            yield IssuedInvoice(one.invoice_id, max(one.issued_at, month.start), one.amount, month.shift(-1))
        else:
            yield IssuedInvoice(one.invoice_id, one.issued_at, one.amount, month)


def may_bill(issued_at: datetime, oldest: BillingPeriod, latest: BillingPeriod) -> bool:
    """Whether an invoice issued at a UTC instant may bill one of these months in whichever zone; lines of others need not be read."""
    return oldest.start - _DAY <= issued_at < latest.end + (LAST_DAY + 1) * _DAY


def lines_before(spans: Spans, month: BillingPeriod, zone: tzinfo) -> bool | None:
    """Whether lines of these dates are of the month before `month`; None if only some of them are, or none has dates."""
    begin, edge = month_begin(month, zone), month.start + LATEST_EDGE
    # True: of the old month; False: begun in the new one; None: begun in the old one and not over.
    told = {start < begin and (end <= edge or None) for start, end in filter(None, spans)}
    return told.pop() if len(told) == 1 else None


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
