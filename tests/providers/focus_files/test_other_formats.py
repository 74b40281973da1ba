"""Cost files of clouds that are not FOCUS: named for what they are, with what to connect instead; never "wait"."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from focus_samples import account, csv_text, row, write_csv

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.providers.context import transient_context
from optiinfra_assets.providers.focus_files.provider import FocusFiles

LEGACY_CUR = "identity/LineItemId,bill/BillingPeriodStartDate,lineItem/UsageStartDate,lineItem/UnblendedCost,lineItem/CurrencyCode"
CUR_2 = "bill_billing_period_start_date,line_item_usage_start_date,line_item_unblended_cost,line_item_currency_code,bill_payer_account_name"
MCA = "invoiceId,billingAccountId,date,meterCategory,meterId,costInBillingCurrency,costInPricingCurrency,billingCurrency,ResourceId"
EA = "InvoiceSectionName,SubscriptionId,Date,MeterCategory,MeterId,Quantity,EffectivePrice,CostInBillingCurrency,BillingCurrencyCode"
OLD_EA = (
    "AccountOwnerId,Account Name,SubscriptionId,Date,Meter Category,Consumed Quantity,ResourceRate,ExtendedCost,Tags"
)
PAY_AS_YOU_GO = (
    "SubscriptionGuid,ResourceGroup,UsageDateTime,MeterCategory,MeterId,UsageQuantity,ResourceRate,PreTaxCost,Currency"
)
OLD_DETAILS = "SubscriptionId,UsageDate,MeterName,Quantity,Cost,CostUSD,Currency"
GCP = "billing_account_id,service.id,service.description,usage_start_time,usage_end_time,cost,currency,cost_type,export_time"
GCP_FLAT = "billing_account_id,service_description,usage_start_time,usage_end_time,cost,currency,invoice_month"
GCP_OLD = "Account ID,Line Item,Start Time,End Time,Project,Measurement1,Measurement1 Total Consumption,Cost,Currency"
DIGITALOCEAN = "product,group_description,description,hours,start,end,USD,project_name,category"

FORMATS = [
    (LEGACY_CUR, "legacy Cost and Usage Report of AWS", "connect aws --export"),
    (CUR_2, "a Cost and Usage Report of AWS", "connect aws --export"),
    *(
        (one, "classic cost export of Azure", "connect azure --export-url")
        for one in (MCA, EA, OLD_EA, PAY_AS_YOU_GO, OLD_DETAILS)
    ),
    *((one, "BigQuery export of Google Cloud Billing", "connect gcp --table") for one in (GCP, GCP_FLAT)),
    (GCP_OLD, "old daily file of Google Cloud Billing", "connect gcp --table"),
    (DIGITALOCEAN, "an invoice of DigitalOcean", "connect digitalocean"),
]


def refusal(folder: Path) -> str:
    """Both ways in which connecting meets the file say the same."""
    said = []
    for ask in (
        lambda: FocusFiles().discover(account(folder)),
        lambda: FocusFiles().probe(account(folder), {}, transient_context()),
    ):
        with pytest.raises(BadData) as caught:
            ask()
        said.append(str(caught.value))
    assert said[1].startswith(said[0])
    return said[1]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(("names", "title", "instead"), FORMATS)
def test_a_format_of_a_cloud_is_named_with_what_to_connect(
    tmp_path: Path, names: str, title: str, instead: str, kind: str
) -> None:
    columns = names.split(",")
    if kind == "csv":
        (tmp_path / "costs.csv").write_text(f"{names}\n{','.join('1' for _ in columns)}\n")
    else:
        pq.write_table(pa.table({name: ["1"] for name in columns}), tmp_path / "costs.parquet")
    said = refusal(tmp_path)
    assert title in said
    assert instead in said
    assert "24 hours" not in said
    assert "update OptiInfra" not in said


def test_a_nested_bigquery_export_is_recognized(tmp_path: Path) -> None:
    table = {
        "billing_account_id": ["1"],
        "service": [{"id": "a", "description": "b"}],
        "usage_start_time": ["1"],
        "cost": [1.0],
    }
    pq.write_table(pa.table(table), tmp_path / "costs.parquet")
    assert "BigQuery export of Google Cloud Billing" in refusal(tmp_path)


def test_beside_focus_files_it_is_skipped_with_its_name(tmp_path: Path) -> None:
    write_csv(tmp_path / "focus.csv", csv_text([row()]))
    (tmp_path / "usage.csv").write_text(f"{PAY_AS_YOU_GO}\n1,1,1,1,1,1,1,1,1\n")
    found = FocusFiles().probe(account(tmp_path), {}, transient_context())
    assert list(found.tokens) == [BillingPeriod(2024, 9)]
    (warning,) = found.warnings
    assert warning.code == "file-skipped"
    assert "classic cost export of Azure" in str(warning)


def test_focus_columns_of_a_cloud_are_no_format_of_its_own(tmp_path: Path) -> None:
    """Exports of Azure and Google in FOCUS keep some of the old names, with x_."""
    write_csv(
        tmp_path / "focus.csv", csv_text([row(x_SkuMeterCategory="VM", x_MeterId="1", x_Date="2024-09-01", x_Cost="1")])
    )
    assert FocusFiles().discover(account(tmp_path)) == [str(tmp_path)]


def test_two_runs_of_a_month_are_told_from_a_missing_delivery(tmp_path: Path) -> None:
    for run in ("11111111-2222", "33333333-4444"):
        folder = tmp_path / "daily" / "20240901-20240930" / run
        folder.mkdir(parents=True)
        write_csv(folder / "part_0_0001.csv", csv_text([row()]))
    said = refusal(tmp_path)
    assert "holds two runs of an export, 11111111-2222 and 33333333-4444" in said
    assert "24 hours" not in said
