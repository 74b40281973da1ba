"""Statements are put together from their file and the fragments that it includes."""

from __future__ import annotations

from pathlib import Path

import pytest

from optiinfra_assets.database import sql_files


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_fragment_stands_where_it_is_included(tmp_path: Path) -> None:
    written(tmp_path / "columns.sql", "-- Two columns.\na,\nb AS c\n")
    written(tmp_path / "filter.sql", "-- One customer.\nWHERE customer_id = 'x'\n    AND a > 0\n")
    path = written(
        tmp_path / "read.sql",
        "-- Rows.\nSELECT\n    -- include: columns,\n    d\nFROM t\n-- include: filter\nLIMIT 1\n",
    )
    assert sql_files.statement(path, tmp_path) == (
        "SELECT\n    a,\n    b AS c,\n    d\nFROM t\nWHERE customer_id = 'x'\n    AND a > 0\nLIMIT 1"
    )


def test_a_statement_may_begin_with_a_fragment(tmp_path: Path) -> None:
    written(tmp_path / "head.sql", "-- Everything.\nSELECT *\n")
    path = written(tmp_path / "all.sql", "-- Rows.\n-- include: head\nFROM t\n")
    assert sql_files.statement(path, tmp_path) == "SELECT *\nFROM t"


@pytest.mark.parametrize("name", ["filtre", "filter of t", ""])
def test_a_fragment_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    written(tmp_path / "filter.sql", "-- One customer.\nWHERE customer_id = 'x'\n")
    path = written(tmp_path / "read.sql", f"-- Rows.\nSELECT * FROM t\n-- include: {name}\n")
    with pytest.raises(FileNotFoundError) as raised:
        sql_files.statement(path, tmp_path)
    said = str(raised.value)
    assert said.startswith(f"{path}: include: {name!r} is not a fragment: use filter, ")
    assert "line_item_columns" in said


def test_a_description_is_the_header_and_no_include() -> None:
    said = sql_files.description("clickhouse", "derived", "cost_by_day.sql")
    assert said == "cost_by_day of some generations: day x currency. Source: raw_costs."
