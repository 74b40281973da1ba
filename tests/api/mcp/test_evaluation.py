"""The cases with which people judge how well a language model chooses among the tools are about tools that exist, and are answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from tool_client import Tools

from optiinfra_api import mcp
from optiinfra_api.exploring.periods import PRESETS
from optiinfra_api.http.request_body import MAX_BODY_BYTES
from optiinfra_api.mcp import answers
from optiinfra_api.mcp.tools import MAX_DESCRIBED, TOOLS

CASES: Final = json.loads((Path(mcp.__file__).parent / "evaluation.json").read_text())


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_has_two_prompts_and_four_that_are_for_others(name: str) -> None:
    case = CASES[name]
    assert [one["kind"] for one in case["prompts"]] == ["direct", "inferred"]
    assert len(case["distractors"]) == 4
    assert all(one["tool"] is None or one["tool"] in TOOLS.keys() - {name} for one in case["distractors"])


def test_no_case_is_about_a_tool_that_is_none_and_no_prompt_is_there_twice() -> None:
    assert CASES.keys() == TOOLS.keys()
    prompts = [one["prompt"] for case in CASES.values() for kind in ("prompts", "distractors") for one in case[kind]]
    assert len(set(prompts)) == len(prompts)


@pytest.mark.parametrize(
    ("name", "given"), [(name, one["arguments"]) for name, case in CASES.items() for one in case["prompts"]], ids=str
)
def test_the_expected_call_has_an_answer_with_something_in_it(tools: Tools, name: str, given: dict[str, Any]) -> None:
    if not TOOLS[name].is_read_only:
        assert tools.refused(name, **given).startswith("the token has the role viewer; this needs operator")
        return
    found = tools.call(name, **given)
    assert found.get("rows") or found.get("data")


def test_the_document_has_every_tool_and_limit(docs: Path) -> None:
    text = (docs / "mcp.md").read_text()
    assert [name for name in TOOLS if f"| `{name}` |" not in text] == []
    assert [name for name in PRESETS if f"`{name}`" not in text] == []
    assert "8 KiB" in text
    assert (answers.MAX_ANSWER, MAX_DESCRIBED, MAX_BODY_BYTES) == (8 << 10, 4 << 10, 256 << 10)
    assert f"more than {answers.MAX_TEXT} bytes" in text
