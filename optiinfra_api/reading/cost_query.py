"""Cost queries: checks the arguments once and turns them into parameters of the statements in ``sql/clickhouse/queries``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from strawberry.utils.str_converters import to_camel_case

from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.charge_filters import FILTERS, ChargeFilter, TagCondition
from optiinfra_assets.domain.focus import CHARGE_CATEGORIES

MAX_DAYS = 3660
MAX_FILTER_VALUES = 1000
MAX_TAGS = 20

Values = Sequence[str | None] | None
"""Accepted values of one dimension; None: all."""

FIRST_DAY, END_DAY = date(1971, 1, 1), date(2100, 1, 1)


@dataclass(frozen=True, slots=True)
class CostQuery(ChargeFilter):
    """A checked cost query. `start` (inclusive) and `end` (exclusive) are UTC days, None without a period; `as_of` is a UTC instant."""

    start: date | None
    end: date | None
    as_of: datetime | None

    def parameters(self) -> dict[str, Any]:
        """Statement parameters for the period and the filters, without the filters that choose generations."""
        return {"start": self.start, "end": self.end, **self.bound()}

    def digest(self, *more: object) -> str:
        """Short hash of the whole query and of `more`. A cursor carries it, so that it is valid for one query only."""
        return digest(self, *more)


def digest(*parts: object) -> str:
    """Short hash of values whose ``repr`` shows them completely."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=6).hexdigest()


def validated(
    period: tuple[date, date] | None,
    as_of: datetime | None,
    *,
    tags: Sequence[TagCondition] = (),
    **filters: Values,
) -> CostQuery:
    """Check the arguments and return them as a cost query.

    Args:
        period: first UTC day and the day after the last; None: no period.
        as_of: UTC instant, inclusive; None: now.
        tags: all of them have to be met; their values are not checked yet.
        filters: accepted values by the names in `FILTERS`. None accepts all; a null value accepts line items without that attribute.

    Raises:
        InvalidArgument: an argument is not accepted; the message names it, its value and what is accepted.
    """
    if period is not None:
        _check_period(*period)
    if as_of is not None and as_of > datetime.now(UTC):
        raise InvalidArgument(
            f"asOf: {as_of.isoformat()} has not come yet", "Use an instant that is past, or leave asOf out."
        )
    _check_categories(filters.get("charge_category"))
    _check_months(filters.get("billing_period"))
    conditions = _conditions(tags)
    first = next((one for one in conditions if not one.in_any_case), None)
    return CostQuery(
        start=period[0] if period else None,
        end=period[1] if period else None,
        as_of=as_of,
        **{values: _values(to_camel_case(name), filters.get(name)) for name, values in FILTERS.items()},
        tag_filter=first.name if first else "",
        tag_values=first.values if first else (),
        more_tags=tuple(one for one in conditions if one is not first),
    )


def _check_period(start: date, end: date) -> None:
    given = f"period: {start} to {end} is not accepted"
    if start >= end:
        raise InvalidArgument(f"{given}: it has no day", "Use an end after the start; the end is exclusive.")
    if start < FIRST_DAY or end > END_DAY:
        raise InvalidArgument(f"{given}: out of range", f"Use days from {FIRST_DAY} to before {END_DAY}.")
    if end - start > timedelta(days=MAX_DAYS):
        raise InvalidArgument(f"{given}: longer than {MAX_DAYS} days", f"Use at most {MAX_DAYS} days.")


def _check_categories(values: Values) -> None:
    for value in values or ():
        if value not in CHARGE_CATEGORIES:
            raise InvalidArgument(
                f"filter.chargeCategory: {value!r} is not accepted", f"Use {', '.join(CHARGE_CATEGORIES)}."
            )


def _check_months(values: Values) -> None:
    for value in values or ():
        try:
            BillingPeriod.parse(value or "")
        except ValueError:
            raise InvalidArgument(
                f"filter.billingPeriod: {value!r} is not accepted", "Use months such as 2026-11."
            ) from None


def _conditions(tags: Sequence[TagCondition]) -> list[TagCondition]:
    """The conditions in an order of their own, so that a query is the same however they are written."""
    if len(tags) > MAX_TAGS:
        raise InvalidArgument(f"filter.tags: {len(tags)} are not accepted", f"Use at most {MAX_TAGS}.")
    checked = {replace(one, values=_tag_values(one.values)) for one in tags}
    return sorted(checked, key=repr)


def _tag_values(values: Values) -> tuple[str | None, ...]:
    """The accepted values of a tag, null first: a charge without the tag is another one than a charge whose tag is empty."""
    texts = _values("tag.values", values)
    has_null, has_empty = None in (values or ()), "" in (values or ())
    return (*((None,) if has_null else ()), *(text for text in texts if text or has_empty))


def _values(name: str, values: Values) -> tuple[str, ...]:
    if values is None:
        return ()
    if not 1 <= len(values) <= MAX_FILTER_VALUES:
        raise InvalidArgument(
            f"filter.{name}: {len(values)} values are not accepted",
            f"Use 1 to {MAX_FILTER_VALUES} values, or leave {name} out.",
        )
    return tuple(sorted({value or "" for value in values}))
