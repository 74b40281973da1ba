"""Sign-in by OpenID Connect: ``/sign-in/openid`` leads a browser to the identity provider, which leads it back to ``/callback`` below it.

Between the two the browser keeps a secret in a cookie of its own, which is sent with the provider's redirect (``SameSite=Lax``) and counts
once; the cookie of the session is as after any other sign-in.
"""

from __future__ import annotations

import logging
import re
import secrets
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, unquote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from optiinfra_api.access.authentication import TooManyAttempts
from optiinfra_api.access.request_authentication import ORIGIN, address
from optiinfra_api.access.services import OpenIdClient
from optiinfra_api.access.sessions import Sessions, SignInRefused, SignInUnavailable, session_cookie
from optiinfra_api.web.pages import page
from optiinfra_api.web.sign_in import inside, is_https, redirect

LOG = logging.getLogger("optiinfra_api.sign_in")
PATH: Final = "/sign-in/openid"
_BACK: Final = f"{PATH}/callback"
_COOKIE: Final = "optiinfra_openid"
_LASTS: Final = 600
_KEPT: Final = re.compile(r"([A-Za-z0-9_-]{43})\.([!-~]{0,2000})")


def routes() -> list[Route]:
    """The routes of this sign-in."""
    return [Route(PATH, _begin, methods=["GET"]), Route(_BACK, _end, methods=["GET"])]


async def _begin(request: Request) -> Response:
    """Lead the browser to the identity provider."""
    openid: OpenIdClient | None = request.app.state.services.openid
    if openid is None:
        return _refused("This platform has no identity provider.", HTTPStatus.NOT_FOUND)
    secret = secrets.token_urlsafe(32)
    try:
        where = await openid.address(_redirect_uri(request), secret)
    except SignInUnavailable as why:
        LOG.warning("sign-in by OpenID Connect: %s", why)
        return _refused(str(why), HTTPStatus.SERVICE_UNAVAILABLE)
    wanted = quote(inside(request.query_params.get("next", "/")), safe="")
    return redirect(where, _cookie(request, f"{secret}.{wanted[:2000]}", _LASTS))


async def _end(request: Request) -> Response:
    """Open a session for who comes back from the identity provider, or say why not; what the browser kept counts no more."""
    response = await _answer(request)
    response.headers.append("Set-Cookie", _cookie(request, "", 0))
    return response


async def _answer(request: Request) -> Response:
    openid: OpenIdClient | None = request.app.state.services.openid
    kept = _KEPT.fullmatch(request.cookies.get(_name(request), ""))
    answer = dict(request.query_params)
    if openid is None or kept is None or not openid.is_state(answer.get("state", ""), kept[1]):
        return _refused("This sign-in was not begun in this browser, took too long, or is over.", HTTPStatus.FORBIDDEN)
    sessions: Sessions = request.app.state.services.sessions
    where = _redirect_uri(request)
    try:
        secret = await sessions.open_for_person(
            lambda: openid.person(answer, where, kept[1]), openid.nonce(kept[1]), address(request)
        )
    except SignInRefused as why:
        LOG.warning("sign-in by OpenID Connect refused: from %s: %s", address(request), why)
        return _refused(str(why), HTTPStatus.FORBIDDEN)
    except SignInUnavailable as why:
        LOG.warning("sign-in by OpenID Connect: %s", why)
        return _refused(str(why), HTTPStatus.SERVICE_UNAVAILABLE)
    except TooManyAttempts as failures:
        text = f"Too many attempts have failed from here. Try again in {failures.seconds} s."
        return _refused(text, HTTPStatus.TOO_MANY_REQUESTS)
    await sessions.end(request, "by signing in again")
    LOG.info("signed in: from %s", address(request))
    # By way of a page of ours: the browser sends the new cookie with nothing that the provider's page led to.
    wanted = urlencode({"next": inside(unquote(kept[2]))})
    return redirect(f"/sign-in/continue?{wanted}", session_cookie(secret, is_https=is_https(request)))


def _refused(why: str, status: HTTPStatus) -> Response:
    return page("not_signed_in", "Not signed in", status, why=why)


def _redirect_uri(request: Request) -> str:
    return f"{request.scope[ORIGIN]}{_BACK}"


def _name(request: Request) -> str:
    return f"__Host-{_COOKIE}" if is_https(request) else _COOKIE


def _cookie(request: Request, value: str, seconds: int) -> str:
    secure = "; Secure" if is_https(request) else ""
    return f"{_name(request)}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
