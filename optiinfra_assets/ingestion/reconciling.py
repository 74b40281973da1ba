"""Compares published costs with published invoices, and publishes what it finds of slices whose costs, invoices or status moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, Self

from optiinfra_assets.analytics.reconciliation import MonthState, assigned, doubted, located, reconcile
from optiinfra_assets.analytics.rounding import Neighbours
from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.domain.invoices import InvoiceStatement, StoredStatement, combined
from optiinfra_assets.domain.publications import PublishedGeneration
from optiinfra_assets.domain.reconciliations import (
    Agreement,
    ChargeGroup,
    Reconciliation,
    ReconciliationStatus,
    StoredReconciliation,
)
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.invoices import Months
from optiinfra_assets.warehouse.charge_sums import charge_sums
from optiinfra_assets.warehouse.warehouse import Warehouse

SLICES_AT_ONCE: Final = 500
"""Slices whose line items one statement adds up."""

_MOVING: Final = (ReconciliationStatus.OPEN, ReconciliationStatus.PROVISIONAL)
_CLOSED: Final = (ReconciliationStatus.RECONCILED, ReconciliationStatus.MISMATCH)
Key = tuple[str, str]
"""Issuer and currency."""


class NotReconciled(RuntimeError):
    """The months of some customers could not be compared."""


def reconcile_months(metadata: Metadata, warehouse: Warehouse, now: datetime) -> list[StoredReconciliation]:
    """Compare the months of all customers, as of the UTC instant `now`; return what was published, which is what is new.

    Raises:
        NotReconciled: some customers failed; all others were compared.
    """
    found: list[StoredReconciliation] = []
    failed: dict[str, Exception] = {}
    for customer in metadata.customers.find():
        try:
            found += reconcile_customer(metadata, warehouse, customer.customer_id, now)
        except Exception as error:  # noqa: BLE001 - raised below, when all others were compared
            failed[customer.customer_id] = error
    if failed:
        names, first = ", ".join([*failed][:10]), next(iter(failed.values()))
        raise NotReconciled(f"customers not reconciled: {names}: {first}") from first
    return found


def reconcile_customer(
    metadata: Metadata, warehouse: Warehouse, customer_id: str, now: datetime
) -> list[StoredReconciliation]:
    """As `reconcile_months`, for one customer."""
    months = _months(metadata, warehouse, customer_id)
    books = _Books(months)
    found: list[StoredReconciliation] = []

    def publish(chosen: Sequence[_Month]) -> None:
        for begin in range(0, len(chosen), SLICES_AT_ONCE):
            compared = list(_compared(warehouse, customer_id, chosen[begin : begin + SLICES_AT_ONCE], books, now))
            metadata.invoices.add_reconciliations(customer_id, compared)
            found.extend(compared)

    is_due = {month.slice: month.is_due(now) for month in months}
    publish([month for month in months if is_due[month.slice]])
    publish([month for month in months if not is_due[month.slice] and books.doubt(month)])
    return found


@dataclass(slots=True)
class _Month:
    """One slice with all that decides its comparisons.

    Attributes:
        published: the costs that readers see, None if there are none.
        statements: what is stated of its invoices, by origin.
        unread: why its source could not be asked; empty if it could, or was not.
        earlier: its comparisons so far, by issuer and currency.
    """

    slice: Slice
    published: PublishedGeneration | None = None
    statements: list[StoredStatement] = field(default_factory=list)
    unread: str = ""
    earlier: dict[Key, StoredReconciliation] = field(default_factory=dict)

    @property
    def made_of(self) -> tuple[int, int]:
        """Number of the generation of costs, and of the newest statement; 0 for none."""
        generation = self.published.generation if self.published else 0
        return generation, max((one.statement_id for one in self.statements), default=0)

    def is_due(self, now: datetime) -> bool:
        """Whether another comparison may find something else than the last one."""
        earlier = self.earlier.values()
        moves = any(one.found.status in _MOVING for one in earlier) and now >= self.slice.billing_period.end
        is_unread = bool(self.unread) and not self.statements
        return (
            moves
            or is_unread
            or not earlier
            or any((one.generation, one.statements) != self.made_of for one in earlier)
        )

    def state(self, now: datetime) -> MonthState:
        """What decides its statuses beside the amounts."""
        is_final = self.published is not None and self.published.is_final
        agreed = {key: one.agreed for key, one in self.earlier.items() if one.agreed}
        return MonthState(self.slice.billing_period, now, is_final, agreed)

    def compared(self, charges: Sequence[ChargeGroup], now: datetime) -> list[Reconciliation]:
        """Compare its charges with its invoices, without looking for gaps."""
        return reconcile(charges, self.stated(), self.state(now))

    def stated(self) -> InvoiceStatement | None:
        """What is stated of its invoices, None if nobody was asked yet."""
        said = combined(self.statements)
        return (
            InvoiceStatement(not_stated=f"its invoices cannot be read: {self.unread}")
            if not said and self.unread
            else said
        )

    def agreed_before(self, found: Reconciliation) -> Agreement | None:
        """When it was reconciled last by other costs and with the same invoices, None if never."""
        earlier = self.earlier.get(_key(found))
        agreed = earlier.agreed if earlier else None
        is_other = agreed is not None and agreed.generation != self.made_of[0]
        return agreed if agreed and is_other and agreed.compared_with == found.compared_with else None

    def stored(self, found: Reconciliation, now: datetime) -> StoredReconciliation:
        """Return what is published of a comparison."""
        earlier = self.earlier.get(_key(found))
        agreed = earlier.agreed if earlier else None
        if found.status is ReconciliationStatus.RECONCILED and found.compared_with is not None:
            agreed = Agreement(found.ours, found.compared_with, self.made_of[0])
        since = earlier.since if earlier and earlier.found.status is found.status else now
        return StoredReconciliation(self.slice, found, now, since, *self.made_of, agreed)

    def is_news(self, compared: Iterable[StoredReconciliation]) -> bool:
        """Whether comparisons differ from those so far."""
        return {_facts(one) for one in compared} != {_facts(one) for one in self.earlier.values()}


class _Books:
    """The newest comparisons of all closed months, to judge each by the others of its account, issuer and currency."""

    def __init__(self, months: Iterable[_Month]) -> None:
        self._found: dict[tuple[str, Key], dict[Slice, Reconciliation]] = defaultdict(dict)
        for month in months:
            self.add(month, (one.found for one in month.earlier.values()))

    def add(self, month: _Month, compared: Iterable[Reconciliation]) -> None:
        """Put the comparisons of a month in the place of its earlier ones."""
        for one in compared:
            if one.status in _CLOSED:
                self._found[month.slice.account_id, _key(one)][month.slice] = one

    def others(self, month: _Month, found: Reconciliation) -> Neighbours:
        """What the other months of a comparison state, and how they agree."""
        known = self._found[month.slice.account_id, _key(found)]
        others = (one for slice_, one in known.items() if slice_ != month.slice)
        return Neighbours.of((one.compared_with or Decimal(0), one.difference or Decimal(0)) for one in others)

    def doubt(self, month: _Month) -> bool:
        """Whether a difference that was taken for rounding is none by what the other months say since."""
        return any(
            one.found.status is ReconciliationStatus.RECONCILED
            and one.found.difference
            and self.others(month, one.found).rule_out_rounding(
                one.found.difference, one.found.line_items, one.found.currency
            )
            for one in month.earlier.values()
        )


def _months(metadata: Metadata, warehouse: Warehouse, customer_id: str) -> list[_Month]:
    months: dict[Slice, _Month] = {}

    def of(slice_: Slice) -> _Month:
        return months.setdefault(slice_, _Month(slice_))

    for published in warehouse.resolve(customer_id).publications:
        of(published.slice).published = published
    everything = Months(customer_id=customer_id)
    for statement in metadata.invoices.statements(everything):
        of(statement.slice).statements.append(statement)
    for stored in metadata.invoices.reconciliations(everything):
        of(stored.slice).earlier[_key(stored.found)] = stored
    errors = {(one.account_id, one.billing_period): one.error for one in metadata.invoices.checks() if one.error}
    for slice_, month in months.items():
        month.unread = errors.get((slice_.account_id, slice_.billing_period), "")
    return list(months.values())


def _compared(
    warehouse: Warehouse, customer_id: str, months: Sequence[_Month], books: _Books, now: datetime
) -> Iterator[StoredReconciliation]:
    """Yield the comparisons of those months of which any is news."""
    generations = {one.made_of[0] for one in months} - {0}
    sums = charge_sums(warehouse, customer_id, generations, by_day=False)
    found = [(month, month.compared(sums.get(month.made_of[0], ()), now)) for month in months]
    for month, compared in found:
        books.add(month, compared)
    look = _Look.of(warehouse, customer_id, found)
    for month, compared in found:
        stored = [month.stored(look.into(month, one, books, now), now) for one in compared]
        if month.is_news(stored):
            yield from stored


@dataclass(frozen=True, slots=True)
class _Look:
    """Looks for gaps in the sums by day of all generations that it takes for that."""

    sums: Mapping[int, Sequence[ChargeGroup]]

    @classmethod
    def of(
        cls, warehouse: Warehouse, customer_id: str, found: Iterable[tuple[_Month, Iterable[Reconciliation]]]
    ) -> Self:
        """Read the sums that comparisons need."""
        wanted = {0}
        for month, compared in found:
            for one in filter(_has_gap, compared):
                before = month.agreed_before(one)
                wanted |= {month.made_of[0], before.generation if before else 0}
        return cls(charge_sums(warehouse, customer_id, wanted - {0}, by_day=True))

    def into(self, month: _Month, found: Reconciliation, books: _Books, now: datetime) -> Reconciliation:
        """Return a comparison with its gaps, and with doubts if rounding does not explain them."""
        if not _has_gap(found):
            return found
        ours = _by_key(self.sums.get(month.made_of[0], ()))
        before = month.agreed_before(found)
        earlier = _by_key(self.sums.get(before.generation, ())).get(_key(found)) if before else None
        statement = month.stated() or InvoiceStatement()
        invoices = assigned(statement.invoices, ours).get(_key(found), [])
        charges = ours.get(_key(found), [])
        found = located(found, charges, invoices, statement.not_in_costs, earlier)
        return doubted(found, charges, invoices, statement.not_in_costs, books.others(month, found), month.state(now))


def _has_gap(found: Reconciliation) -> bool:
    return bool(found.difference) and found.status is not ReconciliationStatus.OPEN


def _by_key(charges: Iterable[ChargeGroup]) -> dict[Key, list[ChargeGroup]]:
    found: dict[Key, list[ChargeGroup]] = defaultdict(list)
    for one in charges:
        found[one.issuer, one.currency].append(one)
    return found


def _key(found: Reconciliation) -> Key:
    return found.issuer, found.currency


def _facts(one: StoredReconciliation) -> tuple[Reconciliation, int, int]:
    return one.found, one.generation, one.statements
