"""Makes operations that nobody would write from the committed schema, and says what the answer to anything may be.

Operations come from hypothesis-graphql, the generator of schemathesis: a field with any value of its type for each argument. Nearly all
of them would name nothing and ask for an empty period, so three of four arguments that are known get a value that leads somewhere.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx
from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DocumentNode,
    ObjectFieldNode,
    StringValueNode,
    Visitor,
    build_schema,
    get_named_type,
    is_scalar_type,
    is_specified_scalar_type,
    parse_value,
    print_ast,
    visit,
)
from hypothesis import strategies as st
from hypothesis_graphql import Mode, from_schema, nodes

import optiinfra_api
import optiinfra_assets
from optiinfra_api.fields.collections.restatements import MAX_CHANGES
from optiinfra_api.fields.costs.billing_periods import MOST_ROWS
from optiinfra_api.fields.pagination import MAX_FIRST

SCHEMA = build_schema((Path(optiinfra_api.__file__).parent / "schema.graphql").read_text())
QUERIES = sorted(SCHEMA.query_type.fields) if SCHEMA.query_type else []
MUTATIONS = sorted(SCHEMA.mutation_type.fields) if SCHEMA.mutation_type else []

CODES = {
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FORBIDDEN",
    "CURSOR_EXPIRED",
    "AS_OF_NOT_KEPT",
    "TOO_EXPENSIVE",
    "TOO_MANY_REQUESTS",
    "PERSISTED_QUERY_NOT_FOUND",
    "BAD_REQUEST",
    "SYNTAX",
}
"""What docs/graphql.md says to who has a good token while all databases answer. INTERNAL is what the fuzzing looks for."""

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
"""Of JSON."""

MOST = {"changes": MAX_CHANGES, "months": MOST_ROWS}
"""How long lists may be that have a limit of their own."""

_ADDRESSES = re.compile(r'"(?:runUrl|origin)":"[^"]*"')
"""Fields that are there to show one."""

_ODD = ["", "\x01", "2026-02-30", "0001-01-01", "9999-12-31", "2026-10-05T00:00:00", "1e400", "'; --", "ä\n"]
_DAYS = ["2026-09-01", "2026-10-01", "2026-10-31", "2026-11-01", "2026-12-01"]
_INSTANTS = ["2020-01-01T00:00:00Z", "2026-10-05T00:00:00.5+02:00", "2100-01-01T00:00:00Z"]
_EDGES = [
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T00:00:00Z",
]
_SCALARS = {
    "Date": st.sampled_from([*_DAYS * 4, *_ODD]).map(nodes.String),
    "DateTime": st.sampled_from([*_INSTANTS * 4, *_ODD, *_EDGES * 2]).map(nodes.String),
    "Decimal": st.decimals().map(nodes.String),
    "Count": st.integers(-(2**70), 2**70).map(nodes.Int),
}


class _Led(Visitor):
    """Puts known values into an operation, by the names of arguments; `test` never reaches for a cloud."""

    def __init__(self, draw: st.DrawFn, known: Mapping[str, list[str]]) -> None:
        super().__init__()
        self._draw = draw
        self._known = known

    def enter_argument(self, node: ArgumentNode, *_: Any) -> ArgumentNode | None:
        return self._led(node)

    def enter_object_field(self, node: ObjectFieldNode, *_: Any) -> ObjectFieldNode | None:
        return self._led(node)

    def _led(self, node: Any) -> Any:
        name = node.name.value
        if name == "test":
            return type(node)(name=node.name, value=BooleanValueNode(value=False))
        if name not in self._known or self._draw(st.integers(0, 3)) == 0:
            return None
        return type(node)(name=node.name, value=parse_value(self._draw(st.sampled_from(self._known[name]))))


OF_EXTRAS: Final = {"celery", "dagster_celery"}
"""Packages that modules of ours need which only a deployment has."""


def operations(name: str, known: Mapping[str, list[str]], mode: Mode = Mode.POSITIVE) -> st.SearchStrategy[str]:
    """Documents that ask for one field of a root type; `known` has literals for arguments by their names."""
    generated: st.SearchStrategy[DocumentNode] = from_schema(
        SCHEMA, fields=[name], custom_scalars=_SCALARS, print_ast=_as_it_is, allow_x00=False, mode=mode
    )

    @st.composite
    def led(draw: st.DrawFn) -> str:
        return print_ast(visit(draw(generated), _Led(draw, known)))

    return led()


def can_be_broken(query: str) -> bool:
    """Whether a query has arguments that could be wrong: the generator breaks none of a scalar of ours."""
    arguments = SCHEMA.query_type.fields[query].args.values() if SCHEMA.query_type else ()
    kinds = [get_named_type(one.type) for one in arguments]
    return any(not is_scalar_type(kind) or is_specified_scalar_type(kind) for kind in kinds)


def _as_it_is(document: DocumentNode) -> DocumentNode:
    return document


def literal(text: str) -> str:
    """`text` as it stands in a document."""
    return print_ast(StringValueNode(value=text))


def check_answer(response: httpx.Response, sent: str, *more: HTTPStatus) -> dict[str, Any]:
    """The answer of /graphql, once it was found to be one that `sent` may get; statuses beside 200 and 400 are `more`."""
    assert response.status_code in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST, *more), (
        sent,
        response.status_code,
        response.text,
    )
    answer = response.json()
    assert isinstance(answer, dict), answer
    assert answer.keys() <= {"data", "errors"}, answer
    check_errors(answer.get("errors", ()), sent)
    assert (response.status_code == HTTPStatus.OK) or answer.get("errors"), answer
    for name, found in _lists("", answer.get("data")):
        assert len(found) <= MOST.get(name, MAX_FIRST), (sent, name)
    assert leaks(_ADDRESSES.sub("", response.text), sent) == [], (sent, response.text[:2000])
    return answer


def check_errors(errors: Any, sent: str) -> None:
    """Every one has a message, and a code of those that are documented."""
    for error in errors:
        assert error["message"], (sent, error)
        assert error["extensions"]["code"] in CODES, (sent, error)


def _lists(name: str, value: Any) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(value, list):
        yield name, value
        for one in value:
            yield from _lists("", one)
    elif isinstance(value, dict):
        for inner, one in value.items():
            yield from _lists(inner, one)


def _names_of_ours() -> Iterator[str]:
    """Classes of ours, but for those that the schema shows."""
    for package in (optiinfra_api, optiinfra_assets):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            try:
                loaded = importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                if error.name not in OF_EXTRAS:
                    raise
                continue
            for name, one in vars(loaded).items():
                has_two_words = re.fullmatch(r"(_?[A-Z][a-z0-9]+){2,}", name)
                is_ours = isinstance(one, type) and one.__module__ == module.name
                if has_two_words and is_ours and name not in SCHEMA.type_map:
                    yield name


@cache
def _leak() -> re.Pattern[str]:
    """What shows our inside; made when the first answer is looked at, as it takes every module of ours."""
    return re.compile(
        r"Traceback|File \"|\.py\b|\.sql\b|optiinfra_(?:api|assets)|clickhouse_|psycopg|graphql\.error|strawberry|DB::|Code: \d+"
        r"|\bSELECT\b|\bINSERT\b|\bFROM\b|\bWHERE\b|/(?:home|root|usr|tmp|var|dev|etc|work)/|127\.0\.0\.1|localhost|0x[0-9a-f]{6,}"
        rf"|\b(?:[A-Z][a-z]+)+(?:Error|Exception)\b|\b(?:{'|'.join(sorted(set(_names_of_ours())))})\b",
    )


def leaks(answer: str, sent: str) -> list[str]:
    """What of our inside an answer shows that did not come in with `sent`."""
    return [found for found in _leak().findall(answer) if found not in sent]
