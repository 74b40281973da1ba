"""`optiinfra completion` prints a script that a shell runs, and that completes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run

BASH = shutil.which("bash")
COMPLETED = """
eval "$(optiinfra completion bash)"
COMP_WORDS=(optiinfra {words}) COMP_CWORD={place}
_optiinfra_completion optiinfra
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A search path on which this environment's optiinfra is."""
    file = tmp_path / "bin" / "optiinfra"
    file.parent.mkdir()
    file.write_text(f'#!/bin/sh\nexec {sys.executable} -m optiinfra_assets.cli "$@"\n')
    file.chmod(0o755)
    return f"{file.parent}:{os.environ['PATH']}"


@pytest.mark.skipif(BASH is None, reason="no bash is here")
@pytest.mark.parametrize(
    ("words", "place", "found"),
    [("acc", 1, "accounts"), ("accounts re", 2, "remove"), ("costs --comp", 2, "--compare"), ("token create --role o", 4, "operator")],
)  # fmt: skip
def test_bash_completes(path: str, words: str, place: int, found: str, tmp_path: Path) -> None:
    environment = {"PATH": path, "HOME": str(tmp_path)}
    script = COMPLETED.format(words=words, place=place)
    done = subprocess.run(
        [str(BASH), "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == [found], done.stderr


@pytest.mark.parametrize(
    ("shell", "sign"), [("zsh", "#compdef optiinfra"), ("fish", "complete --no-files --command optiinfra")]
)
def test_other_shells_have_a_script_too(run: Run, shell: str, sign: str) -> None:
    assert sign in run("completion", shell).out


def test_another_shell_is_refused(run: Run) -> None:
    assert "'csh' is not one of 'bash', 'zsh', 'fish'" in run("completion", "csh").error
