"""Decides which month an invoice bills, if a cloud invoices on the 1st for the previous month, and past a threshold within the month too.

In: the instant at which each invoice was issued, and the dates of its lines if that instant does not decide. Out: `IssuedInvoice` objects
with their month. An invoice in the wrong month closes that month too early or leaves it open for ever, and no total shows the mistake. So
for invoices of the first week the dates of the lines decide::

    all in the old month         the invoice bills the old month, however late it is
    all begin in the new month   the invoice bills the new month, even on the 1st
    some of each, or no dates    the first such invoice bills the old month: a regular invoice may contain advance payments, and one past a
                                 threshold may contain refunds
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
"""Last day of the month (inclusive) on which an invoice may be a late one of the previous month."""
LATEST_EDGE: Final = timedelta(hours=12)
"""How long after midnight UTC of the 1st a month may end, in any time zone in which a cloud counts months."""

_DAY: Final = timedelta(days=1)

Spans = Sequence[Span | None]
"""Start (inclusive) and end (exclusive) of the lines of an invoice in UTC; None for a line without dates."""


@dataclass(frozen=True, slots=True)
class ListedInvoice:
    """An invoice as the API lists it: id, UTC instant of issue, and amount with tax and credits."""

    invoice_id: str
    issued_at: datetime
    amount: Decimal


def invoices_of(
    issued: Iterable[ListedInvoice],
    zone: tzinfo,
    began: datetime | None,
    bills_before: Callable[[str, BillingPeriod], bool | None],
) -> Iterator[IssuedInvoice]:
    """Yield the invoices with the month that each bills, oldest first.

    `bills_before` decides for invoices of the first week; later invoices bill their own month.

    Args:
        issued: all invoices from the beginning of some month on.
        zone: time zone in which months begin.
        began: UTC instant from which the account exists, None if unknown; an invoice bills nothing before it.
        bills_before: returns whether an invoice, by its lines, bills the month before the month of its issue, or None if the lines do not
            decide. It is called only if the date does not decide.
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
            # East of Greenwich a cloud issues the last invoice of a month before the month is over in UTC.
            yield IssuedInvoice(one.invoice_id, max(one.issued_at, month.start), one.amount, month.shift(-1))
        else:
            yield IssuedInvoice(one.invoice_id, one.issued_at, one.amount, month)


def may_bill(issued_at: datetime, oldest: BillingPeriod, latest: BillingPeriod) -> bool:
    """Whether an invoice issued at a UTC instant may bill one of these months in any time zone; lines of others need not be read."""
    return oldest.start - _DAY <= issued_at < latest.end + (LAST_DAY + 1) * _DAY


def lines_before(spans: Spans, month: BillingPeriod, zone: tzinfo) -> bool | None:
    """Whether lines with these dates belong to the month before `month`; None if only some of them do, or none has dates."""
    begin, edge = month_begin(month, zone), month.start + LATEST_EDGE
    # True: in the old month; False: begins in the new month; None: begins in the old month and ends in the new one.
    told = {start < begin and (end <= edge or None) for start, end in filter(None, spans)}
    return told.pop() if len(told) == 1 else None


def month_begin(month: BillingPeriod, zone: tzinfo) -> datetime:
    """Return the instant at which a month begins in a time zone."""
    return datetime(month.year, month.month, 1, tzinfo=zone)


def check_zone(name: str) -> str:
    """Return `name` if it is the name of a time zone.

    Raises:
        ValueError: it is not; the message says what is accepted.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("the name of a time zone is accepted, such as UTC or America/New_York") from None
    return name


ZoneName = Annotated[str, AfterValidator(check_zone)]
"""Type of the credential field that names the time zone in which months begin."""
