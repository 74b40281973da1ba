"""Maps AWS's Cost and Usage Report 2.0 to FOCUS columns: record batches of the report in, record batches of FOCUS columns out.

BilledCost is ``line_item_unblended_cost``. Its sum over all line items is the bill, because discounts are line items of their own.
EffectiveCost is the amortized cost, which depends on the line item type::

    DiscountedUsage           reservation_effective_cost
    RIFee                     the unused part of the fee
    SavingsPlanCoveredUsage   savings_plan_savings_plan_effective_cost
    SavingsPlanNegation       zero
    SavingsPlanRecurringFee   the commitment less the part of it that was used
    SavingsPlanUpfrontFee     zero
    Fee of a reservation      zero
    Refund of any of these    zero, unless nothing was paid in advance ("No Upfront")
    all others                BilledCost

Net costs are kept separately as ``x_NetUnblendedCost`` and never mixed with these. Columns not named below are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from optiinfra_assets.domain.errors import Rounding
from optiinfra_assets.line_items import LayoutRejected, RejectedValue
from optiinfra_assets.line_items.arrow_tools import (
    dictionary_decoded,
    empty_as_null,
    first_true,
    is_text,
    map_distinct,
)
from optiinfra_assets.line_items.decimals import ACCEPTED, to_decimals
from optiinfra_assets.line_items.schema import DECIMAL, TEXT
from optiinfra_assets.line_items.tags import to_tag_maps
from optiinfra_assets.line_items.timestamps import to_timestamps
from optiinfra_assets.providers.aws.record_types import charge_category, charge_frequency, service_category
from optiinfra_assets.providers.aws.record_types import is_plan as is_plan_code
from optiinfra_assets.providers.aws.record_types import is_refund as is_refund_type

TYPE: Final = "line_item_line_item_type"
COST: Final = "line_item_unblended_cost"
_PERIOD_START: Final = "bill_billing_period_start_date"
_USAGE_START: Final = "line_item_usage_start_date"
_USAGE_END: Final = "line_item_usage_end_date"
_RESERVATION: Final = "reservation_reservation_a_r_n"
_PLAN: Final = "savings_plan_savings_plan_a_r_n"
_RATE: Final = "line_item_unblended_rate"
_AMOUNT: Final = "line_item_usage_amount"
_UNIT: Final = "pricing_unit"
_CODE: Final = "line_item_product_code"

_MANDATORY: Final = (
    TYPE, COST, "bill_billing_period_end_date", _PERIOD_START, "bill_payer_account_id", "line_item_currency_code",
    "line_item_usage_account_id", _USAGE_END, _USAGE_START,
)  # fmt: skip

_AS_THEY_ARE: Final[Mapping[str, str]] = {
    "AvailabilityZone": "line_item_availability_zone",
    "BillingAccountId": "bill_payer_account_id",
    "BillingAccountName": "bill_payer_account_name",
    "BillingCurrency": "line_item_currency_code",
    "BillingPeriodEnd": "bill_billing_period_end_date",
    "BillingPeriodStart": _PERIOD_START,
    "ChargeDescription": "line_item_line_item_description",
    "InvoiceId": "bill_invoice_id",
    "InvoiceIssuerName": "bill_invoicing_entity",
    "RegionId": "product_region_code",
    "ResourceId": "line_item_resource_id",
    "ServiceProviderName": "line_item_legal_entity",
    "SkuId": "product_sku",
    "SkuMeter": "line_item_usage_type",
    "SkuPriceId": "pricing_rate_code",
    "SubAccountId": "line_item_usage_account_id",
    "SubAccountName": "line_item_usage_account_name",
    "Tags": "resource_tags",
    "x_CostCategories": "cost_category",
    "x_Discounts": "discount",
    "x_LineItemType": TYPE,
    "x_NetUnblendedCost": "line_item_net_unblended_cost",
    "x_Operation": "line_item_operation",
    "x_ServiceCode": _CODE,
    "x_TaxType": "line_item_tax_type",
    "x_TotalDiscount": "discount_total_discount",
    "x_UsageType": "line_item_usage_type",
}
"""FOCUS or ``x_`` column -> the report column that holds its values unchanged."""

_COMPUTED: Final = (
    "BilledCost", "ChargeCategory", "ChargeClass", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart",
    "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountStatus", "CommitmentDiscountType", "ConsumedQuantity",
    "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "HostProviderName", "ListCost", "ListUnitPrice",
    "PricingCategory", "PricingQuantity", "PricingUnit", "ServiceCategory", "ServiceName",
)  # fmt: skip

_READ_BESIDES: Final = (
    COST, TYPE, _USAGE_END, _USAGE_START, _RESERVATION, _PLAN, _RATE, _AMOUNT, _UNIT, "product", "pricing_public_on_demand_cost",
    "pricing_public_on_demand_rate", "pricing_purchase_option", "savings_plan_payment_option",
    "reservation_effective_cost", "reservation_unused_amortized_upfront_fee_for_billing_period",
    "reservation_unused_recurring_fee", "savings_plan_offering_type", "savings_plan_savings_plan_effective_cost",
    "savings_plan_total_commitment_to_date", "savings_plan_used_commitment",
)  # fmt: skip

_SUMMED: Final = pa.decimal256(54, 18)
"""Type with room for the sum of two amounts; `optiinfra_assets.line_items` decides whether the result can be stored."""


def mapping_of(names: Sequence[str], rounding: Rounding) -> CostAndUsage | None:
    """Returns the mapping of a file with these columns, or None if the file is not a Cost and Usage Report.

    Raises:
        LayoutRejected: the file is a report but lacks a mandatory column; names the columns.
    """
    return CostAndUsage(names, rounding) if TYPE in {name.lower() for name in names} else None


class CostAndUsage:
    """The `optiinfra_assets.providers.files.focus_files.FocusMapping` of a Cost and Usage Report."""

    def __init__(self, names: Sequence[str], rounding: Rounding) -> None:
        """Prepares for a file with the columns `names`; adds what it rounds to `rounding`. Raises LayoutRejected as `mapping_of`."""
        there = {name.lower(): name for name in names}
        missing = [name for name in _MANDATORY if name not in there]
        if missing:
            raise LayoutRejected(
                f"column {', '.join(missing)} is missing: the columns are taken for a Cost and Usage Report 2.0; export it with them"
            )
        self._rounding = rounding
        self._there = there
        self._as_they_are = {
            focus: name for focus, name in _AS_THEY_ARE.items() if name in there or not focus.startswith("x_")
        }
        self.names: Sequence[str] = [*self._as_they_are, *_COMPUTED]
        wanted = dict.fromkeys([*self._as_they_are.values(), *_READ_BESIDES])
        self.reads = [there[name] for name in wanted if name in there]
        texts = {
            TYPE,
            "line_item_currency_code",
            "bill_payer_account_id",
            "line_item_usage_account_id",
            _CODE,
        }
        self.repeated = {there[name] for name in texts if name in there}
        self.delivered: Mapping[str, str] = {}

    def to_focus(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Returns the same rows with the FOCUS columns `self.names`. A RejectedValue names the column of the report."""
        return _Batch(batch, self._there, self._rounding).to_focus(self._as_they_are)

    def period_starts(self, batch: pa.RecordBatch) -> pa.Array:
        """Returns the column BillingPeriodStart of the same rows."""
        return batch.column(self._there[_PERIOD_START])


class _Batch:
    """One batch of the report."""

    def __init__(self, batch: pa.RecordBatch, there: Mapping[str, str], rounding: Rounding) -> None:
        self._batch = batch
        self._there = there
        self._rounding = rounding
        self._type = dictionary_decoded(self._raw(TYPE))

    def to_focus(self, as_they_are: Mapping[str, str]) -> pa.RecordBatch:
        columns = {focus: self._empty_as_null(name) for focus, name in as_they_are.items()}
        columns |= self._costs() | self._charge() | self._period() | self._what()
        return pa.RecordBatch.from_arrays(
            [columns[name] for name in [*as_they_are, *_COMPUTED]], names=[*as_they_are, *_COMPUTED]
        )

    def _raw(self, name: str, kind: pa.DataType = TEXT) -> pa.Array:
        """Returns a column as delivered, or nulls if the batch does not have it."""
        delivered = self._there.get(name)
        if delivered is None or delivered not in self._batch.schema.names:
            return pa.nulls(self._batch.num_rows, kind)
        return self._batch.column(delivered)

    def _empty_as_null(self, name: str) -> pa.Array:
        values = self._raw(name)
        return empty_as_null(values) if is_text(values.type) else values

    def _text(self, name: str) -> pa.Array:
        return dictionary_decoded(self._empty_as_null(name))

    def _number(self, name: str) -> pa.Array:
        with self._naming(name):
            return to_decimals(self._raw(name), self._rounding)

    def _is(self, *types: str) -> pa.Array:
        return pc.fill_null(pc.is_in(self._type, pa.array(types)), False)

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        try:
            yield
        except RejectedValue as refused:
            refused.column = self._there.get(name, name)
            raise

    def _of_type(self, convert: Callable[[str], str]) -> pa.Array:
        with self._naming(TYPE):
            return map_distinct(self._type, convert, TEXT)

    def _costs(self) -> dict[str, pa.Array]:
        billed = self._number(COST)
        is_usage = self._is("Usage")
        has_no_price = self._is(
            "Credit", "Tax"
        )  # FOCUS: list and contracted cost of such a charge equal the billed cost
        rate, amount = self._number(_RATE), self._number(_AMOUNT)
        return {
            "BilledCost": billed,
            "EffectiveCost": self._effective(billed),
            "ListCost": pc.if_else(has_no_price, billed, self._number("pricing_public_on_demand_cost")),
            "ListUnitPrice": self._number("pricing_public_on_demand_rate"),
            "ContractedCost": pc.if_else(pc.or_(is_usage, has_no_price), billed, None),
            "ContractedUnitPrice": pc.if_else(is_usage, rate, None),
            **self._quantities(amount),
        }

    def _quantities(self, amount: pa.Array) -> dict[str, pa.Array]:
        is_used = self._is("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage")
        unit = self._text(_UNIT)
        return {
            "ConsumedQuantity": pc.if_else(is_used, amount, None),
            "ConsumedUnit": pc.if_else(is_used, unit, None),
            "PricingQuantity": amount,
            "PricingUnit": unit,
        }

    def _effective(self, billed: pa.Array) -> pa.Array:
        reserved, planned = self._is("DiscountedUsage"), self._is("SavingsPlanCoveredUsage")
        reserved_fee, planned_fee = self._is("RIFee"), self._is("SavingsPlanRecurringFee")
        is_advance = pc.or_(
            pc.or_(self._is("SavingsPlanNegation", "SavingsPlanUpfrontFee"), self._gives_back_advance()),
            pc.and_(self._is("Fee"), self._text(_RESERVATION).is_valid()),
        )
        choices = (
            (reserved, self._needed("reservation_effective_cost", reserved)),
            (planned, self._needed("savings_plan_savings_plan_effective_cost", planned)),
            (reserved_fee, self._unused_reservation()),
            (planned_fee, self._unused_plan(planned_fee)),
            (is_advance, pa.repeat(_nothing(), len(billed))),
        )
        effective = billed.cast(_SUMMED)
        for is_it, value in choices:
            if first_true(is_it) is not None:
                effective = pc.if_else(is_it, value.cast(_SUMMED), effective)
        return effective

    def _gives_back_purchase(self) -> pa.Array:
        """Returns for each row whether it refunds a savings plan or a reservation."""
        is_refund = pc.fill_null(self._of_type(lambda type_: "yes" if is_refund_type(type_) else "no"), "no")
        is_plan = map_distinct(
            pc.fill_null(self._text(_CODE), ""), lambda code: "yes" if is_plan_code(code) else "no", TEXT
        )
        has_arn = pc.or_(self._text(_RESERVATION).is_valid(), self._text(_PLAN).is_valid())
        return pc.and_(pc.equal(is_refund, "yes"), pc.or_(has_arn, pc.equal(is_plan, "yes")))

    def _gives_back_advance(self) -> pa.Array:
        options = (self._text("savings_plan_payment_option"), self._text("pricing_purchase_option"))
        is_paid_later = pc.fill_null(pc.equal(pc.coalesce(*options), "No Upfront"), False)
        return pc.and_(self._gives_back_purchase(), pc.invert(is_paid_later))

    def _needed(self, name: str, where: pa.Array) -> pa.Array:
        """Returns a number column; raises RejectedValue if it is null in a row where `where` is true."""
        values = self._number(name)
        missing = first_true(pc.and_(where, values.is_null()))
        if missing is not None:
            raise RejectedValue(
                missing, None, f"{ACCEPTED} (this is {self._type[missing]})", self._there.get(name, name)
            )
        return values

    def _unused_reservation(self) -> pa.Array:
        fees = [
            pc.fill_null(self._number(name), _nothing()).cast(_SUMMED)
            for name in (
                "reservation_unused_amortized_upfront_fee_for_billing_period",
                "reservation_unused_recurring_fee",
            )
        ]
        return pc.add(*fees)

    def _unused_plan(self, where: pa.Array) -> pa.Array:
        committed = self._needed("savings_plan_total_commitment_to_date", where)
        used = self._needed("savings_plan_used_commitment", where)
        return pc.subtract(committed.cast(_SUMMED), used.cast(_SUMMED))

    def _charge(self) -> dict[str, pa.Array]:
        reservation, plan = self._text(_RESERVATION), self._text(_PLAN)
        is_covered = self._is("DiscountedUsage", "SavingsPlanCoveredUsage")
        is_spot = pc.fill_null(pc.match_substring(self._text("line_item_usage_type"), "SpotUsage"), False)
        kinds = pc.make_struct(is_covered, pc.and_(self._is("Usage"), is_spot), self._is("Usage"))
        return {
            "ChargeCategory": pc.if_else(self._gives_back_purchase(), "Purchase", self._of_type(charge_category)),
            "ChargeFrequency": self._of_type(charge_frequency),
            "CommitmentDiscountId": pc.coalesce(reservation, plan),
            "CommitmentDiscountCategory": _chosen(reservation, "Usage", plan, "Spend"),
            "CommitmentDiscountType": pc.coalesce(
                pc.if_else(reservation.is_valid(), "Reserved Instance", None),
                pc.if_else(
                    plan.is_valid(),
                    pc.fill_null(self._text("savings_plan_offering_type"), "Savings Plan"),
                    None,
                ),
            ),
            "CommitmentDiscountStatus": pc.if_else(is_covered, "Used", None),
            "PricingCategory": pc.case_when(kinds, "Committed", "Dynamic", "Standard"),
        }

    def _period(self) -> dict[str, pa.Array]:
        """Returns the charge period columns. A credit or refund for days before the bill's period is a correction of an earlier bill."""
        with self._naming(_USAGE_START):
            start = to_timestamps(self._raw(_USAGE_START))
        with self._naming(_USAGE_END):
            end = to_timestamps(self._raw(_USAGE_END))
        with self._naming(_PERIOD_START):
            is_earlier = pc.less(start, to_timestamps(self._raw(_PERIOD_START)))
        is_correction = pc.and_(self._is("Credit", "Refund", "CreditMemo"), pc.fill_null(is_earlier, False))
        is_inclusive = pc.fill_null(pc.equal(pc.second(end), 59), False)  # fees and taxes end at 23:59:59
        return {
            "ChargePeriodStart": start,
            "ChargePeriodEnd": pc.if_else(is_inclusive, pc.add(end, _second()), end),
            "ChargeClass": pc.if_else(is_correction, "Correction", None),
        }

    def _what(self) -> dict[str, pa.Array]:
        code = self._text(_CODE)
        with self._naming("product"):
            product = to_tag_maps(self._raw("product"))
        name = pc.coalesce(pc.map_lookup(product, pa.scalar("product_name"), "first"), code)
        return {
            "HostProviderName": pa.repeat("AWS", len(code)),
            "ServiceName": name,
            "ServiceCategory": map_distinct(name, service_category, TEXT),
        }


def _chosen(first: pa.Array, if_first: str, second: pa.Array, if_second: str) -> pa.Array:
    """Returns `if_first` where `first` has a value, else `if_second` where `second` has one, else null."""
    return pc.coalesce(pc.if_else(first.is_valid(), if_first, None), pc.if_else(second.is_valid(), if_second, None))


# Made on first use, not on import: pyarrow imports pandas to make a scalar, which would slow down every start of the API.
@cache
def _nothing() -> pa.Scalar:
    return pa.scalar(0, pa.int64()).cast(DECIMAL)


@cache
def _second() -> pa.Scalar:
    return pa.scalar(1, pa.duration("s"))
