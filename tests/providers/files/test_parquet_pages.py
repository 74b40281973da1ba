"""The longest text of a dictionary page, whatever its bytes are, and found in less time where many texts have one length."""

from __future__ import annotations

import time
from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from optiinfra_assets.providers.files.parquet_pages import longest_text

RUNS = st.lists(st.tuples(st.sampled_from([0, 1, 5, 44, 300, 1024, 1025]), st.integers(1, 200)), max_size=6)
"""300 and a text of commas begin with the byte that 44 begins with."""
IDS = 50_000


def encoded(length: int, fill: bytes = b"x") -> bytes:
    return length.to_bytes(4, "little") + fill * length


def one_by_one(data: bytes) -> int:
    """As the format describes it."""
    longest = at = 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        longest = max(longest, length)
        at += 4 + length
    return longest


@example([(44, 5), (300, 200)], b",", b"")
@given(RUNS, st.sampled_from([b"x", b"\0", b"\x05", b","]), st.binary(max_size=6))
def test_the_longest_text_is_that_of_reading_one_by_one(runs: list[tuple[int, int]], fill: bytes, rest: bytes) -> None:
    data = b"".join(encoded(length, fill) * count for length, count in runs) + rest
    assert longest_text(data) == one_by_one(data)
    assert longest_text(data[:-3]) == one_by_one(data[:-3])


@given(st.lists(st.integers(0, 3), max_size=300), st.integers(0, 2**32 - 1))
def test_texts_of_mixed_lengths_and_a_length_that_lies_are_read_alike(lengths: list[int], lie: int) -> None:
    texts = [encoded(length) for length in lengths]
    middle = len(texts) // 2
    data = b"".join([*texts[:middle], lie.to_bytes(4, "little"), *texts[middle:]])
    assert longest_text(data) == one_by_one(data)


def _cpu_seconds(work: Callable[[bytes], int], data: bytes) -> float:
    def once() -> float:
        begin = time.process_time()
        assert work(data) == 36
        return time.process_time() - begin

    return min(once() for _ in range(5))


def test_ids_of_one_length_take_a_sixth_of_the_time_at_most() -> None:
    data = encoded(36) * IDS
    assert 6 * _cpu_seconds(longest_text, data) < _cpu_seconds(one_by_one, data)
