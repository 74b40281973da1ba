"""What rules find: accounts that fail or stand still, closed months that change, credentials that are rejected or end; each told once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from alert_world import ALICE, NOW, hook, rule
from planted_anomaly import planted_anomaly

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.alerts import AlertChannel
from optiinfra_assets.domain.anomalies import UsageKey
from optiinfra_assets.domain.failures import AFTER_PERMANENT, Fault
from optiinfra_assets.domain.publications import Publication, Totals
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.anomalies import AnomalyFilter, AnomalyRefresh
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.notifications.finding import find_occasions
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

OCTOBER, NOVEMBER = BillingPeriod(2026, 10), BillingPeriod(2026, 11)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def channel(metadata: Metadata) -> AlertChannel:
    """The channel of a customer with two accounts, which were probed a moment ago."""
    metadata.customers.add("acme")
    for name in ("main", "other"):
        metadata.accounts.add(Account(f"acme.{name}", "acme", "focus"))
        probe(metadata, name, NOW)
    return hook(metadata, "https://example.com/hook")[0]


def probe(metadata: Metadata, name: str, at: datetime, seen: str = "a") -> None:
    """A probe of an account that saw two months."""
    metadata.slices.record_probe(f"acme.{name}", {OCTOBER: seen, NOVEMBER: seen}, at)


def collected(metadata: Metadata, name: str, at: datetime) -> None:
    """Both months are collected as they were seen."""
    for period in (OCTOBER, NOVEMBER):
        metadata.slices.record_collection(slice_of(name, period), "a", at)


def slice_of(name: str = "main", period: BillingPeriod = OCTOBER) -> Slice:
    """A month of an account."""
    return Slice("acme", "focus", f"acme.{name}", period)


def fail(metadata: Metadata, at: datetime, fault: Fault = Fault.PROVIDER, period: BillingPeriod = OCTOBER) -> None:
    """A collection of a month that fails."""
    metadata.failures.record(slice_of(period=period), "the provider answers 500", fault, at, AFTER_PERMANENT)


def look(metadata: Metadata, at: datetime, warehouse: Callable[[], Warehouse] | None = None) -> list[str]:
    """Look for occasions at an instant; the titles of those that are new."""
    before = {one.delivery_id for one in metadata.alert_outbox.deliveries(customer_id="acme", first=1000)}

    def none() -> Any:
        raise AssertionError("nothing here needs ClickHouse")

    find_occasions(metadata, warehouse or none, at)
    found = metadata.alert_outbox.deliveries(customer_id="acme", first=1000)
    return sorted(title for one in found if one.delivery_id not in before for title in one.titles)


def test_an_account_that_fails_for_an_hour_is_told_once_until_it_is_well_again(
    metadata: Metadata, channel: AlertChannel
) -> None:
    rule(metadata, channel, "collection", accounts=["acme.main"])
    collected(metadata, "main", NOW)
    probe(metadata, "main", NOW, "b")
    fail(metadata, NOW)
    assert look(metadata, NOW + 59 * MINUTE) == []
    said = ["acme.main cannot be collected since 2026-11-30 12:00 UTC"]
    assert look(metadata, NOW + HOUR) == said
    fail(metadata, NOW + HOUR, period=NOVEMBER)
    fail(metadata, NOW + HOUR)
    assert look(metadata, NOW + 61 * MINUTE) == []
    collected(metadata, "main", NOW + 62 * MINUTE)
    probe(metadata, "main", NOW + 62 * MINUTE)
    assert look(metadata, NOW + 63 * MINUTE) == []
    probe(metadata, "main", NOW + 64 * MINUTE, "c")
    fail(metadata, NOW + 64 * MINUTE)
    assert look(metadata, NOW + 124 * MINUTE) == ["acme.main cannot be collected since 2026-11-30 13:04 UTC"]


def test_an_account_that_nobody_asks_or_collects_stands_still(metadata: Metadata, channel: AlertChannel) -> None:
    rule(metadata, channel, "collection", accounts=["acme.main"], options={"minutes": 0})
    collected(metadata, "main", NOW)
    assert look(metadata, NOW + HOUR) == []
    still = "acme.main stands still since 2026-11-30 12:00 UTC"
    assert look(metadata, NOW + 61 * MINUTE) == [still]
    assert look(metadata, NOW + 3 * HOUR) == []
    probe(metadata, "main", NOW + 3 * HOUR)
    assert look(metadata, NOW + 3 * HOUR) == []
    probe(metadata, "main", NOW + 3 * HOUR, "b")
    assert look(metadata, NOW + 4 * HOUR) == []
    assert look(metadata, NOW + 5 * HOUR + MINUTE) == ["acme.main stands still since 2026-11-30 15:00 UTC"]
    metadata.accounts.disable("acme.main")
    assert look(metadata, NOW + 50 * HOUR) == []


def test_a_rejected_credential_is_told_at_once_and_one_that_ends_before_it_does(
    metadata: Metadata, channel: AlertChannel
) -> None:
    stored = metadata.credentials.put(Account("acme.main", "acme", "focus"), {"key": "x"}, ALICE).updated_at
    rule(metadata, channel, "credential", options={"lifetime": 90, "days": 14})
    probe(metadata, "main", NOW, "b")
    fail(metadata, NOW)
    assert look(metadata, stored + 75 * DAY) == []
    ends = f"The credential of acme.main ends {stored + 90 * DAY:%Y-%m-%d %H:%M} UTC"
    assert look(metadata, stored + 76 * DAY) == [ends]
    assert look(metadata, stored + 100 * DAY) == []
    fail(metadata, NOW, Fault.CREDENTIAL)
    assert look(metadata, stored + 101 * DAY) == ["The credential of acme.main is rejected since 2026-11-30 12:00 UTC"]
    again = metadata.credentials.rotate_secret("acme.main", {"key": "y"}, ALICE).updated_at
    assert look(metadata, again + 75 * DAY) == []
    assert look(metadata, again + 91 * DAY) == [
        f"The credential of acme.main has ended {again + 90 * DAY:%Y-%m-%d %H:%M} UTC"
    ]


def publish(warehouse: Warehouse, generation: int, at: datetime, amount: str, **changes: Any) -> None:
    """Publish a generation of a month with a billed cost."""
    values: dict[str, Any] = {
        "slice": slice_of(),
        "totals": {"EUR": Totals(billed_cost=Decimal(amount))},
        "data_through": datetime(2026, 10, 31, tzinfo=UTC),
        "is_final": False,
        **changes,
    }
    publication = Publication(
        generation=generation,
        published_at=at,
        line_items=1,
        first_charge_date=None,
        last_charge_date=None,
        is_simulated=True,
        content_hash=str(generation),
        change_token="",
        **values,
    )
    warehouse.publish([publication])


def test_a_closed_month_that_changes_is_told_once_with_exact_figures(
    metadata: Metadata, warehouse: Warehouse, settings: Settings, channel: AlertChannel
) -> None:
    told = rule(metadata, channel, "restatement")
    publish(warehouse, 1, NOW - 2 * DAY, "1000.10")
    publish(warehouse, 2, NOW - DAY, "1100.10")
    publish(warehouse, 3, NOW + HOUR, "1080.123456789")

    def opened() -> Warehouse:
        return Warehouse.connect(settings)

    at = NOW + HOUR + MINUTE
    assert look(metadata, at, opened) == ["acme.main: the bill of 2026-10 has changed"], "and none of before the rule"
    assert look(metadata, at, opened) == []
    assert look(metadata, at + 30 * MINUTE, opened) == []
    publish(warehouse, 4, at + HOUR, "1080.123456789", totals={"EUR": Totals(Decimal("1080.123456789"), Decimal(7))})
    publish(warehouse, 5, at + HOUR, "1", slice=slice_of(period=NOVEMBER))
    publish(warehouse, 6, at + HOUR + MINUTE, "2", slice=slice_of(period=NOVEMBER))
    assert look(metadata, at + 2 * HOUR, opened) == [], "the same bill, and a month that goes on"
    publish(warehouse, 7, NOW + 2 * DAY, "3", slice=slice_of(period=NOVEMBER), is_final=True)
    assert look(metadata, NOW + 2 * DAY, opened) == [], "a month that has just ended"
    publish(warehouse, 8, NOW + 3 * DAY, "4", slice=slice_of(period=NOVEMBER))
    assert look(metadata, NOW + 3 * DAY, opened) == ["acme.main: the bill of 2026-11 has changed"], "it was final"
    first = metadata.alert_outbox.claim(NOW + 4 * DAY, HOUR)
    assert first is not None
    (message,) = first.content["occasions"]
    assert first.content["rule"] == {"id": told.rule_id, "name": "restatement", "kind": "restatement"}
    assert message["text"] == (
        "Billed cost of the closed month: 1,100.10 EUR became 1,080.12 EUR (-19.98 EUR, -1.8%). "
        "Published 2026-11-30 13:00 UTC; the figures before were of 2026-11-29 12:00 UTC."
    )
    assert [(one["name"], Decimal(one["amount"]), one["currency"]) for one in message["figures"]] == [
        ("before", Decimal("1100.10"), "EUR"),
        ("after", Decimal("1080.123456789"), "EUR"),
        ("change", Decimal("-19.976543211"), "EUR"),
    ]
    assert message["path"] == "/accounts/account?account=acme.main&month=2026-10"
    assert (message["data_through"], message["is_simulated"]) == ("2026-10-31T00:00:00+00:00", True)


def test_a_bill_is_told_in_the_subunits_of_its_currency_and_its_figures_to_the_last_digit(
    metadata: Metadata, warehouse: Warehouse, settings: Settings, channel: AlertChannel
) -> None:
    rule(metadata, channel, "restatement")
    before, after = "12345678901234567890.123456789012345678", "12345678901234567891.123456789012345679"
    for generation, at, amount in ((1, NOW - DAY, before), (2, NOW + HOUR, after)):
        totals = {currency: Totals(billed_cost=Decimal(amount)) for currency in ("JPY", "KWD")}
        publish(warehouse, generation, at, "0", totals=totals)
    assert look(metadata, NOW + HOUR, lambda: Warehouse.connect(settings))
    first = metadata.alert_outbox.claim(NOW + DAY, HOUR)
    assert first is not None
    (message,) = first.content["occasions"]
    assert "12,345,678,901,234,567,890 JPY became 12,345,678,901,234,567,891 JPY (+1 JPY, +0.0%)" in message["text"]
    assert "890.123 KWD became 12,345,678,901,234,567,891.123 KWD (+1.000 KWD, +0.0%)" in message["text"]
    assert [one["amount"] for one in message["figures"]] == [before, after, "1.000000000000000001"] * 2


@pytest.mark.parametrize(
    ("options", "is_told"),
    [
        ({"amount": 20}, True),
        ({"amount": "20.01"}, False),
        ({"percent": 2}, True),
        ({"percent": "2.01"}, False),
        ({"days": 29}, True),
        ({"days": 30}, False),
    ],
)
def test_a_change_is_told_if_it_is_large_and_late_enough(
    metadata: Metadata,
    warehouse: Warehouse,
    settings: Settings,
    channel: AlertChannel,
    options: dict[str, Any],
    is_told: bool,
) -> None:
    rule(metadata, channel, "restatement", options=options)
    publish(warehouse, 1, NOW - DAY, "1000")
    publish(warehouse, 2, NOW + HOUR, "980")
    found = look(metadata, NOW + HOUR, lambda: Warehouse.connect(settings))
    assert bool(found) == is_told


def test_a_rule_that_cannot_be_looked_for_holds_up_no_other_and_loses_nothing(
    metadata: Metadata, warehouse: Warehouse, settings: Settings, channel: AlertChannel
) -> None:
    rule(metadata, channel, "restatement")
    rule(metadata, channel, "collection", options={"minutes": 0})
    publish(warehouse, 1, NOW - DAY, "1000")
    publish(warehouse, 2, NOW + MINUTE, "980")

    def down() -> Warehouse:
        raise ConnectionError("ClickHouse does not answer")

    assert len(look(metadata, NOW + 5 * HOUR, down)) == 2, "both accounts stand still"
    found = look(metadata, NOW + 30 * HOUR, lambda: Warehouse.connect(settings))
    assert found == ["acme.main: the bill of 2026-10 has changed"]


def test_rules_that_time_does_not_suffice_for_come_first_the_next_time(
    metadata: Metadata, channel: AlertChannel
) -> None:
    names = [rule(metadata, channel, "credential", name=f"rule {number}").name for number in range(4)]
    looked = []
    for number in range(4):
        clock = iter([0.0, 0.0, 2.0])
        at = NOW + number * MINUTE
        find_occasions(
            metadata, lambda: pytest.fail("no ClickHouse"), at, budget=1, seconds=lambda clock=clock: next(clock)
        )
        looked += [one.name for one in metadata.alerts.rules() if one.checked_at == at]
    assert sorted(looked) == names


def test_an_anomaly_is_not_told_again_by_the_account_that_shows_it_later(
    metadata: Metadata, channel: AlertChannel
) -> None:
    """A service is odd; judged anew, its whole account is, and tells it: nobody hears of the same money twice."""
    rule(metadata, channel, "anomaly")
    bob = Principal("bob", "Bob", "acme", "operator")
    yesterday = (NOW - DAY).date()
    service = UsageKey("focus", "acme.main", "Compute", "EUR")
    child = planted_anomaly(metadata, service, yesterday, Decimal(1234), bob, NOW)
    planted_anomaly(metadata, service, yesterday - 9 * DAY, Decimal(1234), bob, NOW)
    assert look(metadata, NOW) == ["acme.main, Compute: 1,110.60 EUR more than expected"], (
        "and not of what is long past"
    )
    parent = planted_anomaly(metadata, service._replace(service=""), yesterday, Decimal(1234), bob, NOW + HOUR)
    (stored,) = metadata.anomalies.find(AnomalyFilter(anomaly_id=child), customer_id="acme")
    again = replace(stored, folded_into=parent, made_at=NOW + HOUR)
    refresh = AnomalyRefresh(NOW + 2 * HOUR, 2, NOW, NOW, is_simulated=True)
    metadata.anomalies.keep("acme", refresh, {}, [again], 400)
    assert look(metadata, NOW + 2 * HOUR) == []
    other = service._replace(account="acme.other", service="")
    planted_anomaly(metadata, other, yesterday, Decimal(-50), bob, NOW + HOUR)
    assert look(metadata, NOW + 3 * HOUR) == ["acme.other: 45.00 EUR less than expected"]
