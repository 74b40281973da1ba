"""The pages as they are served, with a clock that stands, and who looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

import httpx
from charges import Charge
from world import Customer, World

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.invoices import Invoice, InvoiceStatement
from optiinfra_assets.ingestion.reconciling import reconcile_customer

NOW = datetime(2026, 11, 18, 9, 30, tzinfo=UTC)
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
"""Text that a page would run if it took it for HTML."""


@dataclass(frozen=True)
class Site:
    """The pages at an address of their own, over the databases of a world."""

    world: World
    url: str

    def browser(self, **headers: str) -> httpx.Client:
        """What sends requests as a browser's page of this origin does, not signed in."""
        own = {"Origin": self.url, "Sec-Fetch-Site": "same-origin", "Accept": "text/html,*/*"}
        return httpx.Client(base_url=self.url, headers=own | headers, timeout=60)

    @contextmanager
    def signed_in(self, token: str) -> Iterator[httpx.Client]:
        """Such a browser, signed in."""
        with self.browser() as browser:
            answer = browser.post("/sign-in", data={"token": token})
            assert answer.status_code == 303, answer.text
            yield browser


def spend(customer: Customer, name: str = "main", *, is_simulated: bool = False, hostile: bool = False) -> Slice:
    """Connect an account of a customer and publish its October and November: 10 a day for Compute, 2.5 for Storage, some by tag."""
    account = Account(f"{customer.customer_id}.{name}", customer.customer_id, "aws", is_simulated=is_simulated)
    customer.world.metadata.accounts.add(account)
    slices, changes = {}, {}
    for month in (BillingPeriod(2026, 10), BillingPeriod(2026, 11)):
        last = 31 if month.month == 10 else NOW.day - 1
        days = [date(month.year, month.month, day) for day in range(1, last + 1)]
        slice_ = Slice(customer.customer_id, "aws", account.account_id, month)
        slices[slice_] = [charge for day in days for charge in _charges(day, month.month, hostile=hostile)]
        through = datetime(2026, 11, NOW.day if month.month == 11 else 1, tzinfo=UTC)
        changes[slice_] = {"data_through": through, "is_simulated": is_simulated}
    customer.publish_all(slices, changes)
    return slice_


def spend_and_state(customer: Customer) -> None:
    """`spend`, and an invoice of October that does not agree."""
    slice_ = replace(spend(customer), billing_period=BillingPeriod(2026, 10))
    made = Invoice(
        invoice_id="I-1", issuer="", billing_period=slice_.billing_period, currency="USD", total=Decimal("400")
    )
    metadata = customer.world.metadata
    metadata.invoices.publish(slice_, "source", InvoiceStatement((made,)), NOW)
    reconcile_customer(metadata, customer.world.warehouse, customer.customer_id, NOW.replace(month=12, day=5))


def _charges(day: date, month: int, *, hostile: bool) -> list[Charge]:
    text = HOSTILE if hostile else None
    more = Decimal("1.25") if month == 11 else Decimal(0)
    return [
        Charge(day, Decimal(10) + more, service=text or "Compute", region=text or "eu-west-1", resource=text or "i-1",
               sub_account=text or "dev", tags={"team": text or "web"}),
        Charge(day, Decimal("2.5"), service="Storage", region="eu-west-1", resource="disk"),
        Charge(day, Decimal("0.003"), service="Storage", currency="EUR", resource="disk"),
    ]  # fmt: skip
