"""Numbers and dates as a file writes them: every value comes back, and one of another form is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.line_items import RejectedValue
from optiinfra_assets.providers.focus_files.value_forms import DateForms, NumberForm

NUMBERS = st.decimals(-(10**15), 10**15, places=6)
MARKS = st.sampled_from([(",", "."), (".", ","), ("", ","), (" ", ","), ("'", "."), ("\u202f", ","), ("", ".")])
UNITS = st.sampled_from(["{} €", "{}€", "$ {}", "CHF {}", "{}", "{} EUR"])
SIGNS = st.sampled_from(["-{}", "{}-", "({})", "\u2212{}", "- {}"])


@given(NUMBERS, MARKS, UNITS, SIGNS, st.booleans())
def test_a_number_in_its_form_is_that_number(
    number: Decimal, marks: tuple[str, str], unit: str, sign: str, has_unit: bool
) -> None:
    thousands, decimal = marks
    form = NumberForm.of(unit.format(f"1{thousands}234{decimal}56"))
    digits = f"{abs(number):,f}".replace(",", "\0").replace(".", decimal).replace("\0", thousands)
    written = unit.format(digits) if has_unit else digits
    written = sign.format(written) if number.is_signed() else written
    assert Decimal(str(form.rewritten(written))) == number


@pytest.mark.parametrize(
    ("example", "value", "number"),
    [
        ("1\u2019234.56", "99.\u2013", "99"),
        ("1.234,56 €", "-5,- €", "-5"),
        ("1,234.56", "1,23,45,678.90", "12345678.90"),
        ("$1,234.56", "($1,234.5)", "-1234.5"),
    ],
)
def test_numbers_without_cents_and_in_the_groups_of_india(example: str, value: str, number: str) -> None:
    assert NumberForm.of(example).rewritten(value) == number


@pytest.mark.parametrize(
    ("example", "value"),
    [
        ("1.234,56", "1.5"),
        ("1.234,56", "1.23,4"),
        ("1,234.56", "1.234,56"),
        ("1,234.56", "12,34"),
        ("1234,56", "1.234,56"),
        ("1.234,56 €", "3,00 $"),
        ("1.234,56", "--3"),
        ("1.234,56", "(3"),
        ("1.234,56", "3 4"),
        ("1,234.56", "1,2,345"),
        ("1,234.56", "1,23,45.6"),
    ],
)
def test_a_number_in_another_form_is_refused_and_never_guessed(example: str, value: str) -> None:
    with pytest.raises(RejectedValue) as refused:
        NumberForm.of(example).read(pa.array([None, "n/a", value]))
    assert (refused.value.index, refused.value.value) == (2, value)
    assert refused.value.accepted == f"a number in the form that number_form shows, {example!r}"


@pytest.mark.parametrize("example", ["", "1234", "1.234.56", "12,34", "1,234,56", "1-234.56", "9.876,54"])
def test_a_form_that_is_not_the_number_is_refused(example: str) -> None:
    with pytest.raises(ValueError, match=r"write the number 1234\.56 as the file does, such as '1\.234,56'"):
        NumberForm.of(example)


PATTERNS = {
    "DD.MM.YYYY": "%d.%m.%Y",
    "MM/DD/YYYY": "%m/%d/%Y",
    "YYYYMMDD": "%Y%m%d",
    "DD MMM YYYY": "%d %b %Y",
    "MMM DD, YYYY": "%b %d, %Y",
    "DD.MM.YY": "%d.%m.%y",
    "%Y/%m/%d": "%Y/%m/%d",
}


@given(st.dates(date(1971, 1, 1), date(2068, 12, 31)), st.sampled_from(sorted(PATTERNS)), st.booleans())
def test_a_date_in_its_form_is_that_day(day: date, pattern: str, is_last: bool) -> None:
    written = day.strftime(PATTERNS[pattern])
    forms = DateForms(DateForms.of([pattern]).patterns, includes_last_day=is_last)
    read = forms.read(pa.array([written, None, day.isoformat()])).to_pylist()
    wanted = day + timedelta(days=is_last)
    assert [datetime.fromisoformat(one).date() for one in (read[0], read[2])] == [wanted, wanted]
    assert read[1] is None


@pytest.mark.parametrize(
    ("value", "end"),
    [
        ("04.2026", "2026-05-01T00:00:00Z"),
        ("12.2026", "2027-01-01T00:00:00Z"),
        ("2026-02-28", "2026-03-01T00:00:00Z"),
        ("28.02.2026", "2026-03-01T00:00:00Z"),
        ("2026-02-29", None),
        ("2026-13-01", None),
        ("31.12.9999", None),
        ("9999-12-31", None),
        ("12.9999", None),
    ],
)
def test_a_period_ends_after_the_last_day_that_is_named_or_is_refused(value: str, end: str | None) -> None:
    """Of a month named alone that is the last day of the month; no day follows the last one that a date can have."""
    forms = DateForms(DateForms.of(["DD.MM.YYYY", "MM.YYYY"]).patterns, includes_last_day=True)
    assert forms.rewritten(value) == end


def test_a_month_is_its_first_day_and_a_time_is_no_last_day() -> None:
    forms = DateForms(("MM.YYYY", "DD.MM.YYYY hh:mm"), includes_last_day=False)
    assert forms.read(pa.array(["12.2026", "31.12.2026 23:59"])).to_pylist() == [
        "2026-12-01T00:00:00Z",
        "2026-12-31T23:59:00Z",
    ]
    with_last = DateForms(("DD.MM.YYYY hh:mm",), includes_last_day=True)
    assert with_last.rewritten("31.12.2026 23:59") == "2026-12-31T23:59:00Z"
    assert datetime(2026, 12, 31, 23, 59, tzinfo=UTC).isoformat() == "2026-12-31T23:59:00+00:00"


@pytest.mark.parametrize(
    ("pattern", "value", "read"),
    [
        ("MMMM YYYY", "März 2026", "2026-03-01T00:00:00Z"),
        ("DD MMM YYYY", "7 févr. 2026", "2026-02-07T00:00:00Z"),
        ("DD MMM. YYYY", "31 dic. 2026", None),
        ("DD MMM YYYY", "31 DICIEMBRE 2026", "2026-12-31T00:00:00Z"),
        ("MM/DD/YYYY hh:mm AM", "12/31/2026 12:05 AM", "2026-12-31T00:05:00Z"),
        ("MM/DD/YYYY hh:mm:ss AM", "1/2/2026 1:02:03 pm", "2026-01-02T13:02:03Z"),
        ("MM/DD/YYYY hh:mm AM", "12/31/2026 13:05 PM", None),
        ("DD MMM YYYY", "31 Foo 2026", None),
    ],
)
def test_names_of_months_in_seven_languages_and_hours_of_a_half_day(pattern: str, value: str, read: str | None) -> None:
    assert DateForms.of([pattern]).rewritten(value) == read


@pytest.mark.parametrize("value", ["31.02.2026", "12/31/2026", "2026", "1.1", "31.12.2026 10:00"])
def test_a_date_in_another_form_is_refused(value: str) -> None:
    with pytest.raises(RejectedValue) as refused:
        DateForms.of(["DD.MM.YYYY"]).read(pa.array(["31.12.2026", value]))
    assert (refused.value.index, refused.value.value) == (1, value)
    assert "'DD.MM.YYYY'" in refused.value.accepted


@pytest.mark.parametrize("value", ["2026-02-30", "2026-13-01", "9999-12-31", "31.12.9999", "30.02.2026"])
def test_a_last_day_that_is_none_or_has_no_day_after_it_is_refused(value: str) -> None:
    forms = DateForms(("DD.MM.YYYY",), includes_last_day=True)
    with pytest.raises(RejectedValue) as refused:
        forms.read(pa.array(["31.12.2026", value]))
    assert (refused.value.index, refused.value.value) == (1, value)


@pytest.mark.parametrize("pattern", ["", "DD.MM", "YYYY", "TT.MM.JJJJ", "%Q", "dd.mm.yyyy"])
def test_a_pattern_without_a_year_and_a_month_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"use a pattern such as DD\.MM\.YYYY"):
        DateForms.of([pattern])
