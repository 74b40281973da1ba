"""What is converted in memory is what fractions say, for any amounts, rates, days without one and order of questions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from optiinfra_api.reading.column_table import ColumnTable
from optiinfra_api.reading.rate_book import KnownRate, known_rate
from optiinfra_api.reading.rated_costs import ConversionAsked
from optiinfra_assets.analytics.currency import Rate

FIRST: Final = date(2026, 1, 28)
DAYS: Final = [FIRST + timedelta(number) for number in range(40)]
INTO: Final = "CHF"
CURRENCIES: Final = ("EUR", INTO, "USD")

amounts = st.decimals(Decimal("-9e19"), Decimal("9e19"), places=18) | st.decimals(-100, 100, places=6)
charges = st.lists(
    st.tuples(st.sampled_from(DAYS), st.sampled_from(CURRENCIES), st.sampled_from("abc"), amounts), max_size=30
)
values = st.decimals(Decimal("1e-18"), Decimal("1e36"), places=36) | st.sampled_from(
    [Decimal("0.9431"), Decimal(10) ** 36, Decimal("1e-36")]
)
rates = st.lists(
    st.none() | st.builds(Rate, values, st.sampled_from(DAYS), st.sampled_from(["ECB", "bank"])), min_size=1
)
Charge = tuple[date, str, str, Decimal]


def _table(found: list[Charge]) -> ColumnTable:
    day, currency, service, cost = (list(column) for column in zip(*found, strict=True)) if found else ([],) * 4
    numbers = [(one - date(1970, 1, 1)).days for one in day]
    columns = {
        "charge_date": pa.array(numbers, pa.int32()),
        "generation": pa.array([1] * len(found), pa.uint64()),
        "billing_currency": pa.array(currency, pa.string()).dictionary_encode(),
        "service_name": pa.array(service, pa.string()).dictionary_encode(),
        "billed_cost": pa.array(cost, pa.decimal128(38, 18)),
        "line_items": pa.array([1] * len(found), pa.int64()),
    }
    return ColumnTable(pa.table(columns), frozenset({1}))


def _asked(granularity: str, start: date, end: date, by_currency: Mapping[str, Any]) -> dict[str, Any]:
    async def rates_of(_: object) -> Mapping[str, Any]:
        return by_currency

    columns = frozenset({"converted_amounts", "rates"})
    return {
        "conversion": ConversionAsked(INTO, granularity, columns, "state", rates_of),
        "rates": by_currency,
        "granularity": "daily",
        "start": start,
        "end": end,
        "generations": [1],
        "service": "service_name",
        "cost": "billed_cost",
        "unpriced": "none",
        "order": "largest_first",
        "each": 1000,
        "limit": 1000,
    }


def _bucket(day: date, granularity: str, start: date) -> str:
    first = {
        "daily": day,
        "weekly": day - timedelta(day.weekday()),
        "monthly": day.replace(day=1),
        "whole": start,
    }
    return first[granularity].isoformat()


def _sum(found: list[tuple[Fraction, KnownRate | None]]) -> Fraction | None:
    if any(rate is None for _, rate in found):
        return None
    return sum((amount * Fraction(rate.value) for amount, rate in found if rate), Fraction(0))


def _fraction(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)


@pytest.mark.parametrize("granularity", ["daily", "weekly", "monthly", "whole"])
@given(charges, rates, st.integers(0, 30), st.integers(1, 40))
@hypothesis_settings(max_examples=25, deadline=None)
def test_converted_sums_are_exact(
    granularity: str, found: list[Charge], quoted: list[Rate | None], skipped: int, length: int
) -> None:
    table = _table(found)
    known = {one: known_rate(one) for one in quoted if one}
    by_currency = {
        currency: {
            day.isoformat(): known.get(quoted[(place + shift) % len(quoted)])  # type: ignore[arg-type]
            for place, day in enumerate(DAYS)
        }
        for shift, currency in enumerate(("EUR", "USD"))
    }
    same = known_rate(Rate(Decimal(1), None, "identity"))
    start = DAYS[0] + timedelta(skipped)
    for first, end in ((start, start + timedelta(length)), (DAYS[0], DAYS[-1] + timedelta(1))):
        asked = _asked(granularity, first, end, by_currency)
        own = [one for one in found if first <= one[0] < end]
        table.months(asked)
        rows = table.rows(asked)
        assert table.months(asked) == {}, "what is converted needs no rate again"
        assert {(row["currency"], row["service"]) for row in rows} == {(one[1], one[2]) for one in own}
        for row in rows:
            parts: dict[str, list[tuple[Fraction, KnownRate | None]]] = {}
            days = []
            for day, currency, service, amount in sorted(own):
                if (currency, service) == (row["currency"], row["service"]):
                    rate = same if currency == INTO else by_currency[currency][day.isoformat()]
                    bucket = _bucket(day, granularity, first)
                    parts.setdefault(bucket, []).append((Fraction(amount), rate))
                    days.append((day.isoformat(), rate))
            behind = {rate for _, rate in days}
            shown = row["converted"]
            assert _fraction(shown["amount"]) == _sum([one for part in parts.values() for one in part])
            assert row["missing"] == sorted({day for day, rate in days if rate is None})
            sources = {rate.rate.source for rate in behind if rate}
            assert shown["rate_source"] == (", ".join(sorted(sources)) or None)
            texts = {rate and rate.text for rate in behind}
            assert shown["rate"] == (texts.pop() if len(texts) == len(sources) == 1 else None)
            quotes = sorted(rate.rate.day.isoformat() for rate in behind if rate and rate.rate.day)
            assert shown["first_rate_date"] == (quotes[0] if quotes else None)
            assert shown["last_rate_date"] == (quotes[-1] if quotes else None)
            assert row["dates"] == list(parts)
            if granularity != "whole":
                assert list(map(_fraction, row["converted_amounts"])) == list(map(_sum, parts.values()))
                for rate, part in zip(row["rates"], parts.values(), strict=True):
                    texts = {one and one.text for _, one in part}
                    assert rate == (texts.pop() if len(texts) == 1 else None)
