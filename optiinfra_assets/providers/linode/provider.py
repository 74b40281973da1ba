"""Provider ``linode``: API v4 of Linode (Akamai), as its reference and its Go client (github.com/linode/linodego) describe it.

While a month is open there are neither days nor lines: ``/account`` has one number, ``balance_uninvoiced``, for all that was used since the
last invoice, before tax and without transfer overage. Each probe keeps it, and the days of the open month are the differences
(`providers.running_totals.readings`). It is not split over machines: part of it is for other things, and no answer says how much.

Invoices come on the 1st for the month before, and within the month whenever the number passes a threshold: then it falls to nothing, which
is no refund. Days cannot be told apart by item nor items by day, so a month is the one or the other. While it is open it is days, to which
an invoice adds its tax and what the readings missed. With its last invoice it becomes the items of its invoices, with their own dates;
``keep_days`` keeps the days instead. Both add up to the invoices to the last digit; what items and tax lack is a line of its own.

Everything is in US dollars, of which the answers say nothing; times have no zone and are UTC. ``amount`` is the fact of an item: before
tax, and less than quantity times price past the monthly cap. What ``unit_price`` is the price of, the vendor says in two ways: it is kept,
and nothing is computed from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, tzinfo
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import CredentialRejected, NothingThere
from optiinfra_assets.line_items.row_batches import Row, Value, batches_of
from optiinfra_assets.providers.base import Capabilities, Collection, Probe, Provider
from optiinfra_assets.providers.context import Context, MemorySnapshots, Snapshot, utc_now
from optiinfra_assets.providers.http.client import Answer, Client, rate_limit_end
from optiinfra_assets.providers.http.endpoint_policy import Endpoint
from optiinfra_assets.providers.http.json_fields import Fields
from optiinfra_assets.providers.http.numbered_pages import all_pages, joined, numbered, objects_in, resting
from optiinfra_assets.providers.http.redaction import bearer
from optiinfra_assets.providers.linode.invoice_items import TAX, dates, line, taxes
from optiinfra_assets.providers.linode.item_labels import BACKUPS, OTHER, Label
from optiinfra_assets.providers.running_totals.focus_columns import COLUMNS, Billing, charge_class, consumed
from optiinfra_assets.providers.running_totals.instances import Machine, Machines
from optiinfra_assets.providers.running_totals.invoice_months import (
    Issued,
    Spans,
    ZoneName,
    invoices_of,
    kept_spans,
    lines_before,
    may_bill,
    month_begin,
)
from optiinfra_assets.providers.running_totals.month import (
    DIFFERENCE,
    MONTHS_BACK,
    Charge,
    ChargeLine,
    Invoice,
    Month,
    RunningTotals,
    completed,
    span_of,
)
from optiinfra_assets.providers.running_totals.readings import Key, Measure

BILLING: Final = "the token's scope account:read_only, and of a restricted user the right to read billing"
LINODES: Final = "the token's scope linodes:read_only"
CURRENCY: Final = "USD"
UNINVOICED: Final = "uninvoiced"
INSTANCES: Final = "instances"
TRANSFER: Final = "transfer"

_REST: Final = "rest"
_WHOLE_ACCOUNT: Final[Key] = ("Linode (uninvoiced)", UNINVOICED, "")
_KEPT: Final = ("balance", "balance_uninvoiced", "billing_source", "active_promotions")
_PAGE: Final = 500
_OWN_COLUMNS: Final = ("x_ItemType", "x_UnitPrice")
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


class Linode(Provider):
    """Linodes and everything else on an account of Linode (Akamai)."""

    name: ClassVar[str] = "linode"
    title: ClassVar[str] = "Linode (Akamai)"
    credential_model: ClassVar[type[BaseModel]] = LinodeCredential
    capabilities: ClassVar[Capabilities] = Capabilities(granularity="day", history_months=MONTHS_BACK)

    def discover(self, account: Account) -> list[str]:
        """Id and name of the one account of a token, and who bills it if that is not Linode itself.

        Raises:
            CredentialRejected: the token is not accepted, or has not the scope for billing.
            NothingThere: the account is billed elsewhere, and nothing of it shows here.
            ProviderError: the account could not be read.
        """
        context = Context(utc_now, MemorySnapshots())
        with _open(_credential(account), context) as api:
            current = BillingPeriod.of(context.clock())
            seen = _Seen(api, context, _credential(account), current, current)
        named = " ".join(seen.payer).strip()
        return [named if seen.is_direct else f"{named} (billing source {seen.billing_source})"]

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: Context) -> Probe:
        """Keep a reading of what is not invoiced, and give a token for each of the last 13 periods that has readings or an invoice.

        Two requests; four or more when a day begins, and one more, once, for each invoice of the first week of a month.

        Raises:
            ProviderError: the account could not be read; nothing is kept then.
        """
        credential = _credential(account)
        with _open(credential, context) as api:
            current = BillingPeriod.of(context.clock())
            seen = _Seen(api, context, credential, current.shift(1 - MONTHS_BACK), current)
            _keep_reading(api, seen, context)
            tokens = _TOTALS.tokens(seen.invoices, since, context)
            marked = {period: _marked(token, credential) for period, token in tokens.items()}
            return Probe(marked, api.meter.requests)

    def collect(self, account: Account, billing_period: BillingPeriod, context: Context) -> Collection:
        """Line items of one period, from the readings that were kept or the invoices that were issued; final with the last invoice.

        Of the current period a first reading is taken if there is none. A period with neither is empty.

        Raises:
            NothingThere: the account is billed elsewhere, and nothing of it shows here.
            ProviderError: the account could not be read; or later, from the stream, an invoice.
        """
        credential = _credential(account)
        with _open(credential, context) as api:
            seen = _Seen(api, context, credential, billing_period, billing_period)
            is_current = billing_period == BillingPeriod.of(context.clock())
            if is_current and context.snapshots.newest(UNINVOICED, billing_period) is None:
                _keep_reading(api, seen, context)
            requests = api.meter.requests
        month = _TOTALS.month(billing_period, seen.invoices, context)
        if month.is_closed and not credential.keep_days:
            month = replace(month, cuts=())
        collection = Collection(
            batches=iter(()),
            change_token=_marked(_TOTALS.token(billing_period, seen.invoices, context), credential),
            sources=[*month.sources(), *_said_besides(billing_period, seen, context)],
            control_totals={CURRENCY: month.invoiced} if month.is_closed else None,
            data_through=month.data_through,
            is_final=month.is_closed,
            requests=requests,
        )
        rows = _rows(credential, context, month, seen, collection)
        where = f"{self.title} {billing_period}"
        collection.batches = batches_of(rows, (*COLUMNS, *_OWN_COLUMNS), collection.rounding, where=where)
        return collection


class _Seen:
    """The account and its invoices for some months, as one call sees them.

    Attributes:
        taxes: lines of the taxes of each invoice, by its id.
    """

    def __init__(
        self,
        api: Client,
        context: Context,
        credential: LinodeCredential,
        oldest: BillingPeriod,
        latest: BillingPeriod,
    ) -> None:
        """Ask for the account first: if an invoice is issued in between, its date still tells on which side of it the reading is."""
        self.answer = api.get("/account", permission=BILLING)
        self._fields = self.answer.fields()
        self.uninvoiced = _whole_account(self._fields)
        self.zone: tzinfo = ZoneInfo(credential.month_zone)
        self.payer = (self._fields.identifier("euuid"), _name(self._fields))
        self.billing_source = self._fields.text_or_none("billing_source") or "linode"
        self.is_direct = self.billing_source == "linode"
        self.taxes: dict[str, list[ChargeLine]] = {}
        listed = list(numbered(api, "/account/invoices", permission=BILLING, page_size=_PAGE))
        near = [fields for fields in listed if may_bill(fields.time("date", UTC), oldest, latest)]
        self.invoices = self._understood(near, partial(_bills_before, api, context, self.zone))
        if not (self.is_direct or listed or self.uninvoiced[_WHOLE_ACCOUNT].measure):
            raise NothingThere(
                f"billing_source: this account is billed by {self.billing_source} outside this API, which shows neither an invoice nor an "
                "uninvoiced charge: connect the account that is invoiced, or take the figures from the bill itself"
            )

    def _understood(
        self, listed: list[Fields], bills_before: Callable[[str, BillingPeriod], bool | None]
    ) -> list[Invoice]:
        issued: list[Issued] = []
        for fields in listed:
            invoice_id = fields.identifier("id")
            issued.append(Issued(invoice_id, fields.time("date", UTC), fields.money("total")))
            self.taxes[invoice_id] = list(taxes(fields))
        began = self._fields.time("active_since", UTC) if self._fields.values.get("active_since") else None
        return list(invoices_of(issued, self.zone, began, bills_before))


def _credential(account: Account) -> LinodeCredential:
    return LinodeCredential.model_validate({**account.settings, **account.secrets})


def _open(credential: LinodeCredential, context: Context) -> Client:
    url, token = credential.endpoint_url, credential.token.get_secret_value()
    headers = bearer("token", token)
    return Client(url, context, headers=headers, secrets=[token], wait=rate_limit_end, reason=_reason)


def _reason(answer: Answer) -> str:
    if "x-maintenance-mode" in answer.headers:
        return "the API is in maintenance"
    errors = answer.fields().objects("errors")
    return errors[0].text("reason") if errors else ""


def _marked(token: str, credential: LinodeCredential) -> str:
    """What makes the rows differ belongs in the token."""
    return f"{token}-days" if token and credential.keep_days else token


def _keep_reading(api: Client, seen: _Seen, context: Context) -> None:
    """Keep what is not invoiced now, and when a day begins what helps to understand it, where the token may read that.

    Of the account only figures are kept: its answer has addresses, a telephone number and parts of a card number besides.
    """
    asked_at = seen.answer.asked_at
    period = _TOTALS.period_of(asked_at, seen.uninvoiced, seen.invoices, context)
    kept = {name: value for name, value in seen.answer.fields().values.items() if name in _KEPT}
    reading = Snapshot(UNINVOICED, period, asked_at, json.dumps(kept, default=str).encode())
    _TOTALS.keep(reading, context, lambda: list(_surroundings(api, period)))


def _surroundings(api: Client, period: BillingPeriod) -> Iterator[Snapshot]:
    transfer = api.get("/account/transfer", permission=BILLING)
    _transferred(transfer.fields())
    yield Snapshot(TRANSFER, period, transfer.asked_at, transfer.body)
    with suppress(CredentialRejected):
        pages = all_pages(api, "/linode/instances", permission=LINODES, page_size=_PAGE)
        _machines(joined(pages))
        yield Snapshot(INSTANCES, period, pages[0].asked_at, joined(pages))


def _bills_before(
    api: Client, context: Context, zone: tzinfo, invoice_id: str, month: BillingPeriod
) -> bool | None:
    path, first = f"/account/invoices/{invoice_id}/items", {"page": "1", "page_size": str(_PAGE)}

    def understood(body: bytes) -> Spans:
        return [span_of(*dates(fields)) for fields in Fields.parse(body, path).objects("data")]

    spans = kept_spans(
        context, invoice_id, month, lambda: api.get(path, first, permission=BILLING), understood
    )
    return lines_before(spans, month, zone)


def _said_besides(period: BillingPeriod, seen: _Seen, context: Context) -> list[dict[str, str]]:
    """What is part of no line item: transfer so far, whose overage only the invoice has, and that others bill this account."""
    said = [] if seen.is_direct else [{"kind": "account", "billing_source": seen.billing_source}]
    newest = context.snapshots.newest(TRANSFER, period)
    if newest is not None:
        taken_at = {"kind": TRANSFER, "taken_at": newest.taken_at.isoformat()}
        said.append(taken_at | _transferred(Fields.parse(newest.body, TRANSFER)))
    return said


def _transferred(fields: Fields) -> dict[str, str]:
    return {f"{name}_gb": f"{fields.money(name):f}" for name in ("billable", "used", "quota")}


def _rows(
    credential: LinodeCredential, context: Context, month: Month, seen: _Seen, collection: Collection
) -> Iterator[Row]:
    """Line items, the invoices read as they are asked for."""
    machines = Machines(context.snapshots.read(INSTANCES, month.period), _machines)
    billing = Billing(month.period, seen.payer, CURRENCY, "Linode", "Linode" if seen.is_direct else "Akamai")
    with _open(credential, context) as api:

        def lines_of(invoice: Invoice) -> Iterator[ChargeLine]:
            taxed = seen.taxes[invoice.invoice_id]
            if month.cuts:
                return completed(taxed, invoice.amount, _WHOLE_ACCOUNT)
            path = f"/account/invoices/{invoice.invoice_id}/items"
            found = numbered(api, path, permission=BILLING, page_size=_PAGE, read=resting(context))
            rest = (f"Invoice {invoice.invoice_id}: total beyond its items and tax", _REST, "")
            return completed(chain(map(line, found), taxed), invoice.amount, rest)

        for charge in month.charges(lines_of):
            yield _row(charge, billing, seen.zone, machines)
        collection.requests += api.meter.requests


def _row(charge: Charge, billing: Billing, zone: tzinfo, machines: Machines) -> Row:
    label, kind, region = charge.line.key
    category = _category(charge.line.key, charge.line.measure.cost)
    said = _said(label, kind)
    values = billing.values(charge, category) | {
        "ChargeClass": charge_class(charge.line, month_begin(billing.period, zone)),
        "ChargeDescription": label,
        "ServiceName": said.service,
        "ServiceCategory": said.category if category == "Usage" else OTHER,
    }
    if kind not in (UNINVOICED, TAX, _REST):
        values |= {"x_ItemType": kind, "x_UnitPrice": f"{charge.line.unit_price:f}"}
        if category == "Usage":
            values |= consumed(charge.measure.quantity, "Hours" if kind == "hourly" else "Units")
        values |= _resource(said, machines, charge) | ({"RegionId": region} if region else {})
    return Row(charge.source, charge.method == DIFFERENCE, values)


def _resource(said: Label, machines: Machines, charge: Charge) -> dict[str, Value]:
    """The id in a label, and what is known of the machine that has it: ids stay while names change."""
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
    """Promotional credits come as negative items, of which the vendor documents no mark."""
    label, kind, _ = key
    if kind == TAX:
        return "Tax"
    if cost < 0 and kind != UNINVOICED:
        return "Credit"
    return "Adjustment" if kind == _REST or (kind == "misc" and _ADJUSTMENT.search(label)) else "Usage"


def _whole_account(fields: Fields) -> dict[Key, ChargeLine]:
    cost = fields.money("balance_uninvoiced")
    return {_WHOLE_ACCOUNT: ChargeLine(_WHOLE_ACCOUNT, Measure(cost, list_cost=cost))}


def _kept_lines(snapshot: Snapshot) -> dict[Key, ChargeLine]:
    return _whole_account(Fields.parse(snapshot.body, f"{UNINVOICED} of {snapshot.taken_at}"))


_TOTALS: Final = RunningTotals(UNINVOICED, _kept_lines)


def _name(fields: Fields) -> str:
    person = (fields.text_or_none(part) for part in ("first_name", "last_name"))
    return fields.text_or_none("company") or " ".join(filter(None, person))


def _machines(body: bytes) -> list[Machine]:
    """The Linodes of the pages of an answer."""
    return [_machine(fields) for fields in objects_in(body, INSTANCES)]


def _machine(fields: Fields) -> Machine:
    id_, label, region = fields.identifier("id"), fields.text("label"), fields.text("region")
    tags = dict.fromkeys(fields.texts("tags"), "true")
    return Machine(id_, label, "Linode", region, fields.text_or_none("type") or "", (id_,), tags)
