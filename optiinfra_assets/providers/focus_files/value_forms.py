"""How files that are not FOCUS write numbers and dates: forms that a mapping names, and text in them as FOCUS writes it.

A number's form is the number 1234.56 as the file writes it, such as ``1.234,56`` or ``1'234.56 CHF``. A date's form is a pattern such
as ``DD.MM.YYYY``. A value in another form is refused, never guessed: ``1.5`` would be fifteen where the point separates thousands.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.domain.day_span import next_month
from optiinfra_assets.line_items.arrow_tools import dictionary_encoded, is_text, reject_used
from optiinfra_assets.line_items.schema import TEXT

_SPACES: Final = " \u00a0\u2009\u202f"
_EXAMPLE: Final = re.compile(r"(?P<before>\D*?)1(?P<thousands>\D?)234(?P<decimal>\D)56(?P<after>\D*)")
_MINUS: Final = "-\u2212"
"""In a class of a pattern the hyphen stands first: it would be a range elsewhere."""
_NO_CENTS: Final = "-\u2013\u2014"
"""What stands for no cents behind the decimal sign: ``99.\u2013``."""
_DAY: Final = timedelta(days=1)
_ISO: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?")
_CODES: Final = {
    "YYYY": "%Y", "YY": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "DD": "%d", "hh": "%H", "mm": "%M", "ss": "%S",
    "AM": "%p",
}  # fmt: skip
_WORDS: Final = re.compile("|".join(_CODES))
_FORMATS: Final = re.compile(r"%[YymbBdHIMSp]")
_MONTHS: Final = """
jan january januar janvier enero gennaio januari janeiro ene gen
feb february februar fevrier febrero febbraio februari fevereiro fev
mar march marz maerz mars marzo maart marco mrz mrt
apr april avril abril aprile avr abr
may mai mayo maggio mei maio mag
jun june juni juin junio giugno junho giu
jul july juli juillet julio luglio julho juil lug
aug august aout agosto augustus ago
sep september septembre septiembre settembre setembro sept set
oct october oktober octobre octubre ottobre outubro okt ott out
nov november novembre noviembre novembro
dec december dezember decembre diciembre dicembre dezembro dez dic
"""
"""A line for each month: the name that `strptime` reads, then those in English, German, French, Spanish, Italian, Dutch and Portuguese."""
_MONTH_OF: Final = {name: line.split()[0] for line in _MONTHS.strip().split("\n") for name in line.split()}
_NAME: Final = re.compile(r"[^\W\d_]+\.?")


class _Form(ABC):
    """Rewrites the text of a column. Each distinct value of a batch is read once."""

    @property
    @abstractmethod
    def accepted(self) -> str:
        """What is accepted, as the end of a sentence."""

    def read(self, values: pa.Array) -> pa.Array:
        """Rewrite a column; values that are typed stay as they are.

        Raises:
            RejectedValue: at the first value of another form.
        """
        if not is_text(values.type) or values.null_count == len(values):
            return values
        encoded = dictionary_encoded(values)
        texts: list[str | None] = []
        refused: dict[int, str] = {}
        for position, text in enumerate(encoded.dictionary.to_pylist()):
            found = None if text is None else self.rewritten(text)
            if found is None:
                refused[position] = self.accepted
            texts.append(found)
        reject_used(encoded, refused)
        return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(texts, TEXT)).cast(TEXT)

    @abstractmethod
    def rewritten(self, text: str) -> str | None:
        """Return a value as FOCUS writes it; None if it is not in this form."""


@dataclass(frozen=True)
class NumberForm(_Form):
    """One form of numbers.

    Attributes:
        example: the number 1234.56 in it.
        pattern: what a number in it is, with its sign; its groups are those signs, the digits before the point, and after it.
    """

    example: str
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, example: str) -> Self:
        """Make a form from the number 1234.56 in it.

        Raises:
            ValueError: the text is not that number in any form.
        """
        found = _EXAMPLE.fullmatch(example)
        if (
            found is None
            or found["thousands"] == found["decimal"]
            or set("+-") & {found["thousands"], found["decimal"]}
        ):
            raise ValueError(
                f"{example!r} is not accepted: write the number 1234.56 as the file does, such as '1.234,56'"
            )
        between = f"[{_SPACES}]" if found["thousands"] in tuple(_SPACES) else re.escape(found["thousands"])
        grouped = rf"[0-9]{{1,3}}(?:{between}[0-9]{{3}})+|[0-9]{{1,2}}(?:{between}[0-9]{{2}})+{between}[0-9]{{3}}"
        digits = rf"{grouped}|[0-9]+" if found["thousands"] else "[0-9]+"
        unit = [rf"(?:{re.escape(found[part].strip(_SPACES))})?" for part in ("before", "after")]
        sign, space = f"[{_MINUS}+]?", f"[{_SPACES}]*"
        number = (
            rf"({digits})?(?:{re.escape(found['decimal'])}(?:([0-9]*)|[{_NO_CENTS}]{{1,2}}))?(?:[eE]\+?(-?[0-9]+))?"
        )
        parts = (rf"(\(?{sign})", unit[0], rf"({sign}){number}", unit[1], rf"([{_MINUS}]?\)?)")
        return cls(example, re.compile(space + space.join(parts) + space))

    @property
    def accepted(self) -> str:
        """What is accepted, as the end of a sentence."""
        return f"a number in the form that number_form shows, {self.example!r}"

    def rewritten(self, text: str) -> str | None:
        """Return a number as FOCUS writes it, text without a digit as it is (it may stand for nothing), else None."""
        if not any("0" <= one <= "9" for one in text):
            return text
        found = self.pattern.fullmatch(text)
        if found is None:
            return None
        first, second, whole, fraction, exponent, last = found.groups("")
        signs = [one for one in first + second + last if one != "+"]
        if signs not in ([], ["(", ")"]) and not (len(signs) == 1 and signs[0] in _MINUS):
            return None
        digits = re.sub(r"[^0-9]", "", whole) or "0"
        return f"{'-' if signs else ''}{digits}{f'.{fraction}' if fraction else ''}{f'E{exponent}' if exponent else ''}"


@dataclass(frozen=True)
class DateForms(_Form):
    """The forms of the dates of a file, in the order in which they are tried; ISO dates are always understood.

    Attributes:
        patterns: as the mapping writes them.
        includes_last_day: a date that ends a period is its last day, so that the period ends with the day after.
    """

    patterns: tuple[str, ...]
    includes_last_day: bool = False

    @classmethod
    def of(cls, patterns: Sequence[str]) -> Self:
        """Make forms from patterns.

        Raises:
            ValueError: a pattern has no year or no month, or parts that are not known.
        """
        for one in patterns:
            form = _format(one)
            known = _FORMATS.sub("", form)
            if not re.search("%[Yy]", form) or not re.search("%[mbB]", form) or re.search(r"[A-Za-z%]{2}", known):
                raise ValueError(
                    f"{one!r} is not accepted: use a pattern such as DD.MM.YYYY, of {', '.join(_CODES)}, with a year and a month"
                )
        return cls(tuple(patterns))

    @property
    def accepted(self) -> str:
        """What is accepted, as the end of a sentence."""
        return (
            f"a date in the form that date_form shows, {' or '.join(map(repr, self.patterns))}, or such as 2026-12-31"
        )

    def rewritten(self, text: str) -> str | None:
        """Return a date as FOCUS writes it; an ISO date, and what has no digit, as it is; else None."""
        text = text.strip(_SPACES)
        if not any("0" <= one <= "9" for one in text):
            return text
        for form in map(_format, self.patterns):
            try:
                found = datetime.strptime(_in_english(text) if "%b" in form else text, form).replace(tzinfo=UTC)
            except ValueError:
                continue
            return self._ended(found, form)
        if not _ISO.fullmatch(text):
            return None
        if self.includes_last_day and len(text) == len("2026-12-31"):
            try:
                return self._ended(datetime.fromisoformat(text), "%Y-%m-%d")
            except ValueError:
                return None
        return text

    def _ended(self, found: datetime, form: str) -> str | None:
        """Return a time, or the end of the last day, or month, that it names; None if no date follows that."""
        if not self.includes_last_day or "%H" in form or "%I" in form:
            return _written(found)
        try:
            return _written(found + _DAY if "%d" in form else next_month(found))
        except OverflowError:
            return None


def _format(pattern: str) -> str:
    """Return a pattern in the codes of `strptime`. A name of a month may be short or long; before noon and after it hours count to 12."""
    form = pattern if "%" in pattern else _WORDS.sub(lambda found: _CODES[found[0]], pattern)
    return (form.replace("%H", "%I") if "%p" in form else form).replace("%B", "%b")


def _in_english(text: str) -> str:
    """Return a date with the name of its month as `strptime` reads it."""
    return _NAME.sub(lambda found: _month(_unaccented(found[0]).removesuffix(".")) or found[0], text)


def _month(name: str) -> str | None:
    """Return the English name of a month from its name, or a beginning of at least three letters that no other month has."""
    months = {month for known, month in _MONTH_OF.items() if known.startswith(name)}
    return _MONTH_OF.get(name) or (months.pop() if len(name) >= len("jan") and len(months) == 1 else None)


def _unaccented(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.lower())
    return "".join(one for one in letters if not unicodedata.combining(one))


def _written(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}" if time.year >= 1000 else ""


def next_days(values: pa.Array) -> pa.Array:
    """Return typed dates that are the last days of periods as the days that the periods end with; anything else as it is."""
    if not pa.types.is_date(values.type):
        return values
    return pc.add(values.cast(pa.timestamp("s")), pa.scalar(86_400, pa.duration("s")))
