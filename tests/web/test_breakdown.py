"""Table and chart are made of the same exact amounts."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from optiinfra_api.web import filters
from optiinfra_api.web.breakdown import COLOURS, chart, compared, currencies, label_of, rows, summed, table
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


@given(series())
def test_rows_and_chart_come_to_the_same(now: list[dict[str, Any]]) -> None:
    for currency in ("USD", "EUR"):
        ranked = rows(now, ["service"], currency)
        total = exact_sum(Decimal(one["cost"]["amount"]) for one in now if one["currency"] == currency)
        assert summed(ranked).total == total
        drawn = chart(ranked, DAYS, currency)["series"]
        assert exact_sum(Decimal(one) for column in drawn for one in column["amounts"]) == total
        assert len(drawn) <= COLOURS + 1
        colours = [row.colour for row in ranked]
        assert colours == [*range(1, min(len(ranked), COLOURS) + 1), *([0] * (len(ranked) - COLOURS))]
        assert [row.total for row in ranked] == sorted((row.total for row in ranked), reverse=True)
        shown = table(ranked, 5)
        assert (shown.total.total, [*shown.rows]) == (total, ranked[:5])
        assert (shown.others.groups if shown.others else 0) == max(len(ranked) - 5, 0)
        assert exact_sum(row.total for row in (*shown.rows, *([shown.others] if shown.others else []))) == total


GROUPS = st.lists(
    st.fixed_dictionaries(
        {
            "service": st.none() | st.text(max_size=3),
            "currency": st.sampled_from(["USD", "EUR"]),
            "isOther": st.just(False),
            "groups": st.just(1),
            **{name: AMOUNTS.map(lambda one: {"amount": f"{one:f}"}) for name in ("before", "after")},
            "priceEffect": st.none() | AMOUNTS.map(lambda one: {"amount": f"{one:f}"}),
        }
    ),
    max_size=9,
)


@given(GROUPS, series(), st.integers(0, 9))
def test_what_is_compared_is_shown_as_it_is_answered(groups: list[dict[str, Any]], now: list[Any], others: int) -> None:
    """In its order, with the colours of the chart, and its totals are those of all rows."""
    for one in groups:
        one["usageEffect"] = one["priceEffect"]
    if groups:
        groups[-1] |= {"isOther": others > 0, "groups": max(others, 1)}
    for currency in ("USD", "EUR"):
        own = [one for one in groups if one["currency"] == currency]
        ranked = rows(now, ["service"], currency)
        shown = compared(groups, ranked, ["service"], currency)
        assert [row.total for row in shown.rows] == [
            Decimal(one["after"]["amount"]) for one in own if not one["isOther"]
        ]
        assert (shown.others.groups if shown.others else 0) == sum(one["groups"] for one in own if one["isOther"])
        after, before = (exact_sum(Decimal(one[name]["amount"]) for one in own) for name in ("after", "before"))
        assert (shown.total.total, shown.total.before) == (after, before)
        assert shown.total.change == exact_difference(after, before)
        colours = {row.key: row.colour for row in ranked}
        assert [row.colour for row in shown.rows] == [colours.get(row.key, 0) for row in shown.rows]
        effects = [one["priceEffect"] for one in own]
        known = None if None in effects or not effects else exact_sum(Decimal(one["amount"]) for one in effects)
        assert shown.total.price == shown.total.usage == known


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
