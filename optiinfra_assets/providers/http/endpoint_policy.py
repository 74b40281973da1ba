"""Where credentials may be sent, and what settings may point at when they come from somebody who may speak to the API only.

The platform reads what an account names with its own network, disk and rights. Whoever has none of these must not use ours: an address
inside our network, a folder of our disk, a bucket that our rights open, a profile of our machine. The rules go by the types and names of
fields in a provider's credential model, never by the provider.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator

if TYPE_CHECKING:
    pass
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def check_endpoint(url: str) -> str:
    """`url` without a trailing slash, if credentials may be sent there: https, or plain http to this machine.

    Raises:
        ValueError: saying what is accepted.
    """
    parts = urlsplit(url)
    accepted = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not accepted or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError(
            "an https address without user, query or fragment is accepted, or plain http to 127.0.0.1 or localhost"
        )
    return url.rstrip("/")


Endpoint = Annotated[str, AfterValidator(check_endpoint)]


"""Type of the field `endpoint_url` of a credential model."""


class MachineLocal(Enum):
    """Marks fields of a credential model, in ``Annotated``, whose values mean something of the machine that reads them.

    Whoever may only speak to the API must not use what is the machine's own; see `optiinfra_assets.providers.http.endpoint_policy`.
    """

    FOLDER = auto()
    """A folder or file, unless the value has a scheme such as ``s3://``."""
    SETTING = auto()
    """A name of something that is set up there, such as a profile with its own rights."""


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


ADDRESSES: Final = ("_url", "_uri", "_endpoint")
FILES: Final = ("_file", "_folder", "_path")
"""Ends of names of fields that hold an address, or name something on the disk, whatever their type."""


class LocationNotAllowed(ValueError):
    """A setting points at what its sender may not use.

    Attributes:
        field: its name in the credential model.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class AllowedLocations:
    """What the sender may point at.

    Attributes:
        is_everywhere: anything, as whoever runs the platform may.
        places: else, below which folders of this machine, and below which addresses such as ``s3://bucket/prefix``.
    """

    is_everywhere: bool
    places: tuple[str, ...] = ()

    def check(self, model: type[BaseModel], values: Mapping[str, Any]) -> None:
        """Look at values of fields of `model`, but for its defaults; resolves the names of hosts.

        Raises:
            LocationNotAllowed: naming the first field that is not accepted, and what is.
        """
        for name, value in values.items():
            field = model.model_fields[name]
            if not self.is_everywhere and value is not None and value != field.default:
                self._check(name, field, str(value))

    def _check(self, name: str, field: FieldInfo, value: str) -> None:
        kinds = set(_kinds(field))
        if _is_address(name, field) and not _is_public(value):
            raise LocationNotAllowed(
                name, f"{value!r} is not accepted over the API: use https and a host of the public internet"
            )
        if MachineLocal.SETTING in kinds:
            raise LocationNotAllowed(
                name,
                f"{value!r} is not accepted over the API: it belongs to the machine of this platform: leave it out",
            )
        is_read_with_our_rights = MachineLocal.FOLDER in kinds or name.endswith(FILES)
        if is_read_with_our_rights and not any(_is_below(value, place) for place in self.places):
            raise LocationNotAllowed(
                name,
                f"{value!r} is not accepted over the API: it is read with the rights of this platform: use a place below one of "
                "OPTIINFRA_API_FOLDERS, which whoever runs the platform sets",
            )


def parse_locations(setting: str) -> tuple[str, ...]:
    """The places of OPTIINFRA_API_FOLDERS, parted by colons: folders, and addresses such as ``s3://bucket/prefix``."""
    return tuple(part.strip() for part in re.split(r":(?!//)", setting) if part.strip())


def _is_below(value: str, place: str) -> bool:
    if "://" in value or "://" in place:
        return value == place or value.startswith(f"{place.rstrip('/')}/")
    return Path(value).expanduser().resolve().is_relative_to(Path(place).expanduser().resolve())


def endpoint_fields(model: type[BaseModel]) -> frozenset[str]:
    """Names of the fields of `model` that say where its secrets are sent."""
    return frozenset(name for name, field in model.model_fields.items() if _is_address(name, field))


def _is_address(name: str, field: FieldInfo) -> bool:
    return name.endswith(ADDRESSES) or "endpoint" in _kinds(field)


def _kinds(field: FieldInfo) -> Iterable[object]:
    yield from _kinds_of(field.annotation)
    for one in field.metadata:
        yield from _kinds_of(one)


def _kinds_of(part: object) -> Iterable[object]:
    """`part` of a type as its rule, as deep as types are nested."""
    if isinstance(part, MachineLocal):
        yield part
    elif part is Path:
        yield MachineLocal.FOLDER
    elif isinstance(part, AfterValidator):
        if part.func is check_endpoint:
            yield "endpoint"
    else:
        for inner in (*get_args(part), *getattr(part, "__metadata__", ())):
            yield from _kinds_of(inner)


def _is_public(url: str) -> bool:
    """Whether every address of the host is one of the public internet, now; a name may be given another one later."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.scheme != "https" or not host:
        return False
    try:
        found = socket.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(_is_global(str(one[4][0])) for one in found)


def _is_global(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return address.is_global and not address.is_multicast
