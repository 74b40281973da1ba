"""Sums of line items in memory, by day and what was asked of them: a tag, or dimensions that no derived table has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_api.reading.column_table import DIMENSIONS, ColumnTable, Count
from optiinfra_assets.domain.charge_filters import FILTERS, LINE_ITEMS

_TAG: Final = "tag_group"
_NO_TAG: Final = ">"
"""Stands for a line item without the tag: after all values, which begin with '=', as ClickHouse orders null."""
_MOST_GROUPS: Final = 2**62
"""Combinations of values that whole numbers of 64 bits tell apart."""
_UNPRICED: Final = {"list_cost": "list_cost_missing", "contracted_cost": "contracted_cost_missing"}
_DIMENSIONS: Final = (
    *(name for name in DIMENSIONS if name != "resource"),
    "service_provider",
    "service_category",
    "invoice",
    "sku",
    "commitment",
    "tag",
)
"""The dimensions in the order of ``cost_series_by_tag.sql``."""
_OF_GENERATIONS: Final = {"provider": "provider", "account": "account_id", "period": "period_key"}


class LineItemTable(ColumnTable):
    """Rows of ``line_item_days.sql``, by day."""

    FILTERS: ClassVar[Mapping[str, str]] = {
        name: "billing_currency" if dimension == "currency" else f"{dimension}_group"
        for dimension, name in FILTERS.items()
    }

    @classmethod
    def texts(cls, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """As in `ColumnTable`; the values of a tag are marked, because one may be null beside every text."""
        found = super().texts(name, column)
        return pc.fill_null(pc.binary_join_element_wise("=", found, ""), _NO_TAG) if name == _TAG else found

    def asked(self, values: Mapping[str, Any]) -> dict[str, str]:
        """As in `ColumnTable`, without dimensions that are not asked."""
        return {
            name: _OF_GENERATIONS.get(name, f"{name}_group") for name in _DIMENSIONS if values[name] == LINE_ITEMS[name]
        }

    def rows(self, values: Mapping[str, Any], count: Count | None = None) -> list[dict[str, Any]] | None:
        """Return what ``cost_series_by_tag.sql`` answers for its bound `values`; None: it has to be asked."""
        columns = (*self.asked(values).values(), "billing_currency")
        if math.prod(len(self._codes(column)[1]) or 1 for column in columns) > _MOST_GROUPS:
            return None
        found = super().rows({**values, "unpriced": _UNPRICED.get(values["cost"], "none")}, count)
        for row in found or ():
            if "tag" in row:
                row["tag"] = None if row["tag"] == _NO_TAG else row["tag"][1:]
        return found
