"""Looks at each answer before a vendor's client does: none of them tells a proxy's page or a cut-off body from an answer."""

from __future__ import annotations

from optiinfra_assets.domain.errors import ContractChanged
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE
from optiinfra_assets.providers.http.retry import RetryableError
from optiinfra_assets.providers.http.translation import FROM_BEHIND_A_PAGE, broken_off, is_web_page, web_page

_NO_BODY = 204


def checked_body(body: bytes, where: str, *, method: str, status: int, kind: str) -> bytes:
    """Returns the body of an answer, or nothing in place of a page for people whose status says enough.

    Args:
        body: as sent, decompressed.
        where: the request, for messages.
        method: of the request; an answer to HEAD has no body.
        status: of the answer.
        kind: the header Content-Type.

    Raises:
        Unreachable: a page for people came in place of data.
        RetryableError: the answer should be JSON, and is empty or broke off.
        ContractChanged: it is JSON, but no object; the clients would fail with an error of their own parsers.
    """
    if is_web_page(body):
        # The page that comes with a redirect explains it; the status says what it is.
        if status in FROM_BEHIND_A_PAGE or 300 <= status < 400:
            return b""
        raise web_page(where)
    if "json" not in kind or method == "HEAD" or not 200 <= status < 300 or status == _NO_BODY:
        return body
    text = body.strip()
    if not text or (text[:1] == b"{" and text[-1:] != b"}"):
        raise RetryableError(broken_off(where))
    if text[:1] != b"{":
        raise ContractChanged(f"{where}: a JSON object was expected; {ASK_FOR_UPDATE}")
    return body
