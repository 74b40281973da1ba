"""What this machine may read is not lent to a customer's account, whatever its settings and wherever the machine keeps its credentials.

Each place from which a vendor's client takes credentials by itself is a real one here: variables, files, programs, and servers of metadata
on loopback. None of them may be asked, and no request may be signed with what they give.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

import pytest
from hostile_servers import AWS_KEY, CERTIFICATE, KEY, SCOPE, TABLE, served
from world import World

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.domain.errors import CredentialRejected, ProviderError
from optiinfra_assets.ingestion.account_access import for_call
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext
from optiinfra_assets.providers.http.boto_client import kept_client
from optiinfra_assets.providers.http.retry import with_retries
from optiinfra_assets.providers.http.urllib3_transport import guarded_session

NOW: Final = datetime(2026, 11, 5, tzinfo=UTC)
MACHINE: Final = "AKIAMACHINEMACHINE00"
GIVEN: Final = {
    "AccessKeyId": MACHINE,
    "SecretAccessKey": "secret-of-this-machine-forty-chars-long00",
    "Token": "session",
    "Expiration": "2099-01-01T00:00:00Z",
    "Version": 1,
}
ROLE: Final = "arn:aws:iam::123456789012:role/costs"
BY_CUSTOMER: Final = {"settings_by_operator": False, "secrets_by_operator": False}


class Asked:
    """Requests that came to a server, and whether one was signed with what the machine has."""

    def __init__(self, *answer: str) -> None:
        self.paths: list[str] = []
        self.authorizations: list[str] = []
        self._answers = answer

    def __call__(self, request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        self.paths.append(request.path)
        self.authorizations.append(request.headers.get("Authorization") or "")
        number = min(len(self.paths), len(self._answers)) - 1
        return 200, {"Metadata-Flavor": "Google"}, self._answers[number].encode()


@pytest.fixture(autouse=True)
def nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without credentials, to which a test adds those of one place."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    kept_client.cache_clear()


def _instance_metadata(patch: pytest.MonkeyPatch, port: int, folder: Path) -> None:
    patch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    patch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{port}")


def _container(patch: pytest.MonkeyPatch, port: int, folder: Path) -> None:
    patch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{port}/credentials")


def _variables(patch: pytest.MonkeyPatch, port: int, folder: Path) -> None:
    patch.setenv("AWS_ACCESS_KEY_ID", GIVEN["AccessKeyId"])  # type: ignore[arg-type]
    patch.setenv("AWS_SECRET_ACCESS_KEY", GIVEN["SecretAccessKey"])  # type: ignore[arg-type]


def _credentials_file(patch: pytest.MonkeyPatch, port: int, folder: Path) -> None:
    keys = f"aws_access_key_id={MACHINE}\naws_secret_access_key={GIVEN['SecretAccessKey']}\n"
    (folder / "credentials").write_text(f"[default]\n{keys}")


def _process(patch: pytest.MonkeyPatch, port: int, folder: Path) -> None:
    program = folder / "credentials.py"
    program.write_text(f"open({str(folder / 'ran')!r}, 'w').close()\nprint({json.dumps(json.dumps(GIVEN))})\n")
    (folder / "config").write_text(f"[default]\ncredential_process = {sys.executable} {program}\n")


def _web_identity(patch: pytest.MonkeyPatch, port: int, folder: Path) -> None:
    (folder / "token").write_text("a-token-of-this-machine")
    patch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(folder / "token"))
    patch.setenv("AWS_ROLE_ARN", ROLE)
    patch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{port}")


AWS_PLACES: Final = (_instance_metadata, _container, _variables, _credentials_file, _process, _web_identity)


def _aws(**settings: Any) -> Account:
    return Account("acme.a", "acme", "aws", settings, {}, **BY_CUSTOMER)


def _half_a_key(url: str) -> Account:
    secrets = {**AWS_KEY, "secret_access_key": ""}
    return Account("acme.a", "acme", "aws", {"endpoint_url": url}, secrets, **BY_CUSTOMER)


AWS_ACCOUNTS: Final = {
    "no key": lambda url: _aws(endpoint_url=url),
    "a role without a key": lambda url: _aws(endpoint_url=url, role_arn=ROLE),
    "an export without a key": lambda url: _aws(endpoint_url=url, export="s3://bucket/prefix/export"),
    "half a key": _half_a_key,
    "a bucket at an address of its own": lambda url: Account(
        "acme.a", "acme", "focus", {"location": "s3://bucket/prefix", "endpoint_url": url, "region": "us-east-1"}, {}, **BY_CUSTOMER
    ),
}  # fmt: skip


def _refused(account: Account, *ports: int) -> CredentialRejected:
    """Reads an account, whose requests may also go to servers of the test, and returns how it was refused."""
    context = ProviderContext(lambda: NOW, MemorySnapshots(), lambda seconds: None)
    provider = PROVIDERS[account.provider]
    named = frozenset(("127.0.0.1", port) for port in ports)
    with for_call(context, provider, account, "probe") as limited, pytest.raises(CredentialRejected) as caught:
        provider.discover(account, replace(limited, network=replace(limited.network, named=named)))
    return caught.value


@pytest.mark.parametrize("place", AWS_PLACES)
@pytest.mark.parametrize("kind", AWS_ACCOUNTS)
def test_the_rights_that_aws_gave_this_machine_are_not_lent(
    place: Any, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine, customers = Asked("role", json.dumps(GIVEN)), Asked("<a/>")
    with served(machine) as inside, served(customers) as port:
        place(monkeypatch, inside, tmp_path)
        error = _refused(AWS_ACCOUNTS[kind](f"http://127.0.0.1:{port}"), port, inside)
    assert machine.paths == []
    assert customers.paths == []
    assert not (tmp_path / "ran").exists()
    assert "the rights of this machine are not lent" in str(error)


@pytest.mark.parametrize("place", AWS_PLACES[:5])
def test_the_operator_uses_them(place: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine, own = Asked("token", "role", json.dumps({**GIVEN, "Code": "Success"})), Asked("<a/>")
    if place is _container:
        machine = Asked(json.dumps(GIVEN))
    with served(machine) as inside, served(own) as port:
        place(monkeypatch, inside, tmp_path)
        url = f"http://127.0.0.1:{port}"
        account = replace(AWS_ACCOUNTS["no key"](url), settings_by_operator=True, secrets_by_operator=True)
        context = ProviderContext(lambda: NOW, MemorySnapshots(), lambda seconds: None)
        with for_call(context, PROVIDERS["aws"], account, "probe") as limited, pytest.raises(ProviderError):
            PROVIDERS["aws"].discover(account, limited)
    assert any(MACHINE in one for one in own.authorizations)


def test_a_bucket_that_the_operator_allows_is_read_with_the_rights_of_this_machine() -> None:
    """At AWS itself: the operator named the place in OPTIINFRA_API_FOLDERS."""
    account = Account("acme.a", "acme", "focus", {"location": "s3://bucket/prefix"}, {}, **BY_CUSTOMER)
    context = ProviderContext(lambda: NOW, MemorySnapshots(), lambda seconds: None)
    with for_call(context, PROVIDERS["focus"], account, "probe") as limited:
        assert limited.network.lends_rights


def _google_file(patch: pytest.MonkeyPatch, port: int, folder: Path) -> None:
    (folder / "key.json").write_text(json.dumps({**KEY, "token_uri": f"http://127.0.0.1:{port}/token"}))
    patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "key.json"))


def _google_metadata(patch: pytest.MonkeyPatch, port: int, folder: Path) -> None:
    patch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{port}")
    patch.setenv("GCE_METADATA_IP", f"127.0.0.1:{port}")


def _azure_secret(patch: pytest.MonkeyPatch, port: int, folder: Path) -> None:
    patch.setenv("AZURE_TENANT_ID", "7f" * 16)
    patch.setenv("AZURE_CLIENT_ID", "5e" * 16)
    patch.setenv("AZURE_CLIENT_SECRET", "secret-of-this-machine")


def _azure_managed_identity(patch: pytest.MonkeyPatch, port: int, folder: Path) -> None:
    patch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port}/identity")
    patch.setenv("IDENTITY_HEADER", "header")


@pytest.mark.parametrize(
    ("place", "provider", "settings"),
    [
        (_google_file, "gcp", TABLE),
        (_google_metadata, "gcp", TABLE),
        (_azure_secret, "azure", {**SCOPE, "ca_file": str(CERTIFICATE.path)}),
        (_azure_managed_identity, "azure", {**SCOPE, "ca_file": str(CERTIFICATE.path)}),
    ],
)
def test_the_rights_that_other_clouds_gave_this_machine_are_not_lent(
    place: Any, provider: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Asked(json.dumps({"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "expires_on": "4"}))
    with served(machine, CERTIFICATE.tls if provider == "azure" and place is _azure_secret else None) as port:
        place(monkeypatch, port, tmp_path)
        url = f"https://127.0.0.1:{port}"
        where = {"authority": url, "endpoint_url": url} if provider == "azure" else {}
        error = _refused(Account("acme.a", "acme", provider, {**settings, **where}, {}, **BY_CUSTOMER), port)
    assert machine.paths == []
    assert "the rights of this machine are not lent" in str(error)


def test_a_password_for_any_host_stays_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of passwords (netrc) may have one for every host; a redirect leads to another host, too."""
    (tmp_path / "netrc").write_text("default login machine password secret-of-this-machine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen: list[str] = []

    def script(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        seen.append(request.headers.get("Authorization") or "")
        host = request.headers["Host"].replace("127.0.0.1", "localhost")
        return (307, {"Location": f"http://{host}/next"}, b"") if request.path == "/" else (200, {}, b"{}")

    context = ProviderContext(lambda: NOW, MemorySnapshots())
    with served(script) as port:
        for headers in ({}, {"Authorization": "Bearer of-the-customer"}):
            ask = partial(guarded_session().post, f"http://127.0.0.1:{port}/", data="{}", headers=headers, timeout=60)
            with_retries(ask, context, "token")
    assert seen == ["", "", "Bearer of-the-customer", ""]


ADD: Final = """mutation($credential: CredentialInput!) {
  addCredential(name: "lent", credential: $credential, test: false) { __typename ... on Refusal { message } }
}"""


@pytest.mark.parametrize(
    "credential",
    [
        {"aws": {"accessKeyId": "AKIAPLANTEDPLANTED00", "secretAccessKey": ""}},
        {"aws": {"accessKeyId": "AKIAPLANTEDPLANTED00", "secretAccessKey": " "}},
        {"aws": {"roleArn": ROLE}},
        {"focus": {"location": "s3://bucket/prefix", "endpointUrl": "https://93.184.215.14"}},
    ],
)
def test_such_an_account_is_not_added(world: World, credential: dict[str, Any]) -> None:
    answer = world.answer(ADD, world.customer("admin").token, credential=credential)
    assert "the rights of this machine are not lent" in json.dumps(answer)
