"""Provider ``aws``: reads data exports in S3 if the credential has an ``export``, otherwise Cost Explorer.

Exports (FOCUS 1.0 and 1.2, Cost and Usage Report 2.0) are read as their manifests say (`providers.files.manifest_exports`). A probe
lists the manifests once, and the change token of a period comes from its manifest. Each page from Cost Explorer costs 0.01 USD
(`aws.cost_explorer`), so without an export a probe only checks the credential, which is free. Its tokens name the current part of the
UTC day, so the open and the previous period are collected once in each part, as far as the daily budget allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, Self

from pydantic import BaseModel

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import Throttled
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.domain.invoices import InvoiceStatement
from optiinfra_assets.line_items.row_batches import LineItemRow, record_batches
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.aws.credential import AwsCredential
from optiinfra_assets.providers.aws.cur_to_focus import mapping_of
from optiinfra_assets.providers.aws.request_budget import DailyRequestBudget, RequestEstimate
from optiinfra_assets.providers.base import Capabilities, LineItemStream, Probe, Provider, credential_of
from optiinfra_assets.providers.context import ProviderContext, transient_context
from optiinfra_assets.providers.files.manifest_exports import export_collection, is_old, token_of
from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.http.pagination import Page, items
from optiinfra_assets.providers.running_totals.closed_months import ClosedMonths

if TYPE_CHECKING:
    from optiinfra_assets.providers.aws.client import AwsSession
    from optiinfra_assets.providers.aws.cost_explorer import CostWindow
    from optiinfra_assets.providers.aws.data_exports import DataExport
    from optiinfra_assets.providers.http.boto_client import BotoCalls

HISTORY_MONTHS: Final = 14
"""Cost Explorer keeps the current month and the 13 before it."""

MEMBERS: Final = AuxiliaryEndpoint("ListAccounts", "the name of the account")
RECENT: Final = timedelta(days=2)
"""For this long after it was collected, a month that is not final yields to months that wait, if the day's budget cannot pay for all of
them. At most two months are not final, so on at least one day of three the budget is left for the others, even if their reading fails."""

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


class Aws(Provider):
    """Cost data of one AWS account or of an organization."""

    name: ClassVar[str] = "aws"
    title: ClassVar[str] = "Amazon Web Services"
    credential_model: ClassVar[type[BaseModel]] = AwsCredential
    capabilities: ClassVar[Capabilities] = Capabilities("day", HISTORY_MONTHS, paid_requests=True)
    own_hosts: ClassVar[tuple[str, ...]] = tuple(
        f"{service}.{domain}"
        for domain in ("amazonaws.com", "amazonaws.com.cn")
        for service in ("sts", "s3", "*.s3", "sts.*", "ce.*", "invoicing.*", "organizations.*", "s3.*", "*.s3.*")
    )
    auxiliary: ClassVar[tuple[AuxiliaryEndpoint, ...]] = (MEMBERS,)
    necessary: ClassVar[tuple[str, ...]] = (
        *(r"\nAction=", "GetCost", r"ListInvoiceSummaries\n"),
        *(r"^GET /[^/]+\n", "^HEAD /.+/", "^GET /.+/."),
    )
    needed_fields: ClassVar[frozenset[str]] = frozenset(
        {
            "ResultsByTime",
            "TimePeriod",
            "Start",
            "End",
            "Total",
            "Groups",
            "Keys",
            "Metrics",
            "Amount",
            "Unit",
            "Estimated",
        }
        | {"UnblendedCost", "AmortizedCost", "NetUnblendedCost", "NetAmortizedCost", "NextPageToken"}
        | {
            "DimensionValueAttributes",
            "GroupDefinitions",
        }  # may be missing; the SDK refuses the answer if they are malformed
    )

    def discover(self, account: Account, context: ProviderContext | None = None) -> list[str]:
        """Id of the credential's account, and its name if it may list the organization. Costs 0.01 USD without an export.

        Raises:
            CredentialRejected: AWS does not accept the credential, or it may not read costs.
            ProviderError: costs could not be read.
        """
        at = _Source.of(account, context or transient_context())
        payer = at.payer()
        names: dict[str, str] | None = MEMBERS.read(at.context, lambda: dict(at.members()), None)
        name = (names or {}).get(payer, "")
        at.prove()
        return [f"{payer} {name}".strip()]

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext) -> Probe:
        """Returns the tokens of the manifests, from one listing. Without an export, one free request checks the credential, and once a week
        a paid one reads the totals of the last three closed months: AWS changes months that are over.

        A period keeps the token of its last collection if its manifest is gone (buckets often delete old objects), if it is older than
        Cost Explorer reaches, or while it yields to other periods (see `RECENT`).

        Raises:
            NothingThere: the export has no manifest yet, or none any more.
            ProviderError: AWS could not be reached or refused the request.
        """
        at = _Source.of(account, context)
        tokens = {**since, **at.tokens(since)}
        return Probe(tokens, context.spent.requests, context.spent.cost, context.warnings)

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        """Returns the line items of one period, from the newest run of the export or from Cost Explorer.

        Raises:
            NothingThere: the export has no manifest of that period, or Cost Explorer has no data at all.
            Throttled: the day's budget for paid requests is used up.
            ProviderError: costs could not be read. The stream may raise it too.
        """
        collection = _Source.of(account, context).collect(billing_period)
        collection.warnings = context.warnings
        return collection

    def invoices(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> InvoiceStatement:
        """Returns the invoices and credit memos of the credential's account, at no cost.

        Raises:
            CredentialRejected: the credential may not list invoices.
            ProviderError: they could not be read.
        """
        # Here, because botocore takes 0.2 s and 20 MB of each process of the API.
        from optiinfra_assets.providers.aws.invoices import listed_invoices

        at = _Source.of(account, context)
        return listed_invoices(at.access.client("invoicing"), at.free, at.payer(), billing_period)


@dataclass(slots=True)
class _Source:
    """The clients of one credential, for the duration of one call of the provider.

    Attributes:
        free: makes the requests that cost nothing.
    """

    credential: AwsCredential
    context: ProviderContext
    free: BotoCalls
    access: AwsSession

    @property
    def closed(self) -> ClosedMonths:
        """The closed months, whose totals are read once a week: each time costs a page."""
        return ClosedMonths(self.context, timedelta(days=7))

    @classmethod
    def of(cls, account: Account, context: ProviderContext) -> Self:
        from optiinfra_assets.providers.aws.client import AwsSession
        from optiinfra_assets.providers.http.boto_client import BotoCalls

        credential = credential_of(account, AwsCredential)
        free = BotoCalls(context, context.meter(), secrets=credential.secrets)
        key = dict(zip(("access_key_id", "secret_access_key"), credential.secrets, strict=False))
        access = AwsSession(
            free,
            region=credential.region,
            endpoint_url=credential.endpoint_url,
            role_arn=credential.role_arn,
            external_id=credential.external_id,
            **key,
        )
        return cls(credential, context, free, access)

    def payer(self) -> str:
        """Returns the id of the account that the credential belongs to."""
        sts = self.access.client("sts")
        where = "sts:GetCallerIdentity"
        return JsonFields(self.free(sts.get_caller_identity, where, where), where, self.free.hide).text("Account")

    def members(self) -> Iterator[tuple[str, str]]:
        """Yields id and name of each account of the organization."""
        from optiinfra_assets.providers.aws.client import no_data_as_nothing

        client = self.access.client("organizations")
        where = "organizations:ListAccounts"

        def read(token: str | None) -> Page[JsonFields]:
            more = {"NextToken": token} if token else {}
            said = self.free(lambda: client.list_accounts(**more), where, where, explain=no_data_as_nothing(where))
            answer = JsonFields(said, where, self.free.hide)
            return Page(answer.objects("Accounts"), answer.text_or_none("NextToken"))

        for one in items(read, where, may_be_empty=True):
            yield one.text("Id"), one.text_or_none("Name") or ""

    def prove(self) -> None:
        """Reads a small part of what `collect` reads.

        Raises:
            ProviderError: as `collect`.
        """
        if not self.credential.export:
            yesterday = self.context.clock() - timedelta(days=1)
            days = self._days(yesterday, yesterday + timedelta(days=1), self._budget())
            next(iter(days.explorer.ask()), None)
            return
        self._export().prove(self.context.clock())

    def tokens(self, since: Mapping[BillingPeriod, str]) -> dict[BillingPeriod, str]:
        """Returns the change token of each period in the source; the token in `since` for a period that yields to others."""
        now = self.context.clock()
        if self.credential.export:
            found = self._export().manifests().items()
            return {period: token_of(one, period, now) for period, one in found}
        self.payer()
        tokens = {period: self._token(period) for period in _reach(now)}
        if all(since.get(period) == token for period, token in tokens.items()):
            self._look_at_closed_months()
            tokens = {period: self._token(period) for period in _reach(now)}
        return tokens | {period: since[period] for period in self._giving_way(tokens, since)}

    def _look_at_closed_months(self) -> None:
        """Reads the totals of final months once a week, which takes a page, once nothing else is due and if today's budget has one left."""
        budget = self._budget()
        periods = [period for period in self.closed.months() if self._is_final(period)]
        if not periods or not self.closed.is_due() or not budget.left(self.context.clock()):
            return
        self.closed.begin()
        totals: dict[BillingPeriod, dict[str, Decimal]] = {period: {} for period in periods}
        for day in self._days(min(periods).start, max(periods).end, budget).explorer.ask():
            found = totals[BillingPeriod.of(day.day)]
            for metric, amount in day.amounts.items():
                name = f"{metric} {day.unit}"
                found[name] = exact_sum((found.get(name, Decimal(0)), amount))
        for period, found in totals.items():
            self.closed.keep(period, found)

    def _giving_way(
        self, tokens: Mapping[BillingPeriod, str], since: Mapping[BillingPeriod, str]
    ) -> list[BillingPeriod]:
        """Returns the periods that were read recently and must wait, because the rest of the day cannot pay for them and the others."""
        due = [period for period, token in tokens.items() if since.get(period) != token]
        again = [period for period in due if not self._is_final(period) and self._is_recent(since.get(period))]
        if len(again) in (0, len(due)):
            return []
        needs = self._needs(self._budget())
        expected = {period: needs.expected(period, tokens) for period in due}
        payable = [period for period in due if expected[period] <= needs.budget.allowed]
        is_short = sum(expected[period] for period in payable) > needs.budget.left(self.context.clock())
        return again if is_short and set(payable) - set(again) else []

    def _is_recent(self, token: str | None) -> bool:
        """Returns whether a token names a day at most `RECENT` ago; tokens of final months name no day."""
        day = _DAY.match(token or "")
        return day is not None and self.context.clock().date() - date.fromisoformat(day[0]) <= RECENT

    def collect(self, period: BillingPeriod) -> LineItemStream:
        return self._exported(period) if self.credential.export else self._explored(period)

    def _export(self) -> DataExport:
        from optiinfra_assets.providers.aws.data_exports import DataExport
        from optiinfra_assets.providers.files.s3 import S3Location

        bucket, _, folder = (self.credential.export or "").removeprefix("s3://").partition("/")
        client = partial(self.access.client, "s3")
        return DataExport(S3Location(f"s3://{bucket}", client, self.free, folder), folder)

    def _exported(self, period: BillingPeriod) -> LineItemStream:
        export = self._export()
        return export_collection(export.bucket, export.delivery(period), period, self.context, mapping_of)

    def _is_final(self, period: BillingPeriod) -> bool:
        return is_old(period, self.context.clock())

    def _token(self, period: BillingPeriod) -> str:
        """Which part of which day it is, for periods that still move."""
        now = self.context.clock()
        part = now.replace(hour=now.hour - now.hour % self.credential.refresh_hours)
        when = f"final{self.closed.token_suffix(period)}" if self._is_final(period) else f"{part:%Y-%m-%dT%H:00Z}"
        return f"{when} {self.credential.detail}"

    def _budget(self) -> DailyRequestBudget:
        from optiinfra_assets.providers.aws.cost_explorer import PRICE

        return DailyRequestBudget(
            price=PRICE,
            within=self.context.spent,
            context=self.context,
            budget=Decimal(self.credential.daily_budget),
            advice="raise daily_budget, or set detail to service",
        )

    def _needs(self, budget: DailyRequestBudget) -> RequestEstimate:
        from optiinfra_assets.providers.aws.cost_explorer import TOTALS

        return RequestEstimate(budget, kind=f"reading by {self.credential.detail}", least=TOTALS + 1)

    def _days(self, start: datetime, end: datetime, budget: DailyRequestBudget) -> CostWindow:
        from optiinfra_assets.providers.aws.cost_explorer import CostExplorer, CostWindow
        from optiinfra_assets.providers.http.boto_client import BotoCalls

        paid = BotoCalls(self.context, budget, secrets=self.credential.secrets)
        explorer = CostExplorer(self.access.client("ce"), paid, start.date(), end.date())
        return CostWindow(explorer, self.credential.detail)

    def _explored(self, period: BillingPeriod) -> LineItemStream:
        from optiinfra_assets.providers.aws.cost_rows import COLUMNS

        now = self.context.clock()
        collection = LineItemStream(batches=iter(()), change_token=self._token(period), is_final=self._is_final(period))
        needs = self._needs(self._budget())
        needs.budget.require(needs.expected(period, _reach(now)))
        tomorrow = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        days = self._days(period.start, min(period.end, tomorrow), needs.budget)
        payer = self.payer()
        days.read_totals()
        needs.keep_at_least(period, days.pages)
        needs.budget.require(len(days.questions))
        collection.data_through = days.data_through()
        collection.days = days.explorer.days
        rows = self._rows(days, payer, period, collection, needs)
        where = f"Cost Explorer {period}"
        collection.batches = record_batches(rows, COLUMNS, collection.rounding, where=where)
        return collection

    def _rows(
        self,
        days: CostWindow,
        payer: str,
        period: BillingPeriod,
        collection: LineItemStream,
        needs: RequestEstimate,
    ) -> Iterator[LineItemRow]:
        from optiinfra_assets.providers.aws.cost_rows import row

        basis = "net" if days.basis[0].startswith("Net") else "unblended"
        names = days.explorer.names
        try:
            for figure in days.figures():
                yield row(figure, period, payer, names, basis)
        except Throttled:
            needs.keep_at_least(period, days.pages)
            raise
        needs.keep(period, days.pages)
        collection.requests = self.free.meter.requests + needs.budget.requests
        collection.request_cost = needs.budget.cost
        collection.sources.append(
            {
                "kind": "Cost Explorer",
                "days": f"{days.explorer.start} to {days.explorer.end}, exclusive",
                "detail": days.detail,
                "basis": basis,
                **{f"total_{currency}": f"{total:f}" for currency, total in sorted(days.total.items())},
                "largest_difference": f"{days.largest_difference:f}",
                "paid_requests": str(needs.budget.requests),
            }
        )


def _reach(now: datetime) -> list[BillingPeriod]:
    """The periods that Cost Explorer has, oldest first."""
    return [BillingPeriod.of(now).shift(-number) for number in reversed(range(HISTORY_MONTHS))]
