"""Provider ``digitalocean``: API v2, as the vendor's OpenAPI document (github.com/digitalocean/openapi) describes it.

For the open month this reads the billing insights: one line item for each line and day, which DigitalOcean estimates every night. Insights
name no resource. The items of the preview invoice do, and are joined to the insights by their texts; their amounts are running totals and
are never counted. An invoiced month keeps the same days and adds, line by line, what the invoice states beyond them (`daily_estimates`).
Tax, credits and overage come from the invoice's summary. A month without insights consists of the items of its invoices.

This does not read ``/v2/customers/my/billing_history``: that is a ledger of payments and invoices, which are no costs. Of the balance it
reads only ``month_to_date_usage``, to compare the open month with: ``month_to_date_balance`` includes old debt.

All amounts are in US dollars and all times in UTC. ``duration`` is stored as stated and no price is computed from it: since 2026
DigitalOcean bills some things by the second, others by the hour or the month.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property, partial
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum
from optiinfra_assets.domain.invoices import Invoice as StatedInvoice
from optiinfra_assets.domain.invoices import InvoiceStatement
from optiinfra_assets.line_items.row_batches import LineItemRow
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.base import Capabilities, LineItemStream, credential_of
from optiinfra_assets.providers.context import ProviderContext, Snapshot
from optiinfra_assets.providers.digitalocean.billing_api import (
    BALANCE,
    INSIGHTS,
    ITEMS_SO_FAR,
    LISTS,
    NOTHING,
    PAGE_SIZE,
    PREVIEW,
    SUMMARY,
    BillingApi,
    Invoice,
    InvoiceList,
    midnight,
)
from optiinfra_assets.providers.digitalocean.daily_estimates import (
    DailyCharge,
    DailyEstimates,
    InvoiceLine,
)
from optiinfra_assets.providers.digitalocean.invoice_parts import UNKNOWN
from optiinfra_assets.providers.digitalocean.rows import COLUMNS, SO_FAR, row_of, stated_parts, uuid_of
from optiinfra_assets.providers.http.api_provider import ApiProvider, ApiSession
from optiinfra_assets.providers.http.client import Client, rate_limit_end
from optiinfra_assets.providers.http.endpoint_policy import Endpoint
from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.http.pagination import PagedList
from optiinfra_assets.providers.http.redaction import bearer_header
from optiinfra_assets.providers.running_totals import focus_columns
from optiinfra_assets.providers.running_totals.explanations import Explanation
from optiinfra_assets.providers.running_totals.instances import (
    Instance,
    InstanceHistory,
    daily_body,
    daily_list,
)
from optiinfra_assets.providers.running_totals.kept_invoice_parts import kept_parts
from optiinfra_assets.providers.running_totals.month import INVOICE_LINE, MONTHS_BACK

BILLING: Final = "the scope billing:read"
ACCOUNT: Final = "the scope account:read, or else account_urn in the settings"
DROPLETS: Final = "the scope droplet:read"
CURRENCY: Final = "USD"
NAME: Final = "DigitalOcean"
KEPT: Final = "droplets"
TEAM_KEPT: Final = "team"
TEAM: Final = AuxiliaryEndpoint("/v2/account\n", "the name of the team, and its id if it was never read")
MACHINES: Final = AuxiliaryEndpoint("/v2/droplets\n", "the regions, sizes and tags of droplets")
HOURLY_LIMIT: Final = 5_000
"""Requests per token and hour, unless the responses state another limit. A minute has 5 % of them."""

_URN: Final = re.compile(r"do:(team|teamgroup):[0-9A-Za-z-]+")


def _check_urn(urn: str | None) -> str | None:
    if urn and not _URN.fullmatch(urn):
        raise ValueError("do:team:<uuid> or do:teamgroup:<uuid> is accepted")
    return urn


class DigitalOceanCredential(BaseModel):
    """One team, read with a personal access token."""

    model_config = ConfigDict(hide_input_in_errors=True)

    api_token: SecretStr = Field(
        description="Personal access token of the team, with the scopes billing:read, account:read and droplet:read."
    )
    account_urn: Annotated[str | None, AfterValidator(_check_urn)] = Field(
        None,
        description="do:team:<uuid> or do:teamgroup:<uuid>; empty: the team of the token, which needs account:read.",
    )
    endpoint_url: Endpoint = Field(
        "https://api.digitalocean.com", description="Address of the API; for tests and compatible services."
    )


class DigitalOcean(ApiProvider):
    """All charges on the bill of a DigitalOcean team.

    A probe makes three requests, four until the previous month is invoiced. It also reads all pages of the droplets once a day, and
    once for each invoice of the previous month the pages of its items, until an item reaches the end of the month.
    """

    name: ClassVar[str] = "digitalocean"
    title: ClassVar[str] = NAME
    credential_model: ClassVar[type[BaseModel]] = DigitalOceanCredential
    capabilities: ClassVar[Capabilities] = Capabilities(granularity="day", history_months=MONTHS_BACK)
    own_hosts: ClassVar[tuple[str, ...]] = ("api.digitalocean.com",)
    auxiliary: ClassVar[tuple[AuxiliaryEndpoint, ...]] = (TEAM, MACHINES, INSIGHTS, ITEMS_SO_FAR, SUMMARY, BALANCE)
    necessary: ClassVar[tuple[str, ...]] = (r"/my/invoices\n", r"/my/invoices/(?!preview\n)[^/]+\n")
    needed_fields: ClassVar[frozenset[str]] = frozenset(
        {"invoices", "invoice_items", "invoice_uuid", "invoice_period", "amount", "meta", "total"}
    )

    def session(self, account: Account, context: ProviderContext) -> _Session:
        """Return a session that uses the token of `account`. Raises BadData if its settings are not accepted."""
        return _Session(credential_of(account, DigitalOceanCredential), context, account.account_id)


class _Session(ApiSession[DigitalOceanCredential]):
    columns = COLUMNS

    def __init__(self, credential: DigitalOceanCredential, context: ProviderContext, account_id: str) -> None:
        super().__init__(credential, context)
        self.account_id = account_id
        self.droplets = Explanation(KEPT, MACHINES, self._read_droplets)

    def client(self) -> Client:
        token = self.credential.api_token.get_secret_value()
        return Client(
            self.credential.endpoint_url,
            self.context,
            headers=bearer_header("api_token", token),
            secrets=[token],
            wait=rate_limit_end,
            reason="message",
            pace=_pause,
        )

    @cached_property
    def payer(self) -> tuple[str, str | None]:
        """Urn and name of the team: those that the credential names, else as read now, else as last read; else an empty urn."""
        if self.credential.account_urn:
            return self.credential.account_urn, None
        found = TEAM.read(self.context, self._team, None)
        if found is None:
            return self._team_before() or ("", None)
        now = self.context.clock()
        self.context.snapshots.add(Snapshot(TEAM_KEPT, BillingPeriod.of(now), now, json.dumps(found).encode()))
        return found

    def _team(self) -> tuple[str, str | None]:
        team = self.api.get("/v2/account", permission=ACCOUNT).fields().object("account").object("team")
        return f"do:team:{team.identifier('uuid')}", team.optional("name", JsonFields.text, None)

    def _team_before(self) -> tuple[str, str | None] | None:
        current = BillingPeriod.of(self.context.clock())
        kept = (self.context.snapshots.newest(TEAM_KEPT, current.shift(-back)) for back in range(MONTHS_BACK))
        newest = next(filter(None, kept), None)
        urn, name = json.loads(newest.body) if newest else ("", None)
        return (urn, name) if urn else None

    def billing(self) -> BillingApi:
        """Return a `BillingApi` for the payer, as of now."""
        context = self.context
        return BillingApi(self.api, self.payer[0], BILLING, context.clock(), context)

    def account_name(self) -> str:
        urn, name = (self.credential.account_urn, None) if self.credential.account_urn else self._team()
        billing = self.billing()
        billing.books()
        if self.credential.account_urn:
            billing.count(BillingPeriod.of(self.context.clock()))  # a wrong urn has none
        return f"{uuid_of(urn)} {name or ''}".strip()

    def tokens(self, since: Mapping[BillingPeriod, str]) -> dict[BillingPeriod, str]:
        """Return the tokens of periods in `since` or with an invoice, a preview or insights; those of open periods change every night."""
        current = BillingPeriod.of(self.context.clock())
        billing = self.billing()
        books = billing.books()
        billing.keep_within(books)
        wanted = {current, current.shift(-1), *since, *(invoice.period for invoice in books.invoices)}
        recent = sorted(one for one in wanted if current.shift(1 - MONTHS_BACK) <= one <= current)
        tokens = {period: billing.token(books, period) for period in recent}
        self.droplets.keep_daily(self.context)
        return {one: token for one, token in tokens.items() if token != NOTHING or one in since}

    def month(self, period: BillingPeriod) -> tuple[LineItemStream, Iterator[LineItemRow]]:
        """Return the insights, trued up to the invoices. The month is final two days after its end if it is invoiced by then."""
        billing = self.billing()
        books = billing.books()
        token = billing.token(books, period)
        if period == BillingPeriod.of(billing.clock_time):
            self.droplets.keep_daily(self.context)
        self.droplets.warn(self.context, period)
        is_closed = billing.is_closed(books, period)
        problem = books.problem(period, billing.clock_time)
        if problem is not None:
            raise problem
        invoiced = exact_sum(invoice.amount for invoice in books.of(period))
        collection = LineItemStream(
            batches=iter(()),
            change_token=token,
            control_totals={CURRENCY: invoiced} if is_closed else None,
            data_through=period.end if is_closed else None,
            is_final=is_closed and billing.is_settled(period),
        )
        return collection, _Month(period, is_closed, books, collection).rows(self)

    def stated(self, period: BillingPeriod) -> InvoiceStatement:
        billing = self.billing()
        books = billing.books()
        problem = books.problem(period, billing.clock_time)
        if problem is not None:
            raise problem
        return InvoiceStatement(tuple(self._stated(billing, one) for one in books.of(period)))

    def _stated(self, billing: BillingApi, invoice: Invoice) -> StatedInvoice:
        return StatedInvoice(
            invoice_id=invoice.uuid,
            issuer=NAME,
            billing_period=invoice.period,
            currency=CURRENCY,
            total=invoice.amount,
            parts=kept_parts(
                self.context, invoice.period, invoice.uuid, invoice.amount, partial(stated_parts, billing, invoice)
            ),
        )

    def _read_droplets(self) -> tuple[datetime, bytes]:
        now = self.context.clock()
        return now, daily_body(now.date(), _droplets(self.api))


@dataclass(slots=True)
class _Month:
    """Builds the line items of one period."""

    period: BillingPeriod
    is_closed: bool
    books: InvoiceList
    collection: LineItemStream

    def rows(self, session: _Session) -> Iterator[LineItemRow]:
        """Yield the line items; this reads the responses as it needs them."""
        kept = session.context.snapshots.read(KEPT, self.period)
        self._note({"kind": KEPT, "taken_at": one.taken_at.isoformat()} for one in kept)
        (urn, name), machines = session.payer, InstanceHistory(kept, daily_list)
        payer = (uuid_of(urn) or session.account_id, name)
        billing = focus_columns.BillingColumns(self.period, payer, CURRENCY, NAME, NAME)
        for charge in self._charges(session.billing()):
            yield row_of(charge, billing, urn, machines)

    def _charges(self, billing: BillingApi) -> Iterator[DailyCharge]:
        preview = self.books.previewed(self.period)
        if preview is None and not self.books.of(self.period):
            estimated: DailyEstimates | None = self._estimated(billing)  # nothing else has the costs
        else:
            estimated = INSIGHTS.read(billing.context, lambda: self._estimated(billing), None)
        days = estimated or DailyEstimates(self.period, self.is_closed)
        for invoice in self.books.of(self.period):
            yield from self._invoiced(billing, invoice, days)
        if preview is not None and not self.is_closed:
            yield from self._previewed(billing, preview, days, is_estimated=estimated is not None)
        yield from days.charges()
        self._conclude(billing, days)

    def _estimated(self, billing: BillingApi) -> DailyEstimates:
        days = DailyEstimates(self.period, self.is_closed)
        for estimate in billing.insights(self.period):
            days.add(estimate)
        return days

    def _invoiced(self, billing: BillingApi, invoice: Invoice, days: DailyEstimates) -> Iterator[DailyCharge]:
        """Yield items without estimates, and what the summary states beyond the items. `days` holds the other items."""
        itemised, count = Decimal(0), 0
        for line in billing.lines(invoice.uuid, self.period):
            itemised, count = exact_sum((itemised, line.amount)), count + 1
            charge = days.offer(line)
            if charge is not None:
                yield charge
        yield from self._beyond_items(billing, invoice, itemised, invoice.uuid, invoice.amount)
        amount = f"{invoice.amount:f}"
        self._note([{"kind": "invoice", "id": invoice.uuid, "amount": amount, "items": str(count)}])

    def _previewed(
        self, billing: BillingApi, preview: Invoice, days: DailyEstimates, *, is_estimated: bool
    ) -> Iterator[DailyCharge]:
        """Offer the preview's items to `days`, or yield them if there are no estimates; then yield tax, credits and overage so far.

        After an invoice within the month this leaves those three out until the last invoice: it is not documented whether the preview then
        starts again from zero.
        """
        lines = self._shown(billing, is_needed=not is_estimated)
        for line in lines or ():
            if is_estimated:
                days.offer(line)
            else:
                yield DailyCharge(line.key, line.amount, line.start, line.end, SO_FAR, line, (), None)
        if lines is None:
            return
        itemised = exact_sum(line.amount for line in lines)
        if not self.books.of(self.period):
            # Where there are estimates, the running totals of the preview are no cost.
            amount = None if is_estimated else preview.amount
            yield from self._beyond_items(billing, preview, itemised, None, amount)
        self._note([{"kind": PREVIEW, "amount": f"{preview.amount:f}", "itemised": f"{itemised:f}"}])

    def _shown(self, billing: BillingApi, *, is_needed: bool) -> list[InvoiceLine] | None:
        """Return the items of the preview; None if they only explain estimates and cannot be read."""

        def read() -> list[InvoiceLine]:
            return list(billing.lines(PREVIEW, self.period))

        return read() if is_needed else ITEMS_SO_FAR.read(billing.context, read, None)

    def _beyond_items(
        self, billing: BillingApi, invoice: Invoice, itemised: Decimal, invoice_id: str | None, amount: Decimal | None
    ) -> Iterator[DailyCharge]:
        """Yield what the summary has beyond the items, and what is still lacking of `amount` unless that is None."""
        method = INVOICE_LINE if invoice_id else SO_FAR
        parts = SUMMARY.read(billing.context, lambda: billing.parts(invoice), UNKNOWN)
        for category, name, part in parts.beyond(amount, itemised):
            line = InvoiceLine(("", name), part, name, (), None, self.period.start, self.period.end, category=category)
            yield DailyCharge(line.key, part, line.start, line.end, method, line, (), invoice_id)

    def _conclude(self, billing: BillingApi, days: DailyEstimates) -> None:
        """Add the insights to the lineage, and the balance to compare the open month with: estimates need not equal it."""
        said = {"kind": "insights", "data_points": str(days.count), "amount": f"{days.estimated:f}"}
        if days.dropped:
            said |= {"not_invoiced": str(days.dropped), "not_invoiced_amount": f"{days.dropped_amount:f}"}
        self._note([said])
        if self.is_closed:
            return
        if days.last_day is not None:
            self.collection.data_through = midnight(days.last_day) + timedelta(days=1)
        if self.period == BillingPeriod.of(billing.clock_time):
            balance = BALANCE.read(billing.context, billing.usage, None)
            if balance is not None:
                usage, generated_at = balance
                beyond = exact_difference(usage, days.estimated)
                compared = {"month_to_date_usage": f"{usage:f}", "beyond_insights": f"{beyond:f}"}
                self._note([{"kind": "balance", "generated_at": generated_at.isoformat(), **compared}])

    def _note(self, sources: Iterable[dict[str, str]]) -> None:
        self.collection.sources.extend(sources)


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds between two requests at four fifths of the limit per minute; probes and other months need the rest."""
    stated = headers.get("ratelimit-limit", "")
    limit = int(stated) if stated.isdecimal() and len(stated) < 12 else 0
    return 60 / ((limit or HOURLY_LIMIT) * 0.05 * 0.8)


def _droplets(api: Client) -> Iterator[Instance]:
    for fields in PagedList("/v2/droplets", "droplets", DROPLETS, LISTS, PAGE_SIZE).objects(api):
        id_ = fields.optional("id", JsonFields.identifier, "")
        name, size = (fields.optional(one, JsonFields.text, "") for one in ("name", "size_slug"))
        place = fields.optional("region", JsonFields.object, None)
        region = place.optional("slug", JsonFields.text, "") if place else ""
        tags = fields.optional("tags", JsonFields.texts, ())
        if id_:
            yield Instance(id_, name, "Droplet", region, size, (id_,), dict.fromkeys(tags, "true"))
