"""One answer for all who ask within some seconds, one question however many ask at once, and an error kept like an answer."""

from __future__ import annotations

import asyncio

import pytest

from optiinfra_api.http.kept_answer import KeptAnswer


class _Asked:
    """Counts questions, and answers with their number; every question takes a turn of the loop."""

    def __init__(self, *, fails: bool = False) -> None:
        self.count = 0
        self.now = 100.0
        self._fails = fails

    async def __call__(self) -> int:
        self.count += 1
        await asyncio.sleep(0)
        if self._fails:
            raise OSError(f"question {self.count}")
        return self.count


def _kept(asked: _Asked) -> KeptAnswer[int]:
    return KeptAnswer(asked, 5, lambda: asked.now)


def test_those_who_ask_at_once_or_soon_after_get_one_answer() -> None:
    async def main() -> list[int]:
        asked = _Asked()
        kept = _kept(asked)
        found = await asyncio.gather(*(kept() for _ in range(50)))
        for asked.now in (104.9, 105.0, 109.9, 110.0):
            found.append(await kept())
        return found

    assert asyncio.run(main()) == [1] * 51 + [2, 2, 3]


def test_an_error_is_kept_too() -> None:
    async def main() -> None:
        asked = _Asked(fails=True)
        kept = _kept(asked)
        for _ in range(3):
            with pytest.raises(OSError, match="question 1"):
                await kept()

    asyncio.run(main())


def test_who_leaves_takes_the_answer_from_nobody() -> None:
    async def main() -> tuple[int, int]:
        asked = _Asked()
        kept = _kept(asked)
        first, second = asyncio.create_task(kept()), asyncio.create_task(kept())
        await asyncio.sleep(0)
        first.cancel()
        return await second, asked.count

    assert asyncio.run(main()) == (1, 1)
