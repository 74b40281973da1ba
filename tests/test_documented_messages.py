"""docs/messages.md covers what the code can say: messages for people, kinds of problems, faults, and codes of the GraphQL service."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from optiinfra_assets.domain.failures import Fault
from optiinfra_assets.ingestion.onboarding import _REFUSALS

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "messages.md").read_text()
SAYING = ("backup", "cli", "dagster_processes", "database", "embedded", "ingestion", "metadata", "vault", "warehouse")
"""Packages whose errors a person meets as they are. Providers' messages name what they found, and are the matter of their pages."""
INTERNAL = {
    "RuntimeError",
    "TypeError",
    "FileNotFoundError",
    "NotImplementedError",
    "ClickHouseError",
    "ConnectionClosed",
    "ValueError",
}
"""Errors of one part of the code to another, or of a field that the message begins with."""
GAP = "…"
SHORTEST = 12
"""Characters."""


def template(node: ast.expr) -> str:
    """A message with each value replaced by `GAP`; empty if it is made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else GAP for one in node.values)
    return ""


def messages() -> Iterator[tuple[str, str]]:
    """Every message that the packages raise: where, and its template."""
    for package in SAYING:
        for path in sorted((ROOT / "optiinfra_assets" / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                    kind = ast.unparse(node.exc.func).rpartition(".")[2]
                    said = template(node.exc.args[0])
                    if kind not in INTERNAL and not kind.startswith("_") and said:
                        yield f"{path.relative_to(ROOT)}: {kind}", said


def normal(text: str) -> str:
    """`text` with numbers and quoted gaps replaced by `GAP`: the document shows some messages with examples."""
    return re.sub(rf"'{GAP}'|\b\d[\d.,]*\b|\bN\b", GAP, text.replace("`", ""))


def quoted() -> Iterator[re.Pattern[str]]:
    """What stands in the first column of a table, as patterns; only what has a text of its own, or it would explain everything."""
    cells = [line.split(" | ")[0] for line in DOCUMENT.splitlines() if line.startswith("| ")]
    for text in re.findall(r"`([^`\n]+ [^`\n]+)`", "\n".join(cells)):
        parts = [re.escape(part) for part in re.split(f"{GAP}+", normal(text).strip(f"{GAP}: "))]
        if sum(map(len, parts)) >= SHORTEST:
            yield re.compile(".*".join(parts))


QUOTED = list(quoted())


@pytest.mark.parametrize(("where", "said"), [pytest.param(*one, id=one[1][:60]) for one in messages()])
def test_each_message_is_explained(where: str, said: str) -> None:
    is_explained = f"`{said}`" in DOCUMENT or any(one.search(normal(said)) for one in QUOTED)
    assert is_explained, f"{where}: {said}"


def codes() -> set[str]:
    """Every code of the GraphQL service: words in capitals with an underscore, or given as a code."""
    found = {code for _, code, _ in _REFUSALS}
    for path in [*(ROOT / "optiinfra_api").rglob("*.py"), ROOT / "optiinfra_assets" / "ingestion" / "onboarding.py"]:
        text = path.read_text()
        found |= {first or second for first, second in re.findall(r'\bcode ?= ?"([A-Z_]+)"|"code": "([A-Z_]+)"', text)}
        found |= set(re.findall(r'HTTPStatus\.\w+, "([A-Z_]+)"', text))
        found |= set(re.findall(r'^\s+(?:\(\w+, )?"([A-Z]+(?:_[A-Z]+)*)",', text, re.MULTILINE))
    return {one for one in found if not one.startswith("OPTIINFRA_")}


def test_each_code_is_explained() -> None:
    found = codes()
    assert {"TAMPERED", "TOO_SLOW", "FORBIDDEN", "VAULT_BUSY", "THROTTLED", "SYNTAX", "UNAUTHENTICATED"} <= found
    assert {code for code in found if f"`{code}`" not in DOCUMENT} == set()


def test_each_kind_of_problem_and_each_fault_is_explained() -> None:
    source = "".join(path.read_text() for path in (ROOT / "optiinfra_assets" / "cli").glob("*.py"))
    kinds = set(re.findall(r'\bProblem\(\s*"(\w+)"', source))
    assert {"failure", "stuck", "not_asked", "disk", "clock", "alerts"} == kinds
    assert [one for one in sorted({*kinds, *Fault}) if f"| `{one}` |" not in DOCUMENT] == []


def test_each_state_of_readyz_is_explained() -> None:
    source = (ROOT / "optiinfra_api" / "endpoints" / "health.py").read_text()
    for said in ("does not answer", "migrations have not run", "its migrations are not those of this version"):
        assert said in source
        assert said in DOCUMENT
    assert "unknown: Dagster does not answer" in source
    assert "unknown: Dagster does not answer" in DOCUMENT
