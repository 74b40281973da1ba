"""Makes pages from ``templates``: HTML that works without scripts, asks no other host, and shows every value as text."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from optiinfra_api.web import filters
from optiinfra_api.web.assets import ASSETS

_FOLDER: Final = Path(__file__).parent
_POLICY: Final = "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
PLAIN_POLICY: Final = f"default-src 'none'; style-src 'self'; img-src data:; {_POLICY}"
SCRIPT_POLICY: Final = (
    f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; {_POLICY}"
)
EDITOR_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; "
    f"font-src data:; {_POLICY}"
)
"""GraphiQL's components write styles into the page; no script."""


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["asset"] = ASSETS.url
    made.globals["has_charts"] = ASSETS.has("echarts.js")
    made.filters.update(filters.ALL)
    return made


def page(
    name: str, title: str, status: HTTPStatus = HTTPStatus.OK, *, policy: str = PLAIN_POLICY, **values: Any
) -> Response:
    """Answer the page ``templates/<name>.html``; every one of `values` is shown as text, whatever it contains.

    Args:
        policy: the Content-Security-Policy of the page.
    """
    shown = _environment().get_template(f"{name}.html").render(title=title, **values)
    return HTMLResponse(shown, status, {"Cache-Control": "no-store", "Content-Security-Policy": policy})


def stylesheet() -> Response:
    """Answer the style of the pages of the sign-in."""
    return Response(_stylesheet(), media_type="text/css", headers={"Cache-Control": "max-age=3600"})


@cache
def _stylesheet() -> bytes:
    return (_FOLDER / "static" / "sign-in.css").read_bytes()
