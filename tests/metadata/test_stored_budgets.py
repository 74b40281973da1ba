"""Budgets that were stored before all currencies counted: the migration leaves what they count as it was, and what is broken alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb

from optiinfra_assets.database import migrations
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings, project_file

BEFORE = "0073_currencies_of_budgets.sql"


def test_a_stored_budget_counts_what_it_counted(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(project_file("sql", "postgres", "migrations"), copied)
    for path in copied.iterdir():
        if path.name >= BEFORE:
            path.unlink()
    original: Callable[..., Path] = project_file
    monkeypatch.setattr(
        migrations,
        "project_file",
        lambda *parts: copied if parts == ("sql", "postgres", "migrations") else original(*parts),
    )
    metadata = Metadata.connect(settings)
    metadata.migrate()
    metadata.customers.add("acme")
    filters = ({"service": ["Compute"]}, {"service": ["Storage"], "tag": {"key": "team", "values": [None]}})
    plain = Budget("all", Cadence.MONTHLY, Decimal(5), "USD")
    narrow = Budget("narrow", Cadence.YEARLY, Decimal("7.5"), "EUR", filters=filters)
    definitions = {
        "all": plain.stored(),
        "narrow": narrow.stored(),
        "nothing": {},
        "odd": {"filters": {}, "currency": 3},
    }
    by = {"now": datetime(2026, 4, 1, tzinfo=UTC), "actor": "a", "author_name": "a", "origin": "o", "detail": ""}
    for name, definition in definitions.items():
        values = {"customer_id": "acme", "name": name, "budget_id": name, "definition": Jsonb(definition)}
        metadata.rows("save_budget.sql", values | by)
    monkeypatch.undo()
    metadata.migrate()
    found = {one.budget.name: one for one in metadata.budgets.find(customer_id="acme")}
    assert found["all"].budget.filters == ({"currency": ["USD"]},)
    assert found["narrow"].budget.filters == tuple(one | {"currency": ["EUR"]} for one in filters)
    assert [one.currencies for one in found["narrow"].budget.charges] == [("EUR",), ("EUR",)]
    assert {name for name, one in found.items() if one.problem} == {"nothing", "odd"}
    assert metadata.budgets.find(customer_id="acme", budget_id="odd")[0].problem is not None
    history = metadata.budgets.changes(["all"], customer_id="acme")
    assert [one.budget and one.budget.filters for one in history] == [()], "it stays as it was written"
    metadata.close()
