"""How uvicorn serves the application."""

from __future__ import annotations

from functools import partial
from typing import Any

import uvicorn

from optiinfra_api.server.connections import LimitedHttp, LimitedWebSocket
from optiinfra_api.server.limits import ConnectionLimits


def server_config(app: Any, limits: ConnectionLimits, **more: Any) -> uvicorn.Config:
    """Return uvicorn's configuration for an application, or for the name of what makes it; `more` are uvicorn's other options."""
    return uvicorn.Config(
        app,
        http=partial(LimitedHttp, limits),  # type: ignore[arg-type] # uvicorn calls it, as it would call the class
        ws=partial(LimitedWebSocket, limits),  # type: ignore[arg-type]
        access_log=False,
        log_config=None,
        server_header=False,
        **more,
    )
