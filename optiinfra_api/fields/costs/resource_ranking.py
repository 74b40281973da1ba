"""Ranks the resources of a period by cost, from the tables that are cheapest to read for its days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from optiinfra_api.access.context import CustomerData
from optiinfra_api.fields.costs.arguments import CostBasis, Period
from optiinfra_api.fields.costs.cost_series import cost_columns
from optiinfra_api.fields.pagination import Position, Row, RowPage
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.publications import ResolvedGenerations

if TYPE_CHECKING:
    from optiinfra_api.reading.conversion import Display


@dataclass(frozen=True, slots=True)
class ResourceRanking:
    """Reads the ranking: whole months come from ``cost_by_resource``, other days, and filters that it lacks, from the line items."""

    data: CustomerData
    question: CostQuery
    period: Period
    basis: CostBasis

    async def read(self, resolved: ResolvedGenerations, limit: int, after: Position | None) -> list[Row]:
        """Read at most `limit` resources after the position (currency, total, account, resource); None: from the first."""
        currency, total, account, resource = after or ("", "0", "", "")
        first_month, end_month = whole_months(self.period)
        statement = "cost_by_resource_days"
        if first_month < end_month and not self.question.needs_line_items:
            is_whole = (first_month, end_month) == (self.period.start, self.period.end)
            statement = "cost_by_resource_months" if is_whole else "cost_by_resource_months_and_days"
        return await self.data.rows(
            statement,
            self.question,
            resolved,
            **cost_columns(self.basis),
            **edges(resolved, self.period, first_month, end_month),
            first_month=first_month,
            end_month=end_month,
            has_after=int(after is not None),
            after_currency=currency,
            after_amount=total,
            after_account=account,
            after_resource=resource,
            limit=limit,
        )

    async def days(self, page: RowPage, display: Display) -> list[Row]:
        """The resources of a page by day, but for those that are charged in the display currency; those from memory are converted."""
        rows = [row for row in page.rows if row["currency"] != display.currency]
        if not rows:
            return []
        # A condition costs half a millisecond of planning, and most customers are billed in one currency.
        currencies = {row["currency"] for row in rows} if len(rows) < len(page.rows) else set(self.question.currencies)
        return await self.data.rows(
            "resource_days_of_line_items" if self.question.needs_line_items else "resource_days",
            self.question,
            page.resolved,
            **cost_columns(self.basis),
            account="account_id",
            resource="resource_id",
            currencies=sorted(currencies),
            resources=sorted({row["resource"] for row in rows}),
            conversion=await display.asked("whole"),
        )


def edges(resolved: ResolvedGenerations, period: Period, first_month: date, end_month: date) -> dict[str, list[Any]]:
    """Statement parameters: the generations, and their billing periods, with charges on days of `period` outside its whole months."""
    answering = frozenset(resolved.generations)
    found = [
        one
        for one in resolved.publications
        if one.generation in answering
        and (one.has_charges_in(period.start, first_month) or one.has_charges_in(end_month, period.end))
    ]
    return {
        "edge_generations": [one.generation for one in found],
        "edge_periods": sorted({one.slice.billing_period.start.date() for one in found}),
    }


def whole_months(period: Period) -> tuple[date, date]:
    """First day of the first calendar month that lies completely in `period`, and the day after the last such month. If there is no such
    month, the first is not before the second."""
    first = period.start if period.start.day == 1 else BillingPeriod.of(period.start).shift(1).start.date()
    return first, period.end.replace(day=1)
