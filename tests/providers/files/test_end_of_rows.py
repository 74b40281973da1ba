"""Where the last whole row of a block ends is found in work that grows with the block, whatever its quotes and lines are."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.providers.files import csv_reader
from optiinfra_assets.providers.files.csv_reader import _end_of_rows


def _read_one_by_one(block: bytes) -> int:
    newline = b"\n" if b"\n" in block else b"\r"
    ends = (at + 1 for at in range(len(block)) if block[at : at + 1] == newline and block.count(b'"', 0, at) % 2 == 0)
    return max(ends, default=0)


@given(st.text(alphabet='"\n\ra,', max_size=60).map(str.encode), st.integers(1, 9))
def test_it_is_where_it_is_when_read_one_by_one(block: bytes, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "_PIECE", piece)
        assert _end_of_rows(block) == _read_one_by_one(block)


def _calls(block: bytes) -> int:
    """How many functions, of Python and of C, are called to find the end of the rows."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        _end_of_rows(block)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("line", [b"a\n", b'"a"\n', b"\n", b'""\n'])
def test_an_unclosed_quote_before_many_short_lines_costs_no_call_for_each(line: bytes) -> None:
    few, many = (_calls(b'x,"unclosed\n' + line * count) for count in (100_000, 800_000))
    assert many < 5_000
    assert many < 12 * few
