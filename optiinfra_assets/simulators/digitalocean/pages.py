"""Lists with numbered pages: ``page`` and ``per_page`` of a request in, one page with the next page's address and the total count out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.server.server import SimulatedRequest, SimulatedResponse

Some = Callable[[int, int], list[dict[str, Any]]]
"""Returns the objects of a list from one position (inclusive) to another (exclusive)."""


def bounds(cloud: SimulatedAccount, request: SimulatedRequest) -> tuple[int, int]:
    """Return the positions of the first object of the requested page and of the first object of the next page."""
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
    """Return one page of a list; this makes only the objects of that page.

    Args:
        cloud: account with the page size and the address.
        request: request for the page.
        name: name of the field with the objects.
        total: number of objects in the list.
        some: returns the objects of the page.
        besides: more fields of the response.
    """
    begin, end = bounds(cloud, request)
    address = f"{cloud.url}{request.path}?page={end // (end - begin) + 1}&per_page={end - begin}"
    links = {"pages": {"next": address}} if end < total else {}
    objects = some(min(begin, total), min(end, total))
    return SimulatedResponse.of({name: objects, **(besides or {}), "links": links, "meta": {"total": total}})
