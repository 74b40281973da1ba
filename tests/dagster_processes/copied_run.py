"""Starts a process as the code location starts a run, and prints what it says; ``--copier``: as the command of it starts one."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import FuturesAwareThreadPoolExecutor

from optiinfra_assets.dagster_processes.code_location import CodeLocationServer, start_copier


def say(queue: Any) -> None:
    """Put whether the definitions were loaded before this process did anything, and who copied it."""
    copier = os.getppid()
    begun_with = Path(f"/proc/{copier}/cmdline").read_text().split("\0")[1]
    queue.put(("optiinfra_assets.definitions" in sys.modules, copier, begun_with == sys.argv[0]))


def main() -> None:
    """Start one and print what it says."""
    if "--copier" in sys.argv:
        start_copier()
    ended = threading.Event()
    with FuturesAwareThreadPoolExecutor() as threads:
        server = CodeLocationServer(
            server_termination_event=ended,
            logger=logging.getLogger(__name__),
            loadable_target_origin=LoadableTargetOrigin(module_name="optiinfra_assets.definitions"),
            server_threadpool_executor=threads,
        )
        queue = server._mp_ctx.SimpleQueue()
        process = server._mp_ctx.Process(target=say, args=(queue,))
        process.start()
        is_loaded, copier, is_copy = queue.get()
        process.join()
        print(json.dumps({"is_loaded": is_loaded, "copier": copier, "is_copy": is_copy}))  # noqa: T201 - what the test reads
        ended.set()


if __name__ == "__main__":
    main()
