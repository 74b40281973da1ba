"""Refused sign-ins in the audit log: the first of each address at once, the others of a minute together, however many there are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from optiinfra_api.access.refused_sign_ins import MOST, SEVERAL, WINDOW_SECONDS, RefusedSignIns
from optiinfra_assets.metadata import Metadata

Line = tuple[str, str, str | None]


@dataclass
class Minutes:
    """Time that moves on when the test says so."""

    over: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[float] = field(default_factory=list)

    async def pause(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self.over.wait()

    async def end(self, metadata: Metadata, expected: int) -> None:
        """End the minute, and wait until the log has `expected` lines."""
        self.over.set()
        for _ in range(500):
            if len(written(metadata)) >= expected:
                break
            await asyncio.sleep(0.01)
        self.over.clear()


def written(metadata: Metadata) -> list[Line]:
    """The refused sign-ins on record, oldest first: who, from where, and what of it."""
    found = reversed(metadata.access_audit.find(first=1000))
    return [(one.actor, one.origin, one.detail) for one in found if one.action == "refuse_sign_in"]


def played(metadata: Metadata, play: Callable[[RefusedSignIns, Minutes], Awaitable[None]]) -> list[Line]:
    """What is on record after `play`."""
    asyncio.run(_run(metadata, play))
    return written(metadata)


async def _run(metadata: Metadata, play: Callable[[RefusedSignIns, Minutes], Awaitable[None]]) -> None:
    minutes = Minutes()
    await play(RefusedSignIns(metadata.access_audit, asyncio.to_thread, minutes.pause), minutes)
    assert set(minutes.asked) == {WINDOW_SECONDS}


def test_a_flood_from_one_address_has_two_lines_a_minute(metadata: Metadata) -> None:
    token = metadata.tokens.issue("ops", None, "admin")

    async def play(refused: RefusedSignIns, minutes: Minutes) -> None:
        for number in range(100):
            await refused.add("token", f"wrong {number}", "2001:db8::1")
            await refused.add_unread("link", f"2001:db8::{number}")
        await refused.add("token", token.plaintext, "2001:db8::1")
        await minutes.end(metadata, 3)
        await refused.add("link", "late", "2001:db8::1")

    assert played(metadata, play) == [
        ("unknown", "2001:db8::1", "by token"),
        (token.token.token_id, "2001:db8::1", "by token"),
        ("unknown", "2001:db8::1", "199 more within a minute"),
        ("unknown", "2001:db8::1", "by link"),
    ]


def test_a_flood_from_many_addresses_has_a_line_for_those_beyond_the_limit(metadata: Metadata) -> None:
    async def play(refused: RefusedSignIns, minutes: Minutes) -> None:
        addresses = [f"192.0.2.{number}" for number in range(MOST + 40)]
        await asyncio.gather(*(refused.add("token", "wrong", address) for address in addresses))
        await minutes.end(metadata, MOST + 1)

    found = played(metadata, play)
    assert len(found) == MOST + 1
    assert found[-1] == ("unknown", SEVERAL, "40 more within a minute")


def test_without_the_database_nobody_waits_for_the_count(metadata: Metadata, caplog: pytest.LogCaptureFixture) -> None:
    async def play(refused: RefusedSignIns, minutes: Minutes) -> None:
        for _ in range(2):
            await refused.add("token", "wrong", "192.0.2.7")
        metadata.close()
        minutes.over.set()
        for _ in range(500):
            if "not on record" in caplog.text:
                return
            await asyncio.sleep(0.01)

    asyncio.run(_run(metadata, play))
    assert "refused sign-ins of the last minute are not on record" in caplog.text
