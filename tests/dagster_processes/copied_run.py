"""Starts a process as the code location starts a run, and prints whether the definitions were loaded before it did anything."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import FuturesAwareThreadPoolExecutor

from optiinfra_assets.dagster_processes.code_location import CodeLocationServer


def say_what_is_loaded(queue: Any) -> None:
    """Put whether the definitions are loaded."""
    queue.put("optiinfra_assets.definitions" in sys.modules)


def main() -> None:
    """Start one and print what it says."""
    ended = threading.Event()
    with FuturesAwareThreadPoolExecutor() as threads:
        server = CodeLocationServer(
            server_termination_event=ended,
            logger=logging.getLogger(__name__),
            loadable_target_origin=LoadableTargetOrigin(module_name="optiinfra_assets.definitions"),
            server_threadpool_executor=threads,
        )
        queue = server._mp_ctx.SimpleQueue()
        process = server._mp_ctx.Process(target=say_what_is_loaded, args=(queue,))
        process.start()
        print(queue.get())  # noqa: T201 - what the test reads
        process.join()
        ended.set()


if __name__ == "__main__":
    main()
