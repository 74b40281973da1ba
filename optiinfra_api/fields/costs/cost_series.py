"""Sums costs by group and bucket of days, from the narrowest table that has the asked dimensions.

costTrends, totalCost and costsByType are such sums; the statements are ``sql/clickhouse/queries/cost_series_by_*.sql``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

from optiinfra_api.access.context import CustomerData
from optiinfra_api.fields.costs.arguments import CostBasis
from optiinfra_api.graphql.errors import TooExpensive
from optiinfra_api.graphql.scalars import decimal_text
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_assets.domain.charge_filters import LINE_ITEMS
from optiinfra_assets.domain.publications import ResolvedGenerations

if TYPE_CHECKING:
    from optiinfra_api.reading.conversion import Display

MAX_SERIES = 1000
_EXACT = Context(prec=100, traps=[Inexact])
LARGEST_FIRST = "largest_first"
DAILY = "daily"


@dataclass(frozen=True, slots=True)
class _Table:
    """A statement, and the columns or aliases of its source by dimension."""

    statement: str
    columns: dict[str, str]


_NOTHING = {"tag": "no_tag"}
"""Alias for a dimension that is not asked; "nothing" if it is not here. A tag may be null, beside every text."""
_ACCOUNT = {"provider": "provider", "account": "account_id", "period": "period_key"}
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
    _Table("cost_series_by_tag", LINE_ITEMS),
)


def cost_columns(basis: CostBasis) -> dict[str, str]:
    """Statement parameters that name the column of a cost basis, and the column that counts line items without that price."""
    unpriced = {CostBasis.LIST: "list_cost_missing", CostBasis.CONTRACTED: "contracted_cost_missing"}
    return {"cost": basis.value, "unpriced": unpriced.get(basis, "none")}


@dataclass(frozen=True, slots=True)
class Grouping:
    """What sums are told apart by.

    Attributes:
        dimensions: such as ``sub_account``.
        tag: name of a tag, whose values are the dimension ``tag``; None: of none.
        tags: names of several tags, whose values are one list, the dimension ``tags``.
        in_any_case: tags whose names differ in case only are one tag.
    """

    dimensions: frozenset[str] = frozenset()
    tag: str | None = None
    tags: tuple[str, ...] = ()
    in_any_case: bool = False

    @property
    def needed(self) -> frozenset[str]:
        """All dimensions."""
        has_list = bool(self._listed)
        tags = ({"tags"} if has_list else set()) | ({"tag"} if self.tag is not None and not has_list else set())
        return self.dimensions | tags

    @property
    def _listed(self) -> tuple[str, ...]:
        """The tags whose values are read as one list. One alone, in its case, is read faster."""
        own = () if self.tag is None else (self.tag,)
        return (*own, *self.tags) if self.tags or self.in_any_case else ()

    def values(self, columns: Mapping[str, str]) -> dict[str, Any]:
        """Statement parameters, for a table with these columns or aliases by dimension."""
        needed = self.needed
        named = {name: column if name in needed else _NOTHING.get(name, "nothing") for name, column in columns.items()}
        if self.in_any_case and "tags" in needed:
            named["tags"] = "tags_any_case"
        return {**named, "tag_key": self.tag or "", "tag_names": list(self._listed)}

    @property
    def names(self) -> tuple[str, ...]:
        """The names in a row of what tells groups apart, tags as they are asked."""
        own = ("tag",) if self.tag is not None else ()
        return *sorted(self.dimensions), *own, *(("tags",) if self.tags else ())

    def of_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """`row` with `tag` and `tags` as they are asked."""
        if "tags" in row:
            listed = row["tags"]
            row["tag"] = listed[0] if self.tag is not None else None
            row["tags"] = listed[-len(self.tags) :] if self.tags else None
        return row


async def series(
    data: CustomerData,
    question: CostQuery,
    basis: CostBasis,
    *,
    group_by: Collection[str] = (),
    granularity: str = "whole",
    display: Display | None = None,
) -> tuple[ResolvedGenerations, list[dict[str, Any]]]:
    """Return the generations that answer, and the rows of `series_of` them; see `Display.series` for what `display` adds. The days are
    read for that, whatever the granularity.

    Raises:
        TooExpensive: as in `series_of`.
    """
    groups = Grouping(frozenset(group_by))
    read = partial(series_of, data, question, basis=basis, groups=groups, granularity=granularity, display=display)
    resolved, rows = await data.answered(question, lambda resolved: read(resolved=resolved))
    if display is not None:
        await display.series(rows, granularity, question.start)
    return resolved, rows


async def series_of(
    data: CustomerData,
    question: CostQuery,
    resolved: ResolvedGenerations,
    basis: CostBasis,
    groups: Grouping,
    *,
    granularity: str = "whole",
    order: str = LARGEST_FIRST,
    each: int | None = None,
    most: int = MAX_SERIES,
    display: Display | None = None,
) -> list[dict[str, Any]]:
    """Return rows by currency and then in the asked order, of the asked dimensions ('' where line items lack one; of a tag None),
    currency, dates, amounts, total, line_items and unpriced_line_items.

    Args:
        granularity: ``daily``, ``weekly``, ``monthly`` or ``whole``.
        order: ``largest_first``, ``smallest_first`` or ``by_name``.
        each: at most so many rows of each currency, the first ones; None: all.
        most: at most so many rows in all; more than `MAX_SERIES` if few of them are answered.
        display: `Display.series` of it takes the rows, which are by day then, or converted by `granularity` already.

    Raises:
        TooExpensive: the answer would have more than `most` rows, or a limit of the reader is exceeded.
    """
    needed = question.filtered() | groups.needed
    table = next(one for one in _TABLES if needed <= one.columns.keys())
    values = {
        **groups.values(table.columns),
        **cost_columns(basis),
        "granularity": DAILY if display else granularity,
        "order": order,
        "each": most + 1 if each is None else each,
        "limit": most + 1,
        "conversion": await display.asked(granularity) if display else None,
    }
    read = data.rows if most <= MAX_SERIES else data.groups
    rows = await read(table.statement, question, resolved, **values)
    check_groups(rows, most)
    return [groups.of_row(row) for row in rows]


def check_groups(rows: Sequence[object], most: int) -> None:
    """Raise TooExpensive if there are more than `most` rows."""
    if len(rows) > most:
        raise TooExpensive(f"the answer would have more than {most} groups", "Group by less, or narrow the filter.")


def rest(totals: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what `rows` leave out of `totals`, the series of all charges by currency, as rows; none for what they leave nothing out of."""
    shown: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        shown.setdefault(row["currency"], []).append(row)
    found = []
    for total in totals:
        own = shown.get(total["currency"], [])
        left = {name: total[name] - sum(row[name] for row in own) for name in ("line_items", "unpriced_line_items")}
        if left["line_items"]:
            sums = dict(zip(total["dates"], map(Decimal, total["amounts"]), strict=True))
            for day, amount in (one for row in own for one in zip(row["dates"], row["amounts"], strict=True)):
                sums[day] = _EXACT.subtract(sums[day], Decimal(amount))
            left |= {"amounts": list(map(decimal_text, sums.values()))}
            left |= {"total": decimal_text(reduce(_EXACT.add, sums.values()))}
            found.append({**total, **left})
    return found
