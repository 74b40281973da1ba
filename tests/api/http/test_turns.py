"""Callers of one key take turns in the order they came; those of other keys do not wait for them."""

from __future__ import annotations

import asyncio

from optiinfra_api.http.concurrency import Turns


def test_sixty_of_one_customer_do_not_hold_up_another() -> None:
    async def go() -> list[str]:
        turns, done, gate = Turns(), list[str](), asyncio.Event()

        async def ask(customer: str, number: int) -> None:
            async with turns.of(customer):
                if customer == "acme":
                    await gate.wait()
                done.append(f"{customer} {number}")

        many = [asyncio.create_task(ask("acme", number)) for number in range(60)]
        await asyncio.sleep(0)
        await ask("other", 0)
        many[30].cancel()
        gate.set()
        await asyncio.gather(*many, return_exceptions=True)
        assert not turns._locks
        return done

    assert asyncio.run(go()) == ["other 0", *(f"acme {number}" for number in range(60) if number != 30)]
