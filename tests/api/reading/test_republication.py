"""A reader that never stops asking while a slice is published again a dozen times."""

from __future__ import annotations

import threading
from datetime import date
from decimal import Decimal
from typing import Any

from charges import Charge
from loopback import HANG, eventually
from world import World

from optiinfra_assets.domain.accounts import BillingPeriod, Slice

PUBLICATIONS = 12
LINES = 40
TOTAL = """query ($customerId: String!) {
  totalCost(customerId: $customerId, period: {start: "2026-10-01", end: "2026-11-01"}) { totals { cost { amount } lineItems } publishedAt }
}"""


def test_a_reader_sees_whole_generations_only_and_never_an_older_one_again(world: World) -> None:
    """Generation n has LINES + n line items of n each: a mixture of two, or a part of one, has a total no generation has."""
    customer = world.customer()
    slice_ = Slice(customer.customer_id, "focus", f"{customer.customer_id}.files", BillingPeriod(2026, 10))
    answers: tuple[list[dict[str, Any]], ...] = ([], [])
    done = threading.Event()

    def read(mine: list[dict[str, Any]]) -> None:
        while not done.is_set():
            mine.append(world.data(TOTAL, customer.token, customerId=customer.customer_id)["totalCost"])

    def generation(number: int) -> list[Charge]:
        return [Charge(date(2026, 10, 1 + line % 30), Decimal(number)) for line in range(LINES + number)]

    def has_been_read(number: int) -> bool:
        """By both: so each generation is published while both read the one before, on a slow machine too."""
        return all(mine and _number(mine[-1]) == number for mine in answers)

    customer.publish(slice_, generation(1))
    readers = [threading.Thread(target=read, args=(mine,)) for mine in answers]
    for reader in readers:
        reader.start()
    try:
        for number in range(2, PUBLICATIONS + 1):
            assert eventually(lambda: has_been_read(number - 1)), number  # noqa: B023 - called here
            customer.publish(slice_, generation(number))
    finally:
        done.set()
        for reader in readers:
            reader.join(HANG)
    seen = [[_number(answer) for answer in mine] for mine in answers]
    assert all(numbers == sorted(numbers) for numbers in seen)
    assert all(set(range(1, PUBLICATIONS)) <= set(numbers) for numbers in seen)


def _number(answer: dict[str, Any]) -> int:
    """Which generation an answer is; fails if it is none."""
    (total,) = answer["totals"]
    number = int(total["lineItems"]) - LINES
    assert Decimal(total["cost"]["amount"]) == number * (LINES + number)
    return number
