"""Adds up the simulated files of a customer, without the platform's own readers."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from optiinfra_assets.domain.exact_amounts import exact_sum


def sums(folder: Path) -> dict[str, Decimal]:
    """Sum BilledCost by BillingCurrency over all files of a folder, without the platform's own readers."""
    totals: dict[str, Decimal] = {}
    for path in sorted(folder.iterdir()):
        for row in rows(path):
            currency = row["BillingCurrency"]
            totals[currency] = exact_sum((totals.get(currency, Decimal(0)), Decimal(row["BilledCost"])))
    return totals


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file by FOCUS column: CSV with all columns as text, Parquet with the columns of `sums` only, costs as Decimal."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield from pq.read_table(path, columns=["BillingCurrency", "BilledCost"]).to_pylist()
        return
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
        yield from csv.DictReader(file)
