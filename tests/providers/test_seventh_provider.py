"""A seventh cloud is one file, one registration and its simulator: done here in a copy of the project, and held to the contract."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEVENTH = Path(__file__).parent / "seventh"


def register(registry: Path, imported: str, entry: tuple[str, str]) -> None:
    """Add the import and the entry, as a person would."""
    text = registry.read_text()
    before, after = entry
    assert text.count(before) == 1
    first_import = text.index("from optiinfra_assets")
    registry.write_text(text[:first_import] + imported + text[first_import:].replace(before, after))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the seventh cloud added."""
    project = tmp_path_factory.mktemp("project")
    for name in ("optiinfra_assets", "optiinfra_api", "sql", "tests", "docs"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.lock", "dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, project / name)
    assets = project / "optiinfra_assets"
    shutil.copy(SEVENTH / "provider.py", assets / "providers" / "nimbus.py")
    shutil.copy(SEVENTH / "simulator.py", assets / "simulators" / "nimbus.py")
    (project / "docs" / "providers" / "nimbus.md").write_text("# Nimbus\n")
    register(
        assets / "providers" / "__init__.py",
        "from optiinfra_assets.providers.nimbus import Nimbus\n",
        ("FocusFiles()", "FocusFiles(), Nimbus()"),
    )
    register(
        assets / "simulators" / "__init__.py",
        "from optiinfra_assets.simulators.nimbus import simulated_nimbus\n",
        ("] = {\n", '] = {\n    "nimbus": simulated_nimbus,\n'),
    )
    return project


def run(project: Path, *command: str) -> str:
    """Run Python in the copy; what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(
        [sys.executable, *command], cwd=project, env=environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_it_keeps_the_contract_of_all_providers(project: Path) -> None:
    said = run(project, "-m", "pytest", "-q", "-n", "0", "tests/providers/test_contract.py", "-k", "nimbus")
    assert " passed" in said
    assert int(said.split(" passed")[0].split()[-1]) > 25


def test_its_name_stands_only_where_it_may(project: Path) -> None:
    said = run(
        project, "-m", "pytest", "-q", "-n", "0", "tests/test_shape.py", "-k", "knows_its_name and nimbus"
    )
    assert "1 passed" in said


def test_it_is_an_asset_a_verb_and_part_of_the_demo_without_a_line_more(project: Path) -> None:
    script = (
        "from optiinfra_assets.definitions import defs; "
        "from optiinfra_assets.simulators.sample_clouds import sample_clouds; "
        "print(sorted(key.to_user_string() for key in defs.resolve_all_asset_keys())); "
        "print([one.name for one in sample_clouds()])"
    )
    said = run(project, "-c", script)
    assert "raw/nimbus/costs" in said
    assert "derived/nimbus/cost_trends" in said
    assert "nimbus-simulated" in said
    assert "Token with the right costs:read." in run(
        project, "-m", "optiinfra_assets.cli", "connect", "nimbus", "--help"
    )
