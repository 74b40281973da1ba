"""Reads what sources state of invoices and publishes it: the last three closed months, and every month that is not settled yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.errors import ProviderError
from optiinfra_assets.domain.invoices import SOURCE, InvoiceStatement
from optiinfra_assets.domain.reconciliations import ReconciliationStatus
from optiinfra_assets.ingestion.account_access import for_call, stored_context, with_secrets
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.invoices import Months
from optiinfra_assets.providers.base import InvoiceSource, Provider
from optiinfra_assets.providers.context import Clock, utc_now
from optiinfra_assets.providers.http.redaction import account_redactor

CLOSED_MONTHS: Final = 3
"""Closed months whose invoices are read every time: credit memos and late invoices come within them."""
MONTHS_BACK: Final = 13
"""Older months are not read any more."""
WORKERS: Final = 8
"""Accounts that are read at the same time."""
NO_API: Final = "{} states no invoices over an API: record them"

_UNSETTLED: Final = (ReconciliationStatus.PROVISIONAL, ReconciliationStatus.MISMATCH)


@dataclass(frozen=True, slots=True)
class InvoiceReading:
    """What one account answered about one month.

    Attributes:
        statement: None if it could not be read.
        error: why it could not, in one line; empty if it could.
    """

    slice: Slice
    statement: InvoiceStatement | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class ReadingSummary:
    """How many months were read, how many statements are news, and what failed."""

    read: int
    published: int
    failures: tuple[InvoiceReading, ...]


@dataclass(frozen=True, slots=True)
class InvoiceReader:
    """Reads the invoices of accounts.

    Attributes:
        providers: by name; only their accounts are read.
        run_id: the Dagster run, for the audit log of secrets; None outside a run.
        clock: gives the present UTC instant, also to the providers.
    """

    metadata: Metadata
    providers: Mapping[str, Provider]
    run_id: str | None = None
    clock: Clock = utc_now

    def read(self) -> ReadingSummary:
        """Read the invoices of all active accounts and publish those that are news."""
        now = self.clock()
        accounts = self.metadata.work_queue.accounts_to_probe(list(self.providers), now)
        due = self._due(accounts, now)
        read, published, failures = 0, 0, []
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="invoices") as threads:
            for readings in threads.map(partial(self._of_account, due), accounts):
                for one in readings:
                    read += 1
                    self.metadata.invoices.record_check(one.slice, now, one.error or None)
                    if one.statement is None:
                        failures.append(one)
                    else:
                        published += self.metadata.invoices.publish(one.slice, SOURCE, one.statement, now)
        return ReadingSummary(read, published, tuple(failures))

    def _due(self, accounts: Sequence[Account], now: datetime) -> dict[str, list[BillingPeriod]]:
        """Return the months to ask each account for, newest first: those never read, and once a UTC day also the last `CLOSED_MONTHS` and
        those that are not settled."""
        current = BillingPeriod.of(now)
        oldest = current.shift(-MONTHS_BACK)
        checks = self.metadata.invoices.checks()
        known = {(one.account_id, one.billing_period) for one in checks if one.checked_at}
        tried = {(one.account_id, one.billing_period) for one in checks if one.tried_at.date() >= now.date()}
        wanted: dict[str, set[BillingPeriod]] = defaultdict(set)
        for state in self.metadata.slices.states():
            one = state.slice
            is_recent = one.billing_period >= current.shift(-CLOSED_MONTHS)
            if state.checked_at and (is_recent or (one.account_id, one.billing_period) not in known):
                wanted[one.account_id].add(one.billing_period)
        for customer_id in {account.customer_id for account in accounts}:
            months = Months(customer_id=customer_id, first=oldest)
            for stored in self.metadata.invoices.reconciliations(months):
                if stored.found.status in _UNSETTLED:
                    wanted[stored.slice.account_id].add(stored.slice.billing_period)
        return {
            account_id: sorted(
                (one for one in periods if oldest <= one < current and (account_id, one) not in tried), reverse=True
            )
            for account_id, periods in wanted.items()
        }

    def _of_account(self, due: Mapping[str, Sequence[BillingPeriod]], account: Account) -> list[InvoiceReading]:
        provider, periods = self.providers[account.provider], due.get(account.account_id, ())
        if not isinstance(provider, InvoiceSource):
            statement = InvoiceStatement(not_stated=NO_API.format(provider.title))
            return [InvoiceReading(Slice.of(account, period), statement) for period in periods]
        return list(self._readings(provider, provider, account, periods)) if periods else []

    def _readings(
        self, provider: Provider, source: InvoiceSource, account: Account, periods: Sequence[BillingPeriod]
    ) -> Iterator[InvoiceReading]:
        opened = None
        for period in periods:
            slice_ = Slice.of(account, period)
            try:
                opened = opened or with_secrets(self.metadata, provider, account, "collect", self.run_id)
                known = replace(stored_context(self.metadata, account), clock=self.clock)
                with for_call(known, provider, opened, "collect") as context:
                    yield InvoiceReading(slice_, source.invoices(opened, period, context))
            except ProviderError as error:
                yield InvoiceReading(slice_, None, account_redactor(opened or account)(str(error)))
            except Exception as error:  # noqa: BLE001 - a bug in one provider must not end the reading of all others
                what = f"unexpected {type(error).__name__} in the invoices of {account.provider}"
                yield InvoiceReading(slice_, None, what)
