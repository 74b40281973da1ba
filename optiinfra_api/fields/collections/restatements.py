"""restatements: what changed when a generation replaced published data, by service and day."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import strawberry

from optiinfra_api.access.context import CustomerData, Info
from optiinfra_api.fields.arguments import After, CustomerId, First
from optiinfra_api.fields.costs.arguments import Basis, CostBasis, Filter, Period, PeriodAsked, cost_query
from optiinfra_api.fields.from_record import from_record, of_slice
from optiinfra_api.fields.pagination import PageInfo, check_first, cut, decode, from_micros, to_micros
from optiinfra_api.graphql.errors import InvalidArgument, TooExpensive
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import Count, DateText, DecimalText
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_assets.warehouse.lineage import RestatementRecord, restatements

MAX_CHANGES = 20_000
"""Most rows of changes on one page; a pair of generations has at most one row for each day, service and currency."""

_SPAN = timedelta(days=30)


@strawberry.type(description="A day of a service whose cost is another one than before.")
class CostChange:
    date: DateText = strawberry.field(description="UTC day on which the charges begin.")
    service: str | None = strawberry.field(description="Service. Null: charges without one.")
    currency: str = strawberry.field(description="Currency of the amounts.")
    before: DecimalText = strawberry.field(description="Cost in the generation that was replaced.")
    after: DecimalText = strawberry.field(description="Cost in the generation that replaced it.")
    change: DecimalText = strawberry.field(description="`after` less `before`.")


@strawberry.type(description="One generation of a slice that replaced another.")
class Restatement:
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    account: str = strawberry.field(description="Account id of this platform.")
    billing_period: str = strawberry.field(description="Month of the invoice, `YYYY-MM`.")
    generation: Count = strawberry.field(description="The generation that came.")
    previous_generation: Count = strawberry.field(description="The generation that it replaced.")
    published_at: datetime = strawberry.field(description="When it came.")
    previous_published_at: datetime = strawberry.field(description="When the replaced one had come.")
    changes: list[CostChange] | None = strawberry.field(
        description="What differs within the asked period, by day and service; empty if only other columns or days do. "
        "Null: retention has removed the rows of one of the two."
    )


@strawberry.type(description="A page of restatements, newest first.")
class Restatements:
    nodes: list[Restatement] = strawberry.field(description="The restatements of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


Since = Annotated[
    datetime | None,
    strawberry.argument(
        description="Only what was published from this instant on (inclusive). Default: 30 days before `until`."
    ),
]
Until = Annotated[
    datetime | None,
    strawberry.argument(description="Only what was published before this instant. Default: now."),
]


@strawberry.type
class RestatementsQuery:
    @resolved("What changed when published data were replaced, newest first, in pages; days are those of the charges.")
    async def restatements(
        self,
        info: Info,
        period: PeriodAsked,
        first: First,
        after: After = None,
        since: Since = None,
        until: Until = None,
        customer_id: CustomerId = None,
        filter: Filter = None,
        cost_basis: Basis = CostBasis.BILLED,
    ) -> Restatements | None:
        check_first(first)
        question = cost_query(period, filter, None)
        _check(question, since, until)
        data = await info.context.data_of(customer_id)
        asked = question.digest("restatements", data.customer_id, since, until, cost_basis)
        end_at, before = _place(after, asked, until)
        begin = since or end_at - _SPAN
        found = await data.run(
            restatements,
            data.services.warehouse,
            since=begin,
            until=end_at,
            first=first + 1,
            before=before,
            accounts=question.accounts,
            providers=question.providers,
        )
        shown, page_info = cut(
            asked,
            found,
            first,
            lambda last: (to_micros(end_at), to_micros(last.published_at), last.generation),
        )
        changes = await _changes(data, question, period, cost_basis, [one for one in shown if one.is_kept])
        nodes = [_node(one, changes.get(one.generation, []) if one.is_kept else None) for one in shown]
        return Restatements(nodes=nodes, page_info=page_info)


def _check(question: CostQuery, since: datetime | None, until: datetime | None) -> None:
    if not question.is_of_accounts:
        raise InvalidArgument(
            "filter: restatements know provider and account only",
            "Leave other filters out, and choose among the changes.",
        )
    if since is not None and until is not None and since >= until:
        raise InvalidArgument(
            f"since: {since.isoformat()} is not before until: {until.isoformat()}",
            "Use an earlier `since`; `until` is exclusive.",
        )


def _place(after: str | None, asked: str, until: datetime | None) -> tuple[datetime, tuple[datetime, int] | None]:
    """The exclusive end of the asked time span, which later pages keep, and the last restatement of the page before."""
    if after is None:
        return until or datetime.now(UTC), None
    end_at, published_at, generation = decode(after, asked, (timedelta, timedelta, int)).position
    return from_micros(end_at), (from_micros(published_at), generation)


async def _changes(
    data: CustomerData, question: CostQuery, period: Period, basis: CostBasis, pairs: list[RestatementRecord]
) -> dict[int, list[CostChange]]:
    """The changes of each generation from the one before it, by generation."""
    if not pairs:
        return {}
    rows = await data.compared(
        "restatement_changes",
        [one.previous_generation for one in pairs],
        [one.generation for one in pairs],
        cost=basis.value,
        start=period.start,
        end=period.end,
        limit=MAX_CHANGES + 1,
    )
    if len(rows) > MAX_CHANGES:
        raise TooExpensive(
            f"over the limit of {MAX_CHANGES} changes in one page", "Ask for fewer restatements or days."
        )
    changes: dict[int, list[CostChange]] = defaultdict(list)
    for row in rows:
        changes[pairs[row["pair"] - 1].generation].append(_change(row))
    return changes


def _change(row: dict[str, Any]) -> CostChange:
    columns = {name: row[name] for name in ("date", "currency", "before", "after", "change")}
    return CostChange(service=row["service"] or None, **columns)


def _node(one: RestatementRecord, changes: list[CostChange] | None) -> Restatement:
    return from_record(
        Restatement,
        one,
        **of_slice(one.slice),
        changes=changes,
    )
