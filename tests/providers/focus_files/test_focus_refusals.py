"""Files that are not accepted: one clear line that names file, row, line, column, value and what is accepted."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import BadData, CredentialRejected, NothingThere, ProviderError, Transient
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.focus_files.provider import FocusCredential
from tests.focus_samples import Row, Spelled, account, columns, csv_text, row, write_csv, write_parquet

FOCUS = PROVIDERS["focus"]
SEPTEMBER = BillingPeriod(2024, 9)
NUMBER = "a number such as -12, 0.034 or 35.2E-7, without '+', spaces, currency or thousands signs"
TIME = "a UTC time such as 2026-11-01T00:00:00Z, in whole seconds, from 1970 to 2105"
CURRENCY = "a currency code of three capital letters such as USD (ISO 4217)"


def refusal(folder: Path, kind: type[ProviderError] = BadData) -> str:
    """The message of the error that collecting September raises, without the folder."""
    with pytest.raises(kind) as raised:
        list(FOCUS.collect(account(folder), SEPTEMBER).batches)
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(str(folder))
    return message.removeprefix(str(folder)).lstrip("/")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("BilledCost", "$10,000.00 ", f"value '$10,000.00 ' is not accepted: {NUMBER}"),
        ("EffectiveCost", "NaN", f"value 'NaN' is not accepted: {NUMBER}"),
        ("ContractedCost", "1e30", "value '1e30' is not accepted: a number of at most 20 integer digits"),
        (
            "BilledCost",
            "1" * 21,
            f"value '{'1' * 21}' is not accepted: a number of at most 20 integer digits",
        ),
        ("ListUnitPrice", "1,5", f"value '1,5' is not accepted: {NUMBER}"),
        ("BilledCost", "x" * 100, f"value '{'x' * 80}…' is not accepted: {NUMBER}"),
        ("BilledCost", None, f"value null is not accepted: {NUMBER}"),
        ("EffectiveCost", "", f"value '' is not accepted: {NUMBER}"),
        ("ChargePeriodStart", "9-1-2024", f"value '9-1-2024' is not accepted: {TIME}"),
        ("ChargePeriodEnd", None, f"value null is not accepted: {TIME}"),
        ("BillingPeriodStart", "2024-09", f"value '2024-09' is not accepted: {TIME}"),
        ("BillingPeriodStart", None, f"value null is not accepted: {TIME}"),
        ("BillingPeriodEnd", "2124-09-01", f"value '2124-09-01' is not accepted: {TIME}"),
        ("BillingCurrency", None, f"value null is not accepted: {CURRENCY}"),
        (
            "ChargeCategory",
            "Fee",
            "value 'Fee' is not accepted: one of Usage, Purchase, Tax, Credit, Adjustment",
        ),
        (
            "ChargeCategory",
            None,
            "value null is not accepted: one of Usage, Purchase, Tax, Credit, Adjustment",
        ),
    ],
)
def test_a_value_is_named_with_its_row_line_and_column(
    tmp_path: Path, column: str, value: str | None, message: str
) -> None:
    rows = [row(ChargeDescription="two\nlines"), row(), row(**{column: value}), row(BilledCost="x")]
    write_csv(tmp_path / "deep" / "a.csv", csv_text(rows, columns("1.2")))
    assert refusal(tmp_path) == f"deep/a.csv: row 3 (line 5), column {column}: {message}"


def test_a_value_of_a_parquet_file_is_named_with_its_row(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [row(), row(BilledCost="1.2.3")], columns("1.0"))
    assert refusal(tmp_path) == f"a.parquet: row 2, column BilledCost: value '1.2.3' is not accepted: {NUMBER}"


def test_the_first_row_of_the_file_counts_not_the_first_column(tmp_path: Path) -> None:
    rows = [
        row(),
        row(EffectiveCost="late column"),
        row(BilledCost="early column"),
        row(BillingPeriodStart="x"),
    ]
    write_csv(tmp_path / "a.csv", csv_text(rows, columns("1.0")))
    assert "row 2 (line 3), column EffectiveCost" in refusal(tmp_path)


def test_of_one_row_the_first_column_counts(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "a.csv",
        csv_text([row(EffectiveCost="x", BilledCost="y", ServiceName="s")], columns("1.0")),
    )
    assert "row 1 (line 2), column BilledCost" in refusal(tmp_path)


def test_rows_are_counted_over_all_blocks_and_periods(tmp_path: Path) -> None:
    october = row(BillingPeriodStart="2024-10-01", BilledCost="not of this period", ChargeDescription="d" * 900)
    rows = [row(ChargeDescription="d" * 900)] + [october] * 20_000 + [row(BilledCost="?")]
    write_csv(tmp_path / "a.csv.gz", csv_text(rows, columns("1.0"), line_end="\r\n"), mark=True)
    assert "a.csv.gz: row 20002 (line 20003), column BilledCost: value '?'" in refusal(tmp_path)


def test_a_column_is_named_as_the_file_names_it(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "a.csv",
        csv_text([row(BilledCost="x")], columns("1.0")).replace("BilledCost", "BILLEDCOST"),
    )
    assert "column BILLEDCOST: value 'x'" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("mangle", "message"),
    [
        (
            lambda text: text.replace(",Example,", ",Exa,mple,", 1),
            "row 1 (line 2): has 44 values, but there are 43 columns",
        ),
        (lambda text: text + "1,2,3\n", "row 3 (line 4): has 3 values, but there are 43 columns"),
        (lambda text: text[:-60], "row 2 (line 3): has 23 values, but there are 43 columns"),
        (lambda text: text + '"half a', "row 3 (line 4): a quote is not closed"),
        (lambda text: text.replace("Example", '"Example', 1), "row 1 (line 2): a quote is not closed"),
        (lambda text: text.replace("Example", '"Exa"mple', 1).replace("One", '"One', 1), "row 1 (line 2)"),
        (lambda text: "\n\n", "has no row of column names"),
        (lambda text: text.split("\n", 1)[1], "mandatory column"),
        (lambda text: "a,b\n1,2\n", "mandatory column BilledCost, "),
        (
            lambda text: text.replace("BilledCost", "Cost"),
            "mandatory column BilledCost is missing: the columns are",
        ),
        (lambda text: text.replace("ListCost", "BilledCost"), "two columns have the name 'BilledCost'"),
    ],
)
def test_what_is_not_csv_is_named_with_its_line(tmp_path: Path, mangle: object, message: str) -> None:
    assert callable(mangle)
    write_csv(tmp_path / "a.csv", mangle(csv_text([row(), row()], columns("1.0"))))
    assert f"a.csv: {message}" in refusal(tmp_path)


@pytest.mark.parametrize("more", [0, 6000])
def test_a_quote_inside_a_value_is_refused_in_small_and_large_files(tmp_path: Path, more: int) -> None:
    rows = [row(), row(ChargeDescription=Spelled('19" rack'))] + [row(ChargeDescription="d" * 900)] * more
    write_csv(tmp_path / "a.csv", csv_text(rows, columns("1.0")))
    assert refusal(tmp_path).startswith(
        "a.csv: row 2 (line 3): a quote is not closed, or stands in the wrong place: column ChargeDescription has '19\" rack': "
    )


def test_a_value_after_a_very_long_one(tmp_path: Path) -> None:
    rows = [row(ChargeDescription="x" * 140_000), row(BilledCost="bad")]
    write_csv(tmp_path / "a.csv", csv_text(rows, columns("1.0")))
    assert refusal(tmp_path) == f"a.csv: row 2 (line 3), column BilledCost: value 'bad' is not accepted: {NUMBER}"


def test_a_file_that_is_compressed_twice_is_refused(tmp_path: Path) -> None:
    data = gzip.compress(csv_text([row()]).encode())
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(data))
    assert refusal(tmp_path) == "a.csv.gz: is, once decompressed, compressed by gzip: write the file again"


def test_a_wrong_quote_that_arrow_would_take_is_no_number(tmp_path: Path) -> None:
    """Arrow reads "1"2 as 12; the quotes are paired, so nothing else would notice."""
    write_csv(tmp_path / "a.csv", csv_text([row(BilledCost=Spelled('"1"2'))], columns("1.0")))
    assert "row 1 (line 2): a quote is not closed, or stands in the wrong place" in refusal(tmp_path)


def half(path: Path, data: bytes) -> None:
    """Write only the first half of a file."""
    path.write_bytes(data[: len(data) // 2])


def test_half_written_files(tmp_path: Path) -> None:
    half(tmp_path / "a.csv.gz", gzip.compress(csv_text([row()] * 5000).encode()))
    assert refusal(tmp_path) == "a.csv.gz: is not a whole compressed file: Truncated compressed stream: write it again"
    (tmp_path / "a.csv.gz").unlink()
    half(tmp_path / "a.parquet", write_parquet(tmp_path / "a.parquet", [row()], columns("1.0")).read_bytes())
    assert refusal(tmp_path).startswith("a.parquet: is not a whole Parquet file: ")
    (tmp_path / "a.parquet").write_bytes(b"")
    assert refusal(tmp_path) == "a.parquet: the file is empty (0 bytes): remove it, or write it again"


def test_a_damaged_page_of_a_parquet_file(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", [row(BilledCost=str(n)) for n in range(9999)], columns("1.0"))
    data = bytearray(path.read_bytes())
    data[100:5000] = bytes(4900)
    path.write_bytes(data)
    assert refusal(tmp_path).startswith("a.parquet: is not a whole Parquet file: ")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            pa.array([True]),
            "column BilledCost: type bool is not accepted: decimals, integers, doubles or text",
        ),
        (
            pa.array([[1.0]]),
            "column BilledCost: type list<element: double> is not accepted: decimals, integers, doubles or text",
        ),
        (pa.array([float("nan")]), "row 1, column BilledCost: value 'nan' is not accepted: a finite number"),
        (
            pa.array([1e20]),
            "row 1, column BilledCost: value '1e+20' is not accepted: a number of at most 20 integer digits",
        ),
    ],
)
def test_types_that_are_not_accepted(tmp_path: Path, values: pa.Array, message: str) -> None:
    names = [name for name in columns("1.0") if name != "BilledCost"]
    write_parquet(tmp_path / "a.parquet", [row()], names, BilledCost=values)
    assert refusal(tmp_path) == f"a.parquet: {message}"


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("BilledCost", [b"1", b"\xff"], "value \"b'\\\\xff'\" is not accepted: text in UTF-8"),
        ("BilledCost", [b"1", b""], f"value '' is not accepted: {NUMBER}"),
        (
            "BillingPeriodStart",
            [b"2024-09-01", b"\xff"],
            "value \"b'\\\\xff'\" is not accepted: text in UTF-8",
        ),
    ],
)
def test_a_typed_value_is_named_with_its_row_and_column(
    tmp_path: Path, column: str, values: list[object], message: str
) -> None:
    names = [name for name in columns("1.2") if name != column]
    write_parquet(tmp_path / "a.parquet", [row(), row()], names, **{column: pa.array(values)})
    assert refusal(tmp_path) == f"a.parquet: row 2, column {column}: {message}"


def test_a_bad_file_of_another_period_does_not_stop_this_one(tmp_path: Path) -> None:
    """Only its BillingPeriodStart is read; its money is refused when its own period is collected."""
    write_csv(tmp_path / "a.csv", csv_text([row()], columns("1.0")))
    bad: Row = row(BillingPeriodStart="2024-10-01", BilledCost="x")
    write_csv(tmp_path / "b.csv", csv_text([bad], columns("1.0")))
    assert len(list(FOCUS.collect(account(tmp_path), SEPTEMBER).batches)) == 1
    assert set(FOCUS.probe(account(tmp_path), {}).tokens) == {SEPTEMBER, BillingPeriod(2024, 10)}


def test_a_probe_names_a_file_whose_periods_cannot_be_told(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row(), row(BillingPeriodStart="soon")], columns("1.0")))
    probe = FOCUS.probe(account(tmp_path), {})
    assert set(probe.tokens) == {SEPTEMBER}, "it is tried, and refused with the same words"
    (warning,) = probe.warnings
    assert "a.csv: row 2 (line 3), column BillingPeriodStart: value 'soon'" in warning.message


def test_missing_folders_and_files_for_folders(tmp_path: Path) -> None:
    assert refusal(
        tmp_path / "gone", NothingThere
    ) == ": there is no such folder: nothing that is stored is changed".lstrip("/")
    write_csv(tmp_path / "a.csv", csv_text([row()]))
    assert refusal(tmp_path / "a.csv") == ": is a file: give the folder that holds it"


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "nowhere")
    assert refusal(tmp_path, Transient) == "a.csv: is gone, or is a link to nothing"


def test_a_link_to_itself_is_named_if_its_name_counts(tmp_path: Path) -> None:
    write_csv(tmp_path / "b.csv", csv_text([row()]))
    (tmp_path / "a.csv").symlink_to(tmp_path / "a.csv")
    assert refusal(tmp_path, Transient) == "a.csv: cannot be read: Too many levels of symbolic links"


def test_a_file_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "b.csv", csv_text([row()]))
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).touch()
    FOCUS.probe(account(tmp_path), {})
    write_csv(tmp_path / os.fsdecode(b"d\xe9p") / "c.csv", csv_text([row()]))
    message = "the name 'd\\udce9p/c.csv' is not text in UTF-8: rename the file or its folder"
    assert refusal(tmp_path) == f": {message}"
    with pytest.raises(BadData, match="is not text in UTF-8"):
        FOCUS.probe(account(tmp_path), {})


@contextmanager
def without_rights() -> Iterator[None]:
    """Nobody's rights for a while, where the tests run as root: root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def readable(path: Path) -> None:
    """Let everybody read a folder: pytest makes its folders for one user only."""
    for folder in (path, *path.parents):
        if folder.owner() == path.owner() and folder.stat().st_mode & 0o055 != 0o055:
            folder.chmod(0o755)


@pytest.mark.parametrize("name", ["a.csv", "deep"])
def test_files_and_folders_that_may_not_be_read_are_named(tmp_path: Path, name: str) -> None:
    readable(tmp_path)
    write_csv(tmp_path / "a.csv", csv_text([row()]))
    if name == "deep":
        write_csv(tmp_path / "deep" / "b.csv", csv_text([row()]))
    (tmp_path / name).chmod(0)
    with without_rights():
        message = refusal(tmp_path, CredentialRejected)
    (tmp_path / name).chmod(0o755)
    assert message == f"{name}: no permission to read it: give this user the right to read it"


def test_a_link_to_where_this_user_may_not_look_counts_by_its_name(tmp_path: Path) -> None:
    """It stopped the listing of the whole folder."""
    readable(tmp_path)
    write_csv(tmp_path / "costs" / "a.csv", csv_text([row()]))
    write_csv(tmp_path / "private" / "b.csv", csv_text([row()]))
    (tmp_path / "costs" / "latest").symlink_to(tmp_path / "private" / "b.csv")
    (tmp_path / "private").chmod(0)
    with without_rights():
        FOCUS.probe(account(tmp_path / "costs"), {})
    (tmp_path / "costs" / "c.csv").symlink_to(tmp_path / "private" / "b.csv")
    with without_rights():
        message = refusal(tmp_path / "costs", CredentialRejected)
    (tmp_path / "private").chmod(0o755)
    assert message == "c.csv: no permission to read it: give this user the right to read it"


@pytest.mark.parametrize("location", ["s3://", "s3:///prefix", "https://bucket/prefix", "gs://bucket"])
def test_locations_that_are_neither_folder_nor_bucket(location: str) -> None:
    with pytest.raises(ValidationError, match="s3://bucket"):
        FocusCredential(location=location)


def test_settings_that_are_not_accepted_are_named() -> None:
    broken = Account("acme.files", "acme", "focus", {"location": "gs://bucket"})
    with pytest.raises(
        BadData,
        match=r"account acme\.files: location: .* use a folder, or s3://bucket/prefix: connect it again",
    ):
        FOCUS.probe(broken, {})
    with pytest.raises(BadData, match=r"account acme\.files: location: Field required"):
        FOCUS.probe(Account("acme.files", "acme", "focus"), {})


def test_the_home_of_a_user_who_does_not_exist_is_a_wrong_location() -> None:
    with pytest.raises(ValidationError, match="location") as refused:
        FocusCredential(location="~nobody-has-this-name/costs")
    assert "no user nobody-has-this-name" in str(refused.value)


def test_a_folder_is_kept_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert FocusCredential(location="costs").location == str(tmp_path / "costs")


@pytest.mark.parametrize("month", ["daily/20240901-20240930", "data/BILLING_PERIOD=2024-09"])
def test_two_runs_of_a_month_are_not_added_up(tmp_path: Path, month: str) -> None:
    """As Azure and AWS leave them, if they create a new report with each run."""
    for run in ("0a1b", "2c3d"):
        write_csv(tmp_path / month / run / "part_0_0001.csv", csv_text([row()], columns("1.2")))
        if run == "0a1b":
            assert len(list(FOCUS.collect(account(tmp_path), SEPTEMBER).batches)) == 1
    assert refusal(tmp_path).startswith(
        f"{month}: holds two runs of an export, 0a1b and 2c3d, each with the whole month"
    )
    with pytest.raises(BadData, match="holds two runs of an export"):
        FOCUS.probe(account(tmp_path), {})
