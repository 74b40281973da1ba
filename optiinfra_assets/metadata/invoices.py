"""Versions of what is stated of invoices, when sources were asked for it, and the comparisons of costs with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from optiinfra_assets.database.postgres import Repository, Row
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.domain.invoices import PERSON, Invoice, InvoiceStatement, StoredStatement
from optiinfra_assets.domain.reconciliations import (
    Agreement,
    Reconciliation,
    ReconciliationStatus,
    StoredReconciliation,
    read_gaps,
    written_gaps,
)
from optiinfra_assets.vault.credential_audit import Actor, by


@dataclass(frozen=True, slots=True, kw_only=True)
class Months:
    """Which months of a customer are asked for.

    Attributes:
        account_ids: None: all.
        first: earliest billing period, inclusive; None: no bound.
        last: latest billing period, inclusive; None: no bound.
        as_of: as they stood at this instant (inclusive); None: as they stand.
        after: key of the row that they come after: period, account id, and origin, or issuer and currency. None: from the newest.
        most: most rows; None: all.
        status: only comparisons with this status; None: all.
    """

    customer_id: str
    account_ids: Sequence[str] | None = None
    first: BillingPeriod | None = None
    last: BillingPeriod | None = None
    as_of: datetime | None = None
    after: tuple[str, ...] | None = None
    most: int | None = None
    status: str | None = None

    @classmethod
    def of(cls, slice_: Slice) -> Months:
        """The one month of a slice."""
        period = slice_.billing_period
        return cls(customer_id=slice_.customer_id, account_ids=[slice_.account_id], first=period, last=period)

    def values(self) -> Row:
        """Return the parameters of a statement."""
        return {
            "customer_id": self.customer_id,
            "account_ids": None if self.account_ids is None else list(self.account_ids),
            "first": str(self.first) if self.first else None,
            "last": str(self.last) if self.last else None,
            "as_of": self.as_of,
            "after": list(self.after) if self.after else None,
            "most": self.most,
            "status": self.status,
        }


@dataclass(frozen=True, slots=True)
class InvoiceCheck:
    """When the source of an account was asked for the invoices of a period. Times are UTC.

    Attributes:
        checked_at: when it last answered, None if never.
        error: why it did not answer since, None if it did.
    """

    account_id: str
    billing_period: BillingPeriod
    tried_at: datetime
    checked_at: datetime | None
    error: str | None


class InvoiceRepository(Repository):
    """Reads and writes invoices and comparisons."""

    def statements(self, months: Months) -> list[StoredStatement]:
        """Return the newest version of each slice and origin, by account and month."""
        return [
            _statement(months.customer_id, row)
            for row in self._database.rows("invoice_statements.sql", months.values())
        ]

    def statements_of(self, months: Months, *, customer_id: str) -> list[StoredStatement]:
        """As `statements`, of the months of a customer whoever `months` names."""
        return self.statements(replace(months, customer_id=customer_id))

    def reconciliations_of(self, months: Months, *, customer_id: str) -> list[StoredReconciliation]:
        """As `reconciliations`, of the months of a customer whoever `months` names."""
        return self.reconciliations(replace(months, customer_id=customer_id))

    def publish(
        self, slice_: Slice, origin: str, statement: InvoiceStatement, at: datetime, author: str | None = None
    ) -> bool:
        """Publish what is stated of a slice at the UTC instant `at`; return whether it is news. What is equal publishes nothing."""
        before = next((one for one in self.statements(Months.of(slice_)) if one.origin == origin), None)
        content = statement.content()
        if before is not None and before.statement.content() == content:
            return False
        values = {
            "customer_id": slice_.customer_id,
            "account_id": slice_.account_id,
            "billing_period": str(slice_.billing_period),
            "origin": origin,
            "stated_at": at,
            "content": content,
            "sources": json.dumps([dict(one) for one in statement.sources]),
            "author": author,
        }
        self._database.rows("add_statement.sql", values)
        return True

    def record(self, slice_: Slice, invoice: Invoice, at: datetime, *, author: str, actor: Actor) -> InvoiceStatement:
        """Add an invoice to those that people recorded of a slice, in the place of one with the same id and issuer; return all of them."""
        with self._database.transaction():
            self._database.rows("lock_customer.sql", {"customer_id": slice_.customer_id})
            newest = [one for one in self.statements(Months.of(slice_)) if one.origin == PERSON]
            before = newest[0].statement if newest else InvoiceStatement()
            key = (invoice.issuer, invoice.invoice_id)
            kept = [one for one in before.invoices if (one.issuer, one.invoice_id) != key]
            statement = replace(before, invoices=(*kept, invoice))
            if self.publish(slice_, PERSON, statement, at, author):
                detail = f"{slice_.billing_period} {invoice.invoice_id}: {plain(invoice.total)} {invoice.currency}"
                values = {"customer_id": slice_.customer_id, "account_id": slice_.account_id, "detail": detail}
                self._database.rows("record_invoice.sql", values | by(actor))
        return statement

    def record_check(self, slice_: Slice, at: datetime, error: str | None = None) -> None:
        """Store that a source was asked at the UTC instant `at`, and why it did not answer."""
        values = {"account_id": slice_.account_id, "billing_period": str(slice_.billing_period)}
        self._database.rows("record_invoice_check.sql", values | {"at": at, "error": error})

    def checks(self, account_ids: Sequence[str] | None = None) -> list[InvoiceCheck]:
        """Return when sources were asked; None: of all accounts."""
        listed = None if account_ids is None else list(account_ids)
        rows = self._database.rows("invoice_checks.sql", {"account_ids": listed})
        return [InvoiceCheck(**{**row, "billing_period": BillingPeriod.parse(row["billing_period"])}) for row in rows]

    def reconciliations(self, months: Months) -> list[StoredReconciliation]:
        """Return the newest comparison of each slice: one for each issuer and currency, newest months first."""
        return [
            _reconciliation(months.customer_id, row)
            for row in self._database.rows("reconciliations.sql", months.values())
        ]

    def news(self, period: BillingPeriod) -> str:
        """Return a text that is another one once an invoice is stated, or costs of a month before `period` are published; '' so far."""
        (row,) = self._database.rows("reconciliation_news.sql", {"period": str(period)})
        return " ".join(str(one) for one in (row["statement_id"], row["published_at"]) if one)

    def add_reconciliations(self, customer_id: str, compared: Iterable[StoredReconciliation]) -> None:
        """Publish comparisons of a customer; those of a slice replace all earlier ones of it."""
        rows = [_row(one) for one in compared]
        if rows:
            values = {"customer_id": customer_id, "rows": json.dumps(rows)}
            self._database.rows("add_reconciliations.sql", values)


def _statement(customer_id: str, row: Row) -> StoredStatement:
    slice_ = Slice(customer_id, row["provider"], row["account_id"], BillingPeriod.parse(row["billing_period"]))
    statement = InvoiceStatement.of(row["content"], json.loads(row["sources"]))
    return StoredStatement(slice_, row["origin"], row["statement_id"], row["stated_at"], statement, row["author"])


_FOUND = tuple(one.name for one in fields(Reconciliation))
_AMOUNTS = frozenset({"ours", "stated", "not_in_costs", "difference", "tolerance", "unassigned_cost", "moved"})


def _row(one: StoredReconciliation) -> dict[str, Any]:
    found = {name: getattr(one.found, name) for name in _FOUND}
    found |= {name: _text(found[name]) for name in _AMOUNTS}
    agreed = one.agreed
    return {
        **found,
        "slice": str(one.slice),
        "provider": one.slice.provider,
        "account_id": one.slice.account_id,
        "billing_period": str(one.slice.billing_period),
        "compared_at": one.compared_at.isoformat(),
        "since": one.since.isoformat(),
        "generation": one.generation,
        "statements": one.statements,
        "invoice_ids": list(one.found.invoice_ids),
        "gaps": written_gaps(one.found.gaps),
        "agreed_ours": _text(agreed.ours) if agreed else None,
        "agreed_with": _text(agreed.compared_with) if agreed else None,
        "agreed_generation": agreed.generation if agreed else None,
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _reconciliation(customer_id: str, row: Row) -> StoredReconciliation:
    found = {name: row[name] for name in _FOUND}
    found |= {
        "invoice_ids": tuple(row["invoice_ids"]),
        "status": ReconciliationStatus(row["status"]),
        "gaps": read_gaps(row["gaps"]),
    }
    has_agreed = row["agreed_ours"] is not None
    return StoredReconciliation(
        slice=Slice(customer_id, row["provider"], row["account_id"], BillingPeriod.parse(row["billing_period"])),
        found=Reconciliation(**found),
        compared_at=row["compared_at"],
        since=row["since"],
        generation=row["generation"],
        statements=row["statements"],
        agreed=Agreement(row["agreed_ours"], row["agreed_with"], row["agreed_generation"]) if has_agreed else None,
    )
