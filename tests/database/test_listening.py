"""Whoever waits at the fence has heard of all that was committed before, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest

from optiinfra_assets.database import listening
from optiinfra_assets.database.listening import Listener
from optiinfra_assets.settings import Settings

TIMES = 300
HANGING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'optiinfra news'"
ENDED = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'optiinfra news'
"""


@asynccontextmanager
async def listening_to(settings: Settings, hear: Callable[[str, str], None]) -> AsyncIterator[Listener]:
    listener = Listener(str(settings.postgres_url), ("one", "Two"), hear)
    task = asyncio.create_task(listener.listen())
    try:
        await connected(listener)
        yield listener
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def connected(listener: Listener) -> None:
    for _ in range(2000):
        if await listener.fence():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not listen")


def test_what_was_committed_before_a_fence_is_heard_at_its_end(settings: Settings) -> None:
    heard: list[tuple[str, str]] = []

    async def asking() -> None:
        async with listening_to(settings, lambda *told: heard.append(told)) as listener:
            with psycopg.connect(str(settings.postgres_url), autocommit=True) as other:
                for number in range(TIMES):
                    # This blocks the loop, as a request of another process would not; so nothing arrives before the fence asks for it.
                    other.execute("SELECT pg_notify(%s, %s)", ["Two" if number % 2 else "one", str(number)])
                    assert await listener.fence()
                    assert heard[-1] == ("Two" if number % 2 else "one", str(number))
                assert len(heard) == TIMES

    asyncio.run(asking())


def test_many_wait_at_one_fence_and_who_comes_later_at_the_next(settings: Settings) -> None:
    async def asking() -> None:
        heard: list[str] = []
        async with listening_to(settings, lambda _, told: heard.append(told)) as listener:
            with psycopg.connect(str(settings.postgres_url), autocommit=True) as other:
                first = [asyncio.create_task(listener.fence()) for _ in range(20)]
                await asyncio.sleep(0)
                first[3].cancel()
                other.execute("NOTIFY one, 'late'")
                assert await listener.fence()
                assert heard == ["late"]
                found = await asyncio.gather(*first, return_exceptions=True)
                assert [one is True for one in found] == [number != 3 for number in range(20)]

    asyncio.run(asking())


def test_a_lost_connection_is_noticed_at_once_and_made_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "RETRY_SECONDS", 0.05)

    async def asking() -> None:
        heard: list[str] = []
        async with listening_to(settings, lambda _, told: heard.append(told)) as listener:
            with psycopg.connect(str(settings.postgres_url), autocommit=True) as other:
                for number in range(5):
                    sessions = listener.sessions
                    other.execute(ENDED.encode())
                    other.execute(b"NOTIFY one, 'lost'")
                    # A fence holds only in a session that may have missed nothing: a new one, or none.
                    assert not await listener.fence() or listener.sessions > sessions
                    await connected(listener)
                    assert listener.sessions > sessions
                    other.execute("SELECT pg_notify('one', %s)", [str(number)])
                    assert await listener.fence()
                    assert heard[-1] == str(number)

    asyncio.run(asking())


def test_a_server_that_hangs_delays_nobody_for_long(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "FENCE_SECONDS", 0.05)
    monkeypatch.setattr(listening, "RETRY_SECONDS", 0.05)

    async def asking() -> None:
        async with listening_to(settings, lambda *_: None) as listener:
            with psycopg.connect(str(settings.postgres_url), autocommit=True) as other:
                found = other.execute(HANGING.encode()).fetchall()
                for (process,) in found:
                    os.kill(process, signal.SIGSTOP)
                try:
                    assert len(found) == 1
                    assert not await listener.fence()
                finally:
                    for (process,) in found:
                        os.kill(process, signal.SIGCONT)
                await connected(listener)

    asyncio.run(asking())
