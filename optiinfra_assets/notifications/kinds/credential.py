"""Credentials that a provider rejects, or that are about to expire.

No provider tells when a credential ends, so that is known from the rule: how many days a secret is accepted after it was stored.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from optiinfra_assets.domain.alerts import AlertMessage, AlertRule
from optiinfra_assets.domain.failures import Failure, Fault
from optiinfra_assets.metadata.accounts import AccountState
from optiinfra_assets.notifications.kinds.base import Facts, Found, account_path, shown
from optiinfra_assets.vault.credentials import Credential


def find_credentials(facts: Facts, rule: AlertRule) -> Found:
    """Find the accounts whose credential is rejected, and those whose secret ends within the days of the rule."""
    states = facts.metadata.accounts.states(customer_id=rule.customer_id)
    accounts = {
        one.account.account_id: one for one in states if one.status == "active" and rule.covers(one.account.account_id)
    }
    holding: dict[str, Callable[[], AlertMessage]] = {}
    for failure in facts.metadata.failures.find(customer_id=rule.customer_id):
        if failure.fault == Fault.CREDENTIAL and failure.account_id in accounts:
            holding.setdefault(
                f"{failure.account_id} rejected", partial(_rejected, facts, accounts[failure.account_id], failure)
            )
    lifetime, before = (timedelta(days=float(rule.number(name))) for name in ("lifetime", "days"))
    if lifetime:
        for one in facts.metadata.credentials.stored(rule.customer_id):
            if one.account_id in accounts and facts.now >= one.updated_at + lifetime - before:
                place = f"{one.account_id} version {one.version} ends"
                holding[place] = partial(_ends, facts, accounts[one.account_id], one, lifetime)
    return Found.of_conditions(rule, facts.now, holding)


def _rejected(facts: Facts, state: AccountState, failure: Failure) -> AlertMessage:
    title = f"The credential of {failure.account_id} is rejected since {shown(failure.since)}"
    return _message(facts, state, title, f"{failure.message}. {failure.remedy}")


def _ends(facts: Facts, state: AccountState, credential: Credential, lifetime: timedelta) -> AlertMessage:
    end = credential.updated_at + lifetime
    when = f"ends {shown(end)}" if end > facts.now else f"has ended {shown(end)}"
    text = (
        f"Its secret was stored {shown(credential.updated_at)} and is accepted for {lifetime.days} days. "
        "Make a new one at the provider and give it to the account."
    )
    return _message(facts, state, f"The credential of {credential.account_id} {when}", text)


def _message(facts: Facts, state: AccountState, title: str, text: str) -> AlertMessage:
    account = state.account
    return AlertMessage(
        title=title,
        text=text,
        path=account_path(account.account_id),
        data_through=facts.data_through(account.customer_id, account.account_id),
        is_simulated=account.is_simulated,
    )
