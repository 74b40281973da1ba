"""Splits a statement before it runs: finds where the rows of an INSERT begin and where the FORMAT clause of a query is.

This module only cuts the text and does not interpret it: ClickHouse's own parser checks every statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from optiinfra_assets.embedded.clickhouse.errors import ClickHouseError

# As in ClickHouse's lexer: comments nest (we recognize one level), curly quotes are quotes too, $tag$...$tag$ is a string.
_TOKEN = re.compile(
    rb"""(?P<space>[\s\x00]+|(?:--|//|\#[\ !])[^\n]*|/\*(?:(?!/\*|\*/).|/\*.*?\*/)*\*/)
    |(?P<quoted>'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"
        |\xe2\x80\x98.*?\xe2\x80\x99|\xe2\x80\x9c.*?\xe2\x80\x9d|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<word>[A-Za-z_][A-Za-z0-9_$]*)
    |(?P<open>[(\[{])|(?P<close>[)\]}])
    |(?P<other>[0-9][A-Za-z0-9_.]*|.)""",
    re.VERBOSE | re.DOTALL,
)
_NAME_FOLLOWS = (b"INTO", b"TABLE", b"FUNCTION", b".")


@dataclass(frozen=True, slots=True)
class SqlToken:
    """A token in upper case; `kind` is word, quoted, open, close or other."""

    kind: str
    text: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class InsertStatement:
    """An INSERT that is followed by its rows; ``FROM INFILE`` goes between `head` and `settings`.

    Attributes:
        head: ``INSERT INTO t (a, b)``.
        settings: ``SETTINGS ...``, or empty.
        input_format: ClickHouse format of the rows.
        rows: the part of the rows that arrived with the statement.
    """

    head: bytes
    settings: bytes
    input_format: str
    rows: bytes


@dataclass(frozen=True, slots=True)
class SelectStatement:
    """A query, cut where ``INTO OUTFILE`` goes.

    Attributes:
        before: the query itself.
        output_format: its own ``FORMAT``, or None.
        after: ``SETTINGS ...`` after the format, or empty.
        to_file: True if the query itself writes a file.
    """

    before: bytes
    output_format: str | None
    after: bytes
    to_file: bool


def _tokens(sql: bytes, start: int = 0, *, inside: bool = False) -> Iterator[SqlToken]:
    """Yield tokens from `start` on, without those in brackets unless `inside`; the brackets themselves are yielded."""
    depth = 0
    for match in _TOKEN.finditer(sql, start):
        kind = match.lastgroup or "other"
        if kind == "tag":
            kind = "quoted"
        if kind == "space":
            continue
        depth -= kind == "close"
        if depth <= 0 or inside:
            yield SqlToken(kind, match[0].upper(), match.start(), match.end())
        depth += kind == "open"


def first_words(sql: bytes) -> tuple[bytes, bytes]:
    """The first two tokens of a statement in upper case; empty if there are none."""
    tokens = _tokens(sql)
    first, second = next(tokens, None), next(tokens, None)
    return first.text if first else b"", second.text if second else b""


def split_insert(sql: bytes) -> InsertStatement | None:
    """Split an INSERT that carries rows; return None for every other statement, also for INSERT ... SELECT and INFILE.

    Raises:
        ClickHouseError: the statement reads its rows with the `input` function.
    """
    settings = form = None
    previous = b""
    for token in _tokens(sql):
        if not previous and token.text != b"INSERT":
            return None
        keyword = token.kind == "word" and previous not in _NAME_FOLLOWS
        if form is not None and token.kind == "word":
            return _insert(sql, settings, form, token)
        if keyword and token.text in (b"SELECT", b"WITH", b"INFILE"):
            _refuse_input(sql, token.end)
            return None
        if keyword and token.text == b"VALUES":
            return _insert(sql, settings, token, token)
        if keyword and token.text == b"SETTINGS":
            settings = token
        form = token if keyword and token.text == b"FORMAT" else None
        previous = token.text
    return None


def _refuse_input(sql: bytes, start: int) -> None:
    """Refuse the `input` function: chDB accepts such a statement, reads no row and reports success."""
    for token, after in pairwise(_tokens(sql, start, inside=True)):
        if token.text == b"INPUT" and after.text == b"(":
            raise ClickHouseError.make(
                48, "INSERT ... SELECT ... FROM input() is not supported here", "NOT_IMPLEMENTED"
            )


def _insert(sql: bytes, settings: SqlToken | None, form: SqlToken, name: SqlToken) -> InsertStatement:
    head_end = settings.start if settings else form.start
    rows = sql[name.end :]
    return InsertStatement(
        head=sql[:head_end],
        settings=sql[head_end : form.start],
        input_format="Values" if name.text == b"VALUES" else sql[name.start : name.end].decode(),
        rows=rows if name.text == b"VALUES" else _after_line_end(rows),
    )


def _after_line_end(rows: bytes) -> bytes:
    """Skip the blanks and the one line end after ``FORMAT x``, as the server does; return the rows."""
    rest = rows.lstrip(b" \t")
    if rest.startswith(b";"):
        rest = rest[1:].lstrip(b" \t")
    return rest[2:] if rest.startswith(b"\r\n") else rest.removeprefix(b"\n")


def split_query(sql: bytes) -> SelectStatement:
    """Cut a query at its ``FORMAT`` clause, without the semicolon and comments that may follow."""
    tokens = list(_tokens(sql))
    while tokens and tokens[-1].text == b";":
        tokens.pop()
    end = tokens[-1].end if tokens else 0
    to_file = any(a.text == b"INTO" and b.text == b"OUTFILE" for a, b in pairwise(tokens))
    for index in range(len(tokens) - 2, -1, -1):
        token, name = tokens[index], tokens[index + 1]
        if token.text == b"FORMAT" and name.kind == "word":
            after = tokens[index + 2 :]
            if not after or after[0].text == b"SETTINGS":
                return SelectStatement(
                    sql[: token.start],
                    sql[name.start : name.end].decode(),
                    sql[after[0].start : end] if after else b"",
                    to_file,
                )
    return SelectStatement(sql[:end], None, b"", to_file)
