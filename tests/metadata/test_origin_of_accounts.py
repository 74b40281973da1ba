"""Accounts from before it was stored who gave them: the audit log decides, and whoever it does not show is the operator."""

from __future__ import annotations

import psycopg
import pytest

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings, project_file
from optiinfra_assets.vault.credential_audit import Actor

MIGRATION = next(project_file("sql", "postgres", "migrations").glob("*_accounts_origin.sql")).read_text()


@pytest.mark.parametrize(
    ("actors", "expected"),
    [
        ([], (True, True)),
        ([("connect", "create")], (True, True)),
        ([("operator", "create")], (True, True)),
        ([("customer", "create")], (False, False)),
        ([("connect", "create"), ("customer", "update")], (False, False)),
        ([("connect", "create"), ("customer", "rotate")], (True, False)),
        ([("connect", "create"), ("customer", "reveal"), ("customer", "delete")], (True, True)),
        ([("connect", "create"), ("somebody-forgotten", "update")], (False, False)),
    ],
)
def test_existing_accounts(
    metadata: Metadata, settings: Settings, actors: list[tuple[str, str]], expected: tuple[bool, bool]
) -> None:
    metadata.customers.add("acme")
    account = metadata.accounts.add(Account("acme.main", "acme", "focus", {"location": "/data"}))
    tokens = {
        "operator": metadata.tokens.issue("all", None, "admin").token.token_id,
        "customer": metadata.tokens.issue("own", "acme", "admin").token.token_id,
    }
    for actor, action in actors:
        metadata.credentials.note(Actor(tokens.get(actor, actor), "here"), action, account)  # type: ignore[arg-type]
    with psycopg.connect(str(settings.postgres_url)) as connection:
        connection.execute(
            "ALTER TABLE optiinfra.accounts DROP COLUMN settings_by_operator, DROP COLUMN secrets_by_operator"
        )
        connection.execute(MIGRATION.encode())
    found = metadata.accounts.get("acme.main")
    assert (found.settings_by_operator, found.secrets_by_operator) == expected
