"""Providers that ask an HTTP API in sessions of one client; and among them those that keep readings of running totals.

A provider holds no state; a session does, for one call: credential, context and, while it is open, the client. `ApiSession` serves any
cloud that is asked month by month. `RunningTotalSession` serves one that tells a running total while a month is open and an invoice after
it: that cloud is left with what to ask, how fields become lines, and how charges become rows.
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
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext, Snapshot, utc_now
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
        columns: of its rows: FOCUS names, and those that begin with ``x_``.
        api: what it asks with, while it is open.
    """

    columns: ClassVar[tuple[str, ...]]
    api: Client

    def __init__(self, credential: Credential, context: ProviderContext) -> None:
        self.credential = credential
        self.context = context

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Itself, with a new client in `api`."""
        with self.client() as self.api:
            yield self

    @abstractmethod
    def client(self) -> Client:
        """A client that sends the credential."""

    @abstractmethod
    def account_name(self) -> str:
        """Id and name of the one account of the credential, once it has been proven to read costs."""

    @abstractmethod
    def tokens(self, since: Mapping[BillingPeriod, str]) -> Mapping[BillingPeriod, str]:
        """The change token of each period the source has now; `since` holds those of the last collection."""

    @abstractmethod
    def month(self, period: BillingPeriod) -> tuple[LineItemStream, Iterator[LineItemRow]]:
        """What is known of a period, without batches; and its rows, which are read while the session is open for a second time."""


class ApiProvider(Provider):
    """A provider with sessions."""

    @abstractmethod
    def session(self, account: Account, context: ProviderContext) -> ApiSession[Any]:
        """A session, not open yet.

        Raises:
            BadData: the settings of the account are not accepted.
        """

    def discover(self, account: Account) -> list[str]:
        """Id and name of the one account of the credential; errors as of `Provider`."""
        with self.session(account, ProviderContext(utc_now, MemorySnapshots())).opened() as session:
            return [session.account_name()]

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext) -> Probe:
        """The tokens of the last 13 periods, as far as something is told of them; errors as of `Provider`, and then no cost is kept."""
        with self.session(account, context).opened() as session:
            return Probe(session.tokens(since), session.api.meter.requests)

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        """Line items of one period; one of which nothing is told is empty. Errors as of `Provider`."""
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
    """Figures of an account that are part of no line item: kept when a day begins, and said with the lineage.

    Attributes:
        kind: of their snapshots.
        path: where they are asked for.
        permission: what the credential needs for them; without it they are left out.
        read: takes them out of the answer, by name.
    """

    kind: str
    path: str
    permission: str
    read: Callable[[JsonFields], dict[str, str]]


class RunningTotalSession(ApiSession[Credential]):
    """A call to a cloud that tells a running total, and an invoice after it.

    Attributes:
        currency: of all amounts.
        kind: of the snapshots of the running total.
        figures: kept and said beside it.
        machine_list: the machines there are now.
        zone: in which the invoiced months begin.
        began: UTC instant from which the account exists, if known.
        keeps_days: a month that is invoiced keeps the rows of its readings; else it becomes the lines of its invoices.
        token_suffix: ends each token: a setting that makes the rows other ones.
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
        """The running total, in an answer that is kept."""

    @abstractmethod
    def lines(self, fields: JsonFields) -> Lines:
        """The running total by line."""

    @abstractmethod
    def issued(self, is_near: Callable[[datetime], bool]) -> Iterable[ListedInvoice]:
        """Of all invoices those whose instant is near the months of interest."""

    @abstractmethod
    def items(self, invoice_id: str) -> PagedList:
        """The items of an invoice."""

    @abstractmethod
    def dates(self, item: JsonFields) -> tuple[str, str]:
        """Begin and end of an item, as text."""

    @abstractmethod
    def invoice_lines(self, month: RunningMonth, invoice: IssuedInvoice) -> Iterable[ChargeLine]:
        """The lines of an invoice, which add up to its amount."""

    @abstractmethod
    def billing(self, period: BillingPeriod) -> BillingColumns:
        """What all line items of a period have in common."""

    @abstractmethod
    def row(self, charge: AccruedCharge, billing: BillingColumns, machines: InstanceHistory) -> LineItemRow:
        """The line item of a charge."""

    @abstractmethod
    def machine(self, fields: JsonFields) -> Instance:
        """An object of `machine_list`."""

    def tokens(self, since: Mapping[BillingPeriod, str]) -> dict[BillingPeriod, str]:
        """Keep a reading, and give the token of each of the last `MONTHS_BACK` periods that has readings or invoices.

        Looked at are periods with an invoice, those that were collected before (`since`), and all after the last closed one.
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
        """A hash of what the charges of a period follow from, empty if there is nothing.

        That is its invoices, and until the last of them the amount of each line of the newest reading. Quantities alone do not count.
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
        """From the readings that were kept and the invoices that were issued; final with the last invoice.

        Of the current period a first reading is taken if there is none.
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
        """Keep what the account owes now; give the invoices it has for the months that are of interest.

        The running total is asked for first. If its invoice is issued in between, it is taken for the new month, and the next reading puts
        that right; the other way round, the reset would stand in the old month as a fall to nothing.

        A reading is kept if it begins a day, or if some line amounts to something else than in the one before. Dates and quantities alone
        move with every reading; kept, they would be thousands a month that no charge follows from.
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
            # The machines may be others when a day begins or a line appears.
            surroundings = list(self._surroundings(period)) if lines.keys() - known.keys() or begins_day else []
            for snapshot in (*surroundings, Snapshot(self.kind, period, answer.asked_at, answer.body)):
                self.context.snapshots.add(snapshot)
        return invoices

    def invoices(self, oldest: BillingPeriod, latest: BillingPeriod) -> list[IssuedInvoice]:
        """The invoices that may bill the months from `oldest` to `latest`."""
        issued = self.issued(partial(may_bill, oldest=oldest, latest=latest))
        return list(invoices_of(issued, self.zone, self.began, self._bills_before))

    def said_besides(self, period: BillingPeriod) -> list[dict[str, str]]:
        """The newest figures of a period, with the lineage."""
        said = []
        for figures in self.figures:
            newest = self.context.snapshots.newest(figures.kind, period)
            if newest is not None:
                read = figures.read(JsonFields.parse(newest.body, figures.kind))
                said.append({"kind": figures.kind, "taken_at": newest.taken_at.isoformat(), **read})
        return said

    def _surroundings(self, period: BillingPeriod) -> Iterator[Snapshot]:
        """What helps to understand a reading, as far as the credential may read it; refused if it is not understood."""
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
        """By the first page of its items: an invoice never changes, so it is asked for once, and kept if it is understood."""
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
