"""Tells whether a request comes from this machine."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def is_loopback_connection(request: Request) -> bool:
    """Whether both ends of the connection are loopback addresses and no header says that a proxy forwarded the request."""
    ends = (request.scope.get("client"), request.scope.get("server"))
    is_forwarded = any(name in request.headers for name in _FORWARDED)
    return not is_forwarded and all(is_loopback(end[0] if end else "") for end in ends)


def is_loopback(host: str) -> bool:
    """Whether `host` is an IP address of this machine alone; a name is none."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
