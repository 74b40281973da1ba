"""Customers and tokens over GraphQL: who may make what, what is shown once, and what is on record."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from expiring import let_expire
from hypothesis import given, settings
from hypothesis import strategies as st
from world import Customer, World

REFUSAL = "... on Refusal { code message remedy }"
TOKEN = "tokenId name customerId role createdAt expiresAt lastUsedAt revokedAt"
CREATE_TOKEN = f"""
mutation($name: String!, $role: TokenRole, $customerId: String, $allCustomers: Boolean, $expiresAt: DateTime, $days: Int) {{
  createToken(name: $name, role: $role, customerId: $customerId, allCustomers: $allCustomers, expiresAt: $expiresAt, days: $days) {{
    ... on TokenCreated {{ token {{ {TOKEN} }} secret }} {REFUSAL}
  }}
}}"""
REVOKE_TOKEN = f"""
mutation($tokenId: String!) {{
  revokeToken(tokenId: $tokenId) {{ ... on TokenRevoked {{ token {{ {TOKEN} }} }} {REFUSAL} }}
}}"""
CREATE_CUSTOMER = f"""
mutation($id: String!, $name: String) {{
  createCustomer(customerId: $id, name: $name) {{ ... on CustomerCreated {{ customer {{ customerId name createdAt }} }} {REFUSAL} }}
}}"""
RENAME_CUSTOMER = f"""
mutation($id: String, $name: String!) {{
  renameCustomer(customerId: $id, name: $name) {{ ... on CustomerRenamed {{ customer {{ customerId name }} }} {REFUSAL} }}
}}"""
PAGES = {
    "customers": "query($first: Int!, $after: String) { customers(first: $first, after: $after) { nodes { customerId name }"
    " pageInfo { hasNextPage endCursor } } }",
    "tokens": f"query($first: Int!, $after: String, $customerId: String) {{ tokens(first: $first, after: $after, "
    f"customerId: $customerId) {{ nodes {{ {TOKEN} }} pageInfo {{ hasNextPage endCursor }} }} }}",
    "accessAuditLog": "query($first: Int!, $after: String, $customerId: String) { accessAuditLog(first: $first, after: $after, "
    "customerId: $customerId) { nodes { id at actor origin action customerId tokenId role name detail } "
    "pageInfo { hasNextPage endCursor } } }",
}


@pytest.fixture
def root(world: World) -> str:
    """The token of an administrator of all customers."""
    return world.metadata.tokens.issue("root", None, "admin").plaintext


@pytest.fixture
def acme(world: World) -> Customer:
    """A customer with its administrator's token."""
    return world.customer("admin")


def _all(world: World, field: str, token: str, first: int = 1000, **variables: Any) -> list[dict[str, Any]]:
    nodes, after = [], None
    while True:
        page = world.data(PAGES[field], token, first=first, after=after, **variables)[field]
        nodes += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return nodes
        after = page["pageInfo"]["endCursor"]


def test_a_customer_is_made_listed_and_renamed(world: World, root: str) -> None:
    made = world.data(CREATE_CUSTOMER, root, id="newcomer", name="New Ltd")["createCustomer"]["customer"]
    assert (made["customerId"], made["name"]) == ("newcomer", "New Ltd")
    assert world.data(CREATE_CUSTOMER, root, id="newcomer")["createCustomer"] == {
        "code": "CUSTOMER_EXISTS",
        "message": "customer: 'newcomer' exists",
        "remedy": "Use another id.",
    }
    for name, customer_id in (("x", "Not A Slug"), (" ", "other")):
        refused = world.data(CREATE_CUSTOMER, root, id=customer_id, name=name)["createCustomer"]
        assert refused["code"] == "CUSTOMER_NOT_ACCEPTED"
        assert "is not accepted" in refused["message"]
    renamed = world.data(RENAME_CUSTOMER, root, id="newcomer", name="New Inc")["renameCustomer"]
    assert renamed == {"customer": {"customerId": "newcomer", "name": "New Inc"}}
    assert world.data(RENAME_CUSTOMER, root, id="newcomer", name="")["renameCustomer"]["code"] == (
        "CUSTOMER_NOT_ACCEPTED"
    )
    listed = _all(world, "customers", root)
    assert {"customerId": "newcomer", "name": "New Inc"} in listed
    assert len(listed) == len(world.metadata.customers.find())


def test_a_customer_sees_itself_only_and_its_administrator_renames_it(world: World, acme: Customer) -> None:
    viewer = world.metadata.tokens.issue("viewer", acme.customer_id, "viewer").plaintext
    for token in (acme.token, viewer):
        assert _all(world, "customers", token) == [{"customerId": acme.customer_id, "name": acme.customer_id}]
    assert acme.data(RENAME_CUSTOMER, name="Acme")["renameCustomer"]["customer"]["name"] == "Acme"
    for customer_id in (world.customer().customer_id, "nobody"):
        error = acme.error(RENAME_CUSTOMER, id=customer_id, name="Mine")
        assert error["message"] == f"customerId: '{customer_id}' does not exist"
    error = acme.error(CREATE_CUSTOMER, id="another")
    assert error["message"] == "this needs an administrator's token for all customers"


def test_a_token_is_shown_once_works_and_is_refused_once_revoked(world: World, acme: Customer) -> None:
    made = acme.data(CREATE_TOKEN, name="dashboard", days=7)["createToken"]
    token, secret = made["token"], made["secret"]
    assert re.fullmatch(r"oi_[A-Za-z0-9_-]{43}", secret)
    assert (token["role"], token["customerId"], token["lastUsedAt"]) == ("VIEWER", acme.customer_id, None)
    left = datetime.fromisoformat(token["expiresAt"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
    assert world.data("{ __typename }", secret) == {"__typename": "Query"}
    listed = _all(world, "tokens", acme.token)
    (shown,) = (one for one in listed if one["tokenId"] == token["tokenId"])
    assert shown["lastUsedAt"] is not None
    assert secret not in str(listed)
    assert secret not in str(_all(world, "accessAuditLog", acme.token))
    revoked = acme.data(REVOKE_TOKEN, tokenId=token["tokenId"])["revokeToken"]["token"]
    assert revoked["revokedAt"] is not None
    assert world.post({"query": "{ __typename }"}, secret).status_code == 401, "at once, in this process"
    assert acme.data(REVOKE_TOKEN, tokenId=token["tokenId"])["revokeToken"]["token"] == revoked


def test_a_token_expires(world: World, acme: Customer) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    made = acme.data(CREATE_TOKEN, name="expiring", expiresAt=later.isoformat())["createToken"]
    assert datetime.fromisoformat(made["token"]["expiresAt"]) == later
    secret = made["secret"]
    let_expire(world.settings, "expiring")
    assert world.post({"query": "{ __typename }"}, secret).status_code == 401


def test_a_customers_administrator_makes_tokens_of_its_own_customer_only(world: World, acme: Customer) -> None:
    refused = acme.data(CREATE_TOKEN, name="all", role="ADMIN", allCustomers=True)["createToken"]
    assert (refused["code"], refused["message"]) == (
        "TOKEN_NOT_ACCEPTED",
        "allCustomers: only an administrator of all customers makes such a token",
    )
    for customer_id in (world.customer().customer_id, "nobody"):
        error = acme.error(CREATE_TOKEN, name="theirs", customerId=customer_id)
        assert error["message"] == f"customerId: '{customer_id}' does not exist"
    for role in ("VIEWER", "OPERATOR", "ADMIN"):
        made = acme.data(CREATE_TOKEN, name=role, role=role, customerId=acme.customer_id)["createToken"]
        principal = world.metadata.tokens.authenticate(made["secret"])
        assert principal is not None
        assert (principal.customer_id, principal.role) == (acme.customer_id, role.lower())


def test_an_administrator_of_all_makes_any_but_none_for_all_by_oversight(
    world: World, root: str, acme: Customer
) -> None:
    made = world.data(CREATE_TOKEN, root, name="theirs", customerId=acme.customer_id)["createToken"]
    assert made["token"]["customerId"] == acme.customer_id
    made = world.data(CREATE_TOKEN, root, name="all", role="ADMIN", allCustomers=True)["createToken"]
    assert made["token"]["customerId"] is None
    refused = {
        "customerId: needed, unless allCustomers is true": {"role": "ADMIN"},
        "allCustomers: not together with customerId: use one of them": {
            "role": "ADMIN",
            "allCustomers": True,
            "customerId": acme.customer_id,
        },
        "customer: needed for role viewer: only an admin's token can be for all customers": {"allCustomers": True},
    }
    for message, given_ in refused.items():
        answer = world.data(CREATE_TOKEN, root, name="x", **given_)["createToken"]
        assert (answer["code"], answer["message"]) == ("TOKEN_NOT_ACCEPTED", message)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"name": ""}, "name: '' is not accepted"),
        ({"name": "x", "days": 0}, "days: 0 is not accepted: use 1 to 3660"),
        ({"name": "x", "days": 4000}, "days: 4000 is not accepted"),
        ({"name": "x", "days": 1, "expiresAt": "2100-01-01T00:00:00Z"}, "days: not together with expiresAt"),
        ({"name": "x", "expiresAt": "2026-01-01T00:00:00Z"}, "is past: use a later instant"),
    ],
)
def test_a_token_that_is_not_accepted(acme: Customer, given_: dict[str, Any], said: str) -> None:
    answer = acme.data(CREATE_TOKEN, **given_)["createToken"]
    assert answer["code"] == "TOKEN_NOT_ACCEPTED"
    assert said in answer["message"]


def test_tokens_of_others_are_neither_seen_nor_revoked(world: World, acme: Customer, root: str) -> None:
    other = world.customer("admin")
    (theirs,) = _all(world, "tokens", other.token)
    assert theirs["tokenId"] not in str(_all(world, "tokens", acme.token))
    for token_id in (theirs["tokenId"], "0123456789ab"):
        assert acme.data(REVOKE_TOKEN, tokenId=token_id)["revokeToken"] == {
            "code": "TOKEN_NOT_FOUND",
            "message": f"token: '{token_id}' does not exist",
            "remedy": "Use a tokenId that `tokens` shows.",
        }
    assert world.data("{ __typename }", other.token) == {"__typename": "Query"}
    assert theirs["tokenId"] in str(_all(world, "tokens", root))
    assert [one["tokenId"] for one in _all(world, "tokens", root, customerId=other.customer_id)] == [theirs["tokenId"]]
    assert world.data(REVOKE_TOKEN, root, tokenId=theirs["tokenId"])["revokeToken"]["token"]["revokedAt"]
    assert world.post({"query": "{ __typename }"}, other.token).status_code == 401


def test_every_act_is_on_record_with_who_and_from_where(world: World, acme: Customer) -> None:
    (me,) = _all(world, "tokens", acme.token)
    made = acme.data(CREATE_TOKEN, name="dashboard", role="OPERATOR")["createToken"]["token"]
    acme.data(REVOKE_TOKEN, tokenId=made["tokenId"])
    acme.data(RENAME_CUSTOMER, name="Acme")
    log = _all(world, "accessAuditLog", acme.token)
    assert [one["action"] for one in log] == [
        "RENAME_CUSTOMER",
        "REVOKE_TOKEN",
        "CREATE_TOKEN",
        "CREATE_TOKEN",
        "CREATE_CUSTOMER",
    ]
    assert [(one["actor"], one["origin"]) for one in log[:3]] == [(me["tokenId"], "127.0.0.1")] * 3
    assert (log[0]["name"], log[0]["detail"]) == ("Acme", acme.customer_id)
    assert [(one["tokenId"], one["role"]) for one in log[1:3]] == [(made["tokenId"], "OPERATOR")] * 2
    assert {one["customerId"] for one in log} == {acme.customer_id}


@settings(max_examples=12)
@given(first=st.integers(1, 9), field=st.sampled_from(sorted(PAGES)), everybody=st.booleans())
def test_pages_put_together_are_the_whole_while_more_is_made(
    world: World, acme: Customer, root: str, first: int, field: str, everybody: bool
) -> None:
    for number in range(3):
        acme.data(CREATE_TOKEN, name=f"token {number}")
    token = root if everybody and field != "accessAuditLog" else acme.token
    key = {"customers": "customerId", "tokens": "tokenId", "accessAuditLog": "id"}[field]
    whole = [one[key] for one in _all(world, field, token)]
    begin = world.data(PAGES[field], token, first=first)[field]
    pages = [one[key] for one in begin["nodes"]]
    acme.data(CREATE_TOKEN, name="later")
    while begin["pageInfo"]["hasNextPage"]:
        begin = world.data(PAGES[field], token, first=first, after=begin["pageInfo"]["endCursor"])[field]
        pages += [one[key] for one in begin["nodes"]]
    assert pages[: len(whole)] == whole
    assert len(set(pages)) == len(pages)


def test_a_cursor_belongs_to_its_field_and_customer(world: World, acme: Customer) -> None:
    acme.data(CREATE_TOKEN, name="second")
    cursor = acme.data(PAGES["tokens"], first=1)["tokens"]["pageInfo"]["endCursor"]
    other = world.customer("admin")
    for customer, field in ((other, "tokens"), (acme, "accessAuditLog"), (acme, "customers")):
        error = customer.error(PAGES[field], first=1, after=cursor)
        assert error["extensions"]["code"] == "INVALID_ARGUMENT"
    assert acme.error(PAGES["tokens"], first=0)["message"] == "first: 0 is not accepted"
