"""A mapping file beside files that are not FOCUS: their columns by FOCUS name, constants, and what follows from the day of a charge."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.providers import PROVIDERS
from tests.focus_samples import account, columns, csv_text, row, write_csv

FOCUS = PROVIDERS["focus"]
APRIL, MAY = BillingPeriod(2026, 4), BillingPeriod(2026, 5)
COSTS = 'day,cost,service,Tags,note\n2026-04-30,1.5,Logs,,x\n2026-05-01,12.34,Metrics,"{""team"": ""web""}",y\n'
MAPPING = """
[columns]
cost = ["BilledCost", "EffectiveCost"]
day = "ChargePeriodStart"
service = "ServiceName"

[constants]
BillingAccountId = "vendor-1"
BillingCurrency = "USD"
ChargeCategory = "Usage"
ServiceProviderName = "Vendor"
"""


def read(folder: Path, period: BillingPeriod = MAY) -> list[dict[str, Any]]:
    """The line items of a period."""
    return [one for batch in FOCUS.collect(account(folder), period).batches for one in batch.to_pylist()]


def write(folder: Path, mapping: str = MAPPING, text: str = COSTS) -> None:
    """A file of costs, with its mapping."""
    write_csv(folder / "costs.csv", text)
    (folder / "optiinfra-mapping.toml").write_text(mapping)


def test_mapped_columns_constants_and_what_follows_from_the_day(tmp_path: Path) -> None:
    write(tmp_path)
    assert FOCUS.discover(account(tmp_path)) == [str(tmp_path)]
    assert set(FOCUS.probe(account(tmp_path), {}).tokens) == {APRIL, MAY}
    (one,) = read(tmp_path)
    assert (one["billed_cost"], one["effective_cost"], one["list_cost"]) == (Decimal("12.34"), Decimal("12.34"), None)
    assert (one["billing_account_id"], one["service_name"], one["service_provider_name"]) == (
        "vendor-1",
        "Metrics",
        "Vendor",
    )
    times = [
        one[name] for name in ("billing_period_start", "billing_period_end", "charge_period_start", "charge_period_end")
    ]
    days = [(5, 1), (6, 1), (5, 1), (5, 2)]
    assert times == [datetime(2026, month, day, tzinfo=UTC) for month, day in days]
    assert (one["tags"], one["x_columns"]) == ([("team", "web")], [("x_note", "y")])
    assert [one["billed_cost"] for one in read(tmp_path, APRIL)] == [Decimal("1.5")]


def test_a_mapping_that_an_editor_began_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    write(tmp_path, f"\ufeff{MAPPING}")
    assert [one["billed_cost"] for one in read(tmp_path)] == [Decimal("12.34")]


def test_without_a_mapping_the_refusal_says_how_to_write_one(tmp_path: Path) -> None:
    write_csv(tmp_path / "costs.csv", COSTS)
    with pytest.raises(BadData, match=r"costs\.csv: mandatory column .* in a file optiinfra-mapping\.toml beside it"):
        FOCUS.discover(account(tmp_path))


@pytest.mark.parametrize(("length", "end"), [("hour", (1, 1)), ("day", (2, 0)), ("month", (1, 0))])
def test_how_long_a_charge_lasts(tmp_path: Path, length: str, end: tuple[int, int]) -> None:
    write(tmp_path, f'charge_period = "{length}"\n{MAPPING}')
    month = 6 if length == "month" else 5
    assert read(tmp_path)[0]["charge_period_end"] == datetime(2026, month, *end, tzinfo=UTC)


def test_an_error_names_file_row_line_the_own_column_and_what_is_accepted(tmp_path: Path) -> None:
    """Months are found by dates alone, so that a wrong number stops only the month that it is in."""
    mapping = MAPPING.replace("[columns]", 'number_form = "1.234,56"\ndate_form = "DD.MM.YYYY"\n[columns]', 1)
    text = "day;cost;service\n30.04.2026;1.234,5;Logs\n01.05.2026;2,0;Logs\n02.05.2026;1.5;Logs\n"
    write(tmp_path, mapping, text)
    assert set(FOCUS.probe(account(tmp_path), {}).tokens) == {APRIL, MAY}
    said = (
        r"costs\.csv: row 3 \(line 4\), column cost \(BilledCost\): value '1\.5' is not accepted: a number in the form "
    )
    with pytest.raises(BadData, match=said):
        read(tmp_path, MAY)
    write(tmp_path, mapping, text.replace(";1.5;", ";1,5;").replace("02.05.2026", "05/02/2026"))
    said = r"costs\.csv: row 3 \(line 4\), column day \(ChargePeriodStart\): value '05/02/2026' is not accepted: a date in the form"
    with pytest.raises(BadData, match=said):
        read(tmp_path, MAY)
    write(
        tmp_path,
        mapping.replace('service = "ServiceName"', 'service = "ChargeCategory"').replace(
            'ChargeCategory = "Usage"', ""
        ),
        text,
    )
    with pytest.raises(
        BadData, match=r"column service \(ChargeCategory\): value 'Logs' is not accepted: one of Usage, "
    ):
        read(tmp_path, APRIL)


def test_a_mapping_that_changes_the_months_of_a_file_is_followed(tmp_path: Path) -> None:
    """Day and month of 03/04/2026 are told apart by the form alone: the months that a process knows are of one mapping."""
    text = "day,cost,service\n03/04/2026,1,Logs\n"
    for form, month in (("DD/MM/YYYY", 4), ("MM/DD/YYYY", 3)):
        write(tmp_path, f'date_form = "{form}"\n{MAPPING}', text)
        period = BillingPeriod(2026, month)
        assert set(FOCUS.probe(account(tmp_path), {}).tokens) == {period}
        assert [one["billed_cost"] for one in read(tmp_path, period)] == [Decimal(1)]


def test_tags_are_mapped_one_by_one_and_the_earlier_name_of_the_file_is_read(tmp_path: Path) -> None:
    write_csv(tmp_path / "costs.csv", "day,cost,team,site\n2026-05-01,1,web,\n")
    mapping = MAPPING.replace('service = "ServiceName"', 'team = ["Tags.team", "SubAccountId"]\nsite = "Tags.site"')
    (tmp_path / "focus-mapping.toml").write_text(f'{mapping}\n"Tags.env" = "prod"\n')
    (one,) = read(tmp_path)
    assert (one["tags"], one["sub_account_id"]) == ([("team", "web"), ("env", "prod")], "web")
    assert one["x_columns"] == []


def test_a_mapping_serves_its_folder_and_those_below_and_leaves_focus_files_alone(tmp_path: Path) -> None:
    write(tmp_path)
    write_csv(tmp_path / "a" / "b" / "costs.csv", COSTS)
    write(tmp_path / "c", MAPPING.replace("vendor-1", "vendor-2"))
    write_csv(tmp_path / "focus.csv", csv_text([row(BillingPeriodStart="2026-05-01")], columns("1.0")))
    found = [(one["billing_account_id"], one["billed_cost"]) for one in read(tmp_path)]
    assert found == [
        ("vendor-1", Decimal("12.34")),
        ("vendor-2", Decimal("12.34")),
        ("vendor-1", Decimal("12.34")),
        ("123456789012", Decimal("1.25")),
    ]


def test_a_changed_mapping_is_a_change_of_the_files_that_it_serves(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write_csv(tmp_path / "b" / "focus.csv", csv_text([row()], columns("1.0")))
    before = FOCUS.probe(account(tmp_path), {}).tokens
    write(tmp_path / "a", MAPPING.replace("vendor-1", "vendor-2"))
    after = FOCUS.probe(account(tmp_path), {}).tokens
    assert {period for period in before if before[period] != after[period]} == {APRIL, MAY}
    assert read(tmp_path)[0]["billing_account_id"] == "vendor-2"


def test_times_and_numbers_of_mapped_columns_are_read_as_leniently(tmp_path: Path) -> None:
    write(
        tmp_path,
        text=COSTS.replace("2026-05-01", "05/01/2026").replace("2026-04-30", "04/30/2026").replace("1.5,", "+1.5,"),
    )
    assert [one["billed_cost"] for one in read(tmp_path, APRIL)] == [Decimal("1.5")]


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("[columns", "its mapping is not accepted: .*optiinfra-mapping.toml: "),
        pytest.param("x = " + "[\n" * 50_000, "nested too deeply", id="nested"),
        pytest.param("a" + ".a" * 3000 + " = 1", "a line of more than 1000 characters", id="long"),
        pytest.param(MAPPING + "#\n" * (1 << 17), "larger than 256 KiB", id="large"),
        ('[columns]\ncost = "Cost"', "columns: 'Cost' is no column of FOCUS: use a name such as BilledCost"),
        ('[constants]\nCost = "1"', "constants: 'Cost' is no column of FOCUS"),
        (
            '[columns]\ncost = "BilledCost"\nday = "BilledCost"',
            "'cost' and 'day' are both mapped to BilledCost: keep one",
        ),
        ('[columns]\ncost = "BilledCost"\n[constants]\nBilledCost = "1"', "BilledCost has a column, 'cost', as well"),
        (
            '[columns]\nprice = "BilledCost"',
            "column 'price', which optiinfra-mapping.toml names, is missing: the columns are 'day', 'cost'",
        ),
        ('charge_period = "year"', "charge_period: Input should be 'hour', 'day' or 'month'"),
        ('number_form = "1234"', "number_form: '1234' is not accepted: write the number 1234.56 as the file does"),
        ('date_form = "TT.MM.JJJJ"', "date_form: 'TT.MM.JJJJ' is not accepted: use a pattern such as DD.MM.YYYY"),
        (
            '[constants]\nBillingCurrency = "Euro"',
            "constants: column BillingCurrency: value 'Euro' is not accepted: a currency code of three",
        ),
        ('[columns]\nTags = "Tags"\nday = "Tags.day"', "Tags: all tags and single ones are both mapped: keep one"),
        (
            '[columns]\ncost = "BiledCost"',
            "'BiledCost' is no column of FOCUS: use a name such as BilledCost, or Tags.team",
        ),
        ("extra = 1", "extra: Extra inputs are not permitted"),
        (MAPPING.replace('BillingCurrency = "USD"', ""), "mandatory column BillingCurrency is missing"),
        (MAPPING.replace('"BilledCost", "EffectiveCost"', '"BilledCost"'), "mandatory column EffectiveCost is missing"),
    ],
)
def test_a_mapping_that_is_not_accepted_says_why_and_stops_no_focus_file(
    tmp_path: Path, mapping: str, said: str
) -> None:
    write(tmp_path, mapping)
    with pytest.raises(BadData, match=said):
        FOCUS.discover(account(tmp_path))
    write_csv(tmp_path / "focus.csv", csv_text([row(BillingPeriodStart="2026-05-01")], columns("1.0")))
    assert [one["billed_cost"] for one in read(tmp_path)] == [Decimal("1.25")]


def test_names_below_a_title_and_rows_of_totals_count_for_lines_but_not_for_costs(tmp_path: Path) -> None:
    title = 'Report "May"\n\n'
    text = f"{title}day,cost,service\n2026-05-01,1,Logs\n,1,Subtotal\n2026-05-02,2,Logs\n,3,\n"
    mapping = f'{MAPPING}\n[skip]\nservice = ["Subtotal", ""]\n'
    write(tmp_path, mapping, text)
    stream = FOCUS.collect(account(tmp_path), MAY)
    assert [one["billed_cost"] for batch in stream.batches for one in batch.to_pylist()] == [Decimal(1), Decimal(2)]
    assert {one.code: one.count for one in stream.warnings} == {"lines-above": 2, "row-skipped": 2}
    write(tmp_path, mapping, text.replace("02,2,", "02,?1,"))
    with pytest.raises(BadData, match=r"costs\.csv: row 2 \(line 6\), column cost \(BilledCost\): value '\?1'"):
        read(tmp_path)
    write(tmp_path, mapping.replace("service = [", "sort = ["), text + "2026-05-02,2,Logs\n")
    with pytest.raises(BadData, match=r"column 'sort', which optiinfra-mapping\.toml names, is missing"):
        read(tmp_path)


def test_a_file_without_dates_is_of_the_day_that_the_mapping_says(tmp_path: Path) -> None:
    mapping = MAPPING.replace('day = "ChargePeriodStart"', "")
    write(tmp_path, f'{mapping}\nChargePeriodStart = "2026-05-01"\n', "cost,service\n1,Logs\n2,Logs\n")
    assert set(FOCUS.probe(account(tmp_path), {}).tokens) == {MAY}
    assert {one["charge_period_end"] for one in read(tmp_path)} == {datetime(2026, 5, 2, tzinfo=UTC)}
