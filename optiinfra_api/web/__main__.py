"""``python -m optiinfra_api.web MODULE:FUNCTION``: the ASGI application that a function makes, behind the sign-in, until SIGTERM or Ctrl-C.

The application is named and not imported, so that it need not be known here: ``optiinfra_assets.dagster_processes.web:create_app`` is
Dagster's web interface.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

import uvicorn
from pydantic import ValidationError
from uvicorn.importer import import_from_string

from optiinfra_api.http import logs
from optiinfra_api.http.listening import listen
from optiinfra_api.server.config import server_config
from optiinfra_api.server.limits import ConnectionLimits
from optiinfra_api.web.authentication_middleware import behind_sign_in
from optiinfra_assets.database.errors import StoreError
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings, complaint


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped, then return 0; if this cannot start, print one line to standard error and return 1."""
    try:
        settings = Settings()
    except ValueError as error:
        return _failed(complaint(error) if isinstance(error, ValidationError) else str(error))
    options = _parser(settings).parse_args(arguments)
    logs.configure()
    try:
        listening = listen(options.host, options.port, "OPTIINFRA_DAGSTER_PORT")
        metadata = Metadata.connect(settings)
    except (StoreError, OSError) as error:
        return _failed(str(error))
    with closing(metadata):
        config = server_config(
            behind_sign_in(import_from_string(options.application)(), settings, metadata),
            ConnectionLimits(connections=settings.api_max_connections),
            timeout_graceful_shutdown=5,
        )
        uvicorn.Server(config).run(sockets=[listening])
    return 0


def _failed(why: str) -> int:
    print(f"optiinfra_api.web: {why}", file=sys.stderr)  # noqa: T201 - a command's own words
    return 1


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m optiinfra_api.web", description=__doc__)
    parser.add_argument("application", help="module:function that makes the application")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=settings.dagster_port, help="port (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
