"""``optiinfra connect focus --preview``: how a file would be read, without a database and without an account."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Run

from tests.focus_samples import columns, csv_text, random_rows, row, write_csv, write_parquet

COSTS = "Datum;Betrag (EUR);Produkt\n01.12.2026;1.234,50;Mail\n02.12.2026;0,05;Mail\n"


def test_a_file_that_is_not_focus_is_shown_with_a_mapping_that_makes_it_one(run: Run, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "costs.csv", COSTS)
    shown = run("connect", "focus", "--preview", str(path))
    assert shown.code == 0, shown.err
    assert shown.out.startswith(
        f"{path}: not FOCUS, and no optiinfra-mapping.toml serves it: read with the proposed one\n"
    )
    for said in (
        "1234.5",
        "2026-12-02T00:00:00Z",
        "missing: BillingAccountId",
        'number_form = "1.234,56"',
        '"Datum" = "',
    ):
        assert said in shown.out, said
    found = json.loads(run("connect", "focus", "--json", "--preview", str(path)).out)
    assert [one["BilledCost"] for one in found["rows"]] == ["1234.5", "0.05"]
    (tmp_path / "optiinfra-mapping.toml").write_text(
        found["proposed"].replace('# BillingAccountId = "?"', 'BillingAccountId = "a"')
    )
    below = write_csv(tmp_path / "year" / "costs.csv", COSTS)
    read = json.loads(run("connect", "focus", "--preview", str(below), "--json").out)
    assert (read["read_as"], read["problem"]) == (f"read with {tmp_path / 'optiinfra-mapping.toml'}", "")
    assert [one["BillingAccountId"] for one in read["rows"]] == ["a", "a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (csv_text([row(), row(BilledCost="$1")], columns("1.2")), "row 2 (line 3), column BilledCost: value '$1'"),
        ("lineItem/UnblendedCost,lineItem/UsageStartDate\n1,2026-12-01\n", "a legacy Cost and Usage Report of AWS"),
        ("BillingPeriodStatus,BillingPeriodCreated\nOpen,2026-12-01\n", "is the FOCUS dataset BillingPeriod"),
    ],
)
def test_a_file_that_would_be_refused_says_why(run: Run, tmp_path: Path, text: str, said: str) -> None:
    path = write_csv(tmp_path / "costs.csv", text)
    shown = run("connect", "focus", "--preview", str(path))
    assert said in shown.err
    assert json.loads(run("connect", "focus", "--preview", str(path), "--json").out)["proposed"] is None


def test_focus_is_shown_as_it_would_be_read(run: Run, tmp_path: Path) -> None:
    rows = random_rows(9, 3, Tags='{"team": "web"}')
    path = write_parquet(tmp_path / "costs.parquet", rows, columns("1.3"))
    found = json.loads(run("connect", "focus", "--preview", str(path), "--json").out)
    assert (found["read_as"], len(found["rows"]), found["rows"][0]["Tags"]) == ("FOCUS 1.3", 5, {"team": "web"})
    assert (found["problem"], found["proposed"]) == ("", None)


def test_what_is_no_file_of_costs_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "costs.xlsx").write_bytes(b"PK")
    empty = write_csv(tmp_path / "empty.csv", "")
    cases = {
        tmp_path / "none.csv": "there is no such file",
        tmp_path: "there is no such file",
        tmp_path / "costs.xlsx": "is not accepted: the name of a file of costs ends in .csv, ",
        empty: "the file is empty",
    }
    for path, said in cases.items():
        assert said in run("connect", "focus", "--preview", str(path)).error
    assert "No such option '--preview'" in run("connect", "vultr", "--preview", str(empty)).err
