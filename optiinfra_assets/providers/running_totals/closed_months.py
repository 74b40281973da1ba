"""Looks at closed months again, where a source does not tell by itself that it changed one: their totals are asked for now and then.

Clouds restate months after they have called them final. Reading such a month again costs too much to do it on suspicion; its total costs
one request or two. What is kept is the totals that differed from the ones before. From the second on, `token_suffix` is another text than
before, so the month is collected once more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.providers.context import ProviderContext, Snapshot

CLOSED_MONTHS: Final = 3
"""The last closed months are looked at again; older ones are not restated any more."""
TOTALS: Final = "totals of a closed month"
ASKED: Final = "closed months asked for"


@dataclass(frozen=True, slots=True)
class ClosedMonths:
    """The closed months of one account.

    Attributes:
        every: how long the totals stay good; after that `is_due`, counted in UTC days.
    """

    context: ProviderContext
    every: timedelta

    def months(self) -> list[BillingPeriod]:
        """Return the months to look at, newest first."""
        current = BillingPeriod.of(self.context.clock())
        return [current.shift(-back) for back in range(1, CLOSED_MONTHS + 1)]

    def is_due(self) -> bool:
        """Whether their totals should be asked for now."""
        now = self.context.clock()
        last = self.context.snapshots.newest(ASKED, BillingPeriod.of(now))
        return last is None or last.taken_at.date() + self.every <= now.date()

    def begin(self) -> None:
        """Keep that the totals are being asked for, so that a request which fails is not repeated before the next time."""
        now = self.context.clock()
        self.context.snapshots.add(Snapshot(ASKED, BillingPeriod.of(now), now, now.isoformat().encode()))

    def keep(self, period: BillingPeriod, totals: Mapping[str, Decimal]) -> None:
        """Keep the totals of a month, by whatever names them, if they differ from the last ones."""
        body = json.dumps({name: plain(amount) for name, amount in sorted(totals.items())}).encode()
        self.context.snapshots.add(Snapshot(TOTALS, period, self.context.clock(), body))

    def token_suffix(self, period: BillingPeriod) -> str:
        """Return what the change token of a month ends in: empty until its totals have changed after the first time."""
        if len(self.context.snapshots.taken(TOTALS, period)) < 2:
            return ""
        newest = self.context.snapshots.newest(TOTALS, period)
        return f" restated {hashlib.sha256(newest.body).hexdigest()[:12]}" if newest else ""
