"""The delivery of FOCUS files, in Dagster and by itself: once each, whole after a death, connected again, to a folder and to S3."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import logging
import multiprocessing
import os
import signal
import socket
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import httpx
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from orchestrated import Files, Platform

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.deliveries import MANIFEST, Delivery
from optiinfra_assets.domain.errors import BadData, ProviderError
from optiinfra_assets.ingestion.collect_slice import collect_slice
from optiinfra_assets.ingestion.delivering import DeliveryResult, deliver
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.orchestration.focus_export_assets import FOCUS_FILES
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.files import destination
from optiinfra_assets.providers.http import boto_client
from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.credential_audit import Actor
from optiinfra_assets.warehouse.warehouse import Warehouse

MONTHS = ("2026-09", "2026-10")
KEY = {"access_key_id": "AKIADELIVERY", "secret_access_key": "PLANTED-delivery-secret"}


@pytest.fixture
def published(platform: Platform, files: Files) -> Platform:
    """Two published months of one account."""
    files.write("september", "2026-09", ["1.5", "2"])
    files.write("october", "2026-10", ["0.25"])
    platform.add_account("acme.files", location=str(files.path))
    for month in MONTHS:
        collect(platform, month)
    return platform


def collect(platform: Platform, month: str, account_id: str = "acme.files") -> None:
    """Collect and publish a month, without Dagster."""
    account = platform.metadata.accounts.get(account_id)
    collect_slice(
        PROVIDERS["focus"],
        account,
        BillingPeriod.parse(month),
        warehouse=platform.warehouse,
        metadata=platform.metadata,
        run_id=uuid.uuid4().hex,
        log=logging.getLogger("test"),
    )


def run(platform: Platform, place: Delivery) -> DeliveryResult:
    """Deliver once."""
    return deliver(place, platform.metadata, platform.warehouse)


def listed(folder: Path) -> dict[str, bytes]:
    """The visible files of a folder by name, without the manifest."""
    found = {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}
    return {name: content for name, content in found.items() if name != MANIFEST}


def manifest(folder: Path) -> dict[str, Any]:
    """What the manifest says of each file."""
    files: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())["files"]
    return files


def test_each_generation_is_delivered_once_and_connected_again_it_is_the_same(
    published: Platform, files: Files, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    place = Delivery("acme", "disk", str(out), "1.2", "csv", has_x_columns=True)
    assert run(published, place) == DeliveryResult(2, 0, 0)
    first = listed(out)
    assert sorted(first) == ["acme.files/2026-09.csv.gz", "acme.files/2026-10.csv.gz"]
    for name, said in manifest(out).items():
        assert (said["sha256"], said["bytes"]) == (hashlib.sha256(first[name]).hexdigest(), len(first[name]))
        assert gzip.decompress(first[name]).count(b"\n") == said["line_items"] + 1
    assert manifest(out)["acme.files/2026-09.csv.gz"]["billed_cost"] == {"USD": "3.5"}
    assert run(published, place) == DeliveryResult(0, 0, 2)
    assert listed(out) == first

    published.metadata.customers.add("again")
    published.metadata.accounts.add(Account("again.files", "again", "focus", {"location": str(out)}))
    for month in MONTHS:
        collect(published, month, "again.files")
        slices = [Slice(one, "focus", f"{one}.files", BillingPeriod.parse(month)) for one in ("acme", "again")]
        ours, theirs = (published.warehouse.currents(slices)[one] for one in slices)
        assert ours.totals == theirs.totals
        assert ours.line_items == theirs.line_items

    files.write("october", "2026-10", ["0.25", "4"])
    collect(published, "2026-10")
    assert run(published, place) == DeliveryResult(1, 0, 1)
    assert manifest(out)["acme.files/2026-10.csv.gz"]["billed_cost"] == {"USD": "4.25"}
    as_parquet = Delivery("acme", "disk", str(out), "1.4", "parquet")
    assert run(published, as_parquet) == DeliveryResult(2, 0, 0)
    assert sorted(listed(out)) == sorted(manifest(out)) == ["acme.files/2026-09.parquet", "acme.files/2026-10.parquet"]
    files.remove("september")
    collect(published, "2026-09")
    assert run(published, as_parquet) == DeliveryResult(0, 1, 1)
    assert sorted(listed(out)) == sorted(manifest(out)) == ["acme.files/2026-10.parquet"]


def _die_while_writing(settings: Settings, place: Delivery) -> None:
    """Deliver in a process that ends when the first file is on the disk under its hidden name."""
    os.fsync = lambda _: os._exit(9)  # type: ignore[assignment]
    warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
    deliver(place, metadata, warehouse)


def test_a_process_that_dies_leaves_the_old_delivery_whole(published: Platform, files: Files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    place = Delivery("acme", "disk", str(out), format="csv")
    run(published, place)
    before, said = listed(out), manifest(out)
    files.write("october", "2026-10", ["7"])
    collect(published, "2026-10")
    dying = multiprocessing.get_context("spawn").Process(target=_die_while_writing, args=(published.settings, place))
    dying.start()
    dying.join(60)
    assert dying.exitcode == 9
    hidden = {name for name in listed(out) if Path(name).name.startswith(".")}
    assert len(hidden) == 1, "it died while it wrote"
    assert {name: content for name, content in listed(out).items() if name not in hidden} == before
    assert manifest(out) == said
    account = Account("x.files", "x", "focus", {"location": str(out)})
    assert sorted(map(str, PROVIDERS["focus"].probe(account, {}).tokens)) == list(MONTHS)  # type: ignore[call-arg]
    assert run(published, place) == DeliveryResult(1, 0, 1)
    assert sorted(listed(out)) == sorted(manifest(out))


def test_a_place_that_holds_other_files_is_refused(published: Platform, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "own.csv").write_text("a,b\n")
    with pytest.raises(BadData, match=r"holds files that no delivery wrote, such as own\.csv: use an empty place"):
        run(published, Delivery("acme", "disk", str(out)))
    (out / "own.csv").unlink()
    (out / MANIFEST).write_text("[]")
    with pytest.raises(BadData, match=r"manifest\.json: is not that of a delivery"):
        run(published, Delivery("acme", "disk", str(out)))


def test_the_asset_delivers_to_every_place_and_says_which_failed(published: Platform, tmp_path: Path) -> None:
    bad, good = tmp_path / "file", tmp_path / "good"
    bad.write_text("no folder")
    published.metadata.deliveries.add(Delivery("acme", "a-bad", str(bad)))
    published.metadata.deliveries.add(Delivery("acme", "good", str(good)))
    job = published.definitions.get_repository_def().get_job("__ASSET_JOB").get_subset(asset_selection={FOCUS_FILES})

    def executed() -> dg.ExecuteInProcessResult:
        return job.execute_in_process(instance=published.instance, raise_on_error=False)

    failed = executed()
    assert not failed.success
    (step,) = [one for one in failed.all_events if one.is_step_failure or one.event_type_value == "STEP_UP_FOR_RETRY"][
        :1
    ]
    assert "1 of 2 deliveries failed: acme/a-bad: " in str(step)
    assert len(manifest(good)) == 2
    published.metadata.deliveries.remove("acme/a-bad")
    (done,) = executed().asset_materializations_for_node("deliveries__focus")
    assert (done.metadata["files written"].value, done.metadata["files unchanged"].value) == (0, 2)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """An S3 on loopback with one bucket; this machine has no credential of its own."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    boto_client.kept_client.cache_clear()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=port)
    running.start()
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", **keys)
    httpx.post(f"http://127.0.0.1:{port}/moto-api/reset", trust_env=False)  # servers of one process share their buckets
    client.create_bucket(Bucket="lake")
    yield f"http://127.0.0.1:{port}", client
    running.stop()
    boto_client.kept_client.cache_clear()


def test_a_bucket_is_written_with_the_key_of_the_vault(
    published: Platform, files: Files, bucket: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, client = bucket
    place = Delivery("acme", "lake", "s3://lake/focus", region="us-east-1", endpoint_url=url)
    published.metadata.deliveries.add(place)
    with pytest.raises(ProviderError, match="connect with a key"):
        run(published, place)
    owner = Account(place.delivery_id, "acme", "delivery", place.settings())
    published.metadata.credentials.put(owner, KEY, Actor.here("test"))
    monkeypatch.setattr(destination, "PART_BYTES", 5 << 20)
    assert run(published, place) == DeliveryResult(2, 0, 0)
    assert run(published, place) == DeliveryResult(0, 0, 2)
    found = [one["Key"] for one in client.list_objects_v2(Bucket="lake")["Contents"]]
    assert found == ["focus/acme.files/2026-09.parquet", "focus/acme.files/2026-10.parquet", "focus/manifest.json"]
    said = json.loads(client.get_object(Bucket="lake", Key="focus/manifest.json")["Body"].read())["files"]
    body = client.get_object(Bucket="lake", Key=found[0])["Body"].read()
    assert said["acme.files/2026-09.parquet"]["sha256"] == hashlib.sha256(body).hexdigest()
    (used,) = {one.purpose for one in published.metadata.credentials.audit() if one.action == "reveal"}
    assert used == "deliver"

    published.metadata.credentials.rotate_keys(Actor.here("test"))
    files.remove("september")
    collect(published, "2026-09")
    assert run(published, place) == DeliveryResult(0, 1, 1)
    moved = Delivery("acme", "lake", "s3://lake/elsewhere", region="us-east-1", endpoint_url=url)
    with pytest.raises(ProviderError, match="was changed since it was read"):
        run(published, moved)


def test_a_large_object_goes_in_parts_and_appears_whole(
    tmp_path: Path, bucket: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, client = bucket
    monkeypatch.setattr(destination, "PART_BYTES", 5 << 20)
    content = os.urandom(11 << 20)
    (tmp_path / "large").write_bytes(content)
    from optiinfra_assets.ingestion.delivering import _destination
    from optiinfra_assets.providers.context import transient_context

    place = Delivery("acme", "lake", "s3://lake/focus", region="us-east-1", endpoint_url=url)
    _destination(place, KEY, transient_context()).replace("large.parquet", tmp_path / "large")
    assert client.get_object(Bucket="lake", Key="focus/large.parquet")["Body"].read() == content
    assert Decimal(client.head_object(Bucket="lake", Key="focus/large.parquet")["ContentLength"]) == len(content)


def _dying(requests: int) -> Callable[..., Any]:
    """A way to ask a bucket, which kills the process when it has had the answer to so many requests that write."""
    ask, answered = destination.BucketDestination._ask, count(1)

    def asked(place: destination.BucketDestination, name: str, operation: Callable[[], Any]) -> Any:
        found = ask(place, name, operation)
        if next(answered) == requests:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return asked


def _die_on_demand(settings: Settings, place: Delivery, part_bytes: int, asked: Connection) -> None:
    """For each number of requests that is asked for, deliver in a process that dies so; answer its exit code. -1 ends."""
    destination.PART_BYTES = part_bytes  # type: ignore[misc]
    while (requests := asked.recv()) >= 0:
        if (child := os.fork()) == 0:
            destination.BucketDestination._ask = _dying(requests)  # type: ignore[method-assign]
            deliver(place, Metadata.connect(settings), Warehouse.connect(settings))
            os._exit(0)
        asked.send(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def test_a_delivery_to_a_bucket_that_is_killed_anywhere_is_whole_and_goes_on(
    published: Platform, files: Files, bucket: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each request in turn: of the upload's beginning, its parts, its end, and the manifest."""
    url, client = bucket
    place = Delivery("acme", "lake", "s3://lake/focus", region="us-east-1", endpoint_url=url)
    published.metadata.deliveries.add(place)
    owner = Account(place.delivery_id, "acme", "delivery", place.settings())
    published.metadata.credentials.put(owner, KEY, Actor.here("test"))
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    assert run(published, place) == DeliveryResult(2, 0, 0)
    october = "acme.files/2026-10.parquet"

    def contents() -> dict[str, bytes]:
        found = client.list_objects_v2(Bucket="lake", Prefix="focus/")["Contents"]
        keys = [one["Key"] for one in found]
        return {key.removeprefix("focus/"): client.get_object(Bucket="lake", Key=key)["Body"].read() for key in keys}

    def costs(content: bytes) -> Decimal:
        return sum(pq.read_table(io.BytesIO(content))["BilledCost"].to_pylist(), Decimal(0))

    part_bytes = len(contents()[october]) * 2 // 3
    monkeypatch.setattr(destination, "PART_BYTES", part_bytes)
    ours, theirs = multiprocessing.Pipe()
    dying = multiprocessing.get_context("spawn").Process(
        target=_die_on_demand, args=(published.settings, place, part_bytes, theirs), daemon=True
    )
    dying.start()
    seen = []
    for requests in range(1, 7):
        before, old = contents(), Decimal(requests)
        files.write("october", "2026-10", [str(requests + 1)])
        collect(published, "2026-10")
        ours.send(requests)
        assert ours.poll(60)
        exit_code = ours.recv()
        after = contents()
        said = json.loads(after[MANIFEST])["files"]
        assert said.keys() == after.keys() - {MANIFEST}, "it names all that is there, and nothing else"
        assert costs(after["acme.files/2026-09.parquet"]) == Decimal("3.5")
        is_replaced, is_named = after[october] != before[october], after[MANIFEST] != before[MANIFEST]
        assert costs(after[october]) == (old + 1 if is_replaced else old if requests > 1 else Decimal("0.25"))
        assert (said[october]["sha256"] == hashlib.sha256(after[october]).hexdigest()) == (is_replaced == is_named)
        seen.append((exit_code, is_replaced, is_named))
        assert run(published, place) == (DeliveryResult(0, 0, 2) if is_named else DeliveryResult(1, 0, 1))
        done = contents()
        named = {name: one["sha256"] for name, one in json.loads(done.pop(MANIFEST))["files"].items()}
        assert named == {name: hashlib.sha256(content).hexdigest() for name, content in done.items()}
    ours.send(-1)
    dying.join(60)
    killed = -signal.SIGKILL
    assert seen == [(killed, False, False)] * 3 + [(killed, True, False), (killed, True, True), (0, True, True)]
