"""Lists with numbered pages, whose end is told by the address of the next one (``links.pages.next``) and by a count (``meta.total``).

Of that address only the page number is used: where a request goes, and the credential with it, is never the answer's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

from optiinfra_assets.providers.http.client import Client
from optiinfra_assets.providers.http.json_fields import Fields
from optiinfra_assets.providers.http.pagination import Page, items


def listed(
    api: Client,
    path: str,
    name: str,
    *,
    permission: str,
    per_page: int,
    seen: Callable[[Fields], None] = lambda page: None,
) -> Iterator[Fields]:
    """The objects of all pages, read one page at a time.

    Args:
        api: where to ask.
        path: of the list.
        name: field that holds the objects.
        permission: what the credential needs for it.
        per_page: most objects the provider puts on a page.
        seen: is shown each whole page.

    Raises:
        ProviderError: a page could not be read, came twice, or the count is not the announced one.
    """

    def read(number: str | None) -> Page[Fields]:
        page = numbered(number, per_page)
        answer = api.get(path, page, permission=permission).fields()
        seen(answer)
        return Page(answer.objects(name), _next(answer), answer.object("meta").whole("total"))

    return items(read, path)


def numbered(number: str | None, per_page: int) -> Mapping[str, str]:
    """Parameters of a page; of None the first."""
    return {"page": number or "1", "per_page": str(per_page)}


def _next(answer: Fields) -> str | None:
    """Number of the next page; the last page says nothing, or leaves out any of the objects that would."""
    links = _object_or_none(answer, "links")
    pages = links and _object_or_none(links, "pages")
    address = pages.text_or_none("next") if pages else None
    if not pages or address is None:
        return None
    number = parse_qs(urlsplit(address).query).get("page", [""])[-1]
    return number if number.isdecimal() else pages.refuse("next", "an address with a page number")


def _object_or_none(fields: Fields, name: str) -> Fields | None:
    return fields.object(name) if fields.values.get(name) else None
