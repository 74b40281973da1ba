"""The shape of the project: lint, layers, SQL files and their users, packages that import alone."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from itertools import takewhile
from pathlib import Path

import pytest

from optiinfra_assets.database.line_item_columns import LISTS
from optiinfra_assets.providers import PROVIDERS

ROOT = Path(__file__).parents[1]
PYTHON_FILES = [path for package in ("optiinfra_assets", "optiinfra_api") for path in (ROOT / package).rglob("*.py")]
FRAGMENTS = sorted((ROOT / "sql").glob("*/fragments/*.sql"))
STATEMENTS = sorted(set((ROOT / "sql").rglob("*.sql")) - set(FRAGMENTS))


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("lint-imports",),
    ],
    ids=" ".join,
)
def test_lint(command: tuple[str, ...]) -> None:
    """`make lint`, as part of the suite, so that nobody has to remember it."""
    executable = Path(sys.executable).with_name(command[0])
    result = subprocess.run([executable, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("package", ["optiinfra_assets.definitions", "optiinfra_assets.cli", "optiinfra_api.app"])
def test_imports_alone_without_any_setting(package: str, tmp_path: Path) -> None:
    """Importing connects to nothing and needs no variable: Dagster and the API load before their databases are there."""
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    result = subprocess.run(
        [sys.executable, "-c", f"import {package}"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def included(path: Path) -> list[str]:
    """Names of the fragments that a file of SQL includes, each once."""
    return list(dict.fromkeys(re.findall(r"^ *-- include: (\w+),?$", path.read_text(), re.MULTILINE)))


def header(path: Path) -> str:
    """What the comment at the beginning of a file of SQL says."""
    lines = takewhile(
        lambda line: line.startswith("-- ") and not line.startswith("-- include: "),
        path.read_text().splitlines(),
    )
    return " ".join(line.removeprefix("-- ") for line in lines)


def code_lines(path: Path) -> list[str]:
    """The lines of a file of SQL that are neither blank nor comment, with whitespace folded and no comma at the end."""
    lines = (" ".join(line.split()).rstrip(",") for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("--")]


def test_every_sql_file_is_used() -> None:
    """A statement nobody runs is dead code, and so is a fragment that none includes. Migrations and derived tables are found by listing
    their folders."""
    source = "\n".join(path.read_text() for path in PYTHON_FILES)
    listed = {"migrations", "derived"}
    unused = [
        str(path.relative_to(ROOT))
        for path in STATEMENTS
        if path.parent.name not in listed and f'"{path.name}"' not in source and f'"{path.stem}"' not in source
    ]
    names = {(path.parent.parent, name) for path in STATEMENTS for name in included(path)}
    fragments = {(path.parent.parent, path.stem) for path in FRAGMENTS}
    lists = {(ROOT / "sql" / "clickhouse", name) for name in LISTS}
    assert unused == []
    assert names == fragments | lists
    assert fragments & lists == set()


def test_every_sql_file_is_one_statement_with_a_header() -> None:
    """One statement a file, so that nobody writes a splitter; a header, so that it can be read without Python."""
    wrong = []
    for path in STATEMENTS:
        text = path.read_text()
        code = re.sub(r"--[^\n]*", "", text).strip().rstrip(";")
        if not text.startswith("--") or ";" in re.sub(r"'[^']*'|\$\$.*?\$\$", "", code, flags=re.DOTALL):
            wrong.append(str(path.relative_to(ROOT)))
    assert wrong == []


def test_every_comment_of_a_statement_is_its_header() -> None:
    """A line that only looks like an include would be left out in silence."""
    wrong = []
    for path in STATEMENTS:
        comments = re.findall(r"^ *--(?! include: \w+,?$).*", path.read_text(), re.MULTILINE)
        is_at_the_top = header(path) == " ".join(comment.removeprefix("-- ") for comment in comments)
        if path.parent.name != "migrations" and not is_at_the_top:
            wrong.append(str(path.relative_to(ROOT)))
    assert wrong == []


def test_a_fragment_has_a_header_and_includes_no_other() -> None:
    """It cannot be run, so its header says which part of a statement it is."""
    parts = re.compile(r"(Select list|Conditions?|FROM and WHERE|Aliases|The (end|last columns) of)\b")
    wrong = [str(path.relative_to(ROOT)) for path in FRAGMENTS if included(path) or not parts.match(header(path))]
    assert wrong == []


def test_sql_says_a_thing_once() -> None:
    """A filter that stands in ten files is corrected in nine. At most 250 lines of SQL stand in three or more files.

    Of all files but migrations, which stay as they ran. Lines are those of `code_lines`, if longer than 12 characters: that leaves out
    SELECT, brackets and short names. One that stands in three or more files counts as often as it stands anywhere. What is left is
    mostly FROM with a table, LIMIT, and single columns.
    """
    lines = {path: code_lines(path) for path in (*STATEMENTS, *FRAGMENTS) if path.parent.name != "migrations"}
    files = Counter(line for found in lines.values() for line in set(found) if len(line) > 12)
    repeated = Counter(line for found in lines.values() for line in found if files[line] >= 3)
    assert repeated.total() <= 250, repeated.most_common(20)


def test_lock_names_exact_versions_and_no_address() -> None:
    """Every line of the lock is name==version with an optional marker: reproducible from any package index."""
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^\s;]+( ;.*)?", line)] == []


def test_modules_stay_readable_in_one_sitting() -> None:
    """400 lines is the outer limit; past it a module has two subjects."""
    long = {
        str(path.relative_to(ROOT)): count
        for path in PYTHON_FILES
        if (count := len(path.read_text().splitlines())) > 400
    }
    assert long == {}


@pytest.mark.parametrize("name", sorted(PROVIDERS.keys() - {"focus"}))
def test_only_a_cloud_itself_knows_its_name(name: str) -> None:
    """Who decides by the name of a cloud has to be found and changed for the next one. `focus` is the specification's name too.

    A cloud's name stands in its own folder, its simulator, its docs page and the two registries. It counts as a whole string, a module,
    or a part of one; prose may say that AWS has a key service.
    """
    said = re.compile(rf"""["']{name}["']|(providers|simulators)[./]{name}\b|import {name}\b""")
    parts = ("optiinfra_assets/providers", "optiinfra_assets/simulators")
    files = [*PYTHON_FILES, *(ROOT / "sql").rglob("*.sql")]
    found = {path.relative_to(ROOT) for path in files if said.search(path.read_text())}
    strangers = {path for path in found if not any(path.is_relative_to(f"{part}/{name}") for part in parts)}
    assert {str(path) for path in strangers} == {f"{part}/__init__.py" for part in parts}
    assert (ROOT / "docs" / "providers" / f"{name}.md").is_file()


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("optiinfra_assets", {"__init__", "definitions", "demo", "settings"}),
        ("optiinfra_assets/providers", {"__init__", "auxiliary", "base", "context", "sorting", "network_policy"}),
        ("optiinfra_api", {"__init__", "__main__", "app", "schema", "services"}),
    ],
)
def test_every_file_has_a_room(folder: str, names: set[str]) -> None:
    """What lies loose at the top is found by nobody: there were 20, 57 and 67 files at these three places once."""
    assert {path.stem for path in (ROOT / folder).glob("*.py")} == names


def test_a_class_name_means_one_thing() -> None:
    """44 names once stood for two to four things each. What is left are pairs: a GraphQL type or error, and the domain value it shows."""
    intended = {
        "Account",
        "AlertChannel",
        "AlertDelivery",
        "AlertRule",
        "CollectionEvent",
        "CollectionTask",
        "Commitment",
        "Credential",
        "Customer",
        "DagsterUnavailable",
        "Gap",
        "Generation",
        "Invoice",
        "InvoicePart",
        "NothingToCollect",
        "Reconciliation",
        "ReconciliationStatus",
        "SourceWarning",
        "Token",
    }
    places: dict[str, list[str]] = {}
    for path in PYTHON_FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    several = {name: found for name, found in places.items() if len(found) > 1}
    assert several.keys() == intended
    assert all(any(one.startswith("optiinfra_api/fields/") for one in found) for found in several.values())


def test_a_query_field_loads_no_provider() -> None:
    """One field once loaded 128 modules of ours, 50 of them providers: every worker paid for it, and nobody saw why."""
    code = "import sys, optiinfra_api.fields.costs.trends; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = [one for one in loaded.stdout.split() if one.startswith("optiinfra_")]
    assert "optiinfra_api.reading.cost_query" in ours, "the modules of this project are listed"
    assert [one for one in ours if one.startswith("optiinfra_assets.providers")] == []
    assert len(ours) <= 60
