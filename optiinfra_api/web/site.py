"""The routes of the pages, with the sign-in before them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from optiinfra_api.access.request_authentication import ORIGIN
from optiinfra_api.access.services import Services
from optiinfra_api.access.sessions import Sessions
from optiinfra_api.http.http_errors import HttpError
from optiinfra_api.http.request_log import current_request
from optiinfra_api.web import (
    account_changes,
    accounts,
    alerts,
    anomalies,
    audit,
    connect,
    explore,
    graphiql,
    invoices,
    openid,
    outlook,
    outlook_forms,
    overview,
    resource,
    resources,
    tokens,
)
from optiinfra_api.web.assets import ASSETS
from optiinfra_api.web.pages import page
from optiinfra_api.web.sign_in import SignIn, inside, read_form, redirect, way_in
from optiinfra_api.web.visit import THEME_COOKIE, THEMES, Handler, Visit

Clock = Callable[[], datetime]
_YEAR: Final = 365 * 86_400
_PAGES: Final[Mapping[str, Handler]] = {
    "/": overview.show,
    "/explore": explore.show,
    "/explore/values": explore.values,
    "/forecast": outlook.show,
    "/resources": resources.show,
    "/resources/resource": resource.show,
    "/invoices": invoices.show,
    "/anomalies": anomalies.show,
    "/anomalies/anomaly": anomalies.show_one,
    "/accounts": accounts.show,
    "/accounts/account": accounts.show_one,
    "/accounts/connect": connect.show,
    "/accounts/settings": account_changes.show,
    "/accounts/delete": account_changes.show_end,
    "/alerts": alerts.show,
    "/settings": tokens.show,
    "/settings/audit": audit.show,
}
_FORMS: Final[Mapping[str, Handler]] = {
    "/explore/views": explore.save_view,
    "/explore/views/remove": explore.remove_view,
    "/forecast/budgets": outlook_forms.save_budget,
    "/forecast/remove-budget": outlook_forms.act,
    "/forecast/overrides": outlook_forms.override,
    "/forecast/remove-override": outlook_forms.act,
    "/invoices": invoices.record,
    "/anomalies/anomaly": anomalies.say,
    "/accounts/collect": accounts.collect,
    "/accounts/connect": connect.connect,
    "/accounts/settings": account_changes.save,
    "/accounts/test": account_changes.test,
    "/accounts/delete": account_changes.end,
    "/alerts/rules": alerts.save,
    "/alerts/mute": alerts.mute,
    "/alerts/remove-rule": alerts.act,
    "/alerts/channels": alerts.add,
    "/alerts/test": alerts.act,
    "/alerts/remove-channel": alerts.act,
    "/alerts/resend": alerts.act,
    "/settings/tokens": tokens.create,
    "/settings/tokens/revoke": tokens.revoke,
}


def utc_now() -> datetime:
    """The time that pages take for now."""
    return datetime.now(UTC)


def routes(clock: Clock = utc_now) -> list[Route]:
    """The routes of all pages, of the sign-in, and of the files that pages need.

    Args:
        clock: tells which month and days a page shows.
    """
    return [
        *(Route(path, _behind_sign_in(handler, clock), methods=["GET"]) for path, handler in _PAGES.items()),
        *(Route(path, _behind_sign_in(handler, clock), methods=["POST"]) for path, handler in _FORMS.items()),
        Route("/theme", _choose_theme, methods=["POST"]),
        Route("/static/{hash}/{name}", ASSETS.answer, methods=["GET"]),
        *_sign_in_routes(),
    ]


def _sign_in_routes() -> list[Route]:
    made = SignIn(_sessions, has_provider=_has_provider).router.routes
    return [*openid.routes(), *(one for one in made if isinstance(one, Route))]


def _sessions(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.services.sessions
    return sessions


def _has_provider(request: Request) -> bool:
    return request.app.state.services.openid is not None


def show_graphiql() -> Response:
    """Answer GraphiQL, which asks /graphql with the session of its reader, or with the token that he types."""
    return graphiql.show()


async def not_found(request: Request, _: Exception) -> Response:
    """Answer a path that is none: a browser that is not signed in is led to the sign-in, and told nothing."""
    if ORIGIN not in request.scope or "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse("Not Found", HTTPStatus.NOT_FOUND)
    if await request.app.state.services.sessions.of(request) is None:
        return way_in(request)
    return page("not_found", "No such page", HTTPStatus.NOT_FOUND)


async def unavailable(_: Request, __: Exception) -> Response:
    """Answer that nobody's session can be looked up now."""
    return page("unavailable", "Not now", HTTPStatus.SERVICE_UNAVAILABLE)


def _behind_sign_in(handler: Handler, clock: Clock) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        services: Services = request.app.state.services
        session = await services.sessions.of(request)
        if session is None:
            return way_in(request)
        current_request().token_id = session.principal.token_id
        visit = Visit(request, session, services, clock())
        try:
            await visit.choose_customer()
            return await handler(visit)
        except HttpError as refused:
            return page("refused", "Not now", refused.status, why=str(refused))

    return answer


async def _choose_theme(request: Request) -> Response:
    form = await read_form(request)
    chosen = form.get("theme") if form.get("theme") in THEMES else THEMES[0]
    cookie = f"{THEME_COOKIE}={chosen}; Path=/; Max-Age={_YEAR}; HttpOnly; SameSite=Strict"
    return redirect(inside(form.get("next", "/")), cookie)
