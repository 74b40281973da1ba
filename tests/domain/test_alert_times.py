"""When alerts are told: digests, quiet hours over midnight and over changes of the clock, and pauses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optiinfra_assets.domain.alert_times import LONGEST_PAUSE, PATIENCE, Timing, pause

HOURS = st.integers(0, 23)
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]
)
INSTANTS = st.integers(0, 4 * 366 * 86_400).map(
    lambda seconds: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@given(INSTANTS, HOURS, HOURS, ZONES)
@example(
    datetime(2026, 3, 28, 22, tzinfo=UTC), 3, 2, "Europe/Berlin"
)  # the one hour that is not quiet is skipped that night
@example(
    datetime(2026, 10, 25, 1, 23, tzinfo=UTC), 5, 2, "Antarctica/Troll"
)  # from 3 the clock is set back to 1: 2 comes again
def test_what_is_found_is_told_at_the_first_moment_that_is_not_quiet(
    found: datetime, quiet_from: int, quiet_until: int, zone: str
) -> None:
    if quiet_from == quiet_until:
        return
    timing = Timing(quiet_from=quiet_from, quiet_until=quiet_until, timezone=zone)
    due = timing.due(found)
    assert found <= due
    assert not _is_quiet(due, quiet_from, quiet_until, zone)
    minutes = range(0, int((due - found).total_seconds() / 60), 7)
    assert all(_is_quiet(found + timedelta(minutes=one), quiet_from, quiet_until, zone) for one in minutes)


def _is_quiet(instant: datetime, quiet_from: int, quiet_until: int, zone: str) -> bool:
    hour = instant.astimezone(ZoneInfo(zone)).hour
    return quiet_from <= hour < quiet_until if quiet_from < quiet_until else not quiet_until <= hour < quiet_from


@given(INSTANTS, HOURS, st.integers(1, 7), ZONES, st.sampled_from(["daily", "weekly"]))
def test_a_digest_comes_at_its_hour_and_day_and_none_is_left_out(
    found: datetime, hour: int, weekday: int, zone: str, digest: str
) -> None:
    timing = Timing(digest=digest, digest_hour=hour, digest_weekday=weekday, timezone=zone)  # type: ignore[arg-type]
    first = timing.next_digest(found)
    second = timing.next_digest(first)
    days = 1 if digest == "daily" else 7
    assert found < first <= found + timedelta(days=days, hours=1, minutes=1)
    assert timedelta(days=days, hours=-2) <= second - first <= timedelta(days=days, hours=2)
    local = first.astimezone(ZoneInfo(zone))
    assert digest == "daily" or local.isoweekday() == weekday
    assert abs(local.hour - hour) <= 1
    assert timing.next_digest(first - timedelta(seconds=1)) == first


def test_a_message_is_tried_for_a_day_ever_less_often() -> None:
    pauses = [pause(attempt) for attempt in range(1, 40)]
    assert pauses[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
    assert all(earlier <= later for earlier, later in pairwise(pauses))
    assert max(pauses) == LONGEST_PAUSE
    assert sum(pauses, timedelta()) > PATIENCE


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"digest": "hourly"}, "digest: 'hourly' is not accepted: use none, daily, weekly"),
        ({"digest_hour": 24}, "digest_hour: 24 is not accepted: use 0 to 23"),
        ({"digest_weekday": 0}, "digest_weekday: 0 is not accepted"),
        ({"quiet_from": 22}, "quiet_from: needed together with quiet_until"),
        ({"quiet_from": 7, "quiet_until": 7}, "quiet_until: equals quiet_from"),
        ({"quiet_from": -1, "quiet_until": 7}, "quiet_from: -1 is not accepted"),
        ({"timezone": "Mars/Olympus"}, "timezone: 'Mars/Olympus' is not known"),
        ({"timezone": "../../etc/passwd"}, "is not known"),
        ({"timezone": ""}, "is not known"),
    ],
)
def test_what_is_not_accepted_is_named(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Timing(**values)  # type: ignore[arg-type]
