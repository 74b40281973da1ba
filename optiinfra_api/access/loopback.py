"""Tells whether an address is of this machine alone. What a caller may do never depends on it: it is no proof of who he is."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether `host` is an IP address of this machine alone; a name is none."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
