"""What probes show, stored: tokens that are new, periods that are gone, and those a source no longer reaches back to."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from orchestrated import NOW, Platform, Scripted

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import Transient
from optiinfra_assets.domain.run_scope import FIRST_PERIOD
from optiinfra_assets.ingestion.change_detection import ProbeSummary, record_probes
from optiinfra_assets.metadata.slices import GONE
from optiinfra_assets.providers.base import Capabilities, Probe
from optiinfra_assets.providers.context import ProviderContext

NOVEMBER = BillingPeriod(2026, 11)


class Told(Scripted):
    """Shows the tokens it is told to, `months` back at most; the last of them is named by how many months ago it is."""

    def __init__(self, months: int | None) -> None:
        super().__init__()
        self.capabilities = Capabilities("day", months)  # type: ignore[misc]
        self.tokens: dict[int, str] = {}

    def probe(self, account: Account, since: object, context: object) -> Probe:
        return Probe({NOVEMBER.shift(-back): token for back, token in self.tokens.items()})


@pytest.fixture(params=[None, 3], ids=["all history", "3 months"])
def months(request: pytest.FixtureRequest) -> int | None:
    """How far the source reaches back."""
    found: int | None = request.param
    return found


def seen(platform: Platform, provider: Told) -> dict[str, str | None]:
    """Notice once; the stored tokens."""
    record_probes(platform.metadata, {"scripted": provider}, now=NOW, account_ids=None, budget=5)
    return {str(state.slice.billing_period): state.seen_token for state in platform.metadata.slices.states()}


def test_a_period_is_gone_only_where_the_source_reaches_back_to(
    scripted_platform: Platform, months: int | None
) -> None:
    provider = Told(months)
    provider.tokens = {0: "a", 2: "b", 3: "c"}
    assert seen(scripted_platform, provider) == {"2026-11": "a", "2026-09": "b", "2026-08": "c"}
    provider.tokens = {0: "a"}
    older = GONE if months is None else "c"
    assert seen(scripted_platform, provider) == {"2026-11": "a", "2026-09": GONE, "2026-08": older}


def test_a_period_that_comes_back_is_seen_again(scripted_platform: Platform) -> None:
    provider = Told(None)
    for tokens in ({0: "a", 1: "b"}, {0: "a"}, {0: "a", 1: "b"}):
        provider.tokens = tokens
        found = seen(scripted_platform, provider)
    assert found == {"2026-11": "a", "2026-10": "b"}


def test_since_when_a_change_waits_is_kept(scripted_platform: Platform) -> None:
    provider = Told(None)
    for minutes, token in ((0, "a"), (15, "b"), (30, "b")):
        provider.tokens = {0: token, 1: str(minutes)}
        at = NOW + timedelta(minutes=minutes)
        record_probes(scripted_platform.metadata, {"scripted": provider}, now=at, account_ids=None, budget=5)
    states = {str(state.slice.billing_period): state for state in scripted_platform.metadata.slices.states()}
    assert states["2026-11"].seen_at == NOW + timedelta(minutes=15)
    assert scripted_platform.metadata.accounts.states()[0].last_change_at == NOW + timedelta(minutes=30)


def test_the_account_that_waited_longest_is_asked_first(scripted_platform: Platform) -> None:
    metadata = scripted_platform.metadata
    scripted_platform.add_account("acme.new", "scripted")
    metadata.work_queue.record_probe_tries(["acme.files"], NOW)
    assert [one.account_id for one in metadata.work_queue.accounts_to_probe(["scripted"], NOW)] == [
        "acme.new",
        "acme.files",
    ]
    metadata.work_queue.record_probe_tries(["acme.new"], NOW + timedelta(minutes=1))
    assert [one.account_id for one in metadata.work_queue.accounts_to_probe(["scripted"], NOW)] == [
        "acme.files",
        "acme.new",
    ]
    assert metadata.work_queue.accounts_to_probe(["another"], NOW) == []


def test_what_was_noticed_in_words() -> None:
    assert str(ProbeSummary(3, 0, 0)) == "3 accounts checked"
    assert str(ProbeSummary(3, 1, 2)) == "3 accounts checked, 1 could not be checked, 2 left for the next tick"


def test_what_a_probe_asks_is_counted_whether_it_is_answered_or_not(scripted_platform: Platform) -> None:
    class Asks(Told):
        def probe(self, account: Account, since: object, context: ProviderContext) -> Probe:  # type: ignore[override]
            meter = context.meter(Decimal("0.01"))
            meter.count()
            meter.count()
            if not self.tokens:
                raise Transient("no answer")
            return Probe({NOVEMBER: "a"}, requests=meter.requests, cost=meter.cost)

    provider = Asks(None)
    seen(scripted_platform, provider)
    provider.tokens = {0: "a"}
    seen(scripted_platform, provider)
    (one,) = scripted_platform.metadata.activity.find("acme")
    assert (one.requests, one.request_cost) == (4, Decimal("0.04"))


def test_what_a_probe_shows_of_the_first_month_is_stored_and_of_the_month_before_named(
    scripted_platform: Platform,
) -> None:
    class Old(Scripted):
        def probe(self, account: Account, since: object, context: object) -> Probe:
            return Probe({FIRST_PERIOD: "a", FIRST_PERIOD.shift(-1): "b"})

    metadata = scripted_platform.metadata
    record_probes(metadata, {"scripted": Old()}, now=NOW, account_ids=None, budget=5)
    assert [state.slice.billing_period for state in metadata.slices.states()] == [FIRST_PERIOD]
    (account,) = metadata.accounts.states()
    assert "not collected: billing periods 2019-12: accepted are those from 2020-01" in str(account)
