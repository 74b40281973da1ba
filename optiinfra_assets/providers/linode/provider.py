"""Provider ``linode``: API v4 of Linode (Akamai), as its reference and its Go client (github.com/linode/linodego) describe it.

An open month has neither days nor lines: ``/account`` returns one number, ``balance_uninvoiced``, for all usage since the last invoice,
before tax and without transfer overage. Each probe keeps it, and the differences of these readings are the days of the open month
(`providers.running_totals.readings`). It is not split over machines: part of it is for other things, and no response says how much.

Linode issues invoices on the 1st for the previous month, and within the month whenever the number passes a threshold. The number then falls
to zero, which is no refund. Days have no items and items have no days, so a month has one or the other. An open month has days, to which
an invoice adds its tax and what the readings missed. The last invoice replaces them by the items of its invoices, with their own dates;
``keep_days`` keeps the days instead. Both add up to the invoices to the last digit; what items and tax lack becomes a line of its own.

All amounts are in US dollars, which no response says; times have no zone and are UTC. ``amount`` is what an item costs: before tax,
and less than quantity times price past the monthly cap. The vendor documents ``unit_price`` in two ways, so it is stored and nothing is
computed from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property, partial
from itertools import chain
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import NothingThere
from optiinfra_assets.domain.invoices import InvoicePart
from optiinfra_assets.line_items.row_batches import LineItemRow, Value
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.base import Capabilities, credential_of
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.providers.http.api_provider import ApiProvider
from optiinfra_assets.providers.http.client import ApiResponse, Client, rate_limit_end, resting
from optiinfra_assets.providers.http.endpoint_policy import Endpoint
from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.http.pagination import PagedList, PageStyle
from optiinfra_assets.providers.http.redaction import bearer_header
from optiinfra_assets.providers.linode.invoice_items import TAX, dates, line, taxes, utc_time
from optiinfra_assets.providers.linode.item_labels import BACKUPS, OTHER, Label
from optiinfra_assets.providers.running_totals.focus_columns import (
    COLUMNS,
    BillingColumns,
    charge_class,
    consumed_columns,
)
from optiinfra_assets.providers.running_totals.instances import Instance, InstanceHistory
from optiinfra_assets.providers.running_totals.invoice_months import ListedInvoice, ZoneName, month_begin
from optiinfra_assets.providers.running_totals.month import (
    DIFFERENCE,
    MONTHS_BACK,
    AccruedCharge,
    ChargeLine,
    IssuedInvoice,
    Lines,
    RunningMonth,
    completed,
)
from optiinfra_assets.providers.running_totals.provider import MemoFigures, RunningTotalSession
from optiinfra_assets.providers.running_totals.readings import Key, MeasuredAmounts

BILLING: Final = "the token's scope account:read_only, and of a restricted user the right to read billing"
LINODES: Final = "the token's scope linodes:read_only"
TRANSFER: Final = AuxiliaryEndpoint("/account/transfer", "the traffic of the month so far")
MACHINES: Final = AuxiliaryEndpoint("/linode/instances", "the regions, types and tags of Linodes")
UNINVOICED: Final = "uninvoiced"
DIRECT: Final = "linode"
"""Billing source of an account that Linode itself bills."""

_REST: Final = "rest"
_WHOLE_ACCOUNT: Final[Key] = ("Linode (uninvoiced)", UNINVOICED, "")
_KEPT: Final = ("balance", "balance_uninvoiced", "billing_source", "active_promotions")
_MACHINES: Final = ("Linodes", re.compile(r"linode|nanode|dedicated|high ?memory|premium|shared|gpu", re.I))
_ADJUSTMENT: Final = re.compile(r"adjust|correct", re.I)


class LinodeCredential(BaseModel):
    """One account, read with a personal access token."""

    model_config = ConfigDict(hide_input_in_errors=True)

    token: SecretStr = Field(
        description="Personal access token with the scopes account:read_only and linodes:read_only."
    )
    month_zone: ZoneName = Field("UTC", description="Time zone in which the invoiced months begin.")
    keep_days: bool = Field(
        False, description="Keep an invoiced month by day; without it, it becomes the items of its invoices."
    )
    endpoint_url: Endpoint = Field(
        "https://api.linode.com/v4", description="Address of the API; for tests and compatible services."
    )


class Linode(ApiProvider):
    """Linodes and everything else on an account of Linode (Akamai).

    A probe makes two requests, four or more when a UTC day begins, and once one more for each invoice of the first week of a month.
    """

    name: ClassVar[str] = "linode"
    title: ClassVar[str] = "Linode (Akamai)"
    credential_model: ClassVar[type[BaseModel]] = LinodeCredential
    capabilities: ClassVar[Capabilities] = Capabilities(granularity="day", history_months=MONTHS_BACK)
    own_hosts: ClassVar[tuple[str, ...]] = ("api.linode.com",)
    auxiliary: ClassVar[tuple[AuxiliaryEndpoint, ...]] = (TRANSFER, MACHINES)
    necessary: ClassVar[tuple[str, ...]] = (
        r"/v4/account\n",
        r"/account/invoices\n",
        r"/account/invoices/[^/]+/items\n",
    )
    needed_fields: ClassVar[frozenset[str]] = frozenset(
        {"balance_uninvoiced", "data", "amount", "total", "date", "id", "page", "pages", "results"}
    )

    def session(self, account: Account, context: ProviderContext) -> _Session:
        """Return a session that uses the token of `account`. Raises BadData if its settings are not accepted."""
        return _Session(credential_of(account, LinodeCredential), context, account.account_id)


def _transferred(fields: JsonFields) -> dict[str, str]:
    return {f"{name}_gb": f"{fields.money(name):f}" for name in ("billable", "used", "quota")}


def _numbered(answer: JsonFields) -> tuple[str | None, int]:
    at, last = answer.whole("page"), answer.whole("pages")
    return str(at + 1) if at < last else None, answer.whole("results")


_list = partial(PagedList, name="data", style=PageStyle("page_size", "page", _numbered, first="1"), page_size=500)


class _Session(RunningTotalSession[LinodeCredential]):
    """Requests the account first: if an invoice is issued in between, its date still shows whether the reading is before or after it.

    Attributes:
        taxes: tax lines of each invoice, by invoice id.
    """

    columns = (*COLUMNS, "x_ItemType", "x_UnitPrice")
    kind = UNINVOICED
    figures = (MemoFigures("transfer", "/account/transfer", BILLING, TRANSFER, _transferred),)
    machine_list = _list("/linode/instances", permission=LINODES)
    machines_endpoint = MACHINES

    def __init__(self, credential: LinodeCredential, context: ProviderContext, account_id: str) -> None:
        super().__init__(credential, context)
        self._account_id = account_id
        self.zone = ZoneInfo(credential.month_zone)
        self.keeps_days = credential.keep_days
        self.token_suffix = "-days" if credential.keep_days else ""
        self.taxes: dict[str, list[ChargeLine]] = {}

    def client(self) -> Client:
        url, token = self.credential.endpoint_url, self.credential.token.get_secret_value()
        headers = bearer_header("token", token)
        return Client(url, self.context, headers=headers, secrets=[token], wait=rate_limit_end, reason=_reason)

    @cached_property
    def account(self) -> ApiResponse:
        """The account, as it was at the start of the session."""
        return self.api.get("/account", permission=BILLING)

    @cached_property
    def billing_source(self) -> str:
        """Who bills the account: ``linode``, ``akamai`` or ``external``."""
        return self.account.fields().optional("billing_source", JsonFields.text, "") or DIRECT

    def account_name(self) -> str:
        """Return id and name, and who bills the account if that is not Linode itself."""
        current = BillingPeriod.of(self.context.clock())
        self.invoices(current, current)
        named = " ".join(self._payer()).strip()
        return named if self.billing_source == DIRECT else f"{named} (billing source {self.billing_source})"

    def owed(self) -> ApiResponse:
        """Return only the figures of the account: the response also has addresses, a telephone number and parts of a card number."""
        kept = {name: value for name, value in self.account.fields().values.items() if name in _KEPT}
        return replace(self.account, body=json.dumps(kept, default=str).encode())

    def lines(self, fields: JsonFields) -> Lines:
        cost = fields.money("balance_uninvoiced")
        return {_WHOLE_ACCOUNT: ChargeLine(_WHOLE_ACCOUNT, MeasuredAmounts(cost, list_cost=cost))}

    def invoices(self, oldest: BillingPeriod, latest: BillingPeriod) -> list[IssuedInvoice]:
        """Return the invoices, and read their taxes into `taxes`.

        Raises:
            NothingThere: somebody else bills the account, and the API shows no charge of it.
        """
        fields = self.account.fields()
        self.began = fields.optional("active_since", utc_time, None)
        self._count = 0
        found = super().invoices(oldest, latest)
        if self.billing_source != DIRECT and not self._count and not self.lines(fields)[_WHOLE_ACCOUNT].measure:
            raise NothingThere(
                f"billing_source: this account is billed by {self.billing_source} outside this API, which shows neither an invoice nor an "
                "uninvoiced charge: connect the account that is invoiced, or take the figures from the bill itself"
            )
        return found

    def invoice_list(self) -> PagedList:
        return _list("/account/invoices", permission=BILLING)

    def issued_at(self, invoice: JsonFields) -> datetime:
        self._count += 1
        return utc_time(invoice, "date")

    def listed(self, invoice: JsonFields, issued_at: datetime) -> ListedInvoice:
        invoice_id = invoice.identifier("id")
        self.taxes[invoice_id] = list(taxes(invoice))
        return ListedInvoice(invoice_id, issued_at, invoice.money("total"))

    def items(self, invoice_id: str) -> PagedList:
        return _list(f"/account/invoices/{invoice_id}/items", permission=BILLING)

    def dates(self, item: JsonFields) -> tuple[str, str]:
        return dates(item)

    def said_besides(self, period: BillingPeriod) -> list[dict[str, str]]:
        """Return the transfer so far, whose overage only the invoice has, and who bills this account if not Linode."""
        said = super().said_besides(period)
        if self.billing_source == DIRECT:
            return said
        return [{"kind": "account", "billing_source": self.billing_source}, *said]

    def invoice_lines(self, month: RunningMonth, invoice: IssuedInvoice) -> Iterator[ChargeLine]:
        """Return taxes and one line for the rest if the month has days; else items and taxes, and what they lack of the total."""
        taxed = self.taxes[invoice.invoice_id]
        if month.cuts:
            return completed(taxed, invoice.amount, _WHOLE_ACCOUNT)
        found = self.items(invoice.invoice_id).objects(self.api, resting(self.context))
        rest = (f"Invoice {invoice.invoice_id}: total beyond its items and tax", _REST, "")
        return completed(chain(map(line, found), taxed), invoice.amount, rest)

    def part(self, line: ChargeLine) -> InvoicePart:
        label, kind, _ = line.key
        return InvoicePart(_category(line.key, line.measure.cost), line.measure.cost, _said(label, kind).service)

    def billing(self, period: BillingPeriod) -> BillingColumns:
        issuer = "Linode" if self.billing_source == DIRECT else "Akamai"
        return BillingColumns(period, self._payer(), self.currency, "Linode", issuer)

    def _payer(self) -> tuple[str, str]:
        fields = self.account.fields()
        company, *person = (
            fields.optional(part, JsonFields.text, "") for part in ("company", "first_name", "last_name")
        )
        name = company or " ".join(filter(None, person))
        return fields.optional("euuid", JsonFields.identifier, self._account_id), name

    def row(self, charge: AccruedCharge, billing: BillingColumns, machines: InstanceHistory) -> LineItemRow:
        label, kind, region = charge.line.key
        category = _category(charge.line.key, charge.line.measure.cost)
        said = _said(label, kind)
        cost, list_cost = charge.measure.cost, charge.measure.list_cost
        values = billing.values(
            category, cost, list_cost, charge.start, charge.end, charge.invoice_id, charge.method
        ) | {
            "ChargeClass": charge_class(charge.line, month_begin(billing.period, self.zone)),
            "ChargeDescription": label,
            "ServiceName": said.service,
            "ServiceCategory": said.category if category == "Usage" else OTHER,
        }
        if kind not in (UNINVOICED, TAX, _REST):
            values |= {"x_ItemType": kind, "x_UnitPrice": f"{charge.line.unit_price:f}"}
            if category == "Usage":
                values |= consumed_columns(charge.measure.quantity, "Hours" if kind == "hourly" else "Units")
            values |= _resource(said, machines, charge) | ({"RegionId": region} if region else {})
        return LineItemRow(charge.source, charge.method == DIFFERENCE, values)

    def machine(self, fields: JsonFields) -> Instance | None:
        id_ = fields.optional("id", JsonFields.identifier, "")
        label, region, type_ = (fields.optional(name, JsonFields.text, "") for name in ("label", "region", "type"))
        tags = dict.fromkeys(fields.optional("tags", JsonFields.texts, ()), "true")
        return Instance(id_, label, "Linode", region, type_, (id_,), tags) if id_ else None


def _reason(answer: ApiResponse) -> str:
    if "x-maintenance-mode" in answer.headers:
        return "the API is in maintenance"
    errors = answer.fields().objects("errors")
    return errors[0].text("reason") if errors else ""


def _resource(said: Label, machines: InstanceHistory, charge: AccruedCharge) -> dict[str, Value]:
    """Columns of the id in a label, and of the machine with that id: ids stay while names change."""
    if said.resource_id is None:
        return {}
    has_machine = said.service in (_MACHINES[0], BACKUPS)
    machine = machines.find([said.resource_id], None, charge.start, charge.end) if has_machine else None
    if machine is not None:
        return machine.values()
    named, service = said.resource_name, said.service
    return {"ResourceId": said.resource_id, "ResourceName": named, "ResourceType": service}


def _said(label: str, kind: str) -> Label:
    ours = {TAX: "Tax", _REST: "Not itemised", UNINVOICED: label}
    return Label(ours[kind], OTHER) if kind in ours else Label.parse(label, _MACHINES)


def _category(key: Key, cost: Decimal) -> str:
    """FOCUS ChargeCategory. Promotional credits are negative items; the vendor documents no other mark of them."""
    label, kind, _ = key
    if kind == TAX:
        return "Tax"
    if cost < 0 and kind != UNINVOICED:
        return "Credit"
    return "Adjustment" if kind == _REST or (kind == "misc" and _ADJUSTMENT.search(label)) else "Usage"
