"""The cost assets, run in Dagster on real stores and real files."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import dagster as dg
import pytest
from graphql import build_schema, parse, validate
from orchestrated import NOW, Files, Platform, Scripted

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.errors import CredentialRejected, Throttled, Transient
from optiinfra_assets.domain.run_scope import ACCEPT_EMPTY_TAG
from optiinfra_assets.ingestion.run import SliceFailure
from optiinfra_assets.orchestration.asset_keys import ProviderAssetKeys
from optiinfra_assets.orchestration.cost_assets import raise_failures
from optiinfra_assets.orchestration.partitions import register
from optiinfra_assets.settings import project_file


@pytest.fixture
def connected(platform: Platform, files: Files) -> Platform:
    """An account on `files`, which has two months."""
    files.write("september", "2026-09", ["10", "0.000000000000000001"])
    files.write("october", "2026-10", ["1.5", "2.25", "-0.75"])
    platform.add_account("acme.files", location=str(files.path))
    return platform


def events_of(result: dg.ExecuteInProcessResult, kind: str) -> list[dg.DagsterEvent]:
    """Events of one type, in order."""
    return [event for event in result.all_events if event.event_type_value == kind]


def test_a_slice_is_published_exactly_and_shown(connected: Platform, files: Files) -> None:
    result = connected.materialise("2026-10")
    assert result.success
    assert connected.total("2026-10") == files.total("2026-10") == Decimal("3.00")
    assert connected.history() == [("2026-10", "succeeded", None)]
    materialised = result.asset_materializations_for_node("collect_focus")
    assert [one.asset_key for one in materialised] == ProviderAssetKeys("focus").collected
    raw = materialised[0]
    assert raw.partition == "acme.files|2026-10"
    assert raw.metadata["dagster/partition_row_count"].value == 3
    assert raw.metadata["billed cost"].value == "3 USD"
    assert "| october.csv |" in str(raw.metadata["sources"].value)


def test_the_question_shown_for_graphql_is_one_that_the_schema_accepts(connected: Platform) -> None:
    materialised = connected.materialise("2026-10").asset_materializations_for_node("collect_focus")
    shown = str(materialised[-1].metadata["ask GraphQL"].value)
    question = shown.removeprefix("```graphql\n").removesuffix("\n```")
    schema = build_schema(project_file("optiinfra_api/schema.graphql").read_text())
    assert validate(schema, parse(question)) == []


def test_a_run_of_the_interface_says_whose_slices_it_collects_and_where_their_page_is(connected: Platform) -> None:
    result = connected.materialise("2026-09", "2026-10")
    run = connected.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert {tag: value for tag, value in run.tags.items() if tag.startswith("optiinfra/") and "task" not in tag} == {
        "optiinfra/trigger": "ui",
        "optiinfra/customer": "acme",
        "optiinfra/provider": "focus",
        "optiinfra/account": "acme.files",
        "optiinfra/billing_periods": "2026-09..2026-10",
    }
    pages = [
        str(one.metadata["generations of this month"].value)
        for one in result.asset_materializations_for_node("collect_focus")
        if one.asset_key == ProviderAssetKeys("focus").published
    ]
    where = "http://127.0.0.1:8000/accounts/account?customer=acme&account=acme.files&month="
    assert pages == [f"{where}2026-10#months", f"{where}2026-09#months"]


@pytest.mark.parametrize("chosen", [["raw_costs"], ["cost_by_day"], ["published_costs", "cost_trends"]])
def test_a_run_of_some_assets_collects_all_of_the_slice(connected: Platform, files: Files, chosen: list[str]) -> None:
    selected = [dg.AssetKey(["focus", name]) for name in chosen]
    result = connected.run({"dagster/partition": "acme.files|2026-10"}, selected=selected)
    assert result.success
    materialised = result.asset_materializations_for_node("collect_focus")
    assert [one.asset_key for one in materialised] == ProviderAssetKeys("focus").collected
    assert connected.total("2026-10") == files.total("2026-10")


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, set[bool]]:
    """Whether the checks that were evaluated passed, by name."""
    found: dict[str, set[bool]] = {}
    for one in result.get_asset_check_evaluations():
        found.setdefault(one.check_name, set()).add(one.passed)
    return found


def test_each_check_is_evaluated_for_the_slice(scripted_platform: Platform, scripted: Scripted, files: Files) -> None:
    for amounts in (["1"], ["2", "1"]):
        files.write("october", "2026-10", amounts)
        scripted.control_totals = {"USD": sum(map(Decimal, amounts), Decimal(0))}
        result = scripted_platform.materialise("2026-10", provider="scripted")
    found = {
        (one.asset_key.to_user_string(), one.check_name, one.partition) for one in result.get_asset_check_evaluations()
    }
    slice_ = "acme.files|2026-10"
    derived = {
        ("/".join(key.path), "derived_equals_raw", slice_) for key in ProviderAssetKeys("scripted").derived.values()
    }
    raw = {("scripted/raw_costs", name, slice_) for name in ("shrinkage", "control_totals")}
    assert found == derived | raw
    assert all(one.passed for one in result.get_asset_check_evaluations())


def test_a_check_that_compared_nothing_is_skipped_and_not_passed(connected: Platform) -> None:
    first, again = connected.materialise("2026-10"), connected.materialise("2026-10")
    assert checks_of(first) == {"derived_equals_raw": {True}}
    assert checks_of(again) == {"shrinkage": {True}}
    said = [
        {
            name: str(value.value)
            for name, value in result.asset_materializations_for_node("collect_focus")[0].metadata.items()
        }
        for result in (first, again)
    ]
    assert said[0]["check control_totals"] == "skipped: the provider states no total"
    assert said[0]["check shrinkage"] == "skipped: nothing was published before"
    assert said[1]["check derived_equals_raw"].startswith("skipped: nothing was derived")
    key = dg.AssetCheckKey(ProviderAssetKeys("focus").raw, "control_totals")
    executions = connected.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    assert [
        one.event for one in executions if one.event and one.event.dagster_event_type == "ASSET_CHECK_EVALUATION"
    ] == []


def test_a_range_is_one_run_newest_first(connected: Platform, files: Files) -> None:
    files.write("november", "2026-11", ["7"])
    result = connected.materialise("2026-09", "2026-11")
    assert result.success
    raw = [
        one
        for one in result.asset_materializations_for_node("collect_focus")
        if one.asset_key == ProviderAssetKeys("focus").raw
    ]
    assert [(one.partition, one.metadata["billed cost"].value) for one in raw] == [
        ("acme.files|2026-11", "7 USD"),
        ("acme.files|2026-10", "3 USD"),
        ("acme.files|2026-09", "10.000000000000000001 USD"),
    ]


def test_a_backfill_collects_partitions_of_several_accounts_in_one_run(connected: Platform, files: Files) -> None:
    connected.add_account("acme.more", location=str(files.path))
    slices = [connected.slice("2026-10", account_id) for account_id in ("acme.files", "acme.more", "acme.nobody")]
    register(connected.instance, slices)
    first, last = connected.instance.get_dynamic_partitions("focus_slices")[:: len(slices) - 1]
    result = connected.run({"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last})
    assert result.success
    totals = [connected.total("2026-10", account_id=one.account_id) for one in slices]
    assert totals == [files.total("2026-10"), files.total("2026-10"), None]


def test_the_same_files_again_publish_nothing(connected: Platform) -> None:
    connected.materialise("2026-10")
    published = connected.warehouse.current(connected.slice("2026-10"))
    assert published is not None
    again = connected.materialise("2026-10")
    assert again.success
    assert connected.publications("2026-10") == 1
    assert [status for _, status, _ in connected.history()] == ["succeeded", "unchanged"]
    assert connected.stored("raw_costs", "2026-10") == {published.generation}
    assert connected.stored("cost_by_day", "2026-10") == {published.generation}
    outcome = again.asset_materializations_for_node("collect_focus")[0].metadata["outcome"].value
    assert str(outcome).startswith(f"unchanged: generation {published.generation} of ")


def test_a_changed_file_publishes_one_generation_and_the_earlier_stays_readable(
    connected: Platform, files: Files
) -> None:
    connected.materialise("2026-10")
    first = connected.warehouse.current(connected.slice("2026-10"))
    assert first is not None
    files.write("october", "2026-10", ["5"])
    connected.materialise("2026-10")
    assert connected.publications("2026-10") == 2
    assert connected.total("2026-10") == Decimal(5)
    (then,) = connected.warehouse.resolve("acme", as_of=first.published_at).publications
    assert then.line_items == 3


def test_a_month_whose_files_are_gone_is_published_empty_with_a_warning(connected: Platform, files: Files) -> None:
    connected.materialise("2026-09", "2026-10")
    files.remove("october")
    result = connected.materialise("2026-10")
    assert result.success
    assert connected.total("2026-10") == 0
    assert connected.total("2026-09") == files.total("2026-09")
    (shrinkage,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "shrinkage"]
    assert not shrinkage.passed
    assert shrinkage.severity is dg.AssetCheckSeverity.WARN
    assert shrinkage.description == "0 line items, 3 before: 100.0% fewer"


def test_a_month_that_never_had_a_file_is_an_error_and_publishes_nothing(connected: Platform) -> None:
    assert not connected.materialise("2026-01").success
    assert connected.total("2026-01") is None
    missing = "the source has no billing period 2026-01: choose one that it has"
    assert connected.history() == [("2026-01", "failed", missing)]
    assert connected.metadata.failures.find() == []
    confirmed = connected.run({"dagster/partition": "acme.files|2026-01", ACCEPT_EMPTY_TAG: "true"})
    assert confirmed.success


def test_an_empty_folder_erases_nothing_unless_a_person_confirms(connected: Platform, files: Files) -> None:
    connected.materialise("2026-10")
    total = connected.total("2026-10")
    files.remove("october")
    files.remove("september")
    result = connected.materialise("2026-10")
    assert not result.success
    assert connected.total("2026-10") == total
    assert "no file named" in (connected.history()[-1][2] or "")
    confirmed = connected.run({"dagster/partition": "acme.files|2026-10", ACCEPT_EMPTY_TAG: "true"})
    assert confirmed.success
    assert connected.total("2026-10") == 0


def test_a_bad_value_fails_its_slice_alone_and_is_not_retried(connected: Platform, files: Files) -> None:
    register(connected.instance, [connected.slice("2026-09")])
    connected.materialise("2026-10")
    total = connected.total("2026-10")
    files.write("october", "2026-10", ["1.5", "$2.25"])
    result = connected.materialise("2026-09", "2026-10")
    assert not result.success
    assert connected.total("2026-10") == total
    assert connected.total("2026-09") == files.total("2026-09")
    assert events_of(result, "STEP_UP_FOR_RETRY") == []
    (failure,) = events_of(result, "STEP_FAILURE")
    message = (
        failure.step_failure_data.user_failure_data.description if failure.step_failure_data.user_failure_data else ""
    )
    assert message
    assert message.startswith("focus/acme.files/2026-10: ")
    assert "2026-09" not in message
    (_, status, error), (_, other, _) = connected.history()[-2:]
    assert (status, other) == ("failed", "succeeded")
    for part in ("october.csv", "row 2", "BilledCost", "$2.25"):
        assert part in (error or "")
    assert len(connected.stored("raw_costs", "2026-10")) == 1


def test_a_transient_error_is_retried_and_what_succeeded_is_not_repeated(
    scripted_platform: Platform, scripted: Scripted, files: Files
) -> None:
    files.write("september", "2026-09", ["1"])
    files.write("october", "2026-10", ["2"])
    seen: list[str] = []
    statuses: list[str] = []

    def fail_twice(_: str, period: object) -> None:
        seen.append(str(period))
        statuses.extend(status for month, status, _ in scripted_platform.history() if month == "2026-10")
        if str(period) == "2026-10" and seen.count("2026-10") < 3:
            raise Transient("the network is away")

    scripted.on_collect = fail_twice
    result = scripted_platform.materialise("2026-09", "2026-10", provider="scripted")
    assert result.success
    assert seen == ["2026-10", "2026-09", "2026-10", "2026-10"]
    assert statuses == ["running", "retrying", "running", "running"]
    assert len(events_of(result, "STEP_UP_FOR_RETRY")) == 2
    rows = {str(row.slice.billing_period): row for row in scripted_platform.metadata.collections.history()}
    assert (rows["2026-10"].status, rows["2026-10"].attempt) == ("succeeded", 3)
    assert (rows["2026-09"].status, rows["2026-09"].attempt) == ("succeeded", 1)
    assert scripted_platform.total("2026-10", "scripted") == 2


def test_a_transient_error_that_stays_ends_after_three_retries(
    scripted_platform: Platform, scripted: Scripted, files: Files
) -> None:
    files.write("october", "2026-10", ["2"])

    def fail(*_: object) -> None:
        raise Transient("the network is away")

    scripted.on_collect = fail
    result = scripted_platform.materialise("2026-10", provider="scripted")
    assert not result.success
    assert len(events_of(result, "STEP_UP_FOR_RETRY")) == 3
    (row,) = scripted_platform.metadata.collections.history()
    assert (row.status, row.attempt, row.error) == ("failed", 4, "the network is away")


def test_a_short_throttling_is_waited_out() -> None:
    slice_ = Slice("acme", "scripted", "acme.files", BillingPeriod(2026, 10))
    throttled = Throttled("too many requests", NOW + timedelta(minutes=5))
    with pytest.raises(dg.RetryRequested) as raised:
        raise_failures([SliceFailure.of(slice_, error, NOW, str) for error in (throttled, Transient("away"))], NOW)
    assert raised.value.max_retries == 3
    assert raised.value.seconds_to_wait == 300


def test_a_long_throttling_ends_the_run_and_is_kept_in_mind(
    scripted_platform: Platform, scripted: Scripted, files: Files
) -> None:
    files.write("october", "2026-10", ["2"])
    until = NOW + timedelta(hours=2)

    def throttle(*_: object) -> None:
        raise Throttled("too many requests", until)

    scripted.on_collect = throttle
    (request,) = scripted_platform.tick(NOW)
    (result,) = scripted_platform.collect([request])
    assert not result.success
    assert events_of(result, "STEP_UP_FOR_RETRY") == []
    assert scripted_platform.tick(until - timedelta(seconds=1)) == []
    assert len(scripted_platform.tick(until)) == 1


@pytest.mark.parametrize("stated", ["2.01", "1.99"])
def test_a_control_total_that_does_not_match_publishes_nothing(
    scripted_platform: Platform, scripted: Scripted, files: Files, stated: str
) -> None:
    files.write("october", "2026-10", ["2"])
    scripted.control_totals = {"USD": Decimal(stated)}
    result = scripted_platform.materialise("2026-10", provider="scripted")
    assert not result.success
    assert scripted_platform.total("2026-10", "scripted") is None
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "control_totals"]
    assert not check.passed
    assert f"states {stated} USD" in (check.description or "")
    assert (scripted_platform.history()[-1][2] or "").startswith("the provider states"), "its slice stands beside it"
    assert scripted_platform.metadata.slices.live_generations() == frozenset()  # what it wrote is garbage


def test_a_slice_that_another_run_collects_is_waited_for(scripted_platform: Platform, files: Files) -> None:
    files.write("october", "2026-10", ["2"])
    with scripted_platform.metadata.slices.locks() as locks:
        locks.acquire(scripted_platform.slice("2026-10", provider="scripted"))
        result = scripted_platform.materialise("2026-10", provider="scripted")
    assert not result.success
    assert len(events_of(result, "STEP_UP_FOR_RETRY")) == 3
    assert "another run is collecting it" in (scripted_platform.history()[-1][2] or "")


def test_a_bug_is_not_shown_but_named(scripted_platform: Platform, scripted: Scripted, files: Files) -> None:
    files.write("october", "2026-10", ["2"])

    def fail(*_: object) -> None:
        raise KeyError("password=hunter2")

    scripted.on_collect = fail
    result = scripted_platform.materialise("2026-10", provider="scripted")
    assert not result.success
    assert events_of(result, "STEP_UP_FOR_RETRY") == []
    assert scripted_platform.history() == [
        ("2026-10", "failed", "unexpected KeyError: the log of the run has the details")
    ]


def test_a_partition_without_account_says_so(platform: Platform) -> None:
    result = platform.materialise("2026-10", account_id="acme.nobody")
    assert not result.success
    (failure,) = events_of(result, "STEP_FAILURE")
    assert failure.step_failure_data.user_failure_data is not None
    assert "'acme.nobody' does not exist" in (failure.step_failure_data.user_failure_data.description or "")


def test_a_rejected_credential_is_not_retried(scripted_platform: Platform, scripted: Scripted, files: Files) -> None:
    files.write("october", "2026-10", ["2"])

    def fail(*_: object) -> None:
        raise CredentialRejected("the key was revoked: connect a new one")

    scripted.on_collect = fail
    result = scripted_platform.materialise("2026-10", provider="scripted")
    assert events_of(result, "STEP_UP_FOR_RETRY") == []
    assert scripted_platform.history() == [("2026-10", "failed", "the key was revoked: connect a new one")]
