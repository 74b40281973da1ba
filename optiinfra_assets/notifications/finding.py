"""Looks for occasions of all rules, each rule in a transaction that stores what was found with the messages that tell it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from optiinfra_assets.notifications.kinds import FINDERS
from optiinfra_assets.notifications.kinds.base import Facts, Finder

if TYPE_CHECKING:
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.warehouse.warehouse import Warehouse

LOG = logging.getLogger("optiinfra.alerts")

BUDGET: Final = 15.0
"""Seconds in which rules are begun to be looked at in one run; those that are left come first in the next."""
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def find_occasions(
    metadata: Metadata,
    open_warehouse: Callable[[], Warehouse],
    now: datetime,
    finders: Mapping[str, Finder] = FINDERS,
    *,
    budget: float = BUDGET,
    seconds: Callable[[], float] = time.monotonic,
) -> int:
    """Look for occasions of every rule; return how many are new. A rule that cannot be looked for is logged and tried the next time.

    The rules that were looked for longest ago come first.

    Args:
        metadata: holds rules and outbox.
        open_warehouse: connects to ClickHouse; called once at most, and only if a rule needs it.
        now: the present UTC instant.
        finders: what finds the occasions of each kind; rules of other kinds are left alone.
        budget: seconds after which no further rule is begun, nor a further budget of one.
        seconds: clock of the budget, which never goes back.
    """
    found, end = 0, seconds() + budget
    with ExitStack() as opened:
        warehouse = _Once(lambda: opened.enter_context(closing(open_warehouse())))
        facts = Facts(metadata, warehouse, now, lambda: seconds() >= end)
        for rule in sorted(metadata.alerts.rules(), key=lambda rule: rule.checked_at or _NEVER):
            if seconds() >= end:
                break
            finder = finders.get(rule.kind)
            if finder is not None:
                found += _look(facts, rule.rule_id, finder)
    return found


def _look(facts: Facts, rule_id: str, finder: Finder) -> int:
    try:
        with facts.metadata.transaction():
            rule = facts.metadata.alerts.hold_rule(rule_id)
            if rule is None:
                return 0
            result = finder(facts, rule)
            return facts.metadata.alert_outbox.record(rule, result.occasions, facts.now, result.standing)
    except Exception:
        LOG.exception("rule %s: not looked for its occasions", rule_id)
        return 0


class _Once:
    """Opens something when it is first asked for."""

    def __init__(self, open_: Callable[[], Warehouse]) -> None:
        self._open = open_
        self._opened: Warehouse | None = None

    def __call__(self) -> Warehouse:
        if self._opened is None:
            self._opened = self._open()
        return self._opened
