"""What is read although FOCUS writes it otherwise: exactly when it can mean one thing only, and never without being counted."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optiinfra_assets.domain.errors import Rounding
from optiinfra_assets.line_items import Layout, Normalizer, RejectedValue
from optiinfra_assets.line_items.irregularities import Irregularities
from optiinfra_assets.line_items.json_parsing import parse_flat_object
from optiinfra_assets.line_items.leniency import Leniency
from optiinfra_assets.line_items.lenient_numbers import spell_number
from optiinfra_assets.line_items.lenient_tags import spell_tags
from optiinfra_assets.line_items.lenient_times import orders_shown, read_time
from optiinfra_assets.line_items.respelling import rejected_rows
from optiinfra_assets.line_items.time_columns import TimeColumns
from tests.focus_samples import columns, row

NUMBERS = st.decimals(-(10**15), 10**15, places=4)


@given(NUMBERS, st.sampled_from(["{:+f}", " {:f}", "{:f} ", "\t{:f}\u00a0", "{:E}", "{:,f}", "{:+,f}"]))
@example(Decimal("120"), "{:E}")
@example(Decimal("-0.00"), "{:f}")
def test_a_number_in_any_certain_form_is_the_number(number: Decimal, form: str) -> None:
    assert Decimal(spell_number(form.format(number))) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.0E+2", "100"),
        ("1e+02", "100"),
        ("(1,234.50)", "-1234.50"),
        ("12.5-", "-12.5"),
        ("\u22123", "-3"),
        ("1'234'567.8", "1234567.8"),
        ("1\u202f234", "1234"),
        ("1,234,567", "1234567"),
        (".5", "0.5"),
        ("5.", "5"),
    ],
)
def test_a_number_as_people_and_programs_write_it(text: str, number: str) -> None:
    assert Decimal(spell_number(text)) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    [
        "1,5",
        "1,234",
        "1.234,56",
        "1.234.567",
        "$1",
        "1 USD",
        "\u20ac1",
        "12,34,567.8",
        "1,23.4",
        "--1",
        "+",
        "-",
        "()",
        "(-1)",
        "",
        "NaN",
        "0x1",
        "1e",
        "\u0661",
    ],
)
def test_a_number_that_may_be_another_or_none_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="is no number, or may be several"):
        spell_number(text)


INSTANTS = st.integers(946_684_800, 4_260_211_200).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(INSTANTS, st.integers(-12 * 4, 14 * 4), st.integers(0, 999_999))
def test_a_time_in_any_certain_form_is_the_instant(moment: datetime, quarters: int, micros: int) -> None:
    seconds = int(moment.timestamp())
    offset = timedelta(minutes=15 * quarters)
    local = (moment.replace(tzinfo=None) + offset).replace(microsecond=micros)
    sign, minutes = "-" if quarters < 0 else "+", abs(15 * quarters)
    zone = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    for text in (
        f"{local.isoformat(sep=' ')}{zone}",
        f"{local.isoformat()}{zone.replace(':', '')}",
        f" {moment:%Y-%m-%dT%H:%M:%S}.{micros:06d}Z ",
        f"{moment:%Y%m%dT%H%M%SZ}",
        f"{moment:%Y/%m/%d %H:%M:%S}",
        str(seconds),
        f"{seconds}{micros // 1000:03d}",
        f"{seconds}{micros:06d}",
        f"{seconds}{micros:06d}000",
    ):
        assert read_time(text).seconds == seconds, text
    for order, form in (("month first", "%m/%d/%Y"), ("day first", "%d/%m/%Y")):
        text = f"{moment:{form}} {moment:%I:%M:%S %p}"
        assert read_time(text, order).seconds == seconds, text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["2026-13-01", "2026-02-30", "20261301", "1999", "soon", "", "5/6", "2026-10-05T25:00:00Z", "12345678901"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a UTC time such as"):
        read_time(text)


@given(st.integers(1, 12), st.integers(2000, 2100))
def test_billing_periods_show_the_order_of_day_and_month(month: int, year: int) -> None:
    start, end = (date(year, month, 1), date(year + month // 12, month % 12 + 1, 1))
    for order, form in (("month first", "%m/%d/%Y"), ("day first", "%d/%m/%Y")):
        assert orders_shown([f"{start:{form}}", f"{end:{form}}"], of_periods=True) == {order}


def test_charges_show_it_only_beyond_the_twelfth() -> None:
    assert orders_shown(["05/01/2026", "01/05/2026"], of_periods=False) == set()
    assert orders_shown(["05/13/2026"], of_periods=False) == {"month first"}
    assert orders_shown(["13/05/2026"], of_periods=False) == {"day first"}


def starts(values: pa.Array, column: str = "BillingPeriodStart") -> list[str]:
    times = TimeColumns(Irregularities())
    times.learn(column, values)
    return [f"{one:%Y-%m-%dT%H:%MZ}" for one in times.read(column, column, values).to_pylist()]


@given(st.integers(1, 12), st.integers(-12 * 2, 14 * 2).filter(bool), st.booleans())
def test_the_start_of_a_period_in_local_time_is_the_month_that_is_written(
    month: int, half_hours: int, typed: bool
) -> None:
    sign, minutes = "-" if half_hours < 0 else "+", abs(30 * half_hours)
    zone = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    if typed:
        utc = datetime(2026, month, 1, tzinfo=UTC) - timedelta(minutes=30 * half_hours)
        values = pa.array([utc], pa.timestamp("us", zone))
    else:
        values = pa.array([f"2026-{month:02d}-01T00:00:00{zone}"])
    assert starts(values) == [f"2026-{month:02d}-01T00:00Z"]


@pytest.mark.parametrize("text", ["2026-10-31T22:00:00Z", "2026-10-31 23:00:00", "2026-10-31T20:00:00-02:00"])
def test_a_start_that_may_be_the_next_month_is_refused_and_never_the_month_before(text: str) -> None:
    with pytest.raises(RejectedValue, match="within hours of the next month"):
        starts(pa.array([text]))
    assert starts(pa.array([text]), "ChargePeriodStart") != []


def test_an_instant_that_is_a_month_in_utc_is_that_month_however_it_is_written() -> None:
    assert starts(pa.array(["2024-08-31T17:00:00-07:00"])) == ["2024-09-01T00:00Z"]


def test_dates_of_two_orders_and_of_none_are_refused_with_what_to_write() -> None:
    with pytest.raises(RejectedValue, match="no billing period of this file does: write dates as 2026-10-05"):
        starts(pa.array(["05/06/2026"]), "ChargePeriodStart")
    with pytest.raises(RejectedValue, match="both MM/DD/YYYY and DD/MM/YYYY"):
        starts(pa.array(["05/13/2026", "13/05/2026"]), "ChargePeriodStart")
    assert starts(pa.array(["05/05/2026"]), "ChargePeriodStart") == ["2026-05-05T00:00Z"]


VALUES = st.none() | st.text(max_size=4) | st.booleans() | st.integers() | st.lists(st.integers(), max_size=2)


@given(
    st.dictionaries(
        st.text(max_size=4), VALUES | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2), max_size=4
    )
)
def test_any_json_object_becomes_tags_with_each_key_once(tags: dict[str, Any]) -> None:
    def as_text(value: object) -> object:
        return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    twice = json.dumps(tags)[:-1] + ("," if tags else "") + json.dumps(tags)[1:]
    for text in (json.dumps(tags), f" {json.dumps(tags)}\n", twice):
        spelled = spell_tags(text)
        assert spelled is not None
        assert dict(parse_flat_object(spelled)) == {key: as_text(value) for key, value in tags.items()}


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ('{"env":"prod","env":"dev"}', {"env": "dev"}),
        ('{"size": 1.10, "size": 2.50}', {"size": "2.50"}),
        ('"team": "web", "env": "prod"', {"team": "web", "env": "prod"}),
        ('[{"Key": "team", "Value": "web"}]', {"team": "web"}),
        ('[{"name": "team", "value": null}]', {"team": None}),
    ],
)
def test_tags_as_exports_write_them(text: str, tags: dict[str, str | None]) -> None:
    assert dict(parse_flat_object(spell_tags(text) or "")) == tags


def test_flat_tags_stay_as_they_are_written() -> None:
    assert spell_tags('{"a":"b"}') == '{"a":"b"}'
    assert spell_tags("null") is None


@given(st.lists(st.sampled_from(["1", "x", "2.5", None]), max_size=30), st.booleans())
def test_exactly_the_rejected_rows_are_found(texts: list[str | None], encoded: bool) -> None:
    def convert(values: pa.Array) -> None:
        for index, text in enumerate(values.to_pylist()):
            if text == "x":
                raise RejectedValue(index, text, "a number")

    values = pa.array(texts, pa.string())
    found = rejected_rows(values.dictionary_encode() if encoded else values, convert)
    assert found.tolist() == [text == "x" for text in texts]


def normalized(*rows: dict[str, Any], **typed: pa.Array) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The rows as line items, and how many values were read leniently, by code."""
    names = [*columns("1.2"), "x_Own"]
    arrays = [
        typed[name] if name in typed else pa.array([one.get(name) for one in rows], pa.string()) for name in names
    ]
    leniency = Leniency()
    door = Normalizer(Layout.of(names), Rounding(), source="focus file", leniency=leniency)
    found = door.convert(pa.RecordBatch.from_arrays(arrays, names=names)).to_pylist()
    counts: dict[str, int] = {}
    for one in leniency.irregularities.drain():
        counts[one.code] = counts.get(one.code, 0) + one.count
    return found, counts


def test_what_is_well_formed_is_not_counted() -> None:
    assert normalized(row(Tags='{"a":"b"}', ListCost=None), row(BilledCost="1e-7"))[1] == {}


@pytest.mark.parametrize("value", ["null", "None", "nan", "\\N"])
def test_words_for_null_are_null_and_counted(value: str) -> None:
    (found,), counts = normalized(
        row(
            ListCost=value,
            ResourceId=value,
            RegionId=value,
            ServiceName=value,
            ChargeClass=value,
            Tags=value,
            SkuPriceDetails=value,
        )
    )
    names = ("list_cost", "resource_id", "region_id", "charge_class", "sku_price_details")
    assert [found[name] for name in names] == [None] * 5
    assert (found["service_name"], found["tags"]) == ("", [])
    assert counts["null-word"] >= 5


@pytest.mark.parametrize(
    "column", ["BilledCost", "EffectiveCost", "BillingCurrency", "ChargeCategory", "ChargePeriodEnd"]
)
@pytest.mark.parametrize("value", [None, "null", "NaN", "x"])
def test_without_what_a_total_needs_a_row_is_refused(column: str, value: str | None) -> None:
    with pytest.raises(RejectedValue) as refused:
        normalized(row(), row(**{column: value}))
    assert (refused.value.index, refused.value.column, refused.value.value) == (1, column, value)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("Tags", "team=web"),
        ("SkuPriceDetails", "{"),
        ("PricingQuantity", "1,5"),
        ("ConsumedQuantity", "many"),
        ("Tags", '{"a": "\\ud800"}'),
    ],
)
def test_what_only_explains_a_cost_never_stops_it_and_is_kept(column: str, value: str) -> None:
    found, counts = normalized(row(**{column: value, "x_Own": "1"}), row(x_Own="2"))
    assert dict(found[0]["x_columns"]) == {
        "x_Own": "1",
        f"x_{column}_as_delivered": value,
        "x_ProviderName": "Cloud",
        "x_PublisherName": "Maker",
    }
    assert f"x_{column}_as_delivered" not in dict(found[1]["x_columns"])
    assert (found[0]["billed_cost"], counts) == (Decimal("1.25"), {"not-read": 1})


def test_rounded_values_are_counted_once_however_often_a_column_is_tried() -> None:
    rounding = Rounding()
    names = columns("1.2")
    rows = [
        row(PricingQuantity="1.0000000000000000004"),
        row(PricingQuantity="x"),
        row(PricingQuantity="+2.0000000000000000003"),
    ]
    batch = pa.RecordBatch.from_arrays(
        [pa.array([one.get(name) for one in rows], pa.string()) for name in names], names=names
    )
    Normalizer(Layout.of(names), rounding, source="focus file", leniency=Leniency()).convert(batch)
    assert (rounding.values, rounding.total) == (2, Decimal("7E-19"))


def test_types_that_hold_no_text_are_read_as_text() -> None:
    (found,), counts = normalized(
        row(),
        BillingAccountId=pa.array([123456789012.0]),
        RegionId=pa.array([["a"]]),
        ResourceName=pa.array([b"\xff"]),
        ProviderName=pa.array([{"name": "Cloud"}]),
    )
    assert found["billing_account_id"] == "123456789012"
    assert (found["region_id"], found["resource_name"]) == ('["a"]', "0xff")
    assert found["host_provider_name"] == '{"name": "Cloud"}'
    assert counts["text-type"] >= 4


def test_typed_values_that_cannot_be_read_are_kept_aside() -> None:
    pairs = pa.array([[{"key": "a", "value": "b"}], [{"key": None, "value": "b"}]])
    found, counts = normalized(row(), row(), Tags=pairs, ListCost=pa.array([1.5, np.nan]))
    assert [one["tags"] for one in found] == [[("a", "b")], []]
    assert dict(found[1]["x_columns"])["x_Tags_as_delivered"] == '[{"key": null, "value": "b"}]'
    assert [one["list_cost"] for one in found] == [Decimal("1.5"), None]
    assert counts == {"not-read": 1, "null-word": 1}


def test_typed_times_with_fractions_and_numbers_since_1970() -> None:
    moment = datetime(2024, 9, 1, 0, 30, 0, 123456, tzinfo=UTC)
    (found,), counts = normalized(
        row(),
        ChargePeriodStart=pa.array([moment], pa.timestamp("us", "UTC")),
        ChargePeriodEnd=pa.array([1_725_152_400_000]),
    )
    assert found["charge_period_start"] == moment.replace(microsecond=0)
    assert found["charge_period_end"] == datetime(2024, 9, 1, 1, tzinfo=UTC)
    assert counts == {"time-fraction": 1, "time-form": 1}
