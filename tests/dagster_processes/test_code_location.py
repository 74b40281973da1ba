"""Runs begin as copies of a process that has loaded the definitions: a new interpreter imports for 3 s first."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import copied_run
import pytest
from loopback import HANG

from optiinfra_assets.dagster_processes.code_location import CodeLocationServer


@pytest.mark.parametrize(("letters", "is_copied"), [(1, True), (120, False)])
def test_a_run_begins_with_everything_loaded_unless_no_socket_can_lie_there(letters: int, is_copied: bool) -> None:
    """In a process of its own, which has made no copies of another kind."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        folder = Path(short) / ("x" * letters)
        folder.mkdir()
        command = [sys.executable, str(Path(copied_run.__file__))]
        environment = {**os.environ, "TMPDIR": str(folder)}
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG)
    assert answer.stdout == f"{is_copied}\n", answer.stderr
    assert "self._mp_ctx.Process(" in inspect.getsource(CodeLocationServer.StartRun)  # by which Dagster starts a run
