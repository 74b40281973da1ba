"""Base class of sessions of clouds that report a running total while a month is open, and an invoice afterwards.

Its subclass only says what to request, how to parse fields into lines, and how to write charges into rows. A running total that was not
read is lost, so it is kept before anything else is asked. What only explains costs (`Explanation`) may fail in any way. An invoice that
cannot be read stops the months that it may bill, and no other.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import partial
from typing import ClassVar, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import ContractChanged, NothingThere, ProviderError
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.domain.invoices import Invoice, InvoicePart, InvoiceStatement
from optiinfra_assets.line_items.row_batches import LineItemRow
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.base import LineItemStream
from optiinfra_assets.providers.context import ProviderContext, Snapshot
from optiinfra_assets.providers.http.api_provider import ApiSession, Credential
from optiinfra_assets.providers.http.client import ApiResponse
from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.http.pagination import PagedList, joined, objects_in
from optiinfra_assets.providers.running_totals.explanations import Explanation
from optiinfra_assets.providers.running_totals.focus_columns import BillingColumns
from optiinfra_assets.providers.running_totals.instances import Instance, InstanceHistory
from optiinfra_assets.providers.running_totals.invoice_months import (
    ListedInvoice,
    invoices_of,
    lines_before,
    may_bill,
)
from optiinfra_assets.providers.running_totals.kept_invoice_parts import kept_parts
from optiinfra_assets.providers.running_totals.month import (
    MONTHS_BACK,
    AccruedCharge,
    ChargeLine,
    IssuedInvoice,
    Lines,
    RunningMonth,
    measures,
    span_of,
)
from optiinfra_assets.providers.running_totals.readings import Key, billed_in, daily, total

INSTANCES: Final = "instances"
"""Kind of the snapshots of machines."""


@dataclass(frozen=True, slots=True)
class MemoFigures:
    """Figures of an account that are part of no line item. They are kept when a day begins, and shown with the lineage.

    Attributes:
        kind: kind of their snapshots.
        path: path of their endpoint.
        permission: what the credential needs for them.
        endpoint: what is missing without them.
        read: returns them by name from the response.
    """

    kind: str
    path: str
    permission: str
    endpoint: AuxiliaryEndpoint
    read: Callable[[JsonFields], dict[str, str]]


class RunningTotalSession(ApiSession[Credential]):
    """One call to a cloud that reports a running total, and an invoice afterwards.

    Attributes:
        currency: currency of all amounts.
        kind: kind of the snapshots of the running total.
        figures: memo figures that are kept beside it and shown with the lineage.
        machine_list: list of the current machines.
        machines_endpoint: what is missing without that list.
        zone: time zone in which the invoiced months begin.
        began: UTC instant from which the account exists, None if unknown.
        keeps_days: an invoiced month keeps the rows of its readings; if False, it becomes the lines of its invoices.
        token_suffix: end of each token, for a setting that changes the rows.
        stopped: months with an invoice that cannot be read, and why; known once `invoices` was called.
        unplaced: why an invoice of unknown month cannot be read; it may bill any past month without a last invoice.
    """

    currency: ClassVar[str] = "USD"
    kind: ClassVar[str]
    figures: ClassVar[tuple[MemoFigures, ...]]
    machine_list: ClassVar[PagedList]
    machines_endpoint: ClassVar[AuxiliaryEndpoint]
    zone: tzinfo = UTC
    began: datetime | None = None
    keeps_days: bool = True
    token_suffix: str = ""
    unplaced: ContractChanged | None = None

    def __init__(self, credential: Credential, context: ProviderContext) -> None:
        super().__init__(credential, context)
        self.stopped: dict[BillingPeriod, ProviderError] = {}
        self._unread: dict[str, ContractChanged] = {}

    @abstractmethod
    def owed(self) -> ApiResponse:
        """Return the running total, in a response that is kept as a snapshot."""

    @abstractmethod
    def lines(self, fields: JsonFields) -> Lines:
        """Parse the running total into lines."""

    @abstractmethod
    def invoice_list(self) -> PagedList:
        """Return the list of all invoices."""

    @abstractmethod
    def issued_at(self, invoice: JsonFields) -> datetime:
        """Return the UTC instant at which an invoice of the list was issued. Raises ContractChanged."""

    @abstractmethod
    def listed(self, invoice: JsonFields, issued_at: datetime) -> ListedInvoice:
        """Parse an invoice of the list. Raises ContractChanged."""

    @abstractmethod
    def items(self, invoice_id: str) -> PagedList:
        """Return the list of the items of an invoice."""

    @abstractmethod
    def dates(self, item: JsonFields) -> tuple[str, str]:
        """Return start and end of an item as ISO texts."""

    @abstractmethod
    def invoice_lines(self, month: RunningMonth, invoice: IssuedInvoice) -> Iterable[ChargeLine]:
        """Return the lines of an invoice, which add up to its amount."""

    @abstractmethod
    def part(self, line: ChargeLine) -> InvoicePart:
        """Return a line of an invoice as a part of it, of the category and service that `row` gives it."""

    @abstractmethod
    def billing(self, period: BillingPeriod) -> BillingColumns:
        """Return the values that all line items of a period share."""

    @abstractmethod
    def row(self, charge: AccruedCharge, billing: BillingColumns, machines: InstanceHistory) -> LineItemRow:
        """Return the line item of a charge."""

    @abstractmethod
    def machine(self, fields: JsonFields) -> Instance | None:
        """Parse an object of `machine_list`; None if it has no id."""

    def tokens(self, since: Mapping[BillingPeriod, str]) -> dict[BillingPeriod, str]:
        """Keep a reading, and return the token of each of the last `MONTHS_BACK` periods that has readings or invoices.

        This considers periods with an invoice, periods that were collected before (`since`), and all periods after the last closed one.
        """
        invoices = self.take_reading()
        current = BillingPeriod.of(self.context.clock())
        oldest = current.shift(1 - MONTHS_BACK)
        period = max([oldest, *(invoice.period.shift(1) for invoice in invoices if invoice.closes)])
        periods = {*since, *(invoice.period for invoice in invoices)}
        while period <= current:
            periods.add(period)
            period = period.shift(1)
        recent = [one for one in sorted(periods) if oldest <= one <= current]
        tokens = {one: self.token(one, invoices) for one in recent}
        return {one: token for one, token in tokens.items() if token}

    def token(self, period: BillingPeriod, invoices: Iterable[IssuedInvoice]) -> str:
        """Return a hash of everything that determines the charges of a period; an empty string if it has no data.

        That is its invoices, and until the last invoice the amount of each line of the newest reading. A change of a quantity alone does
        not change the token.
        """
        mine = [invoice for invoice in invoices if invoice.period == period]
        parts = sorted(f"{invoice.invoice_id} {plain(invoice.amount)}" for invoice in mine)
        is_closed = any(invoice.closes for invoice in mine)
        newest = None if is_closed else self.context.snapshots.newest(self.kind, period)
        if newest is not None:
            costs = _costs(self._kept_lines(newest))
            parts += [self.kind, *sorted(f"{key} {plain(cost)}" for key, cost in costs.items())]
        problem = self._problem(period, is_closed)
        parts += [f"stopped {problem}"] if problem else []
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return digest + self.token_suffix if parts else ""

    def month(self, period: BillingPeriod) -> tuple[LineItemStream, Iterator[LineItemRow]]:
        """Compute the month from the kept readings and the issued invoices. It is final with the last invoice.

        If the current period has no reading yet, this takes the first one.

        Raises:
            ProviderError: an invoice that bills this month, or may bill it, cannot be read.
        """
        is_current = period == BillingPeriod.of(self.context.clock())
        is_unread = is_current and self.context.snapshots.newest(self.kind, period) is None
        invoices = self.take_reading() if is_unread else self.invoices(period, period)
        month = self._known(period, invoices)
        problem = self._problem(period, month.is_closed)
        if problem is not None:
            raise problem
        for explanation in self._explanations():
            explanation.warn(self.context, period)
        collection = LineItemStream(
            batches=iter(()),
            change_token=self.token(period, invoices),
            sources=[*month.sources(), *self.said_besides(period)],
            control_totals={self.currency: month.invoiced} if month.is_closed else None,
            data_through=month.data_through,
            is_final=month.is_closed,
        )
        return collection, self._rows(month, self.billing(period))

    def stated(self, period: BillingPeriod) -> InvoiceStatement:
        """Return the invoices of a month with the sums of their lines, which are read once."""
        mine = [one for one in self.invoices(period, period) if one.period == period]
        problem = self._problem(period, any(one.closes for one in mine))
        if problem is not None:
            raise problem
        month = RunningMonth(period, mine, (), self._kept_lines)
        issuer = self.billing(period).issuer if mine else ""
        return InvoiceStatement(tuple(self._stated(one, month, issuer) for one in mine))

    def _stated(self, invoice: IssuedInvoice, month: RunningMonth, issuer: str) -> Invoice:
        def read() -> Iterator[InvoicePart]:
            return map(self.part, self.invoice_lines(month, invoice))

        return Invoice(
            invoice_id=invoice.invoice_id,
            issuer=issuer,
            billing_period=month.period,
            currency=self.currency,
            total=invoice.amount,
            parts=kept_parts(self.context, month.period, invoice.invoice_id, invoice.amount, read),
            issued_at=invoice.issued_at,
        )

    def take_reading(self) -> list[IssuedInvoice]:
        """Keep what the account owes now, and return its invoices for the last `MONTHS_BACK` months.

        This requests the running total first. If its invoice is issued in between, the reading counts for the new month, and the next
        reading corrects that. In the other order, the reset would appear in the old month as a fall to zero.

        A reading is kept if it is the first of a UTC day, or if the cost of a line differs from the previous reading. Dates and quantities
        change with every reading; keeping those would store thousands of readings a month that determine no charge.
        """
        answer = self.owed()
        lines, current = self.lines(answer.fields()), BillingPeriod.of(answer.asked_at)
        last = self._last(answer.asked_at)
        try:
            invoices = self.invoices(current.shift(1 - MONTHS_BACK), current)
        except NothingThere:
            raise
        except ProviderError:
            if last is None or last[0] == current:  # no invoice can change its month, and nobody can read it again
                self._keep_reading(current, answer, lines)
            raise
        closed = {invoice.period for invoice in invoices if invoice.closes}
        period = billed_in(answer.asked_at, total(measures(lines)), last, closed)
        # The machines may have changed when a day begins or a line appears.
        is_new = self._keep_reading(period, answer, lines)
        for explanation in self._explanations():
            if is_new or explanation.is_due(self.context, period):
                explanation.keep(self.context, period)
        return invoices

    def _keep_reading(self, period: BillingPeriod, answer: ApiResponse, lines: Lines) -> bool:
        """Keep a reading if it tells something new; return whether it begins a day or has a line that the last one did not have."""
        before = self.context.snapshots.newest(self.kind, period)
        begins_day = before is None or before.taken_at.date() != answer.asked_at.date()
        known = self._kept_lines(before) if before and not begins_day else {}
        if begins_day or _costs(lines) != _costs(known):
            self.context.snapshots.add(Snapshot(self.kind, period, answer.asked_at, answer.body))
        return begins_day or bool(lines.keys() - known.keys())

    def invoices(self, oldest: BillingPeriod, latest: BillingPeriod) -> list[IssuedInvoice]:
        """Return the invoices that may bill the months from `oldest` to `latest` (both inclusive).

        An invoice that cannot be read is among them, without an amount; it stops its month.
        """
        self.stopped.clear()
        issued = self._issued(partial(may_bill, oldest=oldest, latest=latest))
        found = list(invoices_of(issued, self.zone, self.began, self._bills_before))
        self.stopped |= {one.period: self._unread[one.invoice_id] for one in found if one.invoice_id in self._unread}
        return found

    def _issued(self, is_near: Callable[[datetime], bool]) -> Iterator[ListedInvoice]:
        for invoice in self.invoice_list().objects(self.api):
            try:
                invoice_id, issued_at = invoice.identifier("id"), self.issued_at(invoice)
            except ContractChanged as error:
                self.unplaced = error
                self._warn_unread(error)
                continue
            if is_near(issued_at):
                yield self._listed(invoice, invoice_id, issued_at)

    def _listed(self, invoice: JsonFields, invoice_id: str, issued_at: datetime) -> ListedInvoice:
        try:
            return self.listed(invoice, issued_at)
        except ContractChanged as error:
            self._warn_unread(error)
            self._unread[invoice_id] = error
            return ListedInvoice(invoice_id, issued_at, Decimal(0))

    def _warn_unread(self, error: ContractChanged) -> None:
        self.context.warnings.add(
            "invoice-not-read", "an invoice cannot be read: its month is not collected", 1, str(error)
        )

    def _problem(self, period: BillingPeriod, is_closed: bool) -> ProviderError | None:
        """Return why a month cannot be computed, if an invoice that bills it or may bill it cannot be read."""
        is_open = is_closed or self.context.clock() < period.end
        return self.stopped.get(period) or (None if is_open else self.unplaced)

    def said_besides(self, period: BillingPeriod) -> list[dict[str, str]]:
        """Return the newest memo figures of a period, for the lineage."""
        said = []
        for figures in self.figures:
            newest = self.context.snapshots.newest(figures.kind, period)
            if newest is not None:
                read = figures.read(JsonFields.parse(newest.body, figures.kind, note=self.context.leave_out))
                said.append({"kind": figures.kind, "taken_at": newest.taken_at.isoformat(), **read})
        return said

    def _explanations(self) -> Iterator[Explanation]:
        for figures in self.figures:
            yield Explanation(figures.kind, figures.endpoint, partial(self._read_figures, figures))
        yield Explanation(INSTANCES, self.machines_endpoint, self._read_machines)

    def _read_figures(self, figures: MemoFigures) -> tuple[datetime, bytes]:
        answer = self.api.get(figures.path, permission=figures.permission)
        figures.read(answer.fields())  # what does not parse is not kept
        return answer.asked_at, answer.body

    def _read_machines(self) -> tuple[datetime, bytes]:
        pages = self.machine_list.answers(self.api)
        self._machines(joined(pages))
        return pages[0].asked_at, joined(pages)

    def _bills_before(self, invoice_id: str, month: BillingPeriod) -> bool | None:
        """Decide by the items of an invoice; if they cannot be read, stop both months that it may bill."""
        try:
            return self._told_by_items(invoice_id, month)
        except ProviderError as error:
            self.stopped |= {month: error, month.shift(-1): error}
            return None

    def _told_by_items(self, invoice_id: str, month: BillingPeriod) -> bool | None:
        """Decide by the first page of the items. An invoice never changes, so this requests the page once, and keeps it if it parses."""
        items, snapshots = self.items(invoice_id), self.context.snapshots
        kind = f"items of invoice {invoice_id}"
        page = snapshots.newest(kind, month)
        if page is None:
            answer = items.page(self.api)
            page = Snapshot(kind, month, answer.asked_at, answer.body)
        lines = JsonFields.parse(page.body, items.path).objects(items.name)
        before = lines_before([span_of(*self.dates(line)) for line in lines], month, self.zone)
        snapshots.add(page)
        return before

    def _known(self, period: BillingPeriod, invoices: Iterable[IssuedInvoice]) -> RunningMonth:
        mine = sorted(
            (one for one in invoices if one.period == period), key=lambda one: (one.issued_at, one.invoice_id)
        )
        taken = self.context.snapshots.taken(self.kind, period)
        wanted = [taken[number] for number in daily(period, taken)]
        cuts = self.context.snapshots.read(self.kind, period, wanted)
        month = RunningMonth(period, mine, cuts, self._kept_lines)
        return month if self.keeps_days or not month.is_closed else replace(month, cuts=())

    def _last(self, before: datetime) -> tuple[BillingPeriod, Decimal] | None:
        for back in range(MONTHS_BACK):
            period = BillingPeriod.of(before).shift(-back)
            newest = self.context.snapshots.newest(self.kind, period)
            if newest is not None:
                return period, total(measures(self._kept_lines(newest)))
        return None

    def _rows(self, month: RunningMonth, billing: BillingColumns) -> Iterator[LineItemRow]:
        machines = InstanceHistory(self.context.snapshots.read(INSTANCES, month.period), self._machines)
        for charge in month.charges(partial(self.invoice_lines, month)):
            yield self.row(charge, billing, machines)

    def _machines(self, body: bytes) -> list[Instance]:
        found = objects_in(body, self.machine_list.name, INSTANCES, self.context.leave_out)
        return [machine for machine in map(self.machine, found) if machine is not None]

    def _kept_lines(self, snapshot: Snapshot) -> Lines:
        where = f"{self.kind} of {snapshot.taken_at}"
        return self.lines(JsonFields.parse(snapshot.body, where, note=self.context.leave_out))


def _costs(lines: Lines) -> dict[Key, Decimal]:
    return {key: line.measure.cost for key, line in lines.items()}
