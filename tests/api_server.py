"""The API on a socket of its own, for tests of any folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from loopback import HANG, eventually

from optiinfra_api.app import create_app
from optiinfra_assets.settings import Settings


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The API on uvicorn at a free loopback port, in a thread of this process so that its log can be read; its address."""
    config = uvicorn.Config(
        create_app(settings),
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert eventually(lambda: server.started or not thread.is_alive(), pause=0.01)
        assert server.started, "the API did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(HANG)
