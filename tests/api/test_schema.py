"""The schema is the committed one, and every statement it needs is there and used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from graphql import build_schema, find_breaking_changes
from world import World

import optiinfra_api
from optiinfra_api import schema
from optiinfra_api.fields.administration import access_log, tokens
from optiinfra_api.fields.collections import history
from optiinfra_api.graphql.validation_rules import faults
from optiinfra_assets.database import sql_files
from optiinfra_assets.metadata import collections as store
from optiinfra_assets.metadata.access_audit import AccessAction
from optiinfra_assets.metadata.collections import State
from optiinfra_assets.metadata.tokens import Role

PACKAGE = Path(optiinfra_api.__file__).parent
COMMITTED = (PACKAGE / "schema.graphql").read_text()


def test_the_committed_text_is_the_schema() -> None:
    assert schema.schema.as_str() + "\n" == COMMITTED, "run `python -m optiinfra_api.schema` and look at what changed"


def test_no_change_breaks_a_client() -> None:
    new = build_schema(schema.schema.as_str())
    assert [one.description for one in find_breaking_changes(build_schema(COMMITTED), new)] == []


def _described(name: str, thing: Any) -> Iterator[tuple[str, str | None]]:
    """Every type, field, argument, input field and value under `thing`, with its description."""
    yield name, thing.description
    for part in ("fields", "args", "values"):
        for inner, found in (getattr(thing, part, None) or {}).items():
            yield from _described(f"{name}.{inner}", found)


def test_everything_is_described() -> None:
    schema_ = build_schema(COMMITTED)
    found = [
        one
        for type_ in schema_.type_map.values()
        if not type_.name.startswith("__")
        for one in _described(type_.name, type_)
    ]
    assert [name for name, description in found if not description] == []
    names = {name for name, _ in found}
    assert {
        "Query.costTrends.groupBy",
        "CostBasis.LIST",
        "CostFilter.tag",
        "Money.amount",
        "Decimal",
    } <= names


def test_no_amount_is_a_float() -> None:
    assert "Float" not in COMMITTED


def test_every_state_of_the_store_has_a_name() -> None:
    pairs = (
        (history.CollectionTrigger, store.Trigger),
        (history.CollectionStatus, store.Status),
        (history.TaskState, State),
        (tokens.TokenRole, Role),
        (access_log.AccessAction, AccessAction),
    )
    for enum, states in pairs:
        assert {one.value for one in enum} == set(get_args(states))


def test_every_statement_is_used() -> None:
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    statements = sql_files.names("clickhouse", "queries")
    assert [name for name in statements if f'"{name}"' not in code] == []


def test_a_document_is_parsed_and_validated_once(world: World) -> None:
    token = world.customer().token
    document = "query Once { __typename }"
    world.data(document, token)
    before = faults.cache_info()
    for _ in range(5):
        world.data(document, token)
    after = faults.cache_info()
    assert (after.hits - before.hits, after.misses - before.misses) == (5, 0)
