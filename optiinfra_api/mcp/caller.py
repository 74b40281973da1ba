"""One call of a tool: for whom it is, and its only way to the data, which is the execution that /graphql has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from optiinfra_api.access.services import Services
from optiinfra_api.http.http_errors import HttpError
from optiinfra_api.mcp.arguments import ArgumentRefused
from optiinfra_assets.metadata.tokens import Principal

_CUSTOMERS: Final = "query McpCustomers { customers(first: 100) { nodes { customerId } pageInfo { hasNextPage } } }"


class ToolFailed(Exception):
    """The tool has no answer; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls a tool, from which address, and on which UTC day."""

    principal: Principal
    services: Services
    address: str
    today: date

    async def run(self, document: str, variables: dict[str, Any], name: str | None = None) -> dict[str, Any]:
        """Return what a client of /graphql is answered.

        Raises:
            ToolFailed: the operation is over a limit, or too many of the token are under way.
        """
        operation = {"query": document, "variables": variables, "operationName": name}
        try:
            return await self.services.answered(operation, self.principal, self.address)
        except HttpError as refused:
            raise ToolFailed(str(refused)) from None

    async def ask(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the data of a document of ours about the customer that `variables` name.

        Raises:
            ArgumentRefused: the token is for all customers, and none is named.
            ToolFailed: a field has an error.
        """
        if self.principal.customer_id is None and variables["customer"] is None:
            raise ArgumentRefused(
                f"customer: is needed, since the token is for all customers: {await self._customers()}"
            )
        answer = await self.run(document, variables)
        if "errors" in answer:
            raise ToolFailed(said_by(answer["errors"]).replace("customerId", "customer"))
        found: dict[str, Any] = answer["data"]
        return found

    async def _customers(self) -> str:
        found = (await self.run(_CUSTOMERS, {}))["data"]["customers"]
        names = [one["customerId"] for one in found["nodes"]]
        more = " and others" * found["pageInfo"]["hasNextPage"]
        return f"one of {', '.join(names)}{more}" if names else "there is none yet"


def said_by(errors: list[dict[str, Any]]) -> str:
    """What the errors of GraphQL say, each once, with what to do."""
    ends = (".", "?", "!")
    texts = (
        f"{one['message']}{'' if one['message'].endswith(ends) else '.'} {one['extensions'].get('remedy', '')}".strip()
        for one in errors
    )
    return "\n".join(dict.fromkeys(texts))
