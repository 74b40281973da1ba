"""Documents and variables that a viewer could send to keep the service busy: as large as its limits let in, and larger."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

PERIOD = 'period: {start: "2026-10-01", end: "2026-11-01"}'


def _chosen(draw: st.DrawFn, *makers: Callable[[], Any]) -> Any:
    """What one of `makers` makes; the others make nothing, which would take longer than what is tested."""
    return draw(st.sampled_from(makers))()


SIZES = st.sampled_from([1, 2, 7, 25, 60, 150, 400, 1500])
LEAVES = st.sampled_from(["__typename", "health { isOk }", f"totalCost({PERIOD}) {{ isComplete }}", "nothing"])


@st.composite
def spreading(draw: st.DrawFn) -> str:
    """Fragments that each spread the next ones, several times, with fields, aliases, variables and directives between."""
    count, fan = draw(SIZES), draw(st.integers(1, 6))
    leaf, on = draw(LEAVES), draw(st.sampled_from(["Query", "Query", "CostTrends", "__Type", "Nothing"]))
    within = draw(st.sampled_from(["", " @skip(if: false)", " @include(if: $v)", " @a @a @a"]))
    reach = draw(st.sampled_from([1, 1, 1, 2, 5, -1, 0]))
    alias = draw(st.sampled_from(["", "a: "]))
    parts = [
        draw(st.sampled_from(["query($v: Boolean!) { ...F0 }", "{ ...F0 ...F0 ...F1 }", "subscription { ...F0 }"]))
    ]
    for number in range(count):
        spreads = " ".join(f"...F{(number + reach * (1 + one % 3)) % (count + 1)}{within}" for one in range(fan))
        inline = f"... on Query {{ {spreads} }}" if number % 7 == 6 else spreads
        parts.append(f"fragment F{number} on {on} {{ {alias}{leaf} {inline} }}")
    return " ".join([*parts, f"fragment F{count} on {on} {{ {leaf} }}"])


@st.composite
def overlapping(draw: st.DrawFn) -> str:
    """The same fields again and again: alike, with other arguments, in fragments that are spread side by side."""
    count, kind = draw(SIZES), draw(st.integers(0, 4))
    if kind == 0:
        return "{ " + " ".join(f'a: accounts(customerId: "{one}") {{ id id }}' for one in range(count)) + " }"
    if kind == 1:
        return "{ " + " ".join(f"totalCost({PERIOD}) {{ totals {{ lineItems }} }}" for _ in range(count)) + " }"
    if kind == 2:
        return "{ " + "__typename " * count + " }"
    if kind == 3:
        fragments = " ".join(f"fragment F{one} on Query {{ health {{ isOk version }} }}" for one in range(count))
        return "{ " + " ".join(f"...F{one}" for one in range(count)) + " } " + fragments
    nested = "health { " * min(count, 190) + "isOk" + " }" * min(count, 190)
    return f"{{ {nested} {nested} {nested} }}"


@st.composite
def nested(draw: st.DrawFn) -> str:
    """Deep selections, lists, objects and types."""
    count = draw(SIZES)
    opening, middle, closing = draw(
        st.sampled_from(
            [
                ("{ health ", "{ isOk }", "}"),
                ("{ ... ", "{ __typename }", "}"),
                ("{ a: health ", "{ isOk }", "}"),
                ("[", "1", "]"),
                ("{a: ", "1", "}"),
                ("[", "", ""),
                ("{", "", ""),
            ]
        )
    )
    inner = opening * count + middle + closing * count
    if opening[:2] == "{ ":
        return inner
    if draw(st.booleans()):
        return f"query($v: {'[' * count}Int{']' * count} = {inner}) {{ __typename }}"
    return f"{{ totalCost({PERIOD}, filter: {{service: {inner}}}) {{ isComplete }} }}"


@st.composite
def introspecting(draw: st.DrawFn) -> str:
    """The schema through the schema, in breadth, in depth and under many names."""
    count = draw(SIZES)
    inner = "name"
    for step in draw(
        st.lists(st.sampled_from(["fields", "type", "ofType", "args", "inputFields", "possibleTypes"]), max_size=7)
    ):
        inner = f"name {step} {{ {inner} }}"
    whole = f"__schema {{ types {{ {inner} }} }}"
    return _chosen(
        draw,
        lambda: f"{{ {whole} }}",
        lambda: "{ " + " ".join(f"a{one}: {whole}" for one in range(min(count, 40))) + " }",
        lambda: (
            "{ __schema { types { " + " ".join(f"a{one}: fields {{ name }}" for one in range(min(count, 40))) + " } } }"
        ),
        lambda: "{ __schema { types { " + "ofType { " * min(count, 180) + "name" + " }" * min(count, 180) + " } } }",
        lambda: "{ __schema { ..." + f"T }} }} fragment T on __Schema {{ types {{ {inner} }} }}",
    )


@st.composite
def long(draw: st.DrawFn) -> str:
    """Few tokens of many characters, many tokens, many definitions, and faults that quote what is long."""
    count = draw(st.sampled_from([10, 100, 500, 2000, 12_000, 40_000]))
    return _chosen(
        draw,
        lambda: "#" + "x" * count + "\n{ __typename }",
        lambda: "#\n" * count + "{ __typename }",
        lambda: "," * count + "{ __typename }",
        lambda: "\n" * count + "{ nothing }" * 40,
        lambda: f'{{ accounts(customerId: "{"x" * count}") {{ id }} }}',
        lambda: f'{{ accounts(customerId: "{chr(92) + "u00e4"}{"ä" * count}") {{ id }} }}',
        lambda: f'{{ accounts(customerId: """{(" " + chr(10)) * count}""") {{ id }} }}',
        lambda: f"{{ {'a' * count} }}",
        lambda: f"{{ {'healt ' * count} }}",
        lambda: f"{{ accounts(first: {'9' * count}) {{ id }} }}",
        lambda: f"{{ accounts(first: 1.{'0' * count}e{'9' * 9}) {{ id }} }}",
        lambda: f"{{ accounts(customerId: [{'1 ' * count}]) {{ id }} }}",
        lambda: f"{{ accounts({'customerI: 1 ' * count}) {{ id }} }}",
        lambda: "{ __typename " + "@skip(if: true) " * count + "}",
        lambda: "query(" + " ".join(f"$v{one}: Strin" for one in range(count // 4)) + ") { __typename }",
        lambda: "query(" + " ".join(f"$v{one}: Int = {one}" for one in range(count // 6)) + ") { __typename }",
        lambda: (
            " ".join(f"query Q{one} {{ ...F }}" for one in range(count // 6)) + " fragment F on Query { health(a: $x) }"
        ),
        lambda: " ".join("{ __typename }" for _ in range(count // 4)),
        lambda: " ".join("fragment F on Query { __typename }" for _ in range(count // 7)),
        lambda: (
            "\n" * min(count, 30_000)
            + "{ "
            + " ".join(f"...F{one}" for one in range(200))
            + " } "
            + " ".join(f"fragment F{one} on Query {{ ...F{one} }}" for one in range(160))
        ),
        lambda: (
            '{ addCredential(name: "x", credential: {vultr: {apiKey: ["'
            + "got invalid value " * (count // 18)
            + '"]}}) }'
        ),
        lambda: "mutation { addCredential(x: " + "'$a' got invalid value " * (count // 23) + ") }",
        lambda: f"{{ costTrends({PERIOD}, groupBy: [{'SERVICE ' * count}]) {{ isComplete }} }}",
        lambda: f"{{ costTrends({PERIOD}, groupBy: [{'SERVIC ' * count}]) {{ isComplete }} }}",
    )


FIELDS = """
  a{0}: totalCost(period: $p, filter: $f) {{ isComplete }}
  b{0}: costTrends(period: $p, filter: {{provider: $s}}, groupBy: $d) {{ isComplete @skip(if: $v) }}
  c{0}: latestCosts(days: $i) {{ isComplete }}
"""


@st.composite
def using_variables(draw: st.DrawFn) -> str:
    """A valid operation that uses its variables in many fields."""
    fields = " ".join(FIELDS.format(one) for one in range(draw(st.sampled_from([1, 1, 5, 10]))))
    variables = "$p: Period!, $f: CostFilter, $s: [String!], $i: Int! = 1, $v: Boolean! = false, $d: [Dimension!]"
    return f"query({variables}) {{{fields}}}"


DOCUMENTS = st.one_of(
    spreading(), spreading(), overlapping(), nested(), introspecting(), long(), using_variables(), using_variables()
)


@st.composite
def _values(draw: st.DrawFn) -> Any:
    count = draw(st.sampled_from([0, 1, 60, 900, 7000, 60_000]))
    return _chosen(
        draw,
        lambda: ["x"] * count,
        lambda: [str(one) for one in range(count // 2)],
        lambda: [None] * count,
        lambda: [[]] * count,
        lambda: [{}] * count,
        lambda: {str(one): one for one in range(count // 3)},
        lambda: {"start": "2026-10-01", "end": "2026-11-01"},
        lambda: {"start": "9" * count, "end": "2026-11-0" + "1" * count},
        lambda: {"service": ["x"] * count, "provider": [1] * count, "tag": {"key": "k", "values": [""] * (count // 8)}},
        lambda: {"servic": 1, "provide": 2, "regio": 3, "accoun": 4},
        lambda: "x" * (count * 3),
        lambda: ["SERVICE"] * (count // 3),
        lambda: ["SERVIC" * 4] * (count // 3),
        lambda: json.loads("[" * min(count, 900) + "]" * min(count, 900) or "1"),
        lambda: 10**400,
        lambda: -(2**31) - 1,
        lambda: 1.5e308,
        lambda: True,
        lambda: None,
    )


PLAUSIBLE = st.sampled_from([1, 100, 300, 700, 1000, 7000]).map(
    lambda count: {
        "f": {
            "service": ["x"] * count,
            "region": [None, "y"] * (count // 8),
            "tag": {"key": "k", "values": ["v"] * (count // 8)},
        },
        "s": [str(one) for one in range(count // 2)],
        "d": ["SERVICE", "REGION"] * (count // 8),
    }
)
PERIODS = {"p": {"start": "2026-10-01", "end": "2026-11-01"}}
VARIABLES = st.one_of(
    PLAUSIBLE.map(lambda given: PERIODS | given),
    st.dictionaries(st.sampled_from(["p", "f", "s", "i", "v", "d", "x"]), _values(), max_size=2).map(
        lambda given: PERIODS | given
    ),
)
