"""Runs begin as copies of a process that has loaded the definitions: a new interpreter imports for 3 s first."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import copied_run
from loopback import HANG

from optiinfra_assets.embedded.dagster.code_location import CodeLocationServer


def test_a_run_begins_with_everything_loaded() -> None:
    """In a process of its own, which has made no copies of another kind."""
    answer = subprocess.run(
        [sys.executable, str(Path(copied_run.__file__))], capture_output=True, text=True, timeout=HANG
    )
    assert answer.stdout == "True\n", answer.stderr
    assert "self._mp_ctx.Process(" in inspect.getsource(CodeLocationServer.StartRun)  # by which Dagster starts a run
