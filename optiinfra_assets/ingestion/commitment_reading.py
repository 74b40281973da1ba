"""Reads the commitments that the sources of all accounts state, and stores what they are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.domain.commitments import Commitment
from optiinfra_assets.domain.errors import ProviderError
from optiinfra_assets.ingestion.account_access import for_call, stored_context, with_secrets
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers.base import CommitmentSource, Provider
from optiinfra_assets.providers.context import Clock
from optiinfra_assets.providers.http.redaction import account_redactor


@dataclass(slots=True)
class CommitmentsRead:
    """How many accounts were read, how many commitments are new, changed or gone, and by account id why one could not be read."""

    accounts: int = 0
    changed: int = 0
    failures: dict[str, str] = field(default_factory=dict)


def read_commitments(
    metadata: Metadata, providers: Mapping[str, Provider], clock: Clock, run_id: str | None = None
) -> CommitmentsRead:
    """Read the commitments of all active accounts whose providers state them. One that cannot be read keeps those that are stored."""
    result, now = CommitmentsRead(), clock()
    for account in metadata.work_queue.accounts_to_probe(list(providers), now):
        provider = providers[account.provider]
        if not isinstance(provider, CommitmentSource):
            continue
        try:
            found = _read(metadata, provider, provider, account, clock, run_id)
        except ProviderError as error:
            result.failures[account.account_id] = account_redactor(account)(str(error))
            continue
        result.accounts += 1
        result.changed += metadata.commitments.replace(account, found, now)
    return result


def _read(
    metadata: Metadata, provider: Provider, source: CommitmentSource, account: Account, clock: Clock, run_id: str | None
) -> list[Commitment]:
    opened = with_secrets(metadata, provider, account, "collect", run_id)
    known = replace(stored_context(metadata, account), clock=clock)
    with for_call(known, provider, opened, "collect") as context:
        return source.commitments(opened, context)
