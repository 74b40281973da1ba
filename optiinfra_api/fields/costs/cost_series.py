"""Sums costs by group and bucket of days, from the narrowest table that has the asked dimensions.

costTrends, totalCost and costsByType are such sums; the statements are ``sql/clickhouse/queries/cost_series_by_*.sql``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optiinfra_api.access.context import CustomerData
from optiinfra_api.fields.costs.arguments import CostBasis
from optiinfra_api.graphql.errors import TooExpensive
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_assets.domain.publications import ResolvedGenerations

if TYPE_CHECKING:
    from optiinfra_api.reading.conversion import Display

MAX_SERIES = 1000


@dataclass(frozen=True, slots=True)
class _Table:
    """A statement, and the columns or aliases of its source by dimension."""

    statement: str
    columns: dict[str, str]


_NOTHING = {"tag": "no_tag"}
"""Alias for a dimension that is not asked; "nothing" if it is not here. A tag may be null, beside every text."""
_ACCOUNT = {"provider": "provider", "account": "account_id"}
_SERVICE = {"service": "service_name"}
_CATEGORY = {"charge_category": "charge_category"}

# Narrowest first.
_TABLES = (
    _Table("cost_series_by_day", _ACCOUNT),
    _Table("cost_series_by_service", _ACCOUNT | _SERVICE),
    _Table(
        "cost_series_by_type",
        _ACCOUNT | _CATEGORY | {name: name for name in ("charge_class", "charge_frequency", "pricing_category")},
    ),
    _Table(
        "cost_series_by_attribute",
        _ACCOUNT | _SERVICE | _CATEGORY | {"sub_account": "sub_account_id", "region": "region_id"},
    ),
    _Table(
        "cost_series_by_tag",
        _ACCOUNT
        | _SERVICE
        | _CATEGORY
        | {
            "sub_account": "sub_account_key",
            "region": "region_key",
            "charge_class": "class_key",
            "charge_frequency": "frequency_key",
            "pricing_category": "pricing_key",
            "tag": "tag_key",
            "resource": "nothing",
        },
    ),
)


def cost_columns(basis: CostBasis) -> dict[str, str]:
    """Statement parameters that name the column of a cost basis, and the column that counts line items without that price."""
    unpriced = {CostBasis.LIST: "list_cost_missing", CostBasis.CONTRACTED: "contracted_cost_missing"}
    return {"cost": basis.value, "unpriced": unpriced.get(basis, "none")}


async def series(
    data: CustomerData,
    question: CostQuery,
    basis: CostBasis,
    *,
    group_by: Collection[str] = (),
    granularity: str = "whole",
    tag_key: str = "",
    display: Display | None = None,
) -> tuple[ResolvedGenerations, list[dict[str, Any]]]:
    """Return the generations that answer, and rows by currency, then largest total first, of the asked dimensions ('' where line items
    lack one; of a tag None), currency, dates, amounts, total, line_items and unpriced_line_items.

    Args:
        group_by: dimensions, such as ``sub_account``.
        granularity: ``daily``, ``weekly``, ``monthly`` or ``whole``.
        tag_key: name of the tag to group by, together with the dimension ``tag``.
        display: converts the rows, see `Display.series`; the days are read for that, whatever the granularity.

    Raises:
        TooExpensive: the answer would have more than `MAX_SERIES` rows, or a limit of the reader is exceeded.
    """
    needed = question.filtered().union(group_by)
    table = next(one for one in _TABLES if needed <= one.columns.keys())
    values = {
        **{
            name: column if name in group_by else _NOTHING.get(name, "nothing")
            for name, column in table.columns.items()
        },
        **cost_columns(basis),
        "granularity": granularity if display is None else "daily",
        "tag_key": tag_key,
        "limit": MAX_SERIES + 1,
    }
    resolved, rows = await data.answered(
        question, lambda resolved: data.rows(table.statement, question, resolved, **values)
    )
    if len(rows) > MAX_SERIES:
        raise TooExpensive(
            f"the answer would have more than {MAX_SERIES} groups", "Group by less, or narrow the filter."
        )
    if display is not None:
        await display.series(rows, granularity, question.start)
    return resolved, rows
