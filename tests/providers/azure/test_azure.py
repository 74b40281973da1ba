"""Azure over real sockets and TLS, through Microsoft's own clients: what is special to its Query API, its sign-in and its figures."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from life import SECRET, AnyLife, Item, at, billed
from pydantic import ValidationError

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import (
    BadData,
    ContractChanged,
    CredentialRejected,
    NothingThere,
    ProviderError,
    Throttled,
    Transient,
)
from optiinfra_assets.providers.azure.provider import COLLECTION_PATIENCE, AzureCredential
from optiinfra_assets.providers.base import RequestedDays
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.simulators.azure.dated_costs import dated_costs
from optiinfra_assets.simulators.azure.query_api import failure
from optiinfra_assets.simulators.azure.simulator import SUBSCRIPTION, SimulatedAzure
from optiinfra_assets.simulators.server.faults import cut_short, rewrite, say, throttle, truncate
from optiinfra_assets.simulators.server.server import (
    Answering,
    Fault,
    SimulatedCloud,
    SimulatedRequest,
    SimulatedResponse,
)
from optiinfra_assets.simulators.world.scenario import EventKind, Scenario, ScenarioEvent, ScenarioResource

DECEMBER, JANUARY, FEBRUARY = BillingPeriod(2025, 12), BillingPeriod(2026, 1), BillingPeriod(2026, 2)
QUERY = "CostManagement/query"
WEB = ScenarioResource(
    "web-1",
    "web-1 (simulated)",
    "compute",
    "d2",
    "eu-central",
    "shop",
    Decimal("0.10"),
    tags=(("team", "a"),),
)
DISK = ScenarioResource("disk1", "disk1 (simulated)", "storage", "gb", "us-east", "lab", Decimal("0.03"))
PURCHASE = ScenarioEvent(EventKind.PURCHASE, date(2026, 1, 11), amount=Decimal(300))
REFUND = ScenarioEvent(EventKind.REFUND, date(2026, 1, 12), amount=Decimal("7.25"))


class Life(AnyLife):
    """One scope."""

    cloud: SimulatedAzure


def live(now: datetime, *events: ScenarioEvent, **fields: Any) -> Life:
    """A machine and a disk from January 2026."""
    scenario = Scenario("small", date(2026, 1, 1), (WEB, DISK), events, **fields)
    return Life.of("azure", scenario, now)


@pytest.fixture
def life() -> Iterator[Life]:
    """January is over and final; nothing but usage happened."""
    made = live(at(2, 6))
    with made.cloud:
        yield made


def queries(life: Life) -> list[dict[str, Any]]:
    """Every question that was asked of the Query API."""
    return [json.loads(request.body) for request in life.cloud.asked if QUERY in request.path]


def effective(items: list[Item]) -> Decimal:
    return sum((item["effective_cost"] for item in items), Decimal(0))


def test_a_row_has_what_the_query_tells_and_nothing_more(life: Life) -> None:
    rows = life.collect(JANUARY)
    item = next(row for row in rows if row["resource_name"] == "web-1" and row["charge_period_start"] == at(1, 7))
    truth = [
        cost
        for cost in dated_costs(life.cloud.world, JANUARY, life.clock())
        if cost.resource == WEB and cost.day == date(2026, 1, 7)
    ]
    expected = {
        "source": "api",
        "is_estimated": False,
        "billed_cost": truth[0].billed,
        "effective_cost": truth[0].billed,
        "list_cost": None,
        "contracted_cost": None,
        "billing_currency": "USD",
        "billing_account_id": f"/subscriptions/{SUBSCRIPTION}",
        "billing_account_name": "small (simulated)",
        "sub_account_id": f"/subscriptions/{SUBSCRIPTION}",
        "sub_account_name": "small (simulated)",
        "billing_period_start": at(1, 1),
        "billing_period_end": at(2, 1),
        "charge_period_end": at(1, 8),
        "charge_category": "Usage",
        "charge_class": None,
        "charge_frequency": "Usage-Based",
        "charge_description": None,
        "service_name": "Virtual Machines",
        "service_category": "Compute",
        "service_provider_name": "Microsoft",
        "region_id": "westeurope",
        "resource_id": f"/subscriptions/{SUBSCRIPTION}/resourcegroups/shop/providers/microsoft.compute/virtualmachines/web-1",
        "resource_type": "microsoft.compute/virtualmachines",
        "consumed_quantity": None,
        "tags": [],
        "x_columns": [("x_ChargeType", "Usage"), ("x_ResourceGroupName", "shop")],
    }
    assert {name: item[name] for name in expected} == expected


def test_letter_case_and_spelling_of_regions_split_nothing(life: Life) -> None:
    """The simulated service writes resource groups and regions in two ways, by turns."""
    rows = life.collect(JANUARY)
    assert len({row["resource_id"] for row in rows}) == 2
    assert {row["region_id"] for row in rows} == {"westeurope", "eastus"}
    assert len(rows) == 2 * 31


def test_billed_and_amortised_cost_meet_in_one_row_by_charge_type() -> None:
    life = live(at(2, 6), PURCHASE, REFUND)
    with life.cloud:
        rows = life.collect(JANUARY)
        truth = dated_costs(life.cloud.world, JANUARY, life.clock())
        february = life.collect(FEBRUARY)
        later = dated_costs(life.cloud.world, FEBRUARY, life.clock())
    by_type: dict[str, list[Item]] = {}
    for row in rows:
        by_type.setdefault(dict(row["x_columns"])["x_ChargeType"], []).append(row)
    assert by_type.keys() == {"Usage", "Purchase", "Refund", "UnusedReservation"}
    (purchase,) = by_type["Purchase"]
    assert (purchase["billed_cost"], purchase["effective_cost"]) == (300, 0)
    assert (purchase["charge_category"], purchase["resource_id"]) == ("Purchase", None)
    (refund,) = by_type["Refund"]
    assert refund["billed_cost"] == Decimal("-7.25")
    assert (refund["charge_category"], refund["charge_class"]) == ("Purchase", "Correction")
    assert [row["billed_cost"] for row in by_type["UnusedReservation"]] == [0] * 21
    assert {row["charge_category"] for row in by_type["UnusedReservation"]} == {"Usage"}
    assert billed(rows) == life.cloud.invoice_amount(JANUARY)
    assert effective(rows) == sum(cost.effective for cost in truth) != billed(rows)
    assert effective(february) == sum(cost.effective for cost in later)


def test_charge_types_nobody_has_heard_of_are_adjustments(life: Life) -> None:
    def rounding(cloud: Any, request: SimulatedRequest, answer: Any) -> SimulatedResponse:
        body = request.body.replace(b'"RoundingAdjustment"', b'"Usage"')
        return rewrite('"Usage"', '"RoundingAdjustment"')(cloud, replace(request, body=body), answer)

    life.cloud.fail(rounding, times=99, path=QUERY)
    rows = life.collect(JANUARY)
    assert {row["charge_category"] for row in rows} == {"Adjustment"}
    assert {row["charge_frequency"] for row in rows} == {None}
    assert billed(rows) == life.cloud.invoice_amount(JANUARY)


def test_requests_of_a_collection_are_seven_and_two_for_each_other_charge_type(life: Life) -> None:
    life.collect(JANUARY)
    asked = queries(life)
    assert len(asked) == 7
    assert all(len(query["dataset"].get("grouping", [])) <= 2 for query in asked)
    assert [query["type"] for query in asked].count("AmortizedCost") == 3
    assert {query["timePeriod"]["from"] for query in asked} == {"2026-01-01T00:00:00Z"}
    assert {query["timePeriod"]["to"] for query in asked} == {"2026-01-31T23:59:59Z"}
    sign_in, name = 2, 1
    assert life.collections[JANUARY].requests == len(life.cloud.asked) == 7 + sign_in + name
    bought = live(at(2, 6), PURCHASE)
    with bought.cloud:
        bought.collect(JANUARY)
        assert len(queries(bought)) == 7 + 2, "Purchase is in one kind of figures, UnusedReservation in the other"


def test_the_next_page_is_another_post_of_the_same_question(life: Life) -> None:
    life.cloud.page_size = 20
    rows = life.collect(JANUARY)
    assert billed(rows) == life.cloud.invoice_amount(JANUARY)
    following = [request for request in life.cloud.asked if "$skiptoken" in request.query]
    assert len(following) > 4
    assert {request.method for request in following} == {"POST"}
    assert {request.query["api-version"] for request in following} == {"2024-08-01"}
    assert all(json.loads(request.body)["timeframe"] == "Custom" for request in following)


def test_a_next_page_elsewhere_gets_no_credential(life: Life) -> None:
    life.cloud.page_size = 20
    thief = Life.of("azure", Scenario("thief", date(2026, 1, 1), (WEB,)), life.clock())
    with thief.cloud:
        life.cloud.fail(rewrite(life.cloud.url, thief.cloud.url), times=99, path=QUERY)
        with pytest.raises(ContractChanged, match=r"nextLink: value .* is not accepted: an address at 127"):
            life.collect(JANUARY)
        assert thief.cloud.asked == []


def test_a_window_that_was_moved_is_refused(life: Life) -> None:
    life.cloud.fail(rewrite("20260105", "20250105"), times=99, path=QUERY)
    with pytest.raises(Transient, match=r"UsageDate: 2025-01-05 is outside of 2026-01-01 to 2026-01-31"):
        life.collect(JANUARY)


def test_no_window_is_longer_than_a_month_or_ends_in_the_future() -> None:
    life = live(at(1, 20, 12))
    with life.cloud:
        life.days(at(1, 31, 22), 3, hours=6)
        for query in queries(life):
            first, last = (datetime.fromisoformat(query["timePeriod"][name]) for name in ("from", "to"))
            assert timedelta() <= last - first < timedelta(days=31)
            assert (first.year, first.month) == (last.year, last.month)
            assert last.date() <= life.clock().date()


def test_groups_that_do_not_add_up_to_the_day_are_refused(life: Life) -> None:
    def one_group_less(cloud: Any, request: SimulatedRequest, answer: Any) -> SimulatedResponse:
        response = answer(request)
        properties = json.loads(response.body, parse_float=Decimal)
        if len(json.loads(request.body)["dataset"].get("grouping", ())) == 2:
            properties["properties"]["rows"].pop()
        return SimulatedResponse.of(properties)

    life.cloud.fail(one_group_less, times=99, path=QUERY)
    with pytest.raises(Transient, match=r"ActualCost of 2026-01-\d\d: the groups add up to .* USD, the day's"):
        life.collect(JANUARY)


def to_daily(change: Any) -> Fault:
    """The right answer, changed if it is the total of days."""

    def fault(cloud: SimulatedCloud, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
        response = answer(request)
        said = json.loads(response.body) if response.body else None
        if request.path.endswith("/query") and said and b'"grouping"' not in request.body and b"Daily" in request.body:
            change(said["properties"])
        return replace(response, body=json.dumps(said).encode()) if said else response

    return fault


def test_days_that_are_missing_from_an_answer_are_no_cost_of_zero(life: Life) -> None:
    life.tick()

    def without_some(properties: dict[str, Any]) -> None:
        properties["rows"] = properties["rows"][:10]

    life.cloud.fail(to_daily(without_some), times=99)
    with pytest.raises(Transient, match=r"ActualCost: the days add up to .* the whole month is .*: days are missing"):
        life.collect(JANUARY)


@pytest.mark.parametrize("answer", ["rows", "204"])
def test_an_answer_without_costs_where_there_were_some_is_nothing_there(life: Life, answer: str) -> None:
    life.tick()

    def empty(cloud: SimulatedCloud, request: SimulatedRequest, answering: Answering) -> SimulatedResponse:
        if answer == "204":
            return SimulatedResponse(204)
        said = json.loads(answering(request).body)
        said["properties"]["rows"] = []
        return SimulatedResponse.of(said)

    life.cloud.fail(empty, times=99, path=QUERY)
    with pytest.raises(NothingThere, match=r"no day has a cost, though the last totals of the month in .* not zero"):
        life.collect(FEBRUARY)
    assert life.open(JANUARY).days == RequestedDays(date(2026, 1, 1), date(2026, 1, 31)), (
        "compared with what is published"
    )


def test_an_empty_body_is_a_broken_answer_and_no_cost_of_zero(life: Life) -> None:
    life.cloud.fail(say(SimulatedResponse(200, b"", {"Content-Type": "application/json"})), times=99, path=QUERY)
    with pytest.raises(Transient, match=r"the answer is empty|broke off"):
        life.collect(JANUARY)


def test_noise_of_floats_is_no_difference(life: Life) -> None:
    def as_float(cloud: Any, request: SimulatedRequest, answer: Any) -> SimulatedResponse:
        content = json.loads(answer(request).body)
        names = [column["name"] for column in content["properties"]["columns"]]
        for row in content["properties"]["rows"]:
            row[names.index("Cost")] *= 1.0000000000001
        return SimulatedResponse(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    life.cloud.fail(as_float, times=99, path=QUERY)
    rows = life.collect(JANUARY)
    assert abs(billed(rows) - life.cloud.invoice_amount(JANUARY)) < Decimal("0.000001")


def test_of_all_limits_the_longest_is_waited_for(life: Life) -> None:
    waited: list[float] = []
    patient = ProviderContext(life.clock, life.snapshots, sleep=waited.append)
    life.cloud.fail(throttle(), times=2, path=QUERY)
    collection = life.provider.collect(life.account, JANUARY, patient)
    assert sum(batch.num_rows for batch in collection.batches) == 62
    assert waited == [7, 7], "qpu 2, entity 7, tenant 1, client type 3"


def test_a_collection_waits_longer_than_a_probe_may(life: Life) -> None:
    waited: list[float] = []
    patient = ProviderContext(life.clock, life.snapshots, sleep=waited.append)
    header = {"x-ms-ratelimit-microsoft.costmanagement-qpu-retry-after": "60", "Retry-After": "5"}
    slow = say(failure("429", "Too many requests. Please retry.", 429, header))
    life.cloud.fail(slow, path=QUERY)
    with pytest.raises(Throttled, match="429: 429: Too many requests") as raised:
        life.provider.probe(life.account, {}, patient)
    assert raised.value.until == life.clock() + timedelta(seconds=60)
    assert waited == []
    life.cloud.fail(slow, path=QUERY)
    life.provider.collect(life.account, JANUARY, patient)
    assert waited == [60]
    assert waited[0] < COLLECTION_PATIENCE


def test_a_day_of_ticks_asks_six_times_and_collects_as_often() -> None:
    life = live(at(1, 20, 23, 50))
    with life.cloud:
        life.tick()
        life.collected.clear()
        life.cloud.asked.clear()
        for number in range(96):
            life.go(at(1, 21) + timedelta(minutes=15 * number))
            assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY)
        assert life.collected == [JANUARY] * 6
        totals = [query for query in queries(life) if _is_total(query)]
        closed = 3 * 2
        assert len(totals) == 6 * 2 + closed, "both kinds of figures, once in four hours, and once of closed months"


def _is_total(query: dict[str, Any]) -> bool:
    return query["dataset"]["granularity"] == "None" and "grouping" not in query["dataset"]


def test_figures_that_stand_still_are_collected_once() -> None:
    idle = replace(WEB, ended=date(2026, 1, 10))
    life = Life.of("azure", Scenario("idle", date(2026, 1, 1), (idle,)), at(1, 15))
    with life.cloud:
        life.tick()
        assert JANUARY in life.collected
        life.collected.clear()
        life.days(at(1, 15), 12, hours=2)
        assert life.collected == []


def test_a_change_of_amortised_figures_alone_is_a_change() -> None:
    """Usage that a commitment covers costs nothing as billed."""

    def dearer(cloud: Any, request: SimulatedRequest, answer: Any) -> SimulatedResponse:
        is_amortised = json.loads(request.body)["type"] == "AmortizedCost"
        return rewrite(":[[", ":[[1")(cloud, request, answer) if is_amortised else answer(request)

    idle = replace(WEB, ended=date(2026, 1, 10))
    life = Life.of("azure", Scenario("idle", date(2026, 1, 1), (idle,)), at(1, 15))
    with life.cloud:
        before = life.probe().tokens
        life.clock.advance(hours=4)
        assert life.probe().tokens == before
        life.clock.advance(hours=4)
        life.cloud.fail(dearer, times=99, path=QUERY)
        after = life.probe().tokens
    assert {period for period in after if after[period] != before[period]} == {JANUARY}


def test_a_month_is_final_when_the_5th_of_the_next_is_over() -> None:
    life = live(at(2, 5, 20))
    with life.cloud:
        life.go(at(2, 5, 20))
        assert not life.collections[JANUARY].is_final
        assert all(item["is_estimated"] for item in life.items[JANUARY])
        assert life.collections[JANUARY].data_through == at(2, 1)
        assert life.collections[FEBRUARY].data_through == at(2, 4)
        assert JANUARY in life.go(at(2, 6))
        assert life.collections[JANUARY].is_final
        assert not any(item["is_estimated"] for item in life.items[JANUARY])
        assert life.collections[DECEMBER].is_final
        assert JANUARY not in life.go(at(2, 7), at(3, 7))


def test_months_collected_long_ago_stay_named(life: Life) -> None:
    old = BillingPeriod(2023, 5)
    tokens = life.provider.probe(life.account, {old: "final"}, life.context).tokens
    assert tokens[old] == "final"
    assert len(tokens) == 14


def test_tax_and_credits_are_not_in_the_data() -> None:
    credit = ScenarioEvent(EventKind.CREDIT, date(2026, 1, 5), amount=Decimal(10))
    life = live(at(2, 6), credit, tax_rate=Decimal("0.25"))
    with life.cloud:
        rows = life.collect(JANUARY)
        invoice = sum(charge.amount for charge in life.cloud.world.invoice(JANUARY) or ())
        usage = sum(row["billed_cost"] for row in rows)
    assert {row["charge_category"] for row in rows} == {"Usage"}
    assert abs(invoice - (usage - 10) * Decimal("1.25")) < Decimal("0.01")


def test_what_comes_after_the_5th_is_dated_when_it_came() -> None:
    late = ScenarioEvent(EventKind.LATE, date(2026, 1, 30), posted_on=date(2026, 2, 9), resource_id="disk1")
    life = live(at(2, 6), late)
    with life.cloud:
        life.go(at(2, 6), at(2, 9))
        moved = [
            item
            for item in life.items[FEBRUARY]
            if item["resource_name"] == "disk1" and item["charge_period_start"] == at(2, 9)
        ]
        assert len(moved) == 1
        assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)
        assert billed(life.items[FEBRUARY]) == life.cloud.shown_amount(FEBRUARY)


@pytest.mark.parametrize(
    "scope",
    [
        "providers/Microsoft.Billing/billingAccounts/1234",
        "providers/Microsoft.Billing/billingAccounts/1234/billingProfiles/AB-CD",
        "providers/Microsoft.Management/managementGroups/root",
    ],
)
def test_a_scope_above_subscriptions_tells_those_and_no_resources(life: Life, scope: str) -> None:
    life.cloud.scope = scope
    rows = life.collect(JANUARY)
    assert billed(rows) == life.cloud.invoice_amount(JANUARY)
    assert {row["sub_account_name"] for row in rows} == {"shop (simulated)", "lab (simulated)"}
    assert len({row["sub_account_id"] for row in rows}) == 2
    assert {row["resource_id"] for row in rows} == {None}
    assert {row["billing_account_id"] for row in rows} == {f"/{scope.lower()}"}
    assert life.provider.discover(life.account) == [f"/{scope.lower()} small (simulated)"]
    life.cloud.lacks_permission = True
    needed = "Billing account reader" if "Billing" in scope else f"Cost Management Reader at {scope}"
    with pytest.raises(CredentialRejected, match=needed):
        life.collect(JANUARY)


def test_a_resource_group_is_a_scope(life: Life) -> None:
    life.cloud.scope = f"subscriptions/{SUBSCRIPTION}/resourceGroups/shop"
    rows = life.collect(JANUARY)
    assert {row["sub_account_id"] for row in rows} == {f"/subscriptions/{SUBSCRIPTION}"}
    assert {row["billing_account_id"] for row in rows} == {f"/{life.cloud.scope.lower()}"}


def test_a_name_that_may_not_be_read_is_left_out(life: Life) -> None:
    refused = failure("AuthorizationFailed", "no", 403)

    def no_names(cloud: Any, request: SimulatedRequest, answer: Any) -> SimulatedResponse:
        return refused if request.path == f"/subscriptions/{SUBSCRIPTION}" else answer(request)

    life.cloud.fail(no_names, times=99)
    assert {row["billing_account_name"] for row in life.collect(JANUARY)} == {None}
    assert life.provider.discover(life.account) == [f"/subscriptions/{SUBSCRIPTION}"]


def test_a_scope_that_does_not_exist_is_named(life: Life) -> None:
    wrong = replace(life.account, settings={**life.account.settings, "scope": "subscriptions/nobody"})
    with pytest.raises(BadData, match=r"scope: 'subscriptions/nobody' does not exist or is not visible"):
        life.provider.discover(wrong)
    said = "Agreement type Unknown does not support ResourceGroup scope."
    life.cloud.fail(say(failure("BadRequest", said, 400)), path=QUERY)
    with pytest.raises(BadData, match=r"cannot be queried .*Agreement type Unknown.*connect with another"):
        life.collect(JANUARY)


def test_a_refused_secret_is_said_in_microsofts_words(life: Life) -> None:
    life.cloud.secret = "another"
    account = replace(life.account, secrets={"client_secret": SECRET})
    with pytest.raises(CredentialRejected, match="AADSTS7000215: Invalid client secret") as raised:
        life.provider.discover(account)
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("tenant", ["../../common", "contoso com", "127.0.0.1:8000/x"])
def test_a_tenant_that_cannot_be_one_is_named(life: Life, tenant: str) -> None:
    """Nothing was sent, so no proxy answered: waiting does not help."""
    account = replace(life.account, settings={**life.account.settings, "tenant_id": tenant})
    with pytest.raises(CredentialRejected, match=r"^sign-in: .*tenant_id"):
        life.provider.discover(account)


def test_an_access_token_that_is_not_accepted_any_more(life: Life) -> None:
    expired = failure("ExpiredAuthenticationToken", "The access token expiry UTC time is earlier.", 401)
    life.cloud.fail(say(expired), times=99, path=QUERY)
    with pytest.raises(CredentialRejected, match="401: ExpiredAuthenticationToken"):
        life.collect(JANUARY)


def test_the_default_chain_is_used_where_no_application_is_given(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    application = {"AZURE_TENANT_ID": "tenant_id", "AZURE_CLIENT_ID": "client_id"}
    settings = dict(life.account.settings)
    for variable, name in application.items():
        monkeypatch.setenv(variable, settings.pop(name))
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    account = replace(life.account, settings=settings, secrets={})
    assert life.provider.discover(account) == [f"/subscriptions/{SUBSCRIPTION} small (simulated)"]
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong")
    with pytest.raises(CredentialRejected, match="sign-in at https://127"):
        life.provider.discover(account)


def test_a_certificate_nobody_vouches_for_ends_the_call_before_the_secret_is_sent(life: Life) -> None:
    settings = {name: value for name, value in life.account.settings.items() if name != "ca_file"}
    with pytest.raises(Transient, match="certificate verify failed"):
        life.provider.probe(replace(life.account, settings=settings), {}, life.context)
    assert life.cloud.asked == []


@pytest.mark.parametrize("fault", [truncate, cut_short], ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("path", ["openid-configuration", "oauth2/v2.0/token", QUERY])
def test_an_answer_that_breaks_off_once_is_asked_for_again(life: Life, fault: Any, path: str) -> None:
    life.cloud.fail(fault(), path=path)
    assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY)


@pytest.mark.parametrize(
    ("status", "error"), [(429, Throttled), (503, Transient), (500, Transient), (400, CredentialRejected)]
)
@pytest.mark.parametrize("path", ["openid-configuration", "oauth2/v2.0/token"])
def test_a_sign_in_service_in_trouble_is_no_refused_secret(
    life: Life, path: str, status: int, error: type[ProviderError]
) -> None:
    said = {"error": "unauthorized_client", "error_description": "AADSTS700016: not found."}
    life.cloud.fail(say(SimulatedResponse.of(said, status=status)), times=99, path=path)
    with pytest.raises(error) as raised:
        life.collect(JANUARY)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"properties":{', '"results":{', "properties: is missing: a JSON object"),
        ('"rows":', '"lines":', "properties.rows: is missing: a list"),
        ('"rows":[[', '"rows":[7,[', r"lists of 3 values, not '7' at 0"),
        ('"rows":[[', '"rows":[["x"],[', "lists of 3 values"),
        ('"columns":', '"fields":', "properties.columns: is missing: a list"),
        ('"name":"UsageDate"', '"name":"Day"', "columns: UsageDate is missing among"),
        ('"name":"Currency"', '"name":"Money"', "columns: Currency is missing among"),
        ("202601", "209913", r"rows\[0\].UsageDate: value '2099\d+' is not accepted: a day such as"),
        ('"USD"', "null", r"rows\[0\].Currency: value .* is not accepted: text"),
        ('"nextLink":null', '"nextLink":5', "properties.nextLink: value '5' is not accepted: text"),
    ],
)
def test_a_changed_contract_names_field_and_value(life: Life, old: str, new: str, message: str) -> None:
    life.cloud.fail(rewrite(old, new), times=99, path=QUERY)
    with pytest.raises(ContractChanged, match=message):
        life.collect(JANUARY)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[]", "a JSON object"),
        ("null", "a JSON object"),
        ('"x"', "a JSON object"),
        ('{"properties": 5}', "properties: value '5' is not accepted: a JSON object"),
        (
            '{"properties": {"columns": 7, "rows": []}}',
            "properties.columns: value '7' is not accepted: a list",
        ),
        (
            '{"properties": {"columns": [{"name": "Cost"}, {"name": "Currency"}], "rows": {"a": 1}}}',
            "rows: value",
        ),
    ],
)
def test_an_answer_of_another_shape_is_refused(life: Life, body: str, message: str) -> None:
    life.cloud.fail(
        say(SimulatedResponse(200, body.encode(), {"Content-Type": "application/json"})), times=99, path=QUERY
    )
    with pytest.raises(ContractChanged, match=message):
        life.provider.discover(life.account)


def test_an_amount_that_is_no_number_is_refused(life: Life) -> None:
    def as_word(cloud: Any, request: SimulatedRequest, answer: Any) -> SimulatedResponse:
        content = json.loads(answer(request).body)
        names = [column["name"] for column in content["properties"]["columns"]]
        content["properties"]["rows"][3][names.index("Cost")] = "12,5"
        return SimulatedResponse(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    life.cloud.fail(as_word, path=QUERY)
    with pytest.raises(ContractChanged, match=r"rows\[3\].Cost: value '12,5' is not accepted: a number"):
        life.collect(JANUARY)


def test_a_web_page_in_place_of_an_answer_is_not_asked_for_again(life: Life) -> None:
    page = SimulatedResponse(200, b"<html>sign in</html>", {"Content-Type": "application/json"})
    life.cloud.fail(say(page), times=99, path=QUERY)
    with pytest.raises(Transient, match="a web page came in place of data: a proxy"):
        life.collect(JANUARY)
    assert len(queries_of(life)) == 1


def queries_of(life: Life) -> list[SimulatedRequest]:
    return [request for request in life.cloud.asked if QUERY in request.path]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give either scope or export_url"),
        ({"scope": "subscriptions/a", "export_url": "https://a.b/c"}, "give either scope or export_url"),
        ({"scope": "subscription/a"}, "scope\n.*accepted are subscriptions/<id>"),
        ({"scope": "subscriptions/a?b=c"}, "accepted are subscriptions/<id>"),
        ({"scope": "subscriptions/../x"}, "accepted are subscriptions/<id>"),
        (
            {"scope": "subscriptions/a", "invoice_scope": "providers/Microsoft.Management/managementGroups/g"},
            "has no invoices: accepted are subscriptions/<id>",
        ),
        ({"scope": "subscriptions/a", "tenant_id": "t"}, "give all three, or none of them"),
        ({"scope": "subscriptions/a", "refresh_hours": "0"}, "refresh_hours"),
        ({"scope": "subscriptions/a", "refresh_hours": "25"}, "refresh_hours"),
        ({"scope": "subscriptions/a", "authority": "http://login.example"}, "authority\n.*https address"),
        ({"export_url": "http://a.blob.example/c"}, "export_url\n.*https address"),
        ({"export_url": "https://a.blob.core.windows.net/c?sig=x"}, "without user, query or fragment"),
    ],
)
def test_a_credential_that_cannot_work_is_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as raised:
        AzureCredential.model_validate({**settings, "client_secret": SECRET} if "tenant_id" in settings else settings)
    assert SECRET not in str(raised.value)


def test_slashes_around_a_scope_do_not_matter() -> None:
    assert AzureCredential(scope="/subscriptions/abc/").scope == "subscriptions/abc"
    assert AzureCredential(scope="subscriptions/abc", refresh_hours=6).refresh_hours == 6


def test_neither_secret_nor_token_is_logged(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    life.collect(JANUARY)
    life.cloud.fail(say(SimulatedResponse.of({"error": {"code": "X", "message": SECRET}}, status=400)), path=QUERY)
    with pytest.raises(ContractChanged) as raised:
        life.collect(JANUARY)
    said = caplog.text + "".join(traceback.format_exception(raised.value))
    assert "query" in caplog.text
    assert SECRET not in said
    assert life.cloud._token() not in said
    assert "X: ***" in said


def test_what_a_sign_in_service_said_is_not_logged_before_it_is_redacted(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    """The SDK warns of each failed sign-in, with the words of the service."""
    said = {"error": "invalid_client", "error_description": f"AADSTS7000215: {SECRET} is not it."}
    life.cloud.fail(say(SimulatedResponse.of(said, status=401)), times=99, path="oauth2/v2.0/token")
    with pytest.raises(CredentialRejected, match=r"AADSTS7000215: \*\*\* is not it"):
        life.collect(JANUARY)
    assert SECRET not in caplog.text


def test_utc_days_are_charge_periods(life: Life) -> None:
    rows = life.collect(JANUARY)
    assert {row["charge_period_end"] - row["charge_period_start"] for row in rows} == {timedelta(days=1)}
    assert min(row["charge_period_start"] for row in rows) == datetime(2026, 1, 1, tzinfo=UTC)
