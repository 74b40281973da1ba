"""Pages one after the other until the provider says that it was the last, and never round in a circle.

Every list of every cloud ends in its own way: a cursor that becomes empty, a last page number, a missing link. `pages` does what is easily
forgotten: a token that comes twice, a page that holds nothing although more is announced, and a list that ends before or after the
announced count are errors, because each of them would make a bill too small or a loop endless.

What is asked with `http.Client` is a `PagedList`; how the API pages its lists is said once, as a `PageStyle`::

    STYLE = PageStyle("per_page", "cursor", lambda answer: (answer.text_or_none("next"), answer.whole("total")))

    for invoice in PagedList("/invoices", "invoices", "billing (read)", STYLE, 500).objects(api):
        ...

What another client asks is read by a function that makes a `Page` of each answer, for `pages` and `items`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import parse_qs, urlsplit

from optiinfra_assets.domain.errors import Transient
from optiinfra_assets.providers.http.json_fields import JsonFields, parse_json

if TYPE_CHECKING:
    from optiinfra_assets.providers.http.client import ApiResponse, Client

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


def pages(read: Callable[[str | None], Page[Item]], where: str, *, may_be_empty: bool = False) -> Iterator[list[Item]]:
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
            raise Transient(f"{where}: the provider sent the same page again after {count} items; try again later")
        if not page.items and not may_be_empty:
            raise Transient(f"{where}: an empty page after {count} items though more is announced; try again later")
        seen.add(page.next)
        token = page.next
    if page.total is not None and page.total != count:
        raise Transient(f"{where}: {count} items came though {page.total} are announced; try again later")


def items(read: Callable[[str | None], Page[Item]], where: str, *, may_be_empty: bool = False) -> Iterator[Item]:
    """The items of all pages, as `pages`."""
    for page in pages(read, where, may_be_empty=may_be_empty):
        yield from page


@dataclass(frozen=True, slots=True)
class PageStyle:
    """How an API pages its lists.

    Attributes:
        size: parameter for the number of objects on a page.
        token: parameter that chooses a page.
        told: from an answer: what chooses the next page, None or empty of the last one, and how many objects the whole list has.
        first: what chooses the first page; None: nothing does.
    """

    size: str
    token: str
    told: Callable[[JsonFields], tuple[str | None, int]]
    first: str | None = None

    def params(self, token: str | None, page_size: int) -> dict[str, str]:
        """What asks for a page; of None the first."""
        chosen = token or self.first
        return {self.size: str(page_size)} | ({self.token: chosen} if chosen else {})


@dataclass(frozen=True, slots=True)
class PagedList:
    """A list of an API.

    Attributes:
        path: below the endpoint.
        name: field that holds the objects.
        permission: what the credential needs for it.
        style: how it is paged.
        page_size: objects to ask for at once.
    """

    path: str
    name: str
    permission: str
    style: PageStyle
    page_size: int

    def page(self, api: Client, token: str | None = None) -> ApiResponse:
        """One page as it is sent; of None the first.

        Raises:
            ProviderError: as `Client.get`.
        """
        return api.get(self.path, self.style.params(token, self.page_size), permission=self.permission)

    def objects(self, api: Client, seen: Callable[[ApiResponse], object] = lambda answer: None) -> Iterator[JsonFields]:
        """The objects of all pages, one page in memory at a time; `seen` is shown each answer before the objects in it.

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
        """The answers of a whole short list, proven to be that; errors as `objects`."""
        answers: list[ApiResponse] = []
        for _ in self.objects(api, answers.append):
            pass
        return answers


def joined(answers: Iterable[ApiResponse]) -> bytes:
    """Whole answers as one JSON list, to be kept."""
    return b"[" + b",".join(answer.body for answer in answers) + b"]"


def objects_in(body: bytes, name: str, where: str) -> Iterator[JsonFields]:
    """The objects in the field `name` of the answers of a `joined` body."""
    for answer in parse_json(body, where):
        yield from JsonFields(answer, where).objects(name)


def linked_page(fields: JsonFields, name: str) -> str | None:
    """Number of the page whose address is in a field; None without one.

    Of the address only that number is used: where a request goes, and the credential with it, is never the answer's to say.

    Raises:
        ContractChanged: the address has no page number.
    """
    address = fields.text_or_none(name)
    if address is None:
        return None
    number = parse_qs(urlsplit(address).query).get("page", [""])[-1]
    return number if number.isdecimal() else fields.refuse(name, "an address with a page number")
