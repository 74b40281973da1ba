"""Sessions by `session_id`: `SET`, `USE` and temporary tables that outlive their request.

clickhouse-connect gives every client a session that it hardly ever needs. So a session gets a handle of its own only when a
statement first changes it; until then its requests use any handle.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from optiinfra_assets.embedded.clickhouse.engine import Engine, Handle, quote_name
from optiinfra_assets.embedded.clickhouse.errors import EngineError

DEFAULT_SECONDS = 60.0
MAX_SECONDS = 3600.0
# A client may have read the last row, and ask again, before the end of the answer is written.
LOCKED_SECONDS = 1.0


@dataclass(slots=True)
class _Session:
    handle: Handle | None = None
    busy: bool = False
    expires: float = 0.0


class Sessions:
    """All sessions of the process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._sessions: dict[str, _Session] = {}

    @contextmanager
    def enter(self, params: Mapping[str, str], changes: bool) -> Iterator[Handle | None]:
        """The handle of the request's session while it is held; None for a request without one, or of one that is as new.

        Args:
            params: the request's; `session_id`, `session_timeout` (seconds) and `session_check` are looked at.
            changes: the statement changes the session.

        Raises:
            EngineError: the session is in use, not there although `session_check` asks for it, or has a wrong time-out.
        """
        name = params.get("session_id")
        if not name:
            yield None
            return
        seconds = _timeout(params)
        session = self._claim(name, params.get("session_check") == "1")
        try:
            if changes and session.handle is None:
                session.handle = self._engine.open("", {})
            yield session.handle
        finally:
            with self._changed:
                session.expires = time.monotonic() + seconds
                session.busy = False
                self._changed.notify_all()

    def _claim(self, name: str, must_exist: bool) -> _Session:
        with self._changed:
            self._expire()
            if name not in self._sessions:
                if must_exist:
                    raise EngineError.make(372, f"Session {name} not found", "SESSION_NOT_FOUND")
                self._sessions[name] = _Session()
            session = self._sessions[name]
            if not self._changed.wait_for(lambda: not session.busy, LOCKED_SECONDS):
                message = f"Session {name} is locked by a concurrent client"
                raise EngineError.make(373, message, "SESSION_IS_LOCKED")
            session.busy = True
            return session

    def _expire(self) -> None:
        now = time.monotonic()
        for name, session in list(self._sessions.items()):
            if not session.busy and session.expires < now:
                del self._sessions[name]
                if session.handle:
                    session.handle.close()


def _timeout(params: Mapping[str, str]) -> float:
    text = params.get("session_timeout")
    if text is None:
        return DEFAULT_SECONDS
    if not text.isdecimal() or int(text) > MAX_SECONDS:
        message = f"session_timeout: {text!r} is not accepted: use whole seconds up to {MAX_SECONDS:.0f}"
        raise EngineError.make(374, message, "INVALID_SESSION_TIMEOUT", 400)
    return float(text)


@contextmanager
def overlay(handle: Handle, database: str | None, settings: Mapping[str, str]) -> Iterator[None]:
    """A session's handle with one request's database and settings on top, and as it was afterwards.

    Raises:
        EngineError: unknown database or setting, or `readonly`, which could not be taken back.
    """
    if settings.get("readonly", "0") != "0":
        message = "readonly (and GET) cannot be combined with a session that has settings or temporary tables: use POST"
        raise EngineError.make(164, message, "READONLY")
    undo: list[Callable[[], object]] = []
    if settings:
        rows = (
            handle.run("SELECT name, value FROM system.settings WHERE changed", "JSONEachRow")
            .bytes()
            .splitlines()
        )
        before = {row["name"]: row["value"] for row in map(json.loads, rows)}
        undo.append(lambda: _restore(handle, settings, before))
    if database:
        current: str = handle.run("SELECT currentDatabase()", "TabSeparatedRaw").data().removesuffix("\n")
        undo.append(lambda: handle.run(f"USE {quote_name(current)}"))
    try:
        handle.set(settings)
        if database:
            handle.run(f"USE {quote_name(database)}")
        yield
    except BaseException:
        # After an error chDB hands the unread output of the failed query to the next one: let this one take it.
        handle.run("SELECT 1")
        raise
    finally:
        for step in reversed(undo):
            step()


def _restore(handle: Handle, settings: Mapping[str, str], before: Mapping[str, str]) -> None:
    for name in settings:
        if name in before:
            handle.set({name: before[name]})
        else:
            with suppress(EngineError):  # the setting that was refused because it does not exist
                handle.run(f"SET {name} = DEFAULT")
