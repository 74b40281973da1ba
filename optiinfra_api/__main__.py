"""``python -m optiinfra_api``: the GraphQL service on uvicorn, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile

import uvicorn
from pydantic import ValidationError
from uvicorn.supervisors import Multiprocess

from optiinfra_api.endpoints.websocket_messages import MAX_FRAME_BYTES
from optiinfra_api.http import logs
from optiinfra_api.http.http_metrics import SHARED_FOLDER
from optiinfra_api.http.listening import listen
from optiinfra_api.server.config import server_config
from optiinfra_api.server.limits import ConnectionLimits
from optiinfra_api.services import ApiServices
from optiinfra_assets.database.errors import StoreError
from optiinfra_assets.settings import Settings, complaint


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped, then return 0; if the service cannot start, print one line to standard error and return 1."""
    try:
        settings = Settings()
        settings.read_metrics_token()
    except ValueError as error:
        said = complaint(error) if isinstance(error, ValidationError) else error
        print(f"optiinfra_api: {said}", file=sys.stderr)  # noqa: T201 - a command's own words
        return 1
    options = _parser(settings).parse_args(arguments)
    os.environ["OPTIINFRA_BIND_HOST"] = options.host  # the workers decide by it whether they show GraphiQL
    logs.configure()
    try:
        # This opens the connections that the workers will open, so that an error is one line here and not a traceback from each worker.
        asyncio.run(_try_connections(settings))
        listening = listen(options.host, options.port, "OPTIINFRA_API_PORT")
    except (StoreError, OSError) as error:
        print(f"optiinfra_api: {error}", file=sys.stderr)  # noqa: T201 - a command's own words
        return 1
    config = server_config(
        "optiinfra_api.app:serve_app",
        ConnectionLimits(connections=settings.api_max_connections),
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        ws_max_size=MAX_FRAME_BYTES,
        timeout_graceful_shutdown=10,
    )
    if options.workers > 1:
        with tempfile.TemporaryDirectory(prefix="optiinfra-metrics-") as shared:
            os.environ[SHARED_FOLDER] = shared
            Multiprocess(config, sockets=[listening]).run()
    else:
        uvicorn.Server(config).run(sockets=[listening])
    return 0


async def _try_connections(settings: Settings) -> None:
    await (await ApiServices.open(settings)).close()


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m optiinfra_api", description=__doc__)
    parser.add_argument("--host", default=settings.bind_host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=settings.api_port, help="port (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
