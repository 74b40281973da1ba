"""DigitalOcean over real sockets: a simulated year, days trued up to invoices to the cent, and what goes wrong on the way."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from life import SECRET, AnyLife, Item, at, billed, by_day
from pydantic import ValidationError

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import ContractChanged, CredentialRejected, Throttled, Transient
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.providers.digitalocean.provider import HOURLY_LIMIT, DigitalOceanCredential
from optiinfra_assets.providers.http.client import UNPACED
from optiinfra_assets.simulators.digitalocean.simulator import SimulatedDigitalOcean
from optiinfra_assets.simulators.server.faults import rewrite, say, throttle
from optiinfra_assets.simulators.server.server import (
    Answering,
    SimulatedCloud,
    SimulatedRequest,
    SimulatedResponse,
)
from optiinfra_assets.simulators.world.scenario import EventKind, Scenario, ScenarioEvent, ScenarioResource

JANUARY, FEBRUARY = BillingPeriod(2026, 1), BillingPeriod(2026, 2)
WEB = ScenarioResource(
    "6e1f-web", "web", "compute", "s-2vcpu-4gb", "fra1", "shop", Decimal("0.10"), tags=(("team", "shop"),)
)
DISK = ScenarioResource("disk", "disk", "storage", "spaces", "fra1", "shop", Decimal("0.03"))
FRONT = ScenarioResource("front", "front", "network", "lb-small", "nyc3", "shop", Decimal("0.02"))
ORDERS = ScenarioResource("orders", "orders", "database", "db-s-1vcpu-1gb", "nyc3", "shop", Decimal("0.08"))


def small(*events: ScenarioEvent, **fields: Any) -> Scenario:
    """A droplet, a space, a balancer and a database from January 2026, no tax unless said."""
    resources = (WEB, DISK, FRONT, ORDERS)
    return Scenario("small", date(2026, 1, 1), resources, events, **{"tax_rate": Decimal(0), **fields})


class Life(AnyLife):
    """One team at this cloud."""

    cloud: SimulatedDigitalOcean

    def account_with(self, **settings: str) -> Account:
        """The account with further settings."""
        return replace(self.account, settings={**self.account.settings, **settings})

    def source(self, period: BillingPeriod, kind: str) -> dict[str, str]:
        """The one source of a kind that the last collection of a period names."""
        (found,) = [source for source in self.collections[period].sources if source["kind"] == kind]
        return found


def live(scenario: Scenario, now: datetime) -> Life:
    life = Life.of("digitalocean", scenario, now)
    assert isinstance(life, Life)
    return life


@pytest.fixture
def life() -> Iterator[Life]:
    """A team that began on the 1st of January, on its 10th at noon."""
    made = live(small(), at(1, 10, 12))
    with made.cloud:
        yield made


def methods(items: list[Item]) -> dict[str, Decimal]:
    """Billed cost by how it was found."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for item in items:
        found[dict(item["x_columns"])["x_Method"]] += item["billed_cost"]
    return dict(found)


def truth_by_day(cloud: SimulatedDigitalOcean, period: BillingPeriod) -> dict[date, Decimal]:
    days: dict[date, Decimal] = defaultdict(Decimal)
    for charge in cloud.world.charges(period):
        days[charge.day] += charge.amount
    return dict(days)


def test_a_busy_year_tick_by_tick_equals_its_invoices_to_the_cent() -> None:
    year = live(Scenario.load("busy_year"), datetime(2025, 11, 1, 0, 15, tzinfo=UTC))
    with year.cloud:
        for month in year.cloud.world.periods(datetime(2026, 10, 1, tzinfo=UTC)):
            for day in range(1, (month.end - month.start).days, 2 if month == FEBRUARY else 13):
                year.go(month.start + timedelta(days=day, hours=5))
                assert billed(year.items[month]) == year.cloud.shown_amount(month)
                assert not year.collections[month].is_final
            days = {item["charge_period_start"].date() for item in year.items[month]}
            assert len(days) >= 24, "every day that is over is there, however seldom we look"
        year.go(datetime(2026, 11, 3, 1, tzinfo=UTC))
        closed = year.cloud.world.periods()[:-1]
        assert len(closed) == 12
        for month in closed:
            amount = year.cloud.invoice_amount(month)
            assert billed(year.items[month]) == amount > 270
            assert year.collections[month].control_totals == {"USD": amount}
            assert year.collections[month].is_final
            assert year.collections[month].data_through == month.end
            assert len({item["charge_period_start"].date() for item in year.items[month]}) >= 27
        items = [item for month in closed for item in year.items[month]]
        assert {item["charge_category"] for item in items} == {"Usage", "Tax", "Credit"}
        assert billed(items, charge_category="Tax") > 2_000
        assert billed(items, charge_category="Credit") < -70
        assert [request for request in year.cloud.asked if "billing_history" in request.path] == [], (
            "a ledger: its payments and invoices are no costs"
        )


def test_an_open_month_is_one_estimate_for_each_line_and_day(life: Life) -> None:
    life.tick()
    items = life.items[JANUARY]
    assert len(items) == 9 * 4
    assert by_day(items) == truth_by_day(life.cloud, JANUARY)
    spans = {(item["charge_period_start"], item["charge_period_end"]) for item in items}
    assert spans == {(at(1, day), at(1, day + 1)) for day in range(1, 10)}
    assert {(item["is_estimated"], item["source"], item["invoice_id"]) for item in items} == {(True, "api", None)}
    assert life.collections[JANUARY].data_through == at(1, 10)
    assert life.collections[JANUARY].control_totals is None


def test_a_row_has_what_insight_preview_and_droplet_say(life: Life) -> None:
    life.tick()
    item = next(item for item in life.items[JANUARY] if item["service_name"] == "Droplets")
    charge = next(one for one in life.cloud.world.charges(JANUARY) if one.resource == WEB)
    expected = {
        "billed_cost": charge.amount,
        "effective_cost": charge.amount,
        "contracted_cost": charge.amount,
        "list_cost": charge.amount,
        "billing_currency": "USD",
        "billing_account_id": life.cloud.team,
        "billing_account_name": "small (simulated)",
        "billing_period_start": at(1, 1),
        "billing_period_end": at(2, 1),
        "charge_category": "Usage",
        "charge_class": None,
        "charge_description": "web (s-2vcpu-4gb)",
        "consumed_quantity": None,
        "service_category": "Compute",
        "service_provider_name": "DigitalOcean",
        "sku_id": "1-DO-DROP-0109",
        "region_id": "fra1",
        "resource_id": "3164400",
        "resource_name": "web",
        "resource_type": "Droplet",
        "sub_account_id": None,
        "tags": [("team:shop", "true")],
        "x_columns": [("x_Method", "estimate of the day"), ("x_Plan", "s-2vcpu-4gb"), ("x_Project", "shop")],
    }
    assert {name: item[name] for name in expected} == expected
    by_name = {one["service_name"]: one for one in life.items[JANUARY]}
    assert by_name["Spaces Subscription"]["resource_id"] is None, "some things have no id"
    assert by_name["Spaces Subscription"]["service_category"] == "Storage"
    assert len(by_name["Load Balancers"]["resource_id"]) == 36
    database = by_name["Database Clusters"]
    assert (database["charge_description"], dict(database["x_columns"])["x_Group"]) == (
        "db-s-1vcpu-1gb",
        "orders",
    )


def test_running_totals_of_the_preview_are_no_cost(life: Life) -> None:
    said = '"description":"web (s-2vcpu-4gb)","amount":"'
    life.cloud.fail(rewrite(said, f"{said}9"), times=99, path="/invoices/preview")
    life.tick()
    assert life.source(JANUARY, "preview")["itemised"].startswith("9")
    assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)
    assert methods(life.items[JANUARY]).keys() == {"estimate of the day"}


def test_a_line_the_preview_does_not_have_is_named_by_its_sku(life: Life) -> None:
    life.cloud.fail(rewrite('"description":"', '"description":"other '), times=99, path="/invoices/preview")
    life.tick()
    assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)
    names = {item["service_name"] for item in life.items[JANUARY]}
    assert names == {"Droplets", "1-SP-SUBS-0109", "1-DO-MISC-0109", "1-DB-PGSQL-0109"}
    assert {item["resource_id"] for item in life.items[JANUARY]} == {None}


def test_the_balance_is_compared_and_not_counted(life: Life) -> None:
    life.tick()
    compared = life.source(JANUARY, "balance")
    usage = sum((charge.amount for charge in life.cloud.world.accrued(JANUARY)), Decimal(0))
    assert Decimal(compared["month_to_date_usage"]) == usage, "without the debt of earlier months"
    assert Decimal(compared["beyond_insights"]) == usage - life.cloud.shown_amount(JANUARY) > 0
    assert compared["generated_at"] == "2026-01-10T12:00:00+00:00"


def test_nothing_is_collected_until_the_next_night(life: Life) -> None:
    changed = [life.go(at(1, 10, 12) + timedelta(hours=2 * number)) for number in range(18)]
    assert [number for number, periods in enumerate(changed) if periods] == [0, 8], "at 4:00"
    previews = {request.path for request in life.cloud.asked if request.path.endswith("/invoices/preview")}
    assert len(previews) == 1, "asked for by that word: its uuid is another one every night"


def test_three_requests_when_the_day_has_begun() -> None:
    life = live(replace(small(), start=date(2025, 12, 1)), at(1, 10))
    with life.cloud:
        assert life.probe().requests == 5, "droplets, and whether the invoice reaches the end of December"
        assert life.probe().requests == 3
        paths = [request.path for request in life.cloud.asked[-3:]]
    urn = f"do:team:{life.cloud.team}"
    assert paths == [
        "/v2/account",
        "/v2/customers/my/invoices",
        f"/v2/billing/{urn}/insights/2026-01-01/2026-01-10",
    ]


def test_the_invoice_keeps_the_days_and_names_what_they_lack(life: Life) -> None:
    life.cloud.forgotten = {date(2026, 1, 5), date(2026, 1, 6)}
    life.go(at(1, 31, 12))
    before = life.items[JANUARY]
    assert FEBRUARY in life.go(at(2, 1, 7))
    after = life.items[JANUARY]
    truth = truth_by_day(life.cloud, JANUARY)
    missing = truth[date(2026, 1, 5)] + truth[date(2026, 1, 6)]
    assert methods(after) == {
        "estimate of the day": sum(truth.values()) - missing,
        "residual of the invoice": missing,
    }
    assert billed(after) == life.cloud.invoice_amount(JANUARY)
    estimates = [item for item in after if item["is_estimated"]]
    assert len(estimates) == len(before) + 4, "the 31st came with the night"
    residuals = [item for item in after if not item["is_estimated"]]
    assert {(item["charge_period_start"], item["charge_period_end"]) for item in residuals} == {(at(1, 1), at(2, 1))}
    assert {item["source"] for item in residuals} == {"invoice"}
    assert {item["invoice_id"] for item in after} == {life.source(JANUARY, "invoice")["id"]}
    for items in (estimates, residuals):
        assert {item["resource_id"] for item in items} >= {"3164400", None}
        assert {item["region_id"] for item in items} == {"fra1", "nyc3"}


def test_a_month_without_insights_is_the_items_of_its_invoice(life: Life) -> None:
    life.clock.now = at(2, 3)
    refused = SimulatedResponse.of({"id": "not_found", "message": "gone"}, status=404)
    life.cloud.fail(say(refused), times=99, path="/insights/2026-01")
    items = life.collect(JANUARY)
    assert methods(items).keys() == {"invoice line"}
    assert billed(items) == life.cloud.invoice_amount(JANUARY)
    droplet = next(item for item in items if item["service_name"] == "Droplets")
    hours = droplet["consumed_quantity"]
    assert hours > 700
    assert droplet["consumed_unit"] == "Hours"
    assert (droplet["charge_period_start"], droplet["charge_period_end"]) == (at(1, 1), at(2, 1))


def test_durations_in_another_unit_change_no_cost(life: Life) -> None:
    life.clock.now = at(2, 3)
    before = billed(life.collect(JANUARY))
    life.cloud.fail(rewrite('"duration_unit":"Hours"', '"duration_unit":"Seconds"'), times=99)
    life.cloud.forgotten = {date(2026, 1, day) for day in range(1, 32)}
    items = life.collect(JANUARY)
    assert billed(items) == before
    assert {item["consumed_unit"] for item in items} == {"Seconds"}


def test_an_invoiced_line_without_a_duration_is_taken(life: Life) -> None:
    life.clock.now = at(2, 3)
    life.cloud.fail(rewrite('"duration"', '"length"'), times=99, path="/invoices/")
    assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY)


def test_estimates_of_lines_the_invoice_does_not_have_give_way_and_are_told(life: Life) -> None:
    life.clock.now = at(2, 3)
    urn = f"do:team:{life.cloud.team}"
    life.cloud.fail(rewrite('"description":"web', '"description":"renamed'), times=99, path=urn)
    items = life.collect(JANUARY)
    assert billed(items) == life.cloud.invoice_amount(JANUARY)
    assert {item["charge_description"] for item in items if item["service_name"] == "Droplets"} == {"web (s-2vcpu-4gb)"}
    told = life.source(JANUARY, "insights")
    assert told["not_invoiced"] == "31"
    assert Decimal(told["not_invoiced_amount"]) == billed(items, service_name="Droplets")


def test_droplets_that_share_a_name_stand_as_invoiced() -> None:
    twin = replace(WEB, resource_id="twin", hourly_price=Decimal("0.20"))
    life = live(replace(small(), resources=(WEB, twin, DISK)), at(1, 10, 12))
    with life.cloud:
        life.tick()
        assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)
        assert {item["resource_id"] for item in life.items[JANUARY]} == {None}
        life.clock.now = at(2, 3)
        items = life.collect(JANUARY)
    droplets = [item for item in items if item["service_name"] == "Droplets"]
    assert sorted((item["resource_id"], dict(item["x_columns"])["x_Method"]) for item in droplets) == [
        ("3164400", "invoice line"),
        ("3164401", "invoice line"),
    ]
    assert billed(items) == life.cloud.invoice_amount(JANUARY)


def test_a_credit_on_day_40_for_day_5_is_there_after_the_night() -> None:
    credit = ScenarioEvent(EventKind.CREDIT, date(2026, 1, 5), posted_on=date(2026, 2, 9), amount=Decimal("7.50"))
    life = live(small(credit), at(2, 3))
    with life.cloud:
        life.go(at(2, 3), at(2, 9, 3))
        january = life.items[JANUARY]
        assert billed(life.items[FEBRUARY], charge_category="Credit") == 0
        assert life.go(at(2, 9, 5)) == [FEBRUARY]
        (given,) = [item for item in life.items[FEBRUARY] if item["charge_category"] == "Credit"]
        assert (given["billed_cost"], given["is_estimated"]) == (Decimal("-7.50"), True)
        assert life.items[JANUARY] == january
        life.go(at(3, 1, 7))
        (given,) = [item for item in life.items[FEBRUARY] if item["charge_category"] == "Credit"]
        assert (given["billed_cost"], given["is_estimated"]) == (Decimal("-7.50"), False)
        assert billed(life.items[FEBRUARY]) == life.cloud.invoice_amount(FEBRUARY)


def test_a_restated_day_is_restated_and_one_that_is_invoiced_is_corrected() -> None:
    before = ScenarioEvent(EventKind.RESTATE, date(2026, 1, 5), posted_on=date(2026, 1, 9), factor=Decimal("0.1"))
    after = ScenarioEvent(EventKind.RESTATE, date(2026, 1, 20), posted_on=date(2026, 2, 9), factor=Decimal("0.1"))
    life = live(small(before, after), at(1, 8, 5))
    with life.cloud:
        life.go(at(1, 8, 5))
        fifth = by_day(life.items[JANUARY])[date(2026, 1, 5)]
        life.go(at(1, 9, 5))
        assert by_day(life.items[JANUARY])[date(2026, 1, 5)] < fifth / 5
        assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)
        life.go(at(2, 3), at(2, 9, 5))
        corrections = [item for item in life.items[FEBRUARY] if item["charge_class"] == "Correction"]
        assert len(corrections) == 4
        assert {item["charge_period_start"] for item in corrections} == {at(2, 9)}, "when it became known"
        assert billed(corrections) < 0
        assert billed(life.items[FEBRUARY]) == life.cloud.shown_amount(FEBRUARY)
        life.go(at(3, 1, 7))
        for period in (JANUARY, FEBRUARY):
            assert billed(life.items[period]) == life.cloud.invoice_amount(period)


def test_late_usage_stands_in_the_days_it_is_for() -> None:
    life = live(small(ScenarioEvent(EventKind.LATE, date(2026, 1, 5), posted_on=date(2026, 1, 9))), at(1, 8, 5))
    with life.cloud:
        life.go(at(1, 8, 5))
        assert date(2026, 1, 5) not in by_day(life.items[JANUARY])
        life.go(at(1, 9, 5))
        assert by_day(life.items[JANUARY]) == truth_by_day(life.cloud, JANUARY)


def test_between_midnight_and_the_invoice_the_old_month_is_open(life: Life) -> None:
    life.go(at(1, 31, 12), at(2, 1, 0, 15))
    assert life.collections[JANUARY].control_totals is None
    assert FEBRUARY not in life.tokens
    assert life.go(at(2, 1, 4, 15)) == [JANUARY], "the last day is estimated"
    assert by_day(life.items[JANUARY]).keys() == {date(2026, 1, day) for day in range(1, 32)}
    assert life.go(at(2, 1, 6, 15)) == [JANUARY, FEBRUARY]
    assert life.collections[JANUARY].control_totals == {"USD": life.cloud.invoice_amount(JANUARY)}
    assert not life.collections[JANUARY].is_final
    assert JANUARY in life.go(at(2, 3)), "nights that may still estimate its days are over"
    assert life.collections[JANUARY].is_final
    assert life.go(at(2, 3, 1)) == []


def test_an_invoice_within_the_month_bills_the_days_before_it() -> None:
    life = live(small(tax_rate=Decimal("0.2")), at(1, 9))
    life.cloud.bills_early = at(1, 12, 3)
    with life.cloud:
        life.go(at(1, 12, 2))
        before = billed(life.items[JANUARY])
        assert life.go(at(1, 12, 3, 30)) == [JANUARY]
        early = life.source(JANUARY, "invoice")
        assert billed(life.items[JANUARY]) == before
        assert billed(life.items[JANUARY], invoice_id=early["id"]) == Decimal(early["amount"]) > 0
        assert life.collections[JANUARY].control_totals is None
        life.go(at(1, 20, 5))
        assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)
        assert by_day(life.items[JANUARY]) == truth_by_day(life.cloud, JANUARY)
        assert JANUARY in life.go(at(2, 3))
        assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)
        assert billed(life.items[JANUARY], invoice_id=early["id"]) == Decimal(early["amount"])
        assert len({item["invoice_id"] for item in life.items[JANUARY]}) == 2
        assert len(by_day(life.items[JANUARY])) == 31


def test_an_early_invoice_does_not_close_the_month_at_its_end() -> None:
    life = live(small(), at(1, 20))
    life.cloud.bills_early = at(1, 12, 3)
    with life.cloud:
        life.go(at(2, 1, 0, 30))
        assert life.collections[JANUARY].control_totals is None
        assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)


def late(days: int, *moments: datetime, tax: str = "0") -> Life:
    """A team invoiced within January, whose preview goes on at midnight and whose last invoice comes so many days after it."""
    life = live(small(tax_rate=Decimal(tax)), at(1, 9))
    life.cloud.world.scenario = replace(life.cloud.world.scenario, invoice_delay=timedelta(days=days, hours=6))
    life.cloud.bills_early, life.cloud.previews_ahead = at(1, 12, 3), True
    with life.cloud:
        life.go(*moments)
    return life


@pytest.mark.parametrize("seen", [(at(1, 12, 2), at(1, 20, 5), at(1, 31, 5)), ()], ids=["seen", "unseen"])
def test_an_invoice_within_the_month_is_not_its_last_though_the_preview_goes_on(
    seen: tuple[datetime, ...],
) -> None:
    life = late(0, *seen, tax="0.2")
    with life.cloud:
        for hour in (1, 5):
            life.go(at(2, 1, hour))
            assert by_day(life.items[JANUARY]) == truth_by_day(life.cloud, JANUARY)
            assert life.collections[JANUARY].control_totals is None
            assert life.collections[JANUARY].data_through == (at(2, 1) if hour == 5 else at(1, 31))
        life.go(at(2, 1, 7))
        assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)
        assert life.collections[JANUARY].control_totals == {"USD": life.cloud.invoice_amount(JANUARY)}
        assert len(by_day(life.items[JANUARY])) == 31


def test_a_last_invoice_that_is_late_is_waited_for() -> None:
    life = late(5, at(2, 3, 1), at(2, 6, 5))
    assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)
    assert not life.collections[JANUARY].is_final
    assert life.collections[JANUARY].control_totals is None
    with life.cloud:
        assert JANUARY in life.go(at(2, 6, 7))
    assert life.collections[JANUARY].is_final
    assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)


def test_one_that_was_listed_within_the_month_is_not_the_last_though_it_bills_until_the_end() -> None:
    """Something that is paid for the whole month may be on it."""
    life = late(0, at(1, 20, 5))
    with life.cloud:
        life.cloud.fail(rewrite('"end_time":"2026-01-11', '"end_time":"2026-02-01'), times=99, path="/invoices/")
        life.go(at(2, 1, 1))
        assert life.collections[JANUARY].control_totals is None
        life.go(at(2, 1, 7))
        assert life.collections[JANUARY].control_totals == {"USD": life.cloud.invoice_amount(JANUARY)}


@pytest.mark.parametrize("within", [at(1, 12, 3), None])
def test_the_invoice_of_a_month_in_whose_middle_all_ended_closes_it(within: datetime | None) -> None:
    ended = tuple(replace(one, ended=date(2026, 1, 20)) for one in small().resources)
    life = live(replace(small(), resources=ended), at(1, 9))
    life.cloud.bills_early, life.cloud.previews_ahead = within, True
    with life.cloud:
        life.go(at(2, 1, 5))
        assert life.collections[JANUARY].control_totals is None
        life.go(at(2, 1, 7), at(2, 3, 1))
        assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)
        assert life.collections[JANUARY].is_final


def test_a_month_later_no_further_invoice_is_waited_for() -> None:
    life = late(60, at(1, 20, 5), at(2, 28, 5))
    assert life.collections[JANUARY].control_totals is None
    with life.cloud:
        life.go(at(3, 1, 5))
    assert life.collections[JANUARY].is_final


def test_items_are_asked_for_of_the_month_before_only_and_once() -> None:
    life = live(replace(small(), start=date(2024, 6, 1)), at(3, 3, 12))
    with life.cloud:
        assert life.probe().tokens == life.probe().tokens
        asked = [one.path for one in life.cloud.asked if "/invoices/" in one.path]
    assert len(asked) == 1


def test_overage_is_taken_from_the_summary(life: Life) -> None:
    life.clock.now = at(2, 3)
    life.cloud.overages = Decimal("3.45")
    items = life.collect(JANUARY)
    (overage,) = [item for item in items if item["charge_description"] == "Overages"]
    assert (overage["billed_cost"], overage["charge_category"]) == (Decimal("3.45"), "Usage")
    assert billed(items) == life.cloud.invoice_amount(JANUARY)


ITEM = {
    "product": "Kubernetes Clusters",
    "resource_uuid": "711157cb-37c8-4817-b371-44fa3504a39c",
    "group_description": "my-doks-cluster",
    "description": "a56e086a317d8410c8b4cfd1f4dc9f82",
    "amount": "12.34",
    "duration": "744",
    "duration_unit": "Hours",
    "start_time": "2026-01-01T00:00:00Z",
    "end_time": "2026-02-01T00:00:00Z",
}
PARTS = {"product_charges": "12.34", "overages": "3.45", "taxes": "4.56", "credits_and_adjustments": "6.78"}


def invoiced(life: Life, amount: str, parts: dict[str, str], *items: dict[str, str]) -> None:
    """Let the cloud have one invoice, for January."""
    life.clock.now = at(2, 3)
    listed = {"invoice_uuid": "u-1", "amount": amount, "invoice_period": "2026-01"}
    preview = {**listed, "invoice_uuid": "u-2", "invoice_period": "2026-02"}
    answers: dict[str, Any] = {
        "/invoices/u-1/summary": {
            "amount": amount,
            **{name: {"amount": part} for name, part in parts.items()},
        },
        "/invoices/u-1": {"invoice_items": items, "links": {}, "meta": {"total": len(items)}},
        "/insights/": {"data_points": [], "total_items": 0, "total_pages": 0, "current_page": 1},
        "/my/invoices": {"invoices": [listed], "invoice_preview": preview, "meta": {"total": 1}},
    }
    for path, answer in answers.items():
        life.cloud.fail(say(SimulatedResponse.of(answer)), times=99, path=path)


def test_the_vendors_own_example_adds_up(life: Life) -> None:
    """Its credits and adjustments are positive: parts are added as they are."""
    invoiced(life, "27.13", PARTS, ITEM)
    items = life.collect(JANUARY)
    assert [
        (item["charge_category"], item["service_name"], str(item["billed_cost"].normalize())) for item in items
    ] == [
        ("Usage", "Kubernetes Clusters", "12.34"),
        ("Usage", "Overages", "3.45"),
        ("Tax", "Taxes", "4.56"),
        ("Adjustment", "Credits & adjustments", "6.78"),
    ]
    assert items[0]["resource_id"] == ITEM["resource_uuid"]
    assert billed(items) == Decimal("27.13")
    assert life.collections[JANUARY].control_totals == {"USD": Decimal("27.13")}


def test_overage_that_is_among_the_items_is_not_counted_twice(life: Life) -> None:
    traffic = {**ITEM, "product": "Bandwidth", "description": "Overage", "amount": "3.45"}
    invoiced(life, "27.13", PARTS, ITEM, traffic)
    items = life.collect(JANUARY)
    assert billed(items) == Decimal("27.13")
    assert billed(items, charge_category="Usage") == Decimal("15.79")


@pytest.mark.parametrize(
    ("amount", "parts", "rest"),
    [
        ("27.14", {}, "0.01"),
        ("27.12", {"product_charges": "12.33"}, "-0.01"),
        ("27.13", {"credits_and_adjustments": "-"}, "6.78"),
        ("27.13", {"taxes": "4.00"}, "0.56"),
    ],
)
def test_what_items_and_summary_lack_of_the_invoice_is_a_line_of_its_own(
    life: Life, amount: str, parts: dict[str, str], rest: str
) -> None:
    invoiced(life, amount, {**PARTS, **parts}, ITEM)
    items = life.collect(JANUARY)
    assert billed(items) == Decimal(amount)
    assert billed(items, charge_description="Not itemised", charge_category="Adjustment") == Decimal(rest)


def test_a_summary_of_another_amount_than_listed_explains_nothing(life: Life) -> None:
    life.clock.now = at(2, 3)
    life.cloud.fail(rewrite('"amount":"', '"amount":"1'), times=99, path="/summary")
    items = life.collect(JANUARY)
    assert billed(items) == life.cloud.invoice_amount(JANUARY)
    (warning,) = life.collections[JANUARY].warnings
    assert "which the list of invoices states" in warning.example


def _exclusive(cloud: SimulatedCloud, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
    """Insights whose last day is not included."""
    *begin, end = request.path.split("/")
    day = date.fromisoformat(end) - timedelta(days=1)
    return answer(replace(request, path="/".join([*begin, str(day)])))


def test_whether_the_last_day_of_a_window_is_included_does_not_matter(life: Life) -> None:
    life.clock.now = at(2, 1, 5)
    whole = life.collect(JANUARY)
    assert len(by_day(whole)) == 31
    life.cloud.fail(_exclusive, times=99, path="/insights/")
    assert life.collect(JANUARY) == whole
    windows = [request.path.split("/")[-2:] for request in life.cloud.asked if "/insights/" in request.path]
    assert all(date.fromisoformat(end) - date.fromisoformat(begin) <= timedelta(days=31) for begin, end in windows)


def test_a_team_of_a_group_is_a_sub_account(life: Life) -> None:
    life.cloud.fail(rewrite(f"do:team:{life.cloud.team}", "do:team:another"), times=99, path="/insights/")
    items = life.collect(JANUARY)
    assert {item["sub_account_id"] for item in items} == {"another"}
    assert {item["billing_account_id"] for item in items} == {life.cloud.team}


def test_with_the_urn_given_the_account_is_not_asked(life: Life) -> None:
    urn = f"do:team:{life.cloud.team}"
    life.cloud.scopes = {"billing:read"}
    account = life.account_with(account_urn=urn)
    assert life.provider.discover(account) == [life.cloud.team]
    collection = life.provider.collect(account, JANUARY, life.context)
    costs = [cost for batch in collection.batches for cost in batch["billed_cost"].to_pylist()]
    assert sum(costs) == life.cloud.shown_amount(JANUARY)
    assert [request for request in life.cloud.asked if request.path == "/v2/account"] == []


def test_a_urn_of_somebody_else_is_said_so(life: Life) -> None:
    account = life.account_with(account_urn="do:team:5df3e300")
    said = "account_urn: 'do:team:5df3e300' has no billing insights"
    with pytest.raises(CredentialRejected, match=said):
        life.provider.discover(account)
    assert any(said in warning.example for warning in life.provider.probe(account, {}, life.context).warnings)
    collection = life.provider.collect(account, JANUARY, life.context)
    costs = [cost for batch in collection.batches for cost in batch["billed_cost"].to_pylist()]
    assert sum(costs) == life.cloud.shown_amount(JANUARY), "from the preview"


@pytest.mark.parametrize("urn", ["team", "do:user:1", "do:team:", "do:team:a/b", "do:team:a b"])
def test_only_a_urn_is_accepted(urn: str) -> None:
    with pytest.raises(ValidationError, match="do:team:<uuid> or do:teamgroup:<uuid> is accepted"):
        DigitalOceanCredential(api_token=SECRET, account_urn=urn)


@pytest.mark.parametrize(
    ("scope", "path"), [("billing:read", "/v2/customers/my/invoices"), ("account:read", "/v2/account")]
)
def test_a_missing_scope_is_named(life: Life, scope: str, path: str) -> None:
    life.cloud.scopes.remove(scope)
    said = f"{path}: .*403: You are missing.* the scope {scope}"
    if scope == "account:read":
        assert any(re.search(said, warning.example) for warning in life.probe().warnings), "it only names the team"
    else:
        for ask in (life.probe, lambda: life.collect(JANUARY)):
            with pytest.raises(CredentialRejected, match=said):
                ask()
    with pytest.raises(CredentialRejected, match=f"the scope {scope}"):
        life.provider.discover(life.account)


def test_without_the_scope_for_droplets_costs_come_without_tags(life: Life) -> None:
    life.cloud.scopes.remove("droplet:read")
    life.tick()
    assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)
    assert {tuple(item["tags"] or ()) for item in life.items[JANUARY]} == {()}
    assert "3164400" in {item["resource_id"] for item in life.items[JANUARY]}
    asked = len(life.cloud.asked)
    life.probe()
    assert not [request for request in life.cloud.asked[asked:] if request.path == "/v2/droplets"], "once a day"


def test_droplets_are_those_of_the_time() -> None:
    gone = replace(WEB, ended=date(2026, 1, 9))
    life = live(replace(small(), resources=(gone, DISK)), at(1, 8, 5))
    with life.cloud:
        life.go(at(1, 8, 5), at(1, 9, 5), at(1, 20, 5))
        droplets = [item for item in life.items[JANUARY] if item["service_name"] == "Droplets"]
        assert len(droplets) == 8
        assert {tuple(item["tags"]) for item in droplets} == {(("team:shop", "true"),)}


def test_a_short_wait_is_waited_and_a_long_one_is_told(life: Life) -> None:
    waited: list[float] = []
    context = ProviderContext(life.clock, life.snapshots, sleep=waited.append)
    life.cloud.fail(throttle(), times=1)
    life.provider.probe(life.account, {}, context)
    assert waited == [5.0]
    reset = at(1, 10, 12, 40)
    for headers, until in (
        ({"retry-after": "90"}, at(1, 10, 12) + timedelta(seconds=90)),
        ({"ratelimit-remaining": "0", "ratelimit-reset": f"{reset.timestamp():.0f}"}, reset),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "9" * 30}, at(1, 10, 12, 1)),
        ({"ratelimit-remaining": "4999", "ratelimit-reset": f"{reset.timestamp():.0f}"}, at(1, 10, 12, 1)),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "soon"}, at(1, 10, 12, 1)),
    ):
        body = {"id": "too_many_requests", "message": "API rate limit exceeded."}
        life.cloud.recover()
        life.cloud.fail(say(SimulatedResponse.of(body, 429, headers)), times=99)
        with pytest.raises(Throttled, match=r"429: API rate limit exceeded\.") as raised:
            life.probe()
        assert raised.value.until == until


@pytest.mark.parametrize("hourly", [HOURLY_LIMIT, 50_000])
def test_a_large_month_stays_below_the_limit_of_a_minute(life: Life, hourly: int) -> None:
    waited: list[float] = []
    context = ProviderContext(life.clock, life.snapshots, sleep=waited.append)
    life.clock.now = at(2, 3)
    life.cloud.extra_items, life.cloud.page_size = 2_000, 20
    life.cloud.hourly_limit = hourly
    collection = life.provider.collect(life.account, JANUARY, context)
    assert sum(batch.num_rows for batch in collection.batches) == 2_000 + 4 * 31
    assert collection.requests > 100
    assert set(waited) == {60 / (hourly * 0.04)}
    assert len(waited) >= collection.requests - UNPACED - 5, "what opens the stream is another few requests"
    assert UNPACED + 60 / waited[0] < hourly * 0.05


def test_the_address_of_the_next_page_is_not_followed_elsewhere(life: Life) -> None:
    life.clock.now = at(2, 3)
    life.cloud.page_size = 3
    elsewhere = rewrite(f'"next":"{life.cloud.url}', '"next":"https://elsewhere.example')
    life.cloud.fail(elsewhere, times=999, path="/invoices/")
    assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY)


def test_a_repeated_page_is_refused(life: Life) -> None:
    life.clock.now = at(2, 3)
    life.cloud.page_size = 2

    def again(cloud: SimulatedCloud, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
        return answer(replace(request, query={"per_page": "2"}))

    collection = life.open(JANUARY)
    life.cloud.fail(again, times=999, path="customers/my/invoices/")
    with pytest.raises(Transient, match="same page again after 4 items"):
        list(collection.batches)


@pytest.mark.parametrize(
    ("old", "new"),
    [(f'"{name}":{count}', f'"{name}":{count + change}') for name, count in (("total", 4),) for change in (1, -1)],
)
def test_items_of_another_number_than_announced_are_refused(life: Life, old: str, new: str) -> None:
    life.clock.now = at(2, 3)
    life.cloud.fail(rewrite(old, new), times=99)
    with pytest.raises(Transient, match="items came though"):
        life.collect(JANUARY)


@pytest.mark.parametrize(
    ("path", "old", "new", "message"),
    [
        (
            "/invoices",
            '"invoice_period":"2026',
            '"invoice_period":"26',
            "invoice_period: value '26-0.' .* a month",
        ),
        ("/invoices", '"invoice_uuid":"', '"invoice_uuid":"","was":"', "invoice_uuid: value '' .* an id"),
        ("/invoices/", '"meta"', '"about"', "meta: is missing: a JSON object"),
        ("/invoices/", "?page=", "?cursor=", "links.pages.next: value .* an address with a page number"),
    ],
)
def test_a_changed_contract_names_field_and_value(life: Life, path: str, old: str, new: str, message: str) -> None:
    life.clock.now = at(2, 3)
    life.cloud.page_size = 3
    life.cloud.fail(rewrite(old, new), times=999, path=path)
    with pytest.raises(ContractChanged, match=message):
        life.collect(JANUARY)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"total_amount"', '"total"'),
        ('"total_amount":"', '"total_amount":"$'),
        ('"start_date":"2026', '"start_date":"day'),
        ('"data_points"', '"points"'),
        ('"total_items":', '"total_items":1'),
        ('"current_page":1', '"current_page":"one"'),
    ],
)
def test_insights_that_changed_give_way_to_the_items_so_far_and_of_the_invoice(life: Life, old: str, new: str) -> None:
    life.clock.now = at(2, 3, 12)
    life.cloud.fail(rewrite(old, new), times=999, path="/insights/")
    assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY)
    assert billed(life.collect(FEBRUARY)) == life.cloud.shown_amount(FEBRUARY)
    assert methods(life.items[FEBRUARY]).keys() == {"month so far"}
    for month in (JANUARY, FEBRUARY):
        assert any("lack the days, regions and SKUs" in warning.message for warning in life.collections[month].warnings)


def test_months_from_before_the_account_was_connected_have_their_days_too() -> None:
    life = live(replace(small(), start=date(2024, 6, 1)), at(3, 3, 12))
    with life.cloud:
        assert len(life.probe().tokens) == 13
        december = BillingPeriod(2025, 12)
        items = life.collect(december)
        assert billed(items) == life.cloud.invoice_amount(december)
        assert len(by_day(items)) == 31
