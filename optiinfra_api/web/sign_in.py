"""Sign-in and sign-out: ``/sign-in``, ``/sign-in/link/<link>``, ``/sign-out``. Only a POST opens or ends a session.

A link is shown as a page with a button, because programs that preview links ask for them by GET. Its secret is in the address until
the button is pressed; by then it is used up, so that nothing of worth is left in the history.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router

from optiinfra_api.access.authentication import NotAuthenticated, TooManyAttempts
from optiinfra_api.access.request_authentication import ORIGIN, address
from optiinfra_api.access.sessions import Sessions, no_session_cookie, session_cookie
from optiinfra_api.web.pages import page, stylesheet
from optiinfra_assets.metadata.web_sessions import LINK_PATH, WebSession

LOG = logging.getLogger("optiinfra_api.sign_in")
PATHS: Final = ("/sign-in", "/sign-out")

_MAX_FORM_BYTES: Final = 8 * 1024
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_INSIDE: Final = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")
_BAD_TOKEN: Final = "This token is not accepted: it is mistyped, has expired, or was revoked."  # noqa: S105 - what a page says
_BAD_LINK: Final = "This link is not accepted: it was used before, or its time is over."


class SignIn:
    """The pages, as an ASGI application.

    Args:
        sessions: those of the process that answers a request.
        is_for_dagster: Dagster's interface is behind it, which takes administrators of all customers only.
        has_provider: whether people may also sign in at an identity provider.
    """

    def __init__(
        self,
        sessions: Callable[[Request], Sessions],
        *,
        is_for_dagster: bool = False,
        has_provider: Callable[[Request], bool] = lambda _: False,
    ) -> None:
        self._sessions = sessions
        self._has_provider = has_provider
        self._is_for_dagster = is_for_dagster
        self.router = Router(
            [
                Route("/sign-in", self._form, methods=["GET"]),
                Route("/sign-in", self._by_token, methods=["POST"]),
                Route("/sign-in/style.css", _style, methods=["GET"]),
                Route("/sign-in/continue", _continue, methods=["GET"]),
                Route(f"{LINK_PATH}{{link}}", _button, methods=["GET"]),
                Route(LINK_PATH.rstrip("/"), self._by_link, methods=["POST"]),
                Route("/sign-out", self._confirm, methods=["GET"]),
                Route("/sign-out", self._out, methods=["POST"]),
            ]
        )

    async def _form(self, request: Request) -> Response:
        wanted = inside(request.query_params.get("next", "/"))
        session = await self._sessions(request).of(request)
        if session:
            return page("signed_in", "Signed in", next=wanted, who=described(session))
        return self._asked_again(request, wanted)

    async def _by_token(self, request: Request) -> Response:
        form = await read_form(request)
        wanted = inside(form.get("next", "/"))
        opening = self._sessions(request).open_by_token(form.get("token", "").strip(), address(request))
        return await self._opened(request, opening, wanted, _BAD_TOKEN)

    async def _by_link(self, request: Request) -> Response:
        form = await read_form(request)
        opening = self._sessions(request).open_by_link(form.get("link", ""), address(request))
        return await self._opened(request, opening, "/", _BAD_LINK)

    async def _opened(self, request: Request, opening: Awaitable[str], wanted: str, otherwise: str) -> Response:
        try:
            secret = await opening
        except NotAuthenticated:
            LOG.warning("sign-in refused: from %s", address(request))
            return self._asked_again(request, wanted, HTTPStatus.FORBIDDEN, otherwise)
        except TooManyAttempts as failures:
            text = f"Too many attempts have failed from here. Try again in {failures.seconds} s."
            response = self._asked_again(request, wanted, HTTPStatus.TOO_MANY_REQUESTS, text)
            response.headers["Retry-After"] = str(failures.seconds)
            return response
        # A session that was there before is over: nobody who knew it, or planted it, comes in with this sign-in.
        await self._sessions(request).end(request, "by signing in again")
        LOG.info("signed in: from %s", address(request))
        return redirect(wanted, session_cookie(secret, is_https=is_https(request)))

    async def _confirm(self, request: Request) -> Response:
        session = await self._sessions(request).of(request)
        return page("sign_out", "Sign out", who=described(session)) if session else redirect("/sign-in")

    async def _out(self, request: Request) -> Response:
        await self._sessions(request).end(request)
        return redirect("/sign-in", no_session_cookie(is_https=is_https(request)))

    def _asked_again(
        self, request: Request, wanted: str, status: HTTPStatus = HTTPStatus.OK, problem: str = ""
    ) -> Response:
        other = f"/sign-in/openid?{urlencode({'next': wanted})}" if self._has_provider(request) else None
        return page(
            "sign_in",
            "Sign in",
            status,
            next=wanted,
            problem=problem,
            is_for_dagster=self._is_for_dagster,
            other=other,
        )


def described(session: WebSession) -> str:
    """Whom a session acts for, for its reader."""
    customer = session.principal.customer_id
    whose = f"customer {customer}" if customer else "all customers"
    rights = "read-only" if session.is_read_only else session.principal.role
    return f"token {session.principal.name} ({rights}, {whose})"


def way_in(request: Request) -> Response:
    """Lead a browser that has no session to the sign-in, and back afterwards.

    A browser sends no cookie with a link that was followed on another site (``SameSite=Strict``), so it may have a session after all:
    it asks again from a page of ours.
    """
    is_from_elsewhere = request.headers.get("sec-fetch-site") == "cross-site"
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    where = "/sign-in/continue" if is_from_elsewhere else "/sign-in"
    return redirect(f"{where}?{urlencode({'next': wanted})}")


async def _button(request: Request) -> Response:
    return page("link", "Sign in", link=request.path_params["link"])


async def _continue(request: Request) -> Response:
    return page("continue", "One moment", next=inside(request.query_params.get("next", "/")))


async def _style(_: Request) -> Response:
    return stylesheet()


def redirect(path: str, cookie: str | None = None) -> Response:
    """Lead a browser to a path of this origin, after whatever its request did."""
    headers = {"Cache-Control": "no-store"} | ({"Set-Cookie": cookie} if cookie else {})
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, headers)


def inside(path: str) -> str:
    """`path` if it is one of this origin that is worth going to, else the first page."""
    is_ours = bool(_INSIDE.fullmatch(path)) and not path.startswith(PATHS)
    return path if is_ours else "/"


def is_https(request: Request) -> bool:
    """Whether the browser reaches us over https."""
    return urlsplit(request.scope[ORIGIN]).scheme == "https"


async def read_form(request: Request, most: int = _MAX_FORM_BYTES) -> dict[str, str]:
    """The fields of a form; none if it is longer than ours can be: `most` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return {}
    return {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}


def number_of(text: str) -> int | str:
    """The whole number that a form sent; text that is none stays text, and GraphQL says what is accepted."""
    return int(text) if _NUMBER.fullmatch(text.strip()) else text.strip()
