"""Takes the messages of the demonstration's alerts on loopback and writes them to a file: a channel that needs no network."""

from __future__ import annotations

import contextlib
import hmac
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_MOST_BYTES: Final = 1_000_000


@contextlib.contextmanager
def receiving(file: Path, url: str = "") -> Iterator[str]:
    """Append the body of each request to `file`, a line each.

    Yields the address to send to. Its path is a secret, since every process of this machine reaches the port. It is `url`, which was
    yielded before, unless another process has that port now.
    """
    writing = threading.Lock()
    before = urlsplit(url)
    path = before.path or f"/{secrets.token_urlsafe(16)}"

    class MessageHandler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if not hmac.compare_digest(self.path.encode(), path.encode()):
                self.send_error(404)
                return
            body = self.rfile.read(max(0, min(int(self.headers.get("Content-Length") or 0), _MOST_BYTES)))
            with writing, file.open("ab") as lines:
                lines.write(body.replace(b"\n", b" ") + b"\n")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing: the file has it."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", before.port or 0), MessageHandler)
    except OSError:
        server = ThreadingHTTPServer(("127.0.0.1", 0), MessageHandler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{path}"
    finally:
        server.shutdown()
        server.server_close()
