"""A delivery with all its datasets: BillingPeriod closes months, InvoiceDetail states invoices, and costs are as ever."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optiinfra_assets.analytics.reconciliation import MonthState, reconcile
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.commitments import Commitment
from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.domain.invoices import InvoicePart, InvoiceStatement
from optiinfra_assets.domain.reconciliations import ChargeGroup
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import LineItemStream
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext, utc_now
from tests.focus_samples import Row, account, columns, csv_text, row, write_csv

FOCUS = PROVIDERS["focus"]
SEPTEMBER, OCTOBER = BillingPeriod(2024, 9), BillingPeriod(2024, 10)
PERIOD = {
    "BillingPeriodCreated": "2024-09-01T00:00:00Z",
    "BillingPeriodEnd": "2024-10-01T00:00:00Z",
    "BillingPeriodLastUpdated": "2024-10-05T00:00:00Z",
    "BillingPeriodStart": "2024-09-01T00:00:00Z",
    "BillingPeriodStatus": "Closed",
    "InvoiceIssuerName": "Issuer",
}
DETAIL = {
    "BilledCost": "10.00",
    "BillingAccountId": "1",
    "BillingCurrency": "USD",
    "BillingPeriodEnd": "2024-10-01T00:00:00Z",
    "BillingPeriodStart": "2024-09-01T00:00:00Z",
    "ChargeCategory": "Usage",
    "InvoiceDetailCreated": "2024-10-05T00:00:00Z",
    "InvoiceDetailDescription": None,
    "InvoiceDetailGrain": '{"ServiceName": "Machines"}',
    "InvoiceDetailId": "d-1",
    "InvoiceDetailLastUpdated": "2024-10-05T00:00:00Z",
    "InvoiceId": "I-1",
    "InvoiceIssueDate": "2024-10-05T00:00:00Z",
    "InvoiceIssueStatus": "Issued",
    "InvoiceIssuerName": "Issuer",
    "PaymentDueDate": "2024-11-04T00:00:00Z",
    "PaymentTerms": "Net 30",
    "ReferenceInvoiceId": "I-1",
}


COMMITMENT = {
    "BillingCurrency": "USD",
    "ContractCommitmentCategory": "Spend",
    "ContractCommitmentCost": "120000.50",
    "ContractCommitmentDescription": "A year",
    "ContractCommitmentId": "c-1",
    "ContractCommitmentPeriodEnd": "2025-09-01T00:00:00Z",
    "ContractCommitmentPeriodStart": "2024-09-01T00:00:00Z",
    "ContractCommitmentQuantity": None,
    "ContractCommitmentType": "Enterprise agreement",
    "ContractCommitmentUnit": None,
    "ContractId": "k-1",
    "ContractPeriodEnd": "2027-09-01T00:00:00Z",
    "ContractPeriodStart": "2024-09-01T00:00:00Z",
}
"""With the columns of FOCUS 1.3."""


def context() -> ProviderContext:
    """The environment of an account."""
    return ProviderContext(utc_now, MemorySnapshots())


def collected(folder: Path, period: BillingPeriod = SEPTEMBER) -> LineItemStream:
    """A collection, read to its end."""
    stream = FOCUS.collect(account(folder), period, context())
    assert sum(batch.num_rows for batch in stream.batches)
    return stream


def stated(folder: Path, period: BillingPeriod = SEPTEMBER) -> InvoiceStatement:
    """What is stated of the invoices of a month."""
    statement: InvoiceStatement = FOCUS.invoices(account(folder), period, context())  # type: ignore[attr-defined]
    return statement


def delivery(folder: Path, periods: list[Row], details: list[Row]) -> None:
    """A delivery of FOCUS 1.4: costs, the two datasets, one that is not used, and something else."""
    costs = [row(InvoiceId="I-1", BilledCost="10"), row(InvoiceId="I-1", BilledCost="1.9", ChargeCategory="Tax")]
    write_csv(folder / "CostAndUsage" / "a.csv", csv_text(costs, columns("1.4")))
    write_csv(folder / "BillingPeriod" / "a.csv.gz", csv_text(periods, list(PERIOD)))
    write_csv(folder / "InvoiceDetail" / "a.csv", csv_text(details, list(DETAIL)))
    write_csv(folder / "ContractCommitment" / "a.csv", csv_text([COMMITMENT], list(COMMITMENT)))
    write_csv(folder / "notes.csv", "a,b\n1,2\n")


def test_a_delivery_with_all_its_datasets_is_one_account(tmp_path: Path) -> None:
    tax = DETAIL | {"ChargeCategory": "Tax", "BilledCost": "1.90", "InvoiceDetailGrain": None}
    memo = {"InvoiceId": "M-1", "BilledCost": "-5", "ReferenceInvoiceId": "I-1", "ChargeCategory": "Credit"}
    late = {"BillingPeriodStart": "2024-10-01T00:00:00Z", "InvoiceId": "I-2", "InvoiceIssueStatus": "Open"}
    more = DETAIL | {"BilledCost": "0.000000000000000001"}
    delivery(tmp_path, [PERIOD], [DETAIL, more, tax, DETAIL | memo, DETAIL | late])
    assert set(FOCUS.probe(account(tmp_path), {}, context()).tokens) == {SEPTEMBER}
    stream = collected(tmp_path)
    assert (stream.is_final, stream.data_through) == (True, SEPTEMBER.end)
    (note,) = stream.warnings
    assert note.message.startswith(f"skipped: {tmp_path}/notes.csv: ")
    statement = stated(tmp_path)
    assert [source["file"] for source in statement.sources] == ["InvoiceDetail/a.csv"]
    first, second = statement.invoices
    assert (first.invoice_id, first.total, first.tax) == ("I-1", Decimal("11.900000000000000001"), Decimal("1.90"))
    assert first.parts == (
        InvoicePart("Tax", Decimal("1.9")),
        InvoicePart("Usage", Decimal("10.000000000000000001"), "Machines"),
    )
    assert (first.issued_at, first.due_on) == (datetime(2024, 10, 5, tzinfo=UTC), date(2024, 11, 4))
    assert (first.status, first.corrects, first.issuer, first.currency) == ("Issued", "", "Issuer", "USD")
    assert (second.invoice_id, second.total, second.corrects) == ("M-1", Decimal(-5), "I-1")
    (third,) = stated(tmp_path, OCTOBER).invoices
    assert (third.invoice_id, third.status) == ("I-2", "Open")


def test_a_detail_that_is_delivered_again_counts_as_it_was_changed_last(tmp_path: Path) -> None:
    """An open invoice is issued in a later file; another detail of it is voided, and one that has no id stays."""
    issued = {"InvoiceDetailLastUpdated": "2024-10-07T00:00:00Z"}
    voided = {"InvoiceDetailId": "d-2", "BilledCost": "4", "InvoiceIssueStatus": "Voided"}
    plain = {"InvoiceDetailId": None, "BilledCost": "3", **issued}
    delivery(tmp_path, [PERIOD], [DETAIL | {"InvoiceIssueStatus": "Open", "BilledCost": "9"}, DETAIL | plain])
    again = [DETAIL | issued, DETAIL | voided, DETAIL | {"InvoiceDetailId": "d-3"}]
    write_csv(tmp_path / "InvoiceDetail" / "b.csv", csv_text(again, list(DETAIL)))
    (found,) = stated(tmp_path).invoices
    assert (found.status, found.total) == ("Issued", Decimal(23))
    assert found.parts == (InvoicePart("Usage", Decimal(23), "Machines"),)


@pytest.mark.parametrize(
    ("changes", "is_closed"),
    [
        ([{}], True),
        ([{"BillingPeriodStatus": "Open"}], False),
        ([{}, {"InvoiceIssuerName": "Other", "BillingPeriodStatus": "Open"}], False),
        ([{"BillingPeriodStatus": "Open", "BillingPeriodLastUpdated": "2024-09-02"}, {}], True),
        ([{}, {"BillingPeriodStatus": "Open", "BillingPeriodLastUpdated": "2024-10-06"}], False),
        ([{"BillingPeriodStart": "2024-10-01T00:00:00Z"}], False),
        ([], False),
    ],
)
def test_a_month_is_closed_when_every_issuer_says_so_last(
    tmp_path: Path, changes: list[dict[str, Any]], is_closed: bool
) -> None:
    delivery(tmp_path, [PERIOD | {"BillingPeriodStatus": "Open"}], [])
    before = FOCUS.probe(account(tmp_path), {}, context()).tokens[SEPTEMBER]
    delivery(tmp_path, [PERIOD | one for one in changes], [])
    after = FOCUS.probe(account(tmp_path), {}, context()).tokens[SEPTEMBER]
    assert (before.endswith(", closed"), after.endswith(", closed")) == (False, is_closed)
    stream = collected(tmp_path)
    assert (stream.is_final, stream.change_token.endswith(", closed")) == (is_closed, is_closed)


def test_datasets_are_read_from_parquet_and_with_other_spellings(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row()], columns("1.4")))
    typed = {
        name: pa.array([Decimal("12.5")], pa.decimal128(20, 6))
        if name == "BilledCost"
        else pa.array([datetime.fromisoformat(str(value))], pa.timestamp("us", "UTC"))
        if str(value).endswith("T00:00:00Z")
        else pa.array([value], pa.string())
        for name, value in DETAIL.items()
    }
    pq.write_table(pa.table(typed), tmp_path / "invoices.parquet")
    lower = csv_text([PERIOD], list(PERIOD)).replace("BillingPeriodStatus", "billing_period_status")
    write_csv(tmp_path / "periods.csv", lower)
    assert [one.total for one in stated(tmp_path).invoices] == [Decimal("12.5")]
    assert collected(tmp_path).is_final


def test_without_the_dataset_nothing_is_stated(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", csv_text([row()], columns("1.4")))
    statement = stated(tmp_path)
    assert statement.invoices == ()
    assert statement.not_stated == "there is no FOCUS dataset InvoiceDetail among the files: record the invoices"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"BilledCost": "$1"}, r"row 2 \(line 3\), column BilledCost: value '\$1' is not accepted: a number"),
        ({"BillingCurrency": "Euro"}, "column BillingCurrency: value 'Euro' is not accepted: a currency code"),
        ({"ChargeCategory": "Fee"}, "column ChargeCategory: value 'Fee' is not accepted: one of Usage, Purchase"),
        (
            {"InvoiceIssueStatus": "Paid"},
            "column InvoiceIssueStatus: value 'Paid' is not accepted: one of Open, Issued, Voided",
        ),
        ({"BillingPeriodStart": "soon"}, "column BillingPeriodStart: value 'soon' is not accepted"),
        ({"InvoiceId": None}, "column InvoiceId: value null is not accepted: a value in every row"),
    ],
)
def test_an_invoice_that_is_not_accepted_is_named_and_stops_no_costs(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    delivery(tmp_path, [PERIOD], [DETAIL, DETAIL | changes])
    with pytest.raises(BadData, match=rf"InvoiceDetail/a\.csv: .*{said}"):
        stated(tmp_path)
    assert collected(tmp_path).is_final


def test_billing_periods_that_cannot_be_read_close_nothing_and_are_named(tmp_path: Path) -> None:
    delivery(tmp_path, [PERIOD, PERIOD | {"BillingPeriodStatus": "Done"}], [])
    stream = collected(tmp_path)
    assert not stream.is_final
    (one,) = [one for one in stream.warnings if "closes no month" in one.message]
    assert (
        "row 2 (line 3), column BillingPeriodStatus: value 'Done' is not accepted: one of Open, Closed" in one.message
    )


def test_commitments_of_both_versions_are_read_each_as_it_was_changed_last(tmp_path: Path) -> None:
    delivery(tmp_path, [], [])
    newer = COMMITMENT | {
        "ContractCommitmentId": "c-2",
        "ContractCommitmentLastUpdated": "2024-10-02T00:00:00Z",
        "ContractCommitmentLifecycleStatus": "Active",
        "ContractCommitmentDiscountPercentage": "0.17",
        "ContractCommitmentPaymentModel": "No Upfront",
        "ServiceProviderName": "Cloud",
        "InvoiceIssuerName": "Issuer",
    }
    older = newer | {"ContractCommitmentLastUpdated": "2024-10-01", "ContractCommitmentLifecycleStatus": "Pending"}
    write_csv(tmp_path / "c.csv", csv_text([newer, older], list(newer)))
    first, second = FOCUS.commitments(account(tmp_path), context())  # type: ignore[attr-defined]
    assert (first.commitment_id, first.cost, first.currency) == ("c-1", Decimal("120000.50"), "USD")
    assert (first.status, first.discount_share, first.issuer) == (None, None, None)
    assert (second.commitment_id, second.status, second.discount_share) == ("c-2", "Active", Decimal("0.17"))
    assert (second.period_end, second.contract_end) == (
        datetime(2025, 9, 1, tzinfo=UTC),
        datetime(2027, 9, 1, tzinfo=UTC),
    )
    assert Commitment.of(json.loads(json.dumps(second.content()))) == second
    write_csv(tmp_path / "c.csv", csv_text([newer | {"ContractCommitmentCategory": "Other"}], list(newer)))
    said = "column ContractCommitmentCategory: value 'Other' is not accepted: one of Spend, Usage"
    with pytest.raises(BadData, match=said):
        FOCUS.commitments(account(tmp_path), context())  # type: ignore[attr-defined]
    assert collected(tmp_path).change_token


@pytest.mark.parametrize(("billed", "status"), [("10.00", "RECONCILED"), ("5.00", "MISMATCH")])
def test_costs_are_compared_with_the_invoices_beside_them(tmp_path: Path, billed: str, status: str) -> None:
    tax = DETAIL | {"ChargeCategory": "Tax", "BilledCost": "1.90", "InvoiceDetailGrain": None}
    delivery(tmp_path, [PERIOD], [DETAIL | {"BilledCost": billed}, tax])
    stream = FOCUS.collect(account(tmp_path), SEPTEMBER, context())
    items = [one for batch in stream.batches for one in batch.to_pylist()]
    groups = [
        ChargeGroup(
            one["invoice_issuer_name"],
            one["billing_currency"],
            one["invoice_id"],
            one["charge_category"],
            one["service_name"],
            one["charge_period_start"].date(),
            one["billed_cost"],
            1,
        )
        for one in items
    ]
    month = MonthState(SEPTEMBER, utc_now(), stream.is_final, {})
    (found,) = reconcile(groups, stated(tmp_path), month)
    assert (found.status.name, found.difference) == (status, Decimal(10) - Decimal(billed))
