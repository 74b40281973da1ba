"""Forms for credentials. Their fields are those of the GraphQL inputs, which are made of the providers' credential models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from optiinfra_api.web.sign_in import number_of
from optiinfra_api.web.visit import Visit

PROVIDERS: Final = """query Providers {
  __type(name: "CredentialInput") { inputFields { name type { name description } } }
}"""
FIELDS: Final = """query Fields($input: String!) {
  __type(name: $input) { inputFields { name description type { kind name ofType { kind name } } } }
}"""
REFUSALS: Final = """
    ... on CredentialNotFound { message remedy }
    ... on CredentialExists { message remedy }
    ... on CredentialNotAccepted { message remedy field }
    ... on ProviderRefused { message remedy }
    ... on VaultRefused { message remedy }"""
"""What every mutation of a credential may answer instead of one."""

_CAPITAL: Final = re.compile("[A-Z]")
_SECRET: Final = "Secret: it is stored encrypted, and no query answers it. "  # noqa: S105 - how such a field's help begins


async def providers(visit: Visit) -> dict[str, dict[str, str]]:
    """Title, explanation and input type of each provider, by its name."""
    inputs = ((await visit.ask(PROVIDERS)).get("__type") or {}).get("inputFields", [])
    found = {}
    for one in inputs:
        title, _, about = one["type"]["description"].partition(". ")
        found[one["name"]] = {"title": title, "about": about, "input": one["type"]["name"]}
    return found


async def fields_of(visit: Visit, provider: Mapping[str, str] | None) -> list[dict[str, Any]]:
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


def value_of(field: Mapping[str, Any], text: str) -> Any:
    """What the form sent for a field, in the field's type."""
    if field["type"] == "Int":
        return number_of(text)
    if field["type"] == "Boolean":
        return text == "true"
    return [one.strip() for one in text.split(",") if one.strip()] if field["type"] == "LIST" else text.strip()


def shown_settings(settings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Stored settings as a form shows them, by name: a list as its values with commas."""
    return {one["name"]: _listed(one["value"]) if one["value"].startswith("[") else one["value"] for one in settings}


def _listed(value: str) -> str:
    try:
        return ", ".join(json.loads(value))
    except (ValueError, TypeError):
        return value
