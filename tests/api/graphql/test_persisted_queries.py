"""Automatic persisted queries as Apollo's clients speak them, and how much is kept."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import World

from optiinfra_api.graphql.persisted_queries import PersistedQueries
from optiinfra_api.http.http_errors import HttpError


def _hash(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()


def _extensions(digest: Any, version: Any = 1) -> dict[str, Any]:
    return {"persistedQuery": {"version": version, "sha256Hash": digest}}


def test_a_document_is_sent_once(world: World) -> None:
    token = world.customer().token
    document = "query Sent { __typename }"
    short = {"extensions": _extensions(_hash(document))}
    unknown = world.post(short, token)
    assert unknown.status_code == 200
    assert unknown.json() == {
        "errors": [{"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}]
    }
    assert world.post(short | {"query": document}, token).json() == {"data": {"__typename": "Query"}}
    assert world.post(short, token).json() == {"data": {"__typename": "Query"}}
    assert world.post({**short, "operationName": "Sent"}, token).json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"query": "{ __typename }", "extensions": _extensions(_hash("{ other }"))},
            "extensions.persistedQuery.sha256Hash is not the SHA-256 of the query beside it",
        ),
        (
            {"extensions": _extensions("x")},
            "extensions.persistedQuery.sha256Hash must be 64 hexadecimal digits in lower case",
        ),
        (
            {"extensions": _extensions(1)},
            "extensions.persistedQuery.sha256Hash must be 64 hexadecimal digits in lower case",
        ),
        (
            {"extensions": _extensions("0" * 64, version=2)},
            "extensions.persistedQuery must be an object with version 1 and sha256Hash",
        ),
        (
            {"extensions": {"persistedQuery": 1}},
            "extensions.persistedQuery must be an object with version 1 and sha256Hash",
        ),
        ({"extensions": []}, '"extensions" must be an object or left out'),
        ({"extensions": {"other": 1}}, 'the body must be an object with a text "query"'),
    ],
)
def test_what_does_not_fit_is_refused(world: World, body: dict[str, Any], message: str) -> None:
    response = world.post(body, world.customer().token)
    assert response.status_code == 400
    assert [error["message"] for error in response.json()["errors"]] == [message]


def test_a_hash_opens_nothing_without_a_token(world: World) -> None:
    document = "query Mine { __typename }"
    body = {"query": document, "extensions": _extensions(_hash(document))}
    assert world.post(body, world.customer().token).status_code == 200
    assert world.post({"extensions": body["extensions"]}, None).status_code == 401


def test_a_document_that_does_not_run_is_not_kept(world: World) -> None:
    token, document = world.customer().token, "query Wrong { nothing }"
    extensions = _extensions(_hash(document))
    assert world.post({"query": document, "extensions": extensions}, token).status_code == 400
    code = world.post({"extensions": extensions}, token).json()["errors"][0]["extensions"]["code"]
    assert code == "PERSISTED_QUERY_NOT_FOUND"


@given(documents=st.lists(st.text("ab ", min_size=1, max_size=12), max_size=60))
def test_what_is_kept_is_bounded_and_is_what_was_used_last(documents: list[str]) -> None:
    queries = PersistedQueries(most_characters=40)
    used: list[str] = []
    for document in documents:
        operation = {"query": document, "extensions": _extensions(_hash(document))}
        assert queries.document(operation) == document
        queries.keep(operation)
        used = [one for one in used if one != document] + [document] if document not in used else used
        while sum(map(len, used)) > 40:
            used.pop(0)
    for document in [*used]:
        assert queries.document({"extensions": _extensions(_hash(document))}) == document
    for document in set(documents) - set(used):
        with pytest.raises(HttpError):
            queries.document({"extensions": _extensions(_hash(document))})


def test_a_document_that_is_larger_than_all_that_is_kept_leaves_the_others() -> None:
    queries = PersistedQueries(most_characters=40)
    small, large = ({"query": text, "extensions": _extensions(_hash(text))} for text in ("a" * 40, "b" * 41))
    queries.keep(small)
    queries.keep(large)
    assert queries.document({"extensions": small["extensions"]}) == "a" * 40
    with pytest.raises(HttpError):
        queries.document({"extensions": large["extensions"]})
