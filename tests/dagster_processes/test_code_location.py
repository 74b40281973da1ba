"""Runs begin as copies of a process that has loaded the definitions: a new interpreter imports for 3 s first."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import copied_run
import psutil
import pytest
from loopback import HANG, eventually

from optiinfra_assets.dagster_processes.code_location import CodeLocationServer


def started(folder: Path, *options: str) -> dict[str, Any]:
    """What a run says that was started in a process of its own, which has made no copies of another kind."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(Path(copied_run.__file__)), *options]
    answer = subprocess.run(
        command, env={**os.environ, "TMPDIR": str(folder)}, capture_output=True, text=True, timeout=HANG
    )
    assert answer.returncode == 0, answer.stderr
    said: dict[str, Any] = json.loads(answer.stdout)
    return said


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder below which a socket may lie."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        yield Path(made)


@pytest.mark.parametrize(("letters", "is_copied"), [(1, True), (120, False)])
def test_a_run_begins_with_everything_loaded_unless_no_socket_can_lie_there(
    short: Path, letters: int, is_copied: bool
) -> None:
    assert started(short / ("x" * letters))["is_loaded"] == is_copied
    assert "self._mp_ctx.Process(" in inspect.getsource(CodeLocationServer.StartRun)  # by which Dagster starts a run


def test_what_makes_copies_is_a_copy_and_ends_with_the_server(short: Path) -> None:
    said = started(short, "--copier")
    assert (said["is_loaded"], said["is_copy"]) == (True, True)
    assert eventually(lambda: not psutil.pid_exists(said["copier"])), "nobody is left who could ask it"


def test_definitions_that_cannot_be_loaded_start_nothing(short: Path) -> None:
    """The server tells what is wrong with them; it must not end before it can."""
    code = """
import sys
from multiprocessing import forkserver
sys.modules["optiinfra_assets.definitions"] = None
from optiinfra_assets.dagster_processes.code_location import start_copier
start_copier()
print(forkserver._forkserver._forkserver_pid)
"""
    environment = {**os.environ, "TMPDIR": str(short)}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=HANG)
    assert (answer.stdout, answer.returncode) == ("None\n", 0), answer.stderr
