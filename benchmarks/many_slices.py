"""A customer with 100,000 slices beside a small one: how long its totals take, and what that costs the other.

``python -m benchmarks.many_slices`` fills fresh engines, starts the API on loopback, and prints, in milliseconds: totals of the large one,
asked for the first time, for another period, again, and after a publication; then p50 and p99 of the small one alone, and while the large
one asks without pause for periods that nobody asked for.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks.engines import stores
from benchmarks.queries import Times, asking
from benchmarks.serving import serving
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.warehouse.warehouse import Warehouse

MONTHS = 13
END = date(2026, 12, 1)
TOTAL = '{ totalCost(period: {start: "%s", end: "%s"}) { totals { cost { amount currency } lineItems } publishedAt } }'
DAYS = """
INSERT INTO cost_by_day
SELECT
    {customer:String}, 'aws', concat({customer:String}, '.', toString(intDiv(number, 390))),
    {first:UInt64} + intDiv(number, 30), toStartOfMonth(addMonths(toDate('2025-11-01'), intDiv(number, 30) % 13)) AS month,
    month + number % 30 % toDayOfMonth(toLastDayOfMonth(month)), 'USD',
    toDecimal128(number % 1000, 18) / 7, toDecimal128(number % 900, 18) / 3, 1, 1, 0, 0, 10
FROM numbers({rows:UInt64})
"""
PUBLICATIONS = """
INSERT INTO publications
SELECT
    customer_id, provider, account_id, billing_period, generation, {at:DateTime64(6)}, sum(line_items), ['USD'], [sum(billed_cost)],
    [sum(effective_cost)], [sum(list_cost)], [sum(contracted_cost)], min(charge_date), max(charge_date), '', '', '[]', 0, 0,
    toDateTime(max(charge_date), 'UTC') + toIntervalDay(1), true, true, 'benchmark'
FROM cost_by_day
WHERE customer_id = {customer:String} AND generation >= {first:UInt64}
GROUP BY customer_id, provider, account_id, billing_period, generation
"""


def fill(warehouse: Warehouse, metadata: Metadata, customer_id: str, first: int, slices: int) -> str:
    """Make and publish `slices` slices of a customer, whose generations begin with `first`; returns a token."""
    publish(warehouse, customer_id, first, slices)
    metadata.customers.add(customer_id)
    account_id = f"{customer_id}.0"
    metadata.accounts.add(Account(account_id, customer_id, "aws", {}))
    slice_ = Slice(customer_id, "aws", account_id, BillingPeriod(2026, 11))
    metadata.slices.record_collection(slice_, "", datetime.now(UTC), generation=first + slices)
    return metadata.tokens.issue("benchmark", customer_id, "viewer").plaintext


def publish(warehouse: Warehouse, customer_id: str, first: int, slices: int) -> None:
    """Insert the days of `slices` slices and their publications."""
    values = {"customer": customer_id, "first": first, "rows": slices * 30, "at": datetime.now(UTC)}
    warehouse.client.command(DAYS, parameters=values)
    warehouse.client.command(PUBLICATIONS, parameters=values)


def timed(ask: Callable[[], None]) -> float:
    """Milliseconds that `ask` takes."""
    begin = time.perf_counter()
    ask()
    return (time.perf_counter() - begin) * 1000


def total(days: int, end: date = END) -> dict[str, str]:
    """The total of the days before `end`."""
    return {"query": TOTAL % (end - timedelta(days=days), end)}


def measure(url: str, warehouse: Warehouse, metadata: Metadata, large: str, small: str, rounds: int) -> None:
    """Print all figures."""
    with asking(url, "/graphql", large, total(365)) as first, asking(url, "/graphql", small, total(30)) as neighbour:
        print(f"large, asked for the first time since the start: {timed(first):.0f}")
        for days in (30, 90, 200):
            with asking(url, "/graphql", large, total(days)) as other:
                print(f"large, another period, {days} days: {timed(other):.0f}")
        again = Times(sorted(timed(first) for _ in range(rounds)))
        print(f"large, again: p50 {again.percentile(0.5):.1f}, p99 {again.percentile(0.99):.1f}")
        for number in range(3):
            slice_ = Slice("large", "aws", "large.0", BillingPeriod(2026, 11))
            attempt = metadata.slices.start_generation(slice_, "benchmark")
            publish(warehouse, "large", 200_000 + number * 13, 13)
            metadata.slices.finish_generation(attempt, "published")
            metadata.slices.record_collection(slice_, "", datetime.now(UTC), generation=200_013 + number * 13)
            print(f"large, after a publication of 13 slices: {timed(first):.0f}")
        alone = Times(sorted(timed(neighbour) for _ in range(rounds * 5)))
        done = threading.Event()
        asker = threading.Thread(target=_without_pause, args=(url, large, done))
        asker.start()
        beside = Times(sorted(timed(neighbour) for _ in range(rounds * 5)))
        done.set()
        asker.join()
        for name, found in (("alone", alone), ("while the large one asks without pause", beside)):
            print(f"small, {name}: p50 {found.percentile(0.5):.1f}, p99 {found.percentile(0.99):.1f}")


def _without_pause(url: str, token: str, done: threading.Event) -> None:
    days = 30
    while not done.is_set():
        days = days % 360 + 1
        with asking(url, "/graphql", token, total(days)) as ask:
            ask()


def main() -> None:
    """Fill, serve, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=100_000, help="of the large customer (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=60, help="requests to each (default: %(default)s)")
    options = parser.parse_args()
    with stores() as (settings, warehouse, metadata), Path("/dev/null").open("wb") as log:
        large = fill(warehouse, metadata, "large", 1, options.slices)
        small = fill(warehouse, metadata, "small", 500_000, 26)
        with serving("optiinfra_api", settings, log=log, keeps=True) as (url, _):
            measure(url, warehouse, metadata, large, small, options.rounds)


if __name__ == "__main__":
    main()
