"""FOCUS files for tests: well-formed ones of every version and kind, exactly spelled ones, and their sums by Python alone."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Iterable, Mapping, Sequence
from decimal import Context, Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.accounts import Account

MONEY = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
Row = dict[str, str | None]
_EXACT = Context(prec=200)


class Spelled(str):
    """A value written to a CSV file exactly as it stands, quotes and all."""


def columns(version: str = "1.0", *, only_mandatory: bool = False) -> list[str]:
    """The columns of a version of FOCUS, in the order of the specification."""
    wanted = (int(version[0]), int(version[2]))
    return [
        column.name
        for column in focus.COLUMNS
        if column.since <= wanted
        and (column.until is None or column.until >= wanted)
        and (column.mandatory or not only_mandatory)
    ]


def row(**values: str | None) -> Row:
    """One usage charge of September 2024 with every mandatory column of every version; `values` replace or add."""
    return {
        "BilledCost": "1.25",
        "BillingAccountId": "123456789012",
        "BillingAccountName": "Example",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": "2024-10-01T00:00:00Z",
        "BillingPeriodStart": "2024-09-01T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": "One hour",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": "2024-09-01T01:00:00Z",
        "ChargePeriodStart": "2024-09-01T00:00:00Z",
        "ContractedCost": "1.5",
        "EffectiveCost": "1.2",
        "HostProviderName": "Host",
        "InvoiceIssuerName": "Issuer",
        "ListCost": "2",
        "PricingQuantity": "1",
        "PricingUnit": "Hours",
        "ProviderName": "Cloud",
        "PublisherName": "Maker",
        "ServiceCategory": "Compute",
        "ServiceName": "Machines",
        "ServiceProviderName": "Seller",
    } | values


def random_rows(count: int, seed: int, **values: str | None) -> list[Row]:
    """Different charges with money of up to 18 fraction digits, negative ones among them; `values` are the same in all."""
    choose = random.Random(seed)  # noqa: S311 - test data
    rows = []
    for _ in range(count):
        digits = choose.choice([2, 6, 11, 18])
        costs = {name: str(Decimal(choose.randint(-(10**12), 10**13)).scaleb(-digits)) for name in MONEY}
        day = f"2024-09-{choose.randint(1, 29):02d}"
        times = {"ChargePeriodStart": f"{day}T05:00:00Z", "ChargePeriodEnd": f"{day}T06:00:00Z"}
        tags = {"Tags": f'{{"team": "t{choose.randint(1, 9)}", "size": {choose.randint(1, 99)}}}'}
        rows.append(row(**{**costs, **times, **tags, "ResourceId": f"r-{choose.randint(1, 50)}", **values}))
    return rows


def csv_text(
    rows: Iterable[Mapping[str, str | None]],
    names: Sequence[str] | None = None,
    *,
    null: str = "",
    line_end: str = "\n",
) -> str:
    """Rows as CSV; a value that is absent or None is written as `null`, without quotes."""
    rows = list(rows)
    names = list(names or dict.fromkeys(name for one in rows for name in one))
    lines = [",".join(_spelled(name, null) for name in names)]
    lines += [",".join(_spelled(one.get(name), null) for name in names) for one in rows]
    return line_end.join(lines) + line_end


def _spelled(value: str | None, null: str) -> str:
    if value is None:
        return null
    if isinstance(value, Spelled):
        return str(value)
    if value in ("", "NULL") or any(letter in value for letter in ',"\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value


def write_csv(path: Path, text: str, *, mark: bool = False) -> Path:
    """CSV text to a file, compressed if its name ends so; `mark` puts a byte-order mark first."""
    data = (b"\xef\xbb\xbf" if mark else b"") + text.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_parquet(
    path: Path,
    rows: Sequence[Mapping[str, str | None]],
    names: Sequence[str],
    money: pa.DataType | None = None,
    time: pa.DataType | None = None,
    **extra: pa.Array,
) -> Path:
    """Rows as Parquet: text columns, unless `money` or `time` give the type of those; `extra` adds columns as they are."""
    arrays: dict[str, pa.Array] = {}
    for name in names:
        values = pa.array([one.get(name) for one in rows], pa.string())
        kind = focus.BY_NAME[name].kind if name in focus.BY_NAME else focus.ColumnType.STRING
        if kind is focus.ColumnType.DECIMAL and money is not None:
            values = _money(values, money)
        if kind is focus.ColumnType.TIME and time is not None:
            values = pa.array([None if v is None else v.rstrip("Z") for v in values.to_pylist()]).cast(time)
        arrays[name] = values
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**arrays, **extra}), path)
    return path


def _money(values: pa.Array, kind: pa.DataType) -> pa.Array:
    numbers = [None if text is None else Decimal(text) for text in values.to_pylist()]
    if pa.types.is_floating(kind):
        return pa.array([None if number is None else float(number) for number in numbers], kind)
    return pa.array(numbers, kind)


def sums(text: str) -> dict[str, dict[str, Decimal]]:
    """By currency: exact sums of the four costs of a CSV text, and its number of rows, by Python's csv and Decimal."""
    found: dict[str, dict[str, Decimal]] = {}
    for one in csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")):
        totals = found.setdefault(one["BillingCurrency"], dict.fromkeys((*MONEY, "rows"), Decimal(0)))
        totals["rows"] += 1
        for name in MONEY:
            if one[name] not in ("", "NULL"):
                totals[name] = _EXACT.add(totals[name], Decimal(one[name]))
    return found


def account(location: Path | str, **settings: str) -> Account:
    """An account whose files lie at `location`."""
    return Account("acme.files", "acme", "focus", {"location": str(location), **settings})
