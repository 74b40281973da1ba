"""Linode over real sockets: days while a month is open, items once it is invoiced, invoices within the month, and each known trap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from life import SECRET, AnyLife, Item, at, billed, by_day
from pydantic import ValidationError

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import (
    BadData,
    ContractChanged,
    CredentialRejected,
    NothingThere,
    Throttled,
    Transient,
)
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext
from optiinfra_assets.providers.linode.provider import UNINVOICED, LinodeCredential
from optiinfra_assets.simulators.linode.simulator import SimulatedLinode
from optiinfra_assets.simulators.server.faults import rewrite, say, throttle
from optiinfra_assets.simulators.server.server import SimulatedResponse
from optiinfra_assets.simulators.world.scenario import EventKind, Scenario, ScenarioEvent, ScenarioResource

DECEMBER = BillingPeriod(2025, 12)
JANUARY = BillingPeriod(2026, 1)
FEBRUARY = BillingPeriod(2026, 2)
TAXED: dict[str, Any] = {"tax_rate": Decimal("0.2")}
WEB = ScenarioResource(
    "web", "web", "compute", "g6-standard-2", "us-east", "main", Decimal("0.10"), tags=(("team", "shop"),)
)
DISK = ScenarioResource("disk", "disk", "storage", "volume", "eu-west", "main", Decimal("0.03"))
FACTS = [{"name": "PA STATE TAX", "tax": Decimal("12.25")}]


def small(*events: ScenarioEvent, **fields: Any) -> Scenario:
    """A Linode and a volume from January 2026, no tax unless said."""
    return Scenario("small", date(2026, 1, 1), (WEB, DISK), events, **{"tax_rate": Decimal(0), **fields})


class Life(AnyLife):
    """One account at this cloud; `told` goes into its settings."""

    cloud: SimulatedLinode
    told: dict[str, Any]

    @property
    def account(self) -> Account:
        plain = super().account
        return replace(plain, settings={**plain.settings, **getattr(self, "told", {})})


def live(scenario: Scenario, now: datetime, quantum: Decimal | None = None, **told: Any) -> Life:
    life = Life.of("linode", scenario, now, quantum=quantum)
    assert isinstance(life, Life)
    life.told = told
    return life


@pytest.fixture
def life() -> Iterator[Life]:
    """An account that began on the 1st of January, on its 10th at noon."""
    made = live(small(), at(1, 10, 12))
    with made.cloud:
        yield made


@pytest.fixture
def old() -> Iterator[Life]:
    """An account from December with tax, in the middle of February: two months are invoiced."""
    made = live(replace(small(**TAXED), start=date(2025, 12, 1)), at(2, 10, 12))
    with made.cloud:
        yield made


def method(item: Item) -> str:
    return dict(item["x_columns"])["x_Method"]


def extra(item: Item, name: str) -> str | None:
    return dict(item["x_columns"]).get(name)


def listing(*objects: dict[str, Any]) -> SimulatedResponse:
    return SimulatedResponse.of({"data": list(objects), "page": 1, "pages": 1, "results": len(objects)})


def invoice(**fields: Any) -> dict[str, Any]:
    """The vendor's own example, of the 1st of January 2018."""
    example = {
        "id": 123,
        "date": "2018-01-01T00:01:01",
        "label": "Invoice",
        "subtotal": Decimal("120.25"),
        "tax": Decimal("12.25"),
        "tax_summary": FACTS,
        "total": Decimal("132.5"),
        "billing_source": "linode",
    }
    return {**example, **fields}


def item(**fields: Any) -> dict[str, Any]:
    """The vendor's own example of an item."""
    example = {
        "label": "Linode 123",
        "type": "hourly",
        "from": "2017-12-01T00:00:00",
        "to": "2017-12-31T23:59:59",
        "quantity": 4,
        "unit_price": "5.05",
        "amount": Decimal("20.2"),
        "tax": Decimal("1.25"),
        "total": Decimal("21.45"),
        "region": "us-west",
    }
    return {**example, **fields}


def invoiced(life: Life, bill: dict[str, Any], *items: dict[str, Any]) -> None:
    """Whatever is asked from now on: this invoice with these items, for an account that is old enough."""
    life.cloud.fail(say(listing(*items)), times=99, path=f"/invoices/{bill['id']}/items")
    life.cloud.fail(say(listing(bill)), times=99, path="/account/invoices")
    scenario = replace(life.cloud.world.scenario, start=date(2010, 1, 1))
    life.cloud.world.scenario = scenario


def test_a_busy_year_tick_by_tick_equals_its_invoices_to_the_cent() -> None:
    year = live(Scenario.load("busy_year"), datetime(2025, 11, 1, 0, 15, tzinfo=UTC))
    with year.cloud:
        for month in year.cloud.world.periods(datetime(2026, 10, 1, tzinfo=UTC)):
            year.go(month.start + timedelta(minutes=15), month.start + timedelta(hours=1))
            step = 1 if month == FEBRUARY else 6
            for day in range(1, (month.end - month.start).days, step):
                year.go(month.start + timedelta(days=day, minutes=1))
                assert billed(year.items[month]) == year.cloud.shown_amount(month)
                if month == FEBRUARY and day == 16:
                    year.cloud.issue_invoice()
            rows = len(by_day(year.items[month]))
            assert rows >= (26 if step == 1 else 5)
            assert {one["service_name"] for one in year.items[month]} <= {"Linode (uninvoiced)", "Tax"}
            assert not year.collections[month].is_final
        year.go(datetime(2026, 11, 1, 1, tzinfo=UTC))
        closed = year.cloud.world.periods()[:-1]
        assert len(closed) == 12
        for month in closed:
            amount = year.cloud.invoice_amount(month)
            assert amount > 270
            assert billed(year.items[month]) == amount
            assert year.collections[month].control_totals == {"USD": amount}
            assert year.collections[month].is_final
            assert year.collections[month].data_through == month.end
            assert "Linode (uninvoiced)" not in {one["service_name"] for one in year.items[month]}
        items = [one for month in closed for one in year.items[month]]
        assert {one["charge_category"] for one in items} == {"Usage", "Tax", "Credit"}
        assert billed(items, charge_category="Tax") > 2_000
        assert billed(items, charge_category="Credit") < -70
        assert {one["service_name"] for one in items if one["charge_category"] == "Usage"} >= {
            "Linodes",
            "Block Storage",
            "Load Balancers",
            "Managed Databases",
        }
        assert len({one["invoice_id"] for one in year.items[FEBRUARY]}) == 2


def test_an_open_month_is_one_line_by_day(life: Life) -> None:
    life.days(at(1, 2, 0, 1), 4)
    truth = {charge.day: Decimal(0) for charge in life.cloud.world.charges(JANUARY)}
    for charge in life.cloud.world.charges(JANUARY):
        truth[charge.day] += charge.amount
    assert by_day(life.items[JANUARY]) == truth
    first = life.items[JANUARY][0]
    expected = {
        "source": "snapshot difference",
        "is_estimated": True,
        "effective_cost": first["billed_cost"],
        "contracted_cost": first["billed_cost"],
        "list_cost": first["billed_cost"],
        "billing_currency": "USD",
        "billing_account_name": "small (simulated)",
        "charge_category": "Usage",
        "charge_class": None,
        "charge_description": "Linode (uninvoiced)",
        "service_name": "Linode (uninvoiced)",
        "service_category": "Other",
        "service_provider_name": "Linode",
        "invoice_issuer_name": "Linode",
        "resource_id": None,
        "consumed_quantity": None,
        "invoice_id": None,
        "charge_period_start": at(1, 1),
        "charge_period_end": at(1, 2, 0, 1),
        "billing_period_start": at(1, 1),
        "billing_period_end": at(2, 1),
        "x_columns": [("x_Method", "difference of readings")],
    }
    assert {name: first[name] for name in expected} == expected
    assert len(first["billing_account_id"]) == 32


def test_with_its_invoice_a_month_becomes_the_items_and_the_days_were_there_before() -> None:
    life = live(small(**TAXED), at(1, 1, 12))
    with life.cloud:
        life.days(at(1, 1, 12), 31)
        before = life.items[JANUARY]
        assert len(by_day(before)) > 25
        assert life.go(at(2, 1, 0, 45)) == [JANUARY, FEBRUARY]
        after = life.items[JANUARY]
        assert billed(after) == life.cloud.invoice_amount(JANUARY) > billed(before)
    assert {method(one) for one in after} == {"invoice line"}
    assert not any(one["is_estimated"] for one in after)
    web = next(one for one in after if one["service_name"] == "Linodes")
    expected = {
        "source": "invoice",
        "charge_description": "Linode 4GB - web (47000001)",
        "service_category": "Compute",
        "region_id": "us-east",
        "resource_id": "47000001",
        "resource_name": "web",
        "resource_type": "Linode",
        "tags": [("team:shop", "true")],
        "consumed_unit": "Hours",
        "charge_period_start": at(1, 1),
        "charge_period_end": at(2, 1),
    }
    assert {name: web[name] for name in expected} == expected
    assert web["consumed_quantity"] > 700
    assert web["list_cost"] == web["billed_cost"] < web["consumed_quantity"] * Decimal("0.10"), "the cap"
    assert (extra(web, "x_ItemType"), extra(web, "x_UnitPrice"), extra(web, "x_Plan")) == (
        "hourly",
        "0.10",
        "g6-standard-2",
    )
    disk = next(one for one in after if one["service_name"] == "Block Storage")
    assert (disk["resource_id"], disk["resource_type"], disk["region_id"]) == (
        "47000002",
        "Block Storage",
        "eu-west",
    ), "a volume's id is of another kind than a Linode's"
    tax = [one for one in after if one["charge_category"] == "Tax"]
    assert [(one["service_name"], one["charge_description"]) for one in tax] == [("Tax", "SALES TAX (simulated)")]


def test_an_invoiced_month_can_be_kept_by_day() -> None:
    life = live(small(**TAXED), at(1, 1, 12), keep_days=True)
    with life.cloud:
        life.days(at(1, 1, 12), 26)
        before = life.items[JANUARY]
        life.go(at(2, 1, 0, 45))
        after = life.items[JANUARY]
        assert billed(after) == life.cloud.invoice_amount(JANUARY)
        assert dict(list(by_day(before).items())[:-1]).items() <= by_day(after).items()
        assert [method(one) for one in after if not one["is_estimated"]] == [
            "residual of the invoice",
            "invoice line",
        ]
        assert life.collections[JANUARY].is_final
        life.told = {}
        assert life.tick() == [JANUARY, FEBRUARY], "another choice makes other rows, so the token is another"
        assert {method(one) for one in life.items[JANUARY]} == {"invoice line"}
        assert billed(life.items[JANUARY]) == billed(after)


def test_an_invoice_within_the_month_is_a_reset_and_no_refund() -> None:
    life = live(small(**TAXED), at(1, 10, 12))
    with life.cloud:
        life.days(at(1, 10, 0, 1), 3)
        days = by_day(life.items[JANUARY])
        owed = life.cloud.uninvoiced()
        life.clock.now = at(1, 12, 6)
        life.cloud.issue_invoice()
        life.go(at(1, 12, 6, 5))
        assert life.cloud.uninvoiced() == 0 < owed
        items = life.items[JANUARY]
        assert all(one["billed_cost"] > 0 for one in items), "nothing looks like money given back"
        assert billed(items) == life.cloud.shown_amount(JANUARY) > owed
        assert days.items() <= by_day([one for one in items if one["charge_category"] == "Usage"]).items()
        number = items[0]["invoice_id"]
        assert {one["invoice_id"] for one in items} == {number}
        tax = [one for one in items if one["charge_category"] == "Tax"]
        assert len(tax) == 1
        assert not life.collections[JANUARY].is_final
        assert life.collections[JANUARY].control_totals is None
        assert life.collections[JANUARY].data_through == at(1, 12, 6, 5)

        life.days(at(1, 13, 0, 1), 19)
        assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)
        assert len(by_day(life.items[JANUARY])) >= 20, "the days from before the invoice are still there"
        assert {one["invoice_id"] for one in life.items[JANUARY]} == {number, None}
        life.go(at(2, 1, 1))
        items = life.items[JANUARY]
        assert billed(items) == life.cloud.invoice_amount(JANUARY)
        assert len({one["invoice_id"] for one in items}) == 2
        assert {one["charge_category"] for one in items} == {"Usage", "Tax"}
        webs = [one for one in items if one["service_name"] == "Linodes"]
        assert [(one["charge_period_start"], one["charge_period_end"]) for one in webs] == [
            (at(1, 1), at(1, 12, 6)),
            (at(1, 12, 6), at(2, 1)),
        ]


def test_a_reset_that_shows_before_its_invoice_is_put_right_by_it() -> None:
    life = live(small(), at(1, 10, 12))
    with life.cloud:
        life.days(at(1, 10, 0, 1), 3)
        life.clock.now = at(1, 12, 6)
        life.cloud.issue_invoice()
        life.cloud.fail(say(listing()), path="/account/invoices", times=2)
        life.go(at(1, 12, 6, 5))
        assert any(one["billed_cost"] < 0 for one in life.items[JANUARY]), "nobody knows better yet"
        life.go(at(1, 12, 6, 20))
        assert all(one["billed_cost"] > 0 for one in life.items[JANUARY])
        assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)


def test_an_invoice_early_in_the_month_is_told_from_a_late_one_by_its_items() -> None:
    life = live(replace(small(), start=date(2025, 12, 1)), at(1, 30))
    with life.cloud:
        life.days(at(1, 30, 0, 1), 2)
        life.go(at(2, 1, 1), at(2, 3, 1))
        life.cloud.issue_invoice()
        life.go(at(2, 3, 2))
        assert billed(life.items[FEBRUARY]) == life.cloud.shown_amount(FEBRUARY)
        assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)
        assert not life.collections[FEBRUARY].is_final
        asked = len([one for one in life.cloud.asked if one.path.endswith("/items")])
        life.go(at(2, 3, 3))
        again = len([one for one in life.cloud.asked if one.path.endswith("/items")])
        assert again == asked, "an invoice never changes: its page is kept"

    life = live(replace(small(), start=date(2025, 12, 1)), at(1, 30))
    life.cloud.world.scenario = replace(life.cloud.world.scenario, invoice_delay=timedelta(hours=30))
    with life.cloud:
        life.days(at(1, 30, 0, 1), 3)
        assert FEBRUARY not in life.tokens, "until the invoice, what is not invoiced is still the old month's"
        assert life.go(at(2, 2, 7)) == [JANUARY, FEBRUARY]
        assert life.collections[JANUARY].is_final
        assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)
        assert billed(life.items[FEBRUARY]) == life.cloud.shown_amount(FEBRUARY)


def test_an_invoice_past_a_threshold_on_the_1st_is_of_the_month_that_begins() -> None:
    """The regular invoice came at 0:30; what this one bills began after the old month was over, and ended before noon."""
    life = live(replace(small(), start=date(2025, 12, 1)), at(1, 30))
    with life.cloud:
        life.days(at(1, 30, 0, 1), 2)
        life.go(at(2, 1, 1), at(2, 1, 10))
        life.cloud.issue_invoice()
        life.go(at(2, 1, 10, 15), at(2, 2, 0, 5), at(2, 3, 0, 5))
        assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)
        assert billed(life.items[FEBRUARY]) == life.cloud.shown_amount(FEBRUARY)
        life.go(at(3, 1, 1))
        for month in (JANUARY, FEBRUARY):
            assert billed(life.items[month]) == life.cloud.invoice_amount(month)
            assert life.collections[month].is_final
        assert len({one["invoice_id"] for one in life.items[FEBRUARY]}) == 2


def test_an_invoice_past_a_threshold_may_be_the_first_of_the_1st() -> None:
    """The old month stays open until its own invoice, which is late."""
    life = live(replace(small(), start=date(2025, 12, 1)), at(1, 30))
    life.cloud.world.scenario = replace(life.cloud.world.scenario, invoice_delay=timedelta(hours=30))
    threshold = invoice(id=7, date="2026-02-01T15:05:00", subtotal=Decimal(20), total=Decimal("32.25"))
    running = item(**{"from": "2026-02-01T00:00:00", "to": "2026-02-01T14:59:59"})
    with life.cloud:
        life.days(at(1, 30, 0, 1), 3)
        bills = [life.cloud._listed(bill) for bill in life.cloud._all_bills()]
        life.cloud.fail(say(listing(running)), times=99, path="/invoices/7/items")
        life.cloud.fail(lambda cloud, request, answer: answer(request), times=99, path="/items")
        life.cloud.fail(say(listing(*bills, threshold)), times=99, path="/account/invoices")
        life.go(at(2, 1, 16))
        assert not life.collections[JANUARY].is_final
        assert "7" in {one["invoice_id"] for one in life.items[FEBRUARY]}


def test_items_of_an_invoice_that_cannot_be_read_stop_its_months_and_are_asked_for_again(old: Life) -> None:
    """An answer that is put right later must be asked for again."""
    old.cloud.fail(rewrite('"data"', '"items"'), times=2, path="/items")
    before = old.probe().tokens
    after = old.probe().tokens
    assert {month for month in after if before[month] != after[month]}, "the months that the invoices may bill"


def test_the_first_invoice_of_a_new_account_is_of_its_own_month() -> None:
    life = live(small(), at(1, 1, 20))
    with life.cloud:
        life.tick()
        life.cloud.issue_invoice()
        life.go(at(1, 1, 22))
        assert life.tokens.keys() == {JANUARY}
        assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)


def test_transfer_overage_comes_with_the_invoice_only_and_stands_in_the_lineage() -> None:
    overage = ScenarioResource("out", "out", "transfer", "gb", "us-east", "main", Decimal("0.005"))
    life = live(replace(small(), resources=(WEB, overage)), at(1, 30))
    with life.cloud:
        life.go(at(1, 30))
        shown = life.cloud.world.accrued(JANUARY)
        assert billed(life.items[JANUARY]) == sum(
            one.amount for one in shown if one.resource and one.resource.service != "transfer"
        )
        said = life.collections[JANUARY].sources[-1]
        assert (said["kind"], said["billable_gb"], said["used_gb"], said["quota_gb"]) == (
            "transfer",
            "0",
            "60",
            "9141",
        )
        life.go(at(2, 1, 1))
        assert billed(life.items[JANUARY], service_name="Network Transfer") > 3
        assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)


def test_a_credit_for_day_5_lowers_the_total_the_tick_after_it_shows() -> None:
    """If the cloud shows it at once; else it comes with the invoice, as the next test has it."""
    credit = ScenarioEvent(EventKind.CREDIT, date(2026, 1, 5), posted_on=date(2026, 2, 9), amount=Decimal("7.50"))
    life = live(small(credit), at(1, 5))
    life.cloud.hides_credits = False
    with life.cloud:
        life.go(at(1, 5), at(2, 1, 1), at(2, 8, 23))
        january, before = life.items[JANUARY], billed(life.items[FEBRUARY])
        assert life.go(at(2, 9)) == [FEBRUARY]
        assert billed(life.items[FEBRUARY]) == life.cloud.shown_amount(FEBRUARY) < before
        assert life.items[JANUARY] == january
        life.go(at(3, 1, 1))
        assert billed(life.items[FEBRUARY]) == life.cloud.invoice_amount(FEBRUARY)


def test_a_credit_is_a_negative_item_and_a_correction_if_it_is_for_an_earlier_month() -> None:
    earlier = ScenarioEvent(EventKind.CREDIT, date(2026, 1, 5), posted_on=date(2026, 2, 9), amount=Decimal("7.50"))
    own = ScenarioEvent(EventKind.CREDIT, date(2026, 2, 5), amount=Decimal("2.25"))
    life = live(small(earlier, own), at(2, 8))
    with life.cloud:
        life.go(at(2, 8), at(2, 10))
        assert all(one["billed_cost"] > 0 for one in life.items[FEBRUARY])
        life.go(at(3, 1, 1))
        credits = [one for one in life.items[FEBRUARY] if one["charge_category"] == "Credit"]
        assert sorted((one["billed_cost"], one["charge_class"]) for one in credits) == [
            (Decimal("-7.50"), "Correction"),
            (Decimal("-2.25"), None),
        ]
        assert {one["charge_frequency"] for one in credits} == {"One-Time"}
        assert billed(life.items[FEBRUARY]) == life.cloud.invoice_amount(FEBRUARY)


def test_usage_that_is_restated_lowers_the_open_month_and_corrects_the_invoiced_one() -> None:
    spike = ScenarioEvent(EventKind.SPIKE, date(2026, 1, 5), factor=Decimal(10))
    before = ScenarioEvent(EventKind.RESTATE, date(2026, 1, 5), posted_on=date(2026, 1, 9), factor=Decimal("0.1"))
    after = ScenarioEvent(EventKind.RESTATE, date(2026, 1, 20), posted_on=date(2026, 2, 9), factor=Decimal("0.1"))
    late = ScenarioEvent(EventKind.LATE, date(2026, 1, 30), posted_on=date(2026, 2, 3))
    life = live(small(spike, before, after, late), at(1, 2))
    with life.cloud:
        life.days(at(1, 2, 0, 1), 7)
        assert all(one["billed_cost"] > 0 for one in life.items[JANUARY])
        life.go(at(1, 9, 0, 1))
        falls = [one for one in life.items[JANUARY] if one["billed_cost"] < 0]
        assert [(one["charge_period_start"], one["charge_category"]) for one in falls] == [(at(1, 8, 0, 1), "Usage")]
        assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)
        life.go(at(2, 1, 1), at(2, 9), at(3, 1, 1))
        for period in (JANUARY, FEBRUARY):
            assert billed(life.items[period]) == life.cloud.invoice_amount(period)
        corrections = [one for one in life.items[FEBRUARY] if one["charge_class"] == "Correction"]
        assert {one["charge_period_start"].date() for one in corrections} == {date(2026, 1, 20)}


def test_months_from_before_the_account_was_connected_are_their_invoices() -> None:
    life = live(replace(small(**TAXED), start=date(2024, 6, 1)), at(3, 3, 12))
    with life.cloud:
        life.tick()
        assert len(life.tokens) == 13
        assert min(life.tokens) == BillingPeriod(2025, 3)
        for period in sorted(life.tokens)[:-1]:
            assert billed(life.items[period]) == life.cloud.invoice_amount(period)
            spans = {(one["charge_period_start"], one["charge_period_end"]) for one in life.items[period][:2]}
            assert spans == {(period.start, period.end)}
        assert life.tick() == []
        oldest = BillingPeriod(2024, 7)
        assert billed(life.collect(oldest)) == life.cloud.invoice_amount(oldest) > 0


def test_a_quarter_of_an_hour_makes_few_readings_and_no_other_sum(life: Life) -> None:
    life.go(*(at(1, 12) + timedelta(minutes=15 * number) for number in range(96)))
    assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)
    assert len(life.items[JANUARY]) == 2
    assert len(life.collected) == 24, "an hour's charges are collected once"
    assert len(life.snapshots.taken(UNINVOICED, JANUARY)) == 24


def test_of_the_account_only_figures_are_kept(life: Life) -> None:
    life.tick()
    kept = [one.body for one in life.snapshots.read(UNINVOICED, JANUARY)]
    assert b"balance_uninvoiced" in kept[0]
    assert not any(word in body for body in kept for word in (b"example.com", b"1111", b"555-0100", b"Street"))


def test_an_item_whose_machine_is_gone_has_the_name_of_its_time() -> None:
    gone = replace(WEB, ended=date(2026, 1, 6))
    other = replace(WEB, resource_id="other", started=date(2026, 1, 8), region="eu-west")
    life = live(replace(small(), resources=(gone, other)), at(1, 2))
    with life.cloud:
        life.days(at(1, 2, 0, 1), 12)
        life.cloud.fail(rewrite('"label":"web"', '"label":"renamed"'), times=99, path="/instances")
        life.go(at(1, 31, 1), at(2, 1, 1))
    found = {one["resource_id"]: one for one in life.items[JANUARY]}
    assert found["47000001"]["tags"] == found["47000002"]["tags"] == [("team:shop", "true")]
    assert found["47000001"]["charge_period_end"] == at(1, 6)
    assert found["47000002"]["resource_name"] == "renamed", "the id is the same whatever the name"
    assert found["47000002"]["region_id"] == "eu-west"


def test_the_vendors_own_example_is_understood(life: Life) -> None:
    rest = item(label="Linode 124", amount=Decimal("100.05"), type="misc", region=None, unit_price=None)
    undated = {**rest, "from": None, "to": None, "quantity": None}
    invoiced(life, invoice(), item(to="2017-12-31T11:59:59"), undated)
    items = life.collect(BillingPeriod(2017, 12))
    assert [
        (one["charge_description"], one["billed_cost"], one["charge_category"], one["charge_period_end"])
        for one in items
    ] == [
        ("Linode 123", Decimal("20.2"), "Usage", datetime(2017, 12, 31, 12, tzinfo=UTC)),
        ("Linode 124", Decimal("100.05"), "Usage", datetime(2018, 1, 1, tzinfo=UTC)),
        ("PA STATE TAX", Decimal("12.25"), "Tax", datetime(2018, 1, 1, tzinfo=UTC)),
    ]
    assert billed(items) == Decimal("132.5")
    assert {one["invoice_id"] for one in items} == {"123"}
    assert (items[0]["consumed_quantity"], extra(items[0], "x_UnitPrice")) == (4, "5.05")


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, [("Linode 123", "20.2", "Usage"), ("PA STATE TAX", "12.25", "Tax")]),
        ({"tax_summary": []}, [("Linode 123", "20.2", "Usage"), ("Tax", "12.25", "Tax")]),
        ({"tax_summary": None}, [("Linode 123", "20.2", "Usage"), ("Tax", "12.25", "Tax")]),
        (
            {"tax": Decimal("13"), "total": Decimal("33.2")},
            [("Linode 123", "20.2", "Usage"), ("PA STATE TAX", "12.25", "Tax"), ("Tax", "0.75", "Tax")],
        ),
        (
            {"total": Decimal("40")},
            [
                ("Linode 123", "20.2", "Usage"),
                ("PA STATE TAX", "12.25", "Tax"),
                ("Invoice 123: total beyond its items and tax", "7.55", "Adjustment"),
            ],
        ),
        (
            {"total": Decimal("30")},
            [
                ("Linode 123", "20.2", "Usage"),
                ("PA STATE TAX", "12.25", "Tax"),
                ("Invoice 123: total beyond its items and tax", "-2.45", "Credit"),
            ],
        ),
    ],
)
def test_what_items_and_tax_lack_of_the_total_is_a_line_of_its_own(
    life: Life, changes: dict[str, Any], lines: list[tuple[str, str, str]]
) -> None:
    invoiced(life, invoice(**{"subtotal": Decimal("20.2"), "total": Decimal("32.45"), **changes}), item())
    items = life.collect(BillingPeriod(2017, 12))
    assert [
        (one["charge_description"], str(one["billed_cost"].normalize()), one["charge_category"]) for one in items
    ] == lines
    assert life.collections[BillingPeriod(2017, 12)].control_totals == {"USD": billed(items)}


def test_months_that_end_at_midnight_in_new_york(life: Life) -> None:
    """An old example of the vendor's ends an item of December at 04:59:59 of the 1st."""
    life.told = {"month_zone": "America/New_York"}
    usage = item(**{"from": "2017-12-01T05:00:00", "to": "2018-01-01T04:59:59"})
    credit = item(**{"from": "2017-11-02T05:00:00", "to": "2017-12-01T04:59:59"}, label="Goodwill", amount=Decimal(-1))
    bill = invoice(date="2018-01-01T05:02:00", subtotal=Decimal("19.2"), tax=0, tax_summary=[])
    invoiced(life, {**bill, "total": Decimal("19.2")}, usage, credit)
    december = BillingPeriod(2017, 12)
    items = life.collect(december)
    assert [(one["charge_period_start"].hour, one["charge_class"]) for one in items] == [
        (5, None),
        (5, "Correction"),
    ]
    assert items[0]["charge_period_end"] == datetime(2018, 1, 1, 5, tzinfo=UTC)
    assert items[0]["billing_period_start"] == december.start
    assert life.collections[december].is_final


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="the name of a time zone is accepted, such as UTC"):
        LinodeCredential(token=SECRET, month_zone=zone)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", ["akamai", "external"])
def test_an_account_that_is_billed_elsewhere_is_never_taken_for_free(life: Life, source: str) -> None:
    life.cloud.billing_source = source
    for ask in (life.probe, lambda: life.collect(JANUARY), lambda: life.provider.discover(life.account)):
        with pytest.raises(NothingThere, match=f"billed by {source} outside this API, which shows neither"):
            ask()
    assert life.snapshots.taken(UNINVOICED, JANUARY) == ()


def test_an_account_that_is_billed_elsewhere_and_shows_something_says_so(life: Life) -> None:
    said = rewrite('"billing_source":"linode"', '"billing_source":"akamai"')
    life.cloud.fail(said, times=99, path="/v4/account")
    assert life.provider.discover(life.account)[0].endswith("small (simulated) (billing source akamai)")
    life.tick()
    assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY) > 0
    assert {"kind": "account", "billing_source": "akamai"} in life.collections[JANUARY].sources
    assert {one["invoice_issuer_name"] for one in life.items[JANUARY]} == {"Akamai"}


def test_an_account_billed_elsewhere_that_was_invoiced_here_before_may_be_idle(life: Life) -> None:
    life.cloud.billing_source = "akamai"
    invoiced(life, invoice(), item())
    life.tick()
    assert life.items[JANUARY] == []
    assert life.tokens.keys() == {JANUARY}, "the invoice is too old to be of interest"


def test_more_credit_than_usage_is_usage_below_zero(life: Life) -> None:
    """One number tells no credit from usage, so none is guessed; else the days before would become credits too."""
    life.days(at(1, 10, 0, 1), 2)
    life.cloud.fail(rewrite('"balance_uninvoiced":', '"balance_uninvoiced":-3.5,"was":'), path="/account")
    life.go(at(1, 12, 0, 1))
    assert billed(life.items[JANUARY]) == Decimal("-3.5")
    assert {one["charge_category"] for one in life.items[JANUARY]} == {"Usage"}


def test_the_providers_own_waiting_times_are_obeyed(life: Life) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        life.clock.advance(seconds=seconds)

    context = ProviderContext(life.clock, life.snapshots, sleep)
    life.cloud.fail(throttle())
    life.provider.probe(life.account, {}, context)
    assert waits == [2]

    reset = int(life.clock().timestamp()) + 40
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    body = {"errors": [{"reason": "Too many requests"}]}
    life.cloud.fail(say(SimulatedResponse.of(body, status=429, headers=headers)))
    with pytest.raises(Throttled, match=r"too many requests \(429: Too many requests\)") as raised:
        life.provider.probe(life.account, {}, context)
    assert raised.value.until == datetime.fromtimestamp(reset, UTC)
    assert waits == [2], "longer than a call has patience for"


def test_a_long_invoice_is_read_at_the_pace_the_provider_allows(life: Life) -> None:
    life.clock.now = at(2, 3)
    life.cloud.extra_items = 1_200
    waits: list[float] = []

    def exhausted(cloud: Any, request: Any, answer: Any) -> SimulatedResponse:
        reset = str(int(life.clock().timestamp()) + 40)
        response = answer(request)
        limits = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
        return replace(response, headers={**response.headers, **limits})

    life.cloud.fail(exhausted, times=2, path="/items")
    context = ProviderContext(life.clock, MemorySnapshots(), waits.append)
    collection = life.provider.collect(life.account, JANUARY, context)
    assert sum(batch.num_rows for batch in collection.batches) == 1_202
    assert collection.requests == 2 + 1 + 3, "one tells of which month the invoice is"
    assert waits == [40]
    assert collection.control_totals == {"USD": life.cloud.invoice_amount(JANUARY)}


def test_maintenance_is_said_so(life: Life) -> None:
    headers = {"X-MAINTENANCE-MODE": "Maintenance"}
    life.cloud.fail(say(SimulatedResponse(503, b"<html>", headers)), times=99)
    with pytest.raises(Transient, match=r"failed \(503: the API is in maintenance\); try again later"):
        life.probe()
    life.cloud.recover()
    life.cloud.fail(say(SimulatedResponse(503, b"<html>", {**headers, "Retry-After": "900"})))
    with pytest.raises(Throttled, match=r"not available for now \(503: the API is in maintenance\)"):
        life.probe()


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_scope_is_named(life: Life, status: int) -> None:
    """A token without the scope is told 401, a restricted user 403."""
    body = {"errors": [{"reason": "Unauthorized"}]}
    for ask in (life.probe, lambda: life.collect(JANUARY), lambda: life.provider.discover(life.account)):
        life.cloud.fail(say(SimulatedResponse.of(body, status=status)))
        with pytest.raises(CredentialRejected, match=rf"\({status}: Unauthorized\).*account:read_only"):
            ask()


def test_without_the_scope_for_linodes_costs_come_without_machines(life: Life) -> None:
    life.cloud.scopes.remove("linodes:read_only")
    life.go(at(1, 10, 12), at(2, 1, 1))
    assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)
    assert [one["resource_id"] for one in life.items[JANUARY]] == ["47000001", "47000002"]
    assert {str(one["tags"]) for one in life.items[JANUARY]} <= {"[]", "None"}


@pytest.mark.parametrize(
    ("path", "was", "new", "message"),
    [
        ("/account", '"balance_uninvoiced"', '"balance_open"', "balance_uninvoiced: is missing: a number"),
        ("/account", '"balance_uninvoiced":', '"balance_uninvoiced":"x","was":', "value 'x' is not accepted"),
    ],
)
def test_a_changed_contract_names_field_and_value(old: Life, path: str, was: str, new: str, message: str) -> None:
    old.cloud.fail(rewrite(was, new), times=9, path=path)
    with pytest.raises(ContractChanged, match=message):
        old.probe()
    assert old.snapshots.read(UNINVOICED, FEBRUARY) == ()


@pytest.mark.parametrize(
    ("was", "new", "message"),
    [
        ('"date":"2026', '"date":"26', r"\[\d\].date: value '26-.*' is not accepted: a time"),
        ('"date":"2026', '"date":"9999', r"\[\d\].date: value '9999-.*' is not accepted"),
        ('"total"', '"sum"', r"data\[\d\].total: is missing: a number"),
    ],
)
def test_an_odd_invoice_stops_its_month_and_no_other(old: Life, was: str, new: str, message: str) -> None:
    """`old` has invoices of two months; with an unreadable date neither is known to be invoiced."""
    old.cloud.fail(rewrite(was, new), times=99, path="/account/invoices")
    old.probe()
    assert len(old.snapshots.read(UNINVOICED, FEBRUARY)) == 1, "the reading is kept"
    assert billed(old.collect(FEBRUARY)) == old.cloud.shown_amount(FEBRUARY)
    with pytest.raises(ContractChanged, match=message):
        old.collect(JANUARY)


def test_an_invoice_without_taxes_is_its_items_and_what_they_lack(life: Life) -> None:
    """Tax only splits an amount: nothing, null or anything else in its place changes no sum."""
    whole = invoice()
    for tax in ({}, {"tax": None, "tax_summary": None}, {"tax": "-", "tax_summary": [1]}, {"tax_summary": [{}]}):
        bare = {name: value for name, value in whole.items() if name not in ("tax", "tax_summary", "subtotal")}
        invoiced(life, {**bare, **tax}, item())
        assert billed(life.collect(BillingPeriod(2017, 12))) == whole["total"]
        life.cloud.recover()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("amount", "free", r"data\[0\].amount: value 'free' is not accepted: a number"),
    ],
)
def test_an_item_that_changed_names_field_and_value(life: Life, field: str, value: Any, message: str) -> None:
    invoiced(life, invoice(), item(**{field: value}))
    with pytest.raises(ContractChanged, match=message):
        life.collect(BillingPeriod(2017, 12))


def test_an_amount_too_large_to_store_is_refused(life: Life) -> None:
    invoiced(life, invoice(), *(item(amount=Decimal("99999999999999999999")) for _ in range(2)))
    with pytest.raises(BadData, match=r"Linode \(Akamai\) 2017-12: row \d+, column BilledCost: .* 20 integer"):
        life.collect(BillingPeriod(2017, 12))


def test_two_requests_when_no_day_begins(old: Life) -> None:
    assert old.probe().requests == 4 + 2, "one for each invoice, once"
    old.clock.advance(hours=1)
    assert old.probe().requests == 2
    assert len(old.snapshots.taken(UNINVOICED, FEBRUARY)) == 2
    assert [one.path for one in old.cloud.asked[-2:]] == ["/v4/account", "/v4/account/invoices"]
    assert {one.query.get("page_size", "500") for one in old.cloud.asked} == {"500"}
