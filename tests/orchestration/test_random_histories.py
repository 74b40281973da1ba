"""Whatever is added to, changed in and removed from a folder, between whatever ticks: totals are the sums of the files."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from orchestrated import NOW, Files, Platform

PERIODS = ("2026-09", "2026-10")
AMOUNTS = st.decimals(min_value=-1000, max_value=1000, places=18).map(str)
WRITE = st.tuples(
    st.just("write"),
    st.sampled_from("abc"),
    st.sampled_from(PERIODS),
    st.lists(AMOUNTS, min_size=1, max_size=4),
)
REMOVE = st.tuples(st.just("remove"), st.sampled_from("abc"), st.none(), st.none())
TICK = st.tuples(st.just("tick"), st.none(), st.none(), st.none())
HISTORIES = st.lists(st.one_of(WRITE, WRITE, REMOVE, TICK), min_size=3, max_size=8)

examples = itertools.count()


@settings(max_examples=5)
@given(history=HISTORIES)
def test_totals_are_the_sums_of_the_files(
    platform: Platform, tmp_path: Path, history: list[tuple[str, str, str, list[str]]]
) -> None:
    number = next(examples)
    files = Files(tmp_path / f"files{number}")
    files.path.mkdir()
    account = platform.add_account(f"acme.files{number}", location=str(files.path)).account_id
    expected: dict[str, Decimal] = {}
    for step, (action, name, period, amounts) in enumerate([*history, ("tick", "", "", [])]):
        if action == "write":
            files.write(name, period, amounts)
        elif action == "remove" and name in files.amounts:
            files.remove(name)
        elif action == "tick":
            requests = platform.tick(NOW + timedelta(minutes=15 * step))
            assert all(result.success for result in platform.collect(requests))
            if files.amounts:  # an empty folder erases nothing
                expected = {one: files.total(one) for one in PERIODS}
            for one in PERIODS:
                assert (platform.total(one, account_id=account) or Decimal(0)) == expected.get(one, Decimal(0))
    platform.metadata.accounts.disable(account)
