"""Accounts that fail or stand still, by what the platform knows of them anyway."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from optiinfra_assets.domain.alerts import AlertMessage, AlertRule
from optiinfra_assets.domain.failures import Failure
from optiinfra_assets.domain.freshness import UNCHECKED, UNCOLLECTED
from optiinfra_assets.metadata.accounts import AccountState
from optiinfra_assets.notifications.kinds.base import Facts, Found, account_path, shown


def find_troubles(facts: Facts, rule: AlertRule) -> Found:
    """Find the accounts that fail for so long, and those that nobody checks or collects. One account is told once for each of the two."""
    lasting = timedelta(minutes=float(rule.number("minutes")))
    states = facts.metadata.accounts.states(customer_id=rule.customer_id)
    accounts = {one.account.account_id: one for one in states if one.status == "active"}
    watched = {account: state for account, state in accounts.items() if rule.covers(account)}
    failures: dict[str, list[Failure]] = defaultdict(list)
    for one in facts.metadata.failures.find(customer_id=rule.customer_id):
        failures[one.account_id].append(one)
    since = {account: min(one.since for one in found) for account, found in failures.items()}
    failing = {account for account in watched if account in since and facts.now - since[account] >= lasting}
    holding: dict[str, Callable[[], AlertMessage]] = {
        f"{one} fails": partial(_fails, facts, watched[one], failures[one], since[one]) for one in failing
    }
    for account, (begun, text) in _standing_still(facts, rule.customer_id, watched, lasting).items():
        if account not in failures:
            holding[f"{account} stands still"] = partial(_stands_still, facts, watched[account], begun, text)
    return Found.of_conditions(rule, facts.now, holding)


def _fails(facts: Facts, state: AccountState, failures: list[Failure], since: datetime) -> AlertMessage:
    months = [str(one.billing_period) for one in failures if one.billing_period]
    first = next((one for one in failures if one.billing_period is None), failures[0])
    which = f" Months that could not be collected: {', '.join(sorted(months)[-6:])}." if months else ""
    what = "cannot be read" if first.billing_period is None else "cannot be collected"
    return _message(
        facts,
        state,
        f"{state.account.account_id} {what} since {shown(since)}",
        f"{first.message}.{which} {first.remedy}",
    )


def _standing_still(
    facts: Facts, customer_id: str, watched: dict[str, AccountState], lasting: timedelta
) -> dict[str, tuple[datetime, str]]:
    found: dict[str, tuple[datetime, str]] = {}
    for one in facts.metadata.slices.states(customer_id=customer_id, due=True):
        account, seen_at = one.slice.account_id, one.seen_at
        if account in watched and seen_at and facts.now - seen_at > max(UNCOLLECTED, lasting):
            text = f"The change of {one.slice.billing_period} that was seen then is not collected yet."
            found[account] = min(found.get(account, (seen_at, text)), (seen_at, text))
    for account, state in watched.items():
        since = state.last_probe_at or state.created_at
        if facts.now - since > max(UNCHECKED, lasting):
            found[account] = (since, "Nobody has asked its source for changes since then.")
    return found


def _stands_still(facts: Facts, state: AccountState, since: datetime, text: str) -> AlertMessage:
    remedy = "Look whether the schedules run: optiinfra status, or Dagster's web interface."
    return _message(facts, state, f"{state.account.account_id} stands still since {shown(since)}", f"{text} {remedy}")


def _message(facts: Facts, state: AccountState, title: str, text: str) -> AlertMessage:
    account = state.account
    return AlertMessage(
        title=title,
        text=text,
        path=account_path(account.account_id),
        data_through=facts.data_through(account.customer_id, account.account_id),
        is_simulated=account.is_simulated,
    )
