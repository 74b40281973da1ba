"""What is checked of every delivery, whichever store it lies in and whatever its manifest says: here FOCUS files in a folder."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData, ContractChanged, Transient
from optiinfra_assets.providers.base import LineItemStream
from optiinfra_assets.providers.files.location import FileVersion, LocalFolder
from optiinfra_assets.providers.files.manifest_exports import ManifestExport, ManifestFile, export_batches
from tests.focus_samples import csv_text, row, write_csv

SEPTEMBER = BillingPeriod(2024, 9)
OCTOBER = {"BillingPeriodStart": "2024-10-01T00:00:00Z", "BillingPeriodEnd": "2024-11-01T00:00:00Z"}
NOW = datetime(2024, 10, 2, 12, tzinfo=UTC)


class Dated(LocalFolder):
    """A folder that says when its files were written, as stores do."""

    written: dict[str, datetime]

    def current(self, name: str) -> FileVersion | None:
        found = super().current(name)
        return found and replace(found, written_at=self.written.get(name))


@pytest.fixture
def folder(tmp_path: Path) -> Dated:
    """Two files of two and one line items, with a manifest."""
    write_csv(tmp_path / "a.csv", csv_text([row(BilledCost="1"), row(BilledCost="2")]))
    write_csv(tmp_path / "b.csv.gz", csv_text([row(BilledCost="3")]))
    (tmp_path / "manifest.json").write_text("{}")
    made = Dated(tmp_path)
    made.written = {}
    return made


def read(folder: Dated, *named: ManifestFile, **more: Any) -> tuple[list[Decimal], LineItemStream]:
    """The billed costs of a delivery, with their collection."""
    collection = LineItemStream(batches=iter(()), change_token="")
    manifest = folder.current("manifest.json")
    assert manifest is not None
    batches = export_batches(folder, ManifestExport(manifest, named), SEPTEMBER, collection, NOW, **more)
    return [cost for batch in batches for cost in batch.column("billed_cost").to_pylist()], collection


def size_of(folder: Dated, name: str) -> int:
    found = folder.current(name)
    assert found is not None
    return found.size


def test_each_named_file_is_read_once_and_no_other(folder: Dated) -> None:
    whole = ManifestFile("a.csv", size_of(folder, "a.csv"), 2)
    costs, collection = read(folder, whole, ManifestFile("b.csv.gz"))
    assert costs == [1, 2, 3]
    assert [source["file"] for source in collection.sources] == ["a.csv", "b.csv.gz"]
    assert read(folder, ManifestFile("b.csv.gz", rows=1))[0] == [3]
    assert read(folder)[0] == []


def test_a_file_that_is_said_to_have_no_rows_is_not_looked_at(folder: Dated) -> None:
    assert read(folder, ManifestFile("nothing.csv", 0, 0), ManifestFile("b.csv.gz"))[0] == [3]


@pytest.mark.parametrize("announced", [1, 3])
def test_rows_more_or_fewer_than_announced_are_refused(folder: Dated, announced: int) -> None:
    with pytest.raises(
        BadData, match=rf"a\.csv: has 2 rows of billing period 2024-09, its manifest says {announced}: run"
    ):
        read(folder, ManifestFile("a.csv", rows=announced))


@pytest.mark.parametrize("difference", [-1, 1])
def test_bytes_more_or_fewer_than_announced_are_waited_for(folder: Dated, difference: int) -> None:
    size = size_of(folder, "a.csv")
    with pytest.raises(
        Transient, match=rf"has {size} bytes, its manifest says {size + difference}: a run is being written"
    ):
        read(folder, ManifestFile("a.csv", size + difference))


def test_a_file_that_is_not_there_is_waited_for_before_any_is_read(folder: Dated) -> None:
    batches = export_batches(
        folder,
        ManifestExport(FileVersion("manifest.json", 2, ""), (ManifestFile("a.csv"), ManifestFile("gone.csv"))),
        SEPTEMBER,
        LineItemStream(batches=iter(()), change_token=""),
        NOW,
    )
    with pytest.raises(Transient, match=r"gone\.csv: is named by manifest\.json, but is not there"):
        next(batches)


def test_a_file_that_is_named_twice_is_refused(folder: Dated) -> None:
    with pytest.raises(ContractChanged, match=r"manifest\.json: names a\.csv twice"):
        read(folder, ManifestFile("a.csv"), ManifestFile("b.csv.gz"), ManifestFile("a.csv"))


def test_a_kind_that_is_not_read_is_refused(folder: Dated) -> None:
    with pytest.raises(BadData, match=r"a\.zip: is not read: export CSV"):
        read(folder, ManifestFile("a.zip"))


@pytest.mark.parametrize("rows", [None, 1], ids=["not announced", "announced"])
def test_line_items_of_another_month_are_refused(folder: Dated, tmp_path: Path, rows: int | None) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row(), row(**OCTOBER)]))
    with pytest.raises(
        ContractChanged,
        match="has line items of billing period 2024-10, but is named by the manifest of 2024-09",
    ):
        read(folder, ManifestFile("a.csv", rows=rows))


@pytest.mark.parametrize(
    ("after", "ago", "is_refused"),
    [(1, 0, True), (0, 0, False), (-1, 0, False), (1, 59, True), (1, 60, False)],
)
def test_a_file_newer_than_its_manifest_is_of_a_run_under_way(
    folder: Dated, after: int, ago: int, is_refused: bool
) -> None:
    written = NOW - timedelta(minutes=ago)
    folder.written = {"a.csv": written, "manifest.json": written - timedelta(seconds=after)}
    if is_refused:
        with pytest.raises(Transient, match=r"a\.csv: is newer than manifest\.json: a run is being written"):
            read(folder, ManifestFile("a.csv"))
    else:
        assert read(folder, ManifestFile("a.csv"))[0] == [1, 2]


@pytest.mark.parametrize("changed", ["manifest.json", "b.csv.gz"])
def test_what_changes_while_it_is_read_makes_nothing_of_both(folder: Dated, tmp_path: Path, changed: str) -> None:
    collection = LineItemStream(batches=iter(()), change_token="")
    manifest = folder.current("manifest.json")
    assert manifest is not None
    named = (ManifestFile("a.csv"), ManifestFile("b.csv.gz"))
    batches = export_batches(folder, ManifestExport(manifest, named), SEPTEMBER, collection, NOW)
    next(batches)
    (tmp_path / changed).write_bytes((tmp_path / changed).read_bytes() + b" ")
    with pytest.raises(Transient, match=rf"{changed}: is gone or changed while it was read"):
        list(batches)
