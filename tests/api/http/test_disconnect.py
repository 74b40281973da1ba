"""Work that nobody waits for is cancelled, unless it must come to its end; and nothing of it is left running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from loopback import HANG

from optiinfra_api.http.disconnect import ClientDisconnected, cancel_on_disconnect


class _Client:
    """Whose connection the test closes; has sent an empty body."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    def leaves(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        return await self._messages.get()


class _Work:
    """Takes a moment; says how it ended."""

    def __init__(self) -> None:
        self.ended = ""

    async def run(self, seconds: float, error: Exception | None = None) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "done"
        if error:
            raise error
        return "answer"


def _run(test: Callable[[_Client, _Work], Any]) -> Any:
    async def alone() -> Any:
        found = await test(_Client(), _Work())
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return found

    return asyncio.run(alone())


def test_who_stays_gets_the_answer_or_the_error() -> None:
    async def test(client: _Client, work: _Work) -> None:
        assert await cancel_on_disconnect(client.receive, work.run(0)) == "answer"
        with pytest.raises(ValueError, match="its own"):
            await cancel_on_disconnect(client.receive, work.run(0, ValueError("its own")))
        await asyncio.sleep(0)

    _run(test)


@pytest.mark.parametrize(("may_stop", "ended"), [(True, "cancelled"), (False, "done")])
def test_who_leaves_stops_what_may_stop(may_stop: bool, ended: str) -> None:
    async def test(client: _Client, work: _Work) -> str:
        asyncio.get_running_loop().call_later(0.01, client.leaves)
        with pytest.raises(ClientDisconnected):
            await cancel_on_disconnect(client.receive, work.run(HANG if may_stop else 0.1), lambda: may_stop)
        return work.ended

    assert _run(test) == ended


def test_a_server_that_stops_cancels_the_work() -> None:
    async def test(client: _Client, work: _Work) -> str:
        waiting = asyncio.create_task(cancel_on_disconnect(client.receive, work.run(HANG)))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return work.ended

    assert _run(test) == "cancelled"
