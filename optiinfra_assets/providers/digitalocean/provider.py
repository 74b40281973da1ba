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

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import ResourceNotFound
from optiinfra_assets.line_items.row_batches import LineItemRow, Value
from optiinfra_assets.providers.base import Capabilities, LineItemStream, credential_of
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.providers.digitalocean.billing_api import (
    LISTS,
    NOTHING,
    PAGE_SIZE,
    PREVIEW,
    BillingApi,
    Invoice,
    InvoiceList,
    midnight,
)
from optiinfra_assets.providers.digitalocean.daily_estimates import (
    ESTIMATE,
    DailyCharge,
    DailyEstimates,
    InvoiceLine,
)
from optiinfra_assets.providers.digitalocean.invoice_parts import InvoiceParts
from optiinfra_assets.providers.http.client import Client, rate_limit_end
from optiinfra_assets.providers.http.endpoint_policy import Endpoint
from optiinfra_assets.providers.http.pagination import PagedList
from optiinfra_assets.providers.http.redaction import bearer_header
from optiinfra_assets.providers.running_totals import focus_columns
from optiinfra_assets.providers.running_totals.focus_columns import service_category
from optiinfra_assets.providers.running_totals.instances import (
    Instance,
    InstanceHistory,
    daily_list,
    keep_daily,
)
from optiinfra_assets.providers.running_totals.month import INVOICE_LINE, MONTHS_BACK
from optiinfra_assets.providers.running_totals.provider import ApiProvider, ApiSession
from optiinfra_assets.providers.running_totals.readings import exact_sum

BILLING: Final = "the scope billing:read"
ACCOUNT: Final = "the scope account:read, or else account_urn in the settings"
DROPLETS: Final = "the scope droplet:read"
CURRENCY: Final = "USD"
SO_FAR: Final = "month so far"
KEPT: Final = "droplets"
HOURLY_LIMIT: Final = 5_000
"""Requests per token and hour, unless the responses state another limit. A minute has 5 % of them."""

COLUMNS: Final = (*focus_columns.COLUMNS, "SkuId", "SubAccountId", "x_Group", "x_Project")

_SERVICE_CATEGORIES: Final = (
    ("AI and Machine Learning", re.compile(r"gradient|gen ?ai|inference|agent", re.I)),
    ("Databases", re.compile(r"database", re.I)),
    ("Storage", re.compile(r"spaces|volume|snapshot|backup|storage|file share|nfs", re.I)),
    ("Networking", re.compile(r"load balancer|bandwidth|\bip|cdn|gateway|vpc|dns|overage", re.I)),
    ("Compute", re.compile(r"droplet|kubernetes|app platform|function|gpu|container", re.I)),
)
_SKUS: Final = (("-DROP-", "Droplets"), ("-K8SWN-", "Kubernetes Clusters"))
"""Products by a part of their SKU: the two SKUs that the vendor's documents show."""
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
    title: ClassVar[str] = "DigitalOcean"
    credential_model: ClassVar[type[BaseModel]] = DigitalOceanCredential
    capabilities: ClassVar[Capabilities] = Capabilities(granularity="day", history_months=MONTHS_BACK)
    own_hosts: ClassVar[tuple[str, ...]] = ("api.digitalocean.com",)

    def session(self, account: Account, context: ProviderContext) -> _Session:
        """Return a session that uses the token of `account`. Raises BadData if its settings are not accepted."""
        return _Session(credential_of(account, DigitalOceanCredential), context)


class _Session(ApiSession[DigitalOceanCredential]):
    columns = COLUMNS

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
        """Urn and name of the team of the token; if the credential names another urn, that urn and None."""
        if self.credential.account_urn:
            return self.credential.account_urn, None
        team = self.api.get("/v2/account", permission=ACCOUNT).fields().object("account").object("team")
        return f"do:team:{team.identifier('uuid')}", team.text_or_none("name")

    def billing(self) -> BillingApi:
        """Return a `BillingApi` for the payer, as of now."""
        urn, snapshots = self.payer[0], self.context.snapshots
        return BillingApi(self.api, urn, BILLING, self.context.clock(), snapshots)

    def account_name(self) -> str:
        billing = self.billing()
        billing.usage()
        billing.count(BillingPeriod.of(self.context.clock()))
        urn, name = self.payer
        return f"{_uuid(urn)} {name or ''}".strip()

    def tokens(self, since: Mapping[BillingPeriod, str]) -> dict[BillingPeriod, str]:
        """Return the tokens of periods in `since` or with an invoice, a preview or insights; those of open periods change every night."""
        current = BillingPeriod.of(self.context.clock())
        billing = self.billing()
        books = billing.books()
        billing.keep_within(books)
        wanted = {current, current.shift(-1), *since, *(invoice.period for invoice in books.invoices)}
        recent = sorted(one for one in wanted if current.shift(1 - MONTHS_BACK) <= one <= current)
        tokens = {period: billing.token(books, period) for period in recent}
        self._keep_droplets()
        return {one: token for one, token in tokens.items() if token != NOTHING or one in since}

    def month(self, period: BillingPeriod) -> tuple[LineItemStream, Iterator[LineItemRow]]:
        """Return the insights, trued up to the invoices. The month is final two days after its end if it is invoiced by then."""
        billing = self.billing()
        books = billing.books()
        token = billing.token(books, period)
        if period == BillingPeriod.of(billing.clock_time):
            self._keep_droplets()
        is_closed = billing.is_closed(books, period)
        invoiced = exact_sum(invoice.amount for invoice in books.of(period))
        collection = LineItemStream(
            batches=iter(()),
            change_token=token,
            control_totals={CURRENCY: invoiced} if is_closed else None,
            data_through=period.end if is_closed else None,
            is_final=is_closed and billing.is_settled(period),
        )
        return collection, _Month(period, is_closed, books, collection).rows(self)

    def _keep_droplets(self) -> None:
        keep_daily(self.context, KEPT, lambda: _droplets(self.api))


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
        billing = focus_columns.BillingColumns(
            self.period, (_uuid(urn), name), CURRENCY, "DigitalOcean", "DigitalOcean"
        )
        for charge in self._charges(session.billing()):
            yield _row(charge, billing, urn, machines)

    def _charges(self, billing: BillingApi) -> Iterator[DailyCharge]:
        days = DailyEstimates(self.period, self.is_closed)
        with suppress(ResourceNotFound) if self.is_closed else nullcontext():
            for estimate in billing.insights(self.period):
                days.add(estimate)
        for invoice in self.books.of(self.period):
            yield from self._invoiced(billing, invoice, days)
        if not self.is_closed and self.books.previewed(self.period):
            yield from self._previewed(billing, days)
        yield from days.charges()
        self._conclude(billing, days)

    def _invoiced(self, billing: BillingApi, invoice: Invoice, days: DailyEstimates) -> Iterator[DailyCharge]:
        """Yield items without estimates, and what the summary states beyond the items. `days` holds the other items."""
        itemised, count = Decimal(0), 0
        for line in billing.lines(invoice.uuid, self.period):
            itemised, count = exact_sum((itemised, line.amount)), count + 1
            charge = days.offer(line)
            if charge is not None:
                yield charge
        parts = billing.parts(invoice.uuid)
        parts.check(invoice.amount, itemised, count)
        yield from self._beyond_items(parts, itemised, invoice.uuid)
        amount = f"{invoice.amount:f}"
        self._note([{"kind": "invoice", "id": invoice.uuid, "amount": amount, "items": str(count)}])

    def _previewed(self, billing: BillingApi, days: DailyEstimates) -> Iterator[DailyCharge]:
        """Offer the preview's items to `days`, and yield tax, credits and overage so far.

        After an invoice within the month this leaves those three out until the last invoice: it is not documented whether the preview then
        starts again from zero.
        """
        itemised = Decimal(0)
        for line in billing.lines(PREVIEW, self.period):
            itemised = exact_sum((itemised, line.amount))
            days.offer(line)
        parts = billing.parts(PREVIEW)
        if not self.books.of(self.period):
            yield from self._beyond_items(parts, itemised, None)
        self._note([{"kind": PREVIEW, "amount": f"{parts.amount:f}", "itemised": f"{itemised:f}"}])

    def _beyond_items(self, parts: InvoiceParts, itemised: Decimal, invoice_id: str | None) -> Iterator[DailyCharge]:
        method = INVOICE_LINE if invoice_id else SO_FAR
        for category, name, amount in parts.beyond(itemised):
            line = InvoiceLine(
                ("", name), amount, name, (), None, self.period.start, self.period.end, category=category
            )
            yield DailyCharge(line.key, amount, line.start, line.end, method, line, (), invoice_id)

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
            usage, generated_at = billing.usage()
            beyond = exact_sum((usage, -days.estimated))
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
        id_, name, size = fields.identifier("id"), fields.text("name"), fields.text("size_slug")
        region = fields.object("region").text("slug")
        tags = fields.texts("tags") if fields.values.get("tags") else []
        yield Instance(id_, name, "Droplet", region, size, (id_,), dict.fromkeys(tags, "true"))


def _row(
    charge: DailyCharge, billing: focus_columns.BillingColumns, urn: str, machines: InstanceHistory
) -> LineItemRow:
    line = charge.line
    group, description = charge.key
    region, sku, team = charge.place or ("", "", "")
    category = line.category if line else "Usage"
    product = line.product if line and line.product else _product(sku)
    amount = charge.amount
    values = billing.values(category, amount, amount, charge.start, charge.end, charge.invoice_id, charge.method) | {
        "ChargeDescription": description,
        "ServiceName": product,
        "ServiceCategory": service_category(product, _SERVICE_CATEGORIES) if category == "Usage" else "Other",
        "RegionId": region or None,
        "SkuId": sku or None,
        "SubAccountId": _uuid(team) if team not in ("", urn) else None,
        "x_Group": group or None,
    }
    if line is not None:
        values |= _of_line(charge, line, billing.period, machines)
    is_estimated = charge.method in (ESTIMATE, SO_FAR)
    return LineItemRow("api" if is_estimated else "invoice", is_estimated, values)


def _of_line(
    charge: DailyCharge, line: InvoiceLine, period: BillingPeriod, machines: InstanceHistory
) -> dict[str, Value]:
    """Columns that an item adds: its resource and project, and its quantity if the whole item is one charge."""
    values: dict[str, Value] = {"x_Project": line.project}
    if line.end <= period.start and charge.amount < 0:
        values["ChargeClass"] = "Correction"
    if charge.method == INVOICE_LINE:
        values |= {"ConsumedQuantity": line.quantity, "ConsumedUnit": line.unit}
    if line.resource:
        machine = machines.find(line.resource, None, charge.start, charge.end)
        values |= {"ResourceName": line.key[-1], "ResourceType": line.product or None}
        values |= machine.values() if machine else {}
        values["ResourceId"] = line.resource[0]
    return values


def _product(sku: str) -> str:
    """Product of a line that only insights have: taken from the SKU where that is known, else the SKU itself."""
    return next((product for part, product in _SKUS if part in sku), sku or "Unknown")


def _uuid(urn: str) -> str:
    return urn.rsplit(":", 1)[-1]
