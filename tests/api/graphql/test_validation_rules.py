"""An operation exactly as large as the limits allow is accepted, one more of anything is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from graphql import build_schema, parse, validate

from optiinfra_api.graphql.validation_rules import MAX_ALIASES, MAX_DEPTH, OperationLimits

SCHEMA = build_schema("type Query { inner: Query, leaf: Int }")


def deep(levels: int) -> str:
    return "{ inner " * (levels - 1) + "{ leaf }" + " }" * (levels - 1)


def renamed(fields: int) -> str:
    return "{ " + " ".join(f"a{number}: leaf" for number in range(fields)) + " }"


def spread(document: str) -> str:
    return f"query {{ ...all }} fragment all on Query {document}"


def refusals(document: str) -> list[str]:
    return [error.message for error in validate(SCHEMA, parse(document), [OperationLimits])]


@pytest.mark.parametrize("written", [str, spread], ids=["plain", "in a fragment"])
@pytest.mark.parametrize(
    ("make", "most", "what"),
    [(deep, MAX_DEPTH, "levels"), (renamed, MAX_ALIASES, "aliases")],
    ids=["depth", "aliases"],
)
def test_the_largest_accepted_operation_and_the_next(
    make: Callable[[int], str], most: int, what: str, written: Callable[[str], str]
) -> None:
    assert refusals(written(make(most))) == []
    assert refusals(written(make(most + 1))) == [f"the operation has {most + 1} {what}; at most {most} are accepted"]
