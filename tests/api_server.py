"""The API on a socket of its own, for tests of any folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from loopback import HANG, eventually

from optiinfra_api.app import create_app
from optiinfra_api.endpoints.websocket_messages import MAX_FRAME_BYTES
from optiinfra_api.server.config import server_config
from optiinfra_api.server.limits import ConnectionLimits
from optiinfra_api.web.site import Clock, utc_now
from optiinfra_assets.settings import Settings

METRICS_TOKEN: Final = "a-token-for-scrapers-of-tests"
SCRAPER: Final = {"Authorization": f"Bearer {METRICS_TOKEN}"}
"""Headers with which an API of `serving` shows its figures and the detail of its readiness."""


@contextmanager
def serving(settings: Settings, limits: ConnectionLimits | None = None, clock: Clock = utc_now) -> Iterator[str]:
    """The API on uvicorn at a free loopback port, in a thread of this process so that its log can be read; its address."""
    app = create_app(settings.model_copy(update={"metrics_token": METRICS_TOKEN}), clock=clock)
    config = server_config(app, limits or ConnectionLimits(), host="127.0.0.1", port=0, ws_max_size=MAX_FRAME_BYTES)
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
