"""What is explored stands in the address, all of it, and comes back from it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from optiinfra_api.exploring.periods import GRANULARITIES, PRESETS, Days, preset
from optiinfra_api.exploring.state import BASES, DIMENSIONS, TAG, State, checked_address

TODAY = date(2026, 11, 18)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = TEXT.filter(bool)
DAYS = st.dates(date(2000, 1, 1), date(2090, 1, 1))


def _days(start: date, count: int) -> Days:
    return Days(start, start + timedelta(days=count))


@st.composite
def states(draw: st.DrawFn) -> State:
    """Any state that a page can be in."""
    name = draw(st.sampled_from(["", *PRESETS]))
    groups = tuple(draw(st.lists(st.sampled_from([*DIMENSIONS, TAG]), max_size=2, unique=True)))
    filters = draw(
        st.dictionaries(
            st.sampled_from([*DIMENSIONS, TAG]), st.lists(st.none() | TEXT, min_size=1, max_size=3, unique=True)
        )
    )
    # A filter is a set: null comes last in an address.
    ordered = {key: (*(one for one in values if one is not None), *([None] * (None in values)))
               for key, values in filters.items()}  # fmt: skip
    return State(
        days=preset(name, TODAY) if name else draw(st.builds(_days, DAYS, st.integers(1, 3660))),
        preset=name,
        granularity=draw(st.sampled_from(["", *GRANULARITIES])),
        groups=groups,
        tag=draw(NAMES) if TAG in groups else "",
        filters=ordered,
        tag_key=draw(NAMES) if TAG in filters else "",
        basis=draw(st.sampled_from(list(BASES))),
        compares=draw(st.booleans()),
        currency=draw(TEXT),
        shows_all=draw(st.booleans()),
    )


def read(state: State) -> State:
    """The state that the address of another one has."""
    return State.of(QueryParams(urlencode(state.parameters(), doseq=True)), TODAY)


@given(states())
def test_a_state_comes_back_from_its_address(state: State) -> None:
    assert read(state) == state


@given(states(), st.sampled_from([*DIMENSIONS, TAG]), st.none() | TEXT, NAMES)
def test_a_filter_that_is_added_can_be_taken_away(state: State, dimension: str, value: str | None, tag: str) -> None:
    added = state.also(dimension, value, tag)
    assert value in added.filters[dimension]
    left = read(added.without(dimension, value))
    assert value not in left.filters.get(dimension, ())
    others = {key: values for key, values in state.filters.items() if key != dimension}
    assert {key: values for key, values in left.filters.items() if key != dimension} == others


@given(states())
def test_a_click_leads_to_what_is_not_filtered_yet(state: State) -> None:
    narrowed = state
    for dimension in state.groups:
        narrowed = narrowed.filtered(dimension, "x")
    drilled = narrowed.drilled(*state.groups)
    assert not set(drilled.groups) & {*drilled.filters, *state.groups}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("period=1-day", "period"),
        ("from=2026-11-01", "from and to"),
        ("from=2026-11-10&to=2026-11-09", "from and to"),
        ("from=0001-01-01&to=9999-12-31", "from and to"),
        ("granularity=HOURLY", "granularity"),
        ("group=OWNER", "group"),
        ("group=TAG", "tag"),
        ("group=SERVICE&group=REGION&group=ACCOUNT", "group"),
        ("tagValue=web", "tagValue"),
        ("no=OWNER", "no"),
        ("basis=FREE", "basis"),
    ],
)
def test_what_is_not_understood_is_named_and_left_out(query: str, named: str) -> None:
    state = State.of(QueryParams(query), TODAY)
    assert [problem.partition(":")[0] for problem in state.problems] == [named]
    assert state.days.count > 0
    assert read(state).problems == ()


def test_a_custom_period_is_the_days_that_were_typed() -> None:
    state = State.of(QueryParams("period=custom&from=2026-11-01&to=2026-11-09"), TODAY)
    assert (state.preset, state.days) == ("", Days(date(2026, 11, 1), date(2026, 11, 10)))


def test_rolling_days_are_compared_with_as_many_before_them() -> None:
    """Also where they happen to be a calendar month, which is compared with a calendar month."""
    rolling = State.of(QueryParams("period=30-days"), date(2026, 11, 30))
    assert (rolling.days.start, rolling.before.start) == (date(2026, 11, 1), date(2026, 10, 2))
    month = State.of(QueryParams("period=this-month"), date(2026, 11, 30))
    assert (month.days, month.before.start) == (rolling.days, date(2026, 10, 1))


@given(states())
def test_the_address_of_a_state_is_accepted_as_it_is(state: State) -> None:
    address = f"/explore?{urlencode(state.parameters(), doseq=True)}"
    checked = checked_address(address, TODAY)
    assert checked_address(checked, TODAY) == checked
    assert State.of(QueryParams(checked.partition("?")[2]), TODAY) == state


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("//evil.example/explore", "path: '//evil.example/explore' is not accepted"),
        ("https://evil.example/", "is not accepted: use /explore"),
        ("javascript:alert(1)", "is not accepted: use /explore"),
        ("/resources", "is not accepted: use /explore"),
        ("", "path: '' is not accepted"),
        ("/explore?period=1-day", "path: period: '1-day' is not accepted"),
        ("/explore?service=" + "x" * 4000, "characters are not accepted: use at most 4000"),
    ],
)
def test_an_address_that_is_none_of_ours_is_refused(address: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        checked_address(address, TODAY)


def test_what_names_a_customer_or_nothing_is_left_out_of_an_address() -> None:
    given_ = "/explore?customer=beta&view=0123456789ab&x=%3Cimg%3E&service=a%26b#fragment"
    assert checked_address(given_, TODAY) == "/explore?service=a%26b%23fragment"
