"""reconciliation: the costs of each month compared with its invoices, and where they differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import After, AsOf, ByAccount, CustomerId, First
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
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import Count, DateText
from optiinfra_assets.domain import reconciliations as domain
from optiinfra_assets.domain.reconciliations import StoredReconciliation


@strawberry.enum(description="How a month stands. RECONCILED alone says that the costs are what was invoiced.")
class ReconciliationStatus(Enum):
    OPEN = described("open", "The month is not over.")
    PROVISIONAL = described("provisional", "It is over, and its costs or its invoices may still change.")
    RECONCILED = described("reconciled", "Costs and invoices agree, within the tolerance.")
    MISMATCH = described("mismatch", "They do not, or the costs moved after they had agreed.")
    NOT_STATED = described("not stated", "Nobody states an invoice, so there is nothing to compare with.")


@strawberry.type(description="A part of a difference.")
class Gap:
    charge_category: str | None = strawberry.field(description="FOCUS ChargeCategory. Null: not known.")
    service: str | None = strawberry.field(description="Service. Null: not known.")
    date: DateText | None = strawberry.field(description="UTC day of the charges. Null: not known.")
    amount: Money = strawberry.field(
        description="What the costs have beyond the invoices; negative for what they lack."
    )
    invoice_id: str | None = strawberry.field(description="The invoice that it is on. Null: not known.")
    found_by: str = strawberry.field(description="By what it was found.")

    @classmethod
    def of(cls, gap: domain.Gap, currency: str) -> Gap:
        """Make one from its record."""
        return cls(
            charge_category=gap.charge_category or None,
            service=gap.service or None,
            date=None if gap.day is None else DateText(str(gap.day)),
            amount=money(gap.amount, currency),
            invoice_id=gap.invoice_id or None,
            found_by=gap.found_by,
        )


@strawberry.type(
    description="The costs of one account and month compared with the invoices of one issuer in one currency."
)
class Reconciliation:
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    account: str = strawberry.field(description="Account id of this platform.")
    billing_period: str = strawberry.field(description="Month of the invoice, `YYYY-MM`.")
    issuer: str = strawberry.field(description="Issuer of the invoices, as the line items name it.")
    status: ReconciliationStatus = strawberry.field(description="How it stands.")
    reason: str = strawberry.field(description="Why, in one sentence.")
    since: datetime = strawberry.field(description="From when on the status is this one.")
    compared_at: datetime = strawberry.field(description="When costs and invoices were compared.")
    ours: Money = strawberry.field(description="Billed cost of the line items.")
    stated: Money | None = strawberry.field(description="Total of the invoices. Null: none is stated.")
    not_in_costs: Money = strawberry.field(
        description="What of it line items of this source never have, such as the tax; it is no difference."
    )
    difference: Money | None = strawberry.field(
        description="`ours` less `stated` without `notInCosts`. Null: nothing is stated."
    )
    tolerance: Money = strawberry.field(description="Up to which a difference is one of rounding, as FOCUS 1.4 says.")
    line_items: Count = strawberry.field(description="Line items that are compared.")
    unassigned: Count = strawberry.field(description="Line items of them without an invoice id.")
    unassigned_cost: Money = strawberry.field(description="Billed cost of those.")
    invoice_ids: list[str] = strawberry.field(description="The invoices that they are compared with.")
    moved: Money | None = strawberry.field(
        description="By how much the costs changed since the month was reconciled, though its invoices did not. Null: they did not."
    )
    gaps: list[Gap] = strawberry.field(description="Where the difference is, largest first, at most 50.")

    @classmethod
    def of(cls, stored: StoredReconciliation) -> Reconciliation:
        """Make one from its record."""
        found, currency = stored.found, stored.found.currency
        return from_record(
            cls,
            found,
            **of_slice(stored.slice),
            since=stored.since,
            compared_at=stored.compared_at,
            ours=money(found.ours, currency),
            stated=money_or_none(found.stated, currency),
            not_in_costs=money(found.not_in_costs, currency),
            difference=money_or_none(found.difference, currency),
            tolerance=money(found.tolerance, currency),
            unassigned_cost=money(found.unassigned_cost, currency),
            invoice_ids=list(found.invoice_ids),
            moved=money_or_none(found.moved, currency),
            gaps=[Gap.of(one, currency) for one in found.gaps],
        )


@strawberry.type(description="A page of comparisons, newest months first.")
class Reconciliations:
    nodes: list[Reconciliation] = strawberry.field(description="The comparisons of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


ByStatus = Annotated[ReconciliationStatus | None, strawberry.argument(description="Only this status. Default: all.")]


@strawberry.type
class ReconciliationQuery:
    @resolved("The costs of each month compared with its invoices, in pages, newest months first.")
    async def reconciliation(
        self,
        info: Info,
        first: First,
        after: After = None,
        customer_id: CustomerId = None,
        account: ByAccount = None,
        from_month: FromMonth = None,
        to_month: ToMonth = None,
        status: ByStatus = None,
        as_of: AsOf = None,
    ) -> Reconciliations | None:
        check_first(first)
        wanted = None if status is None else status.value
        months = months_asked(account, from_month, to_month, as_of, status=wanted)
        data = await info.context.data_of(customer_id)
        asked = digest_of("reconciliation", data.customer_id, months)
        page = replace(months, after=place(after, asked, 4), most=first + 1)
        found = await data.read(data.services.metadata.invoices.reconciliations_of, page)
        shown, page_info = cut(asked, found, first, _key)
        return Reconciliations(nodes=[Reconciliation.of(one) for one in shown], page_info=page_info)


def _key(one: StoredReconciliation) -> tuple[str, ...]:
    return str(one.slice.billing_period), one.slice.account_id, one.found.issuer, one.found.currency
