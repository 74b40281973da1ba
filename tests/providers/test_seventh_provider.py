"""docs/adding-a-provider.md followed to the letter, in a copy of the project: what it shows is what works, and all that it takes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from optiinfra_assets.domain.errors import BadData, Permanent, ProviderError, Transient
from optiinfra_assets.line_items import MANDATORY, NOT_NULL, SOURCES
from optiinfra_assets.providers.base import LineItemStream

ROOT = Path(__file__).parents[2]
SEVENTH = Path(__file__).parent / "seventh"
PAGE = (ROOT / "docs" / "adding-a-provider.md").read_text()
NIMBUS = {
    "provider.py": "optiinfra_assets/providers/nimbus/provider.py",
    "simulator.py": "optiinfra_assets/simulators/nimbus/simulator.py",
}


def blocks(kind: str) -> list[tuple[str, str]]:
    """The page's blocks of a kind: what follows it on the fence (a file), and the text."""
    return re.findall(rf"^```{kind} ?(.*)\n((?s:.*?))^```$", PAGE, re.MULTILINE)


def dense(code: str) -> str:
    """Code without what the formatter decides."""
    return re.sub(r",(?=[)\]}])", "", re.sub(r"\s", "", code))


def changed(text: str, difference: str) -> str:
    """`text` with the page's difference applied; what stands between two changes is left out there as ``...``."""
    for part in difference.split("...\n"):
        before, after = (
            "".join(line[1:] + "\n" for line in part.splitlines() if line[0] in kept) for kept in (" -", " +")
        )
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


def first_column(head: str) -> list[str]:
    """The names in the first column of the page's table with this head."""
    table = PAGE.partition(f"{head}\n")[2].partition("\n\n")[0]
    return [name for cell in re.findall(r"^\|(.*?)\|", table, re.MULTILINE) for name in re.findall("`(.*?)`", cell)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the seventh cloud added."""
    project = tmp_path_factory.mktemp("project")
    for name in ("optiinfra_assets", "optiinfra_api", "sql", "tests", "docs"):
        shutil.copytree(ROOT / name, project / name)  # what is compiled too: times of files are copied
    for name in ("pyproject.toml", "requirements.lock", "dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, project / name)
    for file, path in NIMBUS.items():
        assert f"`{path}`" in PAGE
        target = project / path
        target.parent.mkdir()
        (target.parent / "__init__.py").touch()
        shutil.copy(SEVENTH / file, target)
    (project / "docs" / "providers" / "nimbus.md").write_text("# Nimbus\n")
    for path, difference in blocks("diff"):
        registry = project / path
        registry.write_text(changed(registry.read_text(), difference))
    for command in commands("optiinfra_api.schema"):
        run(project, *command)
    return project


def commands(about: str) -> list[list[str]]:
    """What the page runs, of the lines that name something."""
    ((_, script),) = blocks("sh")
    lines = [shlex.split(line, comments=True) for line in script.splitlines()]
    assert {line[0] for line in lines} == {"python"}
    return [line[1:] for line in lines if about in line]


def run(project: Path, *command: str) -> str:
    """Run Python in the copy; what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(
        [sys.executable, *command], cwd=project, env=environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def passed(said: str) -> int:
    """How many tests pytest says have passed."""
    return int(said.split(" passed")[0].split()[-1])


@pytest.mark.parametrize("file", NIMBUS)
def test_the_page_shows_the_whole_code_in_its_order(file: str) -> None:
    """All but the imports."""
    shown = "".join(dense(code) for name, code in blocks("python") if name == file)
    code = (SEVENTH / file).read_text()
    begin = code.index("\n", code.rindex("\nfrom optiinfra_assets") + 1)
    assert shown == dense(code[begin:])
    assert {name for name, _ in blocks("python")} == NIMBUS.keys()


def test_what_the_page_lists_is_what_there_is() -> None:
    def listed(about: str) -> list[str]:
        (row,) = re.findall(rf"^\| {about} \| (.*) \|$", PAGE, re.MULTILINE)
        return re.findall(r"`(\w+)`", row)

    assert listed("a value in every row") == [name for name in MANDATORY if name in NOT_NULL]
    assert listed("may be null") == [name for name in MANDATORY if name not in NOT_NULL]
    assert first_column("| `source` | |") == list(SOURCES)
    assert sorted(first_column("| of `LineItemStream` | |")) == sorted(LineItemStream.__dataclass_fields__)
    kinds = {
        one.__name__
        for base in (ProviderError, Transient, Permanent, BadData)
        for one in base.__subclasses__()
        if one.__module__ == base.__module__
    }
    assert {*first_column("| raise | when | and then |"), "Permanent"} == kinds


def test_every_path_and_module_that_the_page_names_exists() -> None:
    """Nimbus's own do in the copy."""
    named = {name for name in re.findall(r"`([\w./-]+)`", PAGE) if "nimbus" not in name}
    paths = {name for name in named if "/" in name}
    assert len(paths) > 5
    assert [name for name in paths if not (ROOT / name).exists()] == []
    modules = {name for name in named if name.startswith("optiinfra_assets.")}
    kit = first_column("| in `optiinfra_assets.providers` | for |")
    modules |= {f"optiinfra_assets.providers.{name}" for name in kit}
    assert len(modules) > 4
    assert [name for name in modules if find_spec(name) is None] == []


def test_it_keeps_the_contract_of_all_providers_in_euros(project: Path) -> None:
    (command,) = commands("tests/providers/test_contract.py")
    said = run(project, *command, "-v")
    assert passed(said) > 25
    assert "[nimbus EUR]" in said
    assert "[nimbus USD" not in said


def test_its_endpoints_are_in_the_matrix_of_failures(project: Path) -> None:
    (command,) = commands("tests/providers/test_failure_matrix.py")
    said = run(project, *command, "-v")
    assert passed(said) == 5
    assert "[nimbus-^GET /months]" in said


def test_its_name_stands_only_where_it_may(project: Path) -> None:
    (command,) = commands("tests/test_shape.py")
    assert passed(run(project, *command)) == 1


def test_its_code_is_as_the_rest_is(project: Path) -> None:
    (command,) = commands("ruff")
    run(project, *command)


def test_the_api_takes_its_credential(project: Path) -> None:
    schema = (project / "optiinfra_api" / "schema.graphql").read_text()
    assert "input NimbusCredentialInput" in schema
    assert "Token with the right costs:read." in schema


def test_it_is_an_asset_a_verb_and_part_of_the_demo_without_a_line_more(project: Path) -> None:
    script = (
        "from optiinfra_assets.definitions import defs; "
        "from optiinfra_assets.simulators.sample_clouds import sample_clouds; "
        "print(sorted(key.to_user_string() for key in defs.resolve_all_asset_keys())); "
        "print([one.name for one in sample_clouds()])"
    )
    said = run(project, "-c", script)
    assert "nimbus/raw_costs" in said
    assert "nimbus/cost_trends" in said
    assert "nimbus-simulated" in said
    assert "Token with the right costs:read." in run(
        project, "-m", "optiinfra_assets.cli", "connect", "nimbus", "--help"
    )
