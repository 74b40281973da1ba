"""Automatic persisted queries: a client sends the hash of a document it has sent before instead of the document.

The protocol is Apollo's: ``extensions.persistedQuery {version: 1, sha256Hash}``. Each process caches the documents and evicts the
least recently used; a client that gets PERSISTED_QUERY_NOT_FOUND sends hash and document once more.
"""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus
from typing import Any

from cachetools import LRUCache

from optiinfra_api.http.http_errors import HttpError, bad_request

MAX_CHARACTERS = 8 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class PersistedQueries:
    """Documents by their SHA-256, at most `most_characters` in all. Belongs to one event loop."""

    def __init__(self, most_characters: int = MAX_CHARACTERS) -> None:
        self._documents: LRUCache[str, str] = LRUCache(most_characters, len)

    def document(self, operation: dict[str, Any]) -> str | None:
        """The document that the body of a request contains or names by its hash, None if it does neither.

        Raises:
            HttpError: the hash is not known, malformed, or not that of the document beside it.
        """
        found: str | None = operation.get("query")
        digest = _digest(operation)
        if digest is None:
            return found
        if found is None:
            if digest not in self._documents:
                # Status and message are what clients of this protocol look for.
                raise HttpError(HTTPStatus.OK, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
            return self._documents[digest]
        if hashlib.sha256(found.encode()).hexdigest() != digest:
            raise bad_request("extensions.persistedQuery.sha256Hash is not the SHA-256 of the query beside it")
        return found

    def keep(self, operation: dict[str, Any]) -> None:
        """Cache the document of a request that ran, if the client sent its hash."""
        digest, document = _digest(operation), operation.get("query")
        if digest is None or document is None or digest in self._documents:
            return
        if len(document) <= self._documents.maxsize:
            self._documents[digest] = document


def _digest(operation: dict[str, Any]) -> str | None:
    extensions = operation.get("extensions")
    asked = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    if asked is None:
        return None
    if not isinstance(asked, dict) or asked.get("version") != 1:
        raise bad_request("extensions.persistedQuery must be an object with version 1 and sha256Hash")
    digest = asked.get("sha256Hash")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise bad_request("extensions.persistedQuery.sha256Hash must be 64 hexadecimal digits in lower case")
    return digest
