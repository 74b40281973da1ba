"""Parses JSON responses without floats, and reads their fields one by one: each has the documented type, or an error names it.

`JsonFields` is one JSON object and knows its place in the response. So ``invoice.money("amount")`` either returns a Decimal or raises
ContractChanged: ``GET /invoices: invoices[3].amount: value 'abc' is not accepted: a number of ... was expected; ...``. Other fields are
ignored, because a cloud may add some at any time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeVar

from optiinfra_assets.domain.errors import ContractChanged, Transient
from optiinfra_assets.domain.quoting import quoted
from optiinfra_assets.providers.http.answer_size import AnswerSize

ASK_FOR_UPDATE: Final = "the provider's answer differs from its documents; update OptiInfra or report it"

_NUMBER: Final = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MISSING: Final = object()
T = TypeVar("T")
U = TypeVar("U")
_MONEY: Final = "a number of at most 20 integer and 60 fraction digits"


def parse_json(body: bytes, where: str) -> Any:
    """Parses a JSON text; every number becomes a Decimal with all its digits.

    Args:
        body: the whole response.
        where: the request, for messages.

    Raises:
        Transient: the text ends too early.
        ContractChanged: the text is not JSON.
        BadData: it takes too much memory.
    """
    AnswerSize(where).add(body)
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


def _ignore(line: str) -> None:
    """Note nothing."""


@dataclass(frozen=True, slots=True)
class JsonFields:
    """One JSON object of a response.

    Attributes:
        values: the object as `parse_json` returns it.
        where: the request, for messages.
        hide: redacts secrets in a message.
        path: path of the object in the response; empty for the response itself.
        note: gets a line about each field that `optional` leaves out.
    """

    values: dict[str, Any]
    where: str
    hide: Callable[[str], str] = field(default=str, repr=False)
    path: str = ""
    note: Callable[[str], object] = field(default=_ignore, repr=False)

    @classmethod
    def parse(
        cls, body: bytes, where: str, hide: Callable[[str], str] = str, note: Callable[[str], object] = _ignore
    ) -> JsonFields:
        """Parses a response that must be a JSON object.

        Raises:
            Transient: the text ends too early.
            ContractChanged: the text is not a JSON object.
        """
        value = parse_json(body, where)
        if not isinstance(value, dict):
            raise ContractChanged(
                hide(f"{where}: value {quoted(value)} is not accepted: a JSON object; {ASK_FOR_UPDATE}")
            )
        return cls(value, where, hide, note=note)

    def optional(self, name: str, read: Callable[[JsonFields, str], T], otherwise: U) -> T | U:
        """Returns a field that only explains costs: what `read` returns, or `otherwise` if it is missing, null or not as documented.

        Args:
            name: the field.
            read: a method of this class, such as ``JsonFields.text``.
            otherwise: returned in place of a value; a value that is not as documented is noted.
        """
        if self.values.get(name) is None:
            return otherwise
        try:
            return read(self, name)
        except ContractChanged as error:
            self.note(str(error))
            return otherwise

    def text(self, name: str) -> str:
        """Returns a string, which may be empty.

        Raises:
            ContractChanged: as all methods here, if the field is missing, null or of another type; names field and value.
        """
        value = self._needed(name, "text")
        return value if isinstance(value, str) else self.refuse(name, "text")

    def text_or_none(self, name: str) -> str | None:
        """Returns a string, or None if the field is missing, null or empty."""
        value = self.values.get(name)
        return None if value in (None, "") else self.text(name)

    def identifier(self, name: str) -> str:
        """Returns an id, written as a string or a whole number, as a string that is not empty."""
        value = self._needed(name, "an id")
        if isinstance(value, Decimal):
            return str(self.whole(name))
        return value if isinstance(value, str) and value else self.refuse(name, "an id")

    def money(self, name: str) -> Decimal:
        """Returns a number, written as a JSON number or a string, of at most 20 integer and 60 fraction digits."""
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
        """Returns a whole number."""
        value = self.money(name)
        return int(value) if value == int(value) else self.refuse(name, "a whole number")

    def time(self, name: str, zone: tzinfo | None = None) -> datetime:
        """Returns an ISO 8601 instant as UTC.

        A time without ``Z`` or an offset is in `zone`, if the provider documents one; otherwise it is refused, as its meaning is unknown.
        """
        moment = parse_time(self.text(name))
        if moment is not None and moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        if moment is None or moment.tzinfo is None or not 1 < moment.year < 9999:
            with_zone = "a time with its zone, such as 2026-11-01T00:00:00+00:00"
            self.refuse(name, "a time, such as 2026-11-01T00:00:00" if zone else with_zone)
        return moment.astimezone(UTC)

    def object(self, name: str) -> JsonFields:
        """Returns a JSON object."""
        value = self._needed(name, "a JSON object")
        return self._inside(name, value) if isinstance(value, dict) else self.refuse(name, "a JSON object")

    def object_or_none(self, name: str) -> JsonFields | None:
        """Returns a JSON object, or None if the field is missing, null or empty."""
        return self.object(name) if self.values.get(name) else None

    def objects(self, name: str) -> list[JsonFields]:
        """Returns a list of JSON objects, which may be empty."""
        values = self._needed(name, "a list")
        if not isinstance(values, list):
            self.refuse(name, "a list")
        for number, value in enumerate(values):
            if not isinstance(value, dict):
                self.refuse(name, f"a list of JSON objects, not {quoted(value)} at {number}")
        return [self._inside(f"{name}[{number}]", value) for number, value in enumerate(values)]

    def texts(self, name: str) -> list[str]:
        """Returns a list of strings, which may be empty."""
        values = self._needed(name, "a list of text")
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            self.refuse(name, "a list of text")
        return list(values)

    def refuse(self, name: str, accepted: str) -> NoReturn:
        """Raises ContractChanged for a field; the message says what would be accepted."""
        value = self.values.get(name, _MISSING)
        said = "is missing" if value is _MISSING else f"value {quoted(value)} is not accepted"
        path = self._path(name)
        raise ContractChanged(self.hide(f"{self.where}: {path}: {said}: {accepted} was expected; {ASK_FOR_UPDATE}"))

    def _needed(self, name: str, accepted: str) -> Any:
        value = self.values.get(name)
        return self.refuse(name, accepted) if value is None else value

    def _inside(self, name: str, value: dict[str, Any]) -> JsonFields:
        return JsonFields(value, self.where, self.hide, self._path(name), self.note)

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def parse_time(text: str) -> datetime | None:
    """Parses an ISO 8601 time, with or without a zone; None if the text is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _is_measured(number: Decimal) -> bool:
    """Returns whether a number has the size of money: adding 1E999999 would fill the memory with digits."""
    return number.adjusted() < 20 and int(number.as_tuple().exponent) >= -60


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(constant)
