"""Pages one after the other until the provider says that it was the last, and never round in a circle.

Every list of every cloud ends in its own way: a cursor that becomes empty, a last page number, a missing link. A provider writes one
function that reads one page into a `Page`; `pages` does what is easily forgotten: a token that comes twice, a page that holds nothing
although more is announced, and a list that ends before the announced count are errors, because each of them would make a bill too small
or a loop endless::

    def read(cursor: str | None) -> Page[Fields]:
        fields = api.get("/invoices", {"cursor": cursor or ""}, permission="billing (read)").fields()
        meta = fields.object("meta")
        return Page(fields.objects("invoices"), meta.object("links").text_or_none("next"), meta.whole("total"))

    for invoice in items(read, "invoices"):
        ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from optiinfra_assets.domain.errors import Transient

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list.

    Attributes:
        items: what it holds, in order.
        next: token, cursor, number or address of the next page; None or empty if the provider says that there is none.
        total: how many items the whole list has, if the provider says so.
    """

    items: list[Item]
    next: str | None = None
    total: int | None = None


def pages(
    read: Callable[[str | None], Page[Item]], where: str, *, may_be_empty: bool = False
) -> Iterator[list[Item]]:
    """The items of each page, read one page at a time.

    Args:
        read: reads the page of a token; of None the first.
        where: what is read, for messages.
        may_be_empty: the provider documents empty pages with more to come.

    Raises:
        Transient: a token came twice, a page was empty though more is announced, or the count is not the announced one.
            The list may have changed while it was read, so trying again can help.
    """
    token: str | None = None
    seen: set[str] = set()
    count = 0
    while True:
        page = read(token)
        count += len(page.items)
        yield page.items
        if not page.next:
            break
        if page.next in seen:
            raise Transient(
                f"{where}: the provider sent the same page again after {count} items; try again later"
            )
        if not page.items and not may_be_empty:
            raise Transient(
                f"{where}: an empty page after {count} items though more is announced; try again later"
            )
        seen.add(page.next)
        token = page.next
    if page.total is not None and page.total != count:
        raise Transient(f"{where}: {count} items came though {page.total} are announced; try again later")


def items(
    read: Callable[[str | None], Page[Item]], where: str, *, may_be_empty: bool = False
) -> Iterator[Item]:
    """The items of all pages, as `pages`."""
    for page in pages(read, where, may_be_empty=may_be_empty):
        yield from page
