"""Provider focus on folders of files as real exports write them: every version, form and oddity, read exactly."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import NothingThere, Transient
from optiinfra_assets.line_items import SCHEMA
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import LineItemStream
from tests.focus_samples import (
    Spelled,
    account,
    columns,
    csv_text,
    random_rows,
    row,
    write_csv,
    write_parquet,
)

FOCUS = PROVIDERS["focus"]
SEPTEMBER = BillingPeriod(2024, 9)
OCTOBER = {"BillingPeriodStart": "2024-10-01T00:00:00Z", "BillingPeriodEnd": "2024-11-01T00:00:00Z"}


def collect(folder: Path, period: BillingPeriod = SEPTEMBER) -> tuple[list[dict[str, Any]], LineItemStream]:
    """All line items of one period as Python rows, with the collection they came from."""
    collection = FOCUS.collect(account(folder), period)
    rows: list[dict[str, Any]] = []
    for batch in collection.batches:
        assert batch.schema == SCHEMA
        batch.validate(full=True)
        rows.extend(batch.to_pylist())
    return rows, collection


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3", "1.4"])
@pytest.mark.parametrize("kind", ["csv", "csv.gz", "csv.zst", "parquet text", "parquet decimals", "parquet doubles"])
def test_every_version_in_every_kind_of_file_gives_the_same_line_items(tmp_path: Path, version: str, kind: str) -> None:
    rows = [
        row(BilledCost="0.1", ListCost=None, Tags='{"a": 1.10}'),
        row(BilledCost="-12.000000000000000001"),
    ]
    names = columns(version)
    money = {"parquet decimals": pa.decimal128(38, 18), "parquet doubles": pa.float64()}.get(kind)
    if kind == "csv.zst":
        with pa.CompressedOutputStream(pa.OSFile(str(tmp_path / "a.csv.zst"), "wb"), "zstd") as file:
            file.write(csv_text(rows, names).encode())
    elif kind.startswith("csv"):
        write_csv(tmp_path / f"a.{kind}", csv_text(rows, names))
    else:
        time = None if kind == "parquet text" else pa.timestamp("ms")
        write_parquet(tmp_path / "a.parquet", rows, names, money, time)
    found, collection = collect(tmp_path)
    exact = Decimal("-12") if kind == "parquet doubles" else Decimal("-12.000000000000000001")
    assert [one["billed_cost"] for one in found] == [Decimal("0.1"), exact]
    assert [one["list_cost"] for one in found] == [None, Decimal(2)]
    assert found[0]["tags"] == [("a", "1.10")]
    assert found[0]["charge_period_end"] == datetime(2024, 9, 1, 1, tzinfo=UTC)
    assert {one["source"] for one in found} == {"focus file"}
    before_1_3 = version < "1.3"
    assert found[0]["service_provider_name"] == ("Maker" if before_1_3 else "Seller")
    assert found[0]["host_provider_name"] == ("Cloud" if before_1_3 else "Host")
    gone = [] if version == "1.4" else [("x_ProviderName", "Cloud"), ("x_PublisherName", "Maker")]
    assert found[0]["x_columns"] == gone
    assert collection.sources[0]["focus"] == version
    assert collection.rounding.values == 0


def test_the_habits_of_the_official_1_0_sample(tmp_path: Path) -> None:
    """Bare NULLs beside quoted nothings, times with a space and no Z, one E-notation, a column Id without x_, doubled rows."""
    times = {
        "BillingPeriodStart": "2024-09-01 00:00:00",
        "BillingPeriodEnd": "2024-10-01 00:00:00",
        "ChargePeriodStart": "2024-09-05 03:00:00",
        "ChargePeriodEnd": "2024-09-05 04:00:00",
    }
    one = row(
        **times,
        EffectiveCost="35.2E-7",
        ContractedCost=None,
        ChargeClass=None,
        SkuId="",
        RegionId=None,
        Id="7",
    )
    write_csv(tmp_path / "focus_sample.csv", csv_text([one, one], [*columns("1.0"), "Id"], null="NULL"))
    rows, _ = collect(tmp_path)
    assert rows[0] == rows[1]
    assert rows[0]["effective_cost"] == Decimal("0.00000352")
    assert (rows[0]["contracted_cost"], rows[0]["charge_class"], rows[0]["region_id"]) == (None, None, None)
    assert rows[0]["sku_id"] == ""
    assert rows[0]["charge_period_start"] == datetime(2024, 9, 5, 3, tzinfo=UTC)
    assert ("x_Id", "7") in rows[0]["x_columns"]


def test_a_quoted_null_is_the_word_in_text(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row(ResourceName="NULL")], columns("1.0")))
    assert collect(tmp_path)[0][0]["resource_name"] == "NULL"


def test_a_quoted_nothing_is_null_where_a_number_a_time_or_a_word_of_a_list_belongs(tmp_path: Path) -> None:
    one = row(ListCost="", PricingQuantity="", ChargeClass="", Tags="", ChargeFrequency="")
    write_csv(tmp_path / "a.csv", csv_text([one], columns("1.0")))
    found = collect(tmp_path)[0][0]
    names = ("list_cost", "pricing_quantity", "charge_class", "charge_frequency")
    assert [found[name] for name in names] == [None] * 4
    assert found["tags"] == []


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [False, True])
def test_marks_line_ends_and_line_breaks_inside_values(tmp_path: Path, line_end: str, mark: bool) -> None:
    description = f'one,{line_end}"two"{line_end}{line_end}three'
    rows = [row(ChargeDescription=description), row(BilledCost="2")]
    write_csv(tmp_path / "a.csv", csv_text(rows, columns("1.0"), line_end=line_end), mark=mark)
    found, _ = collect(tmp_path)
    assert found[0]["charge_description"] == description
    assert [one["billed_cost"] for one in found] == [Decimal("1.25"), Decimal(2)]


def test_a_last_line_without_its_end_and_empty_lines(tmp_path: Path) -> None:
    text = csv_text([row(), row()], columns("1.0"))
    write_csv(tmp_path / "a.csv", text.rstrip("\n"))
    write_csv(tmp_path / "b.csv", text.replace("\n", "\n\n"))
    assert len(collect(tmp_path)[0]) == 4


def test_numbers_with_more_than_18_digits_are_rounded_half_even_and_counted(tmp_path: Path) -> None:
    rows = [
        row(BilledCost="0.123456789012345678"),
        row(BilledCost="1.0000000000000000005"),
        row(BilledCost="0.1000000000000000055511151"),
        row(BilledCost="99999999999999999999.999999999999999999"),
    ]
    write_csv(tmp_path / "a.csv", csv_text(rows))
    found, collection = collect(tmp_path)
    assert [one["billed_cost"] for one in found] == [
        Decimal("0.123456789012345678"),
        Decimal("1"),
        Decimal("0.100000000000000006"),
        Decimal("99999999999999999999.999999999999999999"),
    ]
    assert collection.rounding.values == 2
    assert collection.rounding.total == Decimal("5E-19") + Decimal("4.488849E-19")


def test_files_of_several_periods_and_periods_of_several_files(tmp_path: Path) -> None:
    write_csv(tmp_path / "2024/mixed.csv", csv_text([row(), row(**OCTOBER), row(BilledCost="7")], columns("1.0")))
    write_parquet(tmp_path / "october.parquet", [row(**OCTOBER)] * 2, columns("1.2"))
    september, collection = collect(tmp_path)
    assert [one["billed_cost"] for one in september] == [Decimal("1.25"), Decimal(7)]
    assert [(source["file"], source["rows"]) for source in collection.sources] == [("2024/mixed.csv", "2")]
    october, collection = collect(tmp_path, BillingPeriod(2024, 10))
    assert len(october) == 3
    assert [source["rows"] for source in collection.sources] == ["1", "2"]
    assert set(FOCUS.probe(account(tmp_path), {}).tokens) == {SEPTEMBER, BillingPeriod(2024, 10)}


def test_a_charge_may_lie_in_the_period_after_its_own(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row(**OCTOBER)]))
    assert collect(tmp_path, BillingPeriod(2024, 10))[0][0]["charge_period_start"].month == 9
    assert collect(tmp_path)[0] == []


def test_the_month_is_that_of_the_utc_instant(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row(BillingPeriodStart="2024-08-31T17:00:00-07:00")]))
    assert len(collect(tmp_path)[0]) == 1


def test_an_export_with_typed_columns_like_those_of_the_big_clouds(tmp_path: Path) -> None:
    """Doubles, milliseconds, tags as a map, a nested column of its own, an int for an id, a column of nothing but null."""
    maps = pa.array([[("team", "web"), ("env", None)]], pa.map_(pa.string(), pa.string()))
    names = [name for name in columns("1.0") if name not in ("Tags", "BillingAccountId", "ChargeClass")]
    write_parquet(
        tmp_path / "part-0.snappy.parquet",
        [row(BilledCost="0.30000000000000004", Tags=None)],
        names,
        pa.float64(),
        pa.timestamp("ms"),
        Tags=maps,
        BillingAccountId=pa.array([123456789012]),
        ChargeClass=pa.nulls(1),
        x_Discounts=pa.array([[("rate", 0.5)]], pa.map_(pa.string(), pa.float64())),
        x_Amount=pa.array([Decimal("1.50")]),
    )
    one = collect(tmp_path)[0][0]
    assert one["billed_cost"] == Decimal("0.30000000000000004")
    assert one["tags"] == [("team", "web"), ("env", None)]
    assert one["billing_account_id"] == "123456789012"
    assert dict(one["x_columns"])["x_Amount"] == "1.50"
    assert dict(one["x_columns"])["x_Discounts"] == '[["rate", 0.5]]'


ID = UUID("306048ef-14ab-4a40-8da3-c4a02b02b915")


def extension(kind: pa.DataType, *values: object) -> pa.Array:
    """An array of an extension type."""
    return pa.ExtensionArray.from_storage(kind, pa.array(list(values), kind.storage_type))


def test_json_and_uuid_columns_as_duckdb_writes_them(tmp_path: Path) -> None:
    extra = {
        "Tags": extension(pa.json_(), '{"team": "web"}', None),
        "SkuPriceDetails": extension(pa.json_(), '{"a": 1.10}', None),
        "BillingAccountId": extension(pa.uuid(), ID.bytes, ID.bytes),
        "x_Row": extension(pa.uuid(), None, ID.bytes),
        "x_More": extension(pa.json_(), "[1, null]", "not checked"),
        "x_Nested": pa.StructArray.from_arrays(
            [extension(pa.uuid(), ID.bytes, None), extension(pa.json_(), "{}", None)], ["id", "json"]
        ),
    }
    names = [name for name in columns("1.2") if name not in extra]
    write_parquet(tmp_path / "a.parquet", [row(), row()], names, **extra)
    first, second = collect(tmp_path)[0]
    assert (first["tags"], second["tags"]) == ([("team", "web")], [])
    assert (first["sku_price_details"], second["sku_price_details"]) == ('{"a": 1.10}', None)
    assert first["billing_account_id"] == str(ID)
    assert dict(first["x_columns"])["x_More"] == "[1, null]"
    assert dict(first["x_columns"])["x_Nested"] == f'{{"id": "{ID}", "json": "{{}}"}}'
    assert {"x_Row": str(ID), "x_More": "not checked"}.items() <= dict(second["x_columns"]).items()


def test_bytes_in_columns_beyond_focus_never_stop_a_file(tmp_path: Path) -> None:
    extra = {
        "x_Hash": pa.array([b"\xff\x00", b"ok"]),
        "x_Fixed": pa.array([b"\xfe\x01", b"ok"], pa.binary(2)),
        "x_Flag": extension(pa.bool8(), 1, None),
        "x_Late": pa.array([[10**7], None], pa.list_(pa.date32())),
    }
    write_parquet(tmp_path / "a.parquet", [row(), row()], columns("1.4"), **extra)
    first, second = (dict(one["x_columns"]) for one in collect(tmp_path)[0])
    assert first == {"x_Hash": "0xff00", "x_Fixed": "0xfe01", "x_Flag": "1", "x_Late": '["29349-01-26"]'}
    assert second == {"x_Hash": "ok", "x_Fixed": "ok"}


def test_text_that_is_written_as_bytes(tmp_path: Path) -> None:
    """Old Spark, Hive and Impala do not say of their text that it is text."""
    one = row(ChargeClass="", ListCost="", Tags='{"team": "web"}', SkuPriceDetails='{"a": 1.10}', x_Own="é")
    names = [*columns("1.2"), "x_Own"]
    table = pq.read_table(write_parquet(tmp_path / "a.parquet", [one, row(**OCTOBER)], names))
    pq.write_table(table.cast(pa.schema([(name, pa.binary()) for name in names])), tmp_path / "a.parquet")
    write_parquet(tmp_path / "text" / "a.parquet", [one], names)
    found = collect(tmp_path)[0]
    assert found[0] == found[1]
    assert (found[0]["billed_cost"], found[0]["charge_class"], found[0]["list_cost"]) == (
        Decimal("1.25"),
        None,
        None,
    )


@pytest.mark.parametrize(
    "kind",
    [
        pa.string_view(),
        pa.binary_view(),
        pa.list_(pa.string_view()),
        pa.list_view(pa.string_view()),
        pa.large_list_view(pa.list_view(pa.string())),
        pa.map_(pa.string_view(), pa.string_view()),
        pa.struct([("a", pa.string_view()), ("b", pa.list_view(pa.string()))]),
    ],
    ids=str,
)
def test_views_in_files_of_several_periods(tmp_path: Path, kind: pa.DataType) -> None:
    """DataFusion writes all its text so; Arrow cannot take rows of it."""
    value = {
        "list": ["a", None],
        "list_view": ["a", None],
        "large_list_view": [["a"], None],
        "map": [("a", "b")],
        "struct": {"a": "é", "b": ["c"]},
    }
    name = str(kind).split("<")[0]
    values = pa.array([None, value.get(name, "a"), value.get(name, "a")], kind)
    write_parquet(tmp_path / "a.parquet", [row(), row(**OCTOBER), row()], columns("1.4"), x_View=values)
    kept = json.dumps(dict(value[name]) if name == "map" else value[name], ensure_ascii=False) if name in value else "a"
    assert [one["x_columns"] for one in collect(tmp_path)[0]] == [[], [("x_View", kept)]]


def test_every_column_of_text_may_be_views(tmp_path: Path) -> None:
    names = columns("1.2")
    rows = [row(Tags='{"a": "b"}'), row(**OCTOBER), row(ResourceId="r")]
    table = pq.read_table(write_parquet(tmp_path / "a.parquet", rows, names))
    pq.write_table(table.cast(pa.schema([(name, pa.string_view()) for name in names])), tmp_path / "a.parquet")
    found = collect(tmp_path)[0]
    assert [(one["tags"], one["resource_id"], one["billed_cost"]) for one in found] == [
        ([("a", "b")], None, Decimal("1.25")),
        ([], "r", Decimal("1.25")),
    ]


def test_key_value_columns_of_typed_files(tmp_path: Path) -> None:
    """Tags as Google's view has them, other key-value columns as one flat object."""
    tag = {"key": "team", "value": "web", "x_type": "label", "x_inherited": False, "x_namespace": "n"}
    extra = {
        "Tags": pa.array([[tag, tag | {"x_namespace": "m"}]]),
        "SkuPriceDetails": pa.array([[("a", 1.5)]], pa.map_(pa.string(), pa.float64())),
        "AllocatedTags": pa.array([[{"key": "a", "value": "b"}]]),
        "ContractApplied": pa.array([{"Elements": [{"ContractId": "c", "Cost": Decimal("4.0")}]}]),
    }
    names = [name for name in columns("1.4") if name not in extra]
    write_parquet(tmp_path / "a.parquet", [row()], names, **extra)
    one = collect(tmp_path)[0][0]
    assert one["tags"] == [("team", "web")]
    assert one["sku_price_details"] == '{"a": 1.5}'
    assert one["allocated_tags"] == '{"a": "b"}'
    assert one["contract_applied"] == '{"Elements": [{"ContractId": "c", "Cost": 4.0}]}'


@pytest.mark.parametrize("name", ["AvailabilityZone", "BilledCost"])
def test_a_mark_before_a_quoted_name(tmp_path: Path, name: str) -> None:
    names = [name, *(other for other in columns("1.0") if other != name)]
    text = csv_text([row(AvailabilityZone="z")], names).replace(name, f'"{name}"', 1)
    write_csv(tmp_path / "a.csv", text, mark=True)
    one = collect(tmp_path)[0][0]
    assert (one["availability_zone"], one["billed_cost"]) == ("z", Decimal("1.25"))


@pytest.mark.parametrize(
    ("publisher", "provider", "seller"), [("", "Cloud", "Cloud"), ("", "", ""), ("Maker", "", "Maker")]
)
def test_an_empty_publisher_counts_as_absent(tmp_path: Path, publisher: str, provider: str, seller: str) -> None:
    one = row(PublisherName=publisher, ProviderName=provider)
    write_csv(tmp_path / "a.csv", csv_text([one], columns("1.2")))
    found = collect(tmp_path)[0][0]
    assert (found["service_provider_name"], found["host_provider_name"]) == (seller, provider)
    assert ("x_PublisherName", publisher) in found["x_columns"]


def test_names_from_before_1_0(tmp_path: Path) -> None:
    old = {"ProviderName": "Provider", "PublisherName": "Publisher", "InvoiceIssuerName": "InvoiceIssuer"}
    text = csv_text([row(PublisherName=None)], columns("1.0"))
    header, rest = text.split("\n", 1)
    for new, name in old.items():
        header = header.replace(new, name)
    write_csv(tmp_path / "a.csv", f"{header}\n{rest}")
    one = collect(tmp_path)[0][0]
    assert (one["invoice_issuer_name"], one["service_provider_name"], one["host_provider_name"]) == (
        "Issuer",
        "Cloud",
        "Cloud",
    )
    assert dict(one["x_columns"]) == {"x_Provider": "Cloud", "x_InvoiceIssuer": "Issuer"}


def test_a_report_like_oracles(tmp_path: Path) -> None:
    """Names and word lists of the preview, times to the minute, numbers as Java writes them, columns of its own."""
    names = [name for name in columns("1.0") if name not in ("ChargeClass", "ContractedCost", "RegionId")]
    one = row(
        PricingCategory="OnDemand",
        BilledCost="0E-10",
        EffectiveCost="9.1E-7",
        BillingPeriodStart="2024-09-01T00:00Z",
        Tags='{"orcl-cloud.free-tier-retained":"true"}',
        Region="us-ashburn-1",
        oci_Overage="N",
    )
    text = csv_text([one], [*names, "Region", "oci_Overage"])
    for new, old in (
        ("ProviderName", "Provider"),
        ("PublisherName", "Publisher"),
        ("InvoiceIssuerName", "InvoiceIssuer"),
    ):
        text = text.replace(new, old)
    write_csv(tmp_path / "0001.csv.gz", text)
    rows, collection = collect(tmp_path)
    assert (rows[0]["billed_cost"], rows[0]["effective_cost"]) == (0, Decimal("0.00000091"))
    assert (rows[0]["pricing_category"], rows[0]["contracted_cost"]) == ("OnDemand", None)
    assert {("x_Region", "us-ashburn-1"), ("x_oci_Overage", "N")} <= set(rows[0]["x_columns"])
    assert collection.sources[0]["focus"] == "before 1.0"


def test_which_files_count(tmp_path: Path) -> None:
    text = csv_text([row()])
    for name in ("A.CSV", "deep/er/b.csv", "c.csv/part-0.csv"):
        write_csv(tmp_path / name, text)
    for name in (
        ".hidden.csv",
        "_SUCCESS",
        "_temporary/d.csv",
        ".git/e.csv",
        "manifest.json",
        "f.txt",
        "g.csv.tmp",
    ):
        write_csv(tmp_path / name, "not a cost file")
    (tmp_path / "latest.csv").symlink_to(tmp_path / "deep/er/b.csv")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    rows, collection = collect(tmp_path)
    assert len(rows) == 3
    assert [source["file"] for source in collection.sources] == ["A.CSV", "c.csv/part-0.csv", "deep/er/b.csv"]


def test_rows_keep_the_order_of_the_files(tmp_path: Path) -> None:
    for number in range(3):
        write_csv(tmp_path / f"{number}.csv", csv_text([row(BilledCost=f"{number}.{n}") for n in range(3)]))
    assert [str(one["billed_cost"].normalize()) for one in collect(tmp_path)[0]] == [
        str(Decimal(f"{number}.{n}").normalize()) for number in range(3) for n in range(3)
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: write_csv(folder / "a.csv", csv_text([row(BilledCost="9.99")])),
        lambda folder: write_csv(folder / "b.csv", csv_text([row()])),
        lambda folder: os.utime(folder / "a.csv", ns=(1, 1)),
        lambda folder: (folder / "a.csv").rename(folder / "z.csv"),
    ],
)
def test_any_change_of_its_files_changes_the_token_of_a_period(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row()]))
    write_csv(tmp_path / "october.csv", csv_text([row(**OCTOBER)]))
    before = FOCUS.probe(account(tmp_path), {}).tokens
    assert FOCUS.probe(account(tmp_path), before).tokens == before
    assert collect(tmp_path)[1].change_token == before[SEPTEMBER]
    change(tmp_path)
    after = FOCUS.probe(account(tmp_path), before).tokens
    assert after[SEPTEMBER] != before[SEPTEMBER]
    assert after[BillingPeriod(2024, 10)] == before[BillingPeriod(2024, 10)]
    assert collect(tmp_path)[1].change_token == after[SEPTEMBER]


def test_a_period_whose_files_went_is_a_complete_empty_answer_while_others_are_there(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row()]))
    write_csv(tmp_path / "b.csv", csv_text([row(**OCTOBER)]))
    (tmp_path / "a.csv").unlink()
    rows, collection = collect(tmp_path)
    assert (rows, collection.sources, collection.data_through) == ([], [], None)
    assert SEPTEMBER not in FOCUS.probe(account(tmp_path), {}).tokens


@pytest.mark.parametrize("text", [None, csv_text([], columns("1.0"))], ids=["no file", "header only"])
def test_a_folder_with_nothing_in_it_is_never_an_answer(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        write_csv(tmp_path / "a.csv", text)
        write_csv(tmp_path / "b.csv", text.rstrip("\n"))
    for ask in (lambda: FOCUS.probe(account(tmp_path), {}), lambda: collect(tmp_path)):
        with pytest.raises(NothingThere, match="nothing that is stored is changed"):
            ask()


def test_how_far_the_data_reach(tmp_path: Path) -> None:
    usage = row(ChargePeriodStart="2024-09-03T00:00:00Z", ChargePeriodEnd="2024-09-04T00:00:00Z")
    year = row(ChargeCategory="Purchase", ChargePeriodEnd="2025-09-01T00:00:00Z")
    file = tmp_path / "a.csv"

    def reach(rows: list[dict[str, Any]], written_at: datetime) -> datetime | None:
        write_csv(file, csv_text(rows))
        os.utime(file, (written_at.timestamp(), written_at.timestamp()))
        collection = collect(tmp_path)[1]
        assert not collection.is_final
        return collection.data_through

    within = datetime(2024, 9, 20, tzinfo=UTC)
    assert reach([usage, year], within) == datetime(2024, 9, 4, tzinfo=UTC)
    assert reach([year], within) == SEPTEMBER.end
    assert reach([usage, year], SEPTEMBER.end - timedelta(seconds=1)) == datetime(2024, 9, 4, tzinfo=UTC)
    assert reach([usage, year], SEPTEMBER.end) == SEPTEMBER.end, "it was written when the month was over"


def test_a_file_that_changes_while_it_is_read_is_read_again_later(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", csv_text(random_rows(2000, 1)))
    stream = FOCUS.collect(account(tmp_path), SEPTEMBER).batches
    next(stream)
    write_csv(tmp_path / "a.csv", csv_text(random_rows(2000, 2)))
    with pytest.raises(Transient, match=r"a\.csv: is gone or changed while it was read"):
        list(stream)


def test_a_file_that_goes_while_it_is_read_is_transient(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row()]))
    collection = FOCUS.collect(account(tmp_path), SEPTEMBER)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(Transient, match="changed while it was read"):
        list(collection.batches)


def test_large_files_come_in_many_batches_and_stay_in_order(tmp_path: Path) -> None:
    rows = [row(BilledCost=str(n), ChargeDescription=f'line\n"{n}"' + "x" * 150) for n in range(30_000)]
    write_csv(tmp_path / "a.csv", csv_text(rows))
    batches = list(FOCUS.collect(account(tmp_path), SEPTEMBER).batches)
    assert len(batches) > 1
    table = pa.Table.from_batches(batches)
    assert table["billed_cost"].to_pylist() == [Decimal(n) for n in range(30_000)]
    assert table["charge_description"][-1].as_py() == rows[-1]["ChargeDescription"]


def test_discover_proves_that_the_files_are_focus(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row()]))
    assert FOCUS.discover(account(tmp_path)) == [str(tmp_path)]


def test_dates_and_dictionaries_of_typed_files(tmp_path: Path) -> None:
    names = [name for name in columns("1.2") if name != "ChargePeriodStart"]
    path = write_parquet(tmp_path / "a.parquet", [row()] * 3, names, ChargePeriodStart=pa.array([date(2024, 9, 2)] * 3))
    table = pq.read_table(path)
    table = table.set_column(names.index("ServiceName"), "ServiceName", table["ServiceName"].dictionary_encode())
    table = table.set_column(names.index("BilledCost"), "BilledCost", table["BilledCost"].dictionary_encode())
    table = table.set_column(
        names.index("BillingCurrency"), "BillingCurrency", table["BillingCurrency"].cast(pa.large_string())
    )
    pq.write_table(table, path)
    rows, _ = collect(tmp_path)
    assert {(one["service_name"], one["billed_cost"], one["billing_currency"]) for one in rows} == {
        ("Machines", Decimal("1.25"), "USD")
    }
    assert rows[0]["charge_period_start"] == datetime(2024, 9, 2, tzinfo=UTC)


def test_spelled_values_reach_the_file_as_they_are() -> None:
    """The generator itself: a value of `Spelled` is not quoted."""
    assert csv_text([{"a": Spelled('x"y')}]) == 'a\nx"y\n'
