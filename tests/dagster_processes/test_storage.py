"""Where Dagster's history is kept."""

from __future__ import annotations

import pytest

from optiinfra_assets.dagster_processes.storage import PostgresStorage


def test_without_an_address_there_is_no_other_place_for_it(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster's own default is a file, which the next process on another machine would not find."""
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path))
    monkeypatch.delenv("OPTIINFRA_POSTGRES_URL", raising=False)
    with pytest.raises(ValueError, match="OPTIINFRA_POSTGRES_URL: unset: Dagster keeps its history there"):
        PostgresStorage.from_config_value(None, {"should_autocreate_tables": True})
