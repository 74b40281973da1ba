"""commitments: what sources state of the commitments of contracts, such as a spend that was promised for a year."""

from __future__ import annotations

from datetime import datetime

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import After, ByAccount, CustomerId, First
from optiinfra_api.fields.costs.money import Money
from optiinfra_api.fields.from_record import from_record
from optiinfra_api.fields.pagination import PageInfo, check_first, cut, decode
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import DecimalText, decimal_text
from optiinfra_api.reading.cost_query import digest
from optiinfra_assets.domain.commitments import StoredCommitment


@strawberry.type(description="A commitment of a contract, as the source of an account states it.")
class Commitment:
    account: str = strawberry.field(description="Account id of this platform.")
    commitment_id: str = strawberry.field(description="Its id at its issuer, as in `contractApplied` of line items.")
    contract_id: str = strawberry.field(description="The contract that it belongs to.")
    category: str = strawberry.field(description="FOCUS ContractCommitmentCategory: `Spend` or `Usage`.")
    type: str = strawberry.field(description="What its issuer calls it.")
    status: str | None = strawberry.field(description="FOCUS ContractCommitmentLifecycleStatus. Null: not stated.")
    description: str | None = strawberry.field(description="What it is. Null: not stated.")
    period_start: datetime = strawberry.field(description="When it begins.")
    period_end: datetime = strawberry.field(description="When it ends, exclusive.")
    contract_start: datetime = strawberry.field(description="When its contract begins.")
    contract_end: datetime = strawberry.field(description="When its contract ends, exclusive.")
    cost: Money | None = strawberry.field(description="What was promised to be spent. Null: not stated.")
    quantity: DecimalText | None = strawberry.field(description="What was promised to be used. Null: not stated.")
    unit: str | None = strawberry.field(description="Unit of `quantity`. Null: not stated.")
    discount_share: DecimalText | None = strawberry.field(
        description="What it takes off prices, from 0 to 1. Null: not stated."
    )
    payment_model: str | None = strawberry.field(description="FOCUS ContractCommitmentPaymentModel. Null: not stated.")
    service_provider: str | None = strawberry.field(description="Whose services it is for. Null: not stated.")
    issuer: str | None = strawberry.field(description="Who sends its invoices. Null: not stated.")
    stated_at: datetime = strawberry.field(description="Since when it is stated so.")

    @classmethod
    def of(cls, stored: StoredCommitment) -> Commitment:
        """Make one from its record."""
        one = stored.commitment
        return from_record(
            cls,
            one,
            account=stored.account_id,
            stated_at=stored.stated_at,
            type=one.type_,
            cost=None
            if one.cost is None or one.currency is None
            else Money(amount=decimal_text(one.cost), currency=one.currency),
            quantity=None if one.quantity is None else decimal_text(one.quantity),
            discount_share=None if one.discount_share is None else decimal_text(one.discount_share),
        )


@strawberry.type(description="A page of commitments, by account and id.")
class CommitmentsPage:
    nodes: list[Commitment] = strawberry.field(description="The commitments of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.type
class CommitmentsQuery:
    @resolved("The commitments that sources state, in pages.")
    async def commitments(
        self,
        info: Info,
        first: First,
        after: After = None,
        customer_id: CustomerId = None,
        account: ByAccount = None,
    ) -> CommitmentsPage | None:
        check_first(first)
        data = await info.context.data_of(customer_id)
        asked = digest("commitments", data.customer_id, account)
        last = None if after is None else decode(after, asked, (str, str)).position
        find = data.services.metadata.commitments.find
        rows = await data.read(find, account_id=account, first=first + 1, after=last)
        shown, page_info = cut(asked, rows, first, lambda row: (row.account_id, row.commitment.commitment_id))
        return CommitmentsPage(nodes=[Commitment.of(row) for row in shown], page_info=page_info)
