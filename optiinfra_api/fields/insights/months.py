"""What invoices and comparisons share: months of accounts as arguments, and pages of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import strawberry

from optiinfra_api.fields.collections.history import billing_period_of
from optiinfra_api.fields.costs.money import Money
from optiinfra_api.fields.pagination import decode
from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.graphql.scalars import decimal_text
from optiinfra_api.reading.cost_query import digest
from optiinfra_assets.metadata.invoices import Months

FromMonth = Annotated[
    str | None, strawberry.argument(description="Earliest billing period, `YYYY-MM`, inclusive. Default: all.")
]
ToMonth = Annotated[
    str | None, strawberry.argument(description="Latest billing period, `YYYY-MM`, inclusive. Default: all.")
]


def months_asked(
    account: str | None, from_month: str | None, to_month: str | None, as_of: datetime | None, **others: Any
) -> Months:
    """Return the months that arguments ask for, of no customer yet.

    Raises:
        InvalidArgument: a month is not ``YYYY-MM``, or the last one is before the first.
    """
    given = (("fromMonth", from_month), ("toMonth", to_month))
    first, last = (None if one is None else billing_period_of(one, name) for name, one in given)
    if first and last and last < first:
        raise InvalidArgument(f"toMonth: {to_month} is before fromMonth: {from_month}", "Use a later `toMonth`.")
    accounts = None if account is None else [account]
    return Months(customer_id="", account_ids=accounts, first=first, last=last, as_of=as_of, **others)


def digest_of(field: str, customer_id: str, months: Months) -> str:
    """Return what binds a cursor to a field and its arguments."""
    return digest(field, customer_id, months.values())


def place(after: str | None, asked: str, size: int) -> tuple[str, ...] | None:
    """Return the key, of so many texts, of the last row of the page before; None for the first page. Raises InvalidArgument."""
    return None if after is None else decode(after, asked, (str,) * size).position


def money(amount: Any, currency: str) -> Money:
    """Return an amount with its currency."""
    return Money(amount=decimal_text(amount), currency=currency)


def money_or_none(amount: Any, currency: str) -> Money | None:
    """As `money`; None for None."""
    return None if amount is None else money(amount, currency)
