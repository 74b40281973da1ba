"""Base classes of providers that read an HTTP API in sessions of one client, and of those that keep readings of running totals.

A provider has no state. A session has it for one call: credential, context and, while it is open, the client. `ApiSession` is for any cloud
that is read month by month. `RunningTotalSession` is for a cloud that reports a running total while a month is open, and an invoice
afterwards: its subclass only says what to request, how to parse fields into lines, and how to write charges into rows.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar, Final, Generic, Self, TypeVar

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import CredentialRejected
from optiinfra_assets.line_items.row_batches import LineItemRow, record_batches
from optiinfra_assets.providers.base import LineItemStream, Probe, Provider
from optiinfra_assets.providers.context import ProviderContext, Snapshot, transient_context
from optiinfra_assets.providers.http.client import ApiResponse, Client
from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.http.pagination import PagedList, joined, objects_in
from optiinfra_assets.providers.running_totals.focus_columns import BillingColumns
from optiinfra_assets.providers.running_totals.instances import Instance, InstanceHistory
from optiinfra_assets.providers.running_totals.invoice_months import (
    ListedInvoice,
    invoices_of,
    lines_before,
    may_bill,
)
from optiinfra_assets.providers.running_totals.month import (
    MONTHS_BACK,
    AccruedCharge,
    ChargeLine,
    IssuedInvoice,
    Lines,
    RunningMonth,
    measures,
    plain,
    span_of,
)
from optiinfra_assets.providers.running_totals.readings import Key, billed_in, daily, total

INSTANCES: Final = "instances"
"""Kind of the snapshots of machines."""

Credential = TypeVar("Credential")


class ApiSession(ABC, Generic[Credential]):
    """One call of a provider.

    Attributes:
        columns: columns of its rows: FOCUS names, and names that begin with ``x_``.
        api: its HTTP client, while it is open.
    """

    columns: ClassVar[tuple[str, ...]]
    api: Client

    def __init__(self, credential: Credential, context: ProviderContext) -> None:
        self.credential = credential
        self.context = context

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Open the session: yield itself with a new client in `api`, and close that client afterwards."""
        with self.client() as self.api:
            yield self

    @abstractmethod
    def client(self) -> Client:
        """Return a client that sends the credential."""

    @abstractmethod
    def account_name(self) -> str:
        """Prove that the credential may read costs, and return id and name of its one account."""

    @abstractmethod
    def tokens(self, since: Mapping[BillingPeriod, str]) -> Mapping[BillingPeriod, str]:
        """Return the change token of each period that the source has now; `since` has the tokens of the last collection."""

    @abstractmethod
    def month(self, period: BillingPeriod) -> tuple[LineItemStream, Iterator[LineItemRow]]:
        """Return the stream of a period without its batches, and its rows, which are read when the session is opened again."""


class ApiProvider(Provider):
    """A provider that reads an API in sessions."""

    @abstractmethod
    def session(self, account: Account, context: ProviderContext) -> ApiSession[Any]:
        """Return a session that is not open yet.

        Raises:
            BadData: the settings of the account are not accepted.
        """

    def discover(self, account: Account, context: ProviderContext | None = None) -> list[str]:
        """Return id and name of the one account of the credential. Raises the errors of `Provider.discover`."""
        with self.session(account, context or transient_context()).opened() as session:
            return [session.account_name()]

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext) -> Probe:
        """Return the tokens of those of the last 13 periods with data. Raises the errors of `Provider.probe`, and then keeps no cost."""
        with self.session(account, context).opened() as session:
            return Probe(session.tokens(since), session.api.meter.requests)

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        """Stream the line items of one period, none if it has no data. Raises the errors of `Provider.collect`."""
        with self.session(account, context).opened() as session:
            collection, rows = session.month(billing_period)
            collection.requests = session.api.meter.requests
        stream = _streamed(session, rows, collection)
        where = f"{self.title} {billing_period}"
        collection.batches = record_batches(stream, session.columns, collection.rounding, where=where)
        return collection


def _streamed(
    session: ApiSession[Any], rows: Iterator[LineItemRow], collection: LineItemStream
) -> Iterator[LineItemRow]:
    with session.opened():
        yield from rows
        collection.requests += session.api.meter.requests


@dataclass(frozen=True, slots=True)
class MemoFigures:
    """Figures of an account that are part of no line item. They are kept when a day begins, and shown with the lineage.

    Attributes:
        kind: kind of their snapshots.
        path: path of their endpoint.
        permission: what the credential needs for them; without it they are left out.
        read: returns them by name from the response.
    """

    kind: str
    path: str
    permission: str
    read: Callable[[JsonFields], dict[str, str]]


class RunningTotalSession(ApiSession[Credential]):
    """One call to a cloud that reports a running total, and an invoice afterwards.

    Attributes:
        currency: currency of all amounts.
        kind: kind of the snapshots of the running total.
        figures: memo figures that are kept beside it and shown with the lineage.
        machine_list: list of the current machines.
        zone: time zone in which the invoiced months begin.
        began: UTC instant from which the account exists, None if unknown.
        keeps_days: an invoiced month keeps the rows of its readings; if False, it becomes the lines of its invoices.
        token_suffix: end of each token, for a setting that changes the rows.
    """

    currency: ClassVar[str] = "USD"
    kind: ClassVar[str]
    figures: ClassVar[tuple[MemoFigures, ...]]
    machine_list: ClassVar[PagedList]
    zone: tzinfo = UTC
    began: datetime | None = None
    keeps_days: bool = True
    token_suffix: str = ""

    @abstractmethod
    def owed(self) -> ApiResponse:
        """Return the running total, in a response that is kept as a snapshot."""

    @abstractmethod
    def lines(self, fields: JsonFields) -> Lines:
        """Parse the running total into lines."""

    @abstractmethod
    def issued(self, is_near: Callable[[datetime], bool]) -> Iterable[ListedInvoice]:
        """Return those invoices for whose UTC instant of issue `is_near` is True."""

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
    def billing(self, period: BillingPeriod) -> BillingColumns:
        """Return the values that all line items of a period share."""

    @abstractmethod
    def row(self, charge: AccruedCharge, billing: BillingColumns, machines: InstanceHistory) -> LineItemRow:
        """Return the line item of a charge."""

    @abstractmethod
    def machine(self, fields: JsonFields) -> Instance:
        """Parse an object of `machine_list`."""

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
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return digest + self.token_suffix if parts else ""

    def month(self, period: BillingPeriod) -> tuple[LineItemStream, Iterator[LineItemRow]]:
        """Compute the month from the kept readings and the issued invoices. It is final with the last invoice.

        If the current period has no reading yet, this takes the first one.
        """
        is_current = period == BillingPeriod.of(self.context.clock())
        is_unread = is_current and self.context.snapshots.newest(self.kind, period) is None
        invoices = self.take_reading() if is_unread else self.invoices(period, period)
        month = self._known(period, invoices)
        collection = LineItemStream(
            batches=iter(()),
            change_token=self.token(period, invoices),
            sources=[*month.sources(), *self.said_besides(period)],
            control_totals={self.currency: month.invoiced} if month.is_closed else None,
            data_through=month.data_through,
            is_final=month.is_closed,
        )
        return collection, self._rows(month, self.billing(period))

    def take_reading(self) -> list[IssuedInvoice]:
        """Keep what the account owes now, and return its invoices for the last `MONTHS_BACK` months.

        This requests the running total first. If its invoice is issued in between, the reading counts for the new month, and the next
        reading corrects that. In the other order, the reset would appear in the old month as a fall to zero.

        A reading is kept if it is the first of a UTC day, or if the cost of a line differs from the previous reading. Dates and quantities
        change with every reading; keeping those would store thousands of readings a month that determine no charge.
        """
        answer = self.owed()
        lines, current = self.lines(answer.fields()), BillingPeriod.of(answer.asked_at)
        invoices = self.invoices(current.shift(1 - MONTHS_BACK), current)
        closed = {invoice.period for invoice in invoices if invoice.closes}
        period = billed_in(answer.asked_at, total(measures(lines)), self._last(answer.asked_at), closed)
        before = self.context.snapshots.newest(self.kind, period)
        begins_day = before is None or before.taken_at.date() != answer.asked_at.date()
        known = self._kept_lines(before) if before and not begins_day else {}
        if begins_day or _costs(lines) != _costs(known):
            # The machines may have changed when a day begins or a line appears.
            surroundings = list(self._surroundings(period)) if lines.keys() - known.keys() or begins_day else []
            for snapshot in (*surroundings, Snapshot(self.kind, period, answer.asked_at, answer.body)):
                self.context.snapshots.add(snapshot)
        return invoices

    def invoices(self, oldest: BillingPeriod, latest: BillingPeriod) -> list[IssuedInvoice]:
        """Return the invoices that may bill the months from `oldest` to `latest` (both inclusive)."""
        issued = self.issued(partial(may_bill, oldest=oldest, latest=latest))
        return list(invoices_of(issued, self.zone, self.began, self._bills_before))

    def said_besides(self, period: BillingPeriod) -> list[dict[str, str]]:
        """Return the newest memo figures of a period, for the lineage."""
        said = []
        for figures in self.figures:
            newest = self.context.snapshots.newest(figures.kind, period)
            if newest is not None:
                read = figures.read(JsonFields.parse(newest.body, figures.kind))
                said.append({"kind": figures.kind, "taken_at": newest.taken_at.isoformat(), **read})
        return said

    def _surroundings(self, period: BillingPeriod) -> Iterator[Snapshot]:
        """Yield snapshots of memo figures and machines that the credential may read. Raises ContractChanged if one does not parse."""
        for figures in self.figures:
            with suppress(CredentialRejected):
                answer = self.api.get(figures.path, permission=figures.permission)
                figures.read(answer.fields())
                yield Snapshot(figures.kind, period, answer.asked_at, answer.body)
        with suppress(CredentialRejected):
            pages = self.machine_list.answers(self.api)
            self._machines(joined(pages))
            yield Snapshot(INSTANCES, period, pages[0].asked_at, joined(pages))

    def _bills_before(self, invoice_id: str, month: BillingPeriod) -> bool | None:
        """Decide by the first page of its items. An invoice never changes, so this requests the page once, and keeps it if it parses."""
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
        return [self.machine(fields) for fields in objects_in(body, self.machine_list.name, INSTANCES)]

    def _kept_lines(self, snapshot: Snapshot) -> Lines:
        return self.lines(JsonFields.parse(snapshot.body, f"{self.kind} of {snapshot.taken_at}"))


def _costs(lines: Lines) -> dict[Key, Decimal]:
    return {key: line.measure.cost for key, line in lines.items()}
