"""Google Cloud over real sockets and Google's own clients: what is special to an append-only export that is paid for by the byte."""

from __future__ import annotations

import json
import logging
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from life import SECRET, AnyLife, Item, at, billed, by_day

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.errors import (
    BadData,
    ContractChanged,
    CredentialRejected,
    NothingThere,
    ProviderError,
    Throttled,
    Transient,
)
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext, Snapshot
from optiinfra_assets.providers.gcp.bigquery import price
from optiinfra_assets.providers.gcp.loading_days import (
    BEGINNING,
    READING,
    PeriodTotal,
    TableContents,
    no_contents,
)
from optiinfra_assets.providers.gcp.provider import GcpCredential
from optiinfra_assets.simulators.gcp.billing_export import doubles
from optiinfra_assets.simulators.gcp.query_jobs import refused
from optiinfra_assets.simulators.gcp.simulator import PAYER, SimulatedGcp, private_key
from optiinfra_assets.simulators.server.faults import rewrite, say
from optiinfra_assets.simulators.server.server import Answering, SimulatedRequest, SimulatedResponse
from optiinfra_assets.simulators.world.scenario import EventKind, Scenario, ScenarioEvent, ScenarioResource
from optiinfra_assets.simulators.world.world import SimulatedClock
from optiinfra_assets.warehouse.loading import load
from optiinfra_assets.warehouse.warehouse import Warehouse

JANUARY, FEBRUARY = BillingPeriod(2026, 1), BillingPeriod(2026, 2)
WEB = ScenarioResource(
    "web-1",
    "web",
    "compute",
    "n2",
    "europe-west3",
    "shop",
    Decimal("0.10"),
    tags=(("team", "shop"), ("env", "live")),
)
SQL = ScenarioResource("sql-1", "orders", "database", "db-2", "europe-west3", "shop", Decimal("0.03"))
SMALLEST = price(10 * 2**20)


def small(*events: ScenarioEvent, **fields: Any) -> Scenario:
    """A machine and a database from the 1st of January 2026, no tax unless said."""
    return Scenario("small", date(2026, 1, 1), (WEB, SQL), events, **{"tax_rate": Decimal(0), **fields})


def lived(scenario: Scenario, now: datetime, mode: str = "") -> AnyLife:
    return AnyLife.of("gcp", scenario, now, mode=mode)


def cloud_of(life: AnyLife) -> SimulatedGcp:
    assert isinstance(life.cloud, SimulatedGcp)
    return life.cloud


@pytest.fixture
def life() -> Iterator[AnyLife]:
    """An account that began on the 1st of January, on its 10th at noon."""
    made = lived(small(), at(1, 10, 12))
    with made.cloud:
        yield made


def x(item: Item, name: str) -> str | None:
    return dict(item["x_columns"]).get(name)


def asked(life: AnyLife, path: str) -> int:
    return sum(path in request.path for request in life.cloud.asked)


def test_a_line_item_is_a_day_net_of_discounts(life: AnyLife) -> None:
    items = life.collect(JANUARY)
    item = next(one for one in items if one["resource_id"] == "web-1" and one["charge_period_start"].day == 5)
    truth = next(one for one in life.cloud.world.charges(JANUARY) if one.key == "usage/web-1/2026-01-05")
    expected = {
        "source": "export",
        "is_estimated": True,
        "billed_cost": truth.amount,
        "effective_cost": truth.amount,
        "billing_account_id": PAYER,
        "billing_account_name": "small (simulated)",
        "billing_currency": "USD",
        "billing_period_start": at(1, 1),
        "billing_period_end": at(2, 1),
        "charge_period_start": at(1, 5),
        "charge_period_end": at(1, 6),
        "charge_category": "Usage",
        "charge_class": None,
        "charge_description": "n2 in europe-west3",
        "charge_frequency": "Usage-Based",
        "consumed_unit": "seconds",
        "pricing_unit": "hour",
        "service_name": "Compute Engine",
        "service_category": "Compute",
        "service_provider_name": "Google Cloud",
        "sub_account_id": "shop",
        "sub_account_name": "shop (simulated)",
        "region_id": "europe-west3",
        "availability_zone": "europe-west3-a",
        "resource_name": "web",
        "invoice_id": None,
        "tags": [("tag:team", "shop-tag"), ("tag:env", "live-tag"), ("team", "shop"), ("env", "live")],
    }
    assert {name: item[name] for name in expected} == expected
    assert abs(item["pricing_quantity"] - truth.quantity) < Decimal("0.00001")
    discounts = item["contracted_cost"] - item["billed_cost"]
    assert discounts > truth.amount * Decimal("0.3"), "sustained and committed use"
    assert Decimal(str(x(item, "x_CommitmentDiscounts"))) < 0
    assert x(item, "x_ExportedLines") == "2", "Google's day begins at 8 o'clock UTC"


def test_a_standard_export_tells_the_same_costs_without_resources() -> None:
    costs = {}
    for mode in ("detailed", "standard", "focus"):
        life = lived(small(tax_rate=Decimal("0.2")), at(2, 9, 12), mode)
        with life.cloud:
            items = life.collect(JANUARY)
            costs[mode] = by_day(items)
            assert {item["resource_id"] for item in items} >= ({None} if mode == "standard" else {"web-1", "sql-1"})
            assert life.collections[JANUARY].sources[0]["kind"] == f"{mode} export"
    assert costs["standard"] == costs["detailed"] == costs["focus"]


def test_the_invoice_month_is_that_of_california_and_the_day_that_of_utc() -> None:
    life = lived(small(), at(3, 10))
    with life.cloud:
        january, february = life.collect(JANUARY), life.collect(FEBRUARY)
    edge = [one for one in january if one["charge_period_start"] == at(2, 1)]
    assert {one["charge_period_end"] for one in edge} == {at(2, 1, 8)}
    assert {(one["billing_period_start"], one["resource_id"]) for one in edge} == {
        (at(1, 1), "web-1"),
        (at(1, 1), "sql-1"),
    }
    rest = [one for one in february if one["charge_period_start"].date() == date(2026, 2, 1)]
    assert {(one["charge_period_start"], one["charge_period_end"]) for one in rest} == {(at(2, 1, 8), at(2, 2))}
    assert max(by_day(february)) == date(2026, 3, 1)


def test_tax_adjustments_and_commitments_are_kept_apart() -> None:
    purchase = ScenarioEvent(EventKind.PURCHASE, date(2026, 1, 7), amount=Decimal(60))
    refund = ScenarioEvent(EventKind.REFUND, date(2026, 1, 8), posted_on=date(2026, 2, 20), amount=Decimal("12.34"))
    life = lived(small(purchase, refund, tax_rate=Decimal("0.2")), at(3, 10))
    with life.cloud:
        january, february = life.collect(JANUARY), life.collect(FEBRUARY)
        assert billed(january) == life.cloud.invoice_amount(JANUARY)
    assert billed(january, charge_category="Purchase") == 60
    tax = [one for one in january if one["charge_category"] == "Tax"]
    assert [(one["service_name"], one["sub_account_id"]) for one in tax] == [("Invoice", None)]
    assert tax[0]["billed_cost"] > 15
    back = [one for one in february if one["charge_category"] == "Adjustment"]
    assert [(one["billed_cost"], one["charge_class"]) for one in back] == [(Decimal("-12.34"), "Correction")]
    assert x(back[0], "x_AdjustmentMode") == "MANUAL_ADJUSTMENT"


def test_rounding_errors_are_adjustments_and_count(life: AnyLife) -> None:
    for row in cloud_of(life).export.rows(life.clock()):
        row["cost_type"] = "rounding_error"
    items = life.collect(JANUARY)
    assert {item["charge_category"] for item in items} == {"Adjustment"}
    assert billed(items) == life.cloud.shown_amount(JANUARY)


def test_what_is_given_is_a_credit_of_its_own() -> None:
    credit = ScenarioEvent(EventKind.CREDIT, date(2026, 1, 5), posted_on=date(2026, 2, 9), amount=Decimal("7.50"))
    life = lived(small(credit), at(2, 8, 12))
    with life.cloud:
        life.go(at(2, 8, 12))
        january = life.items[JANUARY]
        life.go(at(2, 9, 12))
        (one,) = [item for item in life.items[FEBRUARY] if item["charge_category"] == "Credit"]
        assert life.items[JANUARY] == january
    assert one["billed_cost"] == one["contracted_cost"] == one["list_cost"] == Decimal("-7.50"), "a credit has no price"
    assert one["charge_class"] == "Correction"
    assert one["charge_period_start"] == at(1, 5)
    assert x(one, "x_CreditType") == "PROMOTION"


def test_late_and_restated_rows_collect_their_month_and_no_other() -> None:
    late = ScenarioEvent(EventKind.LATE, date(2026, 1, 30), posted_on=date(2026, 2, 2), resource_id="sql-1")
    again = ScenarioEvent(EventKind.RESTATE, date(2026, 2, 3), posted_on=date(2026, 2, 12), factor=Decimal("0.5"))
    life = lived(small(late, again), at(2, 1, 20))
    with life.cloud:
        life.go(at(2, 1, 20))
        before = by_day(life.items[JANUARY])[date(2026, 1, 30)]
        assert JANUARY in life.go(at(2, 2, 0, 30))
        assert by_day(life.items[JANUARY])[date(2026, 1, 30)] > before
        life.go(at(2, 11, 20))
        whole = by_day(life.items[FEBRUARY])[date(2026, 2, 3)]
        assert life.go(at(2, 12, 0, 30)) == [FEBRUARY]
        assert by_day(life.items[FEBRUARY])[date(2026, 2, 3)] == pytest.approx(whole / 2, abs=Decimal("0.00001"))
        assert all(item["billed_cost"] >= 0 for item in life.items[FEBRUARY]), "the day, not its corrections"


def test_a_day_of_probes_costs_what_its_exports_do(life: AnyLife) -> None:
    life.tick()
    requests, costs = [], []
    for _ in range(96):
        life.clock.advance(minutes=15)
        probe = life.probe()
        requests.append(probe.requests)
        costs.append(probe.cost)
    assert sorted(costs) == [Decimal(0)] * 94 + [SMALLEST] * 2, "two exports a day in this world"
    assert sorted(requests) == [2] * 94 + [6] * 2
    assert sum(costs) < Decimal("0.0002")


def reading(life: AnyLife) -> Snapshot:
    """What is kept of the newest count of the table, in January."""
    kept = life.context.snapshots.newest(f"{READING} {cloud_of(life).table}", JANUARY)
    assert kept is not None
    return kept


def test_only_the_days_that_may_have_grown_are_read_again(life: AnyLife) -> None:
    life.tick()
    life.go(at(1, 20, 12))
    queries = [
        json.loads(request.body)
        for request in life.cloud.asked
        if request.method == "POST" and b"reading" in request.body
    ]
    firsts = [one["configuration"]["query"]["queryParameters"][1]["parameterValue"]["value"][:10] for one in queries]
    assert [firsts[0], firsts[-1]] == ["2024-12-25", "2026-01-09"], (
        "13 months first, then from the day before the last reading"
    )
    kept = TableContents.from_json(reading(life).body, READING)
    assert len(kept.parts) == 3, "the days before, added up; yesterday; today"


def test_what_a_month_costs_to_collect_is_counted(life: AnyLife) -> None:
    life.tick()
    collection = life.collections[JANUARY]
    assert collection.request_cost == SMALLEST
    assert collection.requests == 7
    assert collection.sources[0]["bytes_billed"] == str(10 * 2**20)
    assert life.provider.capabilities.paid_requests


def test_a_query_over_the_cap_is_not_made(life: AnyLife, monkeypatch: pytest.MonkeyPatch) -> None:
    from optiinfra_assets.simulators.gcp import query_jobs

    monkeypatch.setattr(
        query_jobs,
        "_statistics",
        lambda size: {
            "totalBytesProcessed": str(21 * 2**30),
            "query": {"totalBytesProcessed": str(21 * 2**30)},
        },
    )
    with pytest.raises(
        BadData, match=r"query reading: it would read 21\.0 GiB \(0\.13 USD\), more than max_gib_billed 20"
    ):
        life.probe()
    assert cloud_of(life).jobs.bytes_billed == 0


def test_the_server_holds_the_cap_too(life: AnyLife, monkeypatch: pytest.MonkeyPatch) -> None:
    from optiinfra_assets.simulators.gcp import query_jobs

    monkeypatch.setattr(query_jobs, "_billed", lambda size: 21 * 2**30)
    with pytest.raises(BadData, match=r"bytes billed: 21474836480\. .* raise max_gib_billed"):
        life.probe()


def test_a_job_whose_answer_was_lost_is_found_again_and_paid_once(life: AnyLife) -> None:
    insert = "/jobs"
    life.cloud.fail(lambda cloud, request, answer: answer(request), path=insert)  # the dry run
    life.cloud.fail(lambda cloud, request, answer: (answer(request), cloud.broken())[1], path=insert)
    life.probe()
    assert cloud_of(life).jobs.bytes_billed == 10 * 2**20
    assert asked(life, "/projects/billing-simulated/jobs/") >= 1


def test_rows_exported_between_counting_and_reading_are_not_half_taken(life: AnyLife) -> None:
    collection = life.open(JANUARY)
    life.clock.now = at(1, 10, 23)  # midnight in California has come
    with pytest.raises(
        Transient, match=r"rows of 2026-01 came though .* were counted: something was exported meanwhile"
    ):
        list(collection.batches)
    assert billed(life.collect(JANUARY)) == life.cloud.shown_amount(JANUARY)


class Running(SimulatedClock):
    """Never says the same instant twice."""

    def __call__(self) -> datetime:
        return self.advance(milliseconds=1)


def expiring(days: int) -> AnyLife:
    """Loading days are dropped at that age, and every third day there is a machine more: the table grows all the same."""
    machines = tuple(
        replace(WEB, resource_id=f"web-{number}", started=date(2026, 1, 1) + timedelta(days=3 * number))
        for number in range(1, 24)
    )
    life = lived(replace(small(), resources=(WEB, SQL, *machines)), at(1, 10, 12))
    life.clock = life.cloud.world.clock = Running(at(1, 10, 12))
    cloud_of(life).export.expiration = timedelta(days=days)
    return life


def months_read(life: AnyLife) -> int:
    """Queries that read a whole month, and were paid."""
    jobs = [
        json.loads(request.body)["configuration"]
        for request in life.cloud.asked
        if request.method == "POST" and request.path.endswith("/jobs")
    ]
    return sum(job["labels"] == {"optiinfra": "lines"} and not job.get("dryRun") for job in jobs)


def test_a_closed_month_whose_rows_expire_unseen_stays_and_is_read_once() -> None:
    """What is lost shows when the month becomes final, from fewer rows than were counted."""
    life = expiring(45)
    with life.cloud:
        life.days(at(1, 10, 12), 37)
        collected, token, read = life.items[JANUARY], life.tokens[JANUARY], months_read(life)
        life.clock.now = at(2, 16, 12)
        with pytest.raises(
            BadData,
            match=r"424 rows of 2026-01 came though 426 were counted: others have expired or were deleted; what was collected stays",
        ):
            life.tick()
        assert months_read(life) == read + 1
        assert life.tick() == [FEBRUARY]
        for _ in range(4):
            life.clock.advance(minutes=15)
            assert life.tick() == []
        life.days(at(2, 17, 12), 8)
        assert (life.items[JANUARY], life.tokens[JANUARY]) == (collected, token)


def test_a_closed_month_that_lost_rows_has_fewer_when_it_is_collected_by_hand() -> None:
    life = expiring(45)
    with life.cloud:
        life.days(at(1, 10, 12), 37)
        collected = life.items[JANUARY]
        life.clock.now = at(2, 18, 12)
        with pytest.raises(BadData, match="others have expired or were deleted"):
            life.collect(JANUARY)
        left = life.collect(JANUARY)
        source = life.collections[JANUARY].sources[0]
        assert 0 < len(left) < len(collected)
        assert min(by_day(left)) == date(2026, 1, 3)
        assert source["warning"].endswith("rows of the month are left: others have expired or were deleted")
        assert life.collections[JANUARY].is_final
        life.tokens[JANUARY] = life.collections[JANUARY].change_token
        assert JANUARY not in life.tick()


def test_no_month_is_paid_for_again_while_the_table_cannot_be_counted() -> None:
    life = expiring(45)

    def no_count(cloud: Any, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
        return refused(400, "invalidQuery", "no") if b"reading" in request.body else answer(request)

    with life.cloud:
        life.days(at(1, 10, 12), 37)
        life.clock.now = at(2, 18, 12)
        life.probe()
        life.cloud.fail(no_count, times=999)
        read = months_read(life)
        for _ in range(3):
            with pytest.raises(ContractChanged, match="query reading"):
                life.collect(JANUARY)
        assert months_read(life) == read + 1


def test_an_open_month_that_loses_rows_goes_on_with_what_is_left() -> None:
    life = expiring(12)
    with life.cloud:
        for day in range(10, 30):
            read = months_read(life)
            life.clock.now = at(1, day, 12)
            with suppress(Transient):
                life.tick()
            life.clock.advance(minutes=1)
            life.tick()
            life.clock.advance(minutes=15)
            assert life.tick() == []
            assert months_read(life) <= read + 2
        assert max(by_day(life.items[JANUARY])) == date(2026, 1, 28)
        assert min(by_day(life.items[JANUARY])) > date(2026, 1, 12)
        assert "warning" not in life.collections[JANUARY].sources[0], "an open month is what there is"


def test_months_that_a_table_made_anew_does_not_have_stay_as_they_were() -> None:
    """Google fills in the current and the previous month only."""
    life = lived(small(), at(5, 20, 12))
    with life.cloud:
        life.tick()
        before, tokens = dict(life.items), dict(life.tokens)
        cloud_of(life).export.first_month, cloud_of(life).created = BillingPeriod(2026, 4), at(5, 21)
        life.go(at(5, 22, 12))
        assert billed(life.items[BillingPeriod(2026, 5)]) == life.cloud.shown_amount(BillingPeriod(2026, 5))
        for month in (1, 2, 3, 4):
            period = BillingPeriod(2026, month)
            assert (life.items[period], life.tokens[period]) == (before[period], tokens[period])
        with pytest.raises(NothingThere, match="has no row of 2026-01 any more: what was collected stays"):
            life.collect(JANUARY)
        life.go(at(6, 2, 12), at(6, 16, 12))
        assert life.collections[BillingPeriod(2026, 5)].is_final


def test_an_account_that_is_told_of_another_table_forgets_what_the_first_one_had() -> None:
    wrong = lived(small(), at(5, 20, 12), "detailed")
    with wrong.cloud:
        wrong.tick()
    right = lived(replace(small(), resources=(SQL,)), at(5, 21, 12), "standard")
    cloud_of(right).created = at(1, 2)
    right.snapshots, right.tokens, right.items = wrong.snapshots, dict(wrong.tokens), dict(wrong.items)
    with right.cloud:
        right.tick()
        for period, lines in right.items.items():
            assert billed(lines) == right.cloud.shown_amount(period)
        right.clock.advance(days=1)
        assert right.tick() == [BillingPeriod(2026, 5)]


def test_a_month_that_is_older_than_what_is_counted_is_no_empty_one() -> None:
    life = lived(small(), at(1, 20, 12))
    with life.cloud:
        life.tick()
        life.clock.now = datetime(2027, 2, 10, 12, tzinfo=UTC)
        with pytest.raises(BadData, match="billing period 2026-01 is not accepted: from 2026-02 on"):
            life.collect(JANUARY)
        assert life.probe().tokens[JANUARY] == life.tokens[JANUARY]


def test_a_count_kept_by_an_earlier_version_is_gone_on_with(life: AnyLife) -> None:
    """It had neither the name of its table nor the most rows of a month."""
    life.tick()
    kept = reading(life)
    said = json.loads(kept.body)
    lines = said.pop("most")
    body = json.dumps(said).encode()
    stock = TableContents.from_json(body, READING)
    assert {str(period): count for period, count in stock.most.items()} == lines
    life.snapshots = MemorySnapshots()
    life.snapshots.add(replace(kept, kind=READING, body=body))
    asked = len(life.cloud.asked)
    life.probe()
    assert not [one for one in life.cloud.asked[asked:] if one.method == "POST" and b"reading" in one.body]


def test_a_table_made_anew_is_read_whole(life: AnyLife) -> None:
    life.tick()
    other = lived(small(), at(1, 6, 12))
    other.snapshots, other.tokens = life.snapshots, life.tokens
    other.clock.now = at(1, 10, 13)
    with other.cloud:
        cloud_of(other).world.scenario = replace(small(), start=date(2026, 1, 6))
        other.tick()
        assert billed(other.items[JANUARY]) == other.cloud.shown_amount(JANUARY)


@pytest.mark.parametrize("mode", ["detailed", "focus"])
def test_a_table_without_loading_days_is_read_whole_each_time(mode: str) -> None:
    life = lived(small(), at(1, 10, 12), mode)
    with life.cloud:
        cloud_of(life).is_partitioned = False
        life.go(at(1, 10, 12), at(1, 11, 12), at(1, 12, 12))
        assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)
        assert "loading_days" not in life.collections[JANUARY].sources[0]


def test_an_export_that_falls_silent_says_so_once() -> None:
    gone = replace(small(), resources=(replace(WEB, ended=date(2026, 1, 6)),))
    life = lived(gone, at(1, 6, 12))
    with life.cloud:
        life.tick()
        assert "warning" not in life.collections[JANUARY].sources[0]
        assert life.go(at(1, 8, 5)) == []
        assert life.go(at(1, 8, 13)) == [JANUARY]
        warning = life.collections[JANUARY].sources[0]["warning"]
        assert warning.startswith("nothing was exported since 2026-01-06 06:00 UTC")
        assert life.go(at(1, 9)) == []


def test_a_month_becomes_final_with_no_estimate_left() -> None:
    life = lived(small(), at(2, 14, 23))
    with life.cloud:
        life.tick()
        assert all(item["is_estimated"] for item in life.items[JANUARY])
        assert JANUARY in life.go(at(2, 16))
        assert life.collections[JANUARY].is_final
        assert not any(item["is_estimated"] for item in life.items[JANUARY])
        assert life.collections[JANUARY].data_through == at(2, 1, 8)


@pytest.mark.parametrize("is_net", [True, False])
def test_focus_costs_that_are_not_net_of_credits_are_flagged(is_net: bool) -> None:
    life = lived(small(), at(1, 10, 12), "focus")
    with life.cloud:
        for row in cloud_of(life).export.rows(life.clock()):
            row["BilledCost"] = row["BilledCost"] if is_net else row["ContractedCost"]
        items = life.collect(JANUARY)
        check = life.collections[JANUARY].sources[1]
    assert int(check["line_items_off"]) == (0 if is_net else len(items))
    assert "compare the month with its invoice" in check.get("warning", "") or is_net


def test_an_empty_table_is_no_cost_of_zero() -> None:
    life = lived(small(), at(1, 1, 1))
    with life.cloud:
        assert life.probe().tokens == {}
        with pytest.raises(NothingThere, match="the export has no rows"):
            life.collect(JANUARY)


def setting(life: AnyLife, **fields: Any) -> Account:
    return replace(life.account, settings={**life.account.settings, **fields})


def test_a_table_that_is_not_there_is_named(life: AnyLife) -> None:
    account = setting(life, table="billing-simulated.billing.gone")
    with pytest.raises(NothingThere, match=r"tables\.get billing-simulated\.billing\.gone: Not found"):
        life.provider.probe(account, {}, life.context)


@pytest.mark.parametrize("table", ["export", "a.b", "a.b.c`; DROP", "p.d.t.u", ""])
def test_a_table_must_be_named_whole(table: str) -> None:
    with pytest.raises(ValueError, match=r"table\s+Value error, use project\.dataset\.table"):
        GcpCredential(table=table)


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ('"name":"cost","type":"FLOAT"', '"name":"cost","type":"STRING"', ContractChanged, "column cost: type STRING is not accepted"),
        ('"name":"export_time"', '"name":"exported_at"', ContractChanged, "column export_time: is missing: TIMESTAMP was expected"),
        ('"name":"credits"', '"name":"credit"', ContractChanged, "column credits.type: is missing"),
        ('"name":"resource"', '"name":"thing"', ContractChanged, "columns are those of a standard export, its name is that of a detailed"),
        ('"name":"usage_start_time"', '"name":"begin"', BadData, "it has neither the columns of a usage cost export nor"),
        ('"tableReference"', '"reference"', ContractChanged, r"tables\.get .*: not the documented answer"),
    ],
)  # fmt: skip
def test_a_table_of_another_kind_is_refused(
    life: AnyLife, old: str, new: str, error: type[ProviderError], message: str
) -> None:
    life.cloud.fail(rewrite(old, new), times=9, path="/tables/")
    with pytest.raises(error, match=message):
        life.probe()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"202601"', '"2026-01"', "column invoice.month: value '2026-01' is not accepted: YYYYMM"),
        ('"202601"', "null", "column month: value null is not accepted: text was expected"),
        ('"USD"', "7", "column currency: value '7' is not accepted: text"),
        ('"name":"cost"', '"name":"sum"', "column cost: is missing"),
        ('"totalRows"', '"rowsInAll"', "not the documented answer"),
        ('{"f":[', '{"f":[{"v":"x"},', "not the documented answer .* cells"),
    ],
)  # fmt: skip
def test_an_answer_of_another_kind_is_refused(life: AnyLife, old: str, new: str, message: str) -> None:
    life.cloud.fail(rewrite(old, new), times=9, path="/queries/")
    with pytest.raises(ContractChanged, match=message):
        life.probe()
    assert life.context.snapshots.newest(f"{READING} {cloud_of(life).table}", JANUARY) is None


@pytest.mark.parametrize(
    ("path", "reason", "status", "error", "message"),
    [
        ("/tables/", "accessDenied", 403, CredentialRejected, "it needs: roles/bigquery.dataViewer on the dataset"),
        ("/jobs", "accessDenied", 403, CredentialRejected, r"it needs: roles/bigquery.jobUser .*bigquery\.jobs\.create"),
        ("/jobs", "billingNotEnabled", 403, CredentialRejected, "no billing"),
        ("/jobs", "internalError", 500, Transient, "the provider failed"),
        ("/jobs", "invalidQuery", 400, ContractChanged, "no billing"),
    ],
)  # fmt: skip
def test_refusals_say_what_to_do(
    life: AnyLife, path: str, reason: str, status: int, error: type[ProviderError], message: str
) -> None:
    life.cloud.fail(say(refused(status, reason, "no billing")), times=99, path=path)
    with pytest.raises(error, match=message):
        life.probe()


def test_throttling_is_waited_for_and_a_used_up_quota_for_an_hour(life: AnyLife) -> None:
    life.cloud.fail(say(refused(403, "rateLimitExceeded", "too fast")), times=2, path="/jobs")
    life.probe()
    life.snapshots = type(life.snapshots)()
    before = len(life.cloud.asked)
    life.cloud.fail(say(refused(403, "quotaExceeded", "Custom quota exceeded")), times=99, path="/jobs")
    with pytest.raises(Throttled, match="a quota of the project is used up") as raised:
        life.probe()
    assert raised.value.until == life.clock() + timedelta(hours=1)
    assert len(life.cloud.asked) - before == 3, "asking again at once would be of no use"
    life.cloud.recover()
    wait = refused(429, "rateLimitExceeded", "slow down")
    life.cloud.fail(say(replace(wait, headers={**wait.headers, "Retry-After": "90"})), times=99, path="/tables/")
    with pytest.raises(Throttled) as raised:
        life.probe()
    assert raised.value.until == life.clock() + timedelta(seconds=90)


def test_no_request_leaves_for_another_address(life: AnyLife, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's credentials ask the real service from where they may be used, in a thread of their own, whatever address requests go to."""
    asked_for: list[str] = []
    resolve = socket.getaddrinfo

    def watched(host: str, *rest: Any, **options: Any) -> Any:
        asked_for.append(host)
        return resolve(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", watched)
    life.provider.discover(life.account)
    life.tick()
    for thread in threading.enumerate():
        if "regional" in repr(thread).lower():
            thread.join(10)
    assert set(asked_for) == {"127.0.0.1"}


def test_without_the_role_for_billing_accounts_costs_come_without_a_name(life: AnyLife) -> None:
    cloud_of(life).views_accounts = False
    items = life.collect(JANUARY)
    assert billed(items) == life.cloud.shown_amount(JANUARY)
    assert {item["billing_account_name"] for item in items} == {None}
    assert life.provider.discover(life.account) == [PAYER]


def test_discover_names_the_account_and_pays_nothing(life: AnyLife) -> None:
    assert life.provider.discover(life.account) == [f"{PAYER} small (simulated) (1 project)"]
    assert cloud_of(life).jobs.bytes_billed == 0
    life.cloud.page_size = 1
    life.cloud.repeats_pages = True
    assert life.provider.discover(life.account) == [f"{PAYER} small (simulated) (1 project)"]


def test_the_default_credentials_of_the_machine_will_do(
    life: AnyLife, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key.json"
    file.write_text(life.account.secrets["service_account_key"])
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    account = replace(life.account, secrets={})
    assert JANUARY in life.provider.probe(account, {}, life.context).tokens
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    with pytest.raises(CredentialRejected, match="no credential: give service_account_key"):
        life.provider.probe(account, {}, life.context)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: "not JSON " + key["private_key_id"],
        lambda key: json.dumps([key]),
        lambda key: json.dumps({**key, "private_key": "-----BEGIN " + key["private_key_id"]}),
        lambda key: json.dumps({**key, "token_uri": "http://example.com/token"}),
        lambda key: json.dumps({name: value for name, value in key.items() if name != "client_email"}),
    ],
    ids=["no JSON", "a list", "broken key", "plain http", "no e-mail"],
)
def test_a_malformed_key_is_refused_without_a_word_of_it(life: AnyLife, spoil: Any) -> None:
    key = spoil(json.loads(life.account.secrets["service_account_key"]))
    account = replace(life.account, secrets={"service_account_key": key})
    with pytest.raises(
        CredentialRejected, match="service_account_key: not the JSON of a service account key"
    ) as raised:
        life.provider.probe(account, {}, life.context)
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert not life.cloud.asked


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (
            400,
            {"error": "invalid_grant", "error_description": "Invalid JWT Signature."},
            "invalid_grant: Invalid JWT Signature.",
        ),
        (200, {"id_token": "what it gave in place of an access token"}, "No access token in response."),
    ],
)
def test_of_what_the_token_service_said_only_its_reason_is_quoted(
    life: AnyLife, status: int, answer: dict[str, str], message: str
) -> None:
    """Not the whole answer: it may hold tokens, which are no secrets of the account that could be redacted."""
    life.cloud.fail(say(SimulatedResponse.of({**answer, "more": "of it"}, status=status)), times=9, path="/token")
    with pytest.raises(CredentialRejected, match=r"^token: ") as raised:
        life.provider.probe(life.account, {}, life.context)
    assert f"is not accepted ({message}); connect again" in str(raised.value)


def test_no_part_of_the_private_key_shows_anywhere(life: AnyLife, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    account = life.account
    lines = [line for line in private_key().splitlines() if len(line) > 30]
    texts = [repr(GcpCredential.model_validate({**account.settings, **account.secrets}))]
    said = f"{SECRET} {lines[0]} {account.secrets['service_account_key']}"
    for status, reason in (
        (400, "invalid"),
        (401, "authError"),
        (403, "accessDenied"),
        (404, "notFound"),
        (500, "backendError"),
    ):
        for path in ("/token", "/tables/", "/jobs", "/queries/"):
            life.cloud.recover()
            life.cloud.fail(say(refused(status, reason, said)), times=99, path=path)
            try:
                life.provider.probe(
                    account, {}, ProviderContext(life.clock, type(life.snapshots)(), sleep=lambda _: None)
                )
            except ProviderError as error:
                texts.append("".join(traceback.format_exception(error)))
    assert len(texts) == 21
    for secret in (SECRET, *lines):
        assert not [text for text in [*texts, caplog.text] if secret in text]


def test_line_items_are_stored_and_the_same_again(life: AnyLife, warehouse: Warehouse) -> None:
    hashes = set()
    for generation in (1, 2):
        slice_ = Slice.of(life.account, JANUARY)
        loaded = load(warehouse.client, slice_, generation, life.open(JANUARY).batches)
        warehouse.derive({generation: slice_})
        assert warehouse.unequal({generation: (slice_, loaded)}) == {}
        hashes.add(str(loaded.content))
        assert loaded.totals["USD"].billed_cost == life.cloud.shown_amount(JANUARY)
    assert len(hashes) == 1


parts = st.builds(
    lambda month, currency, day, lines, units: PeriodTotal(
        BillingPeriod(2026, month),
        currency,
        _loaded(day),
        _loaded(day),
        lines,
        Decimal(units).scaleb(-{"JPY": 0, "KWD": 3}.get(currency, 2)),
        _loaded(day),
    ),
    st.integers(1, 3),
    st.sampled_from(("USD", "EUR", "JPY", "KWD")),
    st.integers(0, 20),
    st.integers(1, 9),
    st.integers(-500, 500),
)


def _loaded(day: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)


@given(st.lists(parts, max_size=30), st.lists(st.integers(0, 22), max_size=6))
def test_reading_a_growing_table_day_by_day_is_reading_it_whole(rows: list[PeriodTotal], moments: list[int]) -> None:
    stock = no_contents(BEGINNING)
    for moment in [*sorted(moments), 23]:
        there = [row for row in rows if row.first <= _loaded(moment)]
        found = _grouped([row for row in there if row.first >= stock.floor])
        stock = stock.grown(found, _loaded(moment) + timedelta(hours=9), str(moment), len(there))
        stock = TableContents.from_json(stock.to_json(), "kept")
        whole = no_contents(BEGINNING).grown(_grouped(there), _loaded(moment), "", 0)
        for month in (1, 2, 3):
            period = BillingPeriod(2026, month)
            assert stock.token(period) == whole.token(period)
            assert stock.totals(period) == whole.totals(period)


def _grouped(rows: list[PeriodTotal]) -> list[PeriodTotal]:
    """As a reading answers: one part for each period, currency and day."""
    found: dict[Any, PeriodTotal] = {}
    for row in rows:
        key = (row.period, row.currency, row.first)
        found[key] = found[key].plus(row) if key in found else row
    return list(found.values())


@given(st.decimals(-(10**9), 10**9, places=18))
def test_doubles_come_to_the_amount(amount: Decimal) -> None:
    assert sum(doubles(amount)) == amount
    assert all(Decimal(repr(float(part))) == part for part in doubles(amount))
