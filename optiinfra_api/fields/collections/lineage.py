"""lineage: every generation of a slice, with the run, the sources and the totals it was made from."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import AccountId, After, CustomerId, First
from optiinfra_api.fields.collections.history import SourceWarning, billing_period_of
from optiinfra_api.fields.costs.money import Money
from optiinfra_api.fields.from_record import from_record
from optiinfra_api.fields.pagination import PageInfo, check_first, cut, decode
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import Count, DecimalText, decimal_text
from optiinfra_api.reading.cost_query import digest
from optiinfra_assets.domain.publications import CONTROL_TOTAL, MEASURES, WARNING, Publication
from optiinfra_assets.warehouse.lineage import Generation as Stored


@strawberry.type(description="Something that is known of a source.")
class SourceField:
    name: str = strawberry.field(description="Such as `file`, `version`, `invoice`.")
    value: str = strawberry.field(description="As the provider writes it.")


@strawberry.type(description="Where a part of the line items came from: a file, a window of requests, an invoice.")
class Source:
    fields: list[SourceField] = strawberry.field(description="What is known of it.")


@strawberry.type(description="The four costs of all line items in one currency.")
class GenerationTotal:
    currency: str = strawberry.field(description="Billing currency.")
    billed_cost: DecimalText = strawberry.field(description="Invoiced.")
    effective_cost: DecimalText = strawberry.field(description="Amortised.")
    list_cost: DecimalText = strawberry.field(description="At public prices.")
    contracted_cost: DecimalText = strawberry.field(description="At negotiated prices.")


@strawberry.type(description="One published version of a slice (account and billing period).")
class Generation:
    generation: Count = strawberry.field(description="Its number, which only grows.")
    published_at: datetime = strawberry.field(description="From when readers see it.")
    superseded_at: datetime | None = strawberry.field(
        description="From when they see the next one. Null: they see this one."
    )
    is_kept: bool = strawberry.field(description="It can still be read with `asOf`.")
    line_items: Count = strawberry.field(description="How many line items it has.")
    totals: list[GenerationTotal] = strawberry.field(description="What they come to, by currency.")
    control_totals: list[Money] = strawberry.field(
        description="The provider's own totals, which the billed costs were found equal to. Empty: it states none."
    )
    sources: list[Source] = strawberry.field(description="Where the line items came from.")
    warnings: list[SourceWarning] = strawberry.field(
        description="What the line items lack, what was skipped, what was read leniently. Empty: nothing."
    )
    change_token: str = strawberry.field(description="What the source answered to when it was collected.")
    content_hash: str = strawberry.field(description="Equal for equal line items, whatever their order.")
    rounded_values: Count = strawberry.field(
        description="Numbers with more than 18 fraction digits, rounded once when they were read."
    )
    rounded_total: DecimalText = strawberry.field(description="By how much in all.")
    data_through: datetime | None = strawberry.field(
        description="The charges are complete up to this instant (exclusive). Null: unknown."
    )
    is_final: bool = strawberry.field(description="The provider will not change the period any more.")
    is_simulated: bool = strawberry.field(description="The figures come from a simulator or sample files.")
    run_id: str = strawberry.field(description="The Dagster run that collected it.")
    run_url: str = strawberry.field(description="That run in the Dagster UI, with its log.")

    @classmethod
    def of(cls, stored: Stored, dagster_url: str) -> Generation:
        """Make one from its record."""
        one = stored.publication
        return from_record(
            cls,
            one,
            superseded_at=stored.superseded_at,
            is_kept=stored.is_kept,
            totals=_totals(one),
            control_totals=[
                Money(amount=DecimalText(source["billed_cost"]), currency=source["currency"])
                for source in one.sources
                if source.get("kind") == CONTROL_TOTAL
            ],
            sources=[_source(source) for source in one.sources if source.get("kind") not in (CONTROL_TOTAL, WARNING)],
            warnings=[SourceWarning.of(stated) for stated in one.warnings],
            rounded_total=decimal_text(one.rounded_total),
            run_url=f"{dagster_url.rstrip('/')}/runs/{one.run_id}",
        )


@strawberry.type(description="The generations of one slice, newest first.")
class Lineage:
    account: str = strawberry.field(description="Account id of this platform.")
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    billing_period: str = strawberry.field(description="Month of the invoice, `YYYY-MM`.")
    generations: list[Generation] = strawberry.field(description="The generations of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


OfBillingPeriod = Annotated[str, strawberry.argument(description="Billing period, `YYYY-MM`.")]


@strawberry.type
class LineageQuery:
    @resolved(
        "Where the published figures of a slice come from, version by version. Null: no such account of this customer."
    )
    async def lineage(
        self,
        info: Info,
        account: AccountId,
        billing_period: OfBillingPeriod,
        first: First = 10,
        after: After = None,
        customer_id: CustomerId = None,
    ) -> Lineage | None:
        check_first(first)
        period = billing_period_of(billing_period)
        data = await info.context.data_of(customer_id)
        asked = digest("lineage", data.customer_id, account, period)
        before = 0 if after is None else decode(after, asked, (int,)).position[0]
        found = await data.slice_history(account, period, first + 1, before)
        if found is None:
            return None
        provider, generations = found
        shown, page_info = cut(asked, generations, first, lambda row: (row.publication.generation,))
        url = info.context.services.settings.dagster_url
        return Lineage(
            account=account,
            provider=provider,
            billing_period=str(period),
            generations=[Generation.of(one, url) for one in shown],
            page_info=page_info,
        )


def _totals(publication: Publication) -> list[GenerationTotal]:
    return [
        GenerationTotal(
            currency=currency,
            **{cost: decimal_text(getattr(total, cost)) for cost in MEASURES},
        )
        for currency, total in sorted(publication.totals.items())
    ]


def _source(source: dict[str, str]) -> Source:
    return Source(fields=[SourceField(name=name, value=str(value)) for name, value in source.items()])
