"""Sends the messages of the outbox that are due, until they were received or a day has passed.

A message is taken for the time of a lease. If this process dies, it is taken again afterwards, with the same id and content: so each is
sent at least once, and a receiver that knows the id takes it once. Nothing here depends on how often or where a sender runs.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from optiinfra_assets.database.errors import MetadataUnavailable, StoreError
from optiinfra_assets.domain.alert_times import PATIENCE, pause
from optiinfra_assets.domain.alerts import DueDelivery
from optiinfra_assets.notifications.channels import ACTOR, deliver
from optiinfra_assets.notifications.errors import NotReceived
from optiinfra_assets.vault.credential_audit import Actor

if TYPE_CHECKING:
    from optiinfra_assets.metadata import Metadata

LOG = logging.getLogger("optiinfra.alerts")

Clock = Callable[[], datetime]

LEASE: Final = timedelta(minutes=2)
"""How long a message is taken for; an attempt is over much sooner."""
BUDGET: Final = timedelta(seconds=20)
"""No attempt begins later in one run. With the seconds of the last one, a run stays under the 60 s that Dagster allows a sensor."""
AT_ONCE: Final = 4
"""Messages under way at one time."""
_FAILURES_OF_CUSTOMER: Final = 3
"""Channels of one customer that may fail in one run: the time belongs to all customers."""


@dataclass(slots=True)
class Sending:
    """What one run of the sender did: messages received, failed and to be tried again, and given up."""

    sent: int = 0
    failed: int = 0
    dead: int = 0


@dataclass(slots=True)
class Sender:
    """Sends what is due.

    Attributes:
        metadata: the outbox, and the secrets of channels.
        pages: address of our pages, for links.
        clock: gives the present UTC instant.
    """

    metadata: Metadata
    pages: str
    clock: Clock
    _done: Sending = field(default_factory=Sending)
    _channels: set[str] = field(default_factory=set)
    _customers: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, budget: timedelta = BUDGET) -> Sending:
        """Send what is due, until nothing is or the time is over; a channel that has failed is left alone until the next run.

        Raises:
            MetadataUnavailable: PostgreSQL does not answer.
        """
        self._done, self._channels, self._customers = Sending(), set(), Counter()
        end = self.clock() + budget
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="alerts") as threads:
            for worker in [threads.submit(self._work, end) for _ in range(AT_ONCE)]:
                worker.result()
        return self._done

    def _work(self, end: datetime) -> None:
        while (now := self.clock()) < end:
            with self._lock:
                channels = set(self._channels)
                customers = {one for one, failed in self._customers.items() if failed >= _FAILURES_OF_CUSTOMER}
            due = self.metadata.alert_outbox.claim(now, LEASE, without_channels=channels, without_customers=customers)
            if due is None:
                return
            self._try(due)

    def _try(self, due: DueDelivery) -> None:
        channel = due.channel
        try:
            note = deliver(
                self.metadata, channel, due.delivery_id, due.content, self.pages, self.clock, Actor.here(ACTOR)
            )
        except MetadataUnavailable:
            raise
        except (NotReceived, StoreError) as error:
            self._fail(due, str(error), error.wait if isinstance(error, NotReceived) else None)
        except Exception:
            LOG.exception("delivery %s by channel %s", due.delivery_id, channel.channel_id)
            self._fail(due, "something went wrong on our side; it is in the log", None)
        else:
            self.metadata.alert_outbox.sent(due, self.clock(), note)
            with self._lock:
                self._done.sent += 1

    def _fail(self, due: DueDelivery, error: str, wait: timedelta | None) -> None:
        now = self.clock()
        is_over = now - due.first_tried_at >= PATIENCE
        again = due.timing.after_quiet(now + max(pause(due.attempt), wait or timedelta(0)))
        self.metadata.alert_outbox.failed(due, error, None if is_over else again)
        LOG.warning("delivery %s by channel %s, attempt %d: %s", due.delivery_id, due.channel.name, due.attempt, error)
        with self._lock:
            self._channels.add(due.channel.channel_id)
            self._customers[due.channel.customer_id] += 1
            if is_over:
                self._done.dead += 1
            else:
                self._done.failed += 1
