"""Spells numbers that people and programs write in other ways than FOCUS, if they can mean only one number.

``+1.5``, ``1.0E+2``, spaces around it, a minus as a typographic sign, after the number (SAP) or as parentheses (accounting), thousands
in groups that only one language writes so (``1,234.56``, ``1'234``, ``1,234,567``). ``1,5`` and ``1,234`` may be two numbers each, and a
currency sign says another currency than the column: these stay as they are, and are rejected.
"""

from __future__ import annotations

import re
from typing import Final

_GROUPED: Final = re.compile(
    r"\d{1,3}(?:,\d{3})+\.\d*|\d{1,3}(?:,\d{3}){2,}|\d{1,3}(?:['\u2019 \u00a0\u202f_]\d{3})+(?:\.\d*)?"
)
"""Thousands that can be nothing else: a point follows, or there are two groups, or the sign is no decimal sign anywhere."""
_PLAIN: Final = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SPACES: Final = " \t\u00a0\u202f\ufeff"


def spell_number(text: str) -> str:
    """Return the number in the numeric format of FOCUS.

    Raises:
        ValueError: the text is no number, or may be more than one.
    """
    body = text.strip(_SPACES).replace("\u2212", "-")
    sign = ""
    if body.startswith("(") and body.endswith(")"):
        sign, body = "-", body[1:-1].strip(_SPACES)
    elif body.endswith("-"):
        sign, body = "-", body[:-1].strip(_SPACES)
    elif body[:1] in ("+", "-"):
        sign, body = body[0].strip("+"), body[1:].strip(_SPACES)
    if _GROUPED.fullmatch(body):
        body = re.sub(r"[^0-9.]", "", body)
    if not _PLAIN.fullmatch(body):
        raise ValueError(f"{text!r} is no number, or may be several")
    return sign + body.replace("E+", "E").replace("e+", "e")
