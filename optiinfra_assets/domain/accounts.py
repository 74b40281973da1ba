"""The basic types: account, billing period and slice, and the checks of their names. Every layer uses them; they depend on none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Self

_PERIOD = re.compile(r"(19[7-9][0-9]|20[0-9]{2}|210[0-5])-(0[1-9]|1[0-2])")
"""Of the years that the times of line items can be of: what ends later, or begins earlier, could be stored and not compared with costs."""
_SLUG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_LONGEST_NAME = 100


def check_slug(field_name: str, value: str) -> str:
    """Return `value` if it is valid as a customer or account id; account ids are also Dagster partition keys.

    Raises:
        ValueError: it is not; the message names the field and what is accepted.
    """
    if not _SLUG.fullmatch(value) or ".." in value:
        raise ValueError(
            f"{field_name}: {value!r} is not accepted: use 1 to 100 lower-case letters, digits, '-', '_' and single '.', "
            "starting with a letter or digit"
        )
    return value


def check_name(field_name: str, value: str) -> str:
    """Return `value` if it is valid as the display name of a customer or a token.

    Raises:
        ValueError: it is not; the message names the field and what is accepted.
    """
    if not 1 <= len(value) <= _LONGEST_NAME or not value.isprintable() or value != value.strip():
        raise ValueError(
            f"{field_name}: {value[:_LONGEST_NAME]!r} is not accepted: use 1 to {_LONGEST_NAME} printable characters without "
            "blanks around them"
        )
    return value


@dataclass(frozen=True, slots=True, order=True)
class BillingPeriod:
    """A calendar month that a provider invoices, written ``YYYY-MM``. The end is exclusive; both ends are UTC."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``YYYY-MM``.

        Raises:
            ValueError: `text` has another format, or is no month from 1970 to 2105.
        """
        if not _PERIOD.fullmatch(text):
            raise ValueError(
                f"billing period: {text!r} is not accepted: use YYYY-MM, such as 2026-11, from 1970 to 2105"
            )
        return cls(int(text[:4]), int(text[5:]))

    @classmethod
    def of(cls, moment: date | datetime) -> Self:
        """Return the period that contains an instant (converted to UTC) or a UTC day."""
        if isinstance(moment, datetime):
            moment = moment.astimezone(UTC)
        return cls(moment.year, moment.month)

    def shift(self, months: int) -> BillingPeriod:
        """Return the period `months` later (negative: earlier)."""
        index = self.year * 12 + self.month - 1 + months
        return BillingPeriod(index // 12, index % 12 + 1)

    @property
    def start(self) -> datetime:
        """First instant of the period in UTC, inclusive."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """First instant of the next period in UTC, exclusive."""
        return self.shift(1).start

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


@dataclass(frozen=True, slots=True)
class Account:
    """One billing account of a customer at a provider, read with one credential.

    Attributes:
        account_id: our id ``<customer>.<name>``, unique over all customers; a Dagster partition key.
        customer_id: the tenant that owns the account.
        provider: name of a registered provider.
        settings: non-secret fields of the provider's credential model.
        secrets: secret fields; ``repr`` never shows them, and they are never logged.
        is_simulated: the figures come from a simulator or from sample files; everything that shows them must say so.
        settings_by_operator: all addresses in `settings` were given by the operator of the platform, not by a customer over the API.
        secrets_by_operator: `secrets` were.
    """

    account_id: str
    customer_id: str
    provider: str
    settings: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, Any] = field(default_factory=dict, repr=False)
    is_simulated: bool = False
    settings_by_operator: bool = True
    secrets_by_operator: bool = True


@dataclass(frozen=True, slots=True)
class Slice:
    """One billing period of one account: the unit of collection, publication and partitioning."""

    customer_id: str
    provider: str
    account_id: str
    billing_period: BillingPeriod

    @classmethod
    def of(cls, account: Account, billing_period: BillingPeriod) -> Self:
        """Return the slice of an account and a billing period."""
        return cls(account.customer_id, account.provider, account.account_id, billing_period)

    def __str__(self) -> str:
        return f"{self.provider}/{self.account_id}/{self.billing_period}"
