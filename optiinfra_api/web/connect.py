"""Connects a billing account by a form."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.web.credential_forms import REFUSALS, fields_of, providers, shown_settings, value_of
from optiinfra_api.web.sign_in import read_form, redirect
from optiinfra_api.web.visit import Visit

CONNECT: Final = f"""mutation Connect($customer: String, $name: String!, $credential: CredentialInput!) {{
  addCredential(customerId: $customer, name: $name, credential: $credential) {{
    ... on Credential {{ account }}{REFUSALS}
  }}
}}"""
STORED: Final = """query Stored($customer: String, $account: String!) {
  credential(customerId: $customer, accountId: $account) { name provider settings { name value } }
}"""


async def show(visit: Visit) -> Response:
    """Answer the form for the provider in the address, or the choice of one; or for an account that was deleted, with its settings."""
    given = visit.request.query_params
    found = await visit.ask(STORED, customer=visit.customer_id, account=given["again"]) if given.get("again") else {}
    stored = found.get("credential")
    if stored is None:
        return await _form(visit, given.get("provider", ""), {})
    return await _form(visit, stored["provider"], {"account": stored["name"], **shown_settings(stored["settings"])})


async def connect(visit: Visit) -> Response:
    """Test and store what the form sent, and lead to the account; what is refused is said above the form."""
    sent = await read_form(visit.request)
    provider = sent.get("provider", "")
    fields = await fields_of(visit, (await providers(visit)).get(provider))
    credential = {one["name"]: value_of(one, sent[one["name"]]) for one in fields if sent.get(one["name"])}
    asked = {"customer": visit.customer_id, "name": sent.get("account", ""), "credential": {provider: credential}}
    answer: dict[str, Any] = (await visit.ask(CONNECT, **asked)).get("addCredential") or {}
    if "account" in answer:
        return redirect(visit.link("/accounts/account", account=answer["account"]))
    if answer:
        visit.problems.append(answer)
    return await _form(visit, provider, sent, HTTPStatus.UNPROCESSABLE_ENTITY)


async def _form(visit: Visit, provider: str, sent: Mapping[str, str], status: HTTPStatus = HTTPStatus.OK) -> Response:
    offered = await providers(visit)
    return visit.shown(
        "connect",
        "Connect a cloud",
        status,
        offered=[(name, one["title"], visit.link("/accounts/connect", provider=name)) for name, one in offered.items()],
        chosen=provider if provider in offered else "",
        about=offered[provider]["about"] if provider in offered else "",
        fields=await fields_of(visit, offered.get(provider)),
        sent=sent,
    )
