"""Provider ``nimbus``: an invented cloud whose API lists the charges of each day in pages. docs/adding-a-provider.md explains this code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.line_items import MANDATORY
from optiinfra_assets.line_items.row_batches import LineItemRow, Value, record_batches
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.base import Capabilities, LineItemStream, Probe, Provider, credential_of
from optiinfra_assets.providers.context import ProviderContext, transient_context
from optiinfra_assets.providers.http.client import Client
from optiinfra_assets.providers.http.endpoint_policy import Endpoint
from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.http.pagination import Page, items
from optiinfra_assets.providers.http.redaction import bearer_header


class NimbusCredential(BaseModel):
    """Credential of one account: a token."""

    model_config = ConfigDict(hide_input_in_errors=True)

    token: SecretStr = Field(description="Token with the right costs:read.")
    endpoint_url: Endpoint = Field("https://api.nimbus.example", description="Address of the API, for tests.")


READ: Final = "the right costs:read"
NAME: Final = AuxiliaryEndpoint("^GET /account\n", "the name of the account")


def _open(account: Account, context: ProviderContext) -> Client:
    credential = credential_of(account, NimbusCredential)
    token = credential.token.get_secret_value()
    headers = bearer_header("token", token)
    return Client(credential.endpoint_url, context, headers=headers, secrets=[token], reason="error")


def _months(api: Client) -> dict[BillingPeriod, JsonFields]:
    months = api.get("/months", permission=READ).fields().objects("months")
    return {BillingPeriod.parse(month.text("month")): month for month in months}


class Nimbus(Provider):
    """All charges of a Nimbus account."""

    name: ClassVar[str] = "nimbus"
    title: ClassVar[str] = "Nimbus"
    credential_model: ClassVar[type[BaseModel]] = NimbusCredential
    capabilities: ClassVar[Capabilities] = Capabilities(granularity="day", history_months=13)
    own_hosts: ClassVar[tuple[str, ...]] = ("api.nimbus.example",)
    auxiliary: ClassVar[tuple[AuxiliaryEndpoint, ...]] = (NAME,)
    necessary: ClassVar[tuple[str, ...]] = ("^GET /months",)
    needed_fields: ClassVar[frozenset[str]] = frozenset(
        {"months", "month", "version", "status", "amount", "currency", "lines", "next", "total", "day", "category"}
    )

    def discover(self, account: Account, context: ProviderContext | None = None) -> list[str]:
        """Return the name of the account."""
        with _open(account, context or transient_context()) as api:
            return [api.get("/account", permission=READ).fields().text("name")]

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext) -> Probe:
        """Make one request, which returns the version of each month."""
        with _open(account, context) as api:
            tokens = {period: month.text("version") for period, month in _months(api).items()}
            return Probe(tokens, api.meter.requests, api.meter.cost, context.warnings)

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        """Stream all days of a month, page by page."""
        with _open(account, context) as api:
            month = _months(api).get(billing_period)
            stream = LineItemStream(iter(()), "no such month", requests=api.meter.requests, warnings=context.warnings)
        if month is not None:
            version, is_closed = month.text("version"), month.text("status") == "closed"
            rows = _rows(account, billing_period, context, stream, is_estimated=not is_closed)
            where = f"Nimbus {billing_period}"
            stream.batches = record_batches(rows, COLUMNS, stream.rounding, where=where)
            stream.change_token = version
            stream.sources = [{"kind": "month", "month": str(billing_period), "version": version}]
            stream.control_totals = {month.text("currency"): month.money("amount")}
            stream.is_final = is_closed
        return stream


def _rows(
    account: Account,
    period: BillingPeriod,
    context: ProviderContext,
    stream: LineItemStream,
    *,
    is_estimated: bool,
) -> Iterator[LineItemRow]:
    path = f"/months/{period}"
    with _open(account, context) as api:
        name = NAME.read(context, lambda: _name(api), None)

        def read(cursor: str | None) -> Page[JsonFields]:
            answer = api.get(path, {"cursor": cursor or ""}, permission=READ).fields()
            return Page(answer.objects("lines"), answer.text_or_none("next"), answer.whole("total"))

        for line in items(read, path):
            yield LineItemRow("api", is_estimated, _values(line, period, name))
        stream.requests += api.meter.requests


def _name(api: Client) -> str | None:
    return api.get("/account", permission=READ).fields().optional("name", JsonFields.text, None)


COLUMNS: Final = (*MANDATORY, "ResourceId")


def _values(line: JsonFields, period: BillingPeriod, name: str | None) -> dict[str, Value]:
    text, service, resource = (line.optional(one, JsonFields.text, None) for one in ("text", "service", "resource"))
    day = datetime.fromisoformat(line.text("day")).replace(tzinfo=UTC)
    return {
        **dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), line.money("amount")),
        **dict.fromkeys(("InvoiceIssuerName", "ServiceProviderName", "HostProviderName"), "Nimbus"),
        "BillingAccountId": "nimbus",
        "BillingAccountName": name,
        "BillingCurrency": line.text("currency"),
        "BillingPeriodStart": period.start,
        "BillingPeriodEnd": period.end,
        "ChargePeriodStart": day,
        "ChargePeriodEnd": day + timedelta(days=1),
        "ChargeCategory": line.text("category"),
        "ChargeDescription": text,
        "ServiceName": service,
        "ServiceCategory": "Other",
        "ResourceId": resource,
    }
