"""Rows of ``cost_by_resource`` in memory: the most expensive resources of whole months, and their details."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from datetime import date
from decimal import Context, Decimal
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_api.reading.column_table import ColumnTable, Count
from optiinfra_api.reading.exact_sums import Sums, counted, written

_EXACT: Final = Context(prec=100)
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DETAILS: Final = {
    "account": "account_id",
    "resource": "resource_id",
    "name": "resource_name",
    "type": "resource_type",
    "service": "service_name",
    "region": "region_id",
    "sub_account": "sub_account_id",
}


class ResourceTable(ColumnTable):
    """Rows of ``cost_by_resource``, by month."""

    DAY: ClassVar[str] = "charge_month"
    KEEPS_PERIODS: ClassVar[bool] = True

    def rows(self, values: Mapping[str, Any], count: Count | None = None) -> list[dict[str, Any]]:
        """Return what ``cost_by_resource_months.sql`` or ``resource_details.sql`` answers for its bound `values`."""
        return self._described(values, count) if "newest_generations" in values else self._ranked(values, count)

    def _ranked(self, values: Mapping[str, Any], count: Count | None) -> list[dict[str, Any]]:
        places = self._places(values["first_month"], values["end_month"], values)
        groups, keys = self._groups(places, ["account_id", "resource_id"])
        totals = Sums(groups, (len(keys), 1), [limb[places] for limb in self._limbs(values["cost"])]).totals()
        order = [
            (key[2], -total, key[0], key[1], group) for group, (key, total) in enumerate(zip(keys, totals, strict=True))
        ]
        if values["has_after"]:
            amount = int(Decimal(values["after_amount"]).scaleb(18, _EXACT))
            after = values["after_currency"], -amount, values["after_account"], values["after_resource"]
            order = [one for one in order if one[:4] > after]
        page = heapq.nsmallest(values["limit"], order)
        if count is not None:
            count(len(page), size=200 * len(page))
        items = counted(groups, len(keys), self._array("line_items")[places])
        unpriced = self._unpriced(groups, len(keys), places, values["unpriced"])
        newest = np.zeros(len(keys), np.uint64)
        by_period = np.argsort(self._array("billing_period")[places], kind="stable")
        newest[groups[by_period]] = self._array("generation")[places][by_period]  # of equal places the last counts
        return [
            {
                "account": account,
                "resource": resource,
                "currency": currency,
                "total": written(-negated),
                "unpriced_line_items": unpriced[group],
                "line_items": items[group],
                "newest_generation": int(newest[group]),
            }
            for currency, negated, account, resource, group in page
        ]

    def _described(self, values: Mapping[str, Any], count: Count | None) -> list[dict[str, Any]]:
        codes, names = self._codes("resource_id")
        is_wanted = pc.is_in(names, value_set=pa.array(values["resources"], pa.string())).to_numpy(zero_copy_only=False)
        is_asked = is_wanted[codes] & np.isin(
            self._array("generation"), np.array(values["newest_generations"], np.uint64)
        )
        places = np.flatnonzero(is_asked)
        if count is not None:
            count(len(places), size=200 * len(places))
        columns: dict[str, list[Any]] = {
            "generation": self._array("generation")[places].tolist(),
            "charge_month": [date.fromordinal(_EPOCH + day).isoformat() for day in self._days[places].tolist()],
        }
        for name, column in _DETAILS.items():
            codes, names = self._codes(column)
            columns[name] = names.take(pa.array(codes[places])).to_pylist()
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
