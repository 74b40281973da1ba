"""The embedded databases of a home, with accounts that are really collected from folders of files, for the tests of backup and restore."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from orchestrated import Files

from optiinfra_assets.backup.manifest import Manifest
from optiinfra_assets.backup.take import take
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.embedded import engines
from optiinfra_assets.ingestion.collect_slice import collect_slice
from optiinfra_assets.ingestion.slice_attempt import SliceResult
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.credential_audit import Actor
from optiinfra_assets.warehouse.warehouse import Warehouse

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ACCOUNTS = ("acme.one", "acme.two")
MONTHS = ("2026-10",)


def unseen(*_: object) -> None:
    """A progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class Site:
    """Both databases of one home while they run."""

    settings: Settings
    metadata: Metadata
    warehouse: Warehouse

    @property
    def home(self) -> Path:
        return self.settings.home

    def add_accounts(self, sources: Path) -> None:
        """Two accounts of one customer, on folders of `sources`."""
        self.metadata.customers.add("acme")
        for account_id in ACCOUNTS:
            self.metadata.accounts.add(Account(account_id, "acme", "focus", {"location": str(sources / account_id)}))

    def add_secret(self) -> None:
        """A secret, which makes the master key file of the home."""
        account = self.metadata.accounts.get(ACCOUNTS[0])
        self.metadata.credentials.put(account, {"api_key": "a-secret-of-tests"}, Actor("tests", "here"))

    def collect(self, account_id: str, month: str) -> SliceResult:
        """Collect one month of one account, as a run does."""
        account = self.metadata.accounts.get(account_id)
        return collect_slice(
            PROVIDERS["focus"],
            account,
            BillingPeriod.parse(month),
            warehouse=self.warehouse,
            metadata=self.metadata,
            run_id="run",
            log=logging.getLogger(__name__),
        )

    def collect_all(self) -> None:
        """Look what the sources have, and collect every month of every account."""
        for account_id in ACCOUNTS:
            account = self.metadata.accounts.get(account_id)
            probe = PROVIDERS["focus"].probe(account, {})
            self.metadata.slices.record_probe(account_id, probe.tokens, NOW)
            for month in MONTHS:
                self.collect(account_id, month)

    def totals(self, as_of: datetime | None = None) -> dict[Slice, Decimal]:
        """The billed cost of each slice that a reader sees, summed from its rows."""
        resolved = self.warehouse.resolve("acme", as_of=as_of)
        return {
            one.slice: self.warehouse.client.query(
                "SELECT sum(billed_cost) FROM raw_costs"
                f" WHERE customer_id = '{one.slice.customer_id}' AND generation = {one.generation}"
            ).first_row[0]
            for one in resolved.publications
        }

    def back_up(self, target: Path) -> Manifest:
        return take(
            target,
            str(self.settings.postgres_url),
            self.metadata,
            self.warehouse,
            lambda: datetime.now(UTC),
            unseen,
        )


@contextmanager
def serving(home: Path) -> Iterator[Site]:
    """The databases of `home`, migrated, while the context is open."""
    home.mkdir(mode=0o700, exist_ok=True)
    with engines.serving(home) as (postgres_url, clickhouse_url):
        settings = Settings(home=home, postgres_url=postgres_url, clickhouse_url=clickhouse_url)
        with closing(Metadata.connect(settings)) as metadata, closing(Warehouse.connect(settings)) as warehouse:
            metadata.migrate()
            warehouse.migrate()
            yield Site(settings, metadata, warehouse)


def write_sources(folder: Path, extra: str = "0") -> dict[str, Decimal]:
    """Files of every account and month; `extra` is one more amount in each. Returns the sum of each account and month."""
    sums = {}
    for position, account_id in enumerate(ACCOUNTS, start=1):
        files = Files(folder / account_id)
        for month in MONTHS:
            files.write(month, month, [f"{position}.01", "0.000000000000000001", extra])
            sums[f"{account_id} {month}"] = files.total(month)
    return sums


def by_name(totals: dict[Slice, Decimal]) -> dict[str, Decimal]:
    """Totals by account and month, as `write_sources` returns them."""
    return {f"{slice_.account_id} {slice_.billing_period}": total for slice_, total in totals.items()}


def contents(home: Path) -> dict[str, str]:
    """Every file of a home with its checksum, without what holding it leaves: locks, and the logs of the databases."""
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.suffix not in (".lock", ".log")
    }
