"""What was done with customers, tokens, saved views and credentials, by whom and from where; for administrators."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.web.visit import Visit

LOGS: Final = {"access": "Access", "credentials": "Credentials"}
MOST_ROWS: Final = 50
ACCESS: Final = """query AccessLog($customer: String, $first: Int!, $after: String) {
  log: accessAuditLog(customerId: $customer, first: $first, after: $after) {
    nodes { at actor origin action customerId tokenId role name detail }
    pageInfo { hasNextPage endCursor }
  }
}"""
CREDENTIALS: Final = """query CredentialLog($customer: String, $first: Int!, $after: String) {
  log: credentialAuditLog(customerId: $customer, first: $first, after: $after) {
    nodes { at actor origin action outcome account version purpose detail }
    pageInfo { hasNextPage endCursor }
  }
}"""
_TOKENS: Final = (
    """query Names($customer: String) { tokens(customerId: $customer, first: 1000) { nodes { tokenId name } } }"""
)


async def show(visit: Visit) -> Response:
    """Answer one page of one of the logs, the newest first."""
    if visit.customer_id is None:
        return visit.shown("no_customer", "Audit log")
    given = visit.request.query_params
    log = given.get("log") if given.get("log") in LOGS else "access"
    found: dict[str, Any] = {}
    names: dict[str, str] = {}
    if visit.role == "admin":
        document = ACCESS if log == "access" else CREDENTIALS
        asked = {"customer": visit.customer_id, "first": MOST_ROWS, "after": given.get("after") or None}
        found = (await visit.ask(document, **asked)).get("log") or {}
        tokens = (await visit.ask(_TOKENS)).get("tokens") or {}
        names = {one["tokenId"]: one["name"] for one in tokens.get("nodes", [])}
    info = found.get("pageInfo") or {}
    older = visit.link("/settings/audit", log=str(log), after=info["endCursor"]) if info.get("hasNextPage") else None
    return visit.shown(
        "audit",
        "Audit log",
        log=log,
        logs=[(key, label, visit.link("/settings/audit", log=key)) for key, label in LOGS.items()],
        rows=found.get("nodes", []),
        names=names,
        older=older,
    )
