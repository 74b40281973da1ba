"""Text that a spreadsheet would run is marked, whatever the chunks; everything else stays, and the mark can be taken away again."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_api.export import spreadsheet
from optiinfra_api.export.spreadsheet import marked
from optiinfra_assets.domain.spreadsheet_text import MARKED

CELLS = st.text(st.sampled_from("=+-@\t\r'\",\nab1"), max_size=6) | st.integers(-99, 99) | st.none()
ROWS = st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=6)


def as_clickhouse(rows: list[list[str | int | None]]) -> str:
    """CSV as ClickHouse writes it: texts in quotes, numbers without, null as nothing."""
    return "".join(",".join(_cell(one) for one in row) + "\n" for row in rows)


def _cell(value: str | int | None) -> str:
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return "" if value is None else str(value)


def run(text: bytes, sizes: list[int]) -> bytes:
    """The marked text, sent in chunks of these sizes."""

    async def chunks() -> AsyncIterator[bytes]:
        start = 0
        for size in [*sizes, len(text)]:
            yield text[start : start + size]
            start += size

    async def joined() -> bytes:
        return b"".join([chunk async for chunk in marked(chunks())])

    return asyncio.run(joined())


@given(ROWS, st.lists(st.integers(0, 9), max_size=12))
def test_exactly_what_a_spreadsheet_would_run_is_marked(rows: list[list[str | int | None]], sizes: list[int]) -> None:
    found = run(as_clickhouse(rows).encode(), sizes).decode()
    expected = [
        [f"'{one}" if isinstance(one, str) and re.match(r"'*[=+\-@\t\r]", one) else one for one in row] for row in rows
    ]
    assert found == as_clickhouse(expected)
    cells = [cell for row in csv.reader(io.StringIO(found, newline="")) for cell in row]
    assert not [cell for cell in cells if cell[:1] in tuple("=+@\t\r")]
    given_cells = [str("" if one is None else one) for row in rows for one in row]
    assert [re.sub(MARKED, r"\1", cell) for cell in cells] == given_cells


def test_a_text_of_many_apostrophes_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it ends nobody knows whether a spreadsheet would run it. Looking at it anew with each chunk held up everybody else."""
    seen: list[int] = []

    def end_of_whole(text: bytes) -> int:
        seen.append(len(text))
        return found(text)

    found = spreadsheet._end_of_whole
    monkeypatch.setattr(spreadsheet, "_end_of_whole", end_of_whole)
    text = b'"' + b"'" * 500_000
    for end, expected in ((b'=1"\n', b"\"'" + text[1:]), (b'1"\n', text)):
        seen.clear()
        assert run(text + end, [1000] * 500) == expected + end
        assert sum(seen) < 3 * len(text)


def test_a_large_file_is_marked_in_every_chunk() -> None:
    line = b'"=1+1",-5,"plain","-x"\n'
    assert run(line * 5000, [7] * 100) == b'"\'=1+1",-5,"plain","\'-x"\n' * 5000
