"""JSON answers read without a float, and their fields taken out one by one, each of the documented kind or named in an error.

``JsonFields`` stands for one JSON object and knows where it is in the answer, so that ``invoice.money("amount")`` either gives a Decimal or
raises ContractChanged with ``GET /invoices: invoices[3].amount: value 'abc' is not accepted: a number``. Fields that nobody asks for are of
no concern: a cloud may add some at any time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final, NoReturn

from optiinfra_assets.domain.errors import ContractChanged, Transient
from optiinfra_assets.line_items.rejected_value import quoted

ASK_FOR_UPDATE: Final = "the provider's answer differs from its documents; update OptiInfra or report it"

_NUMBER: Final = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MISSING: Final = object()
_MONEY: Final = "a number of at most 20 integer and 60 fraction digits"


def parse_json(body: bytes, where: str) -> Any:
    """The value of a JSON text with every number as Decimal, digit by digit as sent.

    Args:
        body: the whole answer.
        where: request it answers, for messages.

    Raises:
        Transient: the text ends too early.
        ContractChanged: it is not JSON.
    """
    try:
        text = body.decode()
        return json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            raise Transient(f"{where}: the answer broke off after {len(body)} bytes; try again") from None
        raise ContractChanged(
            f"{where}: JSON was expected, not what stands at character {error.pos}; {ASK_FOR_UPDATE}"
        ) from None
    except (ValueError, RecursionError):
        raise ContractChanged(f"{where}: JSON in UTF-8 was expected; {ASK_FOR_UPDATE}") from None


@dataclass(frozen=True, slots=True)
class JsonFields:
    """One JSON object of an answer.

    Attributes:
        values: the object as `parse_json` gives it.
        where: request it answers, for messages.
        hide: takes secrets out of a message.
        path: of the object within the answer; empty for the answer itself.
    """

    values: dict[str, Any]
    where: str
    hide: Callable[[str], str] = field(default=str, repr=False)
    path: str = ""

    @classmethod
    def parse(cls, body: bytes, where: str, hide: Callable[[str], str] = str) -> JsonFields:
        """An answer that must be a JSON object.

        Raises:
            Transient: the text ends too early.
            ContractChanged: it is not a JSON object.
        """
        value = parse_json(body, where)
        if not isinstance(value, dict):
            raise ContractChanged(
                hide(f"{where}: value {quoted(value)} is not accepted: a JSON object; {ASK_FOR_UPDATE}")
            )
        return cls(value, where, hide)

    def text(self, name: str) -> str:
        """A string; may be empty.

        Raises:
            ContractChanged: as all methods here, naming field and value, if it is missing, null or of another kind.
        """
        value = self._needed(name, "text")
        return value if isinstance(value, str) else self.refuse(name, "text")

    def text_or_none(self, name: str) -> str | None:
        """A string, or None if the field is missing, null or empty."""
        value = self.values.get(name)
        return None if value in (None, "") else self.text(name)

    def identifier(self, name: str) -> str:
        """An id written as a string or a whole number, as text; not empty."""
        value = self._needed(name, "an id")
        if isinstance(value, Decimal):
            return str(self.whole(name))
        return value if isinstance(value, str) and value else self.refuse(name, "an id")

    def money(self, name: str) -> Decimal:
        """A number of any length, written as a JSON number or as a string."""
        value = self._needed(name, _MONEY)
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = Decimal(value)
        if not isinstance(value, Decimal) or not _is_measured(value):
            self.refuse(name, _MONEY)
        return value

    def money_or_none(self, name: str) -> Decimal | None:
        """As `money`, or None if the field is missing or null."""
        return None if self.values.get(name) is None else self.money(name)

    def whole(self, name: str) -> int:
        """A whole number."""
        value = self.money(name)
        return int(value) if value == int(value) else self.refuse(name, "a whole number")

    def time(self, name: str, zone: tzinfo | None = None) -> datetime:
        """An ISO 8601 instant with ``Z`` or an offset, in UTC.

        Without one it is of `zone`, if the provider documents that, and else refused: nobody knows what it would mean.
        """
        moment = parse_time(self.text(name))
        if moment is not None and moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        if moment is None or moment.tzinfo is None or not 1 < moment.year < 9999:
            with_zone = "a time with its zone, such as 2026-11-01T00:00:00+00:00"
            self.refuse(name, "a time, such as 2026-11-01T00:00:00" if zone else with_zone)
        return moment.astimezone(UTC)

    def object(self, name: str) -> JsonFields:
        """A JSON object."""
        value = self._needed(name, "a JSON object")
        return self._inside(name, value) if isinstance(value, dict) else self.refuse(name, "a JSON object")

    def object_or_none(self, name: str) -> JsonFields | None:
        """A JSON object, or None if the field is missing, null or empty."""
        return self.object(name) if self.values.get(name) else None

    def objects(self, name: str) -> list[JsonFields]:
        """A list of JSON objects; may be empty."""
        values = self._needed(name, "a list")
        if not isinstance(values, list):
            self.refuse(name, "a list")
        for number, value in enumerate(values):
            if not isinstance(value, dict):
                self.refuse(name, f"a list of JSON objects, not {quoted(value)} at {number}")
        return [self._inside(f"{name}[{number}]", value) for number, value in enumerate(values)]

    def texts(self, name: str) -> list[str]:
        """A list of strings; may be empty."""
        values = self._needed(name, "a list of text")
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            self.refuse(name, "a list of text")
        return list(values)

    def refuse(self, name: str, accepted: str) -> NoReturn:
        """Raise ContractChanged for a field, saying what would be accepted."""
        value = self.values.get(name, _MISSING)
        said = "is missing" if value is _MISSING else f"value {quoted(value)} is not accepted"
        path = self._path(name)
        raise ContractChanged(self.hide(f"{self.where}: {path}: {said}: {accepted} was expected; {ASK_FOR_UPDATE}"))

    def _needed(self, name: str, accepted: str) -> Any:
        value = self.values.get(name)
        return self.refuse(name, accepted) if value is None else value

    def _inside(self, name: str, value: dict[str, Any]) -> JsonFields:
        return JsonFields(value, self.where, self.hide, self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def parse_time(text: str) -> datetime | None:
    """An ISO 8601 time as written, with or without a zone; None if it is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _is_measured(number: Decimal) -> bool:
    """Whether its size is one of money: the digits of 1E999999 would fill the memory in the first sum."""
    return number.adjusted() < 20 and int(number.as_tuple().exponent) >= -60


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(constant)
