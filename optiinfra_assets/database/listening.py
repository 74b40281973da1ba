"""Hears the notifications of a PostgreSQL database, on a connection of its own in one event loop.

PostgreSQL hands a session the notifications of every transaction that was committed before a command of the session ended. So an empty
command is a fence: whoever waits for its end has heard of all that was committed before, at the price of one round trip.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import psycopg
from psycopg import sql
from psycopg.pq.abc import PGconn

from optiinfra_assets.database.postgres import CONNECTING

FENCE_SECONDS: Final = 0.5
"""How long a fence may take; a server that takes longer counts as lost, so that its hanging delays hardly anybody."""
NAME: Final = "optiinfra news"
"""What `pg_stat_activity` shows as the name of the connection."""
RETRY_SECONDS: Final = 1.0
BEAT_SECONDS: Final = 10.0
"""Seconds between two fences of our own, so that a connection that broke silently is noticed."""


class Listener:
    """Listens on channels, and connects again whenever the connection is lost. Belongs to one event loop."""

    def __init__(self, url: str, channels: Sequence[str], hear: Callable[[str, str], None]) -> None:
        """
        Args:
            url: of the database.
            channels: names to listen on.
            hear: called with the channel and the payload of each notification.
        """
        self._url = url
        self._channels = channels
        self._hear = hear
        self._session: _Session | None = None
        self.sessions = 0
        self._fenced_at = -math.inf

    async def listen(self) -> None:
        """Connect and listen, again and again, until this is cancelled."""
        while True:
            with suppress(psycopg.Error, OSError, TimeoutError):
                await self._listen_once()
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen_once(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, application_name=NAME, **CONNECTING
        )
        async with connection:
            for channel in self._channels:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            session = _Session(connection.pgconn, self._hear)
            # What is committed from now on is heard; so what was known of an earlier session counts no more.
            self.sessions += 1
            self._session = session
            try:
                while await self.fence():
                    await asyncio.wait((session.lost,), timeout=BEAT_SECONDS)
            finally:
                self._session = None
                session.close()

    async def fence(self) -> bool:
        """Wait until all notifications that were committed before are heard; False: there is no connection that would bring them."""
        session, begun = self._session, time.monotonic()
        if session is None:
            return False
        try:
            async with asyncio.timeout(FENCE_SECONDS):
                await session.fence()
        except (psycopg.Error, TimeoutError) as error:
            session.lose(error)
            if self._session is session:
                self._session = None
            return False
        self._fenced_at = begun
        return True

    async def fence_of(self, seconds: float) -> bool:
        """As `fence`, but what was committed within the last `seconds` may not be heard yet: mostly this waits for nothing."""
        if self._session is not None and time.monotonic() - self._fenced_at < seconds:
            return True
        return await self.fence()


class _Session:
    """One connection: reads whatever arrives, and runs one fence at a time; who comes while one runs waits for the next."""

    def __init__(self, connection: PGconn, hear: Callable[[str, str], None]) -> None:
        self._connection = connection
        self._hear = hear
        self._loop = asyncio.get_running_loop()
        self._running: asyncio.Future[None] | None = None
        self._waiting: asyncio.Future[None] | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._socket: int | None = connection.socket
        self._loop.add_reader(connection.socket, self._arrived)

    async def fence(self) -> None:
        """Raise `psycopg.Error` if the connection is lost."""
        if self._waiting is None:
            self._waiting = self._loop.create_future()
            if self._running is None:
                # Not at once: whoever else asks at this moment shares it.
                self._loop.call_soon(self._begin)
        await asyncio.shield(self._waiting)

    def _begin(self) -> None:
        """Send a fence for those who wait, if any."""
        self._running, self._waiting = self._waiting, None
        if self._running is None:
            return
        try:
            self._connection.send_query(b"")
            self._connection.flush()
        except psycopg.Error as error:
            self.lose(error)

    def _arrived(self) -> None:
        try:
            self._connection.consume_input()
            while (told := self._connection.notifies()) is not None:
                self._hear(told.relname.decode(), told.extra.decode())
            while self._running is not None and not self._connection.is_busy():
                if self._connection.get_result() is None:
                    if not self._running.done():
                        self._running.set_result(None)
                    self._begin()
        except psycopg.Error as error:
            self.lose(error)

    def lose(self, error: BaseException) -> None:
        """Give the connection up, for all who wait."""
        self.close()
        for waiting in (self._running, self._waiting):
            if waiting is not None and not waiting.done():
                waiting.set_exception(error)
                waiting.exception()
        if not self.lost.done():
            self.lost.set_result(None)

    def close(self) -> None:
        """Read no more."""
        # By its number: the driver forgets the socket of a connection that broke.
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket = None
