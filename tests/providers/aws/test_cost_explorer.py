"""AWS without an export: what Cost Explorer is asked, what its answers become, what they cost, and what goes wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from life import SECRET, AnyLife, at, billed, by_day

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.errors import (
    ContractChanged,
    CredentialRejected,
    NothingThere,
    Permanent,
    ProviderError,
    Throttled,
    Transient,
)
from optiinfra_assets.providers.aws.cost_explorer import DailyCost
from optiinfra_assets.providers.aws.cost_rows import row
from optiinfra_assets.providers.aws.record_types import charge_category, charge_frequency, service_category
from optiinfra_assets.providers.aws.request_budget import KIND
from optiinfra_assets.providers.http import connections
from optiinfra_assets.simulators.aws.bill_lines import member_of, payer_of
from optiinfra_assets.simulators.aws.cost_explorer import json_error
from optiinfra_assets.simulators.aws.simulator import CostExplorerAlone
from optiinfra_assets.simulators.server.server import (
    Answering,
    Fault,
    SimulatedCloud,
    SimulatedRequest,
    SimulatedResponse,
)
from optiinfra_assets.simulators.world.scenario import EventKind, Scenario, ScenarioEvent, ScenarioResource
from optiinfra_assets.warehouse.loading import load
from optiinfra_assets.warehouse.warehouse import Warehouse

JANUARY, FEBRUARY, MARCH = (BillingPeriod(2026, month) for month in (1, 2, 3))
WEB = ScenarioResource("web", "web (simulated)", "compute", "m7g.large", "eu-central", "shop", Decimal("0.1023456789"))
DISK = ScenarioResource("disk", "disk (simulated)", "storage", "standard", "us-east", "lab", Decimal("0.03"))
PAIRS_OF_JANUARY = 3  # two accounts with usage, the payer with tax


def small(*events: ScenarioEvent, **fields: Any) -> Scenario:
    """A machine and a disk of two accounts, from December 2025."""
    return Scenario("small", date(2025, 12, 1), (WEB, DISK), events, **fields)


def live(scenario: Scenario, now: datetime) -> AnyLife:
    return AnyLife.of("aws", scenario, now, mode="cost-explorer")


@pytest.fixture
def life() -> Iterator[AnyLife]:
    """In March."""
    made = live(small(), at(3, 10, 12))
    with made.cloud:
        yield made


def settings(life: AnyLife, **more: str) -> None:
    """Change what the account is told."""
    told = type(life.cloud).settings(life.cloud) | more
    life.cloud.settings = lambda: told  # type: ignore[method-assign]


def skip_before(life: AnyLife, period: BillingPeriod) -> None:
    """Take older months for collected."""
    life.tokens = {one: token for one, token in life.probe().tokens.items() if one < period}


def questions(life: AnyLife) -> list[dict[str, Any]]:
    """What Cost Explorer was asked."""
    asked = [one for one in life.cloud.asked if "GetCostAndUsage" in one.headers.get("x-amz-target", "")]
    return [json.loads(one.body) for one in asked]


def changed(change: Callable[[dict[str, Any]], None], *, groups: bool | None = None) -> Fault:
    """The right answer of Cost Explorer with something done to it; `groups`: only to questions with, or without, dimensions."""

    def fault(cloud: SimulatedCloud, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
        response = answer(request)
        if "GetCostAndUsage" not in request.headers.get("x-amz-target", ""):
            return response
        if groups is not None and groups != (b'"SERVICE"' in request.body):
            return response
        said = json.loads(response.body)
        change(said)
        return replace(response, body=json.dumps(said).encode())

    return fault


def metrics_of(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for bucket in said["ResultsByTime"]:
        if bucket["Total"]:
            yield bucket["Total"]
        yield from (group["Metrics"] for group in bucket["Groups"])


def refused_with(life: AnyLife, code: str, message: str = "no") -> None:
    """Cost Explorer refuses everything from now on."""

    def fault(cloud: SimulatedCloud, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
        is_costs = "GetCostAndUsage" in request.headers.get("x-amz-target", "")
        return json_error(code, message) if is_costs else answer(request)

    life.cloud.fail(fault, times=999)


def test_a_month_day_by_day_equals_what_is_shown_and_then_the_invoice() -> None:
    life = live(small(ScenarioEvent(EventKind.CREDIT, date(2026, 2, 4), amount=Decimal(3))), at(2, 1, 12))
    with life.cloud:
        skip_before(life, FEBRUARY)
        for day in range(1, 29, 3):
            life.go(at(2, day, 12))
            assert billed(life.items[FEBRUARY]) == life.cloud.shown_amount(FEBRUARY)
            assert all(item["is_estimated"] for item in life.items[FEBRUARY])
            assert not life.collections[FEBRUARY].is_final
        truth: dict[date, Decimal] = {}
        for charge in life.cloud.world.charges(FEBRUARY, at(2, 28)):
            truth[charge.day] = truth.get(charge.day, Decimal(0)) + charge.amount
        assert by_day(life.items[FEBRUARY]) == truth
        life.go(at(3, 4, 12))
        assert billed(life.items[FEBRUARY]) == life.cloud.invoice_amount(FEBRUARY)
        assert billed(life.items[FEBRUARY], charge_category="Tax") > 0
        assert not any(item["is_estimated"] for item in life.items[FEBRUARY])
        assert life.collections[FEBRUARY].data_through == FEBRUARY.end


def test_no_request_waits_until_its_head_is_acknowledged(life: AnyLife, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK sends head and body apart: without the option, the body waits 40 ms."""
    shorten, options = connections._Timed._shorten, []

    def noted(sock: Any) -> None:
        options.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        shorten(sock)

    monkeypatch.setattr(connections._Timed, "_shorten", noted)
    life.collect(JANUARY)
    assert options
    assert all(options)


def test_a_row_says_all_that_is_known(life: AnyLife) -> None:
    item = next(one for one in life.collect(JANUARY) if one["service_name"].endswith("- Compute"))
    account, name = member_of(life.cloud.world, "shop")
    payer, _ = payer_of(life.cloud.world)
    expected = {
        "source": "api",
        "is_estimated": False,
        "effective_cost": item["billed_cost"],
        "list_cost": None,
        "contracted_cost": None,
        "billing_account_id": payer,
        "billing_currency": "USD",
        "billing_period_start": JANUARY.start,
        "billing_period_end": JANUARY.end,
        "charge_category": "Usage",
        "charge_frequency": "Usage-Based",
        "charge_period_start": at(1, 1),
        "charge_period_end": at(1, 2),
        "service_name": "Amazon Elastic Compute Cloud - Compute",
        "service_category": "Compute",
        "region_id": "eu-central-1",
        "sub_account_id": account,
        "sub_account_name": name,
        "invoice_id": None,
        "x_columns": [("x_CostBasis", "net"), ("x_RecordType", "Usage")],
    }
    assert {key: item[key] for key in expected} == expected
    tax = next(one for one in life.items[JANUARY] if one["charge_category"] == "Tax")
    assert (tax["region_id"], tax["sub_account_id"], tax["charge_frequency"]) == (None, payer, "One-Time")


def test_by_service_costs_less_and_tells_the_same_without_regions(life: AnyLife) -> None:
    whole = life.collect(JANUARY)
    pages = len(questions(life))
    assert pages == 2 + PAIRS_OF_JANUARY
    settings(life, detail="service")
    assert billed(life.collect(JANUARY)) == billed(whole)
    assert len(questions(life)) - pages == 2 + 2, "usage and tax"

    def by_account(items: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
        keys = ("charge_period_start", "sub_account_id", "service_name", "billed_cost")
        return {tuple(item[key] for key in keys) for item in items}

    assert by_account(life.items[JANUARY]) == by_account(whole)
    assert {item["region_id"] for item in life.items[JANUARY]} == {None}
    assert all(len(one.get("GroupBy", ())) <= 2 for one in questions(life))
    assert life.collections[JANUARY].change_token == "final service"


def test_a_probe_is_free_and_96_of_them_make_one_collection_a_day() -> None:
    life = live(small(), at(3, 20))
    with life.cloud:
        skip_before(life, FEBRUARY)
        life.tick()
        life.cloud.asked.clear()
        life.go(*(at(3, 21) + timedelta(minutes=15 * number) for number in range(96)))
        assert life.collected.count(MARCH) == 2, "once on either day"
        *asked, closed = (one["TimePeriod"] for one in questions(life))
        assert asked == [{"Start": "2026-03-01", "End": "2026-03-22"}] * 4
        assert closed == {"Start": "2025-12-01", "End": "2026-03-01"}, "once a week, after what is due"
        assert life.collections[MARCH].request_cost == Decimal("0.04")
        assert life.probe().cost == 0
        assert life.probe().requests == 1


def test_the_previous_month_is_asked_for_until_the_16th_and_then_once_more() -> None:
    life = live(small(), at(3, 1, 6))
    with life.cloud:
        skip_before(life, FEBRUARY)
        life.days(at(3, 1, 6), 15)
        assert life.collected.count(FEBRUARY) == 15
        assert not life.collections[FEBRUARY].is_final
        assert life.go(at(3, 16)) == [FEBRUARY, MARCH]
        assert life.collections[FEBRUARY].is_final
        assert life.days(at(3, 17), 5) == [MARCH]


def test_months_that_cost_explorer_does_not_reach_keep_their_tokens() -> None:
    life = live(small(), at(3, 20))
    with life.cloud:
        assert len(life.probe().tokens) == 14
        old = BillingPeriod(2024, 6)
        life.tokens = {old: "as it was"}
        assert life.probe().tokens[old] == "as it was"
        life.collect(BillingPeriod(2025, 2))
        assert life.items[BillingPeriod(2025, 2)] == []
        assert life.collections[BillingPeriod(2025, 2)].sources


@pytest.mark.parametrize(("hours", "times"), [("24", 1), ("8", 3), ("1", 24)])
def test_the_day_can_have_several_windows(life: AnyLife, hours: str, times: int) -> None:
    settings(life, refresh_hours=hours)
    tokens = set()
    for _ in range(48):
        tokens.add(life.probe().tokens[MARCH])
        life.clock.advance(minutes=30)
    assert len(tokens) - 1 in (times, times - 1), "from noon to noon"


def test_the_budget_stops_the_day_and_the_next_goes_on(life: AnyLife) -> None:
    settings(life, daily_budget="0.11")
    life.collect(JANUARY)
    life.collect(FEBRUARY)
    with pytest.raises(
        Throttled, match=r"daily budget of \$0\.11 .* does not suffice: 10 of 11 .* 2026-03-11 00:00 UTC"
    ) as said:
        life.collect(MARCH)
    assert said.value.until == at(3, 11)
    asked = len(questions(life))
    assert asked == 10, "not one is spent on what the rest cannot pay"
    other = replace(life, snapshots=life.snapshots)
    with pytest.raises(Throttled):
        other.collect(JANUARY)
    assert len(questions(life)) == asked, "another process knows what was spent"
    life.clock.now = at(3, 11)
    assert billed(life.collect(MARCH)) == life.cloud.shown_amount(MARCH)


def test_what_a_clock_spent_that_was_ahead_counts_until_that_day_is_over(life: AnyLife) -> None:
    """Requests are recorded one after another: those made after the clock was set right are later than those made before."""
    settings(life, daily_budget="0.11")
    life.clock.now = at(3, 12)
    life.collect(JANUARY)
    life.clock.now = at(3, 10)
    life.collect(FEBRUARY)
    with pytest.raises(Throttled, match=r"10 of 11 "):
        life.collect(MARCH)
    life.clock.now = at(3, 13)
    assert billed(life.collect(MARCH)) == life.cloud.shown_amount(MARCH)


def test_what_no_budget_can_pay_is_refused_before_it_is_begun(life: AnyLife) -> None:
    settings(life, daily_budget="0.04")
    with pytest.raises(
        Permanent,
        match=r"takes 5 requests, \$0\.05, more than the daily budget of \$0\.04: .*detail to service",
    ):
        life.collect(JANUARY)
    assert len(questions(life)) == 2


def paid(life: AnyLife) -> int:
    """Requests on record for the day."""
    today = life.clock().date()
    return sum(one.date() == today for one in life.snapshots.taken(KIND, BillingPeriod.of(today)))


def refusal(life: AnyLife, period: BillingPeriod) -> Throttled | Permanent | None:
    """Collect a period; the refusal of the budget, or None if there was none."""
    try:
        life.collect(period)
    except (Throttled, Permanent) as error:
        return error
    return None


@dataclass
class Schedule:
    """Ticks as the schedule makes them: what is due, newest first; what the budget refused, not before it may be tried again."""

    life: AnyLife
    postponed: dict[BillingPeriod, datetime] = field(default_factory=dict)
    read_at: dict[BillingPeriod, datetime] = field(default_factory=dict)
    paid_in_vain: int = 0

    def tick(self, now: datetime) -> None:
        self.life.clock.now = now
        tokens = self.life.probe().tokens
        due = [one for one, token in tokens.items() if self.life.tokens.get(one) != token]
        for period in sorted(due, reverse=True):
            if self.postponed.get(period, now) > now:
                continue
            asked = len(questions(self.life))
            error = refusal(self.life, period)
            if error is None:
                assert self.life.collections[period].change_token == tokens[period]
                self.life.tokens[period] = tokens[period]
                self.read_at[period] = now
            else:
                assert isinstance(error, Throttled)
                self.postponed[period] = error.until
                self.paid_in_vain += len(questions(self.life)) - asked


UNTAXED = Scenario("small", date(2025, 1, 1), (WEB, DISK), tax_rate=Decimal(0))
"""Each of its months takes three pages by service: two of totals, one of usage."""


@pytest.mark.parametrize(("cents", "hours"), [(3, 24), (4, 8), (7, 6)])
def test_every_month_is_collected_in_the_end_whatever_a_day_can_pay_beyond_one(cents: int, hours: int) -> None:
    life = live(UNTAXED, at(3, 3))
    schedule = Schedule(life)
    with life.cloud:
        settings(life, daily_budget=f"0.{cents:02d}", detail="service", refresh_hours=str(hours))
        for day in range(48):
            for hour in (0, 6, 12, 18):
                schedule.tick(at(3, 3, hour) + timedelta(days=day))
            assert paid(life) <= cents
            current = BillingPeriod.of(life.clock())
            assert life.clock() - schedule.read_at[current] < timedelta(days=3), "the open month stays fresh"
        reach = [current.shift(-number) for number in range(14)]
        assert life.tokens.keys() >= set(reach)
        for period in reach[1:]:
            assert life.tokens[period] == "final service", period
            assert billed(life.items[period]) == life.cloud.invoice_amount(period)
        assert schedule.paid_in_vain == 0
        on_record = (life.snapshots.taken(KIND, period) for period in (MARCH, MARCH.shift(1)))
        assert len(questions(life)) == sum(map(len, on_record))


def test_with_money_for_all_no_month_gives_way_to_one_that_never_succeeds() -> None:
    life = live(UNTAXED, at(3, 3))
    with life.cloud:
        settings(life, daily_budget="1.00", detail="service")
        life.tokens = {one: token for one, token in life.probe().tokens.items() if one != JANUARY}
        life.clock.advance(hours=24)
        tokens = life.probe().tokens
        assert {one for one, token in tokens.items() if life.tokens.get(one) != token} == {
            JANUARY,
            FEBRUARY,
            MARCH,
        }


def test_a_month_that_no_day_can_pay_makes_no_other_wait() -> None:
    life = live(UNTAXED, at(3, 3))
    with life.cloud:
        settings(life, daily_budget="0.03")
        assert isinstance(refusal(life, JANUARY), Permanent), "it takes 4"
        life.tokens = {one: token for one, token in life.probe().tokens.items() if one != JANUARY}
        life.clock.advance(hours=24)
        tokens = life.probe().tokens
        assert tokens[MARCH] != life.tokens[MARCH]


def test_a_month_that_has_just_become_final_goes_before_the_open_one() -> None:
    life = live(UNTAXED, at(3, 15))
    with life.cloud:
        settings(life, daily_budget="0.03", detail="service")
        life.tokens = dict(life.probe().tokens)
        life.clock.now = at(3, 16)
        tokens = life.probe().tokens
        assert [one for one, token in tokens.items() if life.tokens[one] != token] == [FEBRUARY]
        life.collect(FEBRUARY)
        life.tokens[FEBRUARY] = tokens[FEBRUARY]
        assert life.probe().tokens[MARCH] != life.tokens[MARCH], "nobody waits any more"


def test_a_month_that_had_nothing_yet_is_expected_to_have_something() -> None:
    life = live(UNTAXED, at(3, 1))
    with life.cloud:
        settings(life, daily_budget="0.05", detail="service")
        life.collect(MARCH)
        assert paid(life) == 2
        life.clock.now = at(3, 2, 12)
        life.collect(FEBRUARY)
        assert isinstance(refusal(life, MARCH), Throttled)
        assert paid(life) == 3
        settings(life, daily_budget="0.02", detail="service")
        life.clock.now = at(4, 1)
        life.collect(BillingPeriod(2026, 4))
        life.clock.now = at(4, 4)
        assert isinstance(refusal(life, BillingPeriod(2026, 4)), Permanent), "two cents suffice for nothing else"


def test_a_refusal_of_what_was_read_before_costs_nothing(life: AnyLife) -> None:
    settings(life, daily_budget="0.09")
    life.collect(JANUARY)
    for period in (JANUARY, BillingPeriod(2025, 12), FEBRUARY):
        assert isinstance(refusal(life, period), Throttled)
    assert paid(life) == 5, "the others are taken for what the nearest one was"
    settings(life, daily_budget="0.04")
    life.clock.advance(hours=24)
    for _ in range(2):
        assert isinstance(refusal(life, JANUARY), Permanent)
    assert paid(life) == 0
    settings(life, daily_budget="0.04", detail="service")
    life.collect(JANUARY)
    assert paid(life) == 4, "it is another question"


def test_a_month_that_takes_more_than_it_took_is_refused_at_its_old_price_once() -> None:
    life = live(small(), at(2, 28, 12))
    with life.cloud:
        settings(life, daily_budget="0.07", detail="service")
        life.collect(FEBRUARY)
        life.clock.now = at(3, 5, 12)
        life.collect(JANUARY)
        assert paid(life) == 4
        assert isinstance(refusal(life, FEBRUARY), Throttled), "there is tax now"
        assert paid(life) == 6
        life.clock.now = at(3, 6, 12)
        life.collect(JANUARY)
        assert isinstance(refusal(life, FEBRUARY), Throttled)
        assert paid(life) == 4


def test_what_a_month_takes_is_told_by_its_pages(life: AnyLife) -> None:
    life.collect(JANUARY)
    life.cloud.page_size = 20
    life.snapshots = type(life.snapshots)()
    life.collect(JANUARY)
    pages = paid(life)
    assert pages > 5
    settings(life, daily_budget=f"0.{pages + 4:02d}")
    assert isinstance(refusal(life, JANUARY), Throttled)
    assert paid(life) == pages
    life.snapshots = type(life.snapshots)()
    settings(life, daily_budget=f"0.{pages - 1:02d}")
    assert isinstance(refusal(life, JANUARY), Throttled), "nobody knew"
    asked = paid(life)
    life.clock.advance(hours=24)
    assert isinstance(refusal(life, JANUARY), Permanent)
    assert (asked, paid(life)) == (pages - 1, 0)


def test_refused_requests_count_and_are_on_record(life: AnyLife) -> None:
    refused_with(life, "LimitExceededException", "Rate limit exceeded")
    context = life.context
    with pytest.raises(Throttled, match=r"too many requests \(429: LimitExceededException: Rate limit exceeded\)"):
        life.provider.collect(life.account, JANUARY, context)
    assert len(life.snapshots.taken(KIND, MARCH)) == 4
    assert context.spent.cost == Decimal("0.04")


def test_net_costs_are_taken_where_all_days_have_them(life: AnyLife) -> None:
    def discounted(said: dict[str, Any]) -> None:
        for metrics in metrics_of(said):
            for name, share in (
                ("NetUnblendedCost", "0.9"),
                ("AmortizedCost", "0.8"),
                ("NetAmortizedCost", "0.7"),
            ):
                metrics[name]["Amount"] = f"{Decimal(metrics[name]['Amount']) * Decimal(share):f}"

    life.cloud.fail(changed(discounted), times=99)
    items = life.collect(JANUARY)
    amount = life.cloud.invoice_amount(JANUARY)
    assert billed(items) == amount * Decimal("0.9")
    assert sum(item["effective_cost"] for item in items) == amount * Decimal("0.7")


def without_net(said: dict[str, Any]) -> None:
    for metrics in metrics_of(said):
        del metrics["NetUnblendedCost"], metrics["NetAmortizedCost"]


def test_without_net_costs_unblended_ones_are_taken(life: AnyLife) -> None:
    life.cloud.fail(changed(without_net), times=99)
    items = life.collect(JANUARY)
    assert billed(items) == life.cloud.invoice_amount(JANUARY)
    assert dict(items[0]["x_columns"])["x_CostBasis"] == "unblended"


def test_net_and_unblended_are_never_mixed(life: AnyLife) -> None:
    life.cloud.fail(changed(without_net, groups=True), times=99)
    with pytest.raises(ContractChanged, match="NetUnblendedCost: is missing"):
        life.collect(JANUARY)

    def on_one_day(said: dict[str, Any]) -> None:
        without_net({"ResultsByTime": said["ResultsByTime"][:1]})

    life.cloud.recover()
    life.cloud.fail(changed(on_one_day, groups=False), times=99)
    life.collect(JANUARY)
    assert {dict(item["x_columns"])["x_CostBasis"] for item in life.items[JANUARY]} == {"unblended"}


def without_a_group(said: dict[str, Any]) -> None:
    for groups in (bucket["Groups"] for bucket in said["ResultsByTime"][2:3]):
        del groups[-1:]


def off_by(amount: str) -> Callable[[dict[str, Any]], None]:
    def change(said: dict[str, Any]) -> None:
        for group in said["ResultsByTime"][2]["Groups"][:1]:
            metric = group["Metrics"]["NetUnblendedCost"]
            metric["Amount"] = f"{Decimal(metric['Amount']) + Decimal(amount):f}"

    return change


@pytest.mark.parametrize("change", [without_a_group, off_by("0.000001"), off_by("-0.000001")])
def test_groups_that_do_not_add_up_are_refused(life: AnyLife, change: Callable[[dict[str, Any]], None]) -> None:
    life.cloud.fail(changed(change, groups=True), times=99)
    with pytest.raises(
        Transient,
        match=r"2026-01-03, \d{12}, Usage: the groups add up to .* NetUnblendedCost, but the total is",
    ):
        life.collect(JANUARY)


def test_a_unit_of_the_tenth_digit_is_a_rounding(life: AnyLife) -> None:
    life.cloud.fail(changed(off_by("0.0000000001"), groups=True), times=99)
    life.collect(JANUARY)
    assert life.collections[JANUARY].sources[0]["largest_difference"] == "0.0000000001"


def test_accounts_that_lack_a_pair_are_noticed(life: AnyLife) -> None:
    def change(said: dict[str, Any]) -> None:
        for bucket in said["ResultsByTime"]:
            bucket["Groups"] = [group for group in bucket["Groups"] if group["Keys"][1] != "Tax"]

    life.cloud.fail(changed(change, groups=False), times=99)
    with pytest.raises(Transient, match="2026-01-31, linked accounts and record types: the groups add up to"):
        life.collect(JANUARY)


@pytest.mark.parametrize(
    ("days", "kind", "message"),
    [
        (
            slice(0, 10),
            Transient,
            r"31 days were asked for, 2026-01-01 to 2026-01-31, and 10 were answered: 2026-01-11",
        ),
        (slice(1, None), Transient, "30 were answered: 2026-01-01 is the first that is missing"),
        (slice(0, 0), NothingThere, "31 days were asked for, 2026-01-01 to 2026-01-31, and none was answered"),
    ],
)
@pytest.mark.parametrize("groups", [None, False])
def test_days_that_were_asked_for_and_not_answered_are_no_cost_of_zero(
    life: AnyLife, days: slice, kind: type[ProviderError], message: str, groups: bool | None
) -> None:
    """Also if every question is answered with the same days, so that all sums agree."""

    def change(said: dict[str, Any]) -> None:
        said["ResultsByTime"] = said["ResultsByTime"][days]

    life.cloud.fail(changed(change, groups=groups), times=99)
    with pytest.raises(kind, match=message):
        life.collect(JANUARY)


def test_two_currencies_of_a_day_are_both_kept(life: AnyLife) -> None:
    """A bucket has one currency; a second seller's charges come in another bucket of the same day, or as groups in their own."""
    amount = billed(life.collect(JANUARY))

    def also_in_rupees(said: dict[str, Any], *, totals: bool) -> None:
        for bucket in [one for one in said["ResultsByTime"] if one["Groups"] or totals]:
            other = json.loads(json.dumps(bucket))
            in_unit({"ResultsByTime": [other]}, "INR")
            if totals:
                said["ResultsByTime"].append(other)
            else:
                bucket["Groups"] += other["Groups"]

    for totals in (True, False):
        life.cloud.fail(changed(partial(also_in_rupees, totals=totals)), times=99)
        items = life.collect(JANUARY)
        assert billed(items, billing_currency="INR") == billed(items, billing_currency="USD") == amount
        assert {"total_USD", "total_INR"} <= life.collections[JANUARY].sources[0].keys()
        life.cloud.recover()


def in_unit(said: dict[str, Any], unit: str) -> None:
    for metrics in metrics_of(said):
        for metric in metrics.values():
            metric["Unit"] = unit


def in_euros(said: dict[str, Any]) -> None:
    in_unit(said, "EUR")


def set_in(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(said: dict[str, Any]) -> None:
        target: Any = said
        for step in path[:-1]:
            target = target[step]
        if value is None:
            del target[path[-1]]
        else:
            target[path[-1]] = value

    return change


DAY = ("ResultsByTime", 4)
GROUP = (*DAY, "Groups", 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (in_euros, "Unit: is missing: the currency of the day's total, USD"),
        (set_in("ResultsByTime", value=None), "ResultsByTime: is missing: a list"),
        (set_in(*DAY, "Estimated", value=None), r"ResultsByTime\[4\].Estimated: is missing: true or false"),
        (
            set_in(*DAY, "TimePeriod", "Start", value="soon"),
            r"TimePeriod.Start: value 'soon' is not accepted: a day",
        ),
        (
            set_in(*DAY, "TimePeriod", "End", value="2026-01-09"),
            r"TimePeriod.Start: value '2026-01-05' is not accepted",
        ),
        (set_in(*GROUP, "Keys", value=["one"]), r"Groups\[0\].Keys: value .* is not accepted: 2 values"),
        (
            set_in(*GROUP, "Metrics", "NetUnblendedCost", "Amount", value="$1"),
            r"NetUnblendedCost.Amount: value '\$1'",
        ),
        (
            set_in(*GROUP, "Metrics", "NetUnblendedCost", "Amount", value=None),
            "NetUnblendedCost.Amount: is missing",
        ),
        (set_in(*GROUP, "Metrics", "NetUnblendedCost", "Unit", value="EUR"), "one currency, not EUR, USD"),
        (set_in(*GROUP, "Metrics", value=None), r"Groups\[0\].Metrics: is missing"),
        (set_in(*GROUP, "Metrics", value="none"), "the answer cannot be read"),
    ],
)
def test_a_changed_contract_names_field_and_value(
    life: AnyLife, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    life.cloud.fail(changed(change, groups=True), times=99)
    with pytest.raises(ContractChanged, match=message):
        life.collect(JANUARY)


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("AccessDeniedException", CredentialRejected, "it needs: ce:GetCostAndUsage"),
        ("UnrecognizedClientException", CredentialRejected, "the credential is not accepted"),
        ("ExpiredTokenException", CredentialRejected, "the credential has expired .*: sign in again"),
        ("InvalidSignatureException", CredentialRejected, "the credential is not accepted"),
        ("LimitExceededException", Throttled, "too many requests"),
        ("ThrottlingException", Throttled, "too many requests"),
        ("InvalidNextTokenException", Transient, "InvalidNextTokenException"),
        ("RequestChangedException", Transient, "RequestChangedException"),
        ("DataUnavailableException", NothingThere, "DataUnavailableException"),
        ("BillExpirationException", ContractChanged, "BillExpirationException"),
        ("ValidationException", ContractChanged, "ValidationException"),
    ],
)
def test_refusals_by_what_to_do(life: AnyLife, code: str, kind: type[ProviderError], message: str) -> None:
    refused_with(life, code)
    with pytest.raises(kind, match=message) as said:
        life.collect(JANUARY)
    assert type(said.value) is kind


def test_a_broken_answer_is_tried_again_and_never_taken_for_nothing(life: AnyLife) -> None:
    def half(cloud: SimulatedCloud, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
        response = answer(request)
        return replace(response, body=response.body[: len(response.body) // 2])

    life.cloud.fail(half, times=2)
    assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY)
    life.cloud.fail(half, times=99)
    with pytest.raises(Transient, match="broke off"):
        life.collect(JANUARY)


def test_a_page_that_comes_again_is_refused(life: AnyLife) -> None:
    life.cloud.page_size = 10
    life.cloud.repeats_pages = True
    with pytest.raises(Transient, match="the same page again after"):
        life.collect(JANUARY)
    assert len(questions(life)) == 2


def test_pages_carry_the_same_question(life: AnyLife) -> None:
    """Another one is refused by Cost Explorer, and by this simulator."""
    life.cloud.page_size = 9
    life.collect(JANUARY)
    assert len([one for one in questions(life) if "NextPageToken" in one]) > 10


def test_estimates_and_data_through_follow_the_days(life: AnyLife) -> None:
    life.collect(MARCH)
    assert life.collections[MARCH].data_through == at(3, 8), "shown up to the 8th, which may not be over"
    assert not life.collections[MARCH].is_final


@pytest.mark.parametrize(
    ("type_", "service", "amortized", "effective", "category"),
    [
        ("Refund", "Savings Plans for AWS Compute usage", "-900", "0", "Purchase"),
        ("CreditMemo", "Savings Plans for AWS Compute usage", "0", "0", "Purchase"),
        ("Refund", "Amazon Elastic Compute Cloud - Compute", "0", "0", "Purchase"),
        ("Refund", "Amazon Elastic Compute Cloud - Compute", "-900", "-900", "Usage"),
        ("Savings Plan upfront fee", "Savings Plans for AWS Compute usage", "0", "0", "Purchase"),
        ("Credit", "Amazon Simple Storage Service", "-900", "-900", "Credit"),
    ],
)
def test_a_refund_of_an_advance_payment_takes_its_treatment(
    type_: str, service: str, amortized: str, effective: str, category: str
) -> None:
    figure = DailyCost(
        day=date(2026, 1, 5), account="1", record_type=type_, service=service, region=None, billed=Decimal(-900),
        effective=Decimal(amortized), currency="USD", is_estimated=False,
    )  # fmt: skip
    values = row(figure, JANUARY, "1", {}, "net").values
    assert (values["EffectiveCost"], values["ChargeCategory"]) == (Decimal(effective), category)
    assert values["ContractedCost"] == values["ListCost"] == (Decimal(-900) if category == "Credit" else None)


@pytest.mark.parametrize(
    ("type_", "category", "frequency"),
    [
        ("Usage", "Usage", "Usage-Based"),
        ("DiscountedUsage", "Usage", "Usage-Based"),
        ("SavingsPlanCoveredUsage", "Usage", "Usage-Based"),
        ("Savings Plan Negation", "Usage", "Usage-Based"),
        ("SavingsPlanNegation", "Usage", "Usage-Based"),
        ("Enterprise Discount Program Discount", "Usage", "Usage-Based"),
        ("EdpDiscount", "Usage", "Usage-Based"),
        ("BundledDiscount", "Usage", "Usage-Based"),
        ("Refund", "Usage", "One-Time"),
        ("RIFee", "Purchase", "Recurring"),
        ("Recurring reservation fee", "Purchase", "Recurring"),
        ("SavingsPlanRecurringFee", "Purchase", "Recurring"),
        ("SavingsPlanUpfrontFee", "Purchase", "One-Time"),
        ("Fee", "Purchase", "One-Time"),
        ("Support fee", "Purchase", "One-Time"),
        ("Other out-of-cycle charges", "Purchase", "One-Time"),
        ("Reservation applied usage", "Usage", "Usage-Based"),
        ("Upfront reservation fee", "Purchase", "One-Time"),
        ("CreditMemo", "Usage", "One-Time"),
        ("Tax", "Tax", "One-Time"),
        ("Credit", "Credit", "One-Time"),
        ("Something new", "Adjustment", "One-Time"),
    ],
)
def test_record_types(type_: str, category: str, frequency: str) -> None:
    assert (charge_category(type_), charge_frequency(type_)) == (category, frequency)


@pytest.mark.parametrize(
    ("service", "category"),
    [
        ("Amazon Relational Database Service", "Databases"),
        ("AmazonS3", "Storage"),
        ("EC2 - Other", "Compute"),
        ("AmazonCloudWatch", "Management and Governance"),
        ("Amazon Elastic Load Balancing", "Networking"),
        ("Tax", "Other"),
    ],
)
def test_service_categories(service: str, category: str) -> None:
    assert service_category(service) == category


def test_line_items_are_stored_to_the_last_digit_and_the_same_again(life: AnyLife, warehouse: Warehouse) -> None:
    hashes = set()
    for generation in (1, 2):
        slice_ = Slice.of(life.account, JANUARY)
        loaded = load(warehouse.client, slice_, generation, life.open(JANUARY).batches)
        warehouse.derive({generation: slice_})
        assert warehouse.unequal({generation: (slice_, loaded)}) == {}
        hashes.add(str(loaded.content))
        assert loaded.totals["USD"].billed_cost == life.cloud.invoice_amount(JANUARY)
    assert len(hashes) == 1


def test_the_simulated_account_refuses_what_the_real_one_does(life: AnyLife) -> None:
    cloud = life.cloud
    assert isinstance(cloud, CostExplorerAlone)
    assert SECRET not in str(cloud.settings())
    body = {"TimePeriod": {"Start": "2026-01-01", "End": "2026-02-01"}, "Metrics": ["UnblendedCost"]}
    three = [{"Type": "DIMENSION", "Key": key} for key in ("SERVICE", "REGION", "RECORD_TYPE")]
    for asked, said in (
        ({**body, "GroupBy": three}, b"Up to 2 GroupBy"),
        ({**body, "TimePeriod": {"Start": "2026-02-01", "End": "2026-02-01"}}, b"before end date"),
        ({**body, "TimePeriod": {"Start": "2020-01-01", "End": "2020-02-01"}}, b"historical data"),
        ({**body, "NextPageToken": "b3RoZXIgMTA="}, b"RequestChangedException"),
    ):
        headers = {"x-amz-target": "AWSInsightsIndexService.GetCostAndUsage"}
        response = cloud.costs(SimulatedRequest("POST", "/", {}, headers, json.dumps(asked).encode()))
        assert response.status == 400
        assert said in response.body
