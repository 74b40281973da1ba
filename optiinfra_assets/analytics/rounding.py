"""Tells a difference that rounding made from one of a fault, where the tolerance of FOCUS 1.4 takes both for equal.

Amounts that are rounded do not agree to the last digit, but for luck. So where most of the amounts that are compared with the same
invoices, or with those of other months, agree to the last digit, whoever states them does not round, or rounds what has no more digits.
A difference beside them is no rounding: line items are lost, doubled or changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Self

from optiinfra_assets.domain.exact_amounts import EXACT
from optiinfra_assets.domain.reconciliations import subunit

LEAST_EXACT: Final = 3
"""Other amounts that must agree to the last digit: fewer may by luck."""


def rounded_apart(line_items: int, currency: str) -> Decimal:
    """Return how far rounding of line items can move their sum: sqrt(rows) x 0.5 x subunit, as FOCUS 1.4 says."""
    return EXACT.multiply(Decimal(max(1, line_items)).sqrt(), subunit(currency) / 2)


@dataclass(slots=True)
class Neighbours:
    """What is compared beside an amount, and as the amount is.

    Attributes:
        exact: stated amounts that agree to the last digit, other than 0.
        inexact: how many do not agree.
    """

    exact: list[Decimal] = field(default_factory=list)
    inexact: int = 0

    @classmethod
    def of(cls, compared: Iterable[tuple[Decimal, Decimal]]) -> Self:
        """Build them from stated amounts, each with its difference."""
        found = cls()
        for stated, difference in compared:
            if difference:
                found.inexact += 1
            elif stated:
                found.exact.append(stated)
        return found

    def rule_out_rounding(self, difference: Decimal, line_items: int, currency: str) -> bool:
        """Whether a difference of so many line items cannot be one of rounding.

        If the amounts that agree have more digits than the currency, they were not rounded to it, and no difference is. Otherwise one
        may be that is as small as rounding makes it.
        """
        if not difference or len(self.exact) < LEAST_EXACT or len(self.exact) <= self.inexact:
            return False
        unit = subunit(currency)
        finer = sum(1 for one in self.exact if EXACT.remainder(one, unit))
        return finer >= LEAST_EXACT or EXACT.abs(difference) > rounded_apart(line_items, currency)
