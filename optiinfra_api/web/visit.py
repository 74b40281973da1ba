"""One request for a page by somebody who is signed in: whose data it shows, and the only way from a page to them.

A page asks GraphQL documents of ours through the same execution as /graphql: with its roles, limits, tenancy and log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from optiinfra_api.access.request_authentication import acting, address
from optiinfra_api.access.services import Services
from optiinfra_api.web.pages import SCRIPT_POLICY, page
from optiinfra_api.web.sign_in import described
from optiinfra_assets.metadata.tokens import Role
from optiinfra_assets.metadata.web_sessions import WebSession

THEME_COOKIE: Final = "optiinfra_theme"
THEMES: Final = ("system", "light", "dark")
NAVIGATION: Final = (
    ("overview", "Overview", "/"),
    ("explore", "Explore", "/explore"),
    ("resources", "Resources", "/resources"),
    ("invoices", "Invoices", "/invoices"),
    ("accounts", "Accounts", "/accounts"),
    ("alerts", "Alerts", "/alerts"),
    ("settings", "Settings", "/settings"),
)
"""Key, name and path of each page, in the order they are shown."""

_SECTIONS: Final = {
    "account": "accounts",
    "no_account": "accounts",
    "connect": "accounts",
    "account_settings": "accounts",
    "account_end": "accounts",
    "audit": "settings",
    "resource": "resources",
    "no_resource": "resources",
}
"""Pages that lie below another one of the navigation."""

_CUSTOMERS: Final = "query Customers { customers(first: 1000) { nodes { customerId name } } }"


@dataclass(slots=True)
class Visit:
    """A request, who sent it, and what went wrong while it was answered.

    Attributes:
        now: when it came, UTC.
        customer_id: whose data are shown; None: the token is for all customers, and there is none yet.
        customers: those that may be chosen; empty if the token is for one.
        problems: errors of GraphQL, each with ``message`` and ``remedy``; each once.
    """

    request: Request
    session: WebSession
    services: Services
    now: datetime
    customer_id: str | None = None
    customers: list[dict[str, str]] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)

    @property
    def role(self) -> Role:
        """What the session may do."""
        return acting(self.session).role

    @property
    def is_read_only(self) -> bool:
        """Whether the session may change nothing at all."""
        return self.session.is_read_only

    async def choose_customer(self) -> None:
        """Find out whose data are shown: the token's own, or for a token of all customers that in the address, else the first."""
        asked = self.request.query_params.get("customer") or None
        self.customer_id = asked or self.session.principal.customer_id
        if self.session.principal.customer_id is None:
            self.customers = ((await self.ask(_CUSTOMERS)).get("customers") or {}).get("nodes", [])
            if asked is None and self.customers:
                self.customer_id = self.customers[0]["customerId"]

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """Return the data of a GraphQL operation, by field; a field that failed is None, and why is in `problems`."""
        operation = {"query": document, "variables": variables}
        answer = await self.services.answered(operation, acting(self.session), address(self.request))
        for error in answer.get("errors", ()):
            problem = {"message": error["message"], "remedy": error["extensions"].get("remedy", "")}
            if problem not in self.problems:
                self.problems.append(problem)
        return answer.get("data") or {}

    def link(self, path: str, **parameters: str | Sequence[str]) -> str:
        """The address of a page for the same customer."""
        chosen = {"customer": self.customer_id} if self.customers and self.customer_id else {}
        query = urlencode({**parameters, **chosen}, doseq=True)
        return f"{path}?{query}" if query else path

    def fields(self, parameters: Mapping[str, str | Sequence[str]]) -> list[tuple[str, str]]:
        """Parameters of an address as the hidden fields of a form, with the customer."""
        chosen = {"customer": self.customer_id} if self.customers and self.customer_id else {}
        return [
            (name, one)
            for name, found in {**parameters, **chosen}.items()
            for one in ([found] if isinstance(found, str) else found)
        ]

    def shown(self, name: str, title: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
        """Answer a page in the frame that all of them have."""
        query = self.request.url.query if self.request.method == "GET" else ""
        section = _SECTIONS.get(name, name)
        home = next((path for key, _, path in NAVIGATION if key == section), "/")
        return page(
            name,
            title,
            status,
            policy=SCRIPT_POLICY,
            active=section,
            section_path=home,
            navigation=[(key, label, self.link(path)) for key, label, path in NAVIGATION],
            who=described(self.session),
            token_name=self.session.principal.name,
            dagster=self.services.settings.dagster_url if self.session.principal.is_platform_admin else None,
            theme=theme_of(self.request),
            here=f"{self.request.url.path}?{query}" if query else home,
            customer_id=self.customer_id,
            customers=self.customers,
            problems=self.problems,
            visit=self,
            **values,
        )


Handler = Callable[[Visit], Awaitable[Response]]
"""Answers a page."""


def theme_of(request: Request) -> str:
    """The theme that the reader chose; ``system``: that of his system."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "system"
