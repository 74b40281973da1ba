"""Decides where credentials may be sent, and what a setting that comes over the API may point at.

The platform reads what an account names with its own network, disk and permissions. A user who can only call the API has none of these
and must not reach them through the platform: an address inside its network, a folder of its disk, a bucket that only the platform may read,
a profile of its machine. The rules follow the types and names of fields in a provider's credential model, never the provider.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from typing import Annotated, Any, Final, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.providers.http.redaction import json_texts
from optiinfra_assets.providers.network_policy import EVERYWHERE, NetworkPolicy, folded, is_public


def check_endpoint(url: str) -> str:
    """Returns `url` without trailing slashes if credentials may be sent there: https, or plain http to this machine.

    Raises:
        ValueError: the address is not accepted; says which are.
    """
    parts = urlsplit(url)
    accepted = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    # A port that is none raises ValueError too.
    if not accepted or not parts.hostname or parts.port == 0 or parts.username or parts.query or parts.fragment:
        raise ValueError(
            "an https address without user, query or fragment is accepted, or plain http to 127.0.0.1 or localhost"
        )
    return url.rstrip("/")


Endpoint = Annotated[str, AfterValidator(check_endpoint)]
"""Type of an `endpoint_url` field of a credential model."""


class MachineLocal(Enum):
    """Marks, in ``Annotated``, a field of a credential model whose value refers to the machine that reads it.

    A user who can only call the API may not use such a value freely; see `AllowedLocations`.
    """

    FOLDER = auto()
    """A folder or file, unless the value has a scheme such as ``s3://``."""
    SETTING = auto()
    """The name of something set up on that machine, such as a profile with its own permissions."""


def is_loopback(host: str) -> bool:
    """Returns whether `host` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_URL: Final = re.compile(r"https?://", re.IGNORECASE)
_PORTS: Final = {"https": 443, "http": 80}
ADDRESSES: Final = ("_url", "_uri", "_endpoint")
FILES: Final = ("_file", "_folder", "_path")
"""Name endings of fields that hold an address, or that name something on the disk, whatever their type."""


class LocationNotAllowed(ValueError):
    """A setting points at a location that its sender may not use.

    Attributes:
        field: name of the setting in the credential model.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class AllowedLocations:
    """The locations that a sender's settings may point at.

    Attributes:
        is_everywhere: everything is allowed, as for the operator of the platform.
        places: otherwise, folders of this machine and addresses such as ``s3://bucket/prefix``; what is below them is allowed.
    """

    is_everywhere: bool
    places: tuple[str, ...] = ()

    def resolved(self, model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns `values` with the folders of this machine as they are reached without links: reading follows none."""
        return {
            name: str(_reached(value) or value)
            if not self.is_everywhere
            and isinstance(value, str)
            and "://" not in value
            and MachineLocal.FOLDER in _kinds(model.model_fields[name])
            else value
            for name, value in values.items()
        }

    def check(self, model: type[BaseModel], values: Mapping[str, Any]) -> None:
        """Checks the values of fields of `model`, except for its defaults; resolves host names.

        Raises:
            LocationNotAllowed: a field is not accepted; names the first one, and what is accepted.
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
                # The value is not repeated: it may have been resolved, and would tell where links of this machine lead.
                "is not accepted over the API: it is read with the rights of this platform: use a place below one of "
                "OPTIINFRA_API_FOLDERS, which whoever runs the platform sets",
            )


def parse_locations(setting: str) -> tuple[str, ...]:
    """Splits OPTIINFRA_API_FOLDERS at its colons: folders, and addresses such as ``s3://bucket/prefix``."""
    return tuple(part.strip() for part in re.split(r":(?!//)", setting) if part.strip())


def _is_below(value: str, place: str) -> bool:
    if "://" in value or "://" in place:
        return value == place or value.startswith(f"{place.rstrip('/')}/")
    path, folder = _reached(value), _reached(place)
    return path is not None and folder is not None and path.is_relative_to(folder)


def _reached(path: str) -> Path | None:
    """Returns a path as it is reached without links; None if it is reached by none: links in a circle, the home of an unknown user."""
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):
        return None


def endpoint_fields(model: type[BaseModel]) -> frozenset[str]:
    """Returns the names of the fields of `model` that say where its secrets are sent."""
    return frozenset(name for name, field in model.model_fields.items() if _is_address(name, field))


def _is_address(name: str, field: FieldInfo) -> bool:
    return name.endswith(ADDRESSES) or "endpoint" in _kinds(field)


def _kinds(field: FieldInfo) -> Iterable[object]:
    yield from _kinds_of(field.annotation)
    for one in field.metadata:
        yield from _kinds_of(one)


def _kinds_of(part: object) -> Iterable[object]:
    """Yields the markers in a type, as deep as types are nested."""
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
    """Returns whether every address of the host is public now; its DNS name may resolve to another address later."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme == "https" and bool(host) and is_public_host(host or "", port or 443)


def is_public_host(host: str, port: int) -> bool:
    """Returns whether every address of a host is public now; its DNS name may resolve to another address later."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(is_public(str(one[4][0])) for one in found)


def network_policy_of(account: Account, own_hosts: tuple[str, ...], *, takes_secret: bool) -> NetworkPolicy:
    """Returns where requests of an account may go.

    Args:
        account: the account with its secrets; it says who gave them and its settings.
        own_hosts: as `NetworkPolicy.own_hosts`.
        takes_secret: its provider takes a secret. Without one, the places that the operator allows are read with the rights of this
            machine, at the provider's own address only.
    """
    if account.settings_by_operator and account.secrets_by_operator:
        return EVERYWHERE
    given = frozenset(_hosts(account.settings.values()))
    policy = NetworkPolicy(
        named=given if account.settings_by_operator else frozenset(),
        own_hosts=own_hosts,
        lends_rights=not takes_secret and not given,
    )
    is_quoted = all(policy.trusts(host, port) for host, port in (*given, *_hosts(account.secrets.values())))
    return replace(policy, is_quoted=is_quoted)


def settings_by_operator(account: Account, wanted: Account, sent: Mapping[str, Any], *, is_operator: bool) -> bool:
    """Returns whether all addresses in the settings of an account are the operator's, after a change.

    Args:
        account: the account before the change.
        wanted: the account with the new settings.
        sent: the settings that were sent; the others are as before.
        is_operator: the operator sent them.
    """
    kept = [value for name, value in wanted.settings.items() if name not in sent]
    if not sent:
        return account.settings_by_operator
    return is_operator and (account.settings_by_operator or not any(_urls(kept)))


def _urls(values: Iterable[Any]) -> Iterator[str]:
    """Yields the http addresses among some values, also those inside JSON, such as a key file."""
    for value in values:
        text = str(value)
        yield from (one for one in (text, *json_texts(text)) if _URL.match(one))


def _hosts(values: Iterable[Any]) -> Iterator[tuple[str, int]]:
    for url in _urls(values):
        try:
            parts = urlsplit(url.lower())
            yield folded(parts.hostname or ""), parts.port or _PORTS[parts.scheme]
        except ValueError:
            yield "", 0
