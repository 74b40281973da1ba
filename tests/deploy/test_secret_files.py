"""Settings from a folder of files, as containers get their secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.keyring import KeySettings

KEY = "bWFzdGVyIGtleSBvZiB0ZXN0cywgMzIgYnl0ZXMhISE="


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, with a symbolic link as Kubernetes makes it, and a file that names no setting."""
    found = tmp_path / "secrets"
    (found / "..data").mkdir(parents=True)
    (found / "..data" / "optiinfra_postgres_url").write_text("postgresql://optiinfra:of-a-file@host/db\n")
    (found / "optiinfra_postgres_url").symlink_to("..data/optiinfra_postgres_url")
    (found / "optiinfra_link_key").write_text("a key of links that is long enough\n")
    (found / "optiinfra_oidc_roles").write_text('[{"group": "platform", "role": "admin"}]')
    (found / "optiinfra_master_key").write_text(f"{KEY}\n")
    (found / "postgres_password").write_text("of-a-file\n")
    monkeypatch.setenv("OPTIINFRA_SECRETS_FOLDER", str(found))
    monkeypatch.setenv("OPTIINFRA_HOME", str(tmp_path))
    monkeypatch.delenv("OPTIINFRA_POSTGRES_URL", raising=False)
    return found


def test_a_file_is_a_setting_and_the_environment_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "runtime.json").write_text(json.dumps({"postgres_url": "postgresql://of-the-runtime-file/db"}))
    settings, keys = Settings(), KeySettings()
    assert settings.postgres_url == "postgresql://optiinfra:of-a-file@host/db"
    assert settings.link_key is not None
    assert settings.link_key.get_secret_value() == "a key of links that is long enough"
    assert [role.group for role in settings.oidc_roles] == ["platform"]
    assert keys.master_key is not None
    assert keys.master_key.get_secret_value() == KEY
    assert "of-a-file" not in f"{settings!r} {keys!r}"
    monkeypatch.setenv("OPTIINFRA_POSTGRES_URL", "postgresql://of-the-environment/db")
    assert Settings().postgres_url == "postgresql://of-the-environment/db"


@pytest.mark.parametrize(
    "command",
    [
        ("optiinfra_api",),
        ("optiinfra_api.web", "json:loads"),
        ("optiinfra_assets.cli", "migrate"),
    ],
    ids=" ".join,
)
def test_a_folder_that_is_not_there_is_said_in_one_line(folder: Path, command: tuple[str, ...]) -> None:
    """Else a process would start with the defaults: an embedded engine that is not there."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "OPTIINFRA_SECRETS_FOLDER": str(folder / "none")}
    done = subprocess.run([sys.executable, "-m", *command], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(f"OPTIINFRA_SECRETS_FOLDER: {folder / 'none'}: is no folder\n")
