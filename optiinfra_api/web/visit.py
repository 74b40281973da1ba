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
from optiinfra_api.exploring.display import CURRENCIES, PARAMETER, chosen_display, converted, in_currency
from optiinfra_api.web.pages import SCRIPT_POLICY, page
from optiinfra_api.web.sign_in import described
from optiinfra_assets.metadata.tokens import Role
from optiinfra_assets.metadata.web_sessions import WebSession

THEME_COOKIE: Final = "optiinfra_theme"
THEMES: Final = ("system", "light", "dark")
NAVIGATION: Final = (
    ("overview", "Overview", "/"),
    ("explore", "Explore", "/explore"),
    ("forecast", "Forecast", "/forecast"),
    ("resources", "Resources", "/resources"),
    ("invoices", "Invoices", "/invoices"),
    ("anomalies", "Anomalies", "/anomalies"),
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
    "anomaly": "anomalies",
    "no_anomaly": "anomalies",
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
        note: why costs are not shown in the currency that the reader chose; empty if they are.
    """

    request: Request
    session: WebSession
    services: Services
    now: datetime
    customer_id: str | None = None
    customers: list[dict[str, str]] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    note: str = ""

    @property
    def role(self) -> Role:
        """What the session may do."""
        return acting(self.session).role

    @property
    def is_read_only(self) -> bool:
        """Whether the session may change nothing at all."""
        return self.session.is_read_only

    @property
    def display(self) -> str:
        """The currency that costs are shown in, '' as they are billed; it stands in the address."""
        return chosen_display(self.request.query_params.get(PARAMETER))

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
        operation = {"query": in_currency(document, self.display), "variables": variables}
        answer = await self.services.answered(operation, acting(self.session), address(self.request))
        for error in answer.get("errors", ()):
            problem = {"message": error["message"], "remedy": error["extensions"].get("remedy", "")}
            if problem not in self.problems:
                self.problems.append(problem)
        found, note = converted(answer.get("data") or {}, self.display)
        self.note = self.note or note
        return found

    def link(self, path: str, **parameters: str | Sequence[str]) -> str:
        """The address of a page for the same customer, in the same currency."""
        query = urlencode({**parameters, **self._chosen()}, doseq=True)
        return f"{path}?{query}" if query else path

    def fields(self, parameters: Mapping[str, str | Sequence[str]]) -> list[tuple[str, str]]:
        """Parameters of an address as the hidden fields of a form, with the customer and the currency."""
        return [
            (name, one)
            for name, found in {**parameters, **self._chosen()}.items()
            for one in ([found] if isinstance(found, str) else found)
        ]

    def _chosen(self) -> dict[str, str]:
        """What every address of a page keeps."""
        customer = {"customer": self.customer_id} if self.customers and self.customer_id else {}
        return customer | ({PARAMETER: self.display} if self.display else {})

    def _switched(self) -> list[tuple[str, str]]:
        """What the form that chooses a currency keeps of the address; of a page that answers a form, the customer only."""
        given = self.request.query_params.multi_items() if self.request.method == "GET" else self.fields({})
        return [(name, value) for name, value in given if name != PARAMETER]

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
            display=self.display,
            displays=[*CURRENCIES, *([self.display] if self.display not in (*CURRENCIES, "") else [])],
            switched=(self.request.url.path if self.request.method == "GET" else home, self._switched()),
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
