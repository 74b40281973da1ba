"""Quotes values of an answer or a file in messages: the one place that decides whether they are shown.

A customer may give the address of a server. What that server answers may be part of a network that the customer cannot see, so errors and
warnings about it name fields, and never their values. `answers_shown` says so for one call of a provider, in its thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

LONGEST_SHOWN: Final = 80
"""Characters of a value that a message shows; more would hide the sentence."""
NOT_SHOWN: Final = "what that server says is not shown"
VALUE_NOT_SHOWN: Final = "(not shown)"

_are_shown: ContextVar[bool] = ContextVar("_are_shown", default=True)


@contextmanager
def answers_shown(are_shown: bool) -> Iterator[None]:
    """Say for the block whether messages may show values of answers."""
    token = _are_shown.set(are_shown)
    try:
        yield
    finally:
        _are_shown.reset(token)


def quoted(value: Any) -> str:
    """Return `value` in quotes on one line, cut at 80 characters; ``null`` for None; `VALUE_NOT_SHOWN` if answers are not shown."""
    if not _are_shown.get():
        return VALUE_NOT_SHOWN
    if value is None:
        return "null"
    text = str(value)
    if len(text) > LONGEST_SHOWN:
        text = text[:LONGEST_SHOWN] + "…"
    return repr(text)
