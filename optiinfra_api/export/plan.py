"""Makes the statement of an export, of ``sql/clickhouse/exports``, and the values that it binds beyond those of every statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from optiinfra_api.export.arguments import ExportQuery
from optiinfra_api.fields.costs.cost_series import Grouping, cost_columns
from optiinfra_api.fields.costs.resource_ranking import edges, whole_months
from optiinfra_assets.database import sql_files
from optiinfra_assets.domain.charge_filters import LINE_ITEMS
from optiinfra_assets.domain.publications import ResolvedGenerations

Plan = tuple[str, dict[str, Any]]

_DERIVED = {
    "provider": "provider",
    "account": "account_id",
    "sub_account": "sub_account_id",
    "service": "service_name",
    "region": "region_id",
    "charge_category": "charge_category",
}
"""Columns of ``cost_trends`` by dimension."""
_BY_TYPE = frozenset({"charge_category"})


def plan(asked: ExportQuery, resolved: ResolvedGenerations, x_names: Sequence[str] = ()) -> Plan:
    """Return the statement for `asked` over the `resolved` generations, and its values; a FOCUS file has the columns `x_names` too."""
    if asked.focus is not None:
        return sql_files.read_focus(asked.focus, x_names), {}
    statement, values = _PLANS[asked.what](asked, resolved)
    return sql_files.read("clickhouse", "exports", f"{statement}.sql"), cost_columns(asked.basis) | values


def _line_items(asked: ExportQuery, _: ResolvedGenerations) -> Plan:
    return "line_items", {}


def _trends(asked: ExportQuery, _: ResolvedGenerations) -> Plan:
    tags = asked.group_by_tags
    if not tags and asked.group_by <= _DERIVED.keys() and not asked.question.needs_line_items:
        columns = {name: column if name in asked.group_by else "nothing" for name, column in _DERIVED.items()}
        return "costs", {**columns, "granularity": asked.granularity}
    one, several = (asked.group_by_tag, ()) if len(tags) < 2 else (None, tags)
    groups = Grouping(asked.group_by, one, several, asked.ignores_tag_case and bool(tags))
    values = groups.values(LINE_ITEMS)
    if "tags" in groups.needed:
        values["tag"] = f"{values['tags']}_{'text' if several else 'first'}"
    return "costs_by_tag", {**values, "granularity": asked.granularity}


def _total(asked: ExportQuery, _: ResolvedGenerations) -> Plan:
    return ("totals_by_tag" if asked.question.needs_line_items else "totals"), {}


def _by_type(asked: ExportQuery, _: ResolvedGenerations) -> Plan:
    needs_lines = not asked.question.filtered() <= _BY_TYPE
    return ("costs_by_type_and_tag" if needs_lines else "costs_by_type"), {}


def _by_resource(asked: ExportQuery, resolved: ResolvedGenerations) -> Plan:
    if asked.period is None:
        raise ValueError("by-resource has a period")
    first, end = whole_months(asked.period)
    if asked.question.needs_line_items or first >= end or asked.display_currency:
        # A rate is that of a day, which cost_by_resource does not have.
        first = end = asked.period.end
    return "resources", {
        "first_month": first,
        "end_month": end,
        **edges(resolved, asked.period, first, end),
    }


def _latest(asked: ExportQuery, _: ResolvedGenerations) -> Plan:
    return "latest", {"days": asked.days}


_PLANS: dict[str, Callable[[ExportQuery, ResolvedGenerations], Plan]] = {
    "line-items": _line_items,
    "trends": _trends,
    "by-resource": _by_resource,
    "by-type": _by_type,
    "total": _total,
    "latest": _latest,
}
