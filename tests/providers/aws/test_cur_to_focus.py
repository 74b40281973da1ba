"""The Cost and Usage Report 2.0 as FOCUS: every kind of line item, from CSV and from Parquet; what is refused and how it is named."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.line_items import SCHEMA
from optiinfra_assets.providers.aws.cur_to_focus import mapping_of
from optiinfra_assets.providers.base import LineItemStream
from optiinfra_assets.providers.files.focus_files import line_items, month_of
from optiinfra_assets.providers.files.location import LocalFolder

JUNE = BillingPeriod(2026, 6)
PLAN = "arn:aws:savingsplans::111122223333:savingsplan/sp-1"
RESERVATION = "arn:aws:ec2:us-east-1:111122223333:reserved-instances/ri-1"

Row = dict[str, Any]
Item = dict[str, Any]

BASE: Row = {
    "bill_billing_period_start_date": "2026-06-01T00:00:00.000Z",
    "bill_billing_period_end_date": "2026-07-01T00:00:00.000Z",
    "bill_invoice_id": "",
    "bill_payer_account_id": "111122223333",
    "bill_payer_account_name": "payer",
    "line_item_currency_code": "USD",
    "line_item_legal_entity": "Amazon Web Services, Inc.",
    "line_item_line_item_description": "something",
    "line_item_line_item_type": "Usage",
    "line_item_product_code": "AmazonEC2",
    "line_item_unblended_cost": "10",
    "line_item_usage_account_id": "444455556666",
    "line_item_usage_amount": "24",
    "line_item_usage_end_date": "2026-06-03T01:00:00.000Z",
    "line_item_usage_start_date": "2026-06-03T00:00:00.000Z",
    "line_item_usage_type": "BoxUsage:m7g.large",
    "pricing_public_on_demand_cost": "12",
    "pricing_unit": "Hrs",
    "product": '{"product_name":"Amazon Elastic Compute Cloud","region":"us-east-1"}',
    "product_region_code": "us-east-1",
    "resource_tags": '{"user_team":"shop"}',
    "reservation_reservation_a_r_n": "",
    "reservation_effective_cost": "",
    "reservation_unused_amortized_upfront_fee_for_billing_period": "",
    "reservation_unused_recurring_fee": "",
    "savings_plan_offering_type": "",
    "savings_plan_savings_plan_a_r_n": "",
    "savings_plan_savings_plan_effective_cost": "",
    "savings_plan_total_commitment_to_date": "",
    "savings_plan_used_commitment": "",
}


def row(type_: str = "Usage", **values: str) -> Row:
    return {**BASE, "line_item_line_item_type": type_, **values}


def write_csv(path: Path, rows: list[Row]) -> Path:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(file.getvalue())
    return path


def read(path: Path, period: BillingPeriod = JUNE) -> tuple[list[Item], LineItemStream]:
    """The line items of one file."""
    location = LocalFolder(path.parent)
    file = location.current(path.name)
    assert file is not None
    collection = LineItemStream(iter(()), "")
    batches = list(line_items(location, file, month_of(period), collection, source="export", form_of=mapping_of))
    assert all(batch.schema == SCHEMA for batch in batches)
    return [item for batch in batches for item in batch.to_pylist()], collection


def of(tmp_path: Path, *rows: Row) -> list[Item]:
    return read(write_csv(tmp_path / "cur.csv", list(rows)))[0]


def test_every_kind_of_line_item_is_billed_and_amortized(tmp_path: Path) -> None:
    cases: list[tuple[Row, str, str, str, str | None]] = [
        (row(), "10", "10", "Usage", "Standard"),
        (row(line_item_usage_type="SpotUsage:m7g"), "10", "10", "Usage", "Dynamic"),
        (
            row("DiscountedUsage", line_item_unblended_cost="0", reservation_effective_cost="1.5"),
            "0", "1.5", "Usage", "Committed",
        ),
        (
            row(
                "RIFee", line_item_unblended_cost="100", reservation_reservation_a_r_n=RESERVATION,
                reservation_unused_amortized_upfront_fee_for_billing_period="0.25", reservation_unused_recurring_fee="3",
            ),
            "100", "3.25", "Purchase", None,
        ),
        (row("RIFee", line_item_unblended_cost="100"), "100", "0", "Purchase", None),
        (row("Fee", line_item_unblended_cost="500", reservation_reservation_a_r_n=RESERVATION), "500", "0", "Purchase", None),
        (row("Fee", line_item_unblended_cost="7"), "7", "7", "Purchase", None),
        (row("SavingsPlanCoveredUsage", savings_plan_savings_plan_effective_cost="6"), "10", "6", "Usage", "Committed"),
        (row("SavingsPlanNegation", line_item_unblended_cost="-10"), "-10", "0", "Usage", None),
        (row("SavingsPlanUpfrontFee", line_item_unblended_cost="900"), "900", "0", "Purchase", None),
        (
            row(
                "SavingsPlanRecurringFee", line_item_unblended_cost="20",
                savings_plan_total_commitment_to_date="20", savings_plan_used_commitment="17.5",
            ),
            "20", "2.5", "Purchase", None,
        ),
        (row("EdpDiscount", line_item_unblended_cost="-0.9"), "-0.9", "-0.9", "Usage", None),
        (row("Tax", line_item_unblended_cost="2"), "2", "2", "Tax", None),
        (row("Credit", line_item_unblended_cost="-4"), "-4", "-4", "Credit", None),
        (row("Refund", line_item_unblended_cost="-5"), "-5", "-5", "Usage", None),
        (row("CreditMemo", line_item_unblended_cost="-5"), "-5", "-5", "Usage", None),
        (row("Refund", line_item_unblended_cost="-500", reservation_reservation_a_r_n=RESERVATION), "-500", "0", "Purchase", None),
        (row("CreditMemo", line_item_unblended_cost="-5", reservation_reservation_a_r_n=RESERVATION), "-5", "0", "Purchase", None),
        (row("Refund", line_item_unblended_cost="-900", savings_plan_savings_plan_a_r_n="arn:sp"), "-900", "0", "Purchase", None),
        (row("Refund", line_item_unblended_cost="-9", line_item_product_code="ComputeSavingsPlans"), "-9", "0", "Purchase", None),
        (row("OfTomorrow", line_item_unblended_cost="1"), "1", "1", "Adjustment", None),
    ]  # fmt: skip
    items = of(tmp_path, *(case[0] for case in cases))
    names = ("billed_cost", "effective_cost", "charge_category", "pricing_category")
    found = [tuple(item[name] for name in names) for item in items]
    assert found == [(Decimal(case[1]), Decimal(case[2]), *case[3:]) for case in cases]


def test_a_returned_plan_costs_nothing(tmp_path: Path) -> None:
    plan = {"line_item_product_code": "ComputeSavingsPlans", "savings_plan_savings_plan_a_r_n": "arn:sp"}
    items = of(
        tmp_path,
        row("SavingsPlanUpfrontFee", line_item_unblended_cost="900", **plan),
        row("Refund", line_item_unblended_cost="-900", **plan),
    )
    assert sum(item["billed_cost"] for item in items) == sum(item["effective_cost"] for item in items) == 0


def test_what_was_not_paid_in_advance_is_refunded_as_it_is(tmp_path: Path) -> None:
    later = {"savings_plan_savings_plan_a_r_n": "arn:sp", "pricing_purchase_option": "No Upfront"}
    (item,) = of(tmp_path, row("Refund", line_item_unblended_cost="-9", **later))
    assert (item["effective_cost"], item["charge_category"]) == (-9, "Purchase")


def test_what_has_no_price_has_its_billed_cost_as_list_and_contracted_cost(tmp_path: Path) -> None:
    items = of(tmp_path, row("Tax", pricing_public_on_demand_cost=""), row("Credit"), row("EdpDiscount"))
    assert [(item["list_cost"], item["contracted_cost"]) for item in items] == [(10, 10), (10, 10), (12, None)]


def test_commitments_are_told(tmp_path: Path) -> None:
    reserved, planned, bought = of(
        tmp_path,
        row("DiscountedUsage", reservation_effective_cost="1", reservation_reservation_a_r_n=RESERVATION),
        row(
            "SavingsPlanCoveredUsage",
            savings_plan_savings_plan_effective_cost="1",
            savings_plan_savings_plan_a_r_n=PLAN,
            savings_plan_offering_type="ComputeSavingsPlans",
        ),
        row("SavingsPlanUpfrontFee", savings_plan_savings_plan_a_r_n=PLAN),
    )
    names = [f"commitment_discount_{name}" for name in ("id", "category", "type", "status")]
    assert [reserved[name] for name in names] == [RESERVATION, "Usage", "Reserved Instance", "Used"]
    assert [planned[name] for name in names] == [PLAN, "Spend", "ComputeSavingsPlans", "Used"]
    assert [bought[name] for name in names] == [PLAN, "Spend", "Savings Plan", None]
    assert (bought["consumed_quantity"], bought["charge_frequency"]) == (None, "One-Time")


def test_columns_go_where_they_belong(tmp_path: Path) -> None:
    more = {
        "line_item_net_unblended_cost": "9.1",
        "discount": '{"edp":-0.9}',
        "discount_total_discount": "-0.9",
        "cost_category": '{"team":"a"}',
        "line_item_operation": "RunInstances",
        "line_item_availability_zone": "us-east-1a",
        "line_item_resource_id": "i-1",
        "product_sku": "SKU",
        "pricing_rate_code": "SKU.1",
        "bill_invoice_id": "INV1",
        "bill_invoicing_entity": "AWS EMEA SARL",
        "line_item_unblended_rate": "0.4166",
        "pricing_public_on_demand_rate": "0.5",
        "identity_line_item_id": "not read",
    }
    (item,) = of(tmp_path, row(**more))
    expected = {
        "billing_account_id": "111122223333",
        "billing_account_name": "payer",
        "sub_account_id": "444455556666",
        "billing_period_start": datetime(2026, 6, 1, tzinfo=UTC),
        "billing_period_end": datetime(2026, 7, 1, tzinfo=UTC),
        "charge_period_start": datetime(2026, 6, 3, tzinfo=UTC),
        "charge_period_end": datetime(2026, 6, 3, 1, tzinfo=UTC),
        "list_cost": Decimal(12),
        "contracted_cost": Decimal(10),
        "contracted_unit_price": Decimal("0.4166"),
        "list_unit_price": Decimal("0.5"),
        "consumed_quantity": Decimal(24),
        "consumed_unit": "Hrs",
        "invoice_id": "INV1",
        "invoice_issuer_name": "AWS EMEA SARL",
        "availability_zone": "us-east-1a",
        "region_id": "us-east-1",
        "resource_id": "i-1",
        "service_name": "Amazon Elastic Compute Cloud",
        "service_category": "Compute",
        "service_provider_name": "Amazon Web Services, Inc.",
        "host_provider_name": "AWS",
        "sku_id": "SKU",
        "sku_price_id": "SKU.1",
        "tags": [("user_team", "shop")],
    }
    assert {name: item[name] for name in expected} == expected
    assert dict(item["x_columns"]) == {
        "x_CostCategories": '{"team":"a"}',
        "x_Discounts": '{"edp":-0.9}',
        "x_LineItemType": "Usage",
        "x_NetUnblendedCost": "9.1",
        "x_Operation": "RunInstances",
        "x_ServiceCode": "AmazonEC2",
        "x_TotalDiscount": "-0.9",
        "x_UsageType": "BoxUsage:m7g.large",
    }


def test_ends_become_exclusive_and_empty_texts_null(tmp_path: Path) -> None:
    (item,) = of(
        tmp_path,
        row(
            "Tax",
            line_item_usage_end_date="2026-06-30T23:59:59Z",
            product="",
            product_region_code="",
            resource_tags="",
        ),
    )
    assert item["charge_period_end"] == JUNE.end
    assert (item["region_id"], item["invoice_id"], item["service_name"]) == (None, None, "AmazonEC2")
    assert item["tags"] == []


def test_what_is_given_back_for_an_earlier_month_is_a_correction(tmp_path: Path) -> None:
    earlier = {
        "line_item_usage_start_date": "2026-05-05T00:00:00Z",
        "line_item_usage_end_date": "2026-05-06T00:00:00Z",
    }
    items = of(tmp_path, row("Credit", **earlier), row("Refund", **earlier), row(**earlier), row("Credit"))
    assert [item["charge_class"] for item in items] == ["Correction", "Correction", None, None]


def test_parquet_gives_the_same_as_csv(tmp_path: Path) -> None:
    rows = [
        row(line_item_unblended_cost="0.1"),
        row("DiscountedUsage", reservation_effective_cost="0.0123456789", line_item_unblended_cost="0"),
        row("SavingsPlanRecurringFee", savings_plan_total_commitment_to_date="0.3", savings_plan_used_commitment="0.1"),
    ]  # fmt: skip
    numbers = ("_cost", "_amount", "_fee", "_to_date", "_commitment", "_period")
    arrays = {}
    for name in rows[0]:
        values = [one[name] or None for one in rows]
        if name in ("product", "resource_tags"):
            pairs = [list(json.loads(value).items()) for value in values]
            arrays[name] = pa.array(pairs, pa.map_(pa.string(), pa.string()))
        elif name.endswith("_date") and "commitment" not in name:
            moments = [datetime.fromisoformat(value) for value in values]
            arrays[name] = pa.array(moments, pa.timestamp("ms"))
        elif name.endswith(numbers):
            arrays[name] = pa.array([None if value is None else float(value) for value in values], pa.float64())
        else:
            arrays[name] = pa.array(values, pa.string())
    pq.write_table(pa.table(arrays), tmp_path / "cur.snappy.parquet")
    same = read(tmp_path / "cur.snappy.parquet")[0]
    assert same == of(tmp_path, *rows)
    assert same[2]["effective_cost"] == Decimal("0.2")


def test_names_count_in_any_case_and_order(tmp_path: Path) -> None:
    turned = {name.upper(): value for name, value in reversed(row().items())}
    assert of(tmp_path, turned) == of(tmp_path, row())


@pytest.mark.parametrize("name", ["line_item_unblended_cost", "bill_payer_account_id", "line_item_usage_start_date"])
def test_a_column_without_which_costs_cannot_be_told(tmp_path: Path, name: str) -> None:
    lacking = {key: value for key, value in row().items() if key != name}
    with pytest.raises(
        BadData,
        match=rf"cur.csv: column {name} is missing: the columns are taken for a Cost and Usage Report",
    ):
        of(tmp_path, lacking)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"line_item_unblended_cost": "$1"}, r"row 2 \(line 3\), column line_item_unblended_cost: value '\$1' is not accepted"),
        ({"line_item_unblended_cost": ""}, r"row 2 \(line 3\), column BilledCost: value null is not accepted"),
        ({"line_item_usage_start_date": "June"}, r"row 2 \(line 3\), column line_item_usage_start_date: value 'June'"),
        ({"line_item_currency_code": "dollar"}, r"row 2 \(line 3\), column BillingCurrency: value 'dollar'"),
        ({"product": "{"}, r"row 2 \(line 3\), column product: value '{'"),
        ({"line_item_line_item_type": "DiscountedUsage"}, r"column reservation_effective_cost: value null .*\(this is DiscountedUsage\)"),
        ({"line_item_line_item_type": "SavingsPlanCoveredUsage"}, "column savings_plan_savings_plan_effective_cost: value null"),
        ({"line_item_line_item_type": "SavingsPlanRecurringFee"}, "column savings_plan_total_commitment_to_date: value null"),
        ({"bill_billing_period_start_date": ""}, r"row 2 \(line 3\), column BillingPeriodStart: value null"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_accepted_is_named(tmp_path: Path, wrong: Row, message: str) -> None:
    with pytest.raises(BadData, match=message):
        of(tmp_path, row(), {**row(), **wrong})


def test_digits_beyond_the_18th_are_rounded_once_and_counted(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "cur.csv", [row(line_item_unblended_cost="0.1234567890123456785")])
    (item,), collection = read(path)
    assert item["billed_cost"] == item["effective_cost"] == Decimal("0.123456789012345678")
    assert (collection.rounding.values, collection.rounding.total) == (1, Decimal("5e-19"))


MONEY = st.decimals(Decimal("-1e9"), Decimal("1e9"), places=10).map(lambda value: f"{value:f}")


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["Usage", "DiscountedUsage", "RIFee", "SavingsPlanCoveredUsage", "SavingsPlanNegation", "SavingsPlanRecurringFee", "Fee",
                 "Refund"]
            ),
            st.lists(MONEY, min_size=7, max_size=7),
            st.booleans(),
        ),
        min_size=1,
        max_size=20,
    )
)  # fmt: skip
def test_amortizing_whole_columns_is_amortizing_each_row(
    tmp_path: Path, drawn: list[tuple[str, list[str], bool]]
) -> None:
    names = (
        "line_item_unblended_cost", "reservation_effective_cost", "reservation_unused_amortized_upfront_fee_for_billing_period",
        "reservation_unused_recurring_fee", "savings_plan_savings_plan_effective_cost", "savings_plan_total_commitment_to_date",
        "savings_plan_used_commitment",
    )  # fmt: skip
    rows = []
    wanted = []
    for type_, amounts, is_reserved in drawn:
        given_ = dict(zip(names, amounts, strict=True))
        rows.append(row(type_, **given_, reservation_reservation_a_r_n=RESERVATION if is_reserved else ""))
        cost, covered, unused, recurring, planned, committed, used = map(Decimal, amounts)
        wanted.append(
            {
                "Usage": cost,
                "DiscountedUsage": covered,
                "RIFee": unused + recurring,
                "SavingsPlanCoveredUsage": planned,
                "SavingsPlanNegation": Decimal(0),
                "SavingsPlanRecurringFee": committed - used,
                "Fee": Decimal(0) if is_reserved else cost,
                "Refund": Decimal(0) if is_reserved else cost,
            }[type_]
        )
    items = of(tmp_path, *rows)
    assert [item["effective_cost"] for item in items] == wanted
    assert [item["billed_cost"] for item in items] == [Decimal(amounts[0]) for _, amounts, _ in drawn]
