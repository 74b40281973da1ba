"""The pages of the sign-in, made from ``templates``: plain HTML that works without scripts and asks no other host."""

from __future__ import annotations

from functools import cache
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template
from typing import Final

from starlette.responses import HTMLResponse, Response

_FOLDER: Final = Path(__file__).parent
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


@cache
def _template(name: str) -> Template:
    return Template((_FOLDER / "templates" / f"{name}.html").read_text())


def page(name: str, title: str, status: HTTPStatus = HTTPStatus.OK, **values: str) -> Response:
    """Answer the page ``templates/<name>.html``; every one of `values` is shown as text, whatever it contains."""
    body = _template(name).substitute({key: escape(value) for key, value in values.items()})
    return HTMLResponse(_template("layout").substitute(title=escape(title), body=body), status, _HEADERS)


def stylesheet() -> Response:
    """Answer the style of the pages."""
    return Response(_stylesheet(), media_type="text/css", headers={"Cache-Control": "max-age=3600"})


@cache
def _stylesheet() -> bytes:
    return (_FOLDER / "static" / "sign-in.css").read_bytes()
