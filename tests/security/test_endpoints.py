"""Every way by which a customer's administrator could make the server connect to its own network, and none of them connects.

A case is an address, the place of a credential where it stands, and the way in which the client comes to it. What is counted are calls of
``connect`` in this process, whoever makes them: an audit hook of Python sees them all, also those of a client that was forgotten. The
servers are real ones on loopback. Only the resolver is scripted, since no name on the internet may be made to lead here.
"""

from __future__ import annotations

import itertools
import json
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hostile_servers import CERTIFICATE, CONNECTING, INSIDE, PLACES, Place, account_of, says, served

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.domain.errors import ProviderError
from optiinfra_assets.domain.quoting import VALUE_NOT_SHOWN
from optiinfra_assets.ingestion.account_access import for_call
from optiinfra_assets.providers import PROVIDERS, network_policy
from optiinfra_assets.providers.base import Provider
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext
from optiinfra_assets.providers.http.boto_client import kept_client
from optiinfra_assets.providers.http.connections import ALIKE_SECONDS
from optiinfra_assets.providers.network_policy import NetworkPolicy, is_public

NOW: Final = datetime(2026, 11, 5, tzinfo=UTC)
PUBLIC: Final = "93.184.215.14"

LITERALS: Final = (
    "127.0.0.1", "localhost", "LOCALHOST.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001",
    "0", "0.0.0.0",  # noqa: S104 - an address to connect to
    "127.255.255.254", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]",
    "[2001:0:7f00:1::]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]", "[::ffff:0:127.0.0.1]",
    "[2600:1f18::5efe:127.0.0.1]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1",
    "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16", "192.88.99.1",
    "127。0。0。1", "①27.0.0.1",
)  # fmt: skip
"""Hosts as a person may write them; the system's resolver reads them."""

ANSWERS: Final = {
    "loopback.test": [["127.0.0.1"]],
    "metadata.test": [["169.254.169.254"]],
    "private.test": [["10.1.2.3"]],
    "mixed.test": [[PUBLIC, "127.0.0.1"]],
    "mapped.test": [["::ffff:127.0.0.1"]],
    "nat64.test": [["64:ff9b::a00:1"]],
    "unique.test": [["fd00::1"]],
    "changing.test": [[PUBLIC], ["127.0.0.1"], ["127.0.0.1"], ["127.0.0.1"]],
}
"""What the resolver answers for a name, one answer after the other; the last one stays."""


@dataclass(slots=True)
class Net:
    """What the process connected to, and the names that it resolves."""

    allowed: set[int] = field(default_factory=set)
    connected: list[Any] = field(default_factory=list)
    is_watching: bool = False
    asked: dict[str, int] = field(default_factory=dict)
    failure: Callable[[], OSError] = ConnectionRefusedError

    def strangers(self) -> list[Any]:
        """Addresses other than those of the test's own permitted servers and of the public internet."""
        return [one for one in self.connected if one[1] not in self.allowed and one[0] != PUBLIC]


NET: Final = Net()


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not NET.is_watching or arguments[0].type != socket.SOCK_STREAM:
        return
    NET.connected.append(arguments[1])
    if arguments[1][0] == PUBLIC:
        raise NET.failure()  # nothing leaves this machine


sys.addaudithook(_watch)
_resolve = socket.getaddrinfo


def _scripted(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name.endswith(".missing"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    answers = ANSWERS.get(name.rstrip("."))
    if name.endswith(".example"):
        answers = [[PUBLIC]]
    if answers is None:
        return _resolve(host, port, *arguments, **options)
    turn = NET.asked.get(name, 0)
    NET.asked[name] = turn + 1
    found = answers[min(turn, len(answers) - 1)]
    return [one for address in found for one in _resolve(address, port, 0, socket.SOCK_STREAM)]


@pytest.fixture(autouse=True)
def net(monkeypatch: pytest.MonkeyPatch) -> Iterator[Net]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", _scripted)
    NET.allowed, NET.connected, NET.asked, NET.failure = set(), [], {}, ConnectionRefusedError
    NET.is_watching = True
    kept_client.cache_clear()
    yield NET
    NET.is_watching = False


@dataclass(slots=True)
class Seen:
    """How a call of a provider ended: what a customer reads, how long it waited, and what it connected to."""

    error: str
    kind: type[BaseException]
    slept: list[float]


def read_both(provider: Provider, account: Account, context: ProviderContext) -> None:
    provider.discover(account, context)
    provider.probe(account, {}, context)


def read(account: Account, network: NetworkPolicy | None = None) -> Seen:
    """Reads an account as `test_source` does, and returns how that failed."""
    slept: list[float] = []
    provider = PROVIDERS[account.provider]
    given = ProviderContext(lambda: NOW, MemorySnapshots(), slept.append)
    with for_call(given, provider, account, "probe") as context, pytest.raises(ProviderError) as caught:
        read_both(provider, account, replace(context, network=network) if network else context)
    return Seen(str(caught.value), type(caught.value), slept)


@pytest.fixture(autouse=True)
def chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own credentials, with which files of a bucket are read."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMACHINEMACHINE00")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-this-machine-forty-chars-long00")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


HOSTS: Final = (*LITERALS, *ANSWERS)
DIRECT: Final = [
    (place, host) for number, (place, host) in enumerate(itertools.product(PLACES, HOSTS)) if number % 3 == 0
]
BY_CUSTOMER: Final = {"settings_by_operator": False, "secrets_by_operator": False}


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_an_address_of_this_network_is_not_connected_to(place: Place) -> None:
    """Whatever form the address has, in which field it stands, and what its name resolves to, also if that changes after the check."""
    cases = [host for one, host in DIRECT if one == place]
    with served(says()) as port:
        for host in cases:
            seen = read(account_of(place, f"https://{host}:{port}", **BY_CUSTOMER))
            assert NET.strangers() == [], host
            assert INSIDE not in seen.error
    assert len(cases) >= 18


REDIRECTED: Final = (
    "http://127.0.0.1", "http://localhost", "https://127.0.0.1", "http://2130706433", "http://[::1]", "http://[::ffff:127.0.0.1]",
    "http://0.0.0.0", "http://loopback.test", "http://changing.test", "http://127.0.0.2",
)  # fmt: skip


@pytest.mark.parametrize("place", CONNECTING, ids=str)
def test_a_redirect_into_this_network_is_not_followed(place: Place) -> None:
    """The first server is one that the operator named, so it is reached; the customer holds the secret, and what it answers is not ours."""
    with served(says()) as inner:
        answer = (0, {}, b"")
        with served(lambda request: answer, place.tls) as outer:
            NET.allowed = {outer}
            policy = NetworkPolicy(named=frozenset({("127.0.0.1", outer)}), is_quoted=False)
            for number, host in enumerate(REDIRECTED):
                goal = {"Location": f"{host}:{inner}/", "x-amz-bucket-region": "eu-west-1"}
                answer = (301 if number % 2 else 307, goal, b"{}")
                seen = read(account_of(place, place.local(outer), **BY_CUSTOMER), policy)
                assert NET.strangers() == [], host
                assert INSIDE not in seen.error
            assert NET.connected


AZURE: Final = next(one for one in PLACES if str(one) == "azure.endpoint_url")


@pytest.mark.parametrize("host", REDIRECTED)
def test_a_discovery_answer_into_this_network_is_not_followed(host: str) -> None:
    """The sign-in service names the address to which the secret is sent next."""
    with served(says()) as inner:
        there = f"{host}:{inner}"
        found = {"authorization_endpoint": f"{there}/a", "token_endpoint": f"{there}/token", "issuer": there}
        with served(says(json.dumps(found)), CERTIFICATE.tls) as outer:
            NET.allowed = {outer}
            policy = NetworkPolicy(named=frozenset({("127.0.0.1", outer)}), is_quoted=False)
            seen = read(account_of(AZURE, AZURE.local(outer), **BY_CUSTOMER), policy)
    assert NET.strangers() == []
    assert NET.connected
    assert INSIDE not in seen.error


@pytest.mark.parametrize("host", REDIRECTED)
def test_a_next_page_in_this_network_is_not_read(host: str) -> None:
    with served(says()) as inner:
        answer = {"properties": {"nextLink": f"{host}:{inner}/next", "columns": [], "rows": []}}
        with served(says(json.dumps(answer), first="token"), CERTIFICATE.tls) as outer:
            NET.allowed = {outer}
            policy = NetworkPolicy(named=frozenset({("127.0.0.1", outer)}), is_quoted=False)
            seen = read(account_of(AZURE, AZURE.local(outer), **BY_CUSTOMER), policy)
    assert NET.strangers() == []
    assert NET.connected
    assert INSIDE not in seen.error


def test_cases_are_as_many_as_promised() -> None:
    direct, redirected = len(DIRECT), len(CONNECTING) * len(REDIRECTED)
    assert direct + redirected + 2 * len(REDIRECTED) >= 300


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_what_the_operator_connected_is_reached(place: Place) -> None:
    with served(says("{}", 404), place.tls) as port:
        NET.allowed = {port}
        read(account_of(place, place.local(port)))
        assert NET.connected
        assert {one[1] for one in NET.connected} == {port}


@pytest.mark.parametrize("place", CONNECTING, ids=str)
def test_a_host_of_the_internet_is_reached(place: Place) -> None:
    read(account_of(place, "https://storage.example", **BY_CUSTOMER))
    assert {tuple(one[:2]) for one in NET.connected} == {(PUBLIC, 443)}


@pytest.mark.parametrize("place", CONNECTING, ids=str)
def test_all_that_cannot_be_reached_looks_alike(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open and closed, existing or not, allowed or not, silent or chatty: one text, one kind of error, one time, one try."""
    with served(says()) as chatty:
        monkeypatch.setattr(network_policy, "is_public", lambda address: address == "127.0.0.5" or is_public(address))
        ANSWERS["open.test"] = [["127.0.0.5"]]
        urls = {
            "closed": "https://closed.example",
            "refused": "https://10.0.0.1",
            "loopback, open": f"https://127.0.0.1:{chatty}",
            "loopback, closed": "https://127.0.0.1:1",
            "missing": "https://name.missing",
            "no TLS": f"https://open.test:{chatty}",
        }
        seen = {name: read(account_of(place, url, **BY_CUSTOMER)) for name, url in urls.items()}
        NET.failure = TimeoutError
        seen["filtered"] = read(account_of(place, "https://filtered.example", **BY_CUSTOMER))
    hosts = ("closed.example", "10.0.0.1", "127.0.0.1", "name.missing", "open.test", "filtered.example")
    texts = set()
    for one in seen.values():
        for host in hosts:
            one.error = one.error.replace(host, "<host>")
        texts.add((one.error, one.kind))
        assert len(one.slept) == 1
        assert ALIKE_SECONDS - 2 < one.slept[0] <= ALIKE_SECONDS
    assert len(texts) == 1, texts


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_refusal_of_a_stranger_does_not_quote_it(place: Place) -> None:
    """In any form in which a client looks for the server's own words. What the operator connected quotes them: he needs them."""
    words = {"message": INSIDE, "error_description": INSIDE, "errors": [{"reason": INSIDE}]}
    bodies = (
        json.dumps({"error": {"code": INSIDE, **words}, **words}),
        json.dumps({"error": INSIDE, **words}),
        f"<Error><Code>{INSIDE}</Code><Message>{INSIDE}</Message></Error>",
        f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{INSIDE}</Message></Error></ErrorResponse>",
        INSIDE,
    )
    quoted = False
    script = says()
    with served(lambda request: script(request), place.tls) as port:
        NET.allowed = {port}
        policy = NetworkPolicy(named=frozenset({("127.0.0.1", port)}), is_quoted=False)
        for body, status in (*((one, 403) for one in bodies), *((bodies[0], one) for one in (400, 404, 503))):
            script = says(body, status, first=place.first)
            seen = read(account_of(place, place.local(port), **BY_CUSTOMER), policy)
            assert INSIDE not in seen.error, (body, status)
        for body, status in itertools.product(bodies, (400, 403)):
            script = says(body, status, first=place.first)
            quoted = quoted or INSIDE in read(account_of(place, place.local(port))).error
    assert NET.connected
    assert quoted


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_proxy_of_the_environment_does_not_resolve_for_a_customer(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would connect to any address of its own network, and only it knows to which."""
    with served(says()) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy}")
        read(account_of(place, "https://storage.example", **BY_CUSTOMER))
        assert NET.connected == []
        read(account_of(place, "https://storage.example"))
        assert {one[1] for one in NET.connected} == {proxy}


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_value_of_a_strangers_answer_is_not_quoted(place: Place) -> None:
    """A success whose fields are of other types than documented; the operator, who may see that server, is told the values."""
    fields = dict.fromkeys(PROVIDERS[place.provider].needed_fields, INSIDE)
    body = json.dumps(fields | {"account": INSIDE, "Account": INSIDE, "access_token": INSIDE, "kind": INSIDE})
    with served(says(body, first=place.first), place.tls) as port:
        NET.allowed = {port}
        policy = NetworkPolicy(named=frozenset({("127.0.0.1", port)}), is_quoted=False)
        seen = read(account_of(place, place.local(port), **BY_CUSTOMER), policy)
        assert INSIDE not in seen.error
        if place.name == "endpoint_url" and place.provider in ("vultr", "linode", "digitalocean"):
            assert VALUE_NOT_SHOWN in seen.error
            assert INSIDE in read(account_of(place, place.local(port))).error
