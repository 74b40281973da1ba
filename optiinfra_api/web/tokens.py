"""Settings: the tokens of a customer, for its administrators."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.web.sign_in import number_of, read_form, redirect
from optiinfra_api.web.visit import Visit

TOKENS: Final = """query Tokens($customer: String) {
  tokens(customerId: $customer, first: 1000) {
    nodes { tokenId name customerId role createdAt expiresAt lastUsedAt revokedAt }
  }
}"""
CREATE: Final = """mutation CreateToken($customer: String, $name: String!, $role: TokenRole!, $days: Int) {
  createToken(customerId: $customer, name: $name, role: $role, days: $days) {
    ... on TokenCreated { secret token { name role } }
    ... on TokenNotAccepted { message remedy }
  }
}"""
REVOKE: Final = """mutation RevokeToken($token: String!) {
  revokeToken(tokenId: $token) {
    ... on TokenRevoked { token { tokenId } }
    ... on TokenNotFound { message remedy }
  }
}"""
ROLES: Final = {
    "VIEWER": "Viewer: reads",
    "OPERATOR": "Operator: also collects",
    "ADMIN": "Administrator: also manages accounts and tokens",
}


async def show(visit: Visit, made: dict[str, Any] | None = None) -> Response:
    """Answer the page; with a token that was just `made`, that is shown this once."""
    if visit.customer_id is None:
        return visit.shown("no_customer", "Settings")
    found = await visit.ask(TOKENS, customer=visit.customer_id) if visit.role == "admin" else {}
    nodes = (found.get("tokens") or {}).get("nodes", [])
    return visit.shown(
        "settings", "Settings", tokens=[one for one in nodes if not one["revokedAt"]], made=made, roles=ROLES
    )


async def create(visit: Visit) -> Response:
    """Make a token as the form says."""
    sent = await read_form(visit.request)
    days = sent.get("days", "").strip()
    asked = {"customer": visit.customer_id, "name": sent.get("name", ""), "role": sent.get("role", "VIEWER")}
    found = await visit.ask(CREATE, **asked, days=number_of(days) if days else None)
    answer: dict[str, Any] = found.get("createToken") or {}
    if "secret" in answer:
        return await show(visit, answer)
    if answer:
        visit.problems.append(answer)
    return await show(visit)


async def revoke(visit: Visit) -> Response:
    """Revoke a token, and lead back."""
    found = await visit.ask(REVOKE, token=(await read_form(visit.request)).get("token", ""))
    answer: dict[str, Any] = found.get("revokeToken") or {}
    if "message" in answer:
        visit.problems.append(answer)
    return await show(visit) if visit.problems else redirect(visit.link("/settings"))
