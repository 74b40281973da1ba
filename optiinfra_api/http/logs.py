"""The log of the service: one JSON object a line, without secrets."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from optiinfra_api.http.request_log import correlation_id

_HIDDEN = "***"
_OUR_TOKEN, _HIDDEN_TOKEN = re.compile(r"\boi_[A-Za-z0-9_-]{16,}"), f"oi_{_HIDDEN}"
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (_OUR_TOKEN, _HIDDEN_TOKEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {_HIDDEN}"),
    (re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?)(?!bearer|basic)[^\s'\",}]+"), rf"\1{_HIDDEN}"),
    (re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]+(?=@)"), rf"\1:{_HIDDEN}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), _HIDDEN),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        _HIDDEN,
    ),
    (
        re.compile(
            r"(?i)((?:api[_-]?key|secret|passw(?:or)?d|access[_-]?key|token|sig)['\"]?\s*[:=]\s*['\"]?)"
            r"(?!\*\*\*)[^\s'\",&}]+"
        ),
        rf"\1{_HIDDEN}",
    ),
)
_CHATTY = ("clickhouse_connect", "httpx", "psycopg.pool", "urllib3", "aiohttp")


def redacted(text: str) -> str:
    """Redact what looks like a secret: our tokens, Authorization values, passwords in URLs, AWS or private keys, values named as secret."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time, level, logger, message, correlation_id, the facts of a request, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redacted(record.getMessage()),
            "correlation_id": getattr(record, "correlation_id", None) or correlation_id(),
        }
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["trace"] = redacted(self.formatException(record.exc_info))
        # Facts are our own names and numbers, except the names that a client gives its request and its operation.
        return _OUR_TOKEN.sub(_HIDDEN_TOKEN, json.dumps(line, ensure_ascii=False))


def configure() -> None:
    """Send the log of this process to standard error as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in _CHATTY:
        # These libraries also raise what they warn of, and we log it once.
        logging.getLogger(chatty).setLevel(logging.ERROR)
