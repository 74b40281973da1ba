"""DigitalOcean's billing API with nightly insights, invoices, and a preview of the next invoice: JSON responses in, checked values out.

The API has three views of a month, and none of them is complete::

    insights            what each line cost on each day, estimated at night: region and SKU, no resource
    items               of an invoice, or of the preview so far: each line once, with its resource; the texts equal those of the insights
    summary             of an invoice or the preview: tax, credits and overage, which no item contains

This module adds nothing up; `daily_estimates` does that with these values. It keeps only which invoices are not the last of their month:
invoices have no date, and if one from the middle of a month closed it, the month would be that invoice alone (`BillingApi.is_closed`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import ContractChanged, CredentialRejected, ProviderError, ResourceNotFound
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.context import ProviderContext, Snapshot
from optiinfra_assets.providers.digitalocean.daily_estimates import DailyEstimate, InvoiceLine
from optiinfra_assets.providers.digitalocean.invoice_parts import InvoiceParts
from optiinfra_assets.providers.http.client import ApiResponse, Client
from optiinfra_assets.providers.http.json_fields import JsonFields, parse_time
from optiinfra_assets.providers.http.pagination import PagedList, PageStyle, linked_page

INSIGHTS: Final = AuxiliaryEndpoint(
    "/insights/", "the days, regions and SKUs of what the invoice or its preview states by line"
)
ITEMS_SO_FAR: Final = AuxiliaryEndpoint("/invoices/preview\n", "the resources of the month so far")
SUMMARY: Final = AuxiliaryEndpoint(
    "/summary\n", "the parts of what an invoice states beyond its items: tax, credits, overage"
)
BALANCE: Final = AuxiliaryEndpoint("/my/balance\n", "the provider's own total of the month so far")

PREVIEW: Final = "preview"
"""Name by which the API returns the preview; the preview's own uuid changes every day."""
SETTLING: Final = timedelta(days=2)
"""How long after its end an invoiced month is collected once more: the estimate of its last night may come after the invoice."""
NOTHING: Final = "nothing"
"""Token of a month that has no data."""

PAGE_SIZE: Final = 200


def _linked(answer: JsonFields) -> tuple[str | None, int]:
    """Next page and total count. The last page has no ``next``, or lacks any of the objects around it."""
    links = answer.object_or_none("links")
    pages = links and links.object_or_none("pages")
    return linked_page(pages, "next") if pages else None, answer.object("meta").whole("total")


def _numbered(answer: JsonFields) -> tuple[str | None, int]:
    current = answer.whole("current_page")
    is_last = current >= answer.whole("total_pages")
    return None if is_last else str(current + 1), answer.whole("total_items")


LISTS: Final = PageStyle("per_page", "page", _linked, "1")
"""Page style of all lists but the insights."""
_INSIGHTS: Final = PageStyle("per_page", "page", _numbered, "1")

_INVOICES: Final = "/v2/customers/my/invoices"
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_WITHIN: Final = b"listed within the month"


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice, or the preview of one.

    Attributes:
        amount: its total in USD; for a preview, the total so far.
        period: the month it bills.
        updated_at: as sent; empty for anything but a preview.
    """

    uuid: str
    amount: Decimal
    period: BillingPeriod
    updated_at: str = ""

    @property
    def mark(self) -> str:
        """A text that differs whenever anything about the invoice has changed."""
        return f"{self.uuid} {self.amount:f} {self.updated_at}"


@dataclass(frozen=True, slots=True)
class InvoiceList:
    """All invoices, and the preview or None.

    Attributes:
        stopped: months with an invoice that cannot be read, and why.
        unplaced: why an invoice of unknown month cannot be read; it may bill any past month without an invoice.
    """

    invoices: list[Invoice]
    preview: Invoice | None
    stopped: dict[BillingPeriod, ProviderError] = field(default_factory=dict)
    unplaced: ContractChanged | None = None

    def of(self, period: BillingPeriod) -> list[Invoice]:
        """Invoices of a month by uuid: one, and earlier ones if usage passed a threshold within the month."""
        mine = [invoice for invoice in self.invoices if invoice.period == period]
        return sorted(mine, key=lambda invoice: invoice.uuid)

    def previewed(self, period: BillingPeriod) -> Invoice | None:
        """The preview if it is for this month, else None."""
        return self.preview if self.preview is not None and self.preview.period == period else None

    def problem(self, period: BillingPeriod, now: datetime) -> ProviderError | None:
        """Return why a month cannot be computed, if an invoice that bills it or may bill it cannot be read."""
        is_billed = bool(self.of(period)) or now < period.end
        return self.stopped.get(period) or (None if is_billed else self.unplaced)

    def may_be_closed(self, period: BillingPeriod, now: datetime) -> bool:
        """Whether a month is over, has an invoice, and the preview has moved on to a later month."""
        is_past = self.preview is None or self.preview.period > period
        return bool(self.of(period)) and now >= period.end and is_past


@dataclass(frozen=True, slots=True)
class BillingApi:
    """The billing endpoints of one payer.

    Attributes:
        api: client that sends the requests.
        urn: urn of the payer; empty if it is unknown.
        permission: what the credential needs for all of these endpoints; errors name it.
        clock_time: UTC instant of the call; no request asks for days after its day.
        context: keeps what is known about an invoice, and gets what could not be read and only explains costs.
    """

    api: Client
    urn: str
    permission: str
    clock_time: datetime
    context: ProviderContext

    def books(self) -> InvoiceList:
        """Return all invoices and the preview.

        Raises:
            ProviderError: the API could not be read; all methods that send requests raise this.
        """
        previews: list[Invoice | None] = []
        books = InvoiceList([], None)

        def seen(answer: ApiResponse) -> None:
            previews.append(answer.fields().optional("invoice_preview", _preview, None))

        for fields in self._list(_INVOICES, "invoices").objects(self.api, seen):
            try:
                period = _period(fields)
            except ContractChanged as error:
                self._warn_unread(error)
                books = replace(books, unplaced=error)
                continue
            try:
                books.invoices.append(Invoice(fields.identifier("invoice_uuid"), fields.money("amount"), period))
            except ContractChanged as error:
                self._warn_unread(error)
                books.stopped[period] = error
        return replace(books, preview=next(filter(None, reversed(previews)), None))

    def token(self, books: InvoiceList, period: BillingPeriod) -> str:
        """Return a hash of everything that determines the line items of a period; `NOTHING` if the API has no data for it.

        That is its invoices, and until the last of them the preview and the number of insights; DigitalOcean rebuilds both every night. The
        balance is not part of it: it may change at any time without changing any line item.
        """
        parts = [invoice.mark for invoice in books.of(period)]
        preview = books.previewed(period)
        is_closed = self.is_closed(books, period)
        problem = books.problem(period, self.clock_time)
        parts += [f"stopped {problem}"] if problem else []
        if is_closed:
            parts.append("settled" if self.is_settled(period) else "closed")
        else:
            parts += [preview.mark] if preview else []
            count = self._estimates_from(period) if self._is_recent(period) else 0
            parts += ["no insights"] if count is None else [f"insights {count}"] if count else []
        return hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else NOTHING

    def is_closed(self, books: InvoiceList, period: BillingPeriod) -> bool:
        """Whether the last invoice of a month has been issued.

        An invoice within the month differs from the last one: it was listed before the month was over, or its items end earlier. A month
        later this waits for no further invoice. It reads the items once, and only if nothing else decides.
        """
        if not books.may_be_closed(period, self.clock_time):
            return False
        if not self._is_recent(period):
            return True
        try:
            return any(self._is_last(invoice) for invoice in books.of(period))
        except ProviderError as error:
            books.stopped[period] = error
            return False

    def keep_within(self, books: InvoiceList) -> None:
        """Keep which invoices are listed within their month, except on its last day: that one may be the last invoice, issued early."""
        period = BillingPeriod.of(self.clock_time)
        if self.clock_time < period.end - _DAY:
            for invoice in books.of(period):
                self.context.snapshots.add(Snapshot(_kind(invoice), period, self.clock_time, _WITHIN))

    def is_settled(self, period: BillingPeriod) -> bool:
        """Whether no later night can estimate days of the period: two days have passed since its end."""
        return self.clock_time >= period.end + SETTLING

    def count(self, period: BillingPeriod, since: datetime | None = None) -> int:
        """Return how many insights a month has, or its days from the UTC midnight `since` on. This makes one request.

        Raises:
            CredentialRejected: the credential cannot read this payer.
            ProviderError: they could not be read.
        """
        self._refuse_no_urn()
        path = self._insights_path(since or period.start, min(self._tomorrow, period.end) - _DAY)
        try:
            answer = self.api.get(path, _INSIGHTS.params(None, 1), permission=self.permission)
        except ResourceNotFound:
            raise CredentialRejected(
                f"account_urn: {self.urn!r} has no billing insights for this credential; connect again with the urn of its team, or none"
            ) from None
        return answer.fields().whole("total_items")

    def insights(self, period: BillingPeriod) -> Iterator[DailyEstimate]:
        """Yield the insights of a month, which this reads in two halves.

        The API accepts at most 31 days, and does not document whether it includes the last of them. So this requests each half with the day
        after it, and then drops that day.

        Raises:
            ProviderError: they could not be read.
        """
        self._refuse_no_urn()
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
        """Yield the items of an invoice of `period`, or of the `PREVIEW`."""
        for fields in self._list(_path(uuid), "invoice_items").objects(self.api):
            yield _line(fields, period, None if uuid == PREVIEW else uuid)

    def parts(self, invoice: Invoice) -> InvoiceParts:
        """Return the summary of an invoice, or of the preview."""
        answer = self.api.get(f"{_path(invoice.uuid)}/summary", permission=self.permission)
        return InvoiceParts.of(answer.fields(), invoice.amount)

    def usage(self) -> tuple[Decimal, datetime]:
        """Return the balance's usage of the month so far in USD, and its UTC instant."""
        balance = self.api.get("/v2/customers/my/balance", permission=self.permission).fields()
        return balance.money("month_to_date_usage"), balance.time("generated_at")

    def _estimates_from(self, period: BillingPeriod, since: datetime | None = None) -> int | None:
        """As `count`; None if the insights cannot be read."""
        return INSIGHTS.read(self.context, lambda: self.count(period, since), None)

    def _refuse_no_urn(self) -> None:
        if not self.urn:
            raise CredentialRejected(
                "insights: the team of the token is not known: give the token account:read, or set account_urn"
            )

    def _warn_unread(self, error: ContractChanged) -> None:
        self.context.warnings.add(
            "invoice-not-read", "an invoice cannot be read: its month is not collected", 1, str(error)
        )

    def _is_last(self, invoice: Invoice) -> bool:
        """Whether the items of an invoice reach the end of its month, or the days after its last item have no estimates."""
        period = invoice.period
        kept = self.context.snapshots.newest(_kind(invoice), period)
        if kept is None:
            body = str(self._reach(invoice)).encode()
            kept = Snapshot(_kind(invoice), period, self.clock_time, body)
            self.context.snapshots.add(kept)
        if kept.body == _WITHIN:
            return False
        reach = datetime.fromisoformat(kept.body.decode())
        return reach >= period.end or self._estimates_from(period, min(_ceiling(reach), period.end - _DAY)) == 0

    def _reach(self, invoice: Invoice) -> datetime:
        """UTC instant at which the last item of an invoice ends; an item that ends in the last hour of the month reaches its end."""
        period, reach = invoice.period, invoice.period.start
        for fields in self._list(_path(invoice.uuid), "invoice_items").objects(self.api):
            times = _times(fields)
            reach = max(reach, times[1]) if times else reach
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
    """Return the UTC instant at which a day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _ceiling(moment: datetime) -> datetime:
    """The first midnight at or after a UTC instant."""
    begin = midnight(moment.date())
    return begin if begin == moment else begin + _DAY


def _kind(invoice: Invoice) -> str:
    return f"reach of invoice {invoice.uuid}"


def _path(uuid: str) -> str:
    return f"{_INVOICES}/{quote(uuid, safe='')}"


def _preview(answer: JsonFields, name: str) -> Invoice | None:
    fields = answer.object_or_none(name)
    if fields is None:
        return None
    amount = fields.optional("amount", JsonFields.money, Decimal(0))
    return Invoice(PREVIEW, amount, _period(fields), fields.optional("updated_at", JsonFields.text, ""))


def _period(fields: JsonFields) -> BillingPeriod:
    try:
        return BillingPeriod.parse(fields.text("invoice_period"))
    except ValueError:
        fields.refuse("invoice_period", "a month such as 2026-11")


def _estimate(fields: JsonFields) -> DailyEstimate:
    moment = parse_time(fields.text("start_date"))
    if moment is None:
        fields.refuse("start_date", "a day such as 2026-11-01")
    place = tuple(fields.optional(name, JsonFields.text, "") for name in ("region", "sku", "usage_team_urn"))
    return DailyEstimate(_key(fields), moment.date(), fields.money("total_amount"), place)


def _line(fields: JsonFields, period: BillingPeriod, invoice_id: str | None) -> InvoiceLine:
    ids = (fields.optional(name, JsonFields.identifier, "") for name in ("resource_uuid", "resource_id"))
    start, end = _times(fields) or (period.start, period.end)
    return InvoiceLine(
        key=_key(fields),
        amount=fields.money("amount"),
        product=fields.optional("product", JsonFields.text, ""),
        resource=tuple(filter(None, ids)),
        project=fields.optional("project_name", JsonFields.text, "") or None,
        start=start,
        end=end,
        quantity=fields.optional("duration", JsonFields.money, None),
        unit=fields.optional("duration_unit", JsonFields.text, None),
        invoice_id=invoice_id,
    )


def _times(fields: JsonFields) -> tuple[datetime, datetime] | None:
    """Start and end of an item; None if it does not state both, in this order."""
    start, end = (fields.optional(name, JsonFields.time, None) for name in ("start_time", "end_time"))
    return None if start is None or end is None or start >= end else (start, end)


def _key(fields: JsonFields) -> tuple[str, str]:
    group, description = (fields.optional(name, JsonFields.text, "") for name in ("group_description", "description"))
    return group, description
