"""Probing many accounts in bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from orchestrated import Scripted

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.ingestion.probe_pool import WORKERS, ProbeResult, probe_all
from optiinfra_assets.providers.base import Probe
from optiinfra_assets.providers.context import transient_context


class Gated(Scripted):
    """Answers at once, except for accounts that wait for a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.hanging: set[str] = set()
        self.asked: list[str] = []

    def probe(self, account: Account, since: object, context: object = None) -> Probe:
        self.asked.append(account.account_id)
        if account.account_id in self.hanging:
            self.gate.wait(30)
        return Probe({BillingPeriod(2026, 10): "token"})


@pytest.fixture
def gated() -> Iterator[Gated]:
    """A provider whose gate opens at the end, so that no thread stays behind."""
    provider = Gated()
    yield provider
    provider.gate.set()
    time.sleep(0.1)


def probed(provider: Gated, count: int, budget: float = 10, account_seconds: float = 0.5) -> dict[str, ProbeResult]:
    """Probe accounts ``acme.0`` and on."""
    accounts = [Account(f"acme.{number}", "acme", "scripted") for number in range(count)]
    found = list(
        probe_all(
            accounts,
            {"scripted": provider},
            {},
            lambda account: (account, transient_context()),
            budget=budget,
            account_seconds=account_seconds,
        )
    )
    assert len({one.account.account_id for one in found}) == len(found)
    return {one.account.account_id: one for one in found}


def test_every_account_is_asked_once(gated: Gated) -> None:
    found = probed(gated, 500)
    assert len(found) == len(gated.asked) == 500
    assert all(one.probe for one in found.values())


def test_more_hanging_accounts_than_threads_hold_up_nobody(gated: Gated) -> None:
    gated.hanging = {f"acme.{number}" for number in range(2 * WORKERS)}
    begun = time.monotonic()
    found = probed(gated, 200)
    assert time.monotonic() - begun < 5
    assert {
        name for name, one in found.items() if one.error == "the source did not answer within 0.5 s"
    } == gated.hanging
    assert sum(one.probe is not None for one in found.values()) == 200 - 2 * WORKERS


def test_an_account_that_still_hangs_is_not_asked_again(gated: Gated) -> None:
    gated.hanging = {"acme.0"}
    probed(gated, 1)
    again = probed(gated, 2)
    assert again["acme.0"].error == "the source has not answered the probe of an earlier tick"
    assert again["acme.1"].probe is not None
    gated.gate.set()
    time.sleep(0.2)
    assert probed(gated, 1)["acme.0"].probe is not None


def test_no_probe_begins_after_the_budget(gated: Gated) -> None:
    gated.hanging = {f"acme.{number}" for number in range(1000)}
    begun = time.monotonic()
    found = probed(gated, 1000, budget=1.2, account_seconds=0.5)
    assert time.monotonic() - begun < 4
    assert WORKERS <= len(found) < 1000


def test_nobody_to_ask(gated: Gated) -> None:
    assert probed(gated, 0) == {}
