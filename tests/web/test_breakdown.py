"""Table and chart are made of the same exact amounts."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from optiinfra_api.web import filters
from optiinfra_api.web.breakdown import COLOURS, chart, currencies, label_of, rows, summed
from optiinfra_api.web.filters import MINUS, NOTHING
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum

AMOUNTS = st.decimals(-10_000, 10_000, places=9) | st.decimals(-(10**19), 10**19, places=18)
DAYS = [date(2026, 11, 1) + timedelta(days=number) for number in range(4)]


@st.composite
def series(draw: st.DrawFn) -> list[dict[str, Any]]:
    """What GraphQL answers: one series for each service and currency, its sum that of its amounts."""
    keys = draw(
        st.lists(st.tuples(st.none() | st.text(max_size=3), st.sampled_from(["USD", "EUR"])), unique=True, max_size=30)
    )
    found = []
    for service, currency in keys:
        dates = draw(st.lists(st.sampled_from(DAYS), unique=True, min_size=1))
        amounts = draw(st.lists(AMOUNTS, min_size=len(dates), max_size=len(dates)))
        found.append(
            {
                "service": service,
                "currency": currency,
                "dates": [one.isoformat() for one in dates],
                "amounts": [str(one) for one in amounts],
                "cost": {"amount": f"{exact_sum(amounts):f}"},
                "lineItems": draw(st.integers(1, 9)),
            }
        )
    return found


@given(series(), series())
def test_rows_and_chart_come_to_the_same(now: list[dict[str, Any]], before: list[dict[str, Any]]) -> None:
    for currency in ("USD", "EUR"):
        ranked = rows(now, before, ["service"], currency)
        own = [one for one in now if one["currency"] == currency]
        was = [one for one in before if one["currency"] == currency]
        total, earlier = (exact_sum(Decimal(one["cost"]["amount"]) for one in side) for side in (own, was))
        whole = summed(ranked)
        assert (whole.total, whole.before) == (total, earlier)
        assert whole.change == exact_sum(row.change for row in ranked) == exact_difference(total, earlier)
        drawn = chart(ranked, DAYS, currency)["series"]
        assert exact_sum(Decimal(one) for column in drawn for one in column["amounts"]) == total
        assert len(drawn) <= COLOURS + 1
        colours = [row.colour for row in ranked]
        assert colours == [*range(1, min(len(ranked), COLOURS) + 1), *([0] * (len(ranked) - COLOURS))]
        assert [row.total for row in ranked] == sorted((row.total for row in ranked), reverse=True)


@given(series())
def test_a_currency_is_never_added_to_another(now: list[dict[str, Any]]) -> None:
    assert sorted(currencies(now)) == sorted({one["currency"] for one in now})


def test_what_has_no_value_is_said_in_words() -> None:
    assert label_of((None, ""), ("service", "tag")) == "(no service) · (empty tag)"
    assert label_of((), ()) == "All costs"


def test_amounts_are_shown_to_the_cent_and_never_as_nothing() -> None:
    shown = [filters.money(one) for one in ("1234567.895", "-0.5", "0.004", "-0.004", "0", "0.005", "0.0051")]
    assert shown == ["1,234,567.90", f"{MINUS}0.50", "<0.01", f"{MINUS}<0.01", "0.00", "<0.01", "0.01"]
    assert filters.money(f"{10**19}.014999999999999999") == f"{10**19:,}.01"
    changes = [
        filters.percent(Decimal(now), Decimal(was))
        for now, was in ((110, 100), (99, 100), (5, 0), (1, -1), (2000, 100))
    ]
    assert changes == ["+10 %", f"{MINUS}1.0 %", "new", NOTHING, "+20\N{MULTIPLICATION SIGN}"]


@given(AMOUNTS)
def test_an_exact_amount_is_written_as_graphql_writes_it(amount: Decimal) -> None:
    assert Decimal(filters.plain(amount)) == amount
    assert "E" not in filters.plain(amount)
