"""A failure as people see it: what failed, since when, who has to act, when it is tried again, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod


class Fault(StrEnum):
    """Whose fault a failure is."""

    CREDENTIAL = "credential"
    SOURCE = "source"
    PROVIDER = "provider"
    NETWORK = "network"
    STORAGE = "storage"
    PLATFORM = "platform"


REMEDIES: Final = {
    Fault.CREDENTIAL: (
        "Give the account a credential that the provider accepts, with the permission that the message names; "
        "if it names a master key, put that key back."
    ),
    Fault.SOURCE: "Correct what the message names, at the source; the next probe sees the change.",
    Fault.PROVIDER: "Wait, it is tried again by itself; if it stays, check the account at the provider and report what the message says.",
    Fault.NETWORK: "Check that this machine reaches the address that the message names: name, proxy, firewall, certificates.",
    Fault.STORAGE: "Check PostgreSQL, ClickHouse and the disks of this platform; it is tried again by itself.",
    Fault.PLATFORM: "Look into the log of the run in Dagster, and report it; it is tried again by itself.",
}
"""What to do, by whose fault it is, in one sentence."""


@dataclass(frozen=True, slots=True)
class RetryPause:
    """How long the schedule waits after failures in a row: `first`, then `base` doubled for each failure before, at most `longest`."""

    first: timedelta
    base: timedelta
    longest: timedelta


AFTER_PERMANENT: Final = RetryPause(timedelta(hours=6), timedelta(hours=6), timedelta(hours=24))
"""A rejected file or credential: only a change at the source helps, and that is tried at once. A day in case this platform was updated."""

AFTER_TRANSIENT: Final = RetryPause(timedelta(0), timedelta(minutes=10), timedelta(hours=1))
"""An outage: the next tick, then less and less often, but soon after its end."""

AFTER_UNEXPECTED: Final = RetryPause(timedelta(0), timedelta(minutes=10), timedelta(hours=6))
"""A bug or a full disk: nobody knows whether it passes by itself."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that stands: of an account's probe, or of the collection of one of its billing periods. Times are UTC.

    Attributes:
        billing_period: the month that could not be collected, None if the source could not be probed.
        message: why, in one line without secrets.
        since: when it failed first.
        retry_at: when the schedule tries again at the earliest; None: at its next tick.
        failures: how often in a row a collection failed, None for a probe.
    """

    customer_id: str
    provider: str
    account_id: str
    billing_period: BillingPeriod | None
    message: str
    fault: Fault
    since: datetime
    retry_at: datetime | None
    failures: int | None

    @property
    def remedy(self) -> str:
        """What to do, in one sentence."""
        return REMEDIES[self.fault]
