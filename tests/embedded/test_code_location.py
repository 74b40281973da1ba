"""Runs begin as copies of a process that has loaded the definitions: a new interpreter imports for 3 s first."""

from __future__ import annotations

import inspect
import logging
import threading

from copied_run import say_what_is_loaded
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import FuturesAwareThreadPoolExecutor
from loopback import HANG

from optiinfra_assets.embedded.dagster.code_location import CodeLocationServer


def test_a_run_begins_with_everything_loaded() -> None:
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
        assert queue.get()
        process.join(HANG)
        assert process.exitcode == 0
        ended.set()
    assert "self._mp_ctx.Process(" in inspect.getsource(CodeLocationServer.StartRun)  # by which Dagster starts a run
