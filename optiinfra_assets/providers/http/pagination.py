"""Reads the pages of a list one after the other until the provider says that it was the last, and never repeats one.

Every API ends its lists in its own way: an empty cursor, a last page number, a missing link. `pages` makes errors of what is easily
forgotten: a token that comes twice, an empty page although more is announced, a list that ends before or after the announced count. Each of
them would make a bill too small or a loop endless.

A list read with `http.client.Client` is a `PagedList`, and a `PageStyle` says how the API pages its lists::

    STYLE = PageStyle("per_page", "cursor", lambda answer: (answer.text_or_none("next"), answer.whole("total")))

    for invoice in PagedList("/invoices", "invoices", "billing (read)", STYLE, 500).objects(api):
        ...

For another client, the provider passes `pages` or `items` a function that returns a `Page` for each token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import parse_qs, urlsplit

from optiinfra_assets.domain.errors import Transient
from optiinfra_assets.providers.http.json_fields import JsonFields, parse_json
from optiinfra_assets.providers.http.retry import DeadlineExceeded

if TYPE_CHECKING:
    from optiinfra_assets.providers.http.client import ApiResponse, Client

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list.

    Attributes:
        items: items of the page, in order.
        next: token, cursor, number or address of the next page; None or empty on the last page.
        total: number of items in the whole list, if the provider says so.
    """

    items: list[Item]
    next: str | None = None
    total: int | None = None


def pages(read: Callable[[str | None], Page[Item]], where: str, *, may_be_empty: bool = False) -> Iterator[list[Item]]:
    """Yields the items of each page, reading one page at a time.

    Args:
        read: reads the page of a token; None is the first page.
        where: what is read, for messages.
        may_be_empty: the provider documents empty pages before the last.

    Raises:
        Transient: a token came twice, a page was empty though more is announced, or the count is not the announced one.
            The list may have changed while it was read, so a retry can help.
        DeadlineExceeded: the deadline of the call passed; says how many items had come.
    """
    token: str | None = None
    seen: set[str] = set()
    count = 0
    while True:
        try:
            page = read(token)
        except DeadlineExceeded as error:
            raise DeadlineExceeded(f"{error} ({where}: {count} items had come)") from None
        count += len(page.items)
        yield page.items
        if not page.next:
            break
        if page.next in seen:
            raise Transient(f"{where}: the provider sent the same page again after {count} items; try again later")
        if not page.items and not may_be_empty:
            raise Transient(f"{where}: an empty page after {count} items though more is announced; try again later")
        seen.add(page.next)
        token = page.next
    if page.total is not None and page.total != count:
        raise Transient(f"{where}: {count} items came though {page.total} are announced; try again later")


def items(read: Callable[[str | None], Page[Item]], where: str, *, may_be_empty: bool = False) -> Iterator[Item]:
    """Yields the items of all pages; arguments and errors as `pages`."""
    for page in pages(read, where, may_be_empty=may_be_empty):
        yield from page


@dataclass(frozen=True, slots=True)
class PageStyle:
    """How an API pages its lists.

    Attributes:
        size: name of the parameter for the page size.
        token: name of the parameter that chooses a page.
        told: from a response: the token of the next page (None or empty on the last) and the number of objects in the whole list.
        first: token of the first page; None sends none.
    """

    size: str
    token: str
    told: Callable[[JsonFields], tuple[str | None, int]]
    first: str | None = None

    def params(self, token: str | None, page_size: int) -> dict[str, str]:
        """Returns the query parameters of a page; None is the first page."""
        chosen = token or self.first
        return {self.size: str(page_size)} | ({self.token: chosen} if chosen else {})


@dataclass(frozen=True, slots=True)
class PagedList:
    """A list of an API.

    Attributes:
        path: path below the endpoint.
        name: field that holds the objects.
        permission: permission that the credential needs.
        style: how the API pages it.
        page_size: number of objects on a page.
    """

    path: str
    name: str
    permission: str
    style: PageStyle
    page_size: int

    def page(self, api: Client, token: str | None = None) -> ApiResponse:
        """Returns the response with one page; None is the first page.

        Raises:
            ProviderError: as `Client.get`.
        """
        return api.get(self.path, self.style.params(token, self.page_size), permission=self.permission)

    def objects(self, api: Client, seen: Callable[[ApiResponse], object] = lambda answer: None) -> Iterator[JsonFields]:
        """Yields the objects of all pages, with one page in memory at a time; passes each response to `seen` before its objects.

        Raises:
            ProviderError: as `Client.get` and `pages`.
        """

        def read(token: str | None) -> Page[JsonFields]:
            answer = self.page(api, token)
            seen(answer)
            fields = answer.fields()
            return Page(fields.objects(self.name), *self.style.told(fields))

        return items(read, self.path)

    def answers(self, api: Client) -> list[ApiResponse]:
        """Returns all responses of a short list, checked to be complete; errors as `objects`."""
        answers: list[ApiResponse] = []
        for _ in self.objects(api, answers.append):
            pass
        return answers


def joined(answers: Iterable[ApiResponse]) -> bytes:
    """Joins whole responses to one JSON list, to be stored."""
    return b"[" + b",".join(answer.body for answer in answers) + b"]"


def objects_in(body: bytes, name: str, where: str, note: Callable[[str], object]) -> Iterator[JsonFields]:
    """Yields the objects in the field `name` of each response in a `joined` body; `note` is that of the objects."""
    for answer in parse_json(body, where):
        yield from JsonFields(answer, where, note=note).objects(name)


def linked_page(fields: JsonFields, name: str) -> str | None:
    """Returns the page number in the address that a field holds; None without an address.

    Only the number is used: a response must not decide where the next request, and the credential with it, is sent.

    Raises:
        ContractChanged: the address has no page number.
    """
    address = fields.text_or_none(name)
    if address is None:
        return None
    number = parse_qs(urlsplit(address).query).get("page", [""])[-1]
    return number if number.isdecimal() else fields.refuse(name, "an address with a page number")
