"""Commitments of all accounts are read and are what sources state now; an account that cannot be read keeps what it had."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.ingestion.commitment_reading import read_commitments
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers import PROVIDERS
from tests.focus_samples import columns, csv_text, row, write_csv

NOW = datetime(2026, 10, 2, tzinfo=UTC)
COMMITMENT = {
    "ContractCommitmentCategory": "Spend",
    "ContractCommitmentId": "c-1",
    "ContractCommitmentPeriodEnd": "2025-09-01T00:00:00Z",
    "ContractCommitmentPeriodStart": "2024-09-01T00:00:00Z",
    "ContractCommitmentType": "Agreement",
    "ContractId": "k-1",
    "ContractPeriodEnd": "2027-09-01T00:00:00Z",
    "ContractPeriodStart": "2024-09-01T00:00:00Z",
}


def test_commitments_are_those_that_sources_state_now(metadata: Metadata, tmp_path: Path) -> None:
    for customer in ("acme", "beta"):
        metadata.customers.add(customer)
        write_csv(tmp_path / customer / "costs.csv", csv_text([row()], columns("1.4")))
        metadata.accounts.add(Account(f"{customer}.files", customer, "focus", {"location": str(tmp_path / customer)}))

    def state(*ids: str) -> None:
        rows = [COMMITMENT | {"ContractCommitmentId": one} for one in ids]
        write_csv(tmp_path / "acme" / "commitments.csv", csv_text(rows, list(COMMITMENT)))

    def found() -> dict[str, datetime]:
        stored = metadata.commitments.find(customer_id="acme")
        return {one.commitment.commitment_id: one.stated_at for one in stored}

    def read(now: datetime) -> tuple[int, int, list[str]]:
        done = read_commitments(metadata, PROVIDERS, lambda: now)
        return done.accounts, done.changed, list(done.failures)

    later, latest = NOW.replace(day=3), NOW.replace(day=4)
    state("c-1", "c-2")
    assert read(NOW) == (2, 2, [])
    assert read(later) == (2, 0, [])
    state("c-2", "c-3")
    assert read(later) == (2, 2, [])
    assert found() == {"c-2": NOW, "c-3": later}
    write_csv(
        tmp_path / "acme" / "commitments.csv", csv_text([COMMITMENT | {"ContractPeriodEnd": "soon"}], list(COMMITMENT))
    )
    assert read(latest) == (1, 0, ["acme.files"])
    assert found() == {"c-2": NOW, "c-3": later}
    (tmp_path / "acme" / "commitments.csv").unlink()
    assert read(latest) == (2, 2, [])
    assert (found(), metadata.commitments.find(customer_id="beta")) == ({}, [])
