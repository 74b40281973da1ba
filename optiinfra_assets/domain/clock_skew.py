"""Times that a clock recorded which was ahead: once it is right again, they lie in the future, and nothing may wait for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

SKEW: Final = timedelta(minutes=30)
"""A time that is later by more than this was recorded by a clock that was ahead. A tick that comes late has an instant that is older
than what was recorded since, by a quarter of an hour and the time it was late."""


def is_ahead(recorded: datetime, now: datetime) -> bool:
    """Whether a clock that was ahead of `now` recorded a time; both are UTC."""
    return recorded > now + SKEW


def elapsed(since: datetime, now: datetime) -> timedelta:
    """Return how long ago `since` was; what a clock recorded that was ahead was longer ago than anything."""
    return timedelta.max if is_ahead(since, now) else now - since
