"""A bare ASGI endpoint: answers each POST with the bytes of a file, on uvicorn as the service runs on it; what `load` compares with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import uvicorn


class Bare:
    """Answers ``/<number>`` with the file of that name, and all other paths with an empty body."""

    def __init__(self, answers: Path) -> None:
        self._answers = {f"/{path.name}": path.read_bytes() for path in answers.iterdir()}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request, once its body is read."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])  # uvicorn continues without a lifespan
        while (await receive()).get("more_body"):
            pass
        answer = self._answers.get(scope["path"], b"")
        headers = [
            (b"content-type", b"application/json"),
            (b"cache-control", b"no-store"),
            (b"content-length", str(len(answer)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--answers", type=Path, required=True, help="folder with a file for each answer")
    options = parser.parse_args()
    uvicorn.run(
        Bare(options.answers),
        port=options.port,
        loop="auto",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
    )


if __name__ == "__main__":
    main()
