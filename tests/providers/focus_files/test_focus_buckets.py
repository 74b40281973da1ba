"""Provider focus on an ``s3://`` prefix, through boto3 against a real S3 server on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import BadData, CredentialRejected, NothingThere, Transient
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import Collection
from optiinfra_assets.providers.files import s3 as objects
from optiinfra_assets.providers.files.location import FileVersion
from optiinfra_assets.providers.files.s3 import Bucket
from tests.focus_samples import account, columns, csv_text, random_rows, row, write_csv, write_parquet

FOCUS = PROVIDERS["focus"]
SEPTEMBER = BillingPeriod(2024, 9)
SECRET = "wJalrXUtnFEMI-planted"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=port)
    running.start()
    yield f"http://127.0.0.1:{port}"
    running.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 with one empty bucket, ``costs``; credentials in the environment, as the default chain finds them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPLANTED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    objects.client.cache_clear()
    client = boto3.client("s3", endpoint_url=server, region_name="us-east-1")
    client.create_bucket(Bucket="costs")
    yield client
    for found in client.list_objects_v2(Bucket="costs").get("Contents", ()):
        client.delete_object(Bucket="costs", Key=found["Key"])
    client.delete_bucket(Bucket="costs")


def at(server: str, location: str = "s3://costs/focus", **settings: str) -> Account:
    """An account whose files lie in the bucket."""
    return account(location, endpoint_url=server, region="us-east-1", **settings)


def collect(one: Account) -> tuple[list[dict[str, Any]], Collection]:
    """All line items of September with their collection."""
    collection = FOCUS.collect(one, SEPTEMBER)
    return [item for batch in collection.batches for item in batch.to_pylist()], collection


@contextmanager
def answering(answer: Callable[[str], tuple[int, str]]) -> Iterator[str]:
    """A server that answers each GET with the status and XML that `answer` gives for its target; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}"
    finally:
        running.shutdown()
        running.server_close()


def test_all_kinds_of_files_under_a_prefix(s3: Any, server: str, tmp_path: Path) -> None:
    rows = random_rows(500, 3)
    s3.upload_file(
        str(write_csv(tmp_path / "a.csv", csv_text(rows, columns("1.2")))), "costs", "focus/2024/a.csv"
    )
    s3.upload_file(
        str(write_csv(tmp_path / "b.csv.gz", csv_text(rows, columns("1.0")))), "costs", "focus/b.csv.gz"
    )
    s3.upload_file(
        str(write_parquet(tmp_path / "c.parquet", rows, columns("1.3"))), "costs", "focus/c.parquet"
    )
    s3.put_object(Bucket="costs", Key="focus/_SUCCESS", Body=b"")
    s3.put_object(Bucket="costs", Key="focus/_tmp/d.csv", Body=b"x")
    s3.put_object(Bucket="costs", Key="focus-old/e.csv", Body=b"another folder")
    found, collection = collect(at(server))
    sent = sorted(Decimal(str(one["BilledCost"])) for one in rows * 3)
    assert sorted(one["billed_cost"] for one in found) == sent
    assert [source["file"] for source in collection.sources] == ["2024/a.csv", "b.csv.gz", "c.parquet"]
    assert collection.sources[0]["version"] == s3.head_object(Bucket="costs", Key="focus/2024/a.csv")[
        "ETag"
    ].strip('"')
    assert collection.requests > 0
    assert collection.change_token == FOCUS.probe(at(server), {}).tokens[SEPTEMBER]
    assert FOCUS.discover(at(server, "s3://costs/focus/")) == ["s3://costs/focus"]


def test_a_probe_with_nothing_new_makes_one_request(s3: Any, server: str) -> None:
    s3.put_object(Bucket="costs", Key="focus/a.csv", Body=csv_text([row()]).encode())
    before = FOCUS.probe(at(server), {})
    again = FOCUS.probe(at(server), before.tokens)
    assert (again.tokens, again.requests) == (before.tokens, 1)
    s3.put_object(Bucket="costs", Key="focus/a.csv", Body=csv_text([row(BilledCost="3")]).encode())
    assert FOCUS.probe(at(server), before.tokens).tokens[SEPTEMBER] != before.tokens[SEPTEMBER]


def test_a_listing_of_several_pages(s3: Any) -> None:
    def page(target: str) -> tuple[int, str]:
        number = 2 if "continuation-token=more" in target else 1
        more = (
            "<IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>"
            if number == 1
            else ""
        )
        found = f"<Key>focus/{number}.csv</Key><Size>9</Size><ETag>&quot;e{number}&quot;</ETag>"
        return 200, f"<ListBucketResult>{more}<Contents>{found}</Contents></ListBucketResult>"

    with answering(page) as url:
        bucket = Bucket("s3://costs/focus", url, "us-east-1", None)
        assert bucket.files() == [FileVersion("1.csv", 9, "e1"), FileVersion("2.csv", 9, "e2")]
        assert bucket.requests == 2


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_an_object_that_changes_while_it_is_read(s3: Any, server: str, tmp_path: Path, name: str) -> None:
    def upload(seed: int) -> None:
        rows = random_rows(3000, seed)
        path = tmp_path / name
        if name.endswith("csv"):
            write_csv(path, csv_text(rows, columns("1.2")))
        else:
            write_parquet(path, rows, columns("1.2"))
        s3.upload_file(str(path), "costs", f"focus/{name}")

    upload(1)
    collection = FOCUS.collect(at(server), SEPTEMBER)
    upload(2)
    with pytest.raises(Transient, match=rf"s3://costs/focus/{name}: .*changed while it was read"):
        list(collection.batches)


def test_a_bad_value_is_named_with_the_address_of_its_object(s3: Any, server: str) -> None:
    s3.put_object(Bucket="costs", Key="focus/a.csv", Body=csv_text([row(BilledCost="$1")]).encode())
    with pytest.raises(
        BadData, match=r"^s3://costs/focus/a\.csv: row 1 \(line 2\), column BilledCost: value '\$1'"
    ):
        collect(at(server))


def test_an_empty_prefix_and_a_missing_bucket_are_never_an_answer(s3: Any, server: str) -> None:
    with pytest.raises(NothingThere, match=r"^s3://costs/focus: no file named"):
        collect(at(server))
    with pytest.raises(NothingThere, match=r"^s3://gone/x: there is no bucket gone"):
        FOCUS.probe(at(server, "s3://gone/x"), {})


def test_no_credentials(s3: Any, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    objects.client.cache_clear()
    with pytest.raises(
        CredentialRejected, match=r"^s3://costs/focus: Unable to locate credentials: set AWS credentials"
    ):
        collect(at(server))


def test_an_unknown_profile(server: str) -> None:
    with pytest.raises(
        CredentialRejected, match="profile \\(nobody\\) could not be found: set AWS credentials"
    ):
        collect(at(server, profile="nobody"))


def test_a_server_that_does_not_answer_is_transient(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_CONFIG", Config(retries={"total_max_attempts": 1}))
    with pytest.raises(Transient, match=r"^s3://costs/focus: .*Could not connect") as raised:
        collect(at("http://127.0.0.1:9"))
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", CredentialRejected),
        (403, "SignatureDoesNotMatch", CredentialRejected),
        (400, "ExpiredToken", CredentialRejected),
        (301, "PermanentRedirect", CredentialRejected),
        (400, "AuthorizationHeaderMalformed", CredentialRejected),
        (503, "SlowDown", Transient),
        (500, "InternalError", Transient),
        (400, "InvalidRequest", BadData),
    ],
)
def test_the_answers_of_s3_by_what_to_do(
    s3: Any, monkeypatch: pytest.MonkeyPatch, status: int, code: str, kind: type[Exception]
) -> None:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    monkeypatch.setattr(objects, "_CONFIG", Config(retries={"total_max_attempts": 1}))
    with (
        answering(lambda _: (status, body)) as url,
        pytest.raises(kind, match=f"^s3://costs/focus: S3 answered {code}") as raised,
    ):
        collect(at(url))
    assert SECRET not in str(raised.value)
