"""The work to do: accounts to probe, slices to collect, and collections that have not ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.freshness import SKEW
from optiinfra_assets.metadata.collections import NO_FILTERS, CollectionRecord, record
from optiinfra_assets.metadata.slices import GONE, pop_slice

if TYPE_CHECKING:
    from optiinfra_assets.domain.failures import Fault


@dataclass(frozen=True, slots=True)
class DueSlice:
    """What is known of a slice that is to be collected: the token of the last probe, and how many line items the last collection read."""

    seen_token: str
    line_items: int | None


class WorkQueueRepository(Repository):
    """Finds work for the schedule and the sensors, and records the results of probes."""

    def accounts_to_probe(
        self,
        providers: Sequence[str],
        at: datetime,
        account_ids: Sequence[str] | None = None,
        *,
        is_new: bool = False,
    ) -> list[Account]:
        """Return active accounts of `providers` that are not throttled at the UTC instant `at`, those least recently tried first.

        `account_ids` limits them; None: all. `is_new` limits them to those that nobody has probed.
        """
        values = {
            "providers": list(providers),
            "at": at,
            "skew": SKEW,
            "account_ids": _listed(account_ids),
            "is_new": is_new,
        }
        return [Account(**row) for row in self._database.rows("accounts_to_probe.sql", values)]

    def record_probe_tries(self, account_ids: Sequence[str], at: datetime) -> None:
        """Store that probes of these accounts were tried at the UTC instant `at`, successful or not."""
        self._database.rows("record_probe_tries.sql", {"account_ids": list(account_ids), "at": at})

    def record_probes(self, seen: Mapping[str, Mapping[BillingPeriod, str]], at: datetime) -> None:
        """Store the tokens that probes saw at the UTC instant `at`, by account id and period; periods missing here become `GONE`."""
        rows = [
            (account_id, str(period), token) for account_id, tokens in seen.items() for period, token in tokens.items()
        ]
        accounts, periods, tokens = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
        values = {
            "account_ids": list(seen),
            "accounts": accounts,
            "periods": periods,
            "tokens": tokens,
            "gone": GONE,
            "at": at,
        }
        self._database.rows("record_probes.sql", values)

    def record_probe_errors(self, errors: Mapping[str, tuple[str, Fault]], at: datetime) -> None:
        """Store why probes failed at the UTC instant `at`: account id -> the error in one line, and whose fault it is."""
        self._database.many(
            "record_probe_error.sql",
            [
                {"account_id": one, "error": error, "fault": fault.value, "at": at}
                for one, (error, fault) in errors.items()
            ],
        )

    def record_unchanged_probes(self, account_ids: Sequence[str], at: datetime) -> None:
        """Store that probes of these accounts succeeded at the UTC instant `at` and saw nothing new."""
        self._database.rows("record_unchanged_probes.sql", {"account_ids": list(account_ids), "at": at})

    def postpone_probes(self, account_id: str, until: datetime) -> None:
        """Do not probe an account before `until` (UTC)."""
        self._database.rows("postpone_probes.sql", {"account_id": account_id, "until": until})

    def slices_to_collect(
        self, providers: Sequence[str], at: datetime, task_id: str, account_ids: Sequence[str] | None = None
    ) -> dict[Slice, DueSlice]:
        """Return due slices, without postponed ones and without those that another task has open.

        The result includes slices that `task_id` itself queued and no run took, so that a repeated call returns the same.
        """
        values = {
            "providers": list(providers),
            "at": at,
            "skew": SKEW,
            "task_id": task_id,
            "account_ids": _listed(account_ids),
        }
        rows = self._database.rows("slices_to_collect.sql", values)
        return {pop_slice(row): DueSlice(**row) for row in rows}

    def open_collections(self) -> list[CollectionRecord]:
        """Return every row of the collection history that has not ended, oldest first."""
        return [record(row) for row in self._database.rows("history.sql", {**NO_FILTERS, "is_open": True})[::-1]]

    def stuck_collections(self, queued_before: datetime, started_before: datetime) -> list[CollectionRecord]:
        """Return at most 50 open collections that do not move on: begun before `started_before`, or queued before `queued_before`, both
        UTC, while no collection has ended since."""
        values = {"queued_before": queued_before, "started_before": started_before}
        return [record(row) for row in self._database.rows("stuck_collections.sql", values)]

    def newest_record(self) -> datetime | None:
        """Return the latest UTC instant that decides what is done next; None if there is none."""
        (row,) = self._database.rows("newest_record.sql")
        return None if row["at"] is None else row["at"].astimezone(UTC)


def _listed(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)
