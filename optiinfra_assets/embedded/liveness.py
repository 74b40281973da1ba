"""Notices services that run and answer no more, so that the supervisor replaces them.

A port accepts connections as long as its process exists, also one that is stopped or hangs, so every probe here waits for an answer. Probes
are counted, and not the time that the clock shows: after an hour in which a laptop slept, or the supervisor was stopped, at most the one
probe is missed that was under way.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import psutil  # type: ignore[import-untyped]

from optiinfra_assets.embedded import home_folder
from optiinfra_assets.embedded.services import ManagedService, Probe
from optiinfra_assets.settings import Settings

PERIOD, PROBE_TIMEOUT = 5.0, 5.0
"""Seconds between two probes, and for the answer to one."""
MISSES = 6
"""Probes in a row without an answer after which a service is replaced: after 30 to 60 s."""
HEARTBEAT_LOOKS = 24
"""Looks at the heartbeats of Dagster's daemon, two minutes, in which one must have come; each of its loops writes one every 30 s."""

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_HTTP2_BEGIN = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS, _HEADERS, _DATA = 4, 1, 0
_END_STREAM, _END_HEADERS = 1, 4

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def until_silent(pid: int, probe: Probe) -> None:
    """Return once the service with process `pid` has not answered `MISSES` probes in a row."""
    missed = 0
    while missed < MISSES:
        await asyncio.sleep(PERIOD)
        missed = 0 if await _answers(pid, probe) else missed + 1


async def _answers(pid: int, probe: Probe) -> bool:
    try:
        is_stopped = psutil.Process(pid).status() == psutil.STATUS_STOPPED
        return not is_stopped and await asyncio.wait_for(probe(pid), PROBE_TIMEOUT)
    except (psutil.Error, OSError):
        return False


def probe_of(service: ManagedService, settings: Settings) -> Probe | None:
    """The probe that tells whether `service` still answers: its own of readiness, unless that does not wait for an answer."""
    if service.name == "postgres":
        return _postgres(settings.postgres_url or "")
    if service.name == "code-location":
        return grpc_answers(lambda: asyncio.open_unix_connection(home_folder.code_location_socket(settings.home)))
    if service.name == "dagster-daemon":
        return heartbeat_comes(settings.postgres_url or "")
    return service.ready


def _postgres(url: str) -> Probe:
    """PostgreSQL answers a request for encryption with one byte, from a process that it starts for the connection.

    Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
    """
    (folder,) = parse_qs(urlsplit(url).query)["host"]

    async def answers(_pid: int) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        except OSError:
            return False
        try:
            writer.write(_SSL_REQUEST)
            return await reader.read(1) in (b"N", b"S")
        except OSError:
            return False
        finally:
            writer.close()

    return answers


def grpc_answers(connect: Connect) -> Probe:
    """Return a probe: whether a gRPC server answers a call of the standard health service, with whatever status.

    The frames are written here because gRPC's own client starts threads, and the supervisor, which probes, forks its services.
    Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, and RFC 9113 for the frames.
    """
    fields = b"\x83\x86" + _field(4, b"/grpc.health.v1.Health/Check") + _field(1, b"localhost")
    fields += _new_field(b"content-type", b"application/grpc") + _new_field(b"te", b"trailers")
    call = (
        _HTTP2_BEGIN
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, fields)
        + _frame(_DATA, _END_STREAM, 1, bytes(5))
    )

    async def answers(_pid: int) -> bool:
        try:
            reader, writer = await connect()
        except OSError:
            return False
        try:
            writer.write(call)
            kind = None
            while kind != _HEADERS:
                head = await reader.readexactly(9)
                kind = head[3]
                await reader.readexactly(int.from_bytes(head[:3], "big"))
            return True
        except (OSError, asyncio.IncompleteReadError):
            return False
        finally:
            writer.close()

    return answers


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _field(name: int, value: bytes) -> bytes:
    """A header whose name is number `name` of HPACK's static table (RFC 7541, 6.2.2 and appendix A)."""
    return bytes((name, len(value))) + value


def _new_field(name: bytes, value: bytes) -> bytes:
    return bytes((0, len(name))) + name + bytes((len(value),)) + value


def heartbeat_comes(url: str) -> Probe:
    """Return a probe: whether Dagster's daemon still writes heartbeats to its database, the only place where it shows that it works.

    It answers False if no other heartbeat came in `HEARTBEAT_LOOKS` calls, and True if the database does not tell.
    """
    newest: datetime | None = None
    looks = 0

    async def beats(_pid: int) -> bool:
        nonlocal newest, looks
        found = await _newest_heartbeat(url)
        looks = looks + 1 if found is not None and found == newest else 0
        newest = found
        return looks < HEARTBEAT_LOOKS

    return beats


async def _newest_heartbeat(url: str) -> datetime | None:
    import psycopg

    try:
        async with asyncio.timeout(PROBE_TIMEOUT / 2), await psycopg.AsyncConnection.connect(url) as connection:
            found = await connection.execute("SELECT max(timestamp) FROM daemon_heartbeats")
            row = await found.fetchone()
    except (psycopg.Error, TimeoutError):
        return None
    return row[0] if row else None
