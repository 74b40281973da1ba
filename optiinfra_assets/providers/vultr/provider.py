"""Provider ``vultr``: API v2, as the vendor's OpenAPI document and its Go client (github.com/vultr/govultr) describe it.

The API has no daily figures. ``/billing/pending-charges`` returns the running total of each line since the last invoice. Each probe keeps
the response, and the differences of these readings are the days of the open month (`providers.running_totals.readings`). The invoice, on
the 1st for the previous month, is final for each line: only it has the tax, and the hours between the last reading and the reset. Months
from before the account was connected have only the invoice. Vultr documents no invoice within the month, but other clouds issue one past a
threshold, so the dates of its items decide which month an invoice of the first week bills.

All amounts are in US dollars, which no response says. ``total`` is what a line costs: it differs from units times unit price by rounding
and by the monthly cap (672 hours; 730 for GPUs), after which a line does not grow any more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.invoices import InvoicePart
from optiinfra_assets.line_items.row_batches import LineItemRow
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.base import Capabilities, credential_of
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.providers.http.api_provider import ApiProvider
from optiinfra_assets.providers.http.client import ApiResponse, Client
from optiinfra_assets.providers.http.endpoint_policy import Endpoint
from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.http.pagination import PagedList, PageStyle
from optiinfra_assets.providers.http.redaction import bearer_header
from optiinfra_assets.providers.running_totals.focus_columns import (
    COLUMNS,
    BillingColumns,
    charge_class,
    consumed_columns,
    service_category,
)
from optiinfra_assets.providers.running_totals.instances import Instance, InstanceHistory
from optiinfra_assets.providers.running_totals.invoice_months import ListedInvoice
from optiinfra_assets.providers.running_totals.month import (
    DIFFERENCE,
    INVOICE_LINE,
    MONTHS_BACK,
    AccruedCharge,
    ChargeLine,
    IssuedInvoice,
    Lines,
    RunningMonth,
    completed,
    merged,
)
from optiinfra_assets.providers.running_totals.provider import MemoFigures, RunningTotalSession
from optiinfra_assets.providers.running_totals.readings import Key, MeasuredAmounts

BILLING: Final = "the ACL 'billing' of the key's user"
SUBSCRIPTIONS: Final = "the ACL 'subscriptions_view' of the key's user"
PAYER: Final = AuxiliaryEndpoint("/v2/account\n", "the name of the account and its own total of pending charges")
BANDWIDTH: Final = AuxiliaryEndpoint("/account/bandwidth", "the cost of traffic beyond the quota so far")
MACHINES: Final = AuxiliaryEndpoint("/v2/instances", "the ids, regions, plans and tags of instances")
PENDING: Final = "pending charges"
UNASSIGNED: Final = ("", "0.0.0.0")  # noqa: S104 - address of a new instance

_SERVICE_CATEGORIES: Final = (
    ("Databases", re.compile(r"database", re.I)),
    ("Storage", re.compile(r"storage|backup|snapshot|file ?system", re.I)),
    ("Networking", re.compile(r"load balancer|bandwidth|\bip\b|cdn|direct connect|nat gateway", re.I)),
    ("AI and Machine Learning", re.compile(r"inference", re.I)),
    ("Compute", re.compile(r"compute|instance|bare metal|gpu|kubernetes|container", re.I)),
)
_TAX: Final = re.compile(r"(sales |consumption )?(tax|vat|gst|hst)", re.I)
_BEYOND_NAME: Final = re.compile(r"[ (:]*[\d.,]+ ?%\)?$")  # the rate of a tax
_ADDRESS: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_LABEL: Final = re.compile(r"\[(.+)\]$")  # of an instance; other labels are in round brackets


class VultrCredential(BaseModel):
    """One account, read with an API key."""

    model_config = ConfigDict(hide_input_in_errors=True)

    api_key: SecretStr = Field(
        description="API key of a user with the ACLs billing and subscriptions_view, allowed from this machine."
    )
    billing_account_id: str | None = Field(
        None, description="Id to show for the account, which has none; empty: made from its e-mail address."
    )
    endpoint_url: Endpoint = Field(
        "https://api.vultr.com/v2", description="Address of the API; for tests and compatible services."
    )


class Vultr(ApiProvider):
    """Instances and everything else on a Vultr account.

    A probe makes two requests, five or more when a UTC day begins or a line appears, because the instances may then have changed too.
    It makes one more request, once, for each invoice of the first week of a month.
    """

    name: ClassVar[str] = "vultr"
    title: ClassVar[str] = "Vultr"
    credential_model: ClassVar[type[BaseModel]] = VultrCredential
    capabilities: ClassVar[Capabilities] = Capabilities(granularity="day", history_months=MONTHS_BACK)
    own_hosts: ClassVar[tuple[str, ...]] = ("api.vultr.com",)
    auxiliary: ClassVar[tuple[AuxiliaryEndpoint, ...]] = (PAYER, BANDWIDTH, MACHINES)
    necessary: ClassVar[tuple[str, ...]] = (
        r"/pending-charges\n",
        r"/billing/invoices\n",
        r"/billing/invoices/[^/]+/items\n",
    )
    needed_fields: ClassVar[frozenset[str]] = frozenset(
        {
            "pending_charges",
            "billing_invoices",
            "invoice_items",
            "total",
            "amount",
            "date",
            "id",
            "meta",
            "links",
            "next",
        }
    )

    def session(self, account: Account, context: ProviderContext) -> _Session:
        """Return a session that uses the API key of `account`. Raises BadData if its settings are not accepted."""
        return _Session(credential_of(account, VultrCredential), context, account.account_id)


def _stated_pending(fields: JsonFields) -> dict[str, str]:
    return {"pending_charges": f"{fields.object('account').money('pending_charges'):f}"}


def _overage(fields: JsonFields) -> dict[str, str]:
    month = fields.object("bandwidth").object("current_month_to_date")
    return {"overage_cost": f"{month.money('overage_cost'):f}"}


def _cursor(answer: JsonFields) -> tuple[str | None, int]:
    meta = answer.object("meta")
    return meta.object("links").text_or_none("next"), meta.whole("total")


_list = partial(PagedList, style=PageStyle("per_page", "cursor", _cursor), page_size=500)


class _Session(RunningTotalSession[VultrCredential]):
    columns = (*COLUMNS, "ListUnitPrice", "x_StartDate", "x_EndDate")
    kind = PENDING
    figures = (
        MemoFigures("account", "/account", BILLING, PAYER, _stated_pending),
        MemoFigures("bandwidth", "/account/bandwidth", SUBSCRIPTIONS, BANDWIDTH, _overage),
    )
    machine_list = _list("/instances", "instances", SUBSCRIPTIONS)
    machines_endpoint = MACHINES

    def __init__(self, credential: VultrCredential, context: ProviderContext, account_id: str) -> None:
        super().__init__(credential, context)
        self._account_id = account_id

    def client(self) -> Client:
        key = self.credential.api_key.get_secret_value()
        headers = bearer_header("api_key", key)
        return Client(self.credential.endpoint_url, self.context, headers=headers, secrets=[key], reason="error")

    def account_name(self) -> str:
        self.lines(self.owed().fields())
        return " ".join(self._payer()).strip()

    def owed(self) -> ApiResponse:
        return self.api.get("/billing/pending-charges", permission=BILLING)

    def lines(self, fields: JsonFields) -> Lines:
        """Parse the pending charges. Vultr documents no pages for them; if there is a next page, this raises ContractChanged."""
        meta = fields.values.get("meta")
        links = meta.get("links") if isinstance(meta, dict) else None
        if isinstance(links, dict) and links.get("next"):
            fields.refuse("meta", "one answer without pages")
        return merged(_line(line) for line in fields.objects("pending_charges"))

    def invoice_list(self) -> PagedList:
        return _list("/billing/invoices", "billing_invoices", BILLING)

    def issued_at(self, invoice: JsonFields) -> datetime:
        return invoice.time("date")

    def listed(self, invoice: JsonFields, issued_at: datetime) -> ListedInvoice:
        return ListedInvoice(invoice.identifier("id"), issued_at, invoice.money("amount"))

    def items(self, invoice_id: str) -> PagedList:
        return _list(f"/billing/invoices/{invoice_id}/items", "invoice_items", BILLING)

    def dates(self, item: JsonFields) -> tuple[str, str]:
        return _dates(item)

    def invoice_lines(self, month: RunningMonth, invoice: IssuedInvoice) -> Iterator[ChargeLine]:
        """Return the items of an invoice, and as a last line what its amount has beyond them."""
        rest = ("Not itemised", f"Invoice {invoice.invoice_id}: amount beyond its items", "")
        return completed(map(_line, self.items(invoice.invoice_id).objects(self.api)), invoice.amount, rest)

    def part(self, line: ChargeLine) -> InvoicePart:
        return InvoicePart(_category(line.key, line.measure.cost), line.measure.cost, line.key[0])

    def billing(self, period: BillingPeriod) -> BillingColumns:
        return BillingColumns(period, self._payer(), self.currency, "Vultr", "Vultr")

    def _payer(self) -> tuple[str, str]:
        """Id and name to show for the account: as it is now, else as it was last read, else the id under which it is connected."""
        account = PAYER.read(self.context, self._account, None) or self._account_before()
        email = account.optional("email", JsonFields.text, "") if account else ""
        name = account.optional("name", JsonFields.text, "") if account else ""
        digest = hashlib.sha256(email.strip().lower().encode()).hexdigest()
        own_id = f"vultr-{digest[:16]}" if email else self._account_id
        return self.credential.billing_account_id or own_id, name

    def _account(self) -> JsonFields:
        return self.api.get("/account", permission=BILLING).fields().object("account")

    def _account_before(self) -> JsonFields | None:
        current = BillingPeriod.of(self.context.clock())
        for back in range(MONTHS_BACK):
            kept = self.context.snapshots.newest(self.figures[0].kind, current.shift(-back))
            if kept is not None:
                return JsonFields.parse(kept.body, self.figures[0].kind, note=self.context.leave_out).object("account")
        return None

    def row(self, charge: AccruedCharge, billing: BillingColumns, machines: InstanceHistory) -> LineItemRow:
        line = charge.line
        product, description, unit = line.key
        category = _category(line.key, line.measure.cost)
        cost, list_cost = charge.measure.cost, charge.measure.list_cost
        values = billing.values(
            category, cost, list_cost, charge.start, charge.end, charge.invoice_id, charge.method
        ) | {
            "ChargeClass": charge_class(line, billing.period.start),
            "ChargeDescription": description,
            "ServiceName": product,
            "ServiceCategory": "Other",
        }
        if category == "Usage":
            values |= consumed_columns(charge.measure.quantity, unit)
            values |= {
                "ListUnitPrice": line.unit_price or None,
                "ServiceCategory": service_category(product, _SERVICE_CATEGORIES),
            }
        if charge.method == INVOICE_LINE:
            values |= {"x_StartDate": line.start, "x_EndDate": line.end}
        label = _LABEL.search(description)
        addresses = _ADDRESS.findall(description)
        machine = machines.find(addresses, label and label[1], charge.start, charge.end)
        if machine is not None:
            values |= machine.values()
        return LineItemRow(charge.source, charge.method == DIFFERENCE, values)

    def machine(self, fields: JsonFields) -> Instance | None:
        names = ("id", "label", "region", "plan", "main_ip")
        id_, label, region, plan, address = (fields.optional(name, JsonFields.text, "") for name in names)
        marks = (id_,) if address in UNASSIGNED else (id_, address)
        tags = dict.fromkeys(fields.optional("tags", JsonFields.texts, ()), "true")
        return Instance(id_, label, "Instance", region, plan, marks, tags) if id_ else None


def _category(key: Key, cost: Decimal) -> str:
    """FOCUS ChargeCategory. Vultr documents only the unit types hours, overage and discount, and not how it writes a tax line.

    So the product decides what is a tax. The description may be a customer's own words.
    """
    product, _, unit_type = key
    if unit_type == "tax" or _TAX.fullmatch(_BEYOND_NAME.sub("", product)):
        return "Tax"
    return "Credit" if unit_type == "discount" or cost < 0 else "Usage"


def _line(fields: JsonFields) -> ChargeLine:
    """Parse a pending charge or an invoice item."""
    product, description, unit_type = (
        fields.optional(name, JsonFields.text, "") for name in ("product", "description", "unit_type")
    )
    key = (product, description, unit_type)
    cost = fields.money("total")
    units, price = (fields.optional(name, JsonFields.money, Decimal(0)) for name in ("units", "unit_price"))
    is_priced = price > 0 and units > 0 and _category(key, cost) == "Usage"
    measure = MeasuredAmounts(cost, units, units * price if is_priced else cost)
    return ChargeLine(key, measure, price if is_priced else Decimal(0), *_dates(fields))


def _dates(fields: JsonFields) -> tuple[str, str]:
    return fields.optional("start_date", JsonFields.text, ""), fields.optional("end_date", JsonFields.text, "")
