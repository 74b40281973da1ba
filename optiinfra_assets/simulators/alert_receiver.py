"""Takes the messages of the demonstration's alerts on loopback and writes them to a file: a channel that needs no network."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

_MOST_BYTES: Final = 1_000_000


@contextlib.contextmanager
def receiving(file: Path, port: int = 0) -> Iterator[int]:
    """Append the body of each request to `file`, a line each; yield the port, which is another one if `port` is taken."""
    writing = threading.Lock()

    class MessageHandler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), _MOST_BYTES))
            with writing, file.open("ab") as lines:
                lines.write(body.replace(b"\n", b" ") + b"\n")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing: the file has it."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), MessageHandler)
    except OSError:
        server = ThreadingHTTPServer(("127.0.0.1", 0), MessageHandler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
