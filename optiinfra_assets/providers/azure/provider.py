"""Provider ``azure``: Microsoft Azure, from FOCUS exports in Blob storage, or from Cost Management's Query API without an export.

The credential chooses: with ``export_url`` the provider reads exports, with ``scope`` it uses the Query API. Both give charges before tax
and credits; neither includes those. Amounts of an open month change up to six times a day and are estimates. A month is final when the
5th of the next month is over.

Queries are free but rate limited. So a probe requests the totals of a month once in every `refresh_hours`, stores the response as a
snapshot, and makes the tokens from the stored snapshots. The token of a final month says that it is final, for scopes and exports alike.
That change alone starts a collection, because the last run of an exported month is from the 5th, before the month was final.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import NothingThere
from optiinfra_assets.domain.exact_amounts import EXACT
from optiinfra_assets.domain.invoices import InvoiceStatement
from optiinfra_assets.line_items.arrow_tools import with_column
from optiinfra_assets.line_items.row_batches import LineItemRow, record_batches
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.azure.amortized_join import ATTRIBUTES, cost_lines
from optiinfra_assets.providers.azure.blob_storage import BlobLocation
from optiinfra_assets.providers.azure.credential import AzureCredential
from optiinfra_assets.providers.azure.entra import EntraSession
from optiinfra_assets.providers.azure.exports import ExportRun, newest_runs, run_of
from optiinfra_assets.providers.azure.invoices import listed_invoices
from optiinfra_assets.providers.azure.query_api import CostMetric, CostQueryClient, Totals, Window, by_currency
from optiinfra_assets.providers.azure.rows import COLUMNS, MonthColumns, values_of
from optiinfra_assets.providers.azure.scope import NAME, ScopeClient
from optiinfra_assets.providers.base import (
    Capabilities,
    LineItemStream,
    Probe,
    Provider,
    RequestedDays,
    credential_of,
)
from optiinfra_assets.providers.context import ProviderContext, Snapshot, transient_context
from optiinfra_assets.providers.files.manifest_exports import Find, export_batches
from optiinfra_assets.providers.running_totals.closed_months import ClosedMonths

MONTHS_BACK: Final = 13
TOTALS: Final = "month totals"
RUN: Final = "export run"
FINAL: Final = "final"
FINAL_AFTER: Final = timedelta(days=5)
"""Time after the end of a month until it is final: it may change until the 5th of the next month."""
COMPLETE_AFTER: Final = timedelta(hours=24)
"""Usage appears within 8 to 24 hours."""
COLLECTION_PATIENCE: Final = 300.0
"""Seconds that one request of a collection may wait: a scope allows four requests a minute, and a collection makes more than that."""


class Azure(Provider):
    """Costs of Azure scopes, before tax and credits."""

    name: ClassVar[str] = "azure"
    title: ClassVar[str] = "Microsoft Azure"
    credential_model: ClassVar[type[BaseModel]] = AzureCredential
    capabilities: ClassVar[Capabilities] = Capabilities(granularity="day", history_months=MONTHS_BACK)
    own_hosts: ClassVar[tuple[str, ...]] = (
        *("management.azure.com", "login.microsoftonline.com", "*.blob.core.windows.net"),
        *("management.usgovcloudapi.net", "login.microsoftonline.us", "*.blob.core.usgovcloudapi.net"),
        *("management.chinacloudapi.cn", "login.chinacloudapi.cn", "*.blob.core.chinacloudapi.cn"),
    )
    auxiliary: ClassVar[tuple[AuxiliaryEndpoint, ...]] = (NAME, ATTRIBUTES)
    necessary: ClassVar[tuple[str, ...]] = (
        r"/openid-configuration\n",
        r"/oauth2/v2\.0/token\n",
        r"^POST .*/Microsoft\.CostManagement/query\n",
        r"^GET /[^/]+/[^/]+\n",
        r"/invoices\n",
        r"^HEAD /[^/]+/[^/]+/",
        r"^GET /[^/]+/[^/]+/(?!.*openid-configuration\n)",
    )
    needed_fields: ClassVar[frozenset[str]] = frozenset(
        {"properties", "columns", "name", "rows", "nextLink", "Cost", "UsageDate", "ChargeType", "Currency"}
    )

    def discover(self, account: Account, context: ProviderContext | None = None) -> list[str]:
        """Returns id and name of the scope, or address and name of the export.

        Raises:
            CredentialRejected: Entra ID refused the sign-in, or a role is missing.
            ProviderError: costs could not be read.
        """
        source = _source_of(account, context or transient_context())
        return source.names()

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext) -> Probe:
        """Returns the token of each billing period: from the manifests of exports, or from totals of a scope at most `refresh_hours` old.

        An exported month whose manifests are gone (storage often deletes old blobs) keeps the token of its last collection, unless that
        collection read another folder, which the account named before.

        Raises:
            ProviderError: Azure could not be reached or refused the request.
        """
        source = _source_of(account, context)
        return Probe(source.tokens(since), source.service.meter.requests, warnings=context.warnings)

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        """Opens the stream of the line items of one period.

        Raises:
            NothingThere: there is no export at all, or a month that was collected from it has no run any more.
            ProviderError: the source could not be read. The stream may raise it too.
        """
        collection = _source_of(account, context, COLLECTION_PATIENCE).collection(billing_period)
        collection.warnings = context.warnings
        return collection

    def invoices(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> InvoiceStatement:
        """Returns the invoices of the billing account, billing profile or subscription that the scope is, or that is named beside it.

        Raises:
            ProviderError: they could not be read.
        """
        credential = credential_of(account, AzureCredential)
        made = EntraSession(credential.access, context, context.meter())
        return listed_invoices(
            credential.invoice_scope or credential.scope, credential.endpoint_url, made, billing_period
        )


def _source_of(account: Account, context: ProviderContext, *patience: float) -> _ScopeSource | _ExportSource:
    credential = credential_of(account, AzureCredential)
    made = EntraSession(credential.access, context, context.meter(), *patience)
    return (_ExportSource if credential.export_url else _ScopeSource)(credential, made, context)


def _is_final(period: BillingPeriod, at: datetime) -> bool:
    return at >= period.end + FINAL_AFTER


def _data_through(period: BillingPeriod, at: datetime) -> datetime:
    """Returns the end of the last whole UTC day (exclusive) whose usage has all appeared by `at`, within the period."""
    day = (at - COMPLETE_AFTER).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(period.start, min(period.end, day))


class _ScopeSource:
    """Reads a scope through the Query API."""

    def __init__(self, credential: AzureCredential, service: EntraSession, context: ProviderContext) -> None:
        self.service = service
        self._credential = credential
        self._context = context
        self._closed = ClosedMonths(context, timedelta(days=1))

    def names(self) -> list[str]:
        with self._open() as scope:
            now = self._context.clock()
            scope.query.totals(CostMetric.ACTUAL, Window.of(BillingPeriod.of(now), now), daily=False)
            return [f"{scope.account_id} {scope.display_name() or ''}".strip()]

    def tokens(self, since: Collection[BillingPeriod]) -> dict[BillingPeriod, str]:
        """Makes no request while the totals are fresh, else two for each month that is not final.

        Once a day it makes two for each of the last three closed months that is final, and a change of their totals changes their token.
        """
        current = BillingPeriod.of(self._context.clock())
        periods = sorted({*since, *(current.shift(-back) for back in range(MONTHS_BACK))})
        stale = [period for period in periods if not self._is_fresh(period)]
        closed = [one for one in self._restatable() if one in since] if self._closed.is_due() else []
        if stale or closed:
            with self._open() as scope:
                for period in stale:
                    self._take_totals(scope.query, period)
                self._take_closed(scope.query, closed)
        return {period: self._token(period) for period in periods}

    def collection(self, period: BillingPeriod) -> LineItemStream:
        now = self._context.clock()
        window = Window.of(period, now)
        with self._open() as scope:
            if not _is_final(period, now) and self._context.snapshots.newest(TOTALS, period) is None:
                self._take_totals(scope.query, period)
            stated = {kind: scope.query.totals(kind, window, daily=True) for kind in CostMetric}
        collection = LineItemStream(
            batches=iter(()),
            change_token=self._token(period),
            sources=[self._source(window, now, kind, totals) for kind, totals in stated.items()],
            data_through=_data_through(period, now),
            is_final=_is_final(period, now),
            days=RequestedDays(window.first, window.last),
            requests=self.service.meter.requests,
        )
        where = f"{Azure.title} {period}"
        self._refuse_nothing(period, stated, where)
        rows = self._rows(period, window, stated, collection, where)
        collection.batches = record_batches(rows, COLUMNS, collection.rounding, where=where)
        return collection

    def _refuse_nothing(self, period: BillingPeriod, stated: dict[CostMetric, Totals], where: str) -> None:
        """Raises NothingThere if no day has a cost though the last probe found some in the month."""
        newest = self._context.snapshots.newest(TOTALS, period)
        if newest is None or any(stated.values()):
            return
        told = json.loads(newest.body)
        known = {currency for kind in CostMetric for currency, total in told[kind].items() if Decimal(total)}
        if known:
            raise NothingThere(
                f"{where}: no day has a cost, though the last totals of the month in {', '.join(sorted(known))} were not zero: "
                "nothing that is stored is changed"
            )

    def _rows(
        self,
        period: BillingPeriod,
        window: Window,
        stated: dict[CostMetric, Totals],
        collection: LineItemStream,
        where: str,
    ) -> Iterator[LineItemRow]:
        if any(stated.values()):
            with self._open() as scope:
                billed = MonthColumns(period, scope.account_id, scope.display_name(), scope.subscription)
                by_resource = scope.subscription is not None
                context = self._context
                for line in cost_lines(scope.query, window, stated, context, by_resource=by_resource, where=where):
                    yield LineItemRow("api", not collection.is_final, values_of(line, billed))
        collection.requests = self.service.meter.requests

    def _open(self) -> ScopeClient:
        assert self._credential.scope is not None  # noqa: S101 - the model has it where there is no export
        return ScopeClient(self._credential.scope, self._credential.endpoint_url, self.service)

    def _is_fresh(self, period: BillingPeriod) -> bool:
        now = self._context.clock()
        newest = self._context.snapshots.newest(TOTALS, period)
        return _is_final(period, now) or (newest is not None and newest.taken_at >= self._refreshed_at(now))

    def _refreshed_at(self, now: datetime) -> datetime:
        """Returns the start of the current window of `refresh_hours` within the UTC day, so that all sensor ticks of a window agree."""
        hours = self._credential.refresh_hours
        return now.replace(hour=now.hour // hours * hours, minute=0, second=0, microsecond=0)

    def _take_totals(self, query: CostQueryClient, period: BillingPeriod) -> None:
        """Stores the totals of a month for both metrics, because usage that a commitment covers shows in the amortized cost only.

        The snapshot includes the window: a snapshot equal to the one before is not stored, but that it was requested again must be.
        """
        now = self._context.clock()
        said: dict[str, Any] = {"window": self._refreshed_at(now).isoformat()}
        for kind in CostMetric:
            totals = query.totals(kind, Window.of(period, now), daily=False)
            said[kind] = {currency: f"{total.normalize(EXACT):f}" for (_, currency), total in totals.items()}
        self._context.snapshots.add(Snapshot(TOTALS, period, now, json.dumps(said).encode()))

    def _restatable(self) -> list[BillingPeriod]:
        """Returns the final months that Azure may restate: it does so on the 21st of the next month, for example."""
        return [period for period in self._closed.months() if _is_final(period, self._context.clock())]

    def _take_closed(self, query: CostQueryClient, periods: Sequence[BillingPeriod]) -> None:
        """Stores the totals of final months for both metrics."""
        if periods:
            self._closed.begin()
        for period in periods:
            window = Window.of(period, self._context.clock())
            totals = {kind: query.totals(kind, window, daily=False) for kind in CostMetric}
            named = {f"{kind} {currency}": cost for kind in totals for (_, currency), cost in totals[kind].items()}
            self._closed.keep(period, named)

    def _token(self, period: BillingPeriod) -> str:
        if _is_final(period, self._context.clock()):
            return f"{FINAL}{self._closed.token_suffix(period)}"
        newest = self._context.snapshots.newest(TOTALS, period)
        totals = {**json.loads(newest.body), "window": None} if newest else {}
        return hashlib.sha256(json.dumps(totals, sort_keys=True).encode()).hexdigest()[:32]

    def _source(self, window: Window, now: datetime, kind: CostMetric, totals: Totals) -> dict[str, str]:
        """Returns the lineage of one metric, with the service's own total by currency."""
        return {
            "kind": str(kind),
            "scope": str(self._credential.scope),
            "window": f"{window.first} to {window.last}",
            "asked_at": now.isoformat(timespec="seconds"),
            **{f"total_{currency}": f"{total:f}" for currency, total in sorted(by_currency(totals).items())},
        }


class _ExportSource:
    """Reads a FOCUS export in Blob storage."""

    def __init__(self, credential: AzureCredential, service: EntraSession, context: ProviderContext) -> None:
        assert credential.export_url is not None  # noqa: S101 - this is what chose the source
        self.service = service
        self._url = credential.export_url
        self._context = context

    def names(self) -> list[str]:
        with BlobLocation(self._url, self.service) as container:
            runs = newest_runs(container, container.all_files())
            return sorted({f"{self._url} {run.name}" for run in runs.values()})

    def tokens(self, since: Mapping[BillingPeriod, str]) -> dict[BillingPeriod, str]:
        """Makes one request for each 5,000 blobs, and one for each manifest that this process has not read."""
        with BlobLocation(self._url, self.service) as container:
            runs = newest_runs(container, container.all_files())
        kept = {period: token for period, token in since.items() if self._remembered(period) in (None, self._url)}
        return {**kept, **{period: self._token(run) for period, run in runs.items()}}

    def collection(self, period: BillingPeriod) -> LineItemStream:
        with BlobLocation(self._url, self.service) as container:
            listed = container.all_files()
            run = run_of(container, listed, period)
        if run is None:
            self._refuse_forgotten(period)
            return LineItemStream(batches=iter(()), change_token="", requests=self.service.meter.requests)
        self._remember(run)
        collection = LineItemStream(
            batches=iter(()),
            change_token=self._token(run),
            sources=[
                {
                    "manifest": run.delivery.manifest.name,
                    "version": run.version,
                    "export": run.name,
                    "submitted_at": run.submitted_at.isoformat(),
                }
            ],
            data_through=_exported_through(run),
            is_final=self._is_final(run),
            requests=self.service.meter.requests,
        )
        collection.batches = self._items(run, {file.name: file for file in listed}.get, collection)
        return collection

    def _token(self, run: ExportRun) -> str:
        return f"{run.version}, {FINAL}" if self._is_final(run) else run.version

    def _is_final(self, run: ExportRun) -> bool:
        """The period is old enough and the run has all of its usage: a month's last run may have ended early for other reasons."""
        return _is_final(run.period, self._context.clock()) and _exported_through(run) == run.period.end

    def _remember(self, run: ExportRun) -> None:
        """Stores the folder once for each month: a month without a run is empty only if it never had one in that folder."""
        if self._remembered(run.period) != self._url:
            now = self._context.clock()
            self._context.snapshots.add(Snapshot(RUN, run.period, now, self._url.encode()))

    def _remembered(self, period: BillingPeriod) -> str | None:
        """Returns the folder of the last run of a month that was collected; None if there is none."""
        kept = self._context.snapshots.newest(RUN, period)
        return None if kept is None else kept.body.decode()

    def _refuse_forgotten(self, period: BillingPeriod) -> None:
        if self._remembered(period) == self._url:
            raise NothingThere(
                f"{self._url}: has no run of {period} any more: what was collected stays; export the month again to collect it anew"
            )

    def _items(self, run: ExportRun, find: Find, collection: LineItemStream) -> Iterator[pa.RecordBatch]:
        now = self._context.clock()
        is_estimated = pa.scalar(not collection.is_final)
        with BlobLocation(self._url, self.service) as container:
            for batch in export_batches(container, run.delivery, run.period, collection, now, find=find):
                folded = _folded(batch)
                yield with_column(folded, "is_estimated", pa.repeat(is_estimated, batch.num_rows))


def _exported_through(run: ExportRun) -> datetime:
    """Returns the end of the last day (exclusive) that the run covers and whose usage had all appeared when the run was submitted."""
    return min(run.until, _data_through(run.period, run.submitted_at))


def _folded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Sets resource ids to lower case: their case varies between rows and means nothing."""
    return with_column(batch, "resource_id", pc.utf8_lower(batch.column("resource_id")))
