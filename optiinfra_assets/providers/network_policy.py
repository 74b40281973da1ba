"""Says where the requests of one account may go, and whose credentials they may carry: the public internet, and the account's own.

It goes further only where the operator of the platform said so.

A customer's administrator gives addresses in settings and inside secrets (``token_uri`` of a key), and a server names more of them
(redirects, links to next pages). `connections` asks this policy for every connection, after the host name is resolved, so it does not
matter where an address came from. It does not apply to what the operator connected.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from optiinfra_assets.domain.quoting import NOT_SHOWN

_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""The only IPv6 addresses of the internet (RFC 4291, 2.4; IANA allocates no others)."""
_SPECIAL: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarks: protocols, not hosts (RFC 2928)
        "2001:db8::/32",
        "3fff::/20",  # both for documentation
        "192.0.0.0/24",  # protocols, not hosts (RFC 6890)
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
        "168.63.129.16/32",  # the host of a virtual machine in Azure, reached from inside only
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""An IPv4 address in its last 32 bits, reached through a translator (RFC 6052). 64:ff9b:1::/48 leads into a local network (RFC 8215)."""
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)
"""Third quarter of an address that tunnels to the IPv4 address in the last one (RFC 5214)."""
NOT_LENT: Final = "the rights of this machine are not lent"


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """Where requests of one account may go, and whose words its errors may repeat.

    Attributes:
        is_everywhere: anywhere, as for what the operator of the platform connected.
        named: hosts and ports that the operator gave in the account's settings; each may have any address.
        own_hosts: hosts of the provider itself; ``*`` stands for one label of a name.
        is_quoted: errors may repeat what servers say: no address of the account is that of a stranger.
        lends_rights: requests may carry the credentials that this machine has: those of its environment, files, programs and metadata.
    """

    is_everywhere: bool = False
    named: frozenset[tuple[str, int]] = frozenset()
    own_hosts: tuple[str, ...] = ()
    is_quoted: bool = True
    lends_rights: bool = False

    def trusts(self, host: str, port: int) -> bool:
        """Returns whether a host is the provider's own or the operator's: then an error may say why it cannot be reached."""
        name = folded(host)
        is_own = port == 443 and any(_is_like(name, pattern) for pattern in self.own_hosts)
        return self.is_everywhere or is_own or (name, port) in self.named

    def accepts(self, host: str, port: int, address: str) -> bool:
        """Returns whether a connection to `address`, to which `host` was resolved, is allowed."""
        return self.is_everywhere or (folded(host), port) in self.named or is_public(address)

    def quoted(self, said: str) -> str:
        """Returns what a server said, for a message; `NOT_SHOWN` if an address of the account is that of a stranger."""
        return said if self.is_quoted else NOT_SHOWN


EVERYWHERE: Final = NetworkPolicy(is_everywhere=True, lends_rights=True)


def is_public(text: str) -> bool:
    """Returns whether an IP address is a host of the public internet, and not this machine under its public address.

    Forms of IPv6 that contain an IPv4 address (mapped, NAT64, 6to4, ISATAP) count as that one.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(str(inner))
        is_global = address in _GLOBAL_UNICAST
    else:
        is_global = address.is_global and not address.is_multicast
    is_special = any(address.version == net.version and address in net for net in _SPECIAL)
    return is_global and not is_special and not _is_ours(address)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """Returns the IPv4 address that an IPv6 address leads to, if it leads to one."""
    last = IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _NAT64 or (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return last
    inner: IPv4Address | None = address.ipv4_mapped or address.sixtofour
    return inner


def _is_ours(address: IPv4Address | IPv6Address) -> bool:
    """Returns whether packets to `address` stay on this machine. Sends none: the kernel chooses the source of a socket, here itself."""
    kind = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(kind, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return bool(probe.getsockname()[0] == str(address))
    except OSError:
        return False


def folded(host: str) -> str:
    """Returns a host as `NetworkPolicy.named` has it: without brackets, without a dot at its end, in lower case."""
    return host.strip("[]").rstrip(".").lower()


def _is_like(name: str, pattern: str) -> bool:
    labels, wanted = name.split("."), pattern.split(".")
    return len(labels) == len(wanted) and all(want in ("*", label) for label, want in zip(labels, wanted, strict=True))
