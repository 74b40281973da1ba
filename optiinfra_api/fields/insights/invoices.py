"""invoices and recordInvoice: what sources state of invoices, and what people record of those that no source states."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Final

import strawberry

from optiinfra_api.access.context import CustomerData, Info
from optiinfra_api.fields.arguments import AccountId, After, AsOf, ByAccount, CustomerId, First
from optiinfra_api.fields.collections.history import billing_period_of
from optiinfra_api.fields.costs.money import Money
from optiinfra_api.fields.from_record import from_record, of_slice
from optiinfra_api.fields.insights.months import (
    FromMonth,
    ToMonth,
    digest_of,
    money,
    money_or_none,
    months_asked,
    place,
)
from optiinfra_api.fields.pagination import PageInfo, check_first, cut
from optiinfra_api.fields.refusal import Refusal
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_assets.domain import invoices as domain
from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.domain.exact_amounts import exact_difference
from optiinfra_assets.domain.invoices import StoredStatement
from optiinfra_assets.domain.rates import CURRENCY

LONGEST: Final = 200
"""Most characters of a text that a person gives; a document may have an address of 1,000."""
_AMOUNT: Final = re.compile(r"-?\d{1,20}(\.\d{1,18})?", re.ASCII)


@strawberry.enum(description="Whether an invoice may still change.")
class InvoiceStatus(Enum):
    OPEN = described("Open", "It may still change.")
    ISSUED = described("Issued", "It was sent.")
    VOIDED = described("Voided", "It was taken back; its amount counts for nothing.")


@strawberry.enum(description="Who states an invoice.")
class InvoiceOrigin(Enum):
    SOURCE = described("source", "The provider of the account.")
    PERSON = described("person", "A person, by `recordInvoice`.")


@strawberry.type(description="A part of an invoice that is stated apart.")
class InvoicePart:
    charge_category: str = strawberry.field(description="FOCUS ChargeCategory.")
    service: str | None = strawberry.field(description="Service. Null: the part is not of one service.")
    amount: Money = strawberry.field(description="Its amount; negative for what is taken off.")


@strawberry.type(description="An invoice, or a credit memo, whose total is negative.")
class Invoice:
    invoice_id: str = strawberry.field(description="Its number.")
    issuer: str = strawberry.field(description="Who sends it.")
    status: InvoiceStatus = strawberry.field(description="Whether it may still change.")
    total: Money = strawberry.field(description="Its total with tax and credits, before payments.")
    tax: Money | None = strawberry.field(description="The tax in it. Null: none is stated apart.")
    parts: list[InvoicePart] = strawberry.field(
        description="What is stated of the total apart; it may lack some, or all."
    )
    issued_at: datetime | None = strawberry.field(description="When it was issued. Null: not stated.")
    due_on: date | None = strawberry.field(description="Until when it is to be paid. Null: not stated.")
    document: str | None = strawberry.field(description="Address or reference of its document. Null: none is stated.")
    corrects: str | None = strawberry.field(description="The invoice that a credit memo corrects. Null: none.")

    @classmethod
    def of(cls, one: domain.Invoice) -> Invoice:
        """Make one from its record."""
        parts = [
            InvoicePart(
                charge_category=part.charge_category,
                service=part.service or None,
                amount=money(part.amount, one.currency),
            )
            for part in one.parts
        ]
        return from_record(
            cls,
            one,
            total=money(one.total, one.currency),
            tax=money_or_none(one.tax, one.currency),
            parts=parts,
            document=one.document or None,
            corrects=one.corrects or None,
        )


@strawberry.type(description="What one origin states of the invoices of one account and month.")
class StatedInvoices:
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    account: str = strawberry.field(description="Account id of this platform.")
    billing_period: str = strawberry.field(description="Month that the invoices bill, `YYYY-MM`.")
    origin: InvoiceOrigin = strawberry.field(description="Who states them.")
    stated_at: datetime = strawberry.field(description="From when on they are stated so.")
    not_stated: str | None = strawberry.field(description="Why the source states none. Null: it can state them.")
    invoices: list[Invoice] = strawberry.field(description="All of them; empty: there is none yet.")

    @classmethod
    def of(cls, stored: StoredStatement) -> StatedInvoices:
        """Make one from its record."""
        return from_record(
            cls,
            stored,
            **of_slice(stored.slice),
            not_stated=stored.statement.not_stated or None,
            invoices=[Invoice.of(one) for one in stored.statement.invoices],
        )


@strawberry.type(description="A page of stated invoices, newest months first.")
class InvoicesPage:
    nodes: list[StatedInvoices] = strawberry.field(
        description="What is stated: by the source of an account, or by people, or by both."
    )
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.type(description="The invoice is recorded, and is compared with the costs within minutes.")
class InvoiceRecorded:
    invoice: Invoice = strawberry.field(description="As it is now.")


@strawberry.type(description="The invoice is not recorded: a value is not accepted, or there is no such account.")
class InvoiceNotAccepted(Refusal):
    pass


RecordInvoiceResult = Annotated[
    InvoiceRecorded | InvoiceNotAccepted,
    strawberry.union("RecordInvoiceResult", description="The invoice, or why it is not recorded."),
]


@strawberry.input(description="An invoice as its document says. One with the same number and issuer is replaced.")
class RecordedInvoice:
    invoice_id: str = strawberry.field(description="Its number, at most 200 characters.")
    issuer: str = strawberry.field(description="Who sent it, as the line items of the month name it if they do.")
    currency: str = strawberry.field(description="ISO 4217 code, such as `EUR`.")
    total: str = strawberry.field(description="Its total with tax, such as `1190.00`; negative for a credit memo.")
    tax: str | None = strawberry.field(default=None, description="The tax in it. Default: it does not say.")
    document: str = strawberry.field(default="", description="Address or reference of its document.")
    due_on: date | None = strawberry.field(default=None, description="Until when it is to be paid.")
    status: InvoiceStatus = strawberry.field(
        default=InvoiceStatus.ISSUED, description="VOIDED takes back one that was recorded by mistake."
    )


Month = Annotated[str, strawberry.argument(description="Billing period that it bills, `YYYY-MM`.")]
Given = Annotated[RecordedInvoice, strawberry.argument(description="The invoice.")]


@strawberry.type
class InvoicesQuery:
    @resolved("What is stated of invoices, in pages, newest months first.")
    async def invoices(
        self,
        info: Info,
        first: First,
        after: After = None,
        customer_id: CustomerId = None,
        account: ByAccount = None,
        from_month: FromMonth = None,
        to_month: ToMonth = None,
        as_of: AsOf = None,
    ) -> InvoicesPage | None:
        check_first(first)
        months = months_asked(account, from_month, to_month, as_of)
        data = await info.context.data_of(customer_id)
        asked = digest_of("invoices", data.customer_id, months)
        page = replace(months, after=place(after, asked, 3), most=first + 1)
        found = await data.read(data.services.metadata.invoices.statements_of, page)
        shown, page_info = cut(asked, found, first, _key)
        return InvoicesPage(nodes=[StatedInvoices.of(one) for one in shown], page_info=page_info)


def _key(one: StoredStatement) -> tuple[str, ...]:
    return str(one.slice.billing_period), one.slice.account_id, one.origin


@strawberry.type
class InvoicesMutation:
    @resolved("Record an invoice that no source states, or that a source states late; for operators.")
    async def record_invoice(
        self, info: Info, account: AccountId, month: Month, invoice: Given, customer_id: CustomerId = None
    ) -> RecordInvoiceResult | None:
        info.context.require("operator")
        info.context.require_may_change()
        data = await info.context.data_of(customer_id)
        try:
            slice_ = await _slice(data, account, month)
            made = _checked(invoice, slice_)
        except (ValueError, InvalidArgument) as error:
            remedy = "Correct what the message names."
            return InvoiceNotAccepted(code="INVOICE_NOT_ACCEPTED", message=str(error), remedy=remedy)
        administration = await info.context.administration_of(data.customer_id)
        record = data.services.metadata.invoices.record
        await administration.act(record, slice_, made, datetime.now(UTC), author=info.context.principal.token_id)
        return InvoiceRecorded(invoice=Invoice.of(made))


async def _slice(data: CustomerData, account: str, month: str) -> Slice:
    found = await data.read(data.services.metadata.activity.find, first=1, account_id=account)
    if not found:
        raise ValueError(f"account: {account!r} does not exist")
    return Slice(data.customer_id, found[0].provider, account, billing_period_of(month, "month"))


def _checked(given: RecordedInvoice, slice_: Slice) -> domain.Invoice:
    """Return the invoice that a person gives. Raises ValueError, naming the field."""
    if not CURRENCY.fullmatch(given.currency):
        raise ValueError(f"currency: {given.currency!r} is not accepted: use an ISO 4217 code, such as EUR")
    total, tax = _amount("total", given.total), None if given.tax is None else _amount("tax", given.tax)
    parts = () if tax is None else (domain.InvoicePart("Tax", tax),)
    if tax is not None and abs(exact_difference(total, tax)) > abs(total) and total:
        raise ValueError(f"tax: {given.tax} is not accepted: it has the sign of the total, {given.total}")
    return domain.Invoice(
        invoice_id=_text("invoiceId", given.invoice_id),
        issuer=_text("issuer", given.issuer),
        billing_period=slice_.billing_period,
        currency=given.currency,
        total=total,
        parts=parts,
        status=given.status.value,
        due_on=given.due_on,
        document=_text("document", given.document, 1000) if given.document else "",
    )


def _amount(name: str, text: str) -> Decimal:
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"{name}: {text[:LONGEST]!r} is not accepted: use a number such as 1190.00")
    return Decimal(text)


def _text(name: str, text: str, longest: int = LONGEST) -> str:
    if not 1 <= len(text) <= longest or not text.isprintable() or text != text.strip():
        raise ValueError(f"{name}: {text[:LONGEST]!r} is not accepted: use 1 to {longest} printable characters")
    return text
