"""`optiinfra reconcile` on a running API: what agrees with its invoices, what does not and where, in tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from api_server import serving
from charges import Charge, slice_of
from command_line import Run
from world import Customer, World

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.invoices import Invoice, InvoicePart, InvoiceStatement
from optiinfra_assets.ingestion.reconciling import reconcile_customer
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

OCTOBER = BillingPeriod(2026, 10)
NOW = datetime(2026, 12, 5, tzinfo=UTC)


@pytest.fixture
def asked(settings: Settings, connected: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The command line beside an API of the same databases: an account that agrees, one that does not, one that nobody states."""
    warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
    customer = Customer(World(settings, warehouse, metadata, ""), "acme", "")
    metadata.customers.add("acme")
    for name, total in (("good", "30"), ("wrong", "42.5"), ("unstated", None)):
        metadata.accounts.add(Account(f"acme.{name}", "acme", "focus"))
        slice_ = slice_of("acme", name, OCTOBER)
        customer.publish(slice_, [Charge(date(2026, 10, day), Decimal(10), service="Compute") for day in (1, 2, 3)])
        if total is not None:
            part = InvoicePart("Usage", Decimal(total), "Compute")
            made = Invoice(
                invoice_id=name, issuer="", billing_period=OCTOBER, currency="USD", total=part.amount, parts=(part,)
            )
            metadata.invoices.publish(slice_, "source", InvoiceStatement((made,)), NOW)
    reconcile_customer(metadata, warehouse, "acme", NOW)
    warehouse.close()
    metadata.close()
    with serving(settings) as url:
        monkeypatch.setenv("OPTIINFRA_API_PORT", str(urlsplit(url).port))
        yield connected


def test_the_month_is_printed_with_what_does_not_agree_and_where(asked: Run) -> None:
    shown = asked("reconcile", "--month", "2026-10")
    assert shown.code == 0, shown.err
    head, *rows = shown.out.splitlines()
    assert head == "2026-10: 1 mismatch, 1 not stated, 1 reconciled"
    assert [row.split()[0] for row in rows[1:4]] == ["acme.good", "acme.unstated", "acme.wrong"]
    assert "the difference is larger than rounding can be" in rows[3]
    assert rows[-1].split()[:4] == ["acme.wrong", "Usage", "Compute", "not"]
    assert "-12.50" in rows[-1]
    content = json.loads(asked("reconcile", "--month", "2026-10", "--account", "acme.wrong", "--json").out)
    (one,) = content["comparisons"]
    assert (one["status"], one["difference"]["amount"]) == ("MISMATCH", "-12.5")
    assert asked("reconcile", "--month", "2026-09").out.startswith("2026-09: nothing is compared")
    refused = asked("reconcile", "--month", "October")
    assert (refused.code, "use last, or a month as 2026-10" in refused.err) == (2, True)
