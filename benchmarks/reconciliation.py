"""What comparing costs with invoices takes: ``python -m benchmarks.reconciliation``.

Fills fresh engines with the months of some accounts, one in twenty of which has a difference, and with an invoice for each. Prints how long
the first comparison of all months takes, the next one with nothing changed, one after 1 % of the months changed, and reading a page.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from benchmarks.engines import stores
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.invoices import Invoice, InvoiceStatement
from optiinfra_assets.ingestion.reconciling import reconcile_customer
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.invoices import Months
from optiinfra_assets.warehouse.warehouse import Warehouse

MONTHS = 13
FIRST = BillingPeriod(2025, 10)
NOW = datetime(2026, 12, 20, tzinfo=UTC)
LINES = """
INSERT INTO raw_costs (
    customer_id, provider, account_id, billing_period, generation, line_number, source, is_estimated, billed_cost, billing_account_id,
    billing_currency, billing_period_end, billing_period_start, charge_category, charge_period_end, charge_period_start, effective_cost,
    invoice_id, invoice_issuer_name, service_category, service_name, service_provider_name
)
SELECT
    'acme', 'focus', concat('acme.', toString(intDiv(pair, 13))),
    toStartOfMonth(addMonths(toDate('2025-10-01'), pair % 13)) AS month,
    {first:UInt64} + pair, number % {lines:UInt64}, 'api', false, toDecimal128(number % 97, 18) / 100 + 1, '1',
    'USD', addMonths(month, 1), month, if(number % 40 = 0, 'Tax', 'Usage'), day + 1, month + number % 28 AS day, 1,
    'I-1', 'Example', 'Compute', concat('service ', toString(number % 12)), 'Example'
FROM (SELECT number, intDiv(number, {lines:UInt64}) AS pair FROM numbers({rows:UInt64}))
"""
PUBLICATIONS = """
INSERT INTO publications
SELECT
    customer_id, provider, account_id, billing_period, generation, {at:DateTime64(6)}, count(), ['USD'], [sum(billed_cost)],
    [sum(effective_cost)], [0], [0], min(toDate(charge_period_start)), max(toDate(charge_period_start)), '', '', '[]', 0, 0,
    toDateTime(addMonths(billing_period, 1), 'UTC'), true, true, 'benchmark'
FROM raw_costs
WHERE customer_id = 'acme' AND generation >= {first:UInt64}
GROUP BY customer_id, provider, account_id, billing_period, generation
"""


def publish(warehouse: Warehouse, first: int, pairs: int, lines: int) -> None:
    """Make and publish so many months, from generation `first` on."""
    values: dict[str, Any] = {"first": first, "lines": lines, "rows": pairs * lines, "at": NOW}
    warehouse.client.command(LINES, parameters=values)
    warehouse.client.command(PUBLICATIONS, parameters=values)


def state(warehouse: Warehouse, metadata: Metadata) -> None:
    """Publish an invoice for each month: what its costs come to, and for every twentieth 25 more."""
    query = "SELECT account_id, billing_period, billed_cost[1] AS billed FROM publications"
    rows = warehouse.client.query(query).result_rows
    statements = []
    for number, (account_id, period, billed) in enumerate(rows):
        slice_ = Slice("acme", "focus", account_id, BillingPeriod.of(period))
        total = billed + (25 if number % 20 == 0 else 0)
        made = Invoice(
            invoice_id="I-1", issuer="Example", billing_period=slice_.billing_period, currency="USD", total=total
        )
        statements.append((slice_, InvoiceStatement((made,))))
    metadata.many(
        "add_statement.sql",
        [
            {
                "customer_id": "acme",
                "account_id": slice_.account_id,
                "billing_period": str(slice_.billing_period),
                "origin": "source",
                "stated_at": NOW,
                "content": statement.content(),
                "sources": json.dumps([]),
                "author": None,
            }
            for slice_, statement in statements
        ],
    )


def timed(name: str, work: Callable[[], Any]) -> None:
    """Print how long `work` takes, and how much it found."""
    begin, cpu = time.perf_counter(), time.process_time()
    found = work()
    took, used = time.perf_counter() - begin, time.process_time() - cpu
    print(f"{name}: {took:.1f} s, {used:.1f} s of CPU in this process; {len(found)} comparisons")


def main() -> None:
    """Fill and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000, help="months of accounts (default: %(default)s)")
    parser.add_argument("--lines", type=int, default=100, help="line items of each (default: %(default)s)")
    options = parser.parse_args()
    with stores() as (_, warehouse, metadata):
        metadata.customers.add("acme")
        for number in range(options.pairs // MONTHS + 1):
            metadata.accounts.add(Account(f"acme.{number}", "acme", "focus", {}))
        publish(warehouse, 1, options.pairs, options.lines)
        state(warehouse, metadata)
        timed("all months", lambda: reconcile_customer(metadata, warehouse, "acme", NOW))
        timed("nothing changed", lambda: reconcile_customer(metadata, warehouse, "acme", NOW))
        publish(warehouse, options.pairs + 1, options.pairs // 100, options.lines)
        timed("1 % changed", lambda: reconcile_customer(metadata, warehouse, "acme", NOW))
        page = Months(customer_id="acme", most=500)
        timed("a page of 500", lambda: metadata.invoices.reconciliations(page))


if __name__ == "__main__":
    main()
