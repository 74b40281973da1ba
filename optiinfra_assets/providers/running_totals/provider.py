"""Providers that ask an HTTP API in sessions of one client; and among them those that keep readings of running totals.

A provider holds no state; a session does, for one call: credential, context and, while it is open, the client. `ApiSession` serves any
cloud that is asked month by month. `RunningTotalSession` serves one that tells a running total while a month is open and an invoice after
it: that cloud is left with what to ask, how fields become lines, and how charges become rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any, ClassVar, Final, Generic, Self, TypeVar

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import CredentialRejected
from optiinfra_assets.line_items.row_batches import Row, batches_of
from optiinfra_assets.providers.base import Collection, Probe, Provider
from optiinfra_assets.providers.context import Context, MemorySnapshots, Snapshot, utc_now
from optiinfra_assets.providers.http.client import Answer, Client
from optiinfra_assets.providers.http.json_fields import Fields
from optiinfra_assets.providers.http.pagination import PagedList, joined, objects_in
from optiinfra_assets.providers.running_totals.focus_columns import Billing
from optiinfra_assets.providers.running_totals.instances import Machine, Machines
from optiinfra_assets.providers.running_totals.invoice_months import (
    Issued,
    Spans,
    invoices_of,
    kept_spans,
    lines_before,
    may_bill,
)
from optiinfra_assets.providers.running_totals.month import (
    MONTHS_BACK,
    Charge,
    ChargeLine,
    Invoice,
    Lines,
    Month,
    RunningTotals,
    span_of,
)

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

    def __init__(self, credential: Credential, context: Context) -> None:
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
    def month(self, period: BillingPeriod) -> tuple[Collection, Iterator[Row]]:
        """What is known of a period, without batches; and its rows, which are read while the session is open for a second time."""


class ApiProvider(Provider):
    """A provider with sessions."""

    @abstractmethod
    def session(self, account: Account, context: Context) -> ApiSession[Any]:
        """A session, not open yet.

        Raises:
            BadData: the settings of the account are not accepted.
        """

    def discover(self, account: Account) -> list[str]:
        """Id and name of the one account of the credential.

        Raises:
            CredentialRejected: the credential is not accepted, or lacks a permission.
            ProviderError: the account could not be read, or nothing of it shows here.
        """
        with self.session(account, Context(utc_now, MemorySnapshots())).opened() as session:
            return [session.account_name()]

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: Context) -> Probe:
        """The tokens of the last 13 periods, as far as something is told of them; what `collect` needs later is kept.

        Raises:
            ProviderError: the account could not be read; of its costs nothing is kept then.
        """
        with self.session(account, context).opened() as session:
            return Probe(session.tokens(since), session.api.meter.requests)

    def collect(self, account: Account, billing_period: BillingPeriod, context: Context) -> Collection:
        """Line items of one period; a period of which nothing is told is empty.

        Raises:
            NothingThere: nothing of the account shows here.
            ProviderError: the account could not be read; or later, from the stream, an invoice.
        """
        with self.session(account, context).opened() as session:
            collection, rows = session.month(billing_period)
            collection.requests = session.api.meter.requests
        stream = _streamed(session, rows, collection)
        where = f"{self.title} {billing_period}"
        collection.batches = batches_of(stream, session.columns, collection.rounding, where=where)
        return collection


def _streamed(session: ApiSession[Any], rows: Iterator[Row], collection: Collection) -> Iterator[Row]:
    with session.opened():
        yield from rows
        collection.requests += session.api.meter.requests


@dataclass(frozen=True, slots=True)
class AccountFigures:
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
    read: Callable[[Fields], dict[str, str]]


class RunningTotalSession(ApiSession[Credential]):
    """A call to a cloud that tells a running total, and an invoice after it.

    Attributes:
        currency: of all amounts.
        kind: of the snapshots of the running total.
        figures: kept and said beside it.
        machine_list: the machines there are now.
        zone: in which the invoiced months begin.
        totals: the readings.
    """

    currency: ClassVar[str] = "USD"
    kind: ClassVar[str]
    figures: ClassVar[tuple[AccountFigures, ...]]
    machine_list: ClassVar[PagedList]

    def __init__(
        self, credential: Credential, context: Context, zone: tzinfo = UTC, token_suffix: str = ""
    ) -> None:
        super().__init__(credential, context)
        self.zone = zone
        self.totals = RunningTotals(self.kind, self._kept_lines, token_suffix)

    @abstractmethod
    def owed(self) -> Answer:
        """The answer with the running total."""

    @abstractmethod
    def lines(self, fields: Fields) -> Lines:
        """The running total by line."""

    def body(self, answer: Answer) -> bytes:
        """What is kept of `owed`."""
        return answer.body

    @abstractmethod
    def issued(self, is_near: Callable[[datetime], bool]) -> Iterable[Issued]:
        """Of all invoices those whose instant is near the months of interest."""

    def began(self) -> datetime | None:
        """UTC instant from which the account exists, if known."""
        return None

    @abstractmethod
    def items(self, invoice_id: str) -> PagedList:
        """The items of an invoice."""

    @abstractmethod
    def dates(self, item: Fields) -> tuple[str, str]:
        """Begin and end of an item, as text."""

    @abstractmethod
    def invoice_lines(self, month: Month, invoice: Invoice) -> Iterable[ChargeLine]:
        """The lines of an invoice, which add up to its amount."""

    @abstractmethod
    def billing(self, period: BillingPeriod) -> Billing:
        """What all line items of a period have in common."""

    @abstractmethod
    def row(self, charge: Charge, billing: Billing, machines: Machines) -> Row:
        """The line item of a charge."""

    @abstractmethod
    def machine(self, fields: Fields) -> Machine:
        """An object of `machine_list`."""

    def tokens(self, since: Mapping[BillingPeriod, str]) -> Mapping[BillingPeriod, str]:
        """Keep a reading, and give a token for each of the last 13 periods that has readings or an invoice."""
        return self.totals.tokens(self.take_reading(), since, self.context)

    def month(self, period: BillingPeriod) -> tuple[Collection, Iterator[Row]]:
        """From the readings that were kept and the invoices that were issued; final with the last invoice.

        Of the current period a first reading is taken if there is none.
        """
        is_current = period == BillingPeriod.of(self.context.clock())
        is_unread = is_current and self.context.snapshots.newest(self.kind, period) is None
        invoices = self.take_reading() if is_unread else self.invoices(period, period)
        month = self.known(period, invoices)
        collection = Collection(
            batches=iter(()),
            change_token=self.totals.token(period, invoices, self.context),
            sources=[*month.sources(), *self.said_besides(period)],
            control_totals={self.currency: month.invoiced} if month.is_closed else None,
            data_through=month.data_through,
            is_final=month.is_closed,
        )
        return collection, self._rows(month, self.billing(period))

    def known(self, period: BillingPeriod, invoices: Iterable[Invoice]) -> Month:
        """Readings and invoices of a period."""
        return self.totals.month(period, invoices, self.context)

    def take_reading(self) -> list[Invoice]:
        """Keep what the account owes now; give the invoices it has for the months that are of interest.

        The running total is asked for first. If its invoice is issued in between, it is taken for the new month, and the next reading puts
        that right; the other way round, the reset would stand in the old month as a fall to nothing.
        """
        answer = self.owed()
        lines, current = self.lines(answer.fields()), BillingPeriod.of(answer.asked_at)
        invoices = self.invoices(current.shift(1 - MONTHS_BACK), current)
        period = self.totals.period_of(answer.asked_at, lines, invoices, self.context)
        reading = Snapshot(self.kind, period, answer.asked_at, self.body(answer))
        self.totals.keep(reading, self.context, lambda: self._surroundings(period))
        return invoices

    def invoices(self, oldest: BillingPeriod, latest: BillingPeriod) -> list[Invoice]:
        """The invoices that may bill the months from `oldest` to `latest`."""
        issued = self.issued(partial(may_bill, oldest=oldest, latest=latest))
        return list(invoices_of(issued, self.zone, self.began(), self._bills_before))

    def said_besides(self, period: BillingPeriod) -> list[dict[str, str]]:
        """The newest figures of a period, with the lineage."""
        said = []
        for figures in self.figures:
            newest = self.context.snapshots.newest(figures.kind, period)
            if newest is not None:
                read = figures.read(Fields.parse(newest.body, figures.kind))
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
        items = self.items(invoice_id)

        def understood(body: bytes) -> Spans:
            lines = Fields.parse(body, items.path).objects(items.name)
            return [span_of(*self.dates(line)) for line in lines]

        spans = kept_spans(self.context, invoice_id, month, lambda: items.page(self.api), understood)
        return lines_before(spans, month, self.zone)

    def _rows(self, month: Month, billing: Billing) -> Iterator[Row]:
        machines = Machines(self.context.snapshots.read(INSTANCES, month.period), self._machines)
        for charge in month.charges(partial(self.invoice_lines, month)):
            yield self.row(charge, billing, machines)

    def _machines(self, body: bytes) -> list[Machine]:
        return [self.machine(fields) for fields in objects_in(body, self.machine_list.name, INSTANCES)]

    def _kept_lines(self, snapshot: Snapshot) -> Lines:
        return self.lines(Fields.parse(snapshot.body, f"{self.kind} of {snapshot.taken_at}"))
