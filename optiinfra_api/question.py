"""The arguments that cost queries share, checked once, and as parameters of the statements in ``sql/clickhouse/queries``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Annotated, Any

import strawberry

from optiinfra_api.enums import enum
from optiinfra_api.errors import InvalidArgument
from optiinfra_assets.focus import CHARGE_CATEGORIES

MAX_DAYS = 3660
MAX_FILTER_VALUES = 1000

_FIRST_DAY, _END_DAY = date(1971, 1, 1), date(2100, 1, 1)


@enum(
    description="Which cost of FOCUS is summed.",
    BILLED="What is invoiced.",
    EFFECTIVE="Amortised: prepaid purchases are spread over what they cover.",
    LIST="At public prices.",
    CONTRACTED="At negotiated prices, before commitment discounts.",
)
class CostBasis(Enum):
    BILLED = "billed_cost"
    EFFECTIVE = "effective_cost"
    LIST = "list_cost"
    CONTRACTED = "contracted_cost"


@strawberry.input(description="UTC days on which charges begin.")
class Period:
    start: date = strawberry.field(description="First day, inclusive.")
    end: date = strawberry.field(description="Last day, exclusive.")


@strawberry.input(description="Line items by the value of one tag.")
class TagFilter:
    key: str = strawberry.field(description="Name of the tag, as the provider writes it.")
    values: list[str | None] = strawberry.field(
        description="Accepted values; null: line items without the tag."
    )


@strawberry.input(
    description="Only line items that match every given field. Null in a list: line items without that attribute."
)
class CostFilter:
    provider: list[str] | None = strawberry.field(default=None, description="Providers, such as `aws`.")
    account: list[str] | None = strawberry.field(default=None, description="Account ids of this platform.")
    sub_account: list[str | None] | None = strawberry.field(
        default=None, description="The provider's sub account ids."
    )
    service: list[str | None] | None = strawberry.field(default=None, description="Service names.")
    region: list[str | None] | None = strawberry.field(default=None, description="Region ids.")
    charge_category: list[str] | None = strawberry.field(
        default=None, description=f"Of {', '.join(CHARGE_CATEGORIES)}."
    )
    currency: list[str] | None = strawberry.field(default=None, description="Billing currencies.")
    tag: TagFilter | None = strawberry.field(default=None, description="One tag.")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, checked. `start` and `end` are None where no period is asked; an empty tuple filters nothing.

    Null values of filters are '', as the tables store them.
    """

    start: date | None
    end: date | None
    as_of: datetime | None
    providers: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    sub_accounts: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    charge_categories: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    tag_filter: str = ""
    tag_values: tuple[str, ...] = ()

    def parameters(self) -> dict[str, Any]:
        """Statement parameters of the period and the filters, but for those that choose generations."""
        lists = ("sub_accounts", "services", "regions", "charge_categories", "currencies", "tag_values")
        values = {name: list(getattr(self, name)) for name in lists}
        return {"start": self.start, "end": self.end, "tag_filter": self.tag_filter, **values}

    def filtered(self) -> frozenset[str]:
        """Dimensions that a filter needs and that not every table has."""
        dimensions = {
            "sub_account": self.sub_accounts,
            "service": self.services,
            "region": self.regions,
            "charge_category": self.charge_categories,
            "tag": self.tag_values,
        }
        return frozenset(name for name, values in dimensions.items() if values)

    def digest(self, *more: object) -> str:
        """Short hash of the whole question and of `more`, which a cursor carries to belong to one question only."""
        return digest(self, *more)


def digest(*parts: object) -> str:
    """Short hash of values whose ``repr`` says all of them."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=6).hexdigest()


def ask(period: Period | None, filter_: CostFilter | None, as_of: datetime | None) -> Question:
    """The arguments as a question.

    Raises:
        InvalidArgument: naming the argument, its value and what is accepted.
    """
    if period is not None:
        _check_period(period)
    if as_of is not None and as_of > datetime.now(UTC):
        raise InvalidArgument(
            f"asOf: {as_of.isoformat()} has not come yet", "Use an instant that is past, or leave asOf out."
        )
    chosen = filter_ or CostFilter()
    _check_categories(chosen.charge_category)
    if chosen.tag:
        check_tag_key("filter.tag.key", chosen.tag.key)
    return Question(
        start=period.start if period else None,
        end=period.end if period else None,
        as_of=as_of,
        providers=_values("provider", chosen.provider),
        accounts=_values("account", chosen.account),
        sub_accounts=_values("subAccount", chosen.sub_account),
        services=_values("service", chosen.service),
        regions=_values("region", chosen.region),
        charge_categories=_values("chargeCategory", chosen.charge_category),
        currencies=_values("currency", chosen.currency),
        tag_filter=chosen.tag.key if chosen.tag else "",
        tag_values=_values("tag.values", chosen.tag.values) if chosen.tag else (),
    )


def _check_period(period: Period) -> None:
    given = f"period: {period.start} to {period.end} is not accepted"
    if period.start >= period.end:
        raise InvalidArgument(f"{given}: it has no day", "Use an end after the start; the end is exclusive.")
    if period.start < _FIRST_DAY or period.end > _END_DAY:
        raise InvalidArgument(f"{given}: out of range", f"Use days from {_FIRST_DAY} to before {_END_DAY}.")
    if period.end - period.start > timedelta(days=MAX_DAYS):
        raise InvalidArgument(f"{given}: longer than {MAX_DAYS} days", f"Use at most {MAX_DAYS} days.")


def _check_categories(values: list[str] | None) -> None:
    for value in values or ():
        if value not in CHARGE_CATEGORIES:
            raise InvalidArgument(
                f"filter.chargeCategory: {value!r} is not accepted", f"Use {', '.join(CHARGE_CATEGORIES)}."
            )


def _values(name: str, values: list[str] | list[str | None] | None) -> tuple[str, ...]:
    if values is None:
        return ()
    if not 1 <= len(values) <= MAX_FILTER_VALUES:
        raise InvalidArgument(
            f"filter.{name}: {len(values)} values are not accepted",
            f"Use 1 to {MAX_FILTER_VALUES} values, or leave {name} out.",
        )
    return tuple(sorted({value or "" for value in values}))


def check_tag_key(name: str, key: str) -> None:
    """Refuse an empty `key`, the argument `name`.

    Raises:
        InvalidArgument: it is empty.
    """
    if not key:
        raise InvalidArgument(f"{name}: '' is not accepted", "Use the name of a tag.")


CustomerId = Annotated[
    str | None,
    strawberry.argument(
        description="The customer asked about. Default: the token's own; an administrator's token must name one."
    ),
]
AsOf = Annotated[
    datetime | None,
    strawberry.argument(
        description="Answer as it would have been at this instant (inclusive). Default: now."
    ),
]
PeriodAsked = Annotated[Period, strawberry.argument(description="UTC days on which the charges begin.")]
Filter = Annotated[CostFilter | None, strawberry.argument(description="Only some line items. Default: all.")]
Basis = Annotated[CostBasis, strawberry.argument(description="The cost that is summed. Default: BILLED.")]
First = Annotated[int, strawberry.argument(description="How many rows at most, 1 to 1000.")]
After = Annotated[
    str | None, strawberry.argument(description="`endCursor` of the page before. Default: the first page.")
]
