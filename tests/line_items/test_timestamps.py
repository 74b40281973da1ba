"""Times at the door: every form that real files write becomes the right second in UTC; nothing else gets in."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiinfra_assets.line_items import RejectedValue
from optiinfra_assets.line_items.timestamps import to_timestamps

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2105, 12, 31, 23, 59, 59)).map(  # noqa: DTZ001 - UTC is added below
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-09-01T00:00:00Z", datetime(2024, 9, 1, tzinfo=UTC)),
        ("2024-09-01 12:30:59", datetime(2024, 9, 1, 12, 30, 59, tzinfo=UTC)),
        ("2024-09-01T00:00:00", datetime(2024, 9, 1, tzinfo=UTC)),
        ("2024-08-01T00:00Z", datetime(2024, 8, 1, tzinfo=UTC)),
        ("2024-08-01", datetime(2024, 8, 1, tzinfo=UTC)),
        ("2024-08-01T00:00:00.000Z", datetime(2024, 8, 1, tzinfo=UTC)),
        ("2024-08-01 00:00:00.0000000", datetime(2024, 8, 1, tzinfo=UTC)),
        ("2024-08-01 00:00:00 UTC", datetime(2024, 8, 1, tzinfo=UTC)),
        ("2024-08-01T02:00:00+02:00", datetime(2024, 8, 1, tzinfo=UTC)),
        ("2024-07-31T17:30:00-0630", datetime(2024, 8, 1, tzinfo=UTC)),
        ("2024-08-01 00:00:00+00", datetime(2024, 8, 1, tzinfo=UTC)),
        ("1970-01-01", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2105-12-31T23:59:59Z", datetime(2105, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_forms_of_real_files(text: str, moment: datetime) -> None:
    assert to_timestamps(pa.array([None, text, ""])).to_pylist() == [None, moment, None]


@pytest.mark.parametrize(
    "text",
    [
        "2024-09-01T00:00:00.5Z",
        "2023-02-29",
        "2024-13-01",
        "2024-09-01T24:00:00Z",
        "2024-09-01T00:00:60Z",
        "1969-12-31T23:59:59Z",
        "2106-01-01T00:00:00Z",
        "09/01/2024",
        "2024-9-1",
        "20240901",
        "2024-09-01T00:00:00z",
        "2024-09-01T00:00:00 PST",
        "2024-09-01T00:00:00+25:00",
        " 2024-09-01",
        "2024-09-01\n",
        "\u0662\u0660\u0662\u0664-09-01",
        "1725148800",
        "NULL",
        "x",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    for values in (pa.array(["2024-09-01", text]), pa.array(["2024-09-01", text]).dictionary_encode()):
        with pytest.raises(RejectedValue, match="a UTC time such as 2026-11-01T00:00:00Z") as raised:
            to_timestamps(values)
        assert (raised.value.index, raised.value.value) == (1, text)


@settings(max_examples=200)
@given(st.lists(st.tuples(MOMENTS, ZONES), max_size=10), st.booleans())
def test_any_moment_in_any_zone(moments: list[tuple[datetime, timezone]], encoded: bool) -> None:
    values = pa.array([moment.astimezone(zone).isoformat() for moment, zone in moments], pa.string())
    expected = [moment for moment, _ in moments]
    assert to_timestamps(values.dictionary_encode() if encoded else values).to_pylist() == expected


@settings(max_examples=300)
@given(st.text("0123456789-T:Z+ .", max_size=25))
def test_random_text_is_a_time_only_if_python_agrees(text: str) -> None:
    try:
        accepted = to_timestamps(pa.array([text])).to_pylist()[0]
    except RejectedValue:
        return
    if accepted is None:
        assert text == ""
        return
    plain = re.sub(r"\.0+", "", text).replace("Z", "+00:00")
    parsed = datetime.fromisoformat(plain)
    assert accepted == (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_timestamps_of_typed_files(unit: str, zone: str | None) -> None:
    moment = datetime(2024, 9, 1, 5, tzinfo=UTC)
    values = pa.array([int(moment.timestamp()), None]).cast(pa.timestamp("s")).cast(pa.timestamp(unit))
    values = values.cast(pa.int64()).cast(pa.timestamp(unit, zone))
    assert to_timestamps(values).to_pylist() == [moment, None]
    assert to_timestamps(values.dictionary_encode()).to_pylist() == [moment, None]


def test_dates_of_typed_files_are_midnight() -> None:
    for kind in (pa.date32(), pa.date64()):
        assert to_timestamps(pa.array([date(2024, 9, 1)], kind)).to_pylist() == [datetime(2024, 9, 1, tzinfo=UTC)]


@pytest.mark.parametrize("ticks", [1725148800500, -1000, 4_300_000_000_000, -(2**63), 2**63 - 1])
def test_typed_times_with_parts_of_a_second_or_out_of_range_are_refused(ticks: int) -> None:
    values = pa.array([0, ticks], pa.int64()).cast(pa.timestamp("ms", "UTC"))
    with pytest.raises(RejectedValue) as raised:
        to_timestamps(values)
    assert raised.value.index == 1


def test_a_type_without_times_is_refused_as_a_whole() -> None:
    with pytest.raises(RejectedValue, match="type int64 is not accepted: timestamps, dates or text"):
        to_timestamps(pa.array([1725148800]))
