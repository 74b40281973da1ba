"""Sorting what does not fit in memory: the same as sorting a list, whatever the records and however few are kept."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.providers.sorting import ExternalSorter

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=60), st.integers(1, 20))
def test_records_come_in_order_and_none_is_lost(records: list[tuple[str, str]], in_memory: int) -> None:
    with ExternalSorter(in_memory) as sorter:
        for record in records:
            sorter.add(record)
        assert list(sorter.sorted()) == sorted(records)


def test_many_runs_longer_than_what_is_read_at_once() -> None:
    def made() -> Iterator[tuple[str, ...]]:
        for number in range(3_000):
            yield f"{number * 7919 % 3_000:05}", "x" * (number % 500)

    with ExternalSorter(250) as sorter:
        for record in made():
            sorter.add(record)
        assert list(sorter.sorted()) == sorted(made())
