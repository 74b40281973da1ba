"""Books that close, over years, clouds and currencies: ``python -m benchmarks.closed_books``.

Time goes by for every simulated cloud, in each way that an account of it can be set up, and for folders of FOCUS files in three currencies.
Each account is probed and collected twice a month, its invoices are read or, where no source states them, recorded by a person, and all
months are compared. Then single line items of closed months are dropped, doubled or changed, one a month and round. Prints how many closed
months are reconciled without a difference, how many faults turn their month to a mismatch, and how many are named by charge category and
service; and what a late refund does.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from benchmarks.engines import stores
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.errors import NothingThere
from optiinfra_assets.domain.exact_amounts import exact_sum, plain
from optiinfra_assets.domain.invoices import Invoice
from optiinfra_assets.domain.reconciliations import ReconciliationStatus, StoredReconciliation
from optiinfra_assets.ingestion.account_access import stored_context
from optiinfra_assets.ingestion.collect_slice import collect_slice
from optiinfra_assets.ingestion.invoice_reading import InvoiceReader
from optiinfra_assets.ingestion.reconciling import reconcile_customer
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.invoices import Months
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import LineItemStream
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.simulators import SIMULATORS
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.invoices import LateRefund
from optiinfra_assets.simulators.world.scenario import Scenario
from optiinfra_assets.simulators.world.world import SimulatedClock
from optiinfra_assets.vault.credential_audit import Actor
from optiinfra_assets.warehouse.warehouse import Warehouse

FIRST: Final = BillingPeriod(2025, 11)
CUSTOMER: Final = "acme"
ACTOR: Final = Actor("benchmark", "127.0.0.1")
SECRET: Final = "simulated"  # noqa: S105 - of simulated clouds
CLOUD_CURRENCIES: Final = ("USD", "EUR", "JPY")
"""In turn for the ways of a cloud, where it bills in any."""
FILE_CURRENCIES: Final = ("CHF", "EUR", "KWD")
SERVICES: Final = {"Machines": "41.07", "Disks": "7.519", "Lookups": "0.000123"}
_QUIET: Final = logging.getLogger("closed-books")


@dataclass
class Book:
    """One account, at a cloud or of files.

    Attributes:
        cloud: None for files.
        folder: of the files.
        tables: line items of the last collection of each month, and its stream.
        tokens: of the last probe of each month.
    """

    account: Account
    currency: str
    cloud: SimulatedAccount | None = None
    folder: Path = Path()
    tables: dict[BillingPeriod, tuple[pa.Table, LineItemStream]] = field(default_factory=dict)
    tokens: dict[BillingPeriod, str] = field(default_factory=dict)

    def total(self, period: BillingPeriod) -> Decimal:
        """What a month comes to, from the simulated world and not from what it answers."""
        assert self.cloud is not None
        return self.cloud.invoice_amount(period)


@dataclass
class Keeping:
    """The provider of a book, which keeps the line items of its collections."""

    book: Book

    def __getattr__(self, name: str) -> Any:
        return getattr(PROVIDERS[self.book.account.provider], name)

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        """See `Provider.collect`."""
        stream = PROVIDERS[account.provider].collect(account, billing_period, context)
        read = list(stream.batches)
        if read:
            self.book.tables[billing_period] = (pa.Table.from_batches(read), stream)
        return replace(stream, batches=iter(read))


@dataclass
class Replaying(Keeping):
    """The provider of a book, which answers with other line items, behind every check of what the source delivers."""

    table: pa.Table
    number: int

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        """See `Provider.collect`."""
        said = self.book.tables[billing_period][1]
        return LineItemStream(
            iter(self.table.to_batches()),
            f"fault {self.number}",
            data_through=said.data_through,
            is_final=said.is_final,
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """A line item that was dropped, doubled or changed."""

    period: BillingPeriod
    account_id: str
    charge_category: str
    service: str


@dataclass
class Books:
    """All accounts of one customer, and the clock of all clouds."""

    warehouse: Warehouse
    metadata: Metadata
    clock: SimulatedClock
    books: list[Book]
    faults: int = 0

    @classmethod
    def open(
        cls,
        warehouse: Warehouse,
        metadata: Metadata,
        scenario: Scenario,
        folder: Path,
        running: ExitStack,
        ways: int | None = None,
    ) -> Books:
        """Start the clouds, and connect an account of each way and folder; `ways` of a cloud at most."""
        clock = SimulatedClock(FIRST.start)
        metadata.customers.add(CUSTOMER)
        books = [*_clouds(scenario, clock, running, ways), *_folders(folder)]
        for book in books:
            stored = replace(book.account, secrets={})
            metadata.accounts.add(stored)
            if book.account.secrets:
                metadata.credentials.put(stored, book.account.secrets, ACTOR)
        return cls(warehouse, metadata, clock, books)

    def live(self, months: int, days: Sequence[int] = (2, 20)) -> None:
        """Let months go by, with a look at the sources on some of their days, and settle the last ones."""
        chance = random.Random(7)
        for number in range(months + 1):
            month = FIRST.shift(number)
            for day in days:
                self.clock.now = month.start + timedelta(days=day, hours=13)
                for book in self.books:
                    if book.cloud is None and number and day == 2:
                        write_month(book, FIRST.shift(number - 1), chance)
                self.tick()
        for days in (20, 1):  # what no source states is recorded a day after it is known
            self.clock.advance(days=days)
            self.tick()

    def tick(self) -> list[StoredReconciliation]:
        """What the schedule does: probe, collect what changed, read invoices, compare; what is new."""
        for book in self.books:
            provider, context = PROVIDERS[book.account.provider], self._context(book)
            tokens: Mapping[BillingPeriod, str] = {}
            with suppress(NothingThere):  # a folder has no files in the first month
                tokens = provider.probe(book.account, book.tokens, context).tokens
            for period in sorted(one for one, token in tokens.items() if book.tokens.get(one) != token):
                with suppress(NothingThere):  # a month before the account began
                    self.collect(book, period, Keeping(book))
            book.tokens = dict(tokens)
        InvoiceReader(self.metadata, PROVIDERS, clock=self.clock).read()
        self._record()
        return self.compare()

    def compare(self) -> list[StoredReconciliation]:
        """Compare all months, a little later; what is new."""
        self.clock.advance(minutes=1)
        return reconcile_customer(self.metadata, self.warehouse, CUSTOMER, self.clock())

    def collect(self, book: Book, period: BillingPeriod, provider: Any) -> None:
        """Collect and publish a month."""
        collect_slice(
            provider,
            book.account,
            period,
            warehouse=self.warehouse,
            metadata=self.metadata,
            run_id="benchmark",
            context=self._context(book),
            log=_QUIET,
        )

    def months(self, as_of: datetime | None = None) -> dict[tuple[str, BillingPeriod], StoredReconciliation]:
        """The comparisons of all closed months, or as they stood."""
        asked = Months(customer_id=CUSTOMER, as_of=as_of)
        found = self.metadata.invoices.reconciliations(asked)
        return {
            (one.slice.account_id, one.slice.billing_period): one
            for one in found
            if one.found.status is not ReconciliationStatus.OPEN
        }

    def report(self) -> Iterator[str]:
        """Yield a line for each account: how many closed months are exact, of how many line items and costs."""
        found = self.months()
        for book in self.books:
            mine = [one.found for key, one in found.items() if key[0] == book.account.account_id]
            exact = sum(one.status is ReconciliationStatus.RECONCILED and one.difference == 0 for one in mine)
            lines, total = sum(one.line_items for one in mine), plain(exact_sum(one.ours for one in mine))
            said = f"{exact} of {len(mine)} closed months reconciled with difference 0"
            yield f"{book.account.account_id}: {said}, {lines} line items, {total} {book.currency}"

    def refund(self, period: BillingPeriod) -> list[list[str]]:
        """Issue a late refund of a month where clouds state such; return its statuses before, after, and before as `asOf` shows them."""
        at, before = self.clock(), self.months()
        keys = []
        for book in self.books:
            key = (book.account.account_id, period)
            if (
                book.cloud is not None
                and hasattr(book.cloud, "late_refunds")
                and before[key].found.invoice_ids != (f"R-{period}",)
            ):
                book.cloud.late_refunds.append(LateRefund(period, at + timedelta(hours=1), Decimal(1250)))
                keys.append(key)
        self.clock.advance(days=1)
        self.tick()
        return [
            sorted({str(some[key].found.status) for key in keys}) for some in (before, self.months(), self.months(at))
        ]

    def spoil(self, chance: random.Random, months: int, most: int) -> list[Fault]:
        """Spoil one line item of closed months, one each, and compare."""
        faults: list[Fault] = []
        for book, number in itertools.product(self.books, range(months)):
            period = FIRST.shift(number)
            if len(faults) == most or period not in book.tables:
                continue
            wrong, category, service = spoilt(book.tables[period][0], chance)
            self.faults += 1
            self.collect(book, period, Replaying(book, wrong, self.faults))
            faults.append(Fault(period, book.account.account_id, category, service))
        self.compare()
        return faults

    def judged(self, faults: list[Fault]) -> Counter[str]:
        """How many faults turned their month to a mismatch, and were named by their largest gap."""
        found, counts = self.months(), Counter[str]()
        for one in faults:
            stored = found[one.account_id, one.period].found
            gap = stored.gaps[0] if stored.gaps else None
            counts["faults"] += 1
            counts["mismatch"] += stored.status is ReconciliationStatus.MISMATCH
            counts["named"] += bool(gap and (gap.charge_category, gap.service) == (one.charge_category, one.service))
        return counts

    def _context(self, book: Book) -> ProviderContext:
        kept = stored_context(self.metadata, book.account).snapshots
        return ProviderContext(self.clock, kept, sleep=lambda seconds: None)

    def _record(self) -> None:
        """Be the person who records the invoice of a month that no source states."""
        for (account_id, period), one in self.months().items():
            if one.found.status is not ReconciliationStatus.NOT_STATED:
                continue
            book = next(book for book in self.books if book.account.account_id == account_id)
            invoice = Invoice(
                invoice_id=f"R-{period}",
                issuer=one.found.issuer,
                billing_period=period,
                currency=one.found.currency,
                total=book.total(period),
            )
            self.metadata.invoices.record(
                Slice.of(book.account, period), invoice, self.clock(), author="a", actor=ACTOR
            )


def _clouds(scenario: Scenario, clock: SimulatedClock, running: ExitStack, ways: int | None) -> Iterator[Book]:
    for name, cloud in SIMULATORS.items():
        for mode, currency in zip(cloud.modes[:ways], itertools.cycle(CLOUD_CURRENCIES)):
            made = running.enter_context(
                cloud.make(replace(scenario, currency=currency), clock, secret=SECRET, mode=mode)
            )
            id_ = f"{CUSTOMER}.{name}{f'-{mode}' if mode else ''}"
            account = Account(id_, CUSTOMER, name, made.settings(), made.secrets(), is_simulated=True)
            yield Book(account, made.currency, made)


def _folders(folder: Path) -> Iterator[Book]:
    for currency in FILE_CURRENCIES:
        at = folder / currency
        at.mkdir()
        account = Account(f"{CUSTOMER}.files-{currency.lower()}", CUSTOMER, "focus", {"location": str(at)})
        yield Book(account, currency, folder=at)


def write_month(book: Book, period: BillingPeriod, chance: random.Random) -> None:
    """Write a month of FOCUS 1.4 files: costs, its invoice by service, and that it is closed."""
    start, end = period.start, period.end
    issued = {"InvoiceIssuerName": "Vendor", "BillingCurrency": book.currency, "InvoiceId": f"F-{period}"}
    month = {"BillingPeriodStart": _time(start), "BillingPeriodEnd": _time(end)}
    costs, sums = [], Counter[str]()
    for day, (service, price) in itertools.product(range((end - start).days), SERVICES.items()):
        amount = Decimal(price) * chance.randint(900, 1100) / 1000
        sums[service] += amount  # type: ignore[assignment]
        at = start + timedelta(days=day)
        times = {"ChargePeriodStart": _time(at), "ChargePeriodEnd": _time(at + timedelta(days=1))}
        money = dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), plain(amount))
        named = {"ServiceName": service, "ServiceCategory": "Compute", "ServiceProviderName": "Vendor"}
        fixed = {"ChargeCategory": "Usage", "BillingAccountId": "1", "HostProviderName": "Vendor"}
        costs.append({**issued, **month, **times, **money, **named, **fixed})
    grain = {"InvoiceIssueStatus": "Issued", "BillingAccountId": "1", "ChargeCategory": "Usage"}
    details = [
        {
            **issued,
            **month,
            **grain,
            "InvoiceDetailId": f"{period}-{name}",
            "InvoiceDetailGrain": f'{{"ServiceName": "{name}"}}',
            "BilledCost": plain(Decimal(total)),
        }
        for name, total in sums.items()
    ]
    closed = {**month, "BillingPeriodStatus": "Closed", "InvoiceIssuerName": "Vendor"}
    for name, rows in (("CostAndUsage", costs), ("InvoiceDetail", details), ("BillingPeriod", [closed])):
        (book.folder / name).mkdir(exist_ok=True)
        with (book.folder / name / f"{period}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def spoilt(table: pa.Table, chance: random.Random) -> tuple[pa.Table, str, str]:
    """Drop, double or change one line item that costs something; return also its charge category and service."""
    costs = table["billed_cost"].to_pylist()
    number = chance.choice([row for row, cost in enumerate(costs) if cost])
    line = table.slice(number, 1)
    rest = [table.slice(0, number), table.slice(number + 1)]
    place = table.schema.get_field_index("billed_cost")
    changed = costs[number] * chance.choice([-1, 2, 3])
    column = pa.array([changed], table.schema.field(place).type)
    more = chance.choice([[], [line, line], [line.set_column(place, table.schema.field(place), column)]])
    named = [line[name].to_pylist()[0] for name in ("charge_category", "service_name")]
    return pa.concat_tables([*rest, *more]), named[0], named[1]


def main() -> None:
    """Live, spoil, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--months", type=int, default=24, help="months that go by (default: %(default)s)")
    parser.add_argument("--faults", type=int, default=1000, help="line items to spoil (default: %(default)s)")
    options = parser.parse_args()
    with stores() as (_, warehouse, metadata), ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        books = Books.open(warehouse, metadata, Scenario.load("busy_year"), folder, running)
        begin, cpu = time.perf_counter(), time.process_time()
        books.live(options.months)
        print(f"{options.months} months: {time.perf_counter() - begin:.0f} s, {time.process_time() - cpu:.0f} s of CPU")
        for line in books.report():
            print(line)
        refunds = [" or ".join(one) for one in books.refund(FIRST.shift(options.months - 2))]
        print(f"a late refund: {refunds[0]}, then {refunds[1]}; as of before: {refunds[2]}")
        counts, chance = Counter[str](), random.Random(11)
        while counts["faults"] < options.faults:
            most = options.faults - counts["faults"]
            counts += books.judged(books.spoil(chance, options.months - 2, most))
            print(dict(counts), flush=True)


if __name__ == "__main__":
    main()
