"""The answers of a billing API with nightly insights, invoices, and a preview of the invoice that comes next: read, checked, made values.

Three pictures of a month, none of which has it all::

    insights            what each line cost on each day, as estimated in the night: region and SKU, no resource
    items               of an invoice, or of the preview so far: each line once, with its resource; the texts are those of the insights
    summary             of the same: tax, credits and overage, which are in none of the items

Nothing here adds up anything; ``daily_lines.py`` does that with what comes from here. Kept is only which invoices are not the last of their
month: they bear no date, and a month that is closed by one from its middle is that invoice alone (`BillingApi.is_closed`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import CredentialRejected, ResourceNotFound
from optiinfra_assets.providers.context import Snapshot, Snapshots
from optiinfra_assets.providers.digitalocean.daily_estimates import DailyEstimate, InvoiceLine
from optiinfra_assets.providers.digitalocean.invoice_parts import InvoiceParts
from optiinfra_assets.providers.http.client import ApiResponse, Client
from optiinfra_assets.providers.http.json_fields import JsonFields, parse_time
from optiinfra_assets.providers.http.pagination import PagedList, PageStyle, linked_page

PREVIEW: Final = "preview"
"""What the preview is asked for by: its own uuid is another one every day."""
SETTLING: Final = timedelta(days=2)
"""How long after its end an invoiced month is looked at once more: the estimate of its last night may come after the invoice."""
NOTHING: Final = "nothing"
"""Token of a month of which nothing is told."""

PAGE_SIZE: Final = 200


def _linked(answer: JsonFields) -> tuple[str | None, int]:
    """The last page says nothing of the next one, or leaves out any of the objects that would."""
    links = answer.object_or_none("links")
    pages = links and links.object_or_none("pages")
    return linked_page(pages, "next") if pages else None, answer.object("meta").whole("total")


def _numbered(answer: JsonFields) -> tuple[str | None, int]:
    current = answer.whole("current_page")
    is_last = current >= answer.whole("total_pages")
    return None if is_last else str(current + 1), answer.whole("total_items")


LISTS: Final = PageStyle("per_page", "page", _linked, "1")
"""Of all lists but the insights."""
_INSIGHTS: Final = PageStyle("per_page", "page", _numbered, "1")

_INVOICES: Final = "/v2/customers/my/invoices"
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_WITHIN: Final = b"listed within the month"


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice, or the preview of one.

    Attributes:
        amount: all it comes to; of a preview, so far.
        period: the month it is for.
        updated_at: as sent; empty unless it is a preview.
    """

    uuid: str
    amount: Decimal
    period: BillingPeriod
    updated_at: str = ""

    @property
    def mark(self) -> str:
        """Another one when anything about it has changed."""
        return f"{self.uuid} {self.amount:f} {self.updated_at}"


@dataclass(frozen=True, slots=True)
class InvoiceList:
    """All invoices, and the preview if there is one."""

    invoices: list[Invoice]
    preview: Invoice | None

    def of(self, period: BillingPeriod) -> list[Invoice]:
        """Invoices of a month: one, and others before it if usage passed a threshold within the month."""
        mine = [invoice for invoice in self.invoices if invoice.period == period]
        return sorted(mine, key=lambda invoice: invoice.uuid)

    def previewed(self, period: BillingPeriod) -> Invoice | None:
        """The preview, if it is of this month."""
        return self.preview if self.preview is not None and self.preview.period == period else None

    def may_be_closed(self, period: BillingPeriod, now: datetime) -> bool:
        """Whether a month is over, has an invoice, and the preview has gone on to a later one."""
        is_past = self.preview is None or self.preview.period > period
        return bool(self.of(period)) and now >= period.end and is_past


@dataclass(frozen=True, slots=True)
class BillingApi:
    """One payer's billing.

    Attributes:
        api: where to ask.
        urn: of the payer.
        permission: what the credential needs for all of it.
        clock_time: UTC instant of the call: nothing is asked for that lies after its day.
        snapshots: where it is kept what is known of an invoice.
    """

    api: Client
    urn: str
    permission: str
    clock_time: datetime
    snapshots: Snapshots

    def books(self) -> InvoiceList:
        """All invoices and the preview.

        Raises:
            ProviderError: as all methods here, if it could not be read.
        """
        previews: list[Invoice] = []

        def seen(answer: ApiResponse) -> None:
            preview = answer.fields().object_or_none("invoice_preview")
            if preview:
                previews.append(_invoice(preview, PREVIEW))

        listed = self._list(_INVOICES, "invoices").objects(self.api, seen)
        found = [_invoice(fields, fields.identifier("invoice_uuid")) for fields in listed]
        return InvoiceList(found, previews[-1] if previews else None)

    def token(self, books: InvoiceList, period: BillingPeriod) -> str:
        """A hash of what the line items of a period follow from; `NOTHING` if nothing is told of it.

        That is its invoices; until the last of them the preview, which is rebuilt in the night as the insights are, and how many insights
        there are. The balance is no part of it: it may move at any time, and no line item with it.
        """
        parts = [invoice.mark for invoice in books.of(period)]
        preview = books.previewed(period)
        if self.is_closed(books, period):
            parts.append("settled" if self.is_settled(period) else "closed")
        else:
            parts += [preview.mark] if preview else []
            count = self.count(period) if self._is_recent(period) else 0
            parts += [f"insights {count}"] if count else []
        return hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else NOTHING

    def is_closed(self, books: InvoiceList, period: BillingPeriod) -> bool:
        """Whether the last invoice of a month has come.

        One that came within the month is told from the last one by having been listed before the month was over, or by its items. A month
        later none is waited for any more. Items are asked for once, and only where nothing else tells.
        """
        if not books.may_be_closed(period, self.clock_time):
            return False
        return not self._is_recent(period) or any(self._is_last(invoice) for invoice in books.of(period))

    def keep_within(self, books: InvoiceList) -> None:
        """Keep which invoices are listed while their month goes on. On its last day one may be the last that comes early."""
        period = BillingPeriod.of(self.clock_time)
        if self.clock_time < period.end - _DAY:
            for invoice in books.of(period):
                self.snapshots.add(Snapshot(_kind(invoice), period, self.clock_time, _WITHIN))

    def is_settled(self, period: BillingPeriod) -> bool:
        """Whether the nights that may still estimate days of a period are over."""
        return self.clock_time >= period.end + SETTLING

    def count(self, period: BillingPeriod, since: datetime | None = None) -> int:
        """How many insights there are of a month, or of its days from the midnight `since` on, in one request.

        Raises:
            CredentialRejected: the payer is not one of the credential.
            ProviderError: they could not be read.
        """
        path = self._insights_path(since or period.start, min(self._tomorrow, period.end) - _DAY)
        try:
            answer = self.api.get(path, _INSIGHTS.params(None, 1), permission=self.permission)
        except ResourceNotFound:
            raise CredentialRejected(
                f"account_urn: {self.urn!r} has no billing insights for this credential; connect again with the urn of its team, or none"
            ) from None
        return answer.fields().whole("total_items")

    def insights(self, period: BillingPeriod) -> Iterator[DailyEstimate]:
        """The insights of a month, asked for in two halves.

        At most 31 days may be asked for, and whether the last of them is included is not said. So each half is asked for with the day after
        it, which is then left out.
        """
        middle = period.start + timedelta(days=15)
        for begin, end in ((period.start, middle), (middle, period.end)):
            until = min(end, self._tomorrow)
            if begin < until:
                path = self._insights_path(begin, until)
                for fields in self._list(path, "data_points", _INSIGHTS).objects(self.api):
                    estimate = _estimate(fields)
                    if begin.date() <= estimate.day < until.date():
                        yield estimate

    def lines(self, uuid: str, period: BillingPeriod) -> Iterator[InvoiceLine]:
        """The items of an invoice of `period`, or of the `PREVIEW`."""
        for fields in self._list(_path(uuid), "invoice_items").objects(self.api):
            yield _line(fields, period, None if uuid == PREVIEW else uuid)

    def parts(self, uuid: str) -> InvoiceParts:
        """The summary of an invoice, or of the `PREVIEW`."""
        answer = self.api.get(f"{_path(uuid)}/summary", permission=self.permission)
        return InvoiceParts.of(answer.fields())

    def usage(self) -> tuple[Decimal, datetime]:
        """What the balance says of the month so far, and as of when (UTC)."""
        balance = self.api.get("/v2/customers/my/balance", permission=self.permission).fields()
        return balance.money("month_to_date_usage"), balance.time("generated_at")

    def _is_last(self, invoice: Invoice) -> bool:
        """Whether an invoice of the last month reaches its end, or nothing is estimated for the days after what it reaches."""
        period = invoice.period
        kept = self.snapshots.newest(_kind(invoice), period)
        if kept is None:
            body = str(self._reach(invoice)).encode()
            kept = Snapshot(_kind(invoice), period, self.clock_time, body)
            self.snapshots.add(kept)
        if kept.body == _WITHIN:
            return False
        reach = datetime.fromisoformat(kept.body.decode())
        return reach >= period.end or not self.count(period, min(_ceiling(reach), period.end - _DAY))

    def _reach(self, invoice: Invoice) -> datetime:
        """The instant up to which the items of an invoice go; a last hour that one lacks is none."""
        period, reach = invoice.period, invoice.period.start
        for fields in self._list(_path(invoice.uuid), "invoice_items").objects(self.api):
            start, end = _times(fields)
            reach = max(reach, end) if start < end else reach
            if reach > period.end - _HOUR:
                return period.end
        return reach

    def _is_recent(self, period: BillingPeriod) -> bool:
        return period >= BillingPeriod.of(self.clock_time).shift(-1)

    @property
    def _tomorrow(self) -> datetime:
        return midnight(self.clock_time.astimezone(UTC).date()) + _DAY

    def _list(self, path: str, name: str, style: PageStyle = LISTS) -> PagedList:
        return PagedList(path, name, self.permission, style, PAGE_SIZE)

    def _insights_path(self, begin: datetime, end: datetime) -> str:
        return f"/v2/billing/{quote(self.urn, safe='')}/insights/{begin.date()}/{end.date()}"


def midnight(day: date) -> datetime:
    """The UTC instant at which a day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _ceiling(moment: datetime) -> datetime:
    """The first midnight that is not before a UTC instant."""
    begin = midnight(moment.date())
    return begin if begin == moment else begin + _DAY


def _kind(invoice: Invoice) -> str:
    return f"reach of invoice {invoice.uuid}"


def _path(uuid: str) -> str:
    return f"{_INVOICES}/{quote(uuid, safe='')}"


def _invoice(fields: JsonFields, uuid: str) -> Invoice:
    try:
        period = BillingPeriod.parse(fields.text("invoice_period"))
    except ValueError:
        fields.refuse("invoice_period", "a month such as 2026-11")
    return Invoice(uuid, fields.money("amount"), period, fields.text_or_none("updated_at") or "")


def _estimate(fields: JsonFields) -> DailyEstimate:
    moment = parse_time(fields.text("start_date"))
    if moment is None:
        fields.refuse("start_date", "a day such as 2026-11-01")
    place = tuple(fields.text_or_none(name) or "" for name in ("region", "sku", "usage_team_urn"))
    return DailyEstimate(_key(fields), moment.date(), fields.money("total_amount"), place)


def _line(fields: JsonFields, period: BillingPeriod, invoice_id: str | None) -> InvoiceLine:
    ids = (fields.identifier(name) for name in ("resource_uuid", "resource_id") if fields.values.get(name))
    start, end = _times(fields)
    return InvoiceLine(
        key=_key(fields),
        amount=fields.money("amount"),
        product=fields.text("product"),
        resource=tuple(ids),
        project=fields.text_or_none("project_name"),
        start=start if start < end else period.start,
        end=end if start < end else period.end,
        quantity=fields.money_or_none("duration"),
        unit=fields.text_or_none("duration_unit"),
        invoice_id=invoice_id,
    )


def _times(fields: JsonFields) -> tuple[datetime, datetime]:
    return fields.time("start_time"), fields.time("end_time")


def _key(fields: JsonFields) -> tuple[str, str]:
    return fields.text_or_none("group_description") or "", fields.text_or_none("description") or ""
