"""Provider ``digitalocean``: API v2, as the vendor's OpenAPI document (github.com/digitalocean/openapi) describes it.

The open month is its billing insights, one line item for each line and day, estimated every night. They name no resource; the items of the
preview invoice do, and are joined by their texts. Their amounts are running totals and never counted. A month that is invoiced is the same
days and, line by line, what the invoice says beyond them (``daily_lines.py``); tax, credits and overage come from the invoice's summary.
Months of which there are no insights are the items of their invoices.

``/v2/customers/my/billing_history`` is not read: it is a ledger, and the payments and invoices in it are no costs. Of the balance only
``month_to_date_usage`` is, to compare the open month with: ``month_to_date_balance`` has old debt in it.

Everything is in US dollars and in UTC. ``duration`` is kept as stated and no price is computed from it: since 2026 some things are billed
by the second, others by the hour or the month.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import NotFound
from optiinfra_assets.line_items.row_batches import Row, Value, batches_of
from optiinfra_assets.providers.base import Capabilities, Collection, Probe, Provider
from optiinfra_assets.providers.context import Context, MemorySnapshots, utc_now
from optiinfra_assets.providers.digitalocean.billing_api import (
    NOTHING,
    PREVIEW,
    BillingApi,
    Books,
    Invoice,
    midnight,
)
from optiinfra_assets.providers.digitalocean.daily_estimates import ESTIMATE, BillLine, Charge, DailyLines
from optiinfra_assets.providers.digitalocean.invoice_parts import InvoiceParts
from optiinfra_assets.providers.http.client import Client, rate_limit_end
from optiinfra_assets.providers.http.endpoint_policy import Endpoint
from optiinfra_assets.providers.http.linked_pages import listed
from optiinfra_assets.providers.http.redaction import bearer
from optiinfra_assets.providers.running_totals.instances import Machine, Machines, daily_list, keep_daily
from optiinfra_assets.providers.running_totals.month import INVOICE_LINE, MONTHS_BACK
from optiinfra_assets.providers.running_totals.readings import exact_sum

BILLING: Final = "the scope billing:read"
ACCOUNT: Final = "the scope account:read, or else account_urn in the settings"
DROPLETS: Final = "the scope droplet:read"
CURRENCY: Final = "USD"
SO_FAR: Final = "month so far"
KEPT: Final = "droplets"
HOURLY_LIMIT: Final = 5_000
"""Requests of one token in an hour, unless the answers state another; of them 5 % in a minute."""

COLUMNS: Final = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart",
    "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "EffectiveCost", "HostProviderName", "InvoiceId", "InvoiceIssuerName",
    "ListCost", "PricingQuantity", "PricingUnit", "RegionId", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory",
    "ServiceName", "ServiceProviderName", "SkuId", "SubAccountId", "Tags", "x_Group", "x_Method", "x_Plan", "x_Project",
)  # fmt: skip

_SERVICE_CATEGORIES: Final = (
    ("AI and Machine Learning", re.compile(r"gradient|gen ?ai|inference|agent", re.I)),
    ("Databases", re.compile(r"database", re.I)),
    ("Storage", re.compile(r"spaces|volume|snapshot|backup|storage|file share|nfs", re.I)),
    ("Networking", re.compile(r"load balancer|bandwidth|\bip|cdn|gateway|vpc|dns|overage", re.I)),
    ("Compute", re.compile(r"droplet|kubernetes|app platform|function|gpu|container", re.I)),
)
_SKUS: Final = (("-DROP-", "Droplets"), ("-K8SWN-", "Kubernetes Clusters"))
"""The two that the vendor's documents show."""
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


@dataclass(frozen=True, slots=True)
class _Payer:
    """Who is billed."""

    urn: str
    name: str | None

    @property
    def id(self) -> str:
        """Its uuid."""
        return _uuid(self.urn)


class DigitalOcean(Provider):
    """Everything on the bill of a DigitalOcean team."""

    name: ClassVar[str] = "digitalocean"
    title: ClassVar[str] = "DigitalOcean"
    credential_model: ClassVar[type[BaseModel]] = DigitalOceanCredential
    capabilities: ClassVar[Capabilities] = Capabilities(granularity="day", history_months=MONTHS_BACK)

    def discover(self, account: Account) -> list[str]:
        """Id and name of the one team of a token.

        Raises:
            CredentialRejected: the token is not accepted, lacks a scope, or is not of the team that is named.
            ProviderError: the account could not be read.
        """
        credential = _credential(account)
        context = Context(utc_now, MemorySnapshots())
        with _open(credential, context) as api:
            payer = _payer(credential, api)
            billing = _billing(api, payer, context)
            billing.usage()
            billing.count(BillingPeriod.of(context.clock()))
        return [f"{payer.id} {payer.name or ''}".strip()]

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: Context) -> Probe:
        """A token for each of the last 13 periods that has an invoice, a preview or insights: they change every night.

        Three requests, four until the month before is invoiced; besides, once a day the pages of the droplets, and once, of an invoice for
        the month before, the pages of its items until one reaches the end.

        Raises:
            ProviderError: the account could not be read.
        """
        credential, current = _credential(account), BillingPeriod.of(context.clock())
        with _open(credential, context) as api:
            billing = _billing(api, _payer(credential, api), context)
            books = billing.books()
            billing.keep_within(books)
            wanted = {current, current.shift(-1), *since, *(invoice.period for invoice in books.invoices)}
            recent = sorted(one for one in wanted if current.shift(1 - MONTHS_BACK) <= one <= current)
            tokens = {period: billing.token(books, period) for period in recent}
            keep_daily(context, KEPT, lambda: _droplets(api))
            named = {one: token for one, token in tokens.items() if token != NOTHING or one in since}
            return Probe(named, api.meter.requests)

    def collect(self, account: Account, billing_period: BillingPeriod, context: Context) -> Collection:
        """Line items of one period: its insights, trued up to its invoices; final two days after the month if it is invoiced by then.

        Raises:
            ProviderError: the account could not be read; or later, from the stream, the insights or an invoice.
        """
        credential = _credential(account)
        with _open(credential, context) as api:
            payer = _payer(credential, api)
            billing = _billing(api, payer, context)
            books = billing.books()
            token = billing.token(books, billing_period)
            if billing_period == BillingPeriod.of(billing.clock_time):
                keep_daily(context, KEPT, lambda: _droplets(api))
            is_closed = billing.is_closed(books, billing_period)
            requests = api.meter.requests
        invoiced = exact_sum(invoice.amount for invoice in books.of(billing_period))
        collection = Collection(
            batches=iter(()),
            change_token=token,
            control_totals={CURRENCY: invoiced} if is_closed else None,
            data_through=billing_period.end if is_closed else None,
            is_final=is_closed and billing.is_settled(billing_period),
            requests=requests,
        )
        month = _Month(billing_period, is_closed, payer, books, collection)
        rows = month.rows(credential, context)
        where = f"{self.title} {billing_period}"
        collection.batches = batches_of(rows, COLUMNS, collection.rounding, where=where)
        return collection


@dataclass(slots=True)
class _Month:
    """The line items of one period in the making."""

    period: BillingPeriod
    is_closed: bool
    payer: _Payer
    books: Books
    collection: Collection

    def rows(self, credential: DigitalOceanCredential, context: Context) -> Iterator[Row]:
        """Line items, answers read as they are needed."""
        kept = context.snapshots.read(KEPT, self.period)
        self._note({"kind": KEPT, "taken_at": one.taken_at.isoformat()} for one in kept)
        machines = Machines(kept, daily_list)
        with _open(credential, context) as api:
            for charge in self._charges(_billing(api, self.payer, context)):
                yield _row(charge, self.period, self.payer, machines)
            self.collection.requests += api.meter.requests

    def _charges(self, billing: BillingApi) -> Iterator[Charge]:
        days = DailyLines(self.period, self.is_closed)
        with suppress(NotFound) if self.is_closed else nullcontext():
            for estimate in billing.insights(self.period):
                days.add(estimate)
        for invoice in self.books.of(self.period):
            yield from self._invoiced(billing, invoice, days)
        if not self.is_closed and self.books.previewed(self.period):
            yield from self._previewed(billing, days)
        yield from days.charges()
        self._conclude(billing, days)

    def _invoiced(self, billing: BillingApi, invoice: Invoice, days: DailyLines) -> Iterator[Charge]:
        """Items that have no estimates, and what the summary has beyond items; the other items are held in `days`."""
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

    def _previewed(self, billing: BillingApi, days: DailyLines) -> Iterator[Charge]:
        """What is known of the lines so far; and tax, credits and overage so far.

        After an invoice within the month these are left out until the last one: nobody says whether the preview begins anew then.
        """
        itemised = Decimal(0)
        for line in billing.lines(PREVIEW, self.period):
            itemised = exact_sum((itemised, line.amount))
            days.offer(line)
        parts = billing.parts(PREVIEW)
        if not self.books.of(self.period):
            yield from self._beyond_items(parts, itemised, None)
        self._note([{"kind": PREVIEW, "amount": f"{parts.amount:f}", "itemised": f"{itemised:f}"}])

    def _beyond_items(
        self, parts: InvoiceParts, itemised: Decimal, invoice_id: str | None
    ) -> Iterator[Charge]:
        method = INVOICE_LINE if invoice_id else SO_FAR
        for category, name, amount in parts.beyond(itemised):
            line = BillLine(
                ("", name), amount, name, (), None, self.period.start, self.period.end, category=category
            )
            yield Charge(line.key, amount, line.start, line.end, method, line, (), invoice_id)

    def _conclude(self, billing: BillingApi, days: DailyLines) -> None:
        """Lineage, and the balance to compare the open month with: estimates are not meant to equal it."""
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


def _credential(account: Account) -> DigitalOceanCredential:
    return DigitalOceanCredential.model_validate({**account.settings, **account.secrets})


def _open(credential: DigitalOceanCredential, context: Context) -> Client:
    token = credential.api_token.get_secret_value()
    return Client(
        credential.endpoint_url,
        context,
        headers=bearer("api_token", token),
        secrets=[token],
        wait=rate_limit_end,
        reason="message",
        pace=_pause,
    )


def _pause(headers: Mapping[str, str]) -> float:
    """Four fifths of the limit of a minute, as probes and other months need some of it too."""
    stated = headers.get("ratelimit-limit", "")
    limit = int(stated) if stated.isdecimal() and len(stated) < 12 else 0
    return 60 / ((limit or HOURLY_LIMIT) * 0.05 * 0.8)


def _payer(credential: DigitalOceanCredential, api: Client) -> _Payer:
    if credential.account_urn:
        return _Payer(credential.account_urn, None)
    team = api.get("/v2/account", permission=ACCOUNT).fields().object("account").object("team")
    return _Payer(f"do:team:{team.identifier('uuid')}", team.text_or_none("name"))


def _billing(api: Client, payer: _Payer, context: Context) -> BillingApi:
    return BillingApi(api, payer.urn, BILLING, context.clock(), context.snapshots)


def _droplets(api: Client) -> Iterator[Machine]:
    for fields in listed(api, "/v2/droplets", "droplets", permission=DROPLETS, per_page=200):
        id_, name, size = fields.identifier("id"), fields.text("name"), fields.text("size_slug")
        region = fields.object("region").text("slug")
        tags = fields.texts("tags") if fields.values.get("tags") else []
        yield Machine(id_, name, "Droplet", region, size, (id_,), dict.fromkeys(tags, "true"))


def _row(charge: Charge, period: BillingPeriod, payer: _Payer, machines: Machines) -> Row:
    line = charge.line
    group, description = charge.key
    region, sku, team = charge.place or ("", "", "")
    category = line.category if line else "Usage"
    product = line.product if line and line.product else _product(sku)
    values: dict[str, Value] = {
        **dict.fromkeys(("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"), charge.amount),
        "BillingAccountId": payer.id,
        "BillingAccountName": payer.name,
        "BillingCurrency": CURRENCY,
        "BillingPeriodStart": period.start,
        "BillingPeriodEnd": period.end,
        "ChargeCategory": category,
        "ChargeDescription": description,
        "ChargeFrequency": "Usage-Based" if category == "Usage" else "One-Time",
        "ChargePeriodStart": charge.start,
        "ChargePeriodEnd": charge.end,
        "InvoiceId": charge.invoice_id,
        "InvoiceIssuerName": "DigitalOcean",
        "HostProviderName": "DigitalOcean",
        "ServiceProviderName": "DigitalOcean",
        "ServiceName": product,
        "ServiceCategory": _service_category(product) if category == "Usage" else "Other",
        "RegionId": region or None,
        "SkuId": sku or None,
        "SubAccountId": _uuid(team) if team not in ("", payer.urn) else None,
        "x_Group": group or None,
        "x_Method": charge.method,
    }
    if line is not None:
        values |= _of_line(charge, line, period, machines)
    is_estimated = charge.method in (ESTIMATE, SO_FAR)
    return Row("api" if is_estimated else "invoice", is_estimated, values)


def _of_line(charge: Charge, line: BillLine, period: BillingPeriod, machines: Machines) -> dict[str, Value]:
    """What an item adds: its resource, its project, and if it stands whole its quantity."""
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
    """Of a line that only insights have: its kind as far as the SKU tells, else the SKU itself."""
    return next((product for part, product in _SKUS if part in sku), sku or "Unknown")


def _service_category(product: str) -> str:
    return next((category for category, names in _SERVICE_CATEGORIES if names.search(product)), "Other")


def _uuid(urn: str) -> str:
    return urn.rsplit(":", 1)[-1]
