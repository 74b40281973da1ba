"""When messages of alert rules are sent: quiet hours, daily and weekly digests, and the pauses after a failed attempt.

Data in: UTC instants and a rule's `Timing`, in hours of its own time zone. Data out: UTC instants. Nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal, Self, get_args
from zoneinfo import ZoneInfo

Digest = Literal["none", "daily", "weekly"]
DIGESTS: tuple[Digest, ...] = get_args(Digest)

FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(hours=1)
_QUARTER: Final = timedelta(minutes=15)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
PATIENCE: Final = timedelta(days=1)
"""A message that was not received for so long after its first attempt is given up, until a person sends it again."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a rule tells.

    Attributes:
        digest: ``none``: at once; ``daily`` and ``weekly``: what was found since the last digest, in one message.
        digest_hour: hour of the day of digests, 0 to 23.
        digest_weekday: day of weekly digests, 1 (Monday) to 7.
        quiet_from: hour of the day from which nothing is sent (inclusive), None: there are no quiet hours.
        quiet_until: hour of the day from which it is sent again; before `quiet_from`: on the next day.
        timezone: name of the time zone of all hours.
    """

    digest: Digest = "none"
    digest_hour: int = 8
    digest_weekday: int = 1
    quiet_from: int | None = None
    quiet_until: int | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        """Check the values; raises ValueError, which names the field and what is accepted."""
        if self.digest not in DIGESTS:
            raise ValueError(f"digest: {self.digest!r} is not accepted: use {', '.join(DIGESTS)}")
        _check_hour("digest_hour", self.digest_hour)
        if not 1 <= self.digest_weekday <= 7:
            raise ValueError(f"digest_weekday: {self.digest_weekday} is not accepted: use 1 (Monday) to 7 (Sunday)")
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValueError("quiet_from: needed together with quiet_until: give both, or none")
        if self.quiet_from is not None and self.quiet_until is not None:
            _check_hour("quiet_from", self.quiet_from)
            _check_hour("quiet_until", self.quiet_until)
            if self.quiet_from == self.quiet_until:
                raise ValueError("quiet_until: equals quiet_from: use another hour, or mute the rule")
        _zone(self.timezone)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """Build it from what `values` returned."""
        return cls(**stored)

    def values(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    def due(self, found_at: datetime) -> datetime:
        """Return the UTC instant at which what was found at `found_at` is told: at once, or with the next digest; never in quiet hours."""
        return self.after_quiet(found_at if self.digest == "none" else self.next_digest(found_at))

    def next_digest(self, after: datetime) -> datetime:
        """Return the UTC instant of the first digest later than `after`."""
        zone = _zone(self.timezone)
        day = after.astimezone(zone).date()
        # A day more than a week: a clock that is set back may put today's hour of the digest behind us.
        for ahead in range(9):
            candidate = day + timedelta(days=ahead)
            if self.digest == "weekly" and candidate.isoweekday() != self.digest_weekday:
                continue
            instant = _at(candidate, self.digest_hour, zone)
            if instant > after:
                return instant
        raise AssertionError("every nine days in a row have a digest")

    def after_quiet(self, instant: datetime) -> datetime:
        """Return `instant`, or the first moment after it that is not quiet, whatever the clocks of the zone do that night."""
        zone = _zone(self.timezone)
        while self._is_quiet(instant.astimezone(zone).hour):
            # Hours of all zones begin at a quarter of an hour of UTC.
            instant += _QUARTER - (instant - _EPOCH) % _QUARTER
        return instant

    def _is_quiet(self, hour: int) -> bool:
        if self.quiet_from is None or self.quiet_until is None:
            return False
        if self.quiet_from < self.quiet_until:
            return self.quiet_from <= hour < self.quiet_until
        return not self.quiet_until <= hour < self.quiet_from


def pause(attempts: int) -> timedelta:
    """Return how long to wait after so many failed attempts: 30 s, doubled with each, at most an hour."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(attempts - 1, 10)))


def _at(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """Return the UTC instant of an hour of a local day; of an hour that occurs twice the first, of one that is skipped the hour after."""
    return datetime.combine(day, time(hour), zone).astimezone(UTC)


def _check_hour(name: str, hour: int) -> None:
    if not 0 <= hour <= 23:
        raise ValueError(f"{name}: {hour} is not accepted: use 0 to 23")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a folder, a path out of the database, an unknown name
        raise ValueError(f"timezone: {name[:100]!r} is not known: use a name such as UTC or Europe/Berlin") from None
