"""Base classes of providers that read an HTTP API in sessions of one client, month by month.

A provider has no state. A session has it for one call: credential, context and, while it is open, the client.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, Self, TypeVar

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.invoices import InvoiceStatement
from optiinfra_assets.line_items.row_batches import LineItemRow, record_batches
from optiinfra_assets.providers.base import LineItemStream, Probe, Provider
from optiinfra_assets.providers.context import ProviderContext, transient_context
from optiinfra_assets.providers.http.client import Client

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

    @abstractmethod
    def stated(self, period: BillingPeriod) -> InvoiceStatement:
        """Return the issued invoices that bill a period; a preview of one is none."""


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
        """Return the tokens of those of the last 13 periods with data. Raises the errors of `Provider.probe`."""
        with self.session(account, context).opened() as session:
            return Probe(session.tokens(since), session.api.meter.requests, warnings=context.warnings)

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        """Stream the line items of one period, none if it has no data. Raises the errors of `Provider.collect`."""
        with self.session(account, context).opened() as session:
            collection, rows = session.month(billing_period)
            collection.requests = session.api.meter.requests
        collection.warnings = context.warnings
        stream = _streamed(session, rows, collection)
        where = f"{self.title} {billing_period}"
        collection.batches = record_batches(stream, session.columns, collection.rounding, where=where)
        return collection

    def invoices(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> InvoiceStatement:
        """Return the issued invoices of one period. Raises the errors of `InvoiceSource.invoices`."""
        with self.session(account, context).opened() as session:
            return session.stated(billing_period)


def _streamed(
    session: ApiSession[Any], rows: Iterator[LineItemRow], collection: LineItemStream
) -> Iterator[LineItemRow]:
    with session.opened():
        yield from rows
        collection.requests += session.api.meter.requests
