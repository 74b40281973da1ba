"""The commitments that sources state, as they are now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from psycopg.types.json import Jsonb

from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.domain.commitments import Commitment, StoredCommitment


class CommitmentRepository(Repository):
    """Stores and finds commitments."""

    def replace(self, account: Account, commitments: Iterable[Commitment], now: datetime) -> int:
        """Make `commitments` those of an account; return how many are new, changed or gone."""
        rows = [{"commitment_id": one.commitment_id, "content": one.content()} for one in commitments]
        values = {"account_id": account.account_id, "customer_id": account.customer_id, "now": now}
        return len(self._database.rows("commitments_replace.sql", {**values, "commitments": Jsonb(rows)}))

    def find(
        self,
        *,
        customer_id: str,
        account_id: str | None = None,
        first: int | None = None,
        after: tuple[str, str] | None = None,
    ) -> list[StoredCommitment]:
        """Return at most `first` commitments (None: all) by account and id, with those above `after`."""
        after_account, after_id = after or (None, None)
        values = {"customer_id": customer_id, "account_id": account_id, "first": first}
        rows = self._database.rows("commitments.sql", {**values, "after_account": after_account, "after_id": after_id})
        return [StoredCommitment(row["account_id"], Commitment.of(row["content"]), row["stated_at"]) for row in rows]
