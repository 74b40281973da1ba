"""Work that many ask for at one time is done once for those who wait, and never from before anybody asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import HANG

from optiinfra_api.reading import single_flight
from optiinfra_api.reading.single_flight import SingleFlight


class _Clock:
    """Work that says when it began, counted in things that have happened."""

    def __init__(self) -> None:
        self.now = 0
        self.began = 0

    def tick(self) -> int:
        self.now += 1
        return self.now

    async def work(self) -> int:
        self.began += 1
        begin = self.tick()
        for _ in range(3):
            await asyncio.sleep(0)
        return begin


def _run(test: Callable[[], Awaitable[Any]]) -> Any:
    async def limited() -> Any:
        return await asyncio.wait_for(test(), HANG)

    return asyncio.run(limited())


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from("ab"), st.booleans()), min_size=1, max_size=25))
def test_each_is_told_what_began_after_it_asked(asking: list[tuple[int, str, bool]]) -> None:
    """Whatever the pauses between those who ask, and whoever gives up."""

    async def test() -> None:
        clock, shared = _Clock(), SingleFlight[int]()

        async def ask(key: str) -> None:
            asked = clock.tick()
            assert await shared.found(key, clock.work) > asked

        tasks = []
        for pause, key, gives_up in asking:
            for _ in range(pause):
                await asyncio.sleep(0)
            task = asyncio.create_task(ask(key))
            tasks.append((task, gives_up))
            if gives_up:
                await asyncio.sleep(0)
                task.cancel()
        outcomes = await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
        for outcome, (_, gives_up) in zip(outcomes, tasks, strict=True):
            assert outcome is None or (gives_up and isinstance(outcome, asyncio.CancelledError)), outcome

    _run(test)


def test_many_at_once_cost_two_rounds() -> None:
    async def test() -> None:
        clock, shared = _Clock(), SingleFlight[int]()
        first = asyncio.create_task(shared.found("a", clock.work))
        while not clock.began:
            await asyncio.sleep(0)
        await asyncio.gather(first, *(shared.found("a", clock.work) for _ in range(50)))
        assert clock.began == 2
        assert not shared._running
        assert not shared._waiting

    _run(test)


def test_an_error_reaches_all_who_waited_and_none_who_come_later() -> None:
    async def test() -> None:
        shared = SingleFlight[int]()

        async def failing() -> int:
            raise ValueError("gone")

        found = await asyncio.gather(*(shared.found("a", failing) for _ in range(3)), return_exceptions=True)
        assert [str(one) for one in found] == ["gone"] * 3
        assert await shared.found("a", _Clock().work) == 1

    _run(test)


def test_a_round_that_hangs_holds_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_flight, "PATIENCE", 0.05)

    async def test() -> None:
        shared, released = SingleFlight[int](), asyncio.Event()

        async def hanging() -> int:
            await released.wait()
            return 0

        hung = asyncio.create_task(shared.found("a", hanging))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await shared.found("a", _Clock().work) == 1
        released.set()
        assert await hung == 0

    _run(test)
