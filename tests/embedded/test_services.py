"""What the processes of one machine are started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from optiinfra_assets.embedded import services
from optiinfra_assets.settings import Settings


def test_every_process_reads_the_settings_that_the_supervisor_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of links was handed on as asterisks, and the roles of groups in a form that no process could read."""
    roles = [{"group": "a 'quoted' team", "role": "admin"}, {"group": "web", "role": "viewer", "customer": "acme"}]
    given = Settings(
        home=tmp_path,
        link_key="a key of links that is long enough: 'quoted'",
        oidc_roles=roles,
        api_max_memory="3GiB",
        graphiql=False,
        metrics_token_file=tmp_path / "metrics.token",
    )
    for name, value in services.environment(given).items():
        if name.startswith("OPTIINFRA_"):
            monkeypatch.setenv(name, value)
    assert Settings() == given
