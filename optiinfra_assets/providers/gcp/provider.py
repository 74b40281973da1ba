"""Provider ``gcp``: Google Cloud, from the billing export in BigQuery, the only place where Google publishes costs.

The export is append-only: late usage, corrections and credits are new rows, for any earlier day. So a probe calls tables.get (free) to
see whether the table changed, and only then counts the rows that the last loading days added to each invoice month
(`loading_days.TableContents`, stored as a snapshot). The token of a month is made from these counts and sums. A collection reads the
whole month again, by day and by every column that distinguishes lines, and must find exactly the rows and amounts of the reading.

A table may lose rows: partitions expire, or somebody creates it again. If a month lost rows after it was final, or has none any more, the
stored data stay. If only a collection shows this, the whole table is counted again, so that no two collections pay for the same difference.

Credits are of two kinds. Discounts (sustained or committed use, negotiated, resold) belong to the price, so usage is billed net of them.
Promotions and the free tier are `Credit` line items of their own beside the usage. Both together add up to the invoice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final, NoReturn

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import (
    BadData,
    ContractChanged,
    NothingThere,
    ProviderError,
    Transient,
)
from optiinfra_assets.line_items.row_batches import record_batches
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.base import Capabilities, LineItemStream, Probe, Provider, credential_of
from optiinfra_assets.providers.context import ProviderContext, transient_context
from optiinfra_assets.providers.gcp.export_tables import CostTable, ExportKind
from optiinfra_assets.providers.gcp.loading_days import (
    PeriodTotal,
    TableContents,
    TableContentsStore,
    no_contents,
)
from optiinfra_assets.providers.gcp.rows import BillingRows, columns_of
from optiinfra_assets.providers.http.endpoint_policy import Endpoint

if TYPE_CHECKING:
    from optiinfra_assets.line_items.row_batches import LineItemRow
    from optiinfra_assets.providers.gcp.auth import GoogleSession
    from optiinfra_assets.providers.gcp.bigquery import BigQuery, Parameter, ResultRow, TableMetadata

MONTHS_BACK: Final = 13
FINAL_AFTER: Final = timedelta(days=15)
"""Google issues invoices in the first days of the next month; what it reports later goes on a later invoice."""

NAMES: Final = AuxiliaryEndpoint("/billingAccounts", "the name of the billing account")
_TABLE: Final = re.compile(r"(?:[a-z0-9.-]{1,60}:)?[a-z0-9-]{1,40}\.[A-Za-z0-9_]{1,200}\.[A-Za-z0-9_]{1,200}", re.ASCII)
_PAYER: Final = re.compile(
    r"gcp_billing_export_(?P<kind>resource_v1|v1|focus)_(?P<id>[0-9A-Z]{6}_[0-9A-Z]{6}_[0-9A-Z]{6})"
)
_NAMED: Final = {"resource_v1": ExportKind.DETAILED, "v1": ExportKind.STANDARD, "focus": ExportKind.FOCUS}


class GcpCredential(BaseModel):
    """One billing account, read from its export in BigQuery."""

    model_config = ConfigDict(hide_input_in_errors=True)

    table: str = Field(
        description="The export as project.dataset.table: detailed, standard or FOCUS. One of them: they tell the same costs."
    )
    service_account_key: SecretStr | None = Field(
        None,
        description="Key of a service account, the whole JSON; empty for the default credentials of this machine.",
    )
    project: str | None = Field(
        None,
        description="Project that runs the queries and pays for them; empty for that of the key, or of the table.",
    )
    location: str | None = Field(None, description="Where the dataset is; empty: as BigQuery says.")
    billing_account_id: str | None = Field(
        None, description="Billing account of the export; empty: as the name of the table says."
    )
    max_gib_billed: int = Field(20, ge=1, description="No query may read more than so many GiB; default 20 (0.13 USD).")
    endpoint_url: Endpoint | None = Field(
        None, description="Address of BigQuery and Cloud Billing; for tests and compatible services."
    )

    @field_validator("table")
    @classmethod
    def _whole_name(cls, table: str) -> str:
        if not _TABLE.fullmatch(table):
            raise ValueError("use project.dataset.table")
        return table


class Gcp(Provider):
    """A Google Cloud billing account."""

    name: ClassVar[str] = "gcp"
    title: ClassVar[str] = "Google Cloud"
    credential_model: ClassVar[type[BaseModel]] = GcpCredential
    capabilities: ClassVar[Capabilities] = Capabilities("day", MONTHS_BACK, paid_requests=True)
    own_hosts: ClassVar[tuple[str, ...]] = ("*.googleapis.com", "accounts.google.com")
    auxiliary: ClassVar[tuple[AuxiliaryEndpoint, ...]] = (NAMES,)
    necessary: ClassVar[tuple[str, ...]] = (r"^POST /token\n", r"/tables/[^/]+\n", r"/jobs\n", r"/jobs/", r"/queries/")
    needed_fields: ClassVar[frozenset[str]] = frozenset()

    def discover(self, account: Account, context: ProviderContext | None = None) -> list[str]:
        """Returns id, name and number of projects of the billing account, as far as the credential may see them. Only prices queries: free.

        Raises:
            NothingThere: the table does not exist.
            CredentialRejected: Google does not accept the credential, or it may not read the export.
            ProviderError: the table could not be read, or is not an export.
        """
        from optiinfra_assets.providers.gcp.billing_api import CloudBilling

        with _opened(account, context or transient_context()) as export:
            export.try_queries()
            payer, name, projects = export.payer, "", None
            with (
                suppress(ProviderError),  # names only
                CloudBilling.opened(export.access, export.endpoint) as api,
            ):
                name = api.accounts().get(payer, "")
                projects = len(api.projects(payer)) if payer else None
            counted = "" if projects is None else f" ({projects} project{'' if projects == 1 else 's'})"
            return [f"{payer or export.table.name} {name}".strip() + counted]

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext) -> Probe:
        """Returns a token for each of the last 13 invoice months that has rows.

        This is free if the table has not changed, otherwise it takes one query over a few columns of the last loading days. A month that
        lost some or all of its rows keeps the token of its last collection, and so does a month older than those counted. A month of
        another table, which the account named before, does not.

        Raises:
            ProviderError: the export could not be read; nothing is stored then.
        """
        with _opened(account, context) as export:
            stock = export.stock()
            tokens = {
                period: _token(stock, period, context.clock())
                for period in stock.periods()
                if not (stock.has_lost(period) and since.get(period))
            }
            kept = {
                period: token for period, token in since.items() if period < export.oldest or stock.has_lost(period)
            }
            meter = export.access.meter
            return Probe({**kept, **tokens}, meter.requests, meter.cost, context.warnings)

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        """Returns the line items of one invoice month by day. It is final 15 days after its end; a month that never had rows is empty.

        Raises:
            NothingThere: the table is gone or has no rows, or the month has none any more.
            BadData: the month is older than those counted. The stream raises it too, if a final month lost rows since the count.
            ProviderError: the export could not be read. The stream raises it too, also if the rows differ from the count.
        """
        with _opened(account, context) as export:
            stock = export.stock()
            export.refuse_missing(stock, billing_period)
            payer = export.payer_name()
        totals = stock.totals(billing_period)
        collection = LineItemStream(
            batches=iter(()),
            change_token=_token(stock, billing_period, context.clock()),
            sources=[_source(export.table, stock, billing_period, context.clock())],
            control_totals={currency: part.amount for currency, part in totals.items()},
            is_final=_is_final(billing_period, context.clock()),
            requests=export.access.meter.requests,
            request_cost=export.access.meter.cost,
            warnings=context.warnings,
        )
        rows = _rows(export, billing_period, list(totals.values()), payer, collection)
        where = f"{self.title} {billing_period}"
        collection.batches = record_batches(rows, columns_of(export.table), collection.rounding, where=where)
        return collection


@dataclass(slots=True)
class _Opened:
    """An export with the clients that read it."""

    credential: GcpCredential
    context: ProviderContext
    access: GoogleSession
    bigquery: BigQuery
    state: TableMetadata
    table: CostTable

    @property
    def endpoint(self) -> str | None:
        return self.credential.endpoint_url

    @property
    def payer(self) -> str:
        """Id of the billing account; empty if neither the credential nor the table's name has it."""
        named = _PAYER.search(self.table.name)
        return self.credential.billing_account_id or (named["id"].replace("_", "-") if named else "")

    @property
    def location(self) -> str:
        return self.credential.location or self.state.location

    @property
    def oldest(self) -> BillingPeriod:
        """Oldest month that is counted."""
        return BillingPeriod.of(self.context.clock()).shift(1 - MONTHS_BACK)

    def payer_name(self) -> str | None:
        """Returns the name of the billing account; None if it cannot be read."""
        return NAMES.read(self.context, self._payer_name, None)

    def _payer_name(self) -> str | None:
        from optiinfra_assets.providers.gcp.billing_api import CloudBilling

        if not self.payer:
            return None
        with CloudBilling.opened(self.access, self.endpoint) as api:
            return api.account_name(self.payer) or None

    def stock(self) -> TableContents:
        """Returns the contents of the table by invoice month and loading day; reads and stores them only if the table has changed."""
        asked_at = self.context.clock()
        known = self._readings.newest(asked_at) or no_contents(self.state.created)
        if known.version == self.state.version:
            return known.since(self.oldest)
        is_same = known.is_continued_by(self.state.created, self.state.rows) and self.table.by_day
        stock = known if is_same else known.emptied(self.state.created)
        found = [
            self.table.counted(cells)
            for cells in self._read(self.table.reading(), self._since(stock, self.oldest), "reading")
        ]
        stock = stock.grown(found, asked_at, self.state.version, self.state.rows)
        oldest_not_final = BillingPeriod.of(asked_at - FINAL_AFTER)
        stock = stock.remembering(oldest_not_final).since(self.oldest)
        self._readings.keep(stock, asked_at)
        return stock

    def refuse_missing(self, stock: TableContents, period: BillingPeriod) -> None:
        """Checks that a month may be collected: it has line items, or never had any.

        Raises:
            NothingThere: the table has no rows at all, or this month has none any more.
            BadData: the month is not among those counted.
        """
        where = self.table.name
        if not stock.parts and not self.state.rows:
            raise NothingThere(f"{where}: the export has no rows: nothing that is stored is changed")
        if period < self.oldest:
            raise BadData(
                f"{where}: billing period {period} is not accepted: from {self.oldest} on, {MONTHS_BACK} months with the current one; "
                "what was collected stays"
            )
        if stock.has_lost(period) and not stock.totals(period):
            raise NothingThere(
                f"{where}: has no row of {period} any more: what was collected stays; nothing has to be done"
            )

    def refuse_difference(self, period: BillingPeriod, came: int, counted: int) -> NoReturn:
        """Counts the table again, and raises an error that says why `came` rows were read although `counted` were counted.

        Raises:
            BadData: the month is final and lost rows.
            Transient: rows were exported meanwhile, or the open month lost some; the next collection will match the new count.
        """
        self._forget()
        said = f"{self.table.name}: {came} rows of {period} came though {counted} were counted"
        if self.stock().has_lost(period):
            raise BadData(
                f"{said}: others have expired or were deleted; what was collected stays; collect the month again for what is left"
            )
        raise Transient(f"{said}: something was exported meanwhile, or has expired; try again later")

    def lines(self, period: BillingPeriod, parts: list[PeriodTotal]) -> Iterator[ResultRow]:
        """Yields the lines of a month whose parts were counted."""
        parameters: dict[str, Parameter] = {"month": _month(period)}
        if self.table.by_day:
            parameters["first"] = min(part.first for part in parts)
            parameters["last"] = max(part.last for part in parts)
        return self._read(self.table.lines(), parameters, "lines")

    def try_queries(self) -> None:
        """Has BigQuery price both statements, which is free and proves that they may run."""
        period = BillingPeriod.of(self.context.clock())
        parameters = self._since(no_contents(self.state.created), period)
        self.bigquery.price(self.table.reading(), parameters, self.location, label="reading")
        parameters = {"month": _month(period)}
        if self.table.by_day:
            parameters |= {"first": period.start, "last": period.end}
        self.bigquery.price(self.table.lines(), parameters, self.location, label="lines")

    def _since(self, stock: TableContents, oldest: BillingPeriod) -> dict[str, Parameter]:
        first = max(stock.floor, oldest.start - timedelta(days=7))
        window: dict[str, Parameter] = {"first": first} if self.table.by_day else {}
        return {"oldest": _month(oldest), **window}

    def _read(self, statement: str, parameters: Mapping[str, Parameter], label: str) -> Iterator[ResultRow]:
        return self.bigquery.rows(statement, parameters, self.location, label=label)

    @property
    def _readings(self) -> TableContentsStore:
        return TableContentsStore(self.context.snapshots, self.table.name, MONTHS_BACK)

    def _forget(self) -> None:
        """Discards the stored count before the table is counted again: if that fails, nothing may continue with the old count."""
        now = self.context.clock()
        known = self._readings.newest(now) or no_contents(self.state.created)
        self._readings.keep(known.emptied(known.created), now)


@contextmanager
def _opened(account: Account, context: ProviderContext) -> Iterator[_Opened]:
    from optiinfra_assets.providers.gcp.auth import GoogleSession

    credential = credential_of(account, GcpCredential)
    key = credential.service_account_key
    access = GoogleSession.of(key.get_secret_value() if key else None, context)
    with _bigquery(credential, access) as bigquery:
        state = bigquery.table(credential.table)
        table = CostTable.of(credential.table, state.columns, by_day=state.by_day)
        named = _PAYER.search(credential.table)
        if named and _NAMED[named["kind"]] is not table.export:
            raise ContractChanged(
                f"{table.name}: the columns are those of a {table.export} export, its name is that of a {_NAMED[named['kind']]} one"
            )
        yield _Opened(credential, context, access, bigquery, state, table)


def _bigquery(credential: GcpCredential, access: GoogleSession) -> BigQuery:
    from optiinfra_assets.providers.gcp.bigquery import GIB, BigQuery

    project = credential.project or access.project or credential.table.split(".")[0]
    most = credential.max_gib_billed * GIB
    return BigQuery(access, project, most_bytes=most, endpoint=credential.endpoint_url)


def _rows(
    export: _Opened,
    period: BillingPeriod,
    parts: list[PeriodTotal],
    payer: str | None,
    collection: LineItemStream,
) -> Iterator[LineItemRow]:
    """Yields line items as they are read; at the end checks that they are the rows that were counted."""
    if not parts:
        return
    made = BillingRows(export.table, period, payer, is_estimated=not collection.is_final)
    meter = export.access.meter
    with _bigquery(export.credential, export.access) as bigquery:
        export.bigquery = bigquery
        for cells in export.lines(period, parts):
            yield from made.of(cells)
        counted = sum(part.lines for part in parts)
        if made.exported_lines != counted:
            export.refuse_difference(period, made.exported_lines, counted)
        collection.sources[0]["bytes_billed"] = str(bigquery.bytes_billed)
    collection.requests, collection.request_cost = meter.requests, meter.cost
    collection.sources += made.checks()
    if made.used_through is not None:
        collection.data_through = min(made.used_through, export.context.clock())


def _token(stock: TableContents, period: BillingPeriod, now: datetime) -> str:
    """Returns a token that changes with every row, and when the month becomes final, so that its line items stop being estimates. The
    token of the newest month also changes when the export falls silent, so that its collection stores a warning that people see."""
    token = stock.token(period)
    if token and _is_final(period, now):
        return f"{token}, final"
    is_newest = bool(token) and period == stock.periods()[-1]
    return f"{token}, silent since" if is_newest and stock.is_silent(now) else token


def _is_final(period: BillingPeriod, now: datetime) -> bool:
    return now >= period.end + FINAL_AFTER


def _source(table: CostTable, stock: TableContents, period: BillingPeriod, now: datetime) -> dict[str, str]:
    parts = stock.totals(period).values()
    source = {
        "kind": f"{table.export} export",
        "table": table.name,
        "lines": str(sum(part.lines for part in parts)),
    }
    if parts:
        source["exported_through"] = max(part.exported for part in parts).isoformat()
        if table.by_day:
            first, last = min(part.first for part in parts), max(part.last for part in parts)
            source["loading_days"] = f"{first.date()} to {last.date()}"
    warning = "; ".join(stock.warnings(period, now))
    return {**source, "warning": warning} if warning else source


def _month(period: BillingPeriod) -> str:
    return f"{period.year:04d}{period.month:02d}"
