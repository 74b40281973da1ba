"""Warnings: equal ones are counted together, in the order in which they first came, and a flood of different ones stays short."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.domain.source_warnings import FURTHER_WARNINGS, MOST_WARNINGS, SourceWarning, SourceWarnings

TOLD = st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=3), st.integers(1, 10**6), st.text(max_size=3)))


@given(TOLD)
def test_each_warning_comes_once_with_its_count_and_first_example(told: list[tuple[str, str, int, str]]) -> None:
    warnings = SourceWarnings()
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for code, message, count, example in told:
        warnings.add(code, message, count, example)
        counts[code, message] += count
        examples.setdefault((code, message), example)
    assert [(one.code, one.message, one.count, one.example) for one in warnings] == [
        (*key, counts[key], example) for key, example in examples.items()
    ]


@given(TOLD)
def test_stored_warnings_are_read_back_also_from_text(told: list[tuple[str, str, int, str]]) -> None:
    for one in SourceWarnings(SourceWarning(*each) for each in told):
        assert SourceWarning.of(one.values()) == one
        assert SourceWarning.of({name: str(value) for name, value in one.values().items()}) == one


def test_a_flood_of_different_warnings_is_counted_and_bounded() -> None:
    warnings = SourceWarnings(SourceWarning("file-skipped", f"{number}.csv: no cost file") for number in range(10_000))
    *_, last = warnings
    assert len(warnings) == MOST_WARNINGS + 1
    assert (last.code, last.count) == (FURTHER_WARNINGS, 10_000 - MOST_WARNINGS)


def test_a_person_reads_what_how_often_and_where() -> None:
    assert str(SourceWarning("a", "read leniently", 3, "x.csv: row 2")) == "read leniently (3 times): x.csv: row 2"
    assert str(SourceWarning("a", "labels are missing")) == "labels are missing"
