"""Changes of one account: its settings and secret, with a test before anything is stored, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.web.credential_forms import REFUSALS, fields_of, providers, shown_settings, value_of
from optiinfra_api.web.sign_in import read_form, redirect
from optiinfra_api.web.visit import Visit

CREDENTIAL: Final = """query Credential($customer: String, $account: String!) {
  credential(customerId: $customer, accountId: $account) {
    account name provider status isSimulated version createdAt updatedAt rotatedAt deletedAt settings { name value }
  }
  accounts(customerId: $customer, account: $account, first: 1) { nodes { knownBillingPeriods dataThrough } }
}"""
_CREDENTIAL: Final = f"... on Credential {{ account }}{REFUSALS}"
UPDATE: Final = f"""mutation Update($customer: String, $account: String!, $settings: SettingsInput!, $secrets: SecretsInput) {{
  changed: updateCredential(customerId: $customer, accountId: $account, settings: $settings, secrets: $secrets) {{
    {_CREDENTIAL}
  }}
}}"""
ROTATE: Final = f"""mutation Rotate($customer: String, $account: String!, $secrets: SecretsInput!) {{
  changed: rotateCredential(customerId: $customer, accountId: $account, secrets: $secrets) {{
    {_CREDENTIAL}
  }}
}}"""
DELETE: Final = f"""mutation Delete($customer: String, $account: String!) {{
  changed: deleteCredential(customerId: $customer, accountId: $account) {{
    {_CREDENTIAL}
  }}
}}"""
PURGE: Final = f"""mutation Purge($customer: String, $account: String!) {{
  changed: purgeCredential(customerId: $customer, accountId: $account) {{
    {_CREDENTIAL}
  }}
}}"""
TEST: Final = """mutation Test($customer: String, $account: String!) {
  changed: testCredential(customerId: $customer, accountId: $account) {
    ... on CredentialTested { billingAccounts billingPeriods tried warnings { message } }
    ... on CredentialNotFound { message remedy }
    ... on ProviderRefused { message remedy }
    ... on VaultRefused { message remedy }
  }
}"""


async def show(visit: Visit) -> Response:
    """Answer the form with the settings as they are."""
    return await _form(visit, {})


async def save(visit: Visit) -> Response:
    """Test and store what differs from what is stored, and lead to the account; what is refused is said above the form."""
    credential, account = await _credential(visit)
    sent = await read_form(visit.request)
    if credential is None:
        return _none(visit, account)
    fields = await fields_of(visit, (await providers(visit)).get(credential["provider"]))
    settings, secrets = _changes(fields, shown_settings(credential["settings"]), sent)
    provider = credential["provider"]
    if settings:
        given = {"settings": {provider: settings}, "secrets": {provider: secrets} if secrets else None}
        is_done = await _changed(visit, UPDATE, account=account, **given)
    elif secrets:
        is_done = await _changed(visit, ROTATE, account=account, secrets={provider: secrets})
    else:
        visit.problems.append(
            {"message": "Nothing was changed.", "remedy": "Change a setting, or fill in the new secret."}
        )
        is_done = False
    if is_done:
        return redirect(visit.link("/accounts/account", account=account))
    return await _form(visit, sent, HTTPStatus.UNPROCESSABLE_ENTITY)


async def test(visit: Visit) -> Response:
    """Ask the provider with what is stored, and say what it has."""
    account = visit.request.query_params.get("account", "")
    answer = (await visit.ask(TEST, customer=visit.customer_id, account=account)).get("changed") or {}
    if "message" in answer:
        visit.problems.append(answer)
    return await _form(visit, {}, tested=answer if "billingPeriods" in answer else None)


async def show_end(visit: Visit) -> Response:
    """Answer what goes and what stays if the account is deleted, and the form for it."""
    credential, account = await _credential(visit)
    if credential is None:
        return _none(visit, account)
    return visit.shown("account_end", f"Delete {account}", credential=credential, account=account)


async def end(visit: Visit) -> Response:
    """Delete the account if its name was typed, erase its secret too if that was asked for, and lead to the list."""
    sent = await read_form(visit.request)
    account = visit.request.query_params.get("account", "")
    if sent.get("typed", "").strip() != account:
        typed = sent.get("typed", "")
        visit.problems.append({"message": f"{typed!r} is not the name of the account.", "remedy": f"Type {account}."})
        return await show_end(visit)
    credential, _ = await _credential(visit)
    is_active = credential is not None and credential["status"] == "ACTIVE"
    is_done = not is_active or await _changed(visit, DELETE, account=account)
    if is_done and (sent.get("erases") or not is_active):
        is_done = await _changed(visit, PURGE, account=account)
    return redirect(visit.link("/accounts")) if is_done else await show_end(visit)


async def _form(
    visit: Visit, sent: Mapping[str, str], status: HTTPStatus = HTTPStatus.OK, *, tested: dict[str, Any] | None = None
) -> Response:
    credential, account = await _credential(visit)
    if credential is None:
        return _none(visit, account)
    return visit.shown(
        "account_settings",
        f"Settings of {account}",
        status,
        account=account,
        credential=credential,
        fields=await fields_of(visit, (await providers(visit)).get(credential["provider"])),
        values={**shown_settings(credential["settings"]), **sent},
        tested=tested,
    )


def _none(visit: Visit, account: str) -> Response:
    status = HTTPStatus.OK if visit.problems else HTTPStatus.NOT_FOUND
    return visit.shown("no_account", "No such account", status, account=account)


async def _credential(visit: Visit) -> tuple[dict[str, Any] | None, str]:
    """The account that the address names, None if there is none or the reader is no administrator, and its id."""
    account = visit.request.query_params.get("account", "")
    found = await visit.ask(CREDENTIAL, customer=visit.customer_id, account=account)
    credential = found.get("credential")
    known = (found.get("accounts") or {}).get("nodes") or [{}]
    return credential and {**known[0], **credential}, account


async def _changed(visit: Visit, mutation: str, **asked: Any) -> bool:
    """Run a mutation; whether it did what it is for. If not, why is said."""
    answer: dict[str, Any] = (await visit.ask(mutation, customer=visit.customer_id, **asked)).get("changed") or {}
    if "message" in answer:
        visit.problems.append(answer)
    return "account" in answer


def _changes(
    fields: list[dict[str, Any]], stored: Mapping[str, str], sent: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that differ from those stored, None for one that was emptied, and the secrets that were filled in."""
    filled = {one["name"]: value_of(one, sent[one["name"]]) for one in fields if sent.get(one["name"])}
    secret = {one["name"] for one in fields if one["is_secret"]}
    settings = {
        one["name"]: filled.get(one["name"])
        for one in fields
        if not one["is_secret"] and sent.get(one["name"], "") != stored.get(one["name"], "")
    }
    return settings, {name: value for name, value in filled.items() if name in secret}
