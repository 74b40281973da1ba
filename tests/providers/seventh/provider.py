"""Provider ``nimbus``: an invented cloud that tells each day of a month, in pages. All that a new provider takes, with its simulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.line_items.row_batches import Row, batches_of
from optiinfra_assets.providers.base import Capabilities, Collection, Probe, Provider
from optiinfra_assets.providers.context import Context, MemorySnapshots, utc_now
from optiinfra_assets.providers.http.client import Client
from optiinfra_assets.providers.http.endpoint_policy import Endpoint
from optiinfra_assets.providers.http.json_fields import Fields
from optiinfra_assets.providers.http.pagination import Page, items
from optiinfra_assets.providers.http.redaction import bearer

READ = "the right costs:read"
COLUMNS = (
    *("BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "BillingCurrency", "BillingAccountId"),
    *("BillingAccountName", "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"),
    *("ChargeCategory", "ChargeClass", "ChargeDescription", "InvoiceIssuerName", "ServiceProviderName"),
    *("HostProviderName", "ServiceName", "ServiceCategory", "PricingQuantity", "PricingUnit", "ResourceId"),
)


class NimbusCredential(BaseModel):
    """One account, read with a token."""

    model_config = ConfigDict(hide_input_in_errors=True)

    token: SecretStr = Field(description="Token with the right costs:read.")
    endpoint_url: Endpoint = Field("https://api.nimbus.example", description="Address of the API.")


class Nimbus(Provider):
    """Everything on a Nimbus account."""

    name: ClassVar[str] = "nimbus"
    title: ClassVar[str] = "Nimbus"
    credential_model: ClassVar[type[BaseModel]] = NimbusCredential
    capabilities: ClassVar[Capabilities] = Capabilities(granularity="day", history_months=13)

    def discover(self, account: Account) -> list[str]:
        """Name of the account."""
        with _open(account, Context(utc_now, MemorySnapshots())) as api:
            return [api.get("/account", permission=READ).fields().text("name")]

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: Context) -> Probe:
        """One request: the version of each month."""
        with _open(account, context) as api:
            months = api.get("/months", permission=READ).fields().objects("months")
            tokens = {BillingPeriod.parse(one.text("month")): one.text("version") for one in months}
            return Probe(tokens, api.meter.requests, api.meter.cost)

    def collect(self, account: Account, billing_period: BillingPeriod, context: Context) -> Collection:
        """All days of a month, page by page."""
        token = self.probe(account, {}, context).tokens.get(billing_period, "empty")
        sources = [{"kind": "costs", "month": str(billing_period)}]
        collection = Collection(batches=iter(()), change_token=token, sources=sources, requests=1)
        rows = _rows(account, billing_period, context, collection)
        collection.batches = batches_of(rows, COLUMNS, collection.rounding, where=f"Nimbus {billing_period}")
        return collection


def _open(account: Account, context: Context) -> Client:
    credential = NimbusCredential.model_validate({**account.settings, **account.secrets})
    token = credential.token.get_secret_value()
    headers = bearer("token", token)
    return Client(credential.endpoint_url, context, headers=headers, secrets=[token], reason="error")


def _rows(account: Account, period: BillingPeriod, context: Context, collection: Collection) -> Iterator[Row]:
    with _open(account, context) as api:

        def read(cursor: str | None) -> Page[Fields]:
            answer = api.get(f"/months/{period}", {"cursor": cursor or ""}, permission=READ).fields()
            return Page(answer.objects("lines"), answer.text_or_none("next"), answer.whole("total"))

        for line in items(read, f"/months/{period}"):
            yield _row(line, period)
        collection.requests += api.meter.requests


def _row(line: Fields, period: BillingPeriod) -> Row:
    day = datetime.fromisoformat(line.text("day")).replace(tzinfo=UTC)
    amount = line.money("amount")
    costs = dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), amount)
    names = dict.fromkeys(("InvoiceIssuerName", "ServiceProviderName", "HostProviderName"), "Nimbus")
    return Row(
        "api",
        line.values["estimated"] is True,
        {
            **costs,
            **names,
            "BillingCurrency": line.text("currency"),
            "BillingAccountId": "nimbus",
            "BillingAccountName": "nimbus",
            "BillingPeriodStart": period.start,
            "BillingPeriodEnd": period.end,
            "ChargePeriodStart": day,
            "ChargePeriodEnd": day + timedelta(days=1),
            "ChargeCategory": line.text("category"),
            "ChargeDescription": line.text("text"),
            "ServiceName": line.text("service"),
            "ServiceCategory": "Other",
            "ResourceId": line.text_or_none("resource"),
        },
    )
