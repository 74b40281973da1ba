"""Asks for exports, and reads them as a stranger would: with Python's own csv and pyarrow."""

from __future__ import annotations

import csv
import io
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
from api_server import SCRAPER
from charges import text
from loopback import eventually
from world import Customer, World

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.ingestion.collect_slice import collect_slice
from optiinfra_assets.providers import PROVIDERS

Parameters = list[tuple[str, str]]
PERIOD: Parameters = [("start", "2026-10-01"), ("end", "2026-11-01")]


def ask(world: World, token: str | None, name: str, parameters: Parameters = PERIOD, **headers: str) -> httpx.Response:
    """One request for an export, whole; headers with _ for -."""
    return world.http.get(f"{world.url}/export/{name}", params=parameters, headers=_headers(token, headers), timeout=60)


@contextmanager
def asking(world: World, token: str, name: str, parameters: Parameters = PERIOD) -> Iterator[httpx.Response]:
    """One request for an export, over a connection of its own that closes at the end, read or not."""
    with (
        httpx.Client(timeout=60) as client,
        client.stream("GET", f"{world.url}/export/{name}", params=parameters, headers=_headers(token, {})) as response,
    ):
        yield response


def counted(world: World, sample: str) -> None:
    """Wait until ``/metrics`` has this line: a request is counted when its client has its answer already."""

    def has_it() -> bool:
        return sample in world.http.get(f"{world.url}/metrics", headers=SCRAPER).text.splitlines()

    assert eventually(has_it), f"/metrics has no line {sample}"


def _headers(token: str | None, more: dict[str, str]) -> dict[str, str]:
    known = {} if token is None else {"Authorization": f"Bearer {token}"}
    return known | {"Accept-Encoding": "identity"} | {name.replace("_", "-"): value for name, value in more.items()}


def csv_rows(content: bytes) -> list[dict[str, str]]:
    """Rows of a CSV file with names; nulls are ''."""
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def parquet_rows(content: bytes) -> list[dict[str, Any]]:
    """Rows of a Parquet file."""
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(content)).to_pylist()
    return rows


def rows(customer: Customer, what: str, parameters: Parameters = PERIOD) -> list[dict[str, str]]:
    """The rows of an export, which are the same as CSV and as Parquet, as texts with '' for null and two quotes for an empty text."""
    written = [ask(customer.world, customer.token, f"{what}.{form}", parameters) for form in ("csv", "parquet")]
    assert [one.status_code for one in written] == [200, 200], written[0].text
    from_csv, from_parquet = csv_rows(written[0].content), parquet_rows(written[1].content)
    assert len(from_csv) == len(from_parquet)
    for written_text, typed in zip(from_csv, from_parquet, strict=True):
        assert written_text.keys() == typed.keys()
        assert written_text == {name: _text(value) for name, value in typed.items()}
        written_text |= {name: '""' for name, value in typed.items() if value == ""}
    return from_csv


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return text(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return "" if value is None else str(value)


def collected(world: World, customer: Customer, folder: Path, month: BillingPeriod) -> str:
    """Collect a folder of FOCUS files for `customer`; the hash of its line items."""
    account = Account(f"{customer.customer_id}.files", customer.customer_id, "focus", {"location": str(folder)})
    world.metadata.accounts.add(account)
    collect_slice(
        PROVIDERS["focus"],
        account,
        month,
        warehouse=world.warehouse,
        metadata=world.metadata,
        run_id=uuid.uuid4().hex,
        log=logging.getLogger("test"),
    )
    publication = world.warehouse.current(Slice(customer.customer_id, "focus", account.account_id, month))
    assert publication is not None
    return publication.content_hash
