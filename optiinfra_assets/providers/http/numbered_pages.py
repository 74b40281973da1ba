"""Lists in numbered pages, ``{"data": [...], "page": 1, "pages": 3, "results": 250}``, object by object through `paging.items`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from optiinfra_assets.providers.context import Context
from optiinfra_assets.providers.http.client import Answer, Client, rate_limit_end
from optiinfra_assets.providers.http.json_fields import Fields, parse_json
from optiinfra_assets.providers.http.pagination import Page, items

LONGEST_REST: Final = 90.0
"""Seconds to wait between two pages of a long list; clouds count requests by the minute."""


def numbered(
    api: Client,
    path: str,
    *,
    permission: str,
    page_size: int,
    read: Callable[[Answer], object] = lambda answer: None,
) -> Iterator[Fields]:
    """The objects of a list, one page in memory at a time.

    Args:
        api: the client to ask with.
        path: of the list, below the endpoint.
        permission: what the credential needs for it.
        page_size: objects to ask for at once.
        read: is handed each answer before the objects in it.

    Raises:
        ProviderError: as `Client.get` and `paging.pages`.
    """

    def page(number: str | None) -> Page[Fields]:
        answer = api.get(path, {"page": number or "1", "page_size": str(page_size)}, permission=permission)
        read(answer)
        fields = answer.fields()
        at, last = fields.whole("page"), fields.whole("pages")
        return Page(fields.objects("data"), str(at + 1) if at < last else None, fields.whole("results"))

    return items(page, path)


def all_pages(api: Client, path: str, *, permission: str, page_size: int) -> list[Answer]:
    """The answers of a whole short list, proven to be that; as `numbered`."""
    answers: list[Answer] = []
    for _ in numbered(api, path, permission=permission, page_size=page_size, read=answers.append):
        pass
    return answers


def joined(pages: Iterable[Answer]) -> bytes:
    """Whole answers as one JSON list, to be kept."""
    return b"[" + b",".join(page.body for page in pages) + b"]"


def objects_in(body: bytes, where: str) -> Iterator[Fields]:
    """The objects in the pages of a `joined` body."""
    for page in parse_json(body, where):
        yield from Fields(page, where).objects("data")


def resting(context: Context) -> Callable[[Answer], None]:
    """For `numbered`: waits while the provider has no request left for us, so that a list of thousands of pages can be read to its end."""

    def rest(answer: Answer) -> None:
        now = context.clock()
        until = rate_limit_end(answer.headers, now)
        if until is not None:
            context.sleep(min(max((until - now).total_seconds(), 0), LONGEST_REST))

    return rest
