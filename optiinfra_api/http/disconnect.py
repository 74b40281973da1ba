"""Cancels work when its client disconnects: this closes its connection to ClickHouse, which then cancels the statement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.types import Receive

_T = TypeVar("_T")


class ClientDisconnected(Exception):
    """The client closed its connection before its answer was ready."""


async def cancel_on_disconnect(
    receive: Receive, work: Coroutine[Any, Any, _T], may_stop: Callable[[], bool] = lambda: True
) -> _T:
    """Return what `work` returns. If the client disconnects first, cancel `work`, or let it end first if `may_stop` returns False.

    Args:
        receive: the ASGI callable of the request, whose body has been read.

    Raises:
        ClientDisconnected: the client disconnected.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if not may_stop():
            await asyncio.shield(working)
        raise ClientDisconnected
    finally:
        for task in (working, watching):
            task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await working


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
