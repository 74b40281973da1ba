"""Whether a request comes from this machine."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def is_loopback_connection(request: Request) -> bool:
    """Both ends of the connection are loopback addresses, and no proxy of this machine says that it asks for somebody else."""
    ends = (request.scope.get("client"), request.scope.get("server"))
    is_forwarded = any(name in request.headers for name in _FORWARDED)
    return not is_forwarded and all(_is_loopback(end[0] if end else "") for end in ends)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
