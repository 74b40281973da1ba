"""A folder with more in it than costs: what is no cost file is named once and skipped, and what is broken stops its own months only."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData, CredentialRejected, NothingThere
from optiinfra_assets.domain.source_warnings import SourceWarnings
from optiinfra_assets.ingestion.onboarding import read_source
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext, utc_now
from tests.focus_samples import account, columns, csv_text, row, write_csv

FOCUS = PROVIDERS["focus"]
SEPTEMBER, OCTOBER = BillingPeriod(2024, 9), BillingPeriod(2024, 10)
OF_OCTOBER = {"BillingPeriodStart": "2024-10-01T00:00:00Z", "BillingPeriodEnd": "2024-11-01T00:00:00Z"}
SIBLINGS = {
    "BillingPeriod": "BillingPeriodCreated,BillingPeriodEnd,BillingPeriodStart,BillingPeriodStatus,InvoiceIssuerName",
    "ContractCommitment": "BillingCurrency,ContractCommitmentCost,ContractCommitmentId,ContractId,ServiceProviderName",
    "InvoiceDetail": "BilledCost,BillingAccountId,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,ChargeCategory,"
    "InvoiceDetailGrain,InvoiceDetailId,InvoiceId,InvoiceIssueDate",
}


def context() -> ProviderContext:
    """The environment of an account, with what it keeps."""
    return ProviderContext(utc_now, MemorySnapshots())


def total(folder: Path, period: BillingPeriod, kept: ProviderContext | None = None) -> tuple[Decimal, SourceWarnings]:
    """What is billed in a period, and the warnings of its collection."""
    collection = FOCUS.collect(account(folder), period, kept or context())
    billed = sum((one["billed_cost"] for batch in collection.batches for one in batch.to_pylist()), Decimal(0))
    return billed, collection.warnings


def costs(folder: Path) -> None:
    """A file of September and one of October."""
    write_csv(folder / "september.csv", csv_text([row()], columns("1.0")))
    write_csv(folder / "october.csv", csv_text([row(**OF_OCTOBER)], columns("1.0")))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.csv", b"a,b\n1,2\n", "the columns are 'a', 'b', not those of FOCUS CostAndUsage"),
        ("empty.csv", b"", "the file is empty (0 bytes)"),
        ("half.csv.gz", gzip.compress(csv_text([row()] * 999).encode())[:400], "is not a whole compressed file"),
        ("half.parquet", b"PAR1\x00\x00", "is not a whole Parquet file"),
        ("ContractCommitment/part-0.parquet", b"PAR1\x00\x00", "lies where FOCUS ContractCommitment files do"),
        ("image.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "not those of FOCUS CostAndUsage"),
        ("undated.csv", b"BilledCost,ChargePeriodStart\n1,2024-09-01\n", "in a file optiinfra-mapping.toml beside it"),
    ],
)
def test_a_file_without_costs_is_named_once_and_stops_nothing(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    costs(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    found = read_source(FOCUS, account(tmp_path))
    assert set(found.tokens) == {SEPTEMBER, OCTOBER}
    for period in (SEPTEMBER, OCTOBER):
        billed, warnings = total(tmp_path, period)
        assert billed == Decimal("1.25")
        for told in (found.warnings, warnings):
            (one,) = told
            assert (one.code, one.count) == ("file-skipped", 1)
            assert f"{tmp_path}/{name}: " in one.message
            assert said in one.message


def test_a_sibling_with_more_than_the_columns_of_its_dataset_is_no_news(tmp_path: Path) -> None:
    costs(tmp_path)
    for dataset, names in SIBLINGS.items():
        write_csv(tmp_path / f"{dataset[:3]}.csv", f"{names.lower()},x_own\n")
    assert not list(read_source(FOCUS, account(tmp_path)).warnings)


def test_where_nothing_is_costs_the_account_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_csv(tmp_path / "billing.csv", f"{SIBLINGS['BillingPeriod']}\n")
    write_csv(tmp_path / "notes.csv", "a,b\n")
    for ask in (FOCUS.discover, lambda one: FOCUS.probe(one, {}), lambda one: FOCUS.collect(one, SEPTEMBER)):
        with pytest.raises(BadData, match="is the FOCUS dataset BillingPeriod"):
            ask(account(tmp_path))
    (tmp_path / "broken.csv").write_bytes(b"")
    with pytest.raises(BadData, match=r"broken\.csv: the file is empty"):
        FOCUS.probe(account(tmp_path), {})


@pytest.mark.parametrize("damage", [b"", b"a,b\n", b"PAR1", None])
def test_a_file_with_costs_that_cannot_be_read_any_more_refuses_its_months_and_no_other(
    tmp_path: Path, damage: bytes | None
) -> None:
    costs(tmp_path)
    write_csv(tmp_path / "more.csv", csv_text([row(BilledCost="5")], columns("1.0")))
    kept = context()
    assert total(tmp_path, SEPTEMBER, kept)[0] == Decimal("6.25")
    before = FOCUS.probe(account(tmp_path), {}, kept).tokens
    changed = csv_text([row(BilledCost="5")], columns("1.0")).replace("2024-09-01", "soon").encode()
    (tmp_path / "more.csv").write_bytes(changed if damage is None else damage)
    with pytest.raises(BadData, match=r"more\.csv: "):
        total(tmp_path, SEPTEMBER, kept)
    assert total(tmp_path, OCTOBER, kept)[0] == Decimal("1.25")
    probe = FOCUS.probe(account(tmp_path), before, kept)
    assert probe.tokens[SEPTEMBER] != before[SEPTEMBER], "the change is noticed, tried, and told"
    assert probe.tokens[OCTOBER] == before[OCTOBER]
    (one,) = probe.warnings
    assert (one.code, one.message.startswith("2024-09 cannot be collected: ")) == ("file-refused", True)
    (tmp_path / "more.csv").unlink()
    assert total(tmp_path, SEPTEMBER, kept)[0] == Decimal("1.25")


def test_a_row_whose_month_cannot_be_told_refuses_the_months_of_its_file(tmp_path: Path) -> None:
    costs(tmp_path)
    rows = [row(), row(BillingPeriodStart="soon"), row(**OF_OCTOBER)]
    write_csv(tmp_path / "bad.csv", csv_text(rows, columns("1.0")))
    with pytest.raises(BadData, match=r"bad\.csv: row 2 \(line 3\), column BillingPeriodStart: value 'soon'"):
        total(tmp_path, SEPTEMBER)
    assert total(tmp_path, OCTOBER)[0] == Decimal("1.25")


def test_a_file_that_this_user_may_not_read_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costs(tmp_path)
    write_csv(tmp_path / "private.csv", csv_text([row()], columns("1.0")))
    from optiinfra_assets.providers.files.location import LocalFolder

    original = LocalFolder.open

    def refusing(self: LocalFolder, file: object) -> object:
        if file.name == "private.csv":  # type: ignore[attr-defined]
            raise CredentialRejected(f"{tmp_path}/private.csv: no permission to read it")
        return original(self, file)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalFolder, "open", refusing)
    billed, warnings = total(tmp_path, SEPTEMBER)
    assert (billed, [one.code for one in warnings]) == (Decimal("1.25"), ["file-skipped"])


@pytest.mark.parametrize(("name", "is_removed"), [("notes.csv", True), ("half.parquet", False)])
def test_a_month_without_files_is_removed_only_if_all_could_be_read(
    tmp_path: Path, name: str, is_removed: bool
) -> None:
    costs(tmp_path)
    (tmp_path / "october.csv").unlink()
    (tmp_path / name).write_bytes(b"a,b\n" if is_removed else b"PAR1")
    assert FOCUS.collect(account(tmp_path), OCTOBER, context()).is_removed is is_removed


def test_connecting_tells_what_was_tried(tmp_path: Path) -> None:
    costs(tmp_path)
    found = read_source(FOCUS, account(tmp_path))
    newest = max(tmp_path.iterdir(), key=lambda path: (path.stat().st_mtime_ns, path.name))
    assert found.tried == f"every row (1) of the newest file, {newest}: they are accepted"
    write_csv(tmp_path / "newest.csv", csv_text([row(), row(BilledCost="$1")], columns("1.0")))
    found = read_source(FOCUS, account(tmp_path))
    assert found.tried == f"the rows of the newest file, {tmp_path}/newest.csv: they are not accepted"
    (one,) = found.warnings
    assert "newest.csv: row 2 (line 3), column BilledCost: value '$1' is not accepted" in one.message


def test_an_empty_folder_stays_no_answer(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", csv_text([], columns("1.0")))
    with pytest.raises(NothingThere, match="nothing that is stored is changed"):
        total(tmp_path, SEPTEMBER)
