"""Decides by ClickHouse's own syntax tree whether a statement that somebody else wrote may run.

Data in: the answers of ``EXPLAIN AST`` and ``EXPLAIN QUERY TREE``. What may stand in a statement is listed; everything else is
refused, also what a later version of ClickHouse adds. The two trees together say all: the first has every node as it was written,
before anything is looked up; the second has the tables that the names led to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

VIEWS: Final = ("costs_current", "costs_daily", "resources_monthly")
"""The views of ``sql/clickhouse/migrations`` that statements of others may read."""

FUNCTION_GROUPS: Final = {
    "operators": (
        "and or not xor plus minus multiply divide intdiv modulo negate equals notequals less greater lessorequals "
        "greaterorequals isnull isnotnull isdistinctfrom isnotdistinctfrom in notin globalin globalnotin exists like notlike "
        "ilike notilike match between concat tuple array tupleelement arrayelement lambda cast interval tointervalsecond "
        "tointervalminute tointervalhour tointervalday tointervalweek tointervalmonth tointervalquarter tointervalyear"
    ),
    "conditions": (
        "if multiif casewithexpression casewithoutexpression coalesce ifnull nullif greatest least assumenotnull tonullable"
    ),
    "aggregates": (
        "count sum avg min max any anylast argmin argmax median quantile quantileexact quantiles uniq uniqexact grouparray "
        "groupuniqarray stddevpop stddevsamp varpop varsamp corr countif sumif avgif minif maxif uniqif uniqexactif anyif "
        "countdistinct summap grouping"
    ),
    "windows": (
        "row_number rank dense_rank percent_rank ntile lag lead first_value last_value nth_value laginframe leadinframe"
    ),
    "dates": (
        "today yesterday now todate todate32 todatetime toyear toquarter tomonth toweek toisoweek toisoyear todayofmonth "
        "todayofweek todayofyear tohour tominute toyyyymm toyyyymmdd tostartofyear tostartofquarter tostartofmonth "
        "tostartofweek tostartofday tostartofhour tostartofinterval tolastdayofmonth tomonday tounixtimestamp date_trunc "
        "datetrunc date_diff datediff dateadd datesub date_add date_sub addseconds addminutes addhours adddays addweeks "
        "addmonths addquarters addyears subtractdays subtractweeks subtractmonths subtractquarters subtractyears formatdatetime "
        "date extract year month day quarter week monthname"
    ),
    "numbers": (
        "abs sign round floor ceil ceiling trunc truncate sqrt exp log ln log2 log10 pow power isfinite isnan rounddown toint8 "
        "toint16 toint32 toint64 touint8 touint16 touint32 touint64 tofloat32 tofloat64 todecimal32 todecimal64 todecimal128 "
        "toint64ornull tofloat64ornull todecimal128ornull todecimal64ornull"
    ),
    "texts": (
        "tostring lower upper lowerutf8 upperutf8 length lengthutf8 char_length substring substringutf8 substr left leftutf8 "
        "right rightutf8 trim trimleft "
        "trimright trimboth ltrim rtrim startswith endswith position positioncaseinsensitive replace replaceall replaceone "
        "splitbychar splitbystring extractall replaceregexpone replaceregexpall empty notempty"
    ),
    "maps and arrays": (
        "mapkeys mapvalues mapcontains mapcontainskey arrayjoin has hasany hasall arraymap arrayfilter arrayexists arraycount "
        "arraysum arraysort arrayreversesort arraydistinct arraystringconcat indexof"
    ),
}
"""Functions and operators that may be used, in lower case: each computes from its arguments and from nothing else."""

FUNCTIONS: Final = frozenset(" ".join(FUNCTION_GROUPS.values()).split())

_TABLES: Final = frozenset({"TableIdentifier", "Subquery"})
_NODES: Final = _TABLES | {
    "ArrayJoin", "Asterisk", "ColumnsExceptTransformer", "ColumnsTransformerList", "ExpressionList", "Function", "Identifier", "Literal",
    "OrderByElement", "QualifiedAsterisk", "SelectIntersectExceptQuery", "SelectQuery", "SelectWithUnionQuery", "TableExpression",
    "TableJoin", "TablesInSelectQuery", "TablesInSelectQueryElement", "WindowDefinition", "WindowListElement", "WithElement",
}  # fmt: skip
_LEAVES: Final = frozenset({"Identifier", "Literal", "TableIdentifier"})
_MEMBERSHIP: Final = frozenset({"in", "notin", "globalin", "globalnotin"})
_TYPE: Final = re.compile(
    r"'(?:Nullable\()?(?:String|U?Int(?:8|16|32|64)|Float(?:32|64)|Bool|Date|Date32|DateTime|Decimal\(\d{1,2}, ?\d{1,2}\))\)?'"
)
_LINE: Final = re.compile(r"( *)(\w+)(.*?)(?: \(children (\d+)\))?")
_TABLE: Final = re.compile(r" *TABLE id: \d+,.* table_name: ([^\s,]+)(.*)")
_WITH: Final = re.compile(r"^ *(?:QUERY|UNION) id: \d+, .*\bcte_name: (\w+)(?:,|$)", re.MULTILINE)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_TABLE: Final = "system.one"
"""What a SELECT without FROM reads: one row."""

_RECURSIVE: Final = "_temporary_and_external_tables."
"""Where ClickHouse keeps the rows of ``WITH RECURSIVE``, a table that it makes while it looks at the statement."""


class StatementRefused(Exception):
    """The statement contains something that is not on the list; the message says what, and what is accepted instead."""


@dataclass(slots=True)
class _Node:
    kind: str
    detail: str
    expected: int
    children: list[_Node] = field(default_factory=list)


def check_syntax(answer: str) -> frozenset[str]:
    """Check what ``EXPLAIN AST`` answered for a statement; return the names it reads that are not `VIEWS`, so must be its own ``WITH``.

    Raises:
        StatementRefused: it is not one SELECT, or uses a function or a clause that is not accepted.
    """
    root = _parsed(answer)
    if root.kind != "SelectWithUnionQuery":
        raise StatementRefused("only SELECT is accepted")
    # INTO OUTFILE, FORMAT and SETTINGS are further children of the statement.
    if len(root.children) != 1:
        raise StatementRefused(
            "INTO OUTFILE, FORMAT and SETTINGS are not accepted: ask for a format with `format` or `Accept`"
        )
    pending, names = [root], set()
    while pending:
        node = pending.pop()
        _check(node)
        pending += node.children
        if node.kind == "TableIdentifier":
            names.add(node.detail)
    return frozenset(names - {*VIEWS})


def names_of_with(answer: str) -> frozenset[str]:
    """The names that a statement gives its subqueries, from ``EXPLAIN QUERY TREE run_passes = 0``, which looks nothing up.

    A strange identifier may make up further names, so only those that are no tables may be trusted.
    """
    return frozenset(_WITH.findall(answer))


def refuse_table(name: str) -> StatementRefused:
    """The error for a table that is none of the views."""
    return StatementRefused(f"table {name!r} is not accepted: use {_these()}")


def _parsed(answer: str) -> _Node:
    """The tree of the answer. A name with a line break could look like further nodes; each node says how many children it has."""
    path: list[_Node] = []
    for line in answer.rstrip("\n").split("\n"):
        found = _LINE.fullmatch(line)
        if found is None or (path and not 0 < len(found[1]) <= len(path)):
            raise _unreadable()
        node = _Node(found[2], _without_alias(found[3]), int(found[4] or 0))
        del path[len(found[1]) :]
        if path:
            path[-1].children.append(node)
        path.append(node)
    _check_counts(path[0])
    return path[0]


def _without_alias(detail: str) -> str:
    """What a node says of itself. No regular expression: a text of 32 KiB of ``(alias `` would take it 0.2 s."""
    return (detail.partition("(alias ")[0] if detail.endswith(")") else detail).strip()


def _check_counts(root: _Node) -> None:
    pending = [root]
    while pending:
        node = pending.pop()
        if len(node.children) != node.expected or (node.children and node.kind in _LEAVES):
            raise _unreadable()
        pending += node.children


def _unreadable() -> StatementRefused:
    return StatementRefused("only one SELECT is accepted, whose names have no line breaks")


def _check(node: _Node) -> None:
    if node.kind not in _NODES:
        raise StatementRefused(_CLAUSES.get(node.kind, f"{node.kind} is not accepted: use plain SELECT"))
    if node.kind == "TableExpression" and (len(node.children) != 1 or node.children[0].kind not in _TABLES):
        raise StatementRefused(f"only tables may be read: {_these()}; table functions and SAMPLE are not accepted")
    if node.kind == "TableIdentifier" and not _NAME.fullmatch(node.detail):
        raise StatementRefused(f"table {node.detail!r} is not accepted: use {_these()}, without a database")
    if node.kind == "Function":
        _check_function(node)


_CLAUSES: Final = {
    "Set": "SETTINGS is not accepted: the limits are those of the service",
    "ColumnsApplyTransformer": "APPLY is not accepted: name the columns",
    "QueryParameter": "parameters are not accepted: write the value",
}


def _check_function(node: _Node) -> None:
    name = node.detail.lower()
    if name not in FUNCTIONS:
        raise StatementRefused(f"function {node.detail!r} is not accepted: docs/bi.md lists those that are")
    arguments = node.children[0].children if node.children else []
    if name == "cast" and not (arguments and arguments[-1].kind == "Literal" and _TYPE.fullmatch(arguments[-1].detail)):
        raise StatementRefused(
            "this CAST is not accepted: use String, Int8 to UInt64, Float32, Float64, Bool, Date, DateTime or Decimal(p, s)"
        )
    if name in _MEMBERSHIP and arguments and arguments[-1].kind == "Identifier":
        raise StatementRefused("IN with a name is not accepted: use a list of values or (SELECT ...)")


def check_tables(answer: str, database: str) -> None:
    """Check what ``EXPLAIN QUERY TREE`` answered for a statement that `check_syntax` accepts.

    Raises:
        StatementRefused: it reads something else than the `VIEWS` of `database`.
    """
    allowed = {_NO_TABLE, *(f"{database}.{view}" for view in VIEWS)}
    for line in answer.splitlines():
        kind = line.lstrip().partition(" ")[0]
        found = _TABLE.match(line)
        if kind == "TABLE_FUNCTION" or (
            kind == "TABLE" and "id:" in line and (found is None or found[1] not in allowed or found[2])
        ):
            raise _refused_table(*found.groups()) if found else refuse_table("function")


def _refused_table(name: str, rest: str) -> StatementRefused:
    if name.startswith(_RECURSIVE):
        return StatementRefused("WITH RECURSIVE is not accepted: use joins or subqueries")
    if rest.startswith(", final:"):
        return StatementRefused("FINAL is not accepted: the views have what is current")
    return refuse_table(name.rpartition(".")[2])


def _these() -> str:
    return ", ".join(VIEWS)
