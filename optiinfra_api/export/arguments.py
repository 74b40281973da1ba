"""The query parameters of ``/export``: they have the names of the GraphQL arguments; a list is a repeated parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any, TypeVar

from starlette.datastructures import QueryParams
from strawberry.utils.str_converters import to_camel_case

from optiinfra_api.fields.costs.arguments import CostBasis, CostFilter, Period, TagFilter, cost_query
from optiinfra_api.fields.costs.latest import check_days
from optiinfra_api.fields.costs.trends import Dimension, Granularity
from optiinfra_api.fields.insights.forecast import MOST_DAYS, check_forecast_days
from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.graphql.scalars import BadValue, parse_date, parse_instant
from optiinfra_api.reading.cost_query import MAX_TAGS, CostQuery
from optiinfra_api.reading.stream import ExportFormat
from optiinfra_assets.domain import focus
from optiinfra_assets.domain.charge_filters import FILTERS

_T = TypeVar("_T")
_E = TypeVar("_E", bound=Enum)

_FILTERS = {to_camel_case(name): name for name in FILTERS}
_LISTS = frozenset({*_FILTERS, "tagValue", "tag", "groupBy"})
_EVERYWHERE = frozenset({"customerId", "asOf", "provider", "account", "currency", "displayCurrency"})
_PERIOD = frozenset({"start", "end"})
_FILTERED = _EVERYWHERE | _PERIOD | {*_FILTERS, "tagKey", "tagValue", "tag", "ignoreTagCase"}

_ANOMALIES = (_EVERYWHERE | _PERIOD | {"service"}) - {"displayCurrency"}

ACCEPTED: Mapping[str, frozenset[str]] = {
    "focus": (_FILTERED | {"version", "xColumns", "format"}) - {"displayCurrency"},
    "line-items": _FILTERED | {"focus"},
    "trends": _FILTERED | {"costBasis", "granularity", "groupBy", "groupByTag"},
    "by-resource": _FILTERED | {"costBasis"},
    "by-type": _FILTERED | {"costBasis"},
    "total": _FILTERED | {"costBasis"},
    "forecast": (_FILTERED - _PERIOD) | {"costBasis", "groupBy", "groupByTag", "forecastDays"},
    "anomalies": _ANOMALIES,
    "anomaly-causes": _ANOMALIES | {"groupByTag"},
    "latest": _EVERYWHERE | {"costBasis", "days"},
}
"""The parameters that each export accepts."""

_FOCUS_LINE_ITEMS = ("1.2", "1.4")
"""The versions that ``line-items`` had before there was an export of FOCUS alone, which has all."""
_FORMATS = tuple(one.value for one in ExportFormat)


OF_ANOMALIES = frozenset({"anomalies", "anomaly-causes"})
"""The exports that may have a period, and are of all days without one."""
_NOW = frozenset({"latest", "forecast"})
"""The exports without a period."""


@dataclass(frozen=True, slots=True)
class ExportQuery:
    """The checked parameters of one export. Parameters that the export does not have keep their defaults.

    Attributes:
        what: the export, a key of `ACCEPTED`.
        question: period and filters.
        period: None for ``latest`` and ``forecast``, which have no period, and for anomalies of all days.
        customer_id: None: the token's customer.
        group_by: dimensions, such as ``sub_account``.
        granularity: ``daily``, ``weekly``, ``monthly`` or ``total``.
        group_by_tags: names of tags.
        ignores_tag_case: whether tags whose names differ in upper and lower case are one, of groups.
        days: how many of the newest days with charges, or of the days that are forecast.
        focus: the FOCUS version whose columns are wanted; None: our own columns.
        has_x_columns: whether a FOCUS file has what sources have beyond FOCUS, in columns of their own.
        display_currency: the currency that costs are also shown in; None: none.
    """

    what: str
    question: CostQuery
    period: Period | None
    customer_id: str | None
    basis: CostBasis
    group_by: frozenset[str]
    granularity: str
    group_by_tags: tuple[str, ...]
    ignores_tag_case: bool
    days: int
    focus: focus.Version | None
    has_x_columns: bool
    display_currency: str | None

    @classmethod
    def of(cls, what: str, given: QueryParams) -> ExportQuery:
        """Make one from the parameters of a request for `what`.

        Raises:
            InvalidArgument: a parameter is not accepted; the message names it, its value and what is accepted.
        """
        values = _values(what, given)
        has_none = what in _NOW or (what in OF_ANOMALIES and not values.keys() & _PERIOD)
        period = None if has_none else _period(values)
        granularity = _one_of(Granularity, "granularity", values.get("granularity", "DAILY"))
        ignores_case = _is_true(values, "ignoreTagCase")
        filter_ = _filter(values, _tags(values, ignores_case=ignores_case))
        return cls(
            what=what,
            question=cost_query(period, filter_, _parsed(values, "asOf", parse_instant)),
            period=period,
            customer_id=values.get("customerId"),
            basis=_one_of(CostBasis, "costBasis", values.get("costBasis", "BILLED")),
            group_by=frozenset(_one_of(Dimension, "groupBy", one).value for one in values.get("groupBy", ())),
            granularity="total" if what == "total" else granularity.value,
            group_by_tags=tuple(dict.fromkeys(values.get("groupByTag", ()))),
            ignores_tag_case=ignores_case,
            days=(
                check_forecast_days(_whole("forecastDays", values.get("forecastDays", str(MOST_DAYS))))
                if what == "forecast"
                else check_days(_whole("days", values.get("days", "1")))
            ),
            focus=_focus(what, values),
            has_x_columns=_is_true(values, "xColumns"),
            display_currency=_display_currency(values),
        )

    @property
    def group_by_tag(self) -> str | None:
        """The name of the first of the tags, None for none."""
        return next(iter(self.group_by_tags), None)


def _values(what: str, given: QueryParams) -> dict[str, Any]:
    """The values by parameter: a list of strings if it may be repeated, or names tags, else a string."""
    accepted = ACCEPTED[what]
    most = {"groupByTag": MAX_TAGS if what == "trends" else 1}
    values: dict[str, Any] = {}
    for name in given:
        if name not in accepted:
            raise InvalidArgument(f"{name}: not a parameter of this export", f"Use {', '.join(sorted(accepted))}.")
        found = given.getlist(name)
        if any("\0" in one for one in found):
            raise InvalidArgument(f"{name}: the character U+0000 is not accepted", "Leave it out.")
        if name not in _LISTS and len(found) > most.get(name, 1):
            remedy = "Give it once." if most.get(name, 1) == 1 else f"Give it at most {MAX_TAGS} times."
            raise InvalidArgument(f"{name}: given {len(found)} times", remedy)
        values[name] = found if name in _LISTS or name in most else found[0]
    return values


def _period(values: dict[str, Any]) -> Period:
    days: dict[str, date | None] = {name: _parsed(values, name, parse_date) for name in ("start", "end")}
    start, end = days["start"], days["end"]
    if start is None or end is None:
        missing = "start" if start is None else "end"
        raise InvalidArgument(
            f"{missing}: needed", "Give start and end, UTC days such as 2026-11-30; end is exclusive."
        )
    return Period(start=start, end=end)


def _filter(values: dict[str, Any], tags: list[TagFilter]) -> CostFilter:
    return CostFilter(**{filter_: values.get(name) for name, filter_ in _FILTERS.items()}, tags=tags)


def _tags(values: dict[str, Any], *, ignores_case: bool) -> list[TagFilter]:
    """The conditions on tags: of tagKey, and of each name in ``tag``, which several values may have."""
    if ("tagKey" in values) != ("tagValue" in values):
        raise InvalidArgument("tagKey: goes with tagValue", "Give both, or neither.")
    found = [(values["tagKey"], values["tagValue"])] if "tagKey" in values else []
    named: dict[str, list[str]] = {}
    for one in values.get("tag", ()):
        name, sign, value = one.partition("=")
        if not sign:
            raise _not_accepted("tag", one, "Use NAME=VALUE, such as team=web.")
        named.setdefault(name, []).append(value)
    return [
        TagFilter(key=name, values=_tag_values(accepted), ignore_case=ignores_case)
        for name, accepted in (*found, *named.items())
    ]


def _tag_values(given: list[str]) -> list[str | None]:
    """As in the CSV itself: nothing is null, for charges without the tag, and two quotes are an empty text."""
    return [None if value == "" else "" if value == '""' else value for value in given]


def _parsed(values: dict[str, Any], name: str, parse: Callable[[Any], _T]) -> _T | None:
    if name not in values:
        return None
    try:
        return parse(values[name])
    except BadValue as error:
        said = str(error)
        raise _not_accepted(name, values[name], f"{said[0].upper()}{said[1:]}.") from None


def _one_of(kind: type[_E], name: str, value: str) -> _E:
    try:
        return kind[value]
    except KeyError:
        raise _not_accepted(name, value, f"Use {', '.join(kind.__members__)}.") from None


def named(name: str, given: QueryParams) -> tuple[str, ExportFormat] | None:
    """Return the export and the format that the path ``/export/<name>`` means; None if there is no such export.

    An export that takes a format as a parameter, as its address without an ending does, is CSV if none is given.

    Raises:
        InvalidArgument: the format is not accepted.
    """
    what, dot, ending = name.rpartition(".")
    if not dot and "format" in ACCEPTED.get(name, ()):
        return name, ExportFormat(_choice("format", given.get("format", "csv"), _FORMATS))
    if what not in ACCEPTED or ending not in _FORMATS:
        return None
    if given.get("format", ending) != ending:
        raise _not_accepted("format", given["format"], f"The path ends in .{ending}: leave the parameter out.")
    return what, ExportFormat(ending)


def _whole(name: str, value: str) -> int:
    if not value.isascii() or not value.isdecimal() or len(value) > 9:
        raise _not_accepted(name, value, "Use a whole number.")
    return int(value)


def _focus(what: str, values: dict[str, Any]) -> focus.Version | None:
    if what == "focus":
        return focus.BY_TEXT[_choice("version", values.get("version", max(focus.BY_TEXT)), tuple(focus.BY_TEXT))]
    value = values.get("focus")
    if value is not None and value not in _FOCUS_LINE_ITEMS:
        remedy = f"Use {' or '.join(_FOCUS_LINE_ITEMS)}, leave it out for our own columns, or ask for /export/focus."
        raise _not_accepted("focus", value, remedy)
    return focus.BY_TEXT[value] if value else None


def _choice(name: str, value: str, accepted: Sequence[str]) -> str:
    if value not in accepted:
        raise _not_accepted(name, value, f"Use {', '.join(accepted)}.")
    return value


def _is_true(values: dict[str, Any], name: str) -> bool:
    return _choice(name, values.get(name, "false"), ("true", "false")) == "true"


def _display_currency(values: dict[str, Any]) -> str | None:
    if "displayCurrency" in values and "focus" in values:
        raise InvalidArgument("displayCurrency: goes without focus", "Leave one out: FOCUS has no column for it.")
    return values.get("displayCurrency")


def _not_accepted(name: str, value: str, remedy: str) -> InvalidArgument:
    return InvalidArgument(f"{name}: {value!r} is not accepted", remedy)
