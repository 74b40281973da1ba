"""Servers on loopback that answer as a test says, and every field of a credential in which the address of one may stand."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from loopback import HANG

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.simulators.gcp.simulator import private_key
from optiinfra_assets.simulators.server.certificates import Certificate

INSIDE: Final = "what stands inside of this network"


class _Handler(BaseHTTPRequestHandler):
    """Answers every request as the test says."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: the second would wait for 40 ms

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, body = self.server.script(self)  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    do_GET = do_POST = do_HEAD = do_PUT = answer

    def log_message(self, *_: object) -> None:
        """Nothing: the tests look at what clients do."""


Script = Callable[[BaseHTTPRequestHandler], tuple[int, dict[str, str], bytes]]


@contextmanager
def served(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on a free port of all addresses of this machine, IPv4 and IPv6."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6
        daemon_threads = True

        def server_bind(self) -> None:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            super().server_bind()

        def handle_error(self, *_: object) -> None:
            """Nothing: clients break off."""

    server = Server(("::", 0), _Handler)
    server.script = script  # type: ignore[attr-defined]
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join(HANG)
        server.server_close()


TOKEN: Final = {"access_token": "PLANTED-token", "expires_in": 3600, "token_type": "Bearer"}


def says(body: str = INSIDE, status: int = 200, *, first: str = "") -> Script:
    """Answers everything the same; before that a sign-in service tells its addresses (discovery), or gives out tokens too (token)."""

    def script(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        here = f"https://{request.headers['Host']}"
        if first and "openid-configuration" in request.path:
            found = {"authorization_endpoint": f"{here}/authorize", "token_endpoint": f"{here}/token", "issuer": here}
            return 200, {}, json.dumps(found).encode()
        if first == "token" and request.path.endswith("/token"):
            return 200, {}, json.dumps(TOKEN).encode()
        return status, {}, body.encode()

    return script


@dataclass(frozen=True, slots=True)
class Place:
    """A field of a credential that holds an address.

    Attributes:
        fields: settings and secrets of an account, from the address.
        first: what the server has to do before, see `says`.
    """

    provider: str
    name: str
    fields: Callable[[str], tuple[dict[str, Any], dict[str, Any]]]
    first: str = ""

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What a server needs for the clients of this place that speak no plain HTTP."""
        return CERTIFICATE.tls if self.provider == "azure" else None

    def local(self, port: int) -> str:
        """The address of a server of the test."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{port}"

    def __str__(self) -> str:
        return f"{self.provider}.{self.name}"


KEY: Final = {
    "type": "service_account", "project_id": "p", "private_key_id": "1f" * 20, "private_key": private_key(),
    "client_email": "reader@p.iam.gserviceaccount.com", "client_id": "1", "universe_domain": "googleapis.com",
}  # fmt: skip
TABLE: Final = {"table": "p.d.gcp_billing_export_resource_v1_00AA11_22BB33_44CC55"}
CERTIFICATE: Final = Certificate.make(0)
ENTRA: Final = {"tenant_id": "7f" * 16, "client_id": "5e" * 16, "ca_file": str(CERTIFICATE.path)}
SECRET: Final = {"client_secret": "PLANTED-azure-client-secret"}
AWS_KEY: Final = {
    "access_key_id": "AKIAPLANTEDPLANTED00",
    "secret_access_key": "PLANTED-secret-access-key-of-forty-chars0",
}
SCOPE: Final = {"scope": "subscriptions/11111111-1111-1111-1111-111111111111"}


def _key(token_uri: str) -> dict[str, str]:
    return {"service_account_key": json.dumps({**KEY, "token_uri": token_uri})}


PLACES: Final = (
    Place("vultr", "endpoint_url", lambda url: ({"endpoint_url": url}, {"api_key": "PLANTED-vultr-key"})),
    Place("linode", "endpoint_url", lambda url: ({"endpoint_url": url}, {"token": "PLANTED-linode-token"})),
    Place("digitalocean", "endpoint_url", lambda url: ({"endpoint_url": url}, {"api_token": "PLANTED-do-token"})),
    Place("aws", "endpoint_url", lambda url: ({"endpoint_url": url}, AWS_KEY)),
    Place("aws", "endpoint_url of a role", lambda url: (
        {"endpoint_url": url, "role_arn": "arn:aws:iam::123456789012:role/costs"}, AWS_KEY)),
    Place("aws", "endpoint_url of an export", lambda url: ({"endpoint_url": url, "export": "s3://b/p/e"}, AWS_KEY)),
    Place("focus", "endpoint_url", lambda url: ({"endpoint_url": url, "location": "s3://bucket/prefix"}, {})),
    Place("gcp", "token_uri", lambda url: (TABLE, _key(url))),
    Place("gcp", "endpoint_url", lambda url: ({**TABLE, "endpoint_url": url}, _key(f"{url}/token")), first="token"),
    Place("azure", "authority", lambda url: ({**ENTRA, **SCOPE, "authority": url}, SECRET), first="discovery"),
    Place("azure", "endpoint_url", lambda url: ({**ENTRA, **SCOPE, "endpoint_url": url, "authority": url}, SECRET), first="token"),
    Place("azure", "export_url", lambda url: ({**ENTRA, "export_url": f"{url}/container/folder", "authority": url}, SECRET), first="token"),
)  # fmt: skip

CONNECTING: Final = tuple(place for place in PLACES if place.provider != "focus")
"""Those from which a customer's account sends requests: files have no secret, and are not read elsewhere with the machine's own."""


def account_of(place: Place, url: str, **origin: bool) -> Account:
    settings, secrets = place.fields(url)
    return Account("acme.a", "acme", place.provider, settings, secrets, **origin)
