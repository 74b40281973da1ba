"""When alerts are told: digests, quiet hours over midnight and over changes of the clock, and pauses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
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
def test_nothing_is_told_in_quiet_hours_and_all_of_it_within_a_day(
    found: datetime, quiet_from: int, quiet_until: int, zone: str
) -> None:
    if quiet_from == quiet_until:
        return
    timing = Timing(quiet_from=quiet_from, quiet_until=quiet_until, timezone=zone)
    due = timing.due(found)
    assert found <= due <= found + timedelta(hours=25)
    hour = due.astimezone(ZoneInfo(zone)).hour
    is_quiet = quiet_from <= hour < quiet_until if quiet_from < quiet_until else not quiet_until <= hour < quiet_from
    # An hour that occurs twice in a night ends the first time.
    assert not is_quiet or ZoneInfo(zone).utcoffset(due.replace(tzinfo=None)) != ZoneInfo(zone).utcoffset(
        (due + timedelta(hours=2)).replace(tzinfo=None)
    )
    assert timing.due(due) == due or is_quiet


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
