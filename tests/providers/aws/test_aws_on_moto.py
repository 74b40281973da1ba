"""AWS through boto3 against somebody else's idea of its services: moto's S3, STS, Organizations and Cost Explorer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import boto3
import httpx
import pytest
from life import at
from moto.server import ThreadedMotoServer

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import NothingThere, Transient
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext
from optiinfra_assets.simulators.world.world import SimulatedClock
from tests.focus_samples import columns, csv_text, row

AWS = PROVIDERS["aws"]
JUNE = BillingPeriod(2026, 6)
PAYER = "123456789012"
SECRETS = {"access_key_id": "AKIAPLANTED", "secret_access_key": "planted"}
FOLDER = "exports/costs"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(autouse=True)
def fresh(server: str) -> None:
    httpx.post(f"{server}/moto-api/reset", trust_env=False)


def client(server: str, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server,
        region_name="us-east-1",
        aws_access_key_id="AKIAPLANTED",
        aws_secret_access_key="planted",
    )


def account(server: str, **settings: str) -> Account:
    return Account("acme.main", "acme", "aws", {"endpoint_url": server, **settings}, SECRETS)


def context() -> ProviderContext:
    return ProviderContext(SimulatedClock(at(7, 20, 12)), MemorySnapshots(), sleep=lambda seconds: None)


def items_of(one: Account, period: BillingPeriod) -> list[dict[str, Any]]:
    collection = AWS.collect(one, period, context())
    return [item for batch in collection.batches for item in batch.to_pylist()]


def written(server: str, *costs: str) -> None:
    """A run of an export with one file for each cost."""
    s3 = client(server, "s3")
    keys = []
    for number, cost in enumerate(costs):
        key = f"{FOLDER}/data/BILLING_PERIOD=2026-06/run/costs-{number:05d}.csv"
        june = {"BillingPeriodStart": "2026-06-01T00:00:00Z", "BillingPeriodEnd": "2026-07-01T00:00:00Z"}
        text = csv_text([row(BilledCost=cost, **june)], columns("1.2"))
        s3.put_object(Bucket="costs", Key=key, Body=text.encode())
        keys.append({"s3Uri": f"s3://costs/{key}", "size": len(text)})
    manifest = json.dumps({"executionId": "run", "dataFiles": keys})
    s3.put_object(
        Bucket="costs",
        Key=f"{FOLDER}/metadata/BILLING_PERIOD=2026-06/costs-Manifest.json",
        Body=manifest.encode(),
    )


def test_an_export_is_found_and_read(server: str) -> None:
    s3 = client(server, "s3")
    s3.create_bucket(Bucket="costs")
    one = account(server, export=f"s3://costs/{FOLDER}")
    with pytest.raises(NothingThere, match="has no manifest yet"):
        AWS.probe(one, {}, context())
    written(server, "1.5", "2.25")
    s3.put_object(Bucket="costs", Key=f"{FOLDER}/data/BILLING_PERIOD=2026-06/old/costs-00000.csv", Body=b"not read")
    before = AWS.probe(one, {}, context()).tokens
    assert list(before) == [JUNE]
    assert [item["billed_cost"] for item in items_of(one, JUNE)] == [Decimal("1.5"), Decimal("2.25")]
    assert AWS.discover(one) == [PAYER]
    written(server, "7")
    assert AWS.probe(one, {}, context()).tokens[JUNE] != before[JUNE]
    assert [item["billed_cost"] for item in items_of(one, JUNE)] == [Decimal(7)]


def test_an_assumed_role_and_an_organization(server: str) -> None:
    client(server, "s3").create_bucket(Bucket="costs")
    written(server, "1")
    role = client(server, "iam").create_role(RoleName="costs", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    one = account(server, export=f"s3://costs/{FOLDER}", role_arn=role, external_id="agreed")
    assert len(items_of(one, JUNE)) == 1
    client(server, "organizations").create_organization(FeatureSet="ALL")
    assert AWS.discover(one) == [f"{PAYER} master"]


def metrics(amount: str) -> dict[str, Any]:
    names = ("UnblendedCost", "NetUnblendedCost", "AmortizedCost", "NetAmortizedCost")
    return {name: {"Amount": amount, "Unit": "USD"} for name in names}


def bucket(day: int, total: dict[str, Any], groups: list[dict[str, Any]]) -> dict[str, Any]:
    """The costs of a day of June."""
    start = date(2026, 6, day)
    span = {"Start": str(start), "End": str(start + timedelta(days=1))}
    return {"TimePeriod": span, "Total": total, "Groups": groups, "Estimated": False}


def answer(groups: dict[tuple[str, ...], str] | str, **more: Any) -> dict[str, Any]:
    """An answer about June, whose 5th alone has costs."""
    if isinstance(groups, str):
        return {
            "ResultsByTime": [bucket(day, metrics(groups if day == 5 else "0"), []) for day in range(1, 31)],
            **more,
        }
    found = [{"Keys": list(keys), "Metrics": metrics(amount)} for keys, amount in groups.items()]
    return {"ResultsByTime": [bucket(5, {}, found)], **more}


def queue(server: str, *answers: dict[str, Any]) -> None:
    done = httpx.post(
        f"{server}/moto-api/static/ce/cost-and-usage-results",
        json={"results": list(answers)},
        trust_env=False,
    )
    assert done.status_code == 201


def test_cost_explorer_answers_page_by_page(server: str) -> None:
    names = [{"Value": PAYER, "Attributes": {"description": "payer"}}]
    queue(
        server,
        answer("10.0000000001"),
        answer({(PAYER, "Tax"): "1"}, NextPageToken="more"),
        answer({(PAYER, "Usage"): "9"}, DimensionValueAttributes=names),
        answer({("Tax", "NoRegion"): "1"}),
        answer({("AmazonS3", "us-east-1"): "4", ("AmazonEC2", "us-east-1"): "3"}, NextPageToken="more"),
        answer({("AmazonEC2", "global"): "2"}),
    )
    items = items_of(account(server), JUNE)
    names_of = ("service_name", "region_id", "charge_category", "billed_cost", "billing_account_name")
    assert [tuple(item[name] for name in names_of) for item in items] == [
        ("Tax", None, "Tax", Decimal(1), "payer"),
        ("AmazonS3", "us-east-1", "Usage", Decimal(4), "payer"),
        ("AmazonEC2", "us-east-1", "Usage", Decimal(3), "payer"),
        ("AmazonEC2", "global", "Usage", Decimal(2), "payer"),
    ]
    assert {item["billing_account_id"] for item in items} == {PAYER}


def test_cost_explorer_whose_groups_do_not_add_up(server: str) -> None:
    queue(server, answer("10"), answer({(PAYER, "Usage"): "9"}))
    with pytest.raises(Transient, match="2026-06-05, linked accounts and record types: the groups add up to 9"):
        items_of(account(server), JUNE)


def test_cost_explorer_with_nothing_to_tell(server: str) -> None:
    with pytest.raises(NothingThere, match="30 days were asked for, 2026-06-01 to 2026-06-30, and none was answered"):
        items_of(account(server), JUNE)
