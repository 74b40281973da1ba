"""Files as people have them: what can mean one thing only is read and counted, and what cannot says what to change at the source."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.providers import PROVIDERS
from tests.focus_samples import Row, account, columns, csv_text, row, write_csv, write_parquet

FOCUS = PROVIDERS["focus"]
SEPTEMBER = BillingPeriod(2024, 9)
NAMES = columns("1.0")


def read(folder: Path, period: BillingPeriod = SEPTEMBER) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The line items of a period, and how many values were read leniently, by code."""
    collection = FOCUS.collect(account(folder), period)
    rows = [one for batch in collection.batches for one in batch.to_pylist()]
    counts: dict[str, int] = {}
    for one in collection.warnings:
        counts[one.code] = counts.get(one.code, 0) + one.count
        assert str(folder) in str(one), "a warning names the file"
    return rows, counts


def dated(start: str, end: str, charge_start: str, charge_end: str) -> Row:
    """A row whose four times are written so."""
    return row(
        BillingPeriodStart=start, BillingPeriodEnd=end, ChargePeriodStart=charge_start, ChargePeriodEnd=charge_end
    )


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        (row(BilledCost="1.25E+0"), "number-form"),
        (row(BilledCost="+1.25"), "number-form"),
        (row(BilledCost=" 1.25 "), "number-form"),
        (row(ListCost="1,234.50"), "number-form"),
        (row(ListCost="null"), "null-word"),
        (row(ResourceId="None"), "null-word"),
        (row(Tags="null"), "tags-form"),
        (row(Tags='{"a": "b", "a": "c"}'), "tags-form"),
        (row(Tags='{"a": {"b": 1}}'), "tags-form"),
        (row(Tags="a=b"), "not-read"),
        (row(PricingQuantity="1,5"), "not-read"),
        (row(ChargeFrequency="Usage-based"), "word-case"),
        (row(ChargeFrequency="Hourly"), "unknown-word"),
        (row(ChargeClass="Fix"), "unknown-word"),
        (row(ChargeCategory="usage "), "word-case"),
        (row(BillingCurrency="usd"), "word-case"),
        (row(BillingAccountId=None), "id-missing"),
        (row(BillingAccountId=""), "id-missing"),
        (row(ChargePeriodStart="2024-09-03T00:00:00.123Z"), "time-fraction"),
        (row(ChargePeriodStart="2024-09-03T00:00:00+02:00"), "time-offset"),
        (row(BillingPeriodStart="2024-09-01T00:00:00+02:00"), "period-offset"),
        (dated("09/01/2024", "10/01/2024", "09/03/2024", "09/04/2024"), "time-form"),
        (dated("01/09/2024", "01/10/2024", "03/09/2024", "04/09/2024"), "time-form"),
    ],
)
def test_a_row_that_can_mean_one_thing_is_read_and_counted(tmp_path: Path, odd: Row, code: str) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row(), odd], NAMES))
    rows, counts = read(tmp_path)
    assert [one["billed_cost"] for one in rows] == [Decimal("1.25")] * 2
    assert {one["billing_currency"] for one in rows} == {"USD"}
    assert {one["charge_category"] for one in rows} == {"Usage"}
    assert counts.keys() == {code}


def test_the_warning_names_the_row_of_the_file_and_the_value(tmp_path: Path) -> None:
    october = row(BillingPeriodStart="2024-10-01")
    write_csv(tmp_path / "a.csv", csv_text([october, row(), october, row(BilledCost="1.0E+2")], NAMES))
    collection = FOCUS.collect(account(tmp_path), SEPTEMBER)
    list(collection.batches)
    (warning,) = collection.warnings
    assert warning.example == f"{tmp_path}/a.csv: row 4, value '1.0E+2'"
    assert warning.message.startswith("BilledCost: ")


def test_words_of_closed_lists_keep_their_spelling(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row(ChargeFrequency="Usage-based", PricingCategory="OnDemand")], NAMES))
    (one,), counts = read(tmp_path)
    assert (one["charge_frequency"], one["pricing_category"]) == ("Usage-based", "OnDemand")
    assert counts == {"word-case": 1, "unknown-word": 1}


@pytest.mark.parametrize("order", ["{1}/{2}/{0}", "{2}/{1}/{0}"])
def test_billing_periods_decide_the_order_of_day_and_month(tmp_path: Path, order: str) -> None:
    def written(text: str) -> str:
        return order.format(*text.split("-"))

    rows = [
        dated(*map(written, ("2024-09-01", "2024-10-01", f"2024-09-{day:02d}", f"2024-09-{day + 1:02d}")))
        for day in (3, 4, 20)
    ]
    write_csv(tmp_path / "a.csv", csv_text(rows, NAMES))
    assert [one["charge_period_start"].day for one in read(tmp_path)[0]] == [3, 4, 20]


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (row(ChargePeriodStart="09/03/2024"), "no billing period of this file does: write dates as 2026-10-05"),
        (row(BillingPeriodStart="2024-08-31T22:00:00Z"), "write it as 2026-11-01T00:00:00Z"),
        (row(BilledCost="$1"), "a number such as"),
        (row(BilledCost="1,5"), "a number such as"),
        (row(BilledCost="1.234,56"), "a number such as"),
        (row(BilledCost="null"), "a number such as"),
        (row(EffectiveCost="NaN"), "a number such as"),
        (row(ChargeCategory="Fee"), "one of Usage, Purchase, Tax, Credit, Adjustment"),
        (row(BillingCurrency="Dollar"), "a currency code of three capital letters"),
    ],
)
def test_a_row_that_may_mean_two_things_is_refused_with_what_to_write(tmp_path: Path, odd: Row, said: str) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row(), odd], NAMES))
    with pytest.raises(BadData, match=r"a\.csv: row 2 \(line 3\), column ") as refused:
        list(FOCUS.collect(account(tmp_path), SEPTEMBER).batches)
    assert said in str(refused.value)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3", "1.4"])
def test_nullable_columns_may_be_absent_in_any_version(tmp_path: Path, version: str) -> None:
    needed = columns(version, only_mandatory=True)
    kept = [name for name in needed if name not in ("BillingAccountName", "ChargeClass", "ChargeDescription")]
    kept = [name for name in kept if name not in ("PricingQuantity", "PricingUnit", "HostProviderName")]
    write_csv(tmp_path / "a.csv", csv_text([row()], kept))
    (one,), counts = read(tmp_path)
    assert (one["billed_cost"], one["charge_class"], one["billing_account_name"]) == (Decimal("1.25"), None, None)
    assert counts == {}


@pytest.mark.parametrize(
    "respell",
    [
        lambda name: f" {name}",
        lambda name: f"{name} ",
        lambda name: "".join(f"_{one.lower()}" if one.isupper() else one for one in name).strip("_"),
        lambda name: "".join(f" {one}" if one.isupper() else one for one in name).strip(),
    ],
    ids=["space before", "space after", "snake case", "words"],
)
def test_names_of_columns_with_spaces_or_underscores(tmp_path: Path, respell: Callable[[str], str]) -> None:
    header, rest = csv_text([row(Tags='{"a": "b"}')], columns("1.2")).split("\n", 1)
    text = "\n".join([",".join(map(respell, header.split(","))), rest])
    write_csv(tmp_path / "a.csv", text)
    write_csv(tmp_path / "as it is" / "a.csv", f"{header}\n{rest}")
    (odd, plain), counts = read(tmp_path)
    assert odd == plain
    assert counts.keys() == {"column-name"}


def utf16(data: bytes) -> bytes:
    return data.decode().encode("utf-16")


@pytest.mark.parametrize(
    ("name", "write", "code"),
    [
        ("a.csv", lambda data: data.replace(b",", b";"), "separator"),
        ("a.csv", lambda data: data.replace(b",", b"\t"), "separator"),
        ("a.csv", lambda data: data.replace(b",", b"|"), "separator"),
        ("a.csv", gzip.compress, "file-kind"),
        ("a.csv.gz", lambda data: data, "file-kind"),
        ("a.csv.zst", gzip.compress, "file-kind"),
        ("a.parquet", lambda data: data, "file-kind"),
        ("a.csv", utf16, "text-encoding"),
        ("a.csv.gz", lambda data: gzip.compress(utf16(data)), "text-encoding"),
        ("a.csv", lambda data: data.decode().encode("utf-16-le").join([b"\xff\xfe", b""]), "text-encoding"),
        ("a.csv", lambda data: data.decode().encode("latin-1"), "text-encoding"),
    ],
)
def test_a_file_that_is_not_quite_what_its_name_says(
    tmp_path: Path, name: str, write: Callable[[bytes], bytes], code: str
) -> None:
    rows = [row(ServiceName="Café", BilledCost=f"{n}.5") for n in range(3)] + [row(ServiceName="plain")]
    (tmp_path / name).write_bytes(write(csv_text(rows, [*NAMES, "Größe"]).encode()))
    found, counts = read(tmp_path)
    assert [str(one["billed_cost"].normalize()) for one in found] == ["0.5", "1.5", "2.5", "1.25"]
    assert [one["service_name"] for one in found] == ["Café"] * 3 + ["plain"]
    assert counts.keys() == {code}


def test_parquet_under_the_name_of_csv(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [row()], NAMES).rename(tmp_path / "a.csv")
    found, counts = read(tmp_path)
    assert ([one["billed_cost"] for one in found], counts) == ([Decimal("1.25")], {"file-kind": 1})


def test_a_large_file_in_utf16_is_read_to_its_end(tmp_path: Path) -> None:
    rows = [row(BilledCost=str(n), ChargeDescription="é" * 50) for n in range(12_000)]
    (tmp_path / "a.csv").write_bytes(utf16(csv_text(rows, NAMES).encode()))
    assert sum(one["billed_cost"] for one in read(tmp_path)[0]) == sum(range(12_000))
    (tmp_path / "a.csv").write_bytes((tmp_path / "a.csv").read_bytes()[:-1])
    with pytest.raises(BadData, match="is not whole text in UTF-16"):
        read(tmp_path)


def test_a_period_in_the_local_time_of_a_parquet_file_is_the_month_that_is_written(tmp_path: Path) -> None:
    local = pa.timestamp("us", "Europe/Berlin")
    names = [name for name in NAMES if not name.startswith("BillingPeriod")]
    write_parquet(
        tmp_path / "a.parquet",
        [row()],
        names,
        BillingPeriodStart=pa.array([datetime(2024, 8, 31, 22, tzinfo=UTC)], local),
        BillingPeriodEnd=pa.array([datetime(2024, 9, 30, 22, tzinfo=UTC)], local),
    )
    (one,), counts = read(tmp_path)
    assert one["billing_period_start"] == datetime(2024, 9, 1, tzinfo=UTC)
    assert one["billing_period_end"] == datetime(2024, 10, 1, tzinfo=UTC)
    assert counts == {"period-offset": 2}
