"""The files of the pages: styles and scripts of ours in ``static``, and in ``vendor`` what `fetch_assets` took from npm packages.

A file's address contains a hash of its content, so that browsers keep it for good; it is compressed once.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_FOLDER: Final = Path(__file__).parent
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_GOOD: Final = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


class Assets:
    """The files of a folder of ours, and of one that may be missing."""

    def __init__(self, own: Path, vendor: Path) -> None:
        paths = [path for folder in (vendor, own) if folder.is_dir() for path in sorted(folder.iterdir())]
        self._paths = {path.name: path for path in paths if path.suffix in _TYPES}
        # Scripts of ours import each other by relative addresses, so that they share one hash.
        together = hashlib.sha256(b"".join(path.read_bytes() for path in paths if path.parent == own)).hexdigest()
        self._hashes = {
            name: (together if path.parent == own else hashlib.sha256(path.read_bytes()).hexdigest())[:16]
            for name, path in self._paths.items()
        }
        self._read = cache(self._compressed)

    def has(self, name: str) -> bool:
        """Whether the file is there: those of packages are not where npm could not be had."""
        return name in self._paths

    def url(self, name: str) -> str:
        """The address of a file that is there."""
        return f"/static/{self._hashes[name]}/{name}"

    async def answer(self, request: Request) -> Response:
        """Answer a file; 404 for one that is not there, or is another one by now."""
        name = request.path_params["name"]
        if self._hashes.get(name) != request.path_params["hash"]:
            return PlainTextResponse("Not Found", HTTPStatus.NOT_FOUND)
        media_type = _TYPES[self._paths[name].suffix]
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self._paths[name].read_bytes(), headers=_FOR_GOOD, media_type=media_type)
        return Response(self._read(name), headers={**_FOR_GOOD, "Content-Encoding": "gzip"}, media_type=media_type)

    def _compressed(self, name: str) -> bytes:
        return gzip.compress(self._paths[name].read_bytes(), 9, mtime=0)


ASSETS: Final = Assets(_FOLDER / "static", _FOLDER / "vendor")
