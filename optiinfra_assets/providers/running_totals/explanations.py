"""Keeps what explains the costs of a month (machines, memo figures) as snapshots, and what could not be read, so that a warning says it.

Costs are computed long after the explanations were read, so a failure is kept too: as a snapshot of a kind of its own, until the next
success. What failed for a passing reason is due again with the next reading, what was refused when a day begins.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import ProviderError, Transient
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.context import ProviderContext, Snapshot


@dataclass(frozen=True, slots=True)
class Explanation:
    """One list or set of figures.

    Attributes:
        kind: kind of its snapshots.
        endpoint: what line items lack without it.
        read: requests it, and returns when it was requested (UTC) and a body that can be parsed.
    """

    kind: str
    endpoint: AuxiliaryEndpoint
    read: Callable[[], tuple[datetime, bytes]] = field(repr=False)

    def keep(self, context: ProviderContext, period: BillingPeriod) -> None:
        """Read it and keep it for a month; if that fails for any reason, keep the reason and add a warning."""
        try:
            with context.deadline.explaining():
                asked_at, body = self.read()
        except ProviderError as error:
            self.endpoint.warn(context.warnings, str(error))
            self._keep_failure(context, period, str(error), isinstance(error, Transient))
            return
        context.snapshots.add(Snapshot(self.kind, period, asked_at, body))
        if self._failure(context, period):
            self._keep_failure(context, period, "", is_passing=False)

    def keep_daily(self, context: ProviderContext) -> None:
        """Read and keep it for the current month, once a UTC day unless it failed for a reason that may have passed."""
        now = context.clock()
        period = BillingPeriod.of(now)
        tried = (context.snapshots.newest(kind, period) for kind in (self.kind, self._failed))
        is_tried = any(one is not None and one.taken_at.date() == now.date() for one in tried)
        if not is_tried or self.is_due(context, period):
            self.keep(context, period)

    def is_due(self, context: ProviderContext, period: BillingPeriod) -> bool:
        """Whether it failed last for a reason that may have passed."""
        return bool(self._failure(context, period).get("is_passing"))

    def warn(self, context: ProviderContext, period: BillingPeriod) -> None:
        """Add a warning if the last try of a month failed."""
        failure = self._failure(context, period)
        if failure:
            self.endpoint.warn(context.warnings, failure["reason"])

    def _failure(self, context: ProviderContext, period: BillingPeriod) -> dict[str, Any]:
        """Return the reason and kind of the last failure; empty if the last try succeeded."""
        kept = context.snapshots.newest(self._failed, period)
        found: dict[str, Any] = json.loads(kept.body) if kept is not None else {}
        return found if found.get("reason") else {}

    def _keep_failure(self, context: ProviderContext, period: BillingPeriod, reason: str, is_passing: bool) -> None:
        now = context.clock()
        body = json.dumps({"reason": reason, "is_passing": is_passing, "day": str(now.date())}).encode()
        context.snapshots.add(Snapshot(self._failed, period, now, body))

    @property
    def _failed(self) -> str:
        return f"{self.kind}, not read"
