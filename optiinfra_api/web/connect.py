"""Connects a billing account by a form. Its fields are those of the GraphQL input, which is made of the provider's credential model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.web.sign_in import read_form, redirect
from optiinfra_api.web.visit import Visit

PROVIDERS: Final = """query Providers {
  __type(name: "CredentialInput") { inputFields { name type { name description } } }
}"""
FIELDS: Final = """query Fields($input: String!) {
  __type(name: $input) { inputFields { name description type { kind name ofType { kind name } } } }
}"""
CONNECT: Final = """mutation Connect($customer: String, $name: String!, $credential: CredentialInput!) {
  addCredential(customerId: $customer, name: $name, credential: $credential) {
    ... on Credential { account }
    ... on CredentialNotFound { message remedy }
    ... on CredentialExists { message remedy }
    ... on CredentialNotAccepted { message remedy field }
    ... on ProviderRefused { message remedy }
    ... on VaultRefused { message remedy }
  }
}"""

_CAPITAL: Final = re.compile("[A-Z]")
_SECRET: Final = "Secret: it is stored encrypted, and no query answers it. "  # noqa: S105 - how such a field's help begins


async def show(visit: Visit) -> Response:
    """Answer the form for the provider in the address, or the choice of one."""
    return await _form(visit, visit.request.query_params.get("provider", ""), {})


async def connect(visit: Visit) -> Response:
    """Test and store what the form sent, and lead to the account; what is refused is said above the form."""
    sent = await read_form(visit.request)
    provider = sent.get("provider", "")
    fields = await _fields(visit, (await _providers(visit)).get(provider))
    credential = {one["name"]: _value(one, sent[one["name"]]) for one in fields if sent.get(one["name"])}
    asked = {"customer": visit.customer_id, "name": sent.get("account", ""), "credential": {provider: credential}}
    answer: dict[str, Any] = (await visit.ask(CONNECT, **asked)).get("addCredential") or {}
    if "account" in answer:
        return redirect(visit.link("/accounts/account", account=answer["account"]))
    if answer:
        visit.problems.append(answer)
    return await _form(visit, provider, sent, HTTPStatus.UNPROCESSABLE_ENTITY)


async def _form(visit: Visit, provider: str, sent: Mapping[str, str], status: HTTPStatus = HTTPStatus.OK) -> Response:
    offered = await _providers(visit)
    return visit.shown(
        "connect",
        "Connect a cloud",
        status,
        offered=[(name, one["title"], visit.link("/accounts/connect", provider=name)) for name, one in offered.items()],
        chosen=provider if provider in offered else "",
        about=offered[provider]["about"] if provider in offered else "",
        fields=await _fields(visit, offered.get(provider)),
        sent=sent,
    )


async def _providers(visit: Visit) -> dict[str, dict[str, str]]:
    """Title, explanation and input type of each provider, by its name."""
    inputs = ((await visit.ask(PROVIDERS)).get("__type") or {}).get("inputFields", [])
    found = {}
    for one in inputs:
        title, _, about = one["type"]["description"].partition(". ")
        found[one["name"]] = {"title": title, "about": about, "input": one["type"]["name"]}
    return found


async def _fields(visit: Visit, provider: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """The fields of the form of a provider; none without one."""
    if provider is None:
        return []
    found = (await visit.ask(FIELDS, input=provider["input"])).get("__type") or {}
    return [_field(one) for one in found.get("inputFields", ())]


def _field(one: Mapping[str, Any]) -> dict[str, Any]:
    kind, is_required, help_ = one["type"], one["type"]["kind"] == "NON_NULL", one["description"]
    kind = kind["ofType"] if is_required else kind
    return {
        "name": one["name"],
        "label": _CAPITAL.sub(lambda found: f" {found[0].lower()}", one["name"]).capitalize(),
        "help": help_.removeprefix(_SECRET),
        "is_secret": help_.startswith(_SECRET),
        "is_required": is_required,
        "type": "LIST" if kind["kind"] == "LIST" else kind["name"],
    }


def _value(field: Mapping[str, Any], text: str) -> Any:
    """What the form sent for a field, in the field's type; a number that is none stays text, and GraphQL says so."""
    if field["type"] == "Int" and text.strip().lstrip("-").isdecimal():
        return int(text)
    if field["type"] == "Boolean":
        return text == "true"
    return [one.strip() for one in text.split(",") if one.strip()] if field["type"] == "LIST" else text.strip()
