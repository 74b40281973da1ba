"""Lists with numbered pages, as several clouds have them: ``page`` and ``per_page`` asked for, the next page's address and a count told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.server.server import SimulatedRequest, SimulatedResponse

Some = Callable[[int, int], list[dict[str, Any]]]
"""Makes the objects of a list from one position (inclusive) to another (exclusive)."""


def bounds(cloud: SimulatedAccount, request: SimulatedRequest) -> tuple[int, int]:
    """Positions of the first object of the page that is asked for and of the first of the next."""
    size = min(int(request.query.get("per_page", 20)), cloud.page_size)
    number = 1 if cloud.repeats_pages else int(request.query.get("page", 1))
    return (number - 1) * size, number * size


def numbered_page(
    cloud: SimulatedAccount,
    request: SimulatedRequest,
    name: str,
    total: int,
    some: Some,
    besides: dict[str, Any] | None = None,
) -> SimulatedResponse:
    """One page of a list, of which only that page is made.

    Args:
        cloud: how large its pages are, and where it is.
        request: which page.
        name: field for the objects.
        total: how many the list has.
        some: makes them.
        besides: further fields of the answer.
    """
    begin, end = bounds(cloud, request)
    address = f"{cloud.url}{request.path}?page={end // (end - begin) + 1}&per_page={end - begin}"
    links = {"pages": {"next": address}} if end < total else {}
    objects = some(min(begin, total), min(end, total))
    return SimulatedResponse.of({name: objects, **(besides or {}), "links": links, "meta": {"total": total}})
