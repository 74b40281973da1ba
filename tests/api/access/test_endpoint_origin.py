"""What a customer gives over the API does not lead into the platform's own network, at once and in every later collection."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from test_credential_service import ADD, ROTATE, UPDATE, done
from world import World

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.ingestion import onboarding
from optiinfra_assets.ingestion.account_access import for_call, stored_context
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.simulators.gcp.simulator import private_key

INSIDE = "what stands inside of this network"
TABLE = "p.d.gcp_billing_export_resource_v1_00AA11_22BB33_44CC55"


@contextmanager
def inner_service() -> Iterator[tuple[str, list[bytes]]]:
    """A service of the platform's network: its address, and what it was sent."""
    sent: list[bytes] = []
    answer = f"HTTP/1.1 403 No\r\nContent-Length: {len(INSIDE)}\r\n\r\n{INSIDE}".encode()

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection = listener.accept()[0]
                with connection:
                    sent.append(connection.recv(65_536))
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/token", sent


def key(token_uri: str) -> str:
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "1f" * 20,
            "private_key": private_key(),
            "client_email": "reader@p.iam.gserviceaccount.com",
            "token_uri": token_uri,
        }
    )


def gcp(token_uri: str) -> dict[str, Any]:
    return {"gcp": {"table": TABLE, "serviceAccountKey": key(token_uri)}}


@pytest.fixture(scope="module")
def root(world: World) -> str:
    return world.metadata.tokens.issue("root", None, "admin").plaintext


def stored(world: World, account_id: str) -> Account:
    return world.metadata.accounts.get(account_id)


def origin(world: World, account_id: str) -> tuple[bool, bool]:
    account = stored(world, account_id)
    return account.settings_by_operator, account.secrets_by_operator


def test_an_address_inside_a_key_is_not_connected_to(world: World, root: str) -> None:
    """By a customer's administrator; whoever runs the platform may, and then reads what the service says."""
    admin = world.customer("admin")
    with inner_service() as (address, sent):
        refused = done(world, ADD, admin.token, name="main", credential=gcp(address))
        assert sent == []
        assert refused["code"] == "PROVIDER_UNAVAILABLE"
        assert INSIDE not in refused["message"]
        closed = done(world, ADD, admin.token, name="main", credential=gcp("http://127.0.0.1:1/token"))
        assert closed == refused
        told = done(world, ADD, root, name="main", credential=gcp(address), customer=admin.customer_id)
        assert sent
        assert INSIDE in told["message"]


def test_who_gave_what_is_stored(world: World, root: str) -> None:
    admin = world.customer("admin")
    own = done(world, ADD, admin.token, name="own", credential=gcp("https://t.example/t"), test=False)["account"]
    ours = {"customer": admin.customer_id, "test": False}
    operators = done(world, ADD, root, name="ours", credential=gcp("http://127.0.0.1:1/t"), **ours)["account"]
    assert (origin(world, own), origin(world, operators)) == ((False, False), (True, True))
    secrets = {"gcp": {"serviceAccountKey": key("http://127.0.0.1:1/t")}}
    done(world, ROTATE, admin.token, id=operators, secrets=secrets, test=False)
    assert origin(world, operators) == (True, False)
    done(world, UPDATE, admin.token, id=operators, settings={"gcp": {"project": "other"}}, test=False)
    assert origin(world, operators) == (False, False)
    done(world, ROTATE, root, id=operators, secrets=secrets, **ours)
    assert origin(world, operators) == (False, True)
    done(world, UPDATE, root, id=operators, settings={"gcp": {"project": "third"}}, **ours)
    assert origin(world, operators) == (True, True)


def test_a_collection_knows_it_too(world: World, root: str) -> None:
    """It has no user, so it goes by what is stored."""
    admin = world.customer("admin")
    for token, is_everywhere in ((admin.token, False), (root, True)):
        name = f"n{is_everywhere}".lower()
        customer = {} if token == admin.token else {"customer": admin.customer_id}
        own = done(world, ADD, token, name=name, credential=gcp("https://t.example/t"), test=False, **customer)[
            "account"
        ]
        account = stored(world, own)
        with for_call(stored_context(world.metadata, account), PROVIDERS["gcp"], account, "collect") as context:
            assert context.network.is_everywhere is is_everywhere
        (probed,) = world.metadata.work_queue.accounts_to_probe(["gcp"], datetime.now(UTC), [own])
        assert probed == account


@pytest.mark.parametrize(
    ("before", "sent", "is_operator", "after"),
    [
        ((True, True), {"region": "eu-west-1"}, True, (True, True)),
        ((True, True), {"region": "eu-west-1"}, False, (False, True)),
        ((True, True), {"access_key_id": "A" * 20, "secret_access_key": "b" * 40}, False, (True, False)),
        ((False, False), {"region": "eu-west-1"}, True, (False, False)),
        ((False, False), {"endpoint_url": "http://127.0.0.1:9"}, True, (True, False)),
        ((False, True), {"endpoint_url": None}, True, (True, True)),
        ((True, False), {"access_key_id": "A" * 20, "secret_access_key": "b" * 40}, True, (True, True)),
    ],
)
def test_an_address_is_the_operators_only_if_the_operator_gave_it(
    before: tuple[bool, bool], sent: dict[str, Any], is_operator: bool, after: tuple[bool, bool]
) -> None:
    """An operator who changes the region of an account does not vouch for an address that its customer gave."""
    secrets = {"access_key_id": "A" * 20, "secret_access_key": "c" * 40}
    account = Account("acme.a", "acme", "aws", {"endpoint_url": "https://s3.example"}, secrets)
    account = replace(account, settings_by_operator=before[0], secrets_by_operator=before[1])
    wanted = onboarding.with_changes(account, sent, is_operator=is_operator)
    assert (wanted.settings_by_operator, wanted.secrets_by_operator) == after
