"""The sample customers' files: the same for the same day, exact, plausible, labelled, and accepted by the provider as any others."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc
import pytest

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.simulators.focus_files import generator
from optiinfra_assets.simulators.focus_files.catalog import CUSTOMERS, SampleCustomer
from optiinfra_assets.simulators.focus_files.generator import FORMS
from optiinfra_assets.simulators.focus_files.sums import rows as rows_of
from optiinfra_assets.simulators.focus_files.sums import sums

TODAY = date(2026, 11, 23)


@pytest.fixture(
    scope="module", params=[one for one in CUSTOMERS if one.bills], ids=lambda customer: customer.customer_id
)
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SampleCustomer, list[Path]]:
    """A sample customer and its files."""
    customer: SampleCustomer = request.param
    return customer, generator.write(customer, tmp_path_factory.mktemp(customer.customer_id), TODAY)


def test_thirteen_months_in_every_form_say_that_they_are_simulated(
    written: tuple[SampleCustomer, list[Path]],
) -> None:
    customer, paths = written
    assert len(paths) == 13
    assert "2025-11" in paths[0].name
    assert "2026-11" in paths[-1].name
    assert all(path.name.startswith(f"{customer.customer_id}-simulated-") for path in paths)
    assert {path.name.split(".", 2)[2] for path in paths} == {form.suffix for form in FORMS}
    assert all("(simulated)" in bill.account_name for bill in customer.bills)


def test_the_same_day_gives_the_same_bytes_and_touches_nothing(
    written: tuple[SampleCustomer, list[Path]], tmp_path: Path
) -> None:
    customer, paths = written
    again = generator.write(customer, tmp_path, TODAY)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]
    times = [path.stat().st_mtime_ns for path in again]
    generator.write(customer, tmp_path, TODAY)
    assert [path.stat().st_mtime_ns for path in again] == times


def test_a_day_later_only_the_newest_file_differs(written: tuple[SampleCustomer, list[Path]], tmp_path: Path) -> None:
    customer, paths = written
    later = generator.write(customer, tmp_path, date(2026, 11, 24))
    assert [path.read_bytes() for path in later[:-1]] == [path.read_bytes() for path in paths[:-1]]
    assert later[-1].read_bytes() != paths[-1].read_bytes()


def test_another_month_leaves_no_file_of_before(written: tuple[SampleCustomer, list[Path]], tmp_path: Path) -> None:
    customer, _ = written
    generator.write(customer, tmp_path, TODAY)
    later = generator.write(customer, tmp_path, date(2027, 1, 1))
    assert sorted(tmp_path.iterdir()) == sorted(later)


def test_the_provider_reads_every_line_exactly(written: tuple[SampleCustomer, list[Path]]) -> None:
    customer, paths = written
    folder = paths[0].parent
    provider = PROVIDERS["focus"]
    account = Account(f"{customer.customer_id}.files", customer.customer_id, "focus", {"location": str(folder)})
    totals: dict[str, Decimal] = {}
    for period in provider.probe(account, {}).tokens:
        collection = provider.collect(account, period)
        for batch in collection.batches:
            for currency in pc.unique(batch["billing_currency"]).to_pylist():
                ours = pc.equal(batch["billing_currency"].cast("string"), currency)
                total = pc.sum(batch["billed_cost"].filter(ours)).as_py()
                totals[currency] = totals.get(currency, Decimal(0)) + total
        assert collection.rounding.values == 0
    assert totals == sums(folder)


def test_bills_have_what_real_ones_have(written: tuple[SampleCustomer, list[Path]]) -> None:
    _, paths = written
    rows = [row for path in paths if path.suffix != ".parquet" for row in rows_of(path)]
    categories = {row["ChargeCategory"] for row in rows}
    assert {"Usage", "Purchase", "Tax", "Credit"} <= categories
    assert any(Decimal(row["BilledCost"]) < 0 for row in rows)
    assert all(len(row["Tags"]) > 2 for row in rows if row["ResourceId"])


def test_a_commitment_is_spread_to_the_last_digit(written: tuple[SampleCustomer, list[Path]]) -> None:
    _, paths = written
    rows = [row for row in rows_of(paths[0]) if row["CommitmentDiscountId"]]
    bought = sum(Decimal(row["BilledCost"]) for row in rows)
    spread = sum(Decimal(row["EffectiveCost"]) for row in rows)
    assert bought == spread > 0
