"""Every cloud, and FOCUS files in three currencies, over some months: the books close exactly, and no fault stays unseen."""

from __future__ import annotations

import random
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from pathlib import Path

from benchmarks.closed_books import FIRST, Books
from optiinfra_assets.domain.reconciliations import ReconciliationStatus
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.simulators.world.scenario import Scenario, ScenarioResource
from optiinfra_assets.warehouse.warehouse import Warehouse

WEB = ScenarioResource("6e1f-web", "web (simulated)", "compute", "standard-2", "fra", "main", Decimal("0.50"))
DISK = ScenarioResource("disk", "disk (simulated)", "storage", "object", "fra", "main", Decimal("0.13"))


def test_books_of_all_sources_close_exactly_and_show_every_fault(
    warehouse: Warehouse, metadata: Metadata, tmp_path: Path
) -> None:
    """The two years that `benchmarks.closed_books` measures, as two months: faults of one line item, and a late refund."""
    scenario = Scenario("books", date(2025, 11, 1), (WEB, DISK), (), tax_rate=Decimal("0.2"))
    with ExitStack() as running:
        books = Books.open(warehouse, metadata, scenario, tmp_path, running, ways=1)
        books.live(2, days=(2,))
        found = books.months()
        wrong = {key: one.found for key, one in found.items() if one.found.difference != 0}
        assert not wrong
        assert {one.found.status for one in found.values()} == {ReconciliationStatus.RECONCILED}
        assert {(book.account.account_id, FIRST) for book in books.books} <= found.keys()
        assert {"CHF", "EUR", "KWD", "USD"} <= {one.found.currency for one in found.values()}
        assert books.refund(FIRST.shift(1)) == [["reconciled"], ["mismatch"], ["reconciled"]]
        faults = books.spoil(random.Random(3), 1, 100)  # noqa: S311 - draws line items
        counts = books.judged(faults)
    assert counts["faults"] == counts["mismatch"] == counts["named"] == len(books.books)
