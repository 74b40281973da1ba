"""Credentials over the API: connected, changed, rotated, deleted, purged; what is refused; and who may."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from api_server import serving
from focus_samples import csv_text, row, write_csv
from world import Customer, World

from optiinfra_api.access import credential_service
from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import Transient
from optiinfra_assets.ingestion import onboarding
from optiinfra_assets.ingestion.onboarding import SourceContents
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.simulators.server.server import SimulatedResponse
from optiinfra_assets.simulators.vultr.simulator import SimulatedVultr
from optiinfra_assets.simulators.world.scenario import Scenario, ScenarioResource
from optiinfra_assets.vault.credential_audit import Actor

KEY, OTHER = "PLANTED-first-key", "PLANTED-second-key"
WEB = ScenarioResource("6e1f-web", "web", "compute", "vc2-2c-4gb", "fra", "main", Decimal("0.10"))
REFUSAL = "__typename ... on Refusal { code message remedy } ... on CredentialNotAccepted { field } ... on ProviderRefused { retryAt }"
SHOWN = "account name provider status version keyId settings { name value } rotatedAt deletedAt lastProbeAt lastError"
ADD = f"""mutation($customer: String, $name: String!, $credential: CredentialInput!, $test: Boolean! = true) {{
  addCredential(customerId: $customer, name: $name, credential: $credential, test: $test) {{ {REFUSAL} ... on Credential {{ {SHOWN} }} }}
}}"""
UPDATE = f"""mutation($customer: String, $id: String!, $settings: SettingsInput!, $secrets: SecretsInput, $test: Boolean! = true) {{
  updateCredential(customerId: $customer, accountId: $id, settings: $settings, secrets: $secrets, test: $test) {{
    {REFUSAL} ... on Credential {{ {SHOWN} }}
  }}
}}"""
ROTATE = f"""mutation($customer: String, $id: String!, $secrets: SecretsInput!, $test: Boolean! = true) {{
  rotateCredential(customerId: $customer, accountId: $id, secrets: $secrets, test: $test) {{ {REFUSAL} ... on Credential {{ {SHOWN} }} }}
}}"""
TEST = """mutation($customer: String, $id: String!) {
  testCredential(customerId: $customer, accountId: $id) {
    __typename ... on Refusal { code message remedy } ... on CredentialTested { billingAccounts billingPeriods }
  }
}"""


def _ending(verb: str) -> str:
    return f"""mutation($customer: String, $id: String!) {{
      {verb}(customerId: $customer, accountId: $id) {{ {REFUSAL} ... on Credential {{ {SHOWN} }} }}
    }}"""


DELETE, PURGE = _ending("deleteCredential"), _ending("purgeCredential")
LIST = f"""query($customer: String, $first: Int! = 100, $after: String, $deleted: Boolean! = false) {{
  credentials(customerId: $customer, first: $first, after: $after, includeDeleted: $deleted) {{
    nodes {{ {SHOWN} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}"""
LOG = """query($customer: String, $first: Int! = 100, $after: String, $account: String) {
  credentialAuditLog(customerId: $customer, first: $first, after: $after, account: $account) {
    nodes { id actor origin action outcome account version keyId purpose detail } pageInfo { hasNextPage endCursor }
  }
}"""


@pytest.fixture(scope="module")
def root(world: World) -> str:
    """An administrator of all customers, who may connect a cloud on this machine."""
    return world.metadata.tokens.issue("root", None, "admin").plaintext


@pytest.fixture
def admin(world: World) -> Customer:
    """A customer's own administrator."""
    return world.customer("admin")


@pytest.fixture
def cloud() -> Iterator[SimulatedVultr]:
    """An account of two invoiced months and this one, that accepts the first key."""
    start = BillingPeriod.of(datetime.now(UTC)).shift(-2).start.date()
    with SimulatedVultr.make(Scenario("small", start, (WEB,)), lambda: datetime.now(UTC), secret=KEY) as started:
        # Half an hour without the newest invoice, as Vultr has it, would make the number of months depend on the hour.
        started.world.scenario = replace(started.world.scenario, invoice_delay=timedelta(0))
        yield started


def vultr(cloud: SimulatedVultr, key: str = KEY) -> dict[str, Any]:
    return {"vultr": {"apiKey": key, "endpointUrl": cloud.endpoint}}


def done(world: World, document: str, token: str, **variables: Any) -> dict[str, Any]:
    """The one field of an operation's data."""
    (found,) = world.data(document, token, **variables).values()
    answer: dict[str, Any] = found
    return answer


def add(world: World, root: str, admin: Customer, credential: dict[str, Any], **variables: Any) -> dict[str, Any]:
    values = {"name": "main", **variables, "customer": admin.customer_id, "credential": credential}
    return done(world, ADD, root, **values)


def stored(world: World, admin: Customer) -> Any:
    account_id = f"{admin.customer_id}.main"
    return world.metadata.credentials.reveal(account_id, Actor.here("test"), "test")["api_key"]


def acts(world: World, admin: Customer) -> list[tuple[str, str]]:
    log = world.metadata.credentials.audit(customer_id=admin.customer_id)
    return [(one.action, one.outcome) for one in log][::-1]


def test_a_credential_from_added_to_purged_and_added_again(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr
) -> None:
    own = {"customer": admin.customer_id, "id": f"{admin.customer_id}.main"}
    added = add(world, root, admin, vultr(cloud))
    assert {name: added[name] for name in ("account", "name", "provider", "status", "version")} == {
        "account": own["id"], "name": "main", "provider": "vultr", "status": "ACTIVE", "version": 1,
    }  # fmt: skip
    assert added["settings"] == [{"name": "endpointUrl", "value": cloud.endpoint}]
    assert added["keyId"].startswith("local-")
    assert added["lastProbeAt"] is not None
    assert [one.account_id for one in world.metadata.accounts.find(customer_id=admin.customer_id)] == [own["id"]]
    periods = [
        str(one.slice.billing_period) for one in world.metadata.slices.states(customer_id=admin.customer_id, due=True)
    ]
    assert len(periods) == 3, "its collection is due"

    tested = done(world, TEST, admin.token, id=own["id"])
    assert tested["billingPeriods"] == periods
    assert len(tested["billingAccounts"]) == 1

    changed = done(world, UPDATE, root, **own, settings={"vultr": {"billingAccountId": "team-7"}})
    assert {one["name"]: one["value"] for one in changed["settings"]} == {
        "endpointUrl": cloud.endpoint, "billingAccountId": "team-7",
    }  # fmt: skip
    assert changed["version"] == 1
    again = done(world, UPDATE, root, **own, settings={"vultr": {"billingAccountId": None}})
    assert [one["name"] for one in again["settings"]] == ["endpointUrl"]

    cloud.secret = OTHER
    rotated = done(world, ROTATE, admin.token, id=own["id"], secrets={"vultr": {"apiKey": OTHER}})
    assert (rotated["version"], rotated["rotatedAt"] is not None) == (2, True)
    assert stored(world, admin) == OTHER

    deleted = done(world, DELETE, admin.token, id=own["id"])
    assert (deleted["status"], deleted["version"], deleted["deletedAt"] is not None) == ("DELETED", 2, True)
    assert world.metadata.accounts.find(customer_id=admin.customer_id) == []
    assert done(world, LIST, admin.token)["nodes"] == []
    assert [one["account"] for one in done(world, LIST, admin.token, deleted=True)["nodes"]] == [own["id"]]
    for document, more in ((TEST, {}), (DELETE, {}), (ROTATE, {"secrets": {"vultr": {"apiKey": KEY}}})):
        assert done(world, document, admin.token, id=own["id"], **more)["code"] == "NOT_FOUND"

    purged = done(world, PURGE, admin.token, id=own["id"])
    assert (purged["status"], purged["version"], purged["keyId"]) == ("PURGED", None, None)
    assert done(world, PURGE, admin.token, id=own["id"])["code"] == "NOT_FOUND"

    restored = add(world, root, admin, vultr(cloud, OTHER))
    assert (restored["status"], restored["version"], restored["deletedAt"]) == ("ACTIVE", 1, None)
    assert acts(world, admin) == [
        ("create", "done"), ("reveal", "done"), ("reveal", "done"), ("update", "done"), ("reveal", "done"), ("update", "done"),
        ("rotate", "done"), ("reveal", "done"), ("delete", "done"), ("purge", "done"), ("create", "done"),
    ]  # fmt: skip


def test_the_log_names_token_and_address_and_comes_in_pages(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr
) -> None:
    add(world, root, admin, vultr(cloud))
    own = f"{admin.customer_id}.main"
    done(world, UPDATE, root, customer=admin.customer_id, id=own, settings={"vultr": {"billingAccountId": "7"}})
    done(world, DELETE, admin.token, id=own)
    whole = done(world, LOG, admin.token)["nodes"]
    assert [one["action"] for one in whole] == ["DELETE", "UPDATE", "REVEAL", "CREATE"]
    tokens = {
        one.name: one.token_id for one in world.metadata.tokens.find() if one.customer_id in (None, admin.customer_id)
    }
    assert [one["actor"] for one in whole] == [tokens["test"]] + [tokens["root"]] * 3
    assert {one["origin"] for one in whole} == {"127.0.0.1"}
    assert (whole[1]["detail"], whole[2]["purpose"]) == ("settings: billing_account_id", "TEST")
    pages, after = [], None
    while True:
        page = done(world, LOG, admin.token, first=1, after=after, account=own)
        pages += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert pages == whole


def test_pages_of_credentials_are_the_whole(world: World, admin: Customer) -> None:
    for name in ("c", "a", "b"):
        focus = {"focus": {"location": f"s3://bucket-{name}/x"}}
        assert done(world, ADD, admin.token, name=name, credential=focus, test=False)["status"] == "ACTIVE"
    seen, after = [], None
    for _ in range(3):
        page = done(world, LIST, admin.token, first=1, after=after)
        seen += [one["name"] for one in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert (seen, page["pageInfo"]["hasNextPage"]) == (["a", "b", "c"], False)


def test_an_account_without_a_secret_is_deleted_and_restored_too(world: World, admin: Customer) -> None:
    focus = {"focus": {"location": "s3://bucket/prefix"}}
    added = done(world, ADD, admin.token, name="files", credential=focus, test=False)
    assert (added["version"], added["keyId"], added["lastProbeAt"]) == (None, None, None)
    own = added["account"]
    assert done(world, DELETE, admin.token, id=own)["status"] == "DELETED"
    assert done(world, PURGE, admin.token, id=own)["code"] == "NOT_FOUND"
    other = {"focus": {"location": "s3://bucket/elsewhere"}}
    refused = done(world, ADD, admin.token, name="files", credential=other, test=False)
    assert (refused["code"], "other settings" in refused["message"]) == ("ALREADY_EXISTS", True)
    assert done(world, ADD, admin.token, name="files", credential=focus, test=False)["status"] == "ACTIVE"
    assert acts(world, admin) == [("create", "done"), ("delete", "done"), ("create", "done")]


def test_what_the_provider_refuses_is_said_and_nothing_is_stored(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr
) -> None:
    refused = add(world, root, admin, vultr(cloud, "PLANTED-wrong"))
    assert (refused["__typename"], refused["code"]) == ("ProviderRefused", "CREDENTIAL_REJECTED")
    assert "the credential is not accepted (401" in refused["message"]
    assert "PLANTED" not in str(refused)
    assert refused["remedy"]
    assert (world.metadata.accounts.find(customer_id=admin.customer_id), acts(world, admin)) == ([], [])
    assert add(world, root, admin, vultr(cloud, "PLANTED-wrong"), test=False)["status"] == "ACTIVE"

    own = f"{admin.customer_id}.main"
    assert done(world, TEST, admin.token, id=own)["code"] == "CREDENTIAL_REJECTED"
    wrong = {"vultr": {"apiKey": "PLANTED-wrong-too"}}
    assert done(world, ROTATE, admin.token, id=own, secrets=wrong)["code"] == "CREDENTIAL_REJECTED"
    assert stored(world, admin) == "PLANTED-wrong"


def test_a_provider_that_throttles_says_until_when(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr
) -> None:
    cloud.fail(lambda *_: SimulatedResponse.of({}, status=429, headers={"Retry-After": "600"}), times=20)
    refused = add(world, root, admin, vultr(cloud))
    assert refused["code"] == "THROTTLED"
    assert datetime.fromisoformat(refused["retryAt"]) > datetime.now(UTC)


def test_a_provider_that_does_not_answer_is_not_waited_for(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_service, "PATIENCE_SECONDS", 0)
    refused = add(world, root, admin, vultr(cloud))
    assert (refused["code"], refused["message"]) == ("PROVIDER_UNAVAILABLE", "no answer within 0 s")
    assert world.metadata.accounts.find(customer_id=admin.customer_id) == []


def test_sources_that_do_not_answer_keep_no_other_customer_waiting(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr
) -> None:
    """As many as there are threads for everybody in an event loop of asyncio."""
    over, count = threading.Event(), min(32, (os.cpu_count() or 1) + 4)

    def hang(*_: object) -> SimulatedResponse:
        over.wait(20)
        return SimulatedResponse.of({}, status=401)

    def adds(number: int) -> str:
        with httpx.Client(timeout=120) as http:
            return str(add(replace(world, http=http), root, admin, vultr(slow), name=f"n{number}")["code"])

    start = BillingPeriod.of(datetime.now(UTC)).start.date()
    with (
        SimulatedVultr.make(Scenario("slow", start, (WEB,)), lambda: datetime.now(UTC), secret=KEY) as slow,
        ThreadPoolExecutor(count) as pool,
    ):
        slow.fail(hang, times=4 * count)
        waiting = [pool.submit(adds, number) for number in range(count)]
        try:
            while not slow.asked:
                time.sleep(0.05)
            assert add(world, root, world.customer("admin"), vultr(cloud))["status"] == "ACTIVE"
            assert not any(one.done() for one in waiting)
        finally:
            over.set()
        assert {one.result() for one in waiting} == {"CREDENTIAL_REJECTED"}


def test_an_error_nobody_foresaw_shows_its_kind_and_its_log_no_secret(
    world: World,
    root: str,
    admin: Customer,
    cloud: SimulatedVultr,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def break_(_self: object, account: Any, _context: object) -> list[str]:
        raise RuntimeError(f"cannot read {account.secrets['api_key']}")

    monkeypatch.setattr("optiinfra_assets.providers.vultr.provider.Vultr.discover", break_)
    refused = add(world, root, admin, vultr(cloud))
    assert (refused["code"], refused["message"]) == ("PROVIDER_FAILED", "Vultr: unexpected RuntimeError")
    assert "cannot read ***" in caplog.text
    assert KEY not in caplog.text


def test_no_part_of_a_key_file_shows(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nPLANTEDfirstlineofakey==\nPLANTEDsecondlineofakey=\n-----END PRIVATE KEY-----\n"
    key = json.dumps({"type": "service_account", "private_key_id": "PLANTED-4711-private-id", "private_key": pem})

    def break_(_self: object, account: Any, _context: object) -> list[str]:
        held = json.loads(account.secrets["api_key"])
        raise Transient(f"at line {held['private_key'].splitlines()[2]} of {held['private_key_id']}")

    monkeypatch.setattr("optiinfra_assets.providers.vultr.provider.Vultr.discover", break_)
    refused = add(world, root, admin, vultr(cloud, key))
    assert (refused["code"], refused["message"]) == ("PROVIDER_UNAVAILABLE", "at line *** of ***")


def test_an_account_of_a_provider_that_is_gone_can_be_deleted(world: World, admin: Customer) -> None:
    own = world.metadata.accounts.add(Account(f"{admin.customer_id}.old", admin.customer_id, "gone")).account_id
    assert done(world, TEST, admin.token, id=own)["code"] == "PROVIDER_UNKNOWN"
    settings = {"focus": {"region": "x"}}
    assert done(world, UPDATE, admin.token, id=own, settings=settings)["code"] == "NOT_ACCEPTED"
    assert done(world, DELETE, admin.token, id=own)["status"] == "DELETED"
    assert done(world, PURGE, admin.token, id=own)["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("credential", "name", "field", "said"),
    [
        ({"vultr": {"apiKey": KEY, "endpointUrl": "ftp://x"}}, "main", "vultr.endpointUrl", "https address"),
        ({"focus": {"location": "s3://"}}, "main", "focus.location", "use s3://bucket"),
        ({"focus": {"location": "s3://b"}}, "Main", "name", "use 1 to 60 lower-case letters"),
        ({"focus": {"location": "s3://b"}}, "a.b", "name", "use 1 to 60"),
        ({"focus": {"location": "s3://b"}}, "", "name", "is not accepted"),
    ],
)
def test_a_value_that_is_not_accepted_is_named(
    world: World,
    root: str,
    admin: Customer,
    credential: dict[str, Any],
    name: str,
    field: str | None,
    said: str,
) -> None:
    refused = add(world, root, admin, credential, name=name, test=False)
    assert (refused["code"], refused["field"]) == ("NOT_ACCEPTED", field)
    assert said in refused["message"]
    assert KEY not in str(refused)


def test_an_account_that_is_there_is_not_replaced(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr
) -> None:
    add(world, root, admin, vultr(cloud))
    refused = add(world, root, admin, vultr(cloud, OTHER), test=False)
    assert (refused["code"], stored(world, admin)) == ("ALREADY_EXISTS", KEY)


def test_of_many_who_add_an_account_at_once_one_wins(world: World, admin: Customer) -> None:
    def adds(number: int) -> str:
        credential = {"vultr": {"apiKey": f"PLANTED-{number}"}}
        with httpx.Client(timeout=60) as http:
            own = replace(world, http=http)
            answer = done(own, ADD, admin.token, name="main", credential=credential, test=False)
        return str(answer.get("status") or answer["code"])

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(adds, range(6)))
    assert answers == ["ACTIVE", *["ALREADY_EXISTS"] * 5]
    assert acts(world, admin) == [("create", "done")]


def test_a_secret_of_another_provider_is_refused(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr
) -> None:
    add(world, root, admin, vultr(cloud))
    own = f"{admin.customer_id}.main"
    refused = done(world, UPDATE, root, customer=admin.customer_id, id=own, settings={"focus": {"region": "x"}})
    assert (refused["code"], refused["field"]) == ("NOT_ACCEPTED", "focus")


BY_ID = {
    "update": (UPDATE, {"settings": {"vultr": {"billingAccountId": "7"}}}),
    "rotate": (ROTATE, {"secrets": {"vultr": {"apiKey": KEY}}}),
    "delete": (DELETE, {}),
    "purge": (PURGE, {}),
    "test": (TEST, {}),
    "show": (
        f"query($customer: String, $id: String!) {{ credential(customerId: $customer, accountId: $id) {{ {SHOWN} }} }}",
        {},
    ),
}


@pytest.mark.parametrize("verb", BY_ID)
def test_another_customers_account_is_as_one_that_does_not_exist(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr, verb: str
) -> None:
    add(world, root, admin, vultr(cloud))
    document, more = BY_ID[verb]
    stranger = world.customer("admin")
    answers = []
    for account_id in (f"{admin.customer_id}.main", f"{stranger.customer_id}.none"):
        answer = world.answer(document, stranger.token, id=account_id, **more)
        answers.append(str(answer).replace(account_id, "X"))
    assert answers[0] == answers[1]
    assert acts(world, admin) == [("create", "done")]
    assert done(world, LIST, stranger.token)["nodes"] == done(world, LOG, stranger.token)["nodes"] == []


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_administrators_see_or_change_credentials(world: World, role: Any) -> None:
    customer = world.customer(role)
    own = f"{customer.customer_id}.main"
    focus = {"focus": {"location": "s3://bucket"}}
    tries = [(document, {"id": own, **more}) for document, more in BY_ID.values()]
    for document, variables in [*tries, (ADD, {"name": "a", "credential": focus}), (LIST, {}), (LOG, {})]:
        assert customer.error(document, **variables)["extensions"]["code"] == "FORBIDDEN"
    assert world.metadata.accounts.find(customer_id=customer.customer_id) == []


PRIVATE = [
    "https://127.0.0.1/v2", "https://localhost:8443", "http://127.0.0.1:80", "https://10.1.2.3", "https://169.254.169.254/latest",
    "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://[fd00::1]", "https://[fe80::1%25eth0]/", "https://0.0.0.0",
    "https://100.64.0.1", "https://2130706433/", "https://0x7f.1/", "https://[2002:7f00:1::]", "https://224.0.0.1",
    "http://api.example.com", "https://nowhere.invalid", "https://", "https://[", "https://a:99999999/",
]  # fmt: skip


@pytest.mark.parametrize("url", PRIVATE)
def test_an_address_inside_our_network_is_not_asked_for_a_customer(world: World, admin: Customer, url: str) -> None:
    for credential in (
        {"vultr": {"apiKey": KEY, "endpointUrl": url}},
        {"focus": {"location": "s3://b", "endpointUrl": url}},
    ):
        refused = done(world, ADD, admin.token, name="main", credential=credential, test=False)
        assert refused["code"] == "NOT_ACCEPTED"
        assert refused["field"].endswith(".endpointUrl")
        assert "use https and a host of the public internet" in refused["message"]
    focus = {"focus": {"location": "s3://b"}}
    own = done(world, ADD, admin.token, name="files", credential=focus, test=False)["account"]
    changed = {"focus": {"endpointUrl": url}}
    assert done(world, UPDATE, admin.token, id=own, settings=changed, test=False)["code"] == "NOT_ACCEPTED"


def test_a_public_address_is_accepted(world: World, admin: Customer) -> None:
    own = {"vultr": {"apiKey": KEY, "endpointUrl": "https://8.8.8.8:9000"}}
    assert done(world, ADD, admin.token, name="main", credential=own, test=False)["status"] == "ACTIVE"


def test_a_bucket_at_an_address_of_its_own_is_for_administrators_of_this_platform(
    world: World, root: str, admin: Customer
) -> None:
    """Requests there would be signed with the rights of this machine, for whoever listens there."""
    there = {"endpointUrl": "https://8.8.8.8:9000"}
    focus = {"focus": {"location": "s3://b", **there}}
    own = {"focus": {"location": "s3://b"}}
    plain = done(world, ADD, admin.token, name="plain", credential=own, test=False)["account"]
    of_root = add(world, root, admin, focus, name="of-root", test=False)["account"]
    for refused in (
        done(world, ADD, admin.token, name="main", credential=focus, test=False),
        done(world, UPDATE, admin.token, id=plain, settings={"focus": there}, test=False),
        done(world, UPDATE, admin.token, id=of_root, settings={"focus": {"region": "eu-west-1"}}, test=False),
    ):
        assert (refused["code"], refused["field"]) == ("NOT_ACCEPTED", "focus.endpointUrl")
        assert "the rights of this machine are not lent" in refused["message"]


def test_what_belongs_to_this_machine_is_for_its_own_administrators(
    world: World, root: str, admin: Customer, tmp_path: Path
) -> None:
    for name, focus in (
        ("folder", {"location": str(tmp_path)}),
        ("profile", {"location": "s3://b", "profile": "payer"}),
    ):
        refused = done(world, ADD, admin.token, name=name, credential={"focus": focus}, test=False)
        assert (refused["code"], "not accepted over the API" in refused["message"]) == ("NOT_ACCEPTED", True)
        assert add(world, root, admin, {"focus": focus}, name=name, test=False)["status"] == "ACTIVE"


def test_a_stored_secret_is_not_sent_to_another_address(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr
) -> None:
    own = {"customer": admin.customer_id, "id": add(world, root, admin, vultr(cloud))["account"]}
    start = BillingPeriod.of(datetime.now(UTC)).start.date()
    with SimulatedVultr.make(Scenario("thief", start, (WEB,)), lambda: datetime.now(UTC), secret=KEY) as thief:
        for url, test in ((thief.endpoint, True), (thief.endpoint, False), (None, False)):
            refused = done(world, UPDATE, root, **own, settings={"vultr": {"endpointUrl": url}}, test=test)
            assert (refused["code"], refused["field"]) == ("NOT_ACCEPTED", "vultr.endpointUrl")
            assert "send secrets too" in refused["message"]
        assert thief.asked == []
        moved = done(
            world,
            UPDATE,
            root,
            **own,
            settings={"vultr": {"endpointUrl": thief.endpoint}},
            secrets={"vultr": {"apiKey": KEY}},
        )
        assert (moved["settings"], moved["version"]) == (
            [{"name": "endpointUrl", "value": thief.endpoint}],
            2,
        )
        assert thief.asked
    assert acts(world, admin)[-2:] == [("update", "done"), ("rotate", "done")]


HERE, THERE = "https://8.8.8.8:9000", "https://1.1.1.1:9000"
MOVED = {
    "settings": {"vultr": {"endpointUrl": THERE}},
    "secrets": {"vultr": {"apiKey": OTHER}},
    "test": False,
}


@pytest.fixture
def own(world: World, admin: Customer) -> str:
    """An account with the first key at one address."""
    credential = {"vultr": {"apiKey": KEY, "endpointUrl": HERE}}
    added = done(world, ADD, admin.token, name="main", credential=credential, test=False)
    return str(added["account"])


def address_and_secret(world: World, admin: Customer, account_id: str) -> tuple[Any, Any]:
    return world.metadata.accounts.get(account_id).settings["endpoint_url"], stored(world, admin)


WHILE_ASKED = {
    "settings": (UPDATE, {"settings": {"vultr": {"billingAccountId": "7"}}}),
    "both": (UPDATE, {"settings": {"vultr": {}}, "secrets": {"vultr": {"apiKey": "PLANTED-third-key"}}}),
    "secret": (ROTATE, {"secrets": {"vultr": {"apiKey": "PLANTED-third-key"}}}),
}


@pytest.mark.parametrize("verb", WHILE_ASKED)
@pytest.mark.parametrize("change", ["moved", "rotated"])
def test_what_others_store_while_the_provider_is_asked_is_not_overwritten(
    world: World, admin: Customer, own: str, verb: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a secret that was sent for one address is stored with another, to which the next probe sends it."""

    def others(_account: Account) -> SourceContents:
        if change == "moved":
            assert done(world, UPDATE, admin.token, id=own, **MOVED)["version"] == 2
        else:
            secrets = {"vultr": {"apiKey": OTHER}}
            assert done(world, ROTATE, admin.token, id=own, secrets=secrets, test=False)["version"] == 2
        return SourceContents(["x"], {}, datetime.now(UTC))

    monkeypatch.setattr("optiinfra_assets.ingestion.onboarding.test_source", others)
    document, values = WHILE_ASKED[verb]
    refused = done(world, document, admin.token, id=own, **values)
    assert refused == {
        "__typename": "VaultRefused",
        "code": "VAULT_BUSY",
        "message": f"account: {own!r} was changed since it was read; nothing is stored",
        "remedy": "Read it again with `credential`, and repeat what is still wanted.",
    }
    expected = (THERE if change == "moved" else HERE, OTHER)
    assert address_and_secret(world, admin, own) == expected
    assert done(world, document, admin.token, id=own, **values, test=False)["__typename"] == "Credential"


@pytest.mark.parametrize("verb", ["update", "test"])
def test_a_secret_stored_meanwhile_for_another_address_is_not_tried_at_the_old_one(
    world: World, admin: Customer, own: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Account] = []
    reveal = onboarding.with_stored_secrets

    def late(metadata: Metadata, account: Account, actor: Actor) -> Account:
        assert done(world, UPDATE, admin.token, id=own, **MOVED)["version"] == 2
        return reveal(metadata, account, actor)

    def look(account: Account) -> SourceContents:
        asked.append(account)
        return SourceContents(["x"], {}, datetime.now(UTC))

    monkeypatch.setattr("optiinfra_assets.ingestion.onboarding.with_stored_secrets", late)
    monkeypatch.setattr("optiinfra_assets.ingestion.onboarding.test_source", look)
    document, values = BY_ID[verb]
    assert done(world, document, admin.token, id=own, **values)["code"] == "VAULT_BUSY"
    assert asked == []


def test_of_many_who_store_a_secret_at_once_each_is_answered_and_none_is_lost_unseen(
    world: World, admin: Customer, own: str
) -> None:
    def stores(number: int) -> tuple[str, str]:
        key = f"PLANTED-{number}"
        values: dict[str, Any] = {"id": own, "secrets": {"vultr": {"apiKey": key}}, "test": False}
        with httpx.Client(timeout=60) as http:
            there = replace(world, http=http)
            if number % 2:
                answer = done(there, ROTATE, admin.token, **values)
            else:
                answer = done(there, UPDATE, admin.token, settings={"vultr": {}}, **values)
        return key, str(answer.get("code", "STORED"))

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(stores, range(6)))
    kept = [key for key, outcome in answers if outcome == "STORED"]
    assert {outcome for _, outcome in answers} <= {"STORED", "VAULT_BUSY"}
    assert stored(world, admin) in kept
    assert world.metadata.accounts.connection(own.split(".")[0], own).version == 1 + len(kept)


def test_what_points_into_this_machine_is_not_turned_elsewhere_by_a_customer(
    world: World, root: str, admin: Customer
) -> None:
    """Else the rights of the profile would read whatever the customer names."""
    own = add(world, root, admin, {"focus": {"location": "s3://mine", "profile": "payer"}}, test=False)["account"]
    elsewhere = {"focus": {"location": "s3://theirs"}}
    refused = done(world, UPDATE, admin.token, id=own, settings=elsewhere, test=False)
    assert (refused["code"], refused["field"]) == ("NOT_ACCEPTED", "focus.profile")
    without = {"focus": {"location": "s3://theirs", "profile": None}}
    assert done(world, UPDATE, admin.token, id=own, settings=without, test=False)["__typename"] == "Credential"


@pytest.mark.parametrize("nothing", ["", "  "])
def test_the_rights_of_this_machine_are_not_lent(world: World, admin: Customer, nothing: str) -> None:
    """Where a provider takes "no secret" for the machine's own, a customer could read what another one granted to the machine."""
    credential = {"vultr": {"apiKey": nothing}}
    refused = done(world, ADD, admin.token, name="main", credential=credential, test=False)
    assert (refused["code"], refused["field"]) == ("NOT_ACCEPTED", "vultr")
    assert "a secret is needed (apiKey)" in refused["message"]
    credential["vultr"]["apiKey"] = KEY
    own = done(world, ADD, admin.token, name="main", credential=credential, test=False)["account"]
    secrets = {"vultr": {"apiKey": nothing}}
    assert done(world, ROTATE, admin.token, id=own, secrets=secrets, test=False)["code"] == "NOT_ACCEPTED"
    update = {"settings": {"vultr": {}}, "secrets": secrets, "test": False}
    assert done(world, UPDATE, admin.token, id=own, **update)["code"] == "NOT_ACCEPTED"
    assert stored(world, admin) == KEY


def test_a_folder_below_a_configured_one_is_for_everybody(
    world: World, admin: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, secret = tmp_path / "exports", tmp_path / "secret"
    (root / "acme").mkdir(parents=True)
    secret.mkdir()
    (root / "link").symlink_to(secret)
    original = credential_service.parse_locations
    monkeypatch.setattr(credential_service, "parse_locations", lambda _: original(f"{tmp_path / 'none'}:{root}"))
    codes = {}
    for number, path in enumerate((root / "acme", root / "link", root / ".." / "secret", secret, tmp_path)):
        answer = done(
            world,
            ADD,
            admin.token,
            name=f"n{number}",
            credential={"focus": {"location": str(path)}},
            test=False,
        )
        codes[path] = answer.get("status") or answer["code"]
    assert list(codes.values()) == ["ACTIVE", *["NOT_ACCEPTED"] * 4]


def test_a_refused_folder_tells_nothing_of_this_machine(world: World, admin: Customer, tmp_path: Path) -> None:
    """Neither where a link leads nor which users there are: all refusals have the same text, and none is our fault."""
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    paths = (".", "~", "~root", "~nobody-has-this-name/x", "/proc/self/exe", "/proc/self/root", f"{tmp_path}/link")
    messages = set()
    for number, path in enumerate((*paths, f"{tmp_path}/circle/x", f"{tmp_path}/none")):
        focus = {"focus": {"location": path}}
        refused = done(world, ADD, admin.token, name=f"n{number}", credential=focus, test=False)
        assert (refused["code"], refused["field"]) == ("NOT_ACCEPTED", "focus.location")
        messages.add(refused["message"])
    assert len(messages) == 1, messages


def test_a_folder_is_kept_as_it_is_reached_without_links(
    world: World, admin: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links are not followed when it is read: what the path leads to later was not allowed."""
    (tmp_path / "exports" / "acme").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "exports")
    monkeypatch.setattr(credential_service, "parse_locations", lambda _: (str(tmp_path),))
    for number, path in enumerate(("link/acme", "exports/../link/acme")):
        focus = {"focus": {"location": str(tmp_path / path)}}
        kept = done(world, ADD, admin.token, name=f"n{number}", credential=focus, test=False)
        assert kept["settings"] == [{"name": "location", "value": str(tmp_path / "exports" / "acme")}]
    again = done(world, UPDATE, admin.token, id=kept["account"], settings=focus, test=False)
    assert again["settings"] == kept["settings"]


@pytest.fixture
def kept(world: World, root: str, admin: Customer, cloud: SimulatedVultr) -> Iterator[Metadata]:
    """A stored secret, and the master key file put back after it was changed."""
    add(world, root, admin, vultr(cloud))
    file = world.settings.home / "master.key"
    before = file.read_bytes()
    yield world.metadata
    file.write_bytes(before)
    file.chmod(0o600)


def _tried(world: World, admin: Customer) -> dict[str, Any]:
    return done(world, TEST, admin.token, id=f"{admin.customer_id}.main")


def _execute(world: World, statement: str, *values: object) -> None:
    with psycopg.connect(str(world.settings.postgres_url)) as connection:
        connection.execute(statement.encode(), values)


def test_a_wrong_and_a_missing_master_key_are_said_and_nothing_is_lost(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr, kept: Metadata
) -> None:
    file = world.settings.home / "master.key"
    good = file.read_bytes()
    file.write_bytes(base64.b64encode(os.urandom(32)))
    with serving(world.settings) as url:  # one that has not read the right key
        fresh = replace(world, url=url)
        wrong = _tried(fresh, admin)
        assert (wrong["__typename"], wrong["code"]) == ("VaultRefused", "MASTER_KEY_WRONG")
        assert "not among those given" in wrong["message"]
        file.unlink()
        assert _tried(fresh, admin)["code"] == "MASTER_KEY_MISSING"
        other = add(fresh, root, admin, vultr(cloud), name="other")
        assert (other["code"], file.exists()) == ("MASTER_KEY_MISSING", False)
        file.write_bytes(good)
        file.chmod(0o600)
        assert _tried(fresh, admin)["__typename"] == "CredentialTested"


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("column", ["ciphertext", "nonce", "wrapped_key"])
def test_a_changed_byte_is_refused(world: World, admin: Customer, column: str) -> None:
    flip = f"UPDATE optiinfra.credentials SET {column} = set_byte({column}, 3, get_byte({column}, 3) # 1) WHERE customer_id = %s"
    _execute(world, flip, admin.customer_id)
    refused = _tried(world, admin)
    assert (refused["code"], "was changed or belongs to another" in refused["message"]) == ("TAMPERED", True)
    assert acts(world, admin)[-1] == ("reveal", "refused")
    _execute(world, flip, admin.customer_id)
    assert _tried(world, admin)["__typename"] == "CredentialTested"


@pytest.mark.usefixtures("kept")
def test_a_ciphertext_moved_to_another_row_is_refused(
    world: World, root: str, admin: Customer, cloud: SimulatedVultr
) -> None:
    thief = world.customer("admin")
    add(world, root, thief, vultr(cloud))
    _execute(
        world,
        "UPDATE optiinfra.credentials AS mine SET ciphertext = theirs.ciphertext, nonce = theirs.nonce, wrapped_key = theirs.wrapped_key "
        "FROM optiinfra.credentials AS theirs WHERE mine.customer_id = %s AND theirs.customer_id = %s",
        thief.customer_id,
        admin.customer_id,
    )
    assert _tried(world, thief)["code"] == "TAMPERED"
    assert _tried(world, admin)["__typename"] == "CredentialTested"
    mended = done(world, ROTATE, thief.token, id=f"{thief.customer_id}.main", secrets={"vultr": {"apiKey": KEY}})
    assert mended["status"] == "ACTIVE"


MALFORMED = [
    ({"vultr": {"apiKey": KEY, "nope": 1}}, "is not defined by type"),
    ({"vultr": {"api_key": KEY}}, "Field 'apiKey' of required type"),
    ({"vultr": {"apiKey": [KEY]}}, "String cannot represent"),
    ({"vultr": KEY}, "to be a mapping"),
    (KEY, "to be a mapping"),
    ({"vultr": {"apiKey": KEY}, "focus": {"location": KEY}}, "must specify exactly one key"),
]


@pytest.mark.parametrize(("credential", "said"), MALFORMED, ids=[said for _, said in MALFORMED])
def test_a_malformed_variable_is_not_quoted(
    world: World, admin: Customer, credential: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    response = world.post({"query": ADD, "variables": {"name": "a", "credential": credential}}, admin.token)
    assert response.status_code == 400
    assert said in response.text
    assert "PLANTED" not in response.text
    assert "PLANTED" not in caplog.text


@pytest.mark.parametrize(
    "literal",
    [
        f'{{"{KEY}"}}',
        f'{{vultr: "{KEY}"}}',
        f'"{KEY}"',
        f'{{vultr: {{apiKey: {{a: "{KEY}"}}}}}}',
        f'{{vultr: """{KEY}""" {{}}',
    ],
)
def test_a_malformed_literal_is_not_quoted(world: World, admin: Customer, literal: str) -> None:
    document = f'mutation {{ addCredential(name: "a", credential: {literal}) {{ __typename }} }}'
    response = world.post({"query": document}, admin.token)
    assert response.status_code == 400
    assert "PLANTED" not in response.text


def test_the_answer_shows_what_connecting_on_the_command_line_shows(
    world: World, root: str, admin: Customer, tmp_path: Path
) -> None:
    """What was tried, what is read leniently, and what would be refused; of nothing that was not asked now."""
    write_csv(tmp_path / "april.csv", csv_text([row(ChargeFrequency="usage-based"), row(), row()]))
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    asked = "tested { billingAccounts billingPeriods tried warnings { code message count example } }"
    own = {"customer": admin.customer_id, "id": f"{admin.customer_id}.main"}
    credential = {"focus": {"location": str(tmp_path)}}

    added = done(
        world,
        ADD.replace("lastError", f"lastError {asked}"),
        root,
        name="main",
        customer=admin.customer_id,
        credential=credential,
    )
    found = added["tested"]
    assert found["billingAccounts"] == [str(tmp_path)]
    assert "every row (3) of the newest file" in found["tried"]
    assert [one["code"] for one in found["warnings"]][:1] == ["file-skipped"]
    assert len(found["warnings"]) == 2, "the letters of ChargeFrequency too"

    changed = done(
        world,
        UPDATE.replace("lastError", f"lastError {asked}"),
        root,
        **own,
        settings={"focus": {"region": "eu-west-1"}},
    )
    assert changed["tested"] == found
    unasked = UPDATE.replace("lastError", f"lastError {asked}")
    assert done(world, unasked, root, **own, settings={"focus": {"region": None}}, test=False)["tested"] is None
    assert done(world, TEST.replace("billingPeriods", "billingPeriods tried"), root, **own)["tried"] == found["tried"]
