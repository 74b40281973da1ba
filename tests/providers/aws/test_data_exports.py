"""AWS with a data export in S3: which files count, what a run may do while it is read, and what is not understood."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from life import AnyLife, at, billed

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.errors import (
    BadData,
    ContractChanged,
    CredentialRejected,
    NothingThere,
    Throttled,
    Transient,
)
from optiinfra_assets.simulators.aws.bill_lines import member_of, payer_of
from optiinfra_assets.simulators.aws.data_exports import FOLDER
from optiinfra_assets.simulators.aws.s3 import StoredObject
from optiinfra_assets.simulators.aws.simulator import FocusExport
from optiinfra_assets.simulators.server.faults import say, throttle, truncate
from optiinfra_assets.simulators.server.server import (
    Answering,
    SimulatedCloud,
    SimulatedRequest,
    SimulatedResponse,
)
from optiinfra_assets.simulators.world.scenario import EventKind, Scenario, ScenarioEvent, ScenarioResource
from optiinfra_assets.warehouse.loading import load
from optiinfra_assets.warehouse.warehouse import Warehouse

JANUARY, FEBRUARY, MARCH = (BillingPeriod(2026, month) for month in (1, 2, 3))
WEB = ScenarioResource(
    "i-0web", "web (simulated)", "compute", "m7g.large", "eu-central", "shop", Decimal("0.1023456789"),
    tags=(("team", "shop"),),
)  # fmt: skip
DISK = ScenarioResource("disk", "disk (simulated)", "storage", "standard", "us-east", "lab", Decimal("0.03"))
MANIFEST = f"{FOLDER}/metadata/BILLING_PERIOD=2026-01/costs-Manifest.json"
PAGE = Path(__file__).parents[3] / "docs/providers/aws.md"
MODES = pytest.mark.parametrize("mode", ["focus-export", "cur-export"])


def small(*events: ScenarioEvent, **fields: Any) -> Scenario:
    """A machine and a disk of two accounts, from December 2025."""
    return Scenario("small", date(2025, 12, 1), (WEB, DISK), events, **fields)


def live(mode: str, scenario: Scenario, now: datetime) -> AnyLife:
    return AnyLife.of("aws", scenario, now, mode=mode)


@pytest.fixture
def life() -> Iterator[AnyLife]:
    """An account that exports FOCUS, in March."""
    made = live("focus-export", small(), at(3, 10, 12))
    with made.cloud:
        yield made


def export_of(life: AnyLife) -> Any:
    assert isinstance(life.cloud, FocusExport)
    return life.cloud.export


def may_list(life: AnyLife, beginning: str) -> None:
    """Let the credential list keys of this beginning alone."""
    assert isinstance(life.cloud, FocusExport)
    life.cloud.listable = beginning


def stored(life: AnyLife, key: str, body: bytes, written_at: datetime) -> None:
    """Put something else in place of an object."""
    export = export_of(life)
    read = export.read
    export.read = lambda asked: StoredObject(body, written_at) if asked == key else read(asked)


def manifest(life: AnyLife, **fields: Any) -> None:
    """Change what the manifest of January says."""
    found = export_of(life).read(MANIFEST)
    said = {**json.loads(found.body), **fields}
    said = {name: value for name, value in said.items() if value is not None}
    stored(life, MANIFEST, json.dumps(said).encode(), found.written_at)


def paths(life: AnyLife) -> list[str]:
    return [request.path.rpartition(f"{FOLDER}/")[2] for request in life.cloud.asked]


@MODES
def test_a_month_day_by_day_equals_what_is_shown_and_then_the_invoice(mode: str) -> None:
    credit = ScenarioEvent(EventKind.CREDIT, date(2026, 1, 5), posted_on=date(2026, 2, 9), amount=Decimal("7.50"))
    life = live(mode, small(credit), at(2, 1, 12))
    with life.cloud:
        for day in (*range(2, 12), 20, 28):
            life.go(at(2, day, 12))
            assert billed(life.items[FEBRUARY]) == life.cloud.shown_amount(FEBRUARY)
            assert all(item["is_estimated"] for item in life.items[FEBRUARY])
            assert not life.collections[FEBRUARY].is_final
        assert life.collections[FEBRUARY].data_through == at(2, 27)
        given = [item for item in life.items[FEBRUARY] if item["charge_category"] == "Credit"]
        assert [(item["billed_cost"], item["charge_class"]) for item in given] == [(Decimal("-7.50"), "Correction")]
        assert life.go(at(3, 5, 12)) == [FEBRUARY, MARCH]
        assert billed(life.items[FEBRUARY]) == life.cloud.invoice_amount(FEBRUARY)
        assert {item["invoice_id"] for item in life.items[FEBRUARY]} == {"SIM202602"}
        assert not any(item["is_estimated"] for item in life.items[FEBRUARY])
        assert life.collections[FEBRUARY].is_final
        assert life.collections[FEBRUARY].data_through == FEBRUARY.end


@MODES
def test_a_row_says_all_that_is_known(mode: str) -> None:
    life = live(mode, small(), at(3, 10, 12))
    with life.cloud:
        item = next(one for one in life.collect(JANUARY) if one["service_name"] == "Amazon Elastic Compute Cloud")
        account, name = member_of(life.cloud.world, "shop")
        payer, payer_name = payer_of(life.cloud.world)
        charge = life.cloud.world.charges(JANUARY)[0]
    expected = {
        "source": "export",
        "is_estimated": False,
        "billed_cost": charge.amount,
        "effective_cost": charge.amount,
        "list_cost": charge.amount,
        "contracted_cost": charge.amount,
        "list_unit_price": WEB.hourly_price,
        "billing_account_id": payer,
        "billing_account_name": payer_name,
        "billing_currency": "USD",
        "charge_category": "Usage",
        "charge_class": None,
        "charge_frequency": "Usage-Based",
        "charge_period_start": at(1, 1),
        "charge_period_end": at(1, 2),
        "consumed_quantity": charge.quantity,
        "consumed_unit": "Hrs",
        "invoice_id": "SIM202601",
        "pricing_category": "Standard",
        "region_id": "eu-central-1",
        "resource_id": "i-0web",
        "service_category": "Compute",
        "sub_account_id": account,
        "sub_account_name": name,
        "tags": [("team" if mode == "focus-export" else "user_team", "shop")],
    }
    assert {key: item[key] for key in expected} == expected
    assert dict(item["x_columns"])["x_ServiceCode"] == "AmazonEC2"
    tax = next(one for one in life.items[JANUARY] if one["charge_category"] == "Tax")
    assert (tax["charge_period_start"], tax["charge_period_end"]) == (at(1, 31), at(2, 1))


@MODES
@pytest.mark.parametrize("overwrites", [False, True])
@pytest.mark.parametrize("addresses", ["s3", "object", "key"])
def test_every_run_counts_once_however_it_is_written(mode: str, overwrites: bool, addresses: str) -> None:
    life = live(mode, small(), at(3, 10, 12))
    export_of(life).overwrites, export_of(life).addresses = overwrites, addresses
    with life.cloud:
        assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY)
        lying = [key for key in export_of(life).keys(FOLDER) if "/data/BILLING_PERIOD=2026-01/" in key]
        assert len(lying) == (1 if overwrites else 3), "runs before lie beside the newest"


@MODES
def test_parquet_has_doubles_and_loses_no_digit(mode: str) -> None:
    life = live(mode, small(), at(3, 10, 12))
    export_of(life).parquet = True
    with life.cloud:
        assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY)
        item = next(one for one in life.items[JANUARY] if one["resource_id"] == "i-0web")
        assert item["tags"] == [("team" if mode == "focus-export" else "user_team", "shop")]
        assert item["charge_period_end"] == at(1, 2)


def test_a_probe_is_one_list_of_manifests_and_its_tokens_are_theirs(life: AnyLife) -> None:
    probe = life.probe()
    assert (probe.requests, probe.cost) == (1, 0)
    assert [request.query["prefix"] for request in life.cloud.asked] == [f"{FOLDER}/metadata/"]
    assert sorted(probe.tokens) == [BillingPeriod(2025, 12), JANUARY, FEBRUARY, MARCH]
    etag = export_of(life).read(MANIFEST).etag.strip('"')
    assert probe.tokens[JANUARY].startswith(etag)
    life.clock.advance(hours=11)
    assert life.probe().tokens == probe.tokens
    life.clock.advance(hours=2)
    again = life.probe().tokens
    assert {period for period in again if again[period] != probe.tokens[period]} == {FEBRUARY, MARCH}


def test_a_manifest_that_says_the_same_again_is_news_all_the_same(life: AnyLife) -> None:
    """An export that overwrites may name the same files for ever."""
    before = life.probe().tokens
    stored(life, MANIFEST, export_of(life).read(MANIFEST).body, at(3, 10, 11))
    after = life.probe().tokens
    assert {period for period in after if after[period] != before[period]} == {JANUARY}


def test_lists_that_tell_fractions_of_seconds_make_no_other_token(life: AnyLife) -> None:
    """As those of MinIO and Ceph; the date of a single object has none anywhere."""
    stored(life, MANIFEST, export_of(life).read(MANIFEST).body, at(3, 10, 11) + timedelta(milliseconds=123))
    life.tick()
    assert life.tick() == []
    assert life.probe().tokens[JANUARY] == life.collections[JANUARY].change_token


def test_the_data_folder_is_never_listed(life: AnyLife) -> None:
    life.tick()
    lists = [request for request in life.cloud.asked if "list-type" in request.query]
    assert {request.query["prefix"] for request in lists} == {f"{FOLDER}/metadata/"}


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_manifests_on_any_number_of_pages(life: AnyLife, size: int) -> None:
    whole = life.probe().tokens
    life.cloud.page_size = size
    assert life.probe().tokens == whole


def test_a_repeated_page_of_manifests_is_refused(life: AnyLife) -> None:
    life.cloud.page_size, life.cloud.repeats_pages = 2, True
    with pytest.raises(Transient, match="the same page again after 4 items"):
        life.probe()


def test_a_manifest_that_has_gone_erases_nothing(life: AnyLife) -> None:
    life.tick()
    keys = export_of(life).keys
    export_of(life).keys = lambda prefix: (key for key in keys(prefix) if "2026-01" not in key)
    assert life.tick() == []
    export_of(life).keys = lambda prefix: iter(())
    with pytest.raises(NothingThere, match=r"s3://simulated-costs/exports/costs: has no manifest yet"):
        life.probe()
    export_of(life).read = lambda key: None
    with pytest.raises(NothingThere, match=r"2026-01/costs-Manifest.json: is not there: nothing that is stored"):
        life.collect(JANUARY)


def test_a_legacy_report_is_not_waited_for(life: AnyLife) -> None:
    old = "exports/costs/20260101-20260201/costs-Manifest.json"
    export_of(life).keys = lambda prefix: iter([old] if old.startswith(prefix) else [])
    export_of(life).read = lambda key: StoredObject(b"{}", at(2, 1))
    with pytest.raises(BadData, match=r"belongs to a legacy Cost and Usage Report.* create a data export"):
        life.probe()


def test_two_manifests_of_a_period_are_refused(life: AnyLife) -> None:
    keys = export_of(life).keys
    second = MANIFEST.replace("costs-Man", "other-Man")
    export_of(life).keys = lambda prefix: iter([*keys(prefix), second])
    stored(life, second, b"{}", at(3, 10))
    with pytest.raises(ContractChanged, match=r"other-Manifest.json: is a second manifest of 2026-01"):
        life.probe()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "dataFiles: is missing: a list was expected"),
        (
            "s3://simulated-costs/a.csv.gz",
            r"dataFiles: value 's3://simulated-costs/a.csv.gz' is not accepted: a list",
        ),
        ([1], r"dataFiles\[0\]: value '1' is not accepted"),
        ([None], r"dataFiles\[0\]: value null is not accepted"),
        ([""], r"dataFiles\[0\]: value '' is not accepted"),
        ([{"uri": "s3://simulated-costs/a"}], r"dataFiles\[0\]: value \"{'uri': "),
        (
            ["s3://another/a.csv.gz"],
            r"dataFiles\[0\]: value 's3://another/a.csv.gz' is not accepted: the key of an object",
        ),
        (["https://simulated-costs/a.csv.gz"], r"dataFiles\[0\]: value 'https:"),
        ([["a"]], r"dataFiles\[0\]: value \"\['a'\]\" is not accepted"),
        (["a.csv.gz", "b.csv.gz", "a.csv.gz"], "costs-Manifest.json: names a.csv.gz twice"),
    ],
)
def test_a_manifest_of_another_form_is_refused_with_field_and_value(life: AnyLife, files: Any, message: str) -> None:
    manifest(life, dataFiles=files)
    with pytest.raises(ContractChanged, match=message):
        life.collect(JANUARY)


def test_a_file_of_a_kind_that_is_not_read_is_refused(life: AnyLife) -> None:
    manifest(life, dataFiles=["exports/costs/data/part-1.csv.zip"])
    with pytest.raises(BadData, match=r"part-1.csv.zip: is not read: export CSV, CSV compressed with gzip"):
        life.collect(JANUARY)


def test_a_manifest_that_names_no_file_is_a_complete_answer(life: AnyLife) -> None:
    manifest(life, dataFiles=[])
    assert life.collect(JANUARY) == []
    assert life.collections[JANUARY].sources[0]["files"] == "0"


def test_a_manifest_that_is_no_json_is_refused(life: AnyLife) -> None:
    stored(life, MANIFEST, b"<manifest/>", at(3, 10))
    with pytest.raises(ContractChanged, match=r"costs-Manifest.json: JSON was expected"):
        life.collect(JANUARY)


def test_a_file_that_is_named_and_not_there_is_waited_for(life: AnyLife) -> None:
    manifest(life, dataFiles=["exports/costs/data/gone.csv.gz"])
    with pytest.raises(Transient, match=r"gone.csv.gz: is named by .*costs-Manifest.json, but is not there"):
        life.collect(JANUARY)


def allowed_to_list() -> str:
    """Keys that the policy of the documentation allows to list begin with this."""
    policy = json.loads(PAGE.read_text().split("```json\n")[1].partition("```")[0])
    (may_list,) = (one for one in policy["Statement"] if one["Action"] == "s3:ListBucket")
    pattern: str = may_list["Condition"]["StringLike"]["s3:prefix"]
    return pattern.removesuffix("*").replace("PREFIX/EXPORT", FOLDER)


def test_the_documented_policy_tells_a_file_that_is_gone_from_one_that_is_forbidden(life: AnyLife) -> None:
    assert allowed_to_list() == f"{FOLDER}/", "all of the export and no more"
    may_list(life, allowed_to_list())
    life.tick()
    manifest(life, dataFiles=["exports/costs/data/gone.csv.gz"])
    with pytest.raises(Transient, match=r"gone.csv.gz: is named by .*costs-Manifest.json, but is not there"):
        life.collect(JANUARY)


def test_a_refusal_that_may_mean_that_the_file_is_gone_says_so(life: AnyLife) -> None:
    may_list(life, f"{FOLDER}/metadata/")
    manifest(life, dataFiles=["exports/costs/data/gone.csv.gz"])
    with pytest.raises(
        CredentialRejected,
        match=r"gone.csv.gz: the credential may not do this \(403.* it needs: s3:ListBucket on .*and s3:GetObject on "
        r".*; or it is gone: S3 answers so, not 404, to whoever may not list",
    ):
        life.collect(JANUARY)
    may_list(life, "another/")
    with pytest.raises(CredentialRejected, match=r"s3:GetObject on [^;]*$"):
        life.probe()


def test_a_file_newer_than_its_manifest_belongs_to_a_run_that_is_not_finished(life: AnyLife) -> None:
    (name,) = json.loads(export_of(life).read(MANIFEST).body)["dataFiles"]
    key = name.removeprefix("s3://simulated-costs/")
    stored(life, key, export_of(life).read(key).body, at(3, 10, 11, 30))
    with pytest.raises(Transient, match=r"is newer than .*costs-Manifest.json: a run is being written"):
        life.collect(JANUARY)
    life.clock.advance(hours=1)
    assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY), "copied here in another order"


def test_a_run_that_comes_while_one_is_read_makes_nothing_of_both(life: AnyLife) -> None:
    collection = life.open(MARCH)
    next(collection.batches)
    life.clock.advance(hours=24)
    with pytest.raises(Transient, match=r"costs-Manifest.json: is gone or changed while it was read"):
        list(collection.batches)


def test_rows_of_another_month_are_refused(life: AnyLife) -> None:
    february = json.loads(export_of(life).read(MANIFEST.replace("2026-01", "2026-02")).body)["dataFiles"]
    manifest(life, dataFiles=february)
    with pytest.raises(
        ContractChanged,
        match="has line items of billing period 2026-02, but is named by the manifest of 2026-01",
    ):
        life.collect(JANUARY)


def test_a_bad_value_names_file_row_and_column(life: AnyLife) -> None:
    key = f"{FOLDER}/data/bad.csv"
    text = "BillingPeriodStart,BilledCost\n2026-01-01T00:00:00Z,1\n"
    stored(life, key, text.encode(), at(3, 1))
    manifest(life, dataFiles=[key])
    with pytest.raises(BadData, match=r"s3://simulated-costs/exports/costs/data/bad.csv: mandatory column"):
        life.collect(JANUARY)


@MODES
@pytest.mark.parametrize("parquet", [False, True])
def test_a_file_whose_connection_breaks_is_asked_for_again(mode: str, parquet: bool) -> None:
    life = live(mode, small(), at(3, 10, 12))
    export_of(life).parquet = parquet
    suffix = ".parquet" if parquet else ".csv.gz"

    def broken(cloud: SimulatedCloud, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
        return truncate()(cloud, request, answer) if request.method == "GET" else answer(request)

    with life.cloud:
        amount = life.cloud.invoice_amount(JANUARY)
        life.cloud.fail(broken, times=99, path=suffix)
        with pytest.raises(Transient):
            life.collect(JANUARY)
        life.cloud.recover()
        for _ in range(2):  # once it was looked at twice
            life.cloud.fail(lambda cloud, request, answer: answer(request), path=suffix)
        life.cloud.fail(truncate(), times=2, path=suffix)
        before = len(life.cloud.asked)
        assert billed(life.collect(JANUARY)) == amount
        read = [request for request in life.cloud.asked[before:] if request.path.endswith(suffix)]
        assert [request.method for request in read][:5] == ["HEAD", "HEAD", "GET", "GET", "GET"]


def test_throttling_is_waited_for_and_then_left_alone(life: AnyLife) -> None:
    life.cloud.fail(throttle(), times=3)
    assert life.probe().requests == 4
    life.cloud.fail(throttle(), times=99)
    with pytest.raises(Throttled, match="SlowDown") as said:
        life.probe()
    assert said.value.until == life.clock() + timedelta(minutes=1)


def test_a_missing_permission_is_named_with_what_it_is_for(life: AnyLife) -> None:
    life.cloud.lacks_permission = True
    needed = r"s3:ListBucket on arn:aws:s3:::simulated-costs and s3:GetObject on arn:aws:s3:::simulated-costs/exports/costs/\*"
    for ask in (life.probe, lambda: life.collect(JANUARY), lambda: life.provider.discover(life.account)):
        with pytest.raises(CredentialRejected, match=needed):
            ask()


def test_another_bucket_is_not_there(life: AnyLife) -> None:
    account = replace(life.account, settings={**life.account.settings, "export": "s3://nobodys/exports/costs"})
    with pytest.raises(NothingThere, match="there is no bucket nobodys"):
        life.provider.probe(account, {}, life.context)


def test_an_answer_of_s3_that_nobody_knows(life: AnyLife) -> None:
    life.cloud.fail(say(SimulatedResponse(400, b"<Error><Code>NewRule</Code><Message>no</Message></Error>")), times=9)
    with pytest.raises(ContractChanged, match="NewRule: no"):
        life.probe()


def test_another_region_is_told(life: AnyLife) -> None:
    body = b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>expecting eu-west-1</Message></Error>"
    life.cloud.fail(say(SimulatedResponse(400, body)), times=9)
    with pytest.raises(CredentialRejected, match="expecting eu-west-1\\): check region and endpoint_url"):
        life.probe()


def without_invoice_ids(life: AnyLife) -> None:
    """As FOCUS 1.0."""
    export = export_of(life)
    columns = tuple(name for name in export.table.columns if name not in ("InvoiceId", "BillingAccountType"))
    export.table = replace(export.table, columns=columns)


@pytest.mark.parametrize(("day", "is_final"), [(15, False), (16, True)])
def test_without_invoice_ids_age_decides(day: int, is_final: bool) -> None:
    life = live("focus-export", small(), at(3, day))
    without_invoice_ids(life)
    with life.cloud:
        assert billed(life.collect(FEBRUARY)) == life.cloud.invoice_amount(FEBRUARY)
        assert life.collections[FEBRUARY].is_final is is_final
        assert {item["is_estimated"] for item in life.items[FEBRUARY]} == {not is_final}
        assert life.collections[FEBRUARY].sources[1]["focus"] == "1.0"


def test_a_month_becomes_final_by_itself_when_its_last_run_was_long_ago() -> None:
    life = live("focus-export", small(), at(3, 9, 12))
    without_invoice_ids(life)
    export_of(life).goes_on = timedelta(days=9)
    with life.cloud:
        life.days(at(3, 9, 12), 7)
        assert life.collected.count(FEBRUARY) == 2, "the last run is of the 10th"
        assert not life.collections[FEBRUARY].is_final
        before = life.items[FEBRUARY]
        assert life.go(at(3, 16)) == [FEBRUARY, MARCH]
        assert life.collections[FEBRUARY].is_final
        assert life.items[FEBRUARY] == [{**item, "is_estimated": False} for item in before]
        assert {item["is_estimated"] for item in before} == {True}, "so the content differs, and is published"
        life.days(at(3, 16, 12), 15)
        assert life.collected.count(FEBRUARY) == 3
        assert life.collected.count(JANUARY) == 1, "it was old when it was first collected"


@MODES
def test_a_month_that_its_invoice_made_final_gives_the_same_once_more_at_most(mode: str) -> None:
    life = live(mode, small(), at(3, 9, 12))
    export_of(life).goes_on = timedelta(days=9)
    with life.cloud:
        life.days(at(3, 9, 12), 2)
        assert life.collections[FEBRUARY].is_final
        before, times = life.items[FEBRUARY], life.collected.count(FEBRUARY)
        life.days(at(3, 11, 12), 21)
        assert life.collected.count(FEBRUARY) <= times + 1
        assert life.items[FEBRUARY] == before
        assert life.collections[FEBRUARY].is_final


@MODES
def test_a_large_month_is_streamed_from_many_files(mode: str) -> None:
    life = live(mode, small(), at(3, 10, 12))
    life.cloud.extra_items = 45_000
    with life.cloud:
        collection = life.open(JANUARY)
        batches = [(batch.num_rows, batch.schema) for batch in collection.batches]
        assert sum(rows for rows, _ in batches) == 45_000 + 2 * 31 + 1
        assert collection.sources[0]["files"] == "4"
        assert collection.requests == 2 + 4 * 4, "manifest: twice; each file: looked at thrice, read once"


@MODES
def test_line_items_are_stored_to_the_last_digit_and_the_same_again(mode: str, warehouse: Warehouse) -> None:
    life = live(mode, small(), at(3, 10, 12))
    hashes = set()
    with life.cloud:
        for generation in (1, 2):
            slice_ = Slice.of(life.account, JANUARY)
            loaded = load(warehouse.client, slice_, generation, life.open(JANUARY).batches)
            warehouse.derive({generation: slice_})
            assert warehouse.unequal({generation: (slice_, loaded)}) == {}
            hashes.add(str(loaded.content))
            assert loaded.totals["USD"].billed_cost == life.cloud.invoice_amount(JANUARY)
    assert len(hashes) == 1
