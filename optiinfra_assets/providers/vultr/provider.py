"""Provider ``vultr``: API v2, as the vendor's OpenAPI document and its Go client (github.com/vultr/govultr) describe it.

There are no daily figures. ``/billing/pending-charges`` holds the running total of each line since the last invoice; each probe keeps the
answer, and the days of the open month are the differences (`providers.running_totals.readings`). The invoice, on the 1st for the month
before, is the last word line by line: it alone has the tax, and the hours between the last reading and the reset. Months from before the
account was connected have the invoice only. An invoice within the month is not documented, but others issue one past a threshold: of which
month an invoice of the first week is, the dates of its items tell.

Everything is in US dollars, of which the answers say nothing. ``total`` is the fact: it differs from units times unit price by rounding and
by the monthly cap (672 hours; 730 for GPUs), after which a line stands still.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from decimal import Decimal
from functools import partial
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import CredentialRejected
from optiinfra_assets.line_items.row_batches import Row, batches_of
from optiinfra_assets.providers.base import Capabilities, Collection, Probe, Provider
from optiinfra_assets.providers.context import Context, MemorySnapshots, Snapshot, utc_now
from optiinfra_assets.providers.http.client import Answer, Client
from optiinfra_assets.providers.http.endpoint_policy import Endpoint
from optiinfra_assets.providers.http.json_fields import Fields, parse_json
from optiinfra_assets.providers.http.pagination import Page, items
from optiinfra_assets.providers.http.redaction import bearer
from optiinfra_assets.providers.running_totals.focus_columns import COLUMNS, Billing, charge_class, consumed
from optiinfra_assets.providers.running_totals.instances import Machine, Machines
from optiinfra_assets.providers.running_totals.invoice_months import (
    Issued,
    Spans,
    invoices_of,
    kept_spans,
    lines_before,
    may_bill,
)
from optiinfra_assets.providers.running_totals.month import (
    DIFFERENCE,
    INVOICE_LINE,
    MONTHS_BACK,
    Charge,
    ChargeLine,
    Invoice,
    Month,
    RunningTotals,
    completed,
    merged,
    span_of,
)
from optiinfra_assets.providers.running_totals.readings import Key, Measure

BILLING: Final = "the ACL 'billing' of the key's user"
MACHINES: Final = "the ACL 'subscriptions_view' of the key's user"
CURRENCY: Final = "USD"
PENDING: Final = "pending charges"
INSTANCES: Final = "instances"
ACCOUNT: Final = "account"
BANDWIDTH: Final = "bandwidth"
UNASSIGNED: Final = ("", "0.0.0.0")  # noqa: S104 - what a new instance has for an address

_PAGE: Final = "500"
_OWN_COLUMNS: Final = ("ListUnitPrice", "x_StartDate", "x_EndDate")
_SERVICE_CATEGORIES: Final = (
    ("Databases", re.compile(r"database", re.I)),
    ("Storage", re.compile(r"storage|backup|snapshot|file ?system", re.I)),
    ("Networking", re.compile(r"load balancer|bandwidth|\bip\b|cdn|direct connect|nat gateway", re.I)),
    ("AI and Machine Learning", re.compile(r"inference", re.I)),
    ("Compute", re.compile(r"compute|instance|bare metal|gpu|kubernetes|container", re.I)),
)
_TAX: Final = re.compile(r"(sales |consumption )?(tax|vat|gst|hst)($|[ (:])", re.I)
_ADDRESS: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_LABEL: Final = re.compile(r"\[(.+)\]$")  # of an instance; others stand in round brackets


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


class Vultr(Provider):
    """Instances and everything else on a Vultr account."""

    name: ClassVar[str] = "vultr"
    title: ClassVar[str] = "Vultr"
    credential_model: ClassVar[type[BaseModel]] = VultrCredential
    capabilities: ClassVar[Capabilities] = Capabilities(granularity="day", history_months=MONTHS_BACK)

    def discover(self, account: Account) -> list[str]:
        """Id and name of the one account of a key.

        Raises:
            CredentialRejected: the key is not accepted, or its user has not the ACL for billing.
            ProviderError: the account could not be read.
        """
        credential = _credential(account)
        with _open(credential, Context(utc_now, MemorySnapshots())) as api:
            payer = _payer(credential, api.get("/account", permission=BILLING))
            _pending_lines(api.get("/billing/pending-charges", permission=BILLING).fields())
        return [" ".join(payer).strip()]

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: Context) -> Probe:
        """Keep a reading of the pending charges, and give a token for each of the last 13 periods that has readings or an invoice.

        Two requests; five or more when a day begins or a line appears, because then the instances may be others too. One more, once, for
        each invoice of the first week of a month.

        Raises:
            ProviderError: the account could not be read; nothing is kept then.
        """
        with _open(_credential(account), context) as api:
            invoices = _take_reading(api, context)
            return Probe(_TOTALS.tokens(invoices, since, context), api.meter.requests)

    def collect(self, account: Account, billing_period: BillingPeriod, context: Context) -> Collection:
        """Line items of one period, from the readings that were kept and the invoices that were issued; final with the last invoice.

        Of the current period a first reading is taken if there is none. A period with neither is empty.

        Raises:
            ProviderError: the account could not be read; or later, from the stream, an invoice.
        """
        credential = _credential(account)
        with _open(credential, context) as api:
            is_current = billing_period == BillingPeriod.of(context.clock())
            is_unread = is_current and context.snapshots.newest(PENDING, billing_period) is None
            invoices = (
                _take_reading(api, context)
                if is_unread
                else _invoices(api, context, billing_period, billing_period)
            )
            payer = _payer(credential, api.get("/account", permission=BILLING))
            requests = api.meter.requests
        month = _TOTALS.month(billing_period, invoices, context)
        collection = Collection(
            batches=iter(()),
            change_token=_TOTALS.token(billing_period, invoices, context),
            sources=[*month.sources(), *_said_besides(billing_period, context)],
            control_totals={CURRENCY: month.invoiced} if month.is_closed else None,
            data_through=month.data_through,
            is_final=month.is_closed,
            requests=requests,
        )
        rows = _rows(credential, context, month, payer, collection)
        where = f"{self.title} {billing_period}"
        collection.batches = batches_of(rows, (*COLUMNS, *_OWN_COLUMNS), collection.rounding, where=where)
        return collection


def _credential(account: Account) -> VultrCredential:
    return VultrCredential.model_validate({**account.settings, **account.secrets})


def _open(credential: VultrCredential, context: Context) -> Client:
    key = credential.api_key.get_secret_value()
    headers = bearer("api_key", key)
    return Client(credential.endpoint_url, context, headers=headers, secrets=[key], reason="error")


def _take_reading(api: Client, context: Context) -> list[Invoice]:
    """Keep what the account owes now; give the invoices it has for the months that are of interest.

    The charges are asked for first. If their invoice is issued in between, they are taken for the new month, and the next reading puts that
    right; the other way round, the reset would stand in the old month as a fall to nothing.
    """
    answer = api.get("/billing/pending-charges", permission=BILLING)
    lines = _pending_lines(answer.fields())
    current = BillingPeriod.of(answer.asked_at)
    invoices = _invoices(api, context, current.shift(1 - MONTHS_BACK), current)
    period = _TOTALS.period_of(answer.asked_at, lines, invoices, context)
    reading = Snapshot(PENDING, period, answer.asked_at, answer.body)
    before = context.snapshots.newest(PENDING, period)
    if _TOTALS.tells_more(reading, before):
        for snapshot in [*_surroundings(api, reading, before), reading]:
            context.snapshots.add(snapshot)
    return invoices


def _surroundings(api: Client, reading: Snapshot, before: Snapshot | None) -> list[Snapshot]:
    """What helps to understand the charges, when a day begins or a line appears: the instances may be others then.

    A key that may not read some of it collects the costs all the same.
    """
    is_same_day = before is not None and before.taken_at.date() == reading.taken_at.date()
    if before and is_same_day and _kept_lines(reading).keys() <= _kept_lines(before).keys():
        return []
    period = reading.billing_period
    account = api.get("/account", permission=BILLING)
    _stated_pending(account.fields())
    found = [Snapshot(ACCOUNT, period, account.asked_at, account.body)]
    with suppress(CredentialRejected):
        pages: list[Answer] = []
        for _ in _listed(api, "/instances", "instances", MACHINES, pages):
            pass
        body = b"[" + b",".join(page.body for page in pages) + b"]"
        _machines(body)
        found.append(Snapshot(INSTANCES, period, pages[0].asked_at, body))
    with suppress(CredentialRejected):
        bandwidth = api.get("/account/bandwidth", permission=MACHINES)
        _overage(bandwidth.fields())
        found.append(Snapshot(BANDWIDTH, period, bandwidth.asked_at, bandwidth.body))
    return found


def _said_besides(period: BillingPeriod, context: Context) -> list[dict[str, str]]:
    """Figures that are part of no line item: the account's own total, to compare with, and the overage, which comes with the invoice."""
    said = []
    for kind, name, read in (
        (ACCOUNT, "pending_charges", _stated_pending),
        (BANDWIDTH, "overage_cost", _overage),
    ):
        newest = context.snapshots.newest(kind, period)
        if newest is not None:
            amount = read(Fields.parse(newest.body, kind))
            said.append({"kind": kind, "taken_at": newest.taken_at.isoformat(), name: f"{amount:f}"})
    return said


def _rows(
    credential: VultrCredential,
    context: Context,
    month: Month,
    payer: tuple[str, str],
    collection: Collection,
) -> Iterator[Row]:
    """Line items, the invoices read as they are asked for."""
    machines = Machines(context.snapshots.read(INSTANCES, month.period), _machines)
    billing = Billing(month.period, payer, CURRENCY, "Vultr", "Vultr")
    with _open(credential, context) as api:
        for charge in month.charges(lambda invoice: _invoice_lines(api, invoice)):
            _, description, _ = charge.line.key
            label = _LABEL.search(description)
            addresses = _ADDRESS.findall(description)
            machine = machines.find(addresses, label and label[1], charge.start, charge.end)
            yield _row(charge, billing, machine)
        collection.requests += api.meter.requests


def _row(charge: Charge, billing: Billing, machine: Machine | None) -> Row:
    line = charge.line
    product, description, unit = line.key
    category = _category(line.key, line.measure.cost)
    values = billing.values(charge, category) | {
        "ChargeClass": charge_class(line, billing.period.start),
        "ChargeDescription": description,
        "ServiceName": product,
        "ServiceCategory": "Other",
    }
    if category == "Usage":
        values |= consumed(charge.measure.quantity, unit)
        values |= {"ListUnitPrice": line.unit_price or None, "ServiceCategory": _service_category(product)}
    if charge.method == INVOICE_LINE:
        values |= {"x_StartDate": line.start, "x_EndDate": line.end}
    if machine is not None:
        values |= machine.values()
    return Row(charge.source, charge.method == DIFFERENCE, values)


def _category(key: Key, cost: Decimal) -> str:
    """The vendor names the unit types hours, overage and discount only; how a tax line is written is not documented."""
    product, description, unit_type = key
    if _TAX.match(product) or _TAX.match(description):
        return "Tax"
    return "Credit" if unit_type == "discount" or cost < 0 else "Usage"


def _service_category(product: str) -> str:
    return next((category for category, names in _SERVICE_CATEGORIES if names.search(product)), "Other")


def _invoice_lines(api: Client, invoice: Invoice) -> Iterator[ChargeLine]:
    """The items of an invoice, and what its amount has beyond them as a last line."""
    listed = _listed(api, _items_path(invoice.invoice_id), "invoice_items", BILLING)
    lines = (_line(fields) for fields in listed)
    rest = ("Not itemised", f"Invoice {invoice.invoice_id}: amount beyond its items", "")
    return completed(lines, invoice.amount, rest)


def _listed(
    api: Client, path: str, name: str, permission: str, answers: list[Answer] | None = None
) -> Iterator[Fields]:
    """Objects of a list with pages; whole answers are added to `answers`."""

    def read(cursor: str | None) -> Page[Fields]:
        params = {"per_page": _PAGE} | ({"cursor": cursor} if cursor else {})
        answer = api.get(path, params, permission=permission)
        if answers is not None:
            answers.append(answer)
        fields = answer.fields()
        meta = fields.object("meta")
        return Page(fields.objects(name), meta.object("links").text_or_none("next"), meta.whole("total"))

    return items(read, path)


def _invoices(api: Client, context: Context, oldest: BillingPeriod, latest: BillingPeriod) -> list[Invoice]:
    """The invoices that may bill the months from `oldest` to `latest`."""
    listed = [_issued(fields) for fields in _listed(api, "/billing/invoices", "billing_invoices", BILLING)]
    near = [one for one in listed if may_bill(one.issued_at, oldest, latest)]
    return list(invoices_of(near, UTC, None, partial(_bills_before, api, context)))


def _issued(fields: Fields) -> Issued:
    return Issued(fields.identifier("id"), fields.time("date"), fields.money("amount"))


def _bills_before(api: Client, context: Context, invoice_id: str, month: BillingPeriod) -> bool | None:
    path = _items_path(invoice_id)

    def understood(body: bytes) -> Spans:
        lines = Fields.parse(body, path).objects("invoice_items")
        return [span_of(line.text("start_date"), line.text("end_date")) for line in lines]

    first = {"per_page": _PAGE}
    spans = kept_spans(
        context, invoice_id, month, lambda: api.get(path, first, permission=BILLING), understood
    )
    return lines_before(spans, month, UTC)


def _items_path(invoice_id: str) -> str:
    return f"/billing/invoices/{invoice_id}/items"


def _line(fields: Fields) -> ChargeLine:
    """A pending charge or an invoice item."""
    key = (fields.text("product"), fields.text("description"), fields.text("unit_type"))
    cost, units, price = fields.money("total"), fields.money("units"), fields.money("unit_price")
    is_priced = price > 0 and units > 0 and _category(key, cost) == "Usage"
    measure = Measure(cost, units, units * price if is_priced else cost)
    return ChargeLine(
        key, measure, price if is_priced else Decimal(0), fields.text("start_date"), fields.text("end_date")
    )


def _pending_lines(fields: Fields) -> dict[Key, ChargeLine]:
    """The pending charges by key. They are documented without pages; if that changes, the first page is not all."""
    meta = fields.values.get("meta")
    if isinstance(meta, dict) and fields.object("meta").object("links").text_or_none("next"):
        fields.refuse("meta", "one answer without pages")
    return merged(_line(line) for line in fields.objects("pending_charges"))


def _kept_lines(snapshot: Snapshot) -> dict[Key, ChargeLine]:
    return _pending_lines(Fields.parse(snapshot.body, f"{PENDING} of {snapshot.taken_at}"))


_TOTALS: Final = RunningTotals(PENDING, _kept_lines)


def _payer(credential: VultrCredential, account: Answer) -> tuple[str, str]:
    """Id and name to show for the account."""
    fields = account.fields().object("account")
    digest = hashlib.sha256(fields.text("email").strip().lower().encode()).hexdigest()
    return credential.billing_account_id or f"vultr-{digest[:16]}", fields.text("name")


def _stated_pending(fields: Fields) -> Decimal:
    return fields.object("account").money("pending_charges")


def _overage(fields: Fields) -> Decimal:
    return fields.object("bandwidth").object("current_month_to_date").money("overage_cost")


def _machines(body: bytes) -> list[Machine]:
    """The instances of the pages of an answer."""
    pages: Sequence[dict[str, object]] = parse_json(body, INSTANCES)
    return [_machine(fields) for page in pages for fields in Fields(page, INSTANCES).objects("instances")]


def _machine(fields: Fields) -> Machine:
    id_, label, region, plan, address = (
        fields.text(name) for name in ("id", "label", "region", "plan", "main_ip")
    )
    marks = (id_,) if address in UNASSIGNED else (id_, address)
    return Machine(id_, label, "Instance", region, plan, marks, dict.fromkeys(fields.texts("tags"), "true"))
