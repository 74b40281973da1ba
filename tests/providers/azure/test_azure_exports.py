"""Azure's FOCUS exports in Blob storage, through the real client over TLS: which run counts, what is checked, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from life import AnyLife, at, billed

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import (
    BadData,
    ContractChanged,
    CredentialRejected,
    NothingThere,
    Throttled,
    Transient,
)
from optiinfra_assets.simulators.azure.blob_storage import storage_failure
from optiinfra_assets.simulators.azure.dated_costs import dated_costs
from optiinfra_assets.simulators.azure.exports import Blob, Run
from optiinfra_assets.simulators.azure.simulator import SimulatedAzureExport
from optiinfra_assets.simulators.server.faults import cut_short, say, truncate
from optiinfra_assets.simulators.server.server import Answering, SimulatedRequest, SimulatedResponse
from optiinfra_assets.simulators.world.scenario import EventKind, Scenario, ScenarioEvent, ScenarioResource

JANUARY, FEBRUARY = BillingPeriod(2026, 1), BillingPeriod(2026, 2)
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


class Life(AnyLife):
    """One export."""

    cloud: SimulatedAzureExport

    def change(self, of: str, how: Callable[[Blob], Blob | None]) -> None:
        """Lets the container hold something else in place of the blobs whose name contains `of`; None: nothing."""
        blobs = self.cloud.exports.blobs

        def changed() -> dict[str, Blob]:
            found = {name: how(blob) if of in name else blob for name, blob in blobs().items()}
            return {blob.name: blob for blob in found.values() if blob is not None}

        self.cloud.exports.blobs = changed  # type: ignore[method-assign]

    def rewrite(self, of: str, old: str, new: str) -> None:
        """Lets manifests, or others whose name contains `of`, have one text in place of another."""
        self.change(of, lambda blob: replace(blob, content=blob.content.replace(old.encode(), new.encode())))


def live(*events: ScenarioEvent) -> Life:
    """A machine and a disk from January 2026; January is over and final."""
    scenario = Scenario("small", date(2026, 1, 1), (WEB, DISK), events)
    return Life.of("azure", scenario, at(2, 8, 13), mode="focus-export")


@pytest.fixture
def life() -> Iterator[Life]:
    made = live()
    with made.cloud:
        yield made


def gets(life: Life, ending: str) -> list[str]:
    """Blobs that were read and whose name ends so."""
    return [request.path for request in life.cloud.asked if request.method == "GET" and request.path.endswith(ending)]


@pytest.mark.parametrize("version", ["1.0", "1.0r2", "1.2-preview"])
@pytest.mark.parametrize("suffix", ["csv.gz", "csv", "snappy.parquet"])
@pytest.mark.parametrize("overwrites", [True, False], ids=["overwrite", "create new"])
def test_each_format_version_and_way_of_keeping_runs(life: Life, version: str, suffix: str, overwrites: bool) -> None:
    exports = life.cloud.exports
    exports.data_version, exports.suffix, exports.overwrites = version, suffix, overwrites
    life.tick()
    assert life.tokens.keys() == {JANUARY, FEBRUARY}
    assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)
    assert billed(life.items[FEBRUARY]) == life.cloud.shown_amount(FEBRUARY)
    read = {part.rsplit("/", 2)[1] for part in gets(life, suffix)}
    assert len(read) == 2, "one run of each month, though create-new keeps more"
    assert life.provider.discover(life.account) == [f"{life.account.settings['export_url']} daily (FOCUS {version})"]


def test_a_row_is_what_the_file_has_with_its_id_folded(life: Life) -> None:
    rows = life.collect(JANUARY)
    machine = [row for row in rows if row["resource_name"] == "web-1 (simulated)"]
    assert len({row["resource_id"] for row in machine}) == 1
    assert machine[0]["resource_id"].endswith("/shop/providers/microsoft.compute/virtualmachines/web-1")
    assert machine[0]["tags"] == [("team", "a")]
    assert machine[0]["source"] == "export"
    assert machine[0]["charge_description"] is None
    assert {row["service_provider_name"] for row in rows} == {"Microsoft"}
    assert {row["is_estimated"] for row in rows} == {False}


def test_effective_cost_is_not_billed_cost() -> None:
    life = live(ScenarioEvent(EventKind.PURCHASE, date(2026, 1, 11), amount=Decimal(300)))
    with life.cloud:
        rows = life.collect(JANUARY)
        truth = dated_costs(life.cloud.world, JANUARY, life.clock())
    assert sum(row["effective_cost"] for row in rows) == sum(cost.effective for cost in truth)
    assert billed(rows, charge_category="Purchase") == 300


def test_lineage_names_the_run_and_each_part(life: Life) -> None:
    life.cloud.extra_items = 5
    life.collect(JANUARY)
    manifest, *parts = life.collections[JANUARY].sources
    assert manifest["manifest"].startswith("20260101-20260131/")
    assert manifest["export"] == "daily (FOCUS 1.2-preview)"
    assert manifest["submitted_at"] == "2026-02-05T20:00:00+00:00"
    assert [part["rows"] for part in parts] == ["62", "5"]


def test_a_month_becomes_final_by_itself_once_the_5th_is_over(life: Life) -> None:
    """Its last run is one of the 5th: nothing that lies there changes any more."""
    life.go(at(2, 5, 20))
    assert not life.collections[JANUARY].is_final
    assert {row["is_estimated"] for row in life.items[JANUARY]} == {True}
    assert JANUARY in life.go(at(2, 6))
    assert life.collections[JANUARY].is_final
    assert {row["is_estimated"] for row in life.items[JANUARY]} == {False}
    assert life.collections[JANUARY].sources[0]["submitted_at"] == "2026-02-05T20:00:00+00:00"
    assert life.collections[JANUARY].data_through == at(2, 1)
    assert life.collections[FEBRUARY].data_through == at(2, 5)
    assert JANUARY not in life.go(at(2, 8), at(3, 1))


def test_a_month_whose_last_run_lacks_usage_stays_an_estimate(life: Life) -> None:
    """An export that was switched off on the 1st: what its last days used was not shown yet."""
    life.cloud.exports.overwrites = True
    life.rewrite("20260101-20260131", "2026-02-05T20", "2026-02-01T20")
    life.go(at(2, 8), at(6, 1))
    assert not life.collections[JANUARY].is_final
    assert {row["is_estimated"] for row in life.items[JANUARY]} == {True}
    assert life.collections[JANUARY].data_through == at(1, 31)


def test_a_run_over_some_days_of_a_closed_month_replaces_nothing(life: Life) -> None:
    """Somebody exports selected dates, long after."""
    life.tick()
    life.cloud.exports.selected.append(Run(JANUARY, at(2, 20, 9), date(2026, 1, 10)))
    assert JANUARY not in life.go(at(2, 20, 12))
    assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY)
    whole = Run(JANUARY, at(2, 21, 9), date(2026, 1, 31))
    life.cloud.exports.selected.append(whole)
    assert JANUARY in life.go(at(2, 21, 12))
    assert life.collections[JANUARY].sources[0]["submitted_at"] == "2026-02-21T09:00:00+00:00"


def test_a_closed_month_of_which_only_some_days_were_exported_is_not_collected(life: Life) -> None:
    life.change("20260101-20260131", lambda blob: None)
    life.cloud.exports.selected.append(Run(JANUARY, at(2, 8, 9), date(2026, 1, 10)))
    assert life.tick() == [FEBRUARY]
    with pytest.raises(
        BadData,
        match=r"manifest\.json: startDate, endDate: 2026-01-01 to 2026-01-10 is not accepted: the whole month, which was over; ",
    ):
        life.collect(JANUARY)


@pytest.mark.parametrize("names_days_so_far", [False, True])
def test_of_the_open_month_the_run_that_covers_most_days_counts(life: Life, names_days_so_far: bool) -> None:
    """A run of the month so far has, as its last day, that of the month or that on which it ran."""
    if names_days_so_far:
        life.rewrite("20260201-20260228", "2026-02-28T00", "2026-02-08T00")
    life.cloud.exports.selected.append(Run(FEBRUARY, at(2, 8, 12, 30), date(2026, 2, 3)))
    life.tick()
    assert billed(life.items[FEBRUARY]) == life.cloud.shown_amount(FEBRUARY)
    life.cloud.exports.selected.append(Run(FEBRUARY, at(2, 8, 12, 45), date(2026, 2, 8)))
    life.tick()
    assert life.collections[FEBRUARY].sources[0]["submitted_at"] == "2026-02-08T12:45:00+00:00"
    assert life.collections[FEBRUARY].data_through == at(2, 7)


def test_the_first_days_of_the_open_month_alone_are_shown_as_such(life: Life) -> None:
    life.change("20260201-20260228", lambda blob: None)
    life.cloud.exports.selected.append(Run(FEBRUARY, at(2, 8, 12), date(2026, 2, 3)))
    assert {row["charge_period_start"].day for row in life.collect(FEBRUARY)} == {1, 2, 3}
    assert life.collections[FEBRUARY].data_through == at(2, 4)
    life.clock.now = at(3, 10)
    life.collect(FEBRUARY)
    assert not life.collections[FEBRUARY].is_final


def test_a_manifest_is_read_once_and_the_rest_is_one_list(life: Life) -> None:
    life.tick()
    life.cloud.asked.clear()
    assert life.tick() == []
    sign_in = 2
    assert len(life.cloud.asked) == sign_in + 1
    life.cloud.asked.clear()
    life.clock.advance(hours=4)
    assert life.tick() == [FEBRUARY]
    assert len(gets(life, "manifest.json")) == 2, "of the new run, and of the one a day before it"


@pytest.mark.parametrize("size", [1, 2, 5, 5_000])
def test_any_number_of_blobs_on_a_page(life: Life, size: int) -> None:
    life.cloud.page_size = size
    life.tick()
    assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)


def test_a_list_that_begins_anew_is_refused(life: Life) -> None:
    life.cloud.page_size = 1
    life.cloud.repeats_pages = True
    with pytest.raises(Transient, match="same page again"):
        life.probe()


def test_nothing_there_erases_nothing(life: Life) -> None:
    life.change("", lambda blob: None)
    for ask in (life.probe, lambda: life.collect(JANUARY), lambda: life.provider.discover(life.account)):
        with pytest.raises(NothingThere, match=r"no manifest\.json: nothing that is stored is changed"):
            ask()


def test_a_classic_export_is_not_waited_for(life: Life) -> None:
    def classic(blob: Blob) -> Blob | None:
        *folders, _, name = blob.name.split("/")  # there is no folder of a run
        return None if name == "manifest.json" else replace(blob, name="/".join([*folders, name]))

    life.change("", classic)
    for ask in (life.probe, lambda: life.collect(JANUARY), lambda: life.provider.discover(life.account)):
        with pytest.raises(BadData, match=r"belongs to a classic export .* make an export of type FocusCost"):
            ask()


def test_a_month_that_never_had_a_run_is_empty(life: Life) -> None:
    assert life.collect(BillingPeriod(2025, 6)) == []


def test_a_month_whose_blobs_have_gone_stays_as_it_was_collected(life: Life) -> None:
    """A lifecycle rule of the storage account removes what is old."""
    life.tick()
    token = life.tokens[JANUARY]
    life.change("20260101-20260131", lambda blob: None)
    assert life.tick() == []
    assert life.tokens[JANUARY] == token
    with pytest.raises(
        NothingThere, match=r"exports/costs/daily: has no run of 2026-01 any more: what was collected stays"
    ):
        life.collect(JANUARY)
    assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)


def test_an_account_that_is_told_of_another_folder_forgets_what_the_first_one_had(life: Life) -> None:
    life.tick()
    elsewhere = life.account.settings["export_url"].removesuffix("/daily")
    moved = replace(life.account, settings={**life.account.settings, "export_url": elsewhere})
    life.change("20260101-20260131", lambda blob: None)
    since = dict(life.tokens)
    assert JANUARY in life.provider.probe(life.account, since, life.context).tokens
    assert JANUARY not in life.provider.probe(moved, since, life.context).tokens
    assert list(life.provider.collect(moved, JANUARY, life.context).batches) == []


def test_a_container_that_does_not_exist_is_named(life: Life) -> None:
    url = f"{life.cloud.url}/simulatedcosts/nowhere/costs"
    wrong = replace(life.account, settings={**life.account.settings, "export_url": url})
    with pytest.raises(NothingThere, match="nowhere/costs: there is no such container"):
        life.provider.probe(wrong, {}, life.context)
    bare = replace(life.account, settings={**life.account.settings, "export_url": life.cloud.url})
    with pytest.raises(BadData, match="names no container: use https://<account>"):
        life.provider.probe(bare, {}, life.context)


@pytest.mark.parametrize("announced", [61, 63])
def test_rows_more_or_fewer_than_announced_are_refused(life: Life, announced: int) -> None:
    life.rewrite("manifest.json", '"dataRowCount":62', f'"dataRowCount":{announced}')
    with pytest.raises(
        BadData, match=rf"has 62 rows of billing period 2026-01, its manifest says {announced}: run the"
    ):
        life.collect(JANUARY)


def test_rows_of_another_month_are_refused_though_the_count_is_right(life: Life) -> None:
    life.cloud.exports.suffix = "csv"
    old, new = b"2026-01-01T00:00:00Z,", b"2025-12-01T00:00:00Z,"
    life.change("part_0", lambda blob: replace(blob, content=blob.content.replace(old, new, 1)))
    life.rewrite("manifest.json", '"dataRowCount":62', '"dataRowCount":61')
    with pytest.raises(ContractChanged, match="has line items of billing period 2025-12, but is named by"):
        life.collect(JANUARY)


def test_a_manifest_that_names_a_file_twice_is_refused(life: Life) -> None:
    """It would be billed twice, and each reading has as many rows as announced."""

    def twice(blob: Blob) -> Blob:
        said = json.loads(blob.content)
        return replace(blob, content=json.dumps({**said, "blobs": said["blobs"] * 2}).encode())

    life.change("manifest.json", twice)
    with pytest.raises(ContractChanged, match=r"manifest.json: names .*part_0_0001.csv.gz twice"):
        life.collect(JANUARY)


def test_a_manifest_that_names_no_file_is_a_complete_answer(life: Life) -> None:
    def empty(blob: Blob) -> Blob:
        return replace(blob, content=json.dumps({**json.loads(blob.content), "blobs": []}).encode())

    life.change("manifest.json", empty)
    assert life.collect(JANUARY) == []
    assert len(life.collections[JANUARY].sources) == 1


def test_a_run_that_comes_while_one_is_read_makes_nothing_of_both(life: Life) -> None:
    collection = life.open(JANUARY)
    next(collection.batches)
    life.rewrite("manifest.json", '"executionType"', '"executionKind"')
    with pytest.raises(Transient, match=r"manifest.json: is gone or changed while it was read"):
        list(collection.batches)


def test_a_file_newer_than_its_manifest_belongs_to_a_run_that_is_not_finished(life: Life) -> None:
    life.change("part_0", lambda blob: replace(blob, modified=at(2, 8, 12, 30)))
    with pytest.raises(Transient, match=r"part_0_0001.csv.gz: is newer than .*manifest.json: a run is being"):
        life.collect(JANUARY)
    life.clock.advance(hours=1)
    assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY), "copied here in another order"


def test_rows_of_another_month_are_not_left_out_silently(life: Life) -> None:
    life.cloud.exports.suffix = "csv"
    life.rewrite("part_0", "2026-01-01T00:00:00Z,", "2025-12-01T00:00:00Z,")
    with pytest.raises(BadData, match=r"rows of billing period 2026-01, its manifest says 62"):
        life.collect(JANUARY)


def test_a_run_that_is_being_written_is_waited_for(life: Life) -> None:
    life.change("part_0", lambda blob: None)
    with pytest.raises(
        Transient, match=r"part_0_0001.csv.gz: is named by .*manifest.json, but is not there: a run is being"
    ):
        life.collect(JANUARY)
    longer = live()
    with longer.cloud:
        longer.change("part_0", lambda blob: replace(blob, content=blob.content + b"x"))
        with pytest.raises(Transient, match=r"has \d+ bytes, its manifest says \d+: a run is being"):
            longer.collect(JANUARY)


def test_a_part_that_changes_while_it_is_read_is_refused(life: Life) -> None:
    collection = life.open(JANUARY)
    life.change("part_0", lambda blob: replace(blob, content=blob.content[::-1]))
    with pytest.raises(Transient, match="changed while it was read"):
        list(collection.batches)


def test_no_byte_of_another_version_is_read(life: Life) -> None:
    """The blob is replaced between the look at it and the reading."""
    collection = life.open(JANUARY)

    def replaced(cloud: Any, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
        if request.method == "GET":
            life.change("part_0", lambda blob: replace(blob, content=blob.content[::-1]))
        return answer(request)

    life.cloud.fail(replaced, times=99, path="part_0")
    with pytest.raises(Transient, match="is gone or changed while it was read"):
        list(collection.batches)


def test_two_exports_in_one_folder_would_count_twice(life: Life) -> None:
    def other(blob: Blob) -> Blob:
        return replace(blob, content=blob.content.replace(b"exports/daily", b"exports/other"))

    life.change("20260101-", other)
    with pytest.raises(BadData, match=r"holds several exports, .*exports/daily and .*exports/other"):
        life.probe()


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ('"type":"FocusCost"', '"type":"ActualCost"', BadData, "type: value 'ActualCost' is not accepted"),
        ('-01T00:00:00","endDate', '-03T00:00:00","endDate', BadData, "startDate, endDate: 2026-0"),
        ('"blobName":"costs/', '"blobName":"else/', BadData, r"blobName: value 'else/.*' lies outside of"),
        ('"runInfo"', '"run"', ContractChanged, "runInfo: is missing: a JSON object"),
        ('"submittedTime":"', '"submittedTime":"on ', ContractChanged, "runInfo.submittedTime: value 'on 2"),
        ('"byteCount":', '"byteCount":"x","was":', ContractChanged, r"blobs\[0\].byteCount: value 'x'"),
        ('"blobs":', '"parts":', ContractChanged, "blobs: is missing: a list"),
        ('.csv.gz"', '.csv.zip"', BadData, "is not read: export CSV, CSV compressed with gzip, or Parquet"),
    ],
)
def test_a_manifest_that_is_not_as_documented_is_refused(
    life: Life, old: str, new: str, error: type[Exception], message: str
) -> None:
    life.rewrite("manifest.json", old, new)
    with pytest.raises(error, match=message):
        life.collect(JANUARY)


def test_a_manifest_as_another_vendor_saw_it_is_understood(life: Life) -> None:
    """Keys and values of a published sample, with a folder that is not named after days."""
    (part,) = [
        blob for blob in life.cloud.exports.blobs().values() if "0131/" in blob.name and "20260206" not in blob.name
    ][1:2]
    name = "costs/daily/mtd-snapshot/current/part_0_0001.csv.gz"
    manifest = {
        "blobCount": 1,
        "blobs": [{"blobName": name, "byteCount": len(part.content), "dataRowCount": 62}],
        "byteCount": len(part.content),
        "dataRowCount": 62,
        "exportConfig": {
            "apiVersion": "2023-07-01-preview",
            "dataVersion": "1.2-preview",
            "exportName": "demo",
            "granularity": "Daily",
            "timeFrame": "Custom",
            "type": "FocusCost",
        },
        "manifestVersion": "2024-04-01",
        "runInfo": {
            "endDate": "2026-01-31T00:00:00",
            "executionType": "Scheduled",
            "runId": "7c1de0f5",
            "startDate": "2026-01-01T00:00:00",
            "submittedTime": "2026-02-01T08:10:31.7047394Z",
        },
    }
    body = json.dumps(manifest).encode()
    blobs = [Blob(name, part.content, at(2, 1)), Blob(f"{name[:33]}current/manifest.json", body, at(2, 1))]
    life.cloud.exports.blobs = lambda: {blob.name: blob for blob in blobs}  # type: ignore[method-assign]
    assert len(life.collect(JANUARY)) == 62
    assert not life.collections[JANUARY].is_final
    assert life.collections[JANUARY].data_through == at(1, 31)


def test_the_missing_role_is_named(life: Life) -> None:
    life.cloud.lacks_permission = True
    with pytest.raises(
        CredentialRejected,
        match=r"403: AuthorizationPermissionMismatch\); it needs: the role Storage Blob Data Reader",
    ):
        life.probe()


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ServerBusy", 503, Transient),
        ("OperationTimedOut", 500, Transient),
        ("TooManyRequests", 429, Throttled),
        ("AuthenticationFailed", 403, CredentialRejected),
        ("BlobArchived", 409, BadData),
    ],
)
def test_errors_of_storage_by_what_to_do(life: Life, code: str, status: int, error: type[Exception]) -> None:
    collection = life.open(JANUARY)
    life.cloud.fail(say(storage_failure(code, "as documented", status)), times=99, path="part_0")
    with pytest.raises(error, match=f"part_0.*{code}|part_0.*is archived") as raised:
        list(collection.batches)
    assert type(raised.value) is error


@pytest.mark.parametrize("fault", [truncate, cut_short], ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("path", ["exports", "manifest.json", "part_0"])
def test_an_answer_that_breaks_off_once_is_asked_for_again(life: Life, fault: Any, path: str) -> None:
    if path == "part_0":  # whose size is looked at before it is read
        life.cloud.fail(lambda cloud, request, answer: answer(request), path=path)
    life.cloud.fail(fault(), path=path)
    assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY)
