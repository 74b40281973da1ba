"""Several accounts are read at once, each in its order; what is to be published comes in groups, each piece once."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import eventually

from optiinfra_assets.ingestion import readers
from optiinfra_assets.ingestion.readers import ACCOUNTS_AT_ONCE, GROUP, GROUP_BYTES, Stopped, grouped, read_by_account

Piece = tuple[str, int]


@settings(max_examples=50)
@given(st.lists(st.sampled_from("abcdefgh"), max_size=60))
def test_every_piece_is_read_once_and_those_of_an_account_in_their_order(owners: list[str]) -> None:
    work = [(owner, number) for number, owner in enumerate(owners)]
    at_once: list[int] = []
    active: set[str] = set()

    def read(one: Piece, check: Callable[[], None]) -> Piece:
        check()
        assert one[0] not in active
        active.add(one[0])
        at_once.append(len(active))
        active.discard(one[0])
        return one

    found = defaultdict[str, list[Piece]](list)
    for one in read_by_account(work, lambda one: one[0], read):
        if one is not None:
            found[one[0]].append(one)
    assert {owner: [one for one in work if one[0] == owner] for owner in set(owners)} == found
    assert max(at_once, default=0) <= ACCOUNTS_AT_ONCE


def test_an_error_of_a_reader_is_raised_where_its_results_are_taken() -> None:
    def read(one: Piece, _: Callable[[], None]) -> Piece:
        if one == ("b", 1):
            raise ZeroDivisionError
        return one

    with pytest.raises(ZeroDivisionError):
        list(read_by_account([("a", 0), ("b", 1), ("c", 2)], lambda one: one[0], read))
    assert eventually(lambda: not _readers())


def test_readers_stop_when_nobody_takes_their_results_any_more() -> None:
    begun = threading.Event()
    stopped: list[Piece] = []

    def read(one: Piece, check: Callable[[], None]) -> Piece:
        if one[1] == 0:
            return one
        begun.set()
        try:
            while True:
                check()
                time.sleep(0.01)
        except Stopped:
            stopped.append(one)
            raise

    reads = read_by_account([("a", 0), ("b", 1), ("c", 2), ("c", 3)], lambda one: one[0], read)
    assert next(reads) == ("a", 0)
    assert begun.wait(10)
    reads.close()
    assert not _readers()
    assert ("c", 3) not in stopped
    assert stopped


def test_a_source_that_takes_long_does_not_keep_back_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """One slice is published while another of the same account is being read."""
    monkeypatch.setattr(readers, "PATIENCE", 0.2)
    go_on = threading.Event()

    def read(one: Piece, _: Callable[[], None]) -> Piece:
        if one[1] == 1:
            assert go_on.wait(10)
        return one

    groups = grouped(read_by_account([("a", 0), ("a", 1)], lambda one: one[0], read), lambda _: 1)
    assert next(groups) == [("a", 0)]
    go_on.set()
    assert [one for group in groups for one in group] == [("a", 1)]


@given(st.lists(st.one_of(st.none(), st.just(0), st.integers(1, GROUP_BYTES))))
def test_groups_hold_each_piece_once_and_are_bounded(sizes: list[int | None]) -> None:
    def reads() -> Generator[tuple[int, int | None] | None, None, None]:
        for number, size in enumerate(sizes):
            yield None
            yield number, size

    groups = list(grouped(reads(), lambda one: one[1]))
    assert sorted(one for group in groups for one in group) == sorted(enumerate(sizes), key=lambda one: one[0])
    for group in groups:
        assert len(group) <= GROUP
        assert sum(size or 0 for _, size in group[:-1]) < GROUP_BYTES
        assert len(group) <= 1 or all(size is not None for _, size in group)


def _readers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "reader"]
