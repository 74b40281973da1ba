"""Statements that are really slow, or really fail late: views in the place of tables, in a database of the test's own."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from api_server import serving
from charges import Charge, slice_of
from loopback import eventually
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

CORRELATION_ID = "nobody-reads-4711"
"""Of each request of `waiting`."""

SECONDS_A_LINE = 0.0003
"""With `taking_its_time`: 100,000 line items take half a minute, and more would be too much for one block."""

_MORE = """
INSERT INTO raw_costs
SELECT raw_costs.* REPLACE (numbers.number AS line_number, repeat('x', 400) AS charge_description)
FROM raw_costs, numbers(1, {rows:UInt32}) AS numbers
"""


@contextmanager
def running(settings: Settings, warehouse: Warehouse, metadata: Metadata) -> Iterator[Customer]:
    """A customer of an API of its own with one charge in October 2026."""
    with serving(settings) as url:
        world = World(settings, warehouse, metadata, url)
        customer = world.customer()
        slice_ = slice_of(customer.customer_id, "main", BillingPeriod(2026, 10))
        customer.publish(slice_, [Charge(date(2026, 10, 5), Decimal(7))])
        yield customer
        world.http.close()


def never_ending(warehouse: Warehouse, table: str) -> None:
    """Make every statement over `table` run until it is stopped, asleep nearly all the time: a third of a second over each block."""
    warehouse.client.command(f"RENAME TABLE {table} TO kept_{table}")
    numbers = "(SELECT number FROM system.numbers WHERE sleepEachRow(0.000005) = 0) AS numbers"
    warehouse.client.command(f"CREATE VIEW {table} AS SELECT kept_{table}.* FROM kept_{table}, {numbers}")


def many(warehouse: Warehouse, rows: int, failing_at: int = 0) -> None:
    """Give the one generation `rows` line items more, of half a kilobyte; reading the one numbered `failing_at` fails."""
    warehouse.client.command(_MORE, parameters={"rows": rows})
    if failing_at:
        warehouse.client.command("RENAME TABLE raw_costs TO kept_raw_costs")
        warehouse.client.command(
            f"CREATE VIEW raw_costs AS SELECT * FROM kept_raw_costs "
            f"WHERE throwIf(line_number = {failing_at}, 'a planted failure') = 0"
        )


def taking_its_time(warehouse: Warehouse) -> None:
    """Make the engine sleep `SECONDS_A_LINE` over each line item."""
    warehouse.client.command("RENAME TABLE raw_costs TO kept_raw_costs")
    warehouse.client.command(
        f"CREATE VIEW raw_costs AS SELECT * FROM kept_raw_costs WHERE sleepEachRow({SECONDS_A_LINE}) = 0"
    )


@contextmanager
def waiting(customer: Customer, target: str, body: Any = None, **headers: str) -> Iterator[None]:
    """A request whose answer nobody reads: it is sent, and at the end of the context its client is gone."""
    address = urlsplit(customer.world.url)
    content = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{'GET' if body is None else 'POST'} {target} HTTP/1.1",
        f"Host: {address.netloc}",
        f"Authorization: Bearer {customer.token}",
        "Content-Type: application/json",
        f"X-Correlation-Id: {CORRELATION_ID}",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    with socket.create_connection((str(address.hostname), address.port or 0)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        yield


def statements(warehouse: Warehouse, table: str) -> int:
    """How many statements over `table` of this test's database the engine runs now."""
    found = warehouse.client.query(
        "SELECT count() FROM system.processes WHERE current_database = currentDatabase()"
        " AND query LIKE {like:String} AND query NOT LIKE '%system.processes%'",
        parameters={"like": f"%FROM {table}%"},
    )
    return int(found.result_rows[0][0])


def wait_for_statements(warehouse: Warehouse, table: str, expected: int) -> None:
    """Wait until the engine runs `expected` statements over `table`."""
    assert eventually(lambda: statements(warehouse, table) == expected), f"not {expected} over {table}"
