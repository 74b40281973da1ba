"""What a reader explores, all of it in the address of the page: period, groups, filters, basis, comparison.

In the address, a period is a name of `PRESETS` or ``from`` and ``to``, both inclusive as people say them. A filter is a parameter with the
name that GraphQL gives it, once for each value; ``no=SERVICE`` stands for charges without a service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from optiinfra_api.exploring.periods import GRANULARITIES, PRESETS, Days, preset

DIMENSIONS: Final = {
    "SERVICE": "service",
    "ACCOUNT": "account",
    "REGION": "region",
    "PROVIDER": "provider",
    "SUB_ACCOUNT": "subAccount",
    "CHARGE_CATEGORY": "chargeCategory",
    "PRICING_CATEGORY": "pricingCategory",
    "SERVICE_PROVIDER": "serviceProvider",
    "SERVICE_CATEGORY": "serviceCategory",
    "INVOICE": "invoice",
    "BILLING_PERIOD": "billingPeriod",
    "SKU": "sku",
    "COMMITMENT": "commitment",
}
"""Dimension of GraphQL -> the field of a series, and of a filter, that has its values; in the order they are offered."""

TAG: Final = "TAG"
"""Stands for the tag of a name beside the dimensions of GraphQL."""

BASES: Final = {
    "BILLED": "Billed",
    "EFFECTIVE": "Effective (amortised)",
    "LIST": "List price",
    "CONTRACTED": "Contracted price",
}
DEFAULT_PRESET: Final = "30-days"
MOST_GROUPS: Final = 2

_PARAMETERS: Final = {**DIMENSIONS, TAG: "tagValue"}
_PATH: Final = "/explore"
_LONGEST_ADDRESS: Final = 4000
_LONGEST: Final = 3660
_FIRST_DAY: Final = date(1971, 1, 1)
_LAST_DAY: Final = date(2099, 12, 31)

Filters = Mapping[str, tuple[str | None, ...]]
"""Accepted values by dimension or `TAG`; None: charges without one."""


@dataclass(frozen=True, slots=True)
class State:
    """What is explored.

    Attributes:
        preset: a name of `PRESETS`, empty if the days were chosen one by one.
        granularity: of the chart; empty: what suits the period.
        groups: dimensions and `TAG`, at most `MOST_GROUPS`.
        tag: name of the tag that is grouped by.
        tag_key: name of the tag that is filtered by.
        currency: what is shown; empty: that with the most line items.
        view: id of the saved view that this was opened from; empty: of none.
        problems: what of the address was not understood, and left out.
    """

    days: Days
    preset: str = ""
    granularity: str = ""
    groups: tuple[str, ...] = ("SERVICE",)
    tag: str = ""
    filters: Filters = field(default_factory=dict)
    tag_key: str = ""
    basis: str = "BILLED"
    compares: bool = False
    currency: str = ""
    shows_all: bool = False
    view: str = ""
    problems: tuple[str, ...] = ()

    @classmethod
    def of_days(cls, days: Days, **more: Any) -> State:
        """One for days that were chosen by a page."""
        return cls(days=days, **more)

    @classmethod
    def of(cls, given: QueryParams, today: date) -> State:
        """Read one from the parameters of an address; what is not understood is said in `problems`."""
        problems: list[str] = []
        name, days = _period(given, today, problems)
        groups = _groups(given, problems)
        filters = _filters(given, problems)
        tag_key = given.get("tagKey", "")
        if TAG in filters and not tag_key:
            problems.append("tagValue: it needs tagKey, the name of the tag")
            filters.pop(TAG)
        return cls(
            days=days,
            preset=name,
            granularity=_one_of(given, "granularity", GRANULARITIES, "", problems),
            groups=groups,
            tag=given.get("tag", "") if TAG in groups else "",
            filters=filters,
            tag_key=tag_key if TAG in filters else "",
            basis=_one_of(given, "basis", BASES, "BILLED", problems),
            compares=given.get("compare") == "1",
            currency=given.get("currency", ""),
            shows_all=given.get("rows") == "all",
            view=given.get("view", ""),
            problems=tuple(problems),
        )

    @property
    def before(self) -> Days:
        """The period that it is compared with: of the last so many days, as many days before them."""
        is_rolling = self.preset.endswith("-days")
        return self.days.just_before() if is_rolling else self.days.before()

    def parameters(self) -> dict[str, str | list[str]]:
        """The parameters of the address, without those that have their default."""
        found: dict[str, str | list[str]] = {**self.period()}
        if self.groups != ("SERVICE",):
            found["group"] = list(self.groups) or ["NONE"]
        values = {"granularity": self.granularity, "tag": self.tag, "currency": self.currency,
                  "view": self.view}  # fmt: skip
        found |= {name: value for name, value in values.items() if value}
        found |= {"basis": self.basis} if self.basis != "BILLED" else {}
        found |= {"compare": "1"} if self.compares else {}
        found |= {"rows": "all"} if self.shows_all else {}
        return found | self.narrowing()

    def period(self) -> dict[str, str]:
        """Those of the parameters that say which days."""
        if self.preset:
            return {"period": self.preset} if self.preset != DEFAULT_PRESET else {}
        return {"from": self.days.start.isoformat(), "to": self.days.last.isoformat()}

    def narrowing(self) -> dict[str, str | list[str]]:
        """Those of the parameters that filter."""
        found: dict[str, str | list[str]] = {"tagKey": self.tag_key} if self.tag_key else {}
        for dimension, accepted in self.filters.items():
            texts = [value for value in accepted if value is not None]
            found |= {_PARAMETERS[dimension]: texts} if texts else {}
        without = [dimension for dimension, accepted in self.filters.items() if None in accepted]
        return found | ({"no": without} if without else {})

    def filtered(self, dimension: str, value: str | None, *, tag: str = "") -> State:
        """This, with only one value of a dimension, or of the tag named `tag`."""
        key = tag or self.tag or self.tag_key
        filters = {**self.filters, dimension: (value,)}
        return replace(self, filters=filters, tag_key=key if dimension == TAG else self.tag_key, shows_all=False)

    def without(self, dimension: str, value: str | None) -> State:
        """This, without one value of a filter."""
        left = tuple(one for one in self.filters[dimension] if one != value)
        filters = {**self.filters, dimension: left}
        if not left:
            del filters[dimension]
        return replace(self, filters=filters, tag_key=self.tag_key if TAG in filters else "")

    def also(self, dimension: str, value: str | None, tag: str) -> State:
        """This, with one more value of a filter. Values of another tag than before replace those."""
        is_other_tag = dimension == TAG and tag != self.tag_key
        accepted = () if is_other_tag else self.filters.get(dimension, ())
        if value in accepted:
            return self
        filters = {**self.filters, dimension: (*accepted, value)}
        return replace(self, filters=filters, tag_key=tag if dimension == TAG else self.tag_key)

    def drilled(self, *seen: str) -> State:
        """This, grouped by what is not filtered yet: what tells most about a group of the dimensions `seen`."""
        order = ("REGION", "ACCOUNT", "SUB_ACCOUNT") if "SERVICE" in {*seen, *self.filters} else ("SERVICE", "REGION")
        left = [one for one in (*order, *DIMENSIONS) if one not in {*seen, *self.filters}]
        return replace(self, groups=tuple(left[:1]), tag="")

    def graphql_filter(self) -> dict[str, Any] | None:
        """The argument `filter`, None for none."""
        own = {DIMENSIONS[name]: list(values) for name, values in self.filters.items() if name != TAG}
        tag = {"tag": {"key": self.tag_key, "values": list(self.filters[TAG])}} if TAG in self.filters else {}
        return own | tag or None


def checked_address(address: str, today: date) -> str:
    """Return the path and query of a page that shows costs as it writes them itself, if it understands all of them.

    Raises:
        ValueError: it is another page, too long, or has something that the page does not understand; the message names it.
    """
    path, _, query = address.partition("?")
    if path != _PATH:
        raise ValueError(f"path: {path[:100]!r} is not accepted: use {_PATH}, with ? and what it shows")
    if len(address) > _LONGEST_ADDRESS:
        raise ValueError(f"path: {len(address)} characters are not accepted: use at most {_LONGEST_ADDRESS}")
    state = State.of(QueryParams(query), today)
    if state.problems:
        raise ValueError(f"path: {state.problems[0]}")
    found = urlencode(replace(state, view="").parameters(), doseq=True)
    return f"{_PATH}?{found}" if found else _PATH


def _period(given: QueryParams, today: date, problems: list[str]) -> tuple[str, Days]:
    name = given.get("period", "")
    if name in PRESETS:
        return name, preset(name, today)
    if name and name != "custom":
        problems.append(f"period: {name!r} is not accepted; use {', '.join(PRESETS)}")
    if given.get("from") or given.get("to"):
        try:
            return "", _days(date.fromisoformat(given.get("from", "")), date.fromisoformat(given.get("to", "")))
        except ValueError as why:
            problems.append(f"from and to: {why}; both are days such as {today}, and to is not before from")
    return DEFAULT_PRESET, preset(DEFAULT_PRESET, today)


def _days(start: date, last: date) -> Days:
    if last < start or (last - start).days >= _LONGEST or start < _FIRST_DAY or last > _LAST_DAY:
        raise ValueError(f"{start} to {last} is not accepted")
    return Days(start, last + timedelta(days=1))


def _groups(given: QueryParams, problems: list[str]) -> tuple[str, ...]:
    asked = [one for one in dict.fromkeys(given.getlist("group")) if one]
    if not asked:
        return ("SERVICE",)
    for one in asked:
        if one not in (*_PARAMETERS, "NONE"):
            problems.append(f"group: {one!r} is not accepted; use {', '.join((*_PARAMETERS, 'NONE'))}")
    accepted = tuple(one for one in asked if one in _PARAMETERS)
    if TAG in accepted and not given.get("tag"):
        problems.append("tag: say the name of the tag to group by, such as team")
        accepted = tuple(one for one in accepted if one != TAG)
    if len(accepted) > MOST_GROUPS:
        problems.append(f"group: {len(accepted)} are not accepted; use at most {MOST_GROUPS}")
    return accepted[:MOST_GROUPS]


def _filters(given: QueryParams, problems: list[str]) -> dict[str, tuple[str | None, ...]]:
    without = given.getlist("no")
    for one in without:
        if one not in _PARAMETERS:
            problems.append(f"no: {one!r} is not accepted; use {', '.join(_PARAMETERS)}")
    found: dict[str, tuple[str | None, ...]] = {}
    for dimension, name in _PARAMETERS.items():
        values: Sequence[str | None] = list(dict.fromkeys(given.getlist(name)))
        accepted = (*values, *((None,) if dimension in without else ()))
        if accepted:
            found[dimension] = accepted
    return found


def _one_of(given: QueryParams, name: str, accepted: Mapping[str, str], default: str, problems: list[str]) -> str:
    value = given.get(name) or default
    if value in accepted or value == default:
        return value
    problems.append(f"{name}: {value!r} is not accepted; use {', '.join(accepted)}")
    return default
