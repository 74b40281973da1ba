"""Provider focus on an ``s3://`` prefix, through boto3 against a real S3 server on loopback."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import boto3
import pytest
from loopback import served
from moto.server import ThreadedMotoServer

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import (
    BadData,
    ContractChanged,
    CredentialRejected,
    NothingThere,
    ProviderError,
    Throttled,
    Transient,
    Unreachable,
)
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import LineItemStream
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext
from optiinfra_assets.providers.files import location as files
from optiinfra_assets.providers.files.location import FileVersion
from optiinfra_assets.providers.files.s3 import S3Location
from optiinfra_assets.providers.http import boto_client
from tests.focus_samples import account, columns, csv_text, random_rows, row, write_csv, write_parquet

FOCUS = PROVIDERS["focus"]
SEPTEMBER = BillingPeriod(2024, 9)
SECRET = "wJalrXUtnFEMI-planted"
TOKEN = "FwoGZXIvYXdzEPLANTEDTOKEN/of+a+session=="
NOW = datetime(2024, 10, 2, 12, tzinfo=UTC)
NEEDED = r"s3:ListBucket on arn:aws:s3:::costs and s3:GetObject on arn:aws:s3:::costs/focus/\*"


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
    boto_client.kept_client.cache_clear()
    client = boto3.client("s3", endpoint_url=server, region_name="us-east-1")
    client.create_bucket(Bucket="costs")
    yield client
    for found in client.list_objects_v2(Bucket="costs").get("Contents", ()):
        client.delete_object(Bucket="costs", Key=found["Key"])
    client.delete_bucket(Bucket="costs")


def at(server: str, location: str = "s3://costs/focus", **settings: str) -> Account:
    """An account whose files lie in the bucket."""
    return account(location, endpoint_url=server, region="us-east-1", **settings)


def collect(one: Account) -> tuple[list[dict[str, Any]], LineItemStream]:
    """All line items of September with their collection."""
    collection = FOCUS.collect(one, SEPTEMBER, patient()[0])
    return [item for batch in collection.batches for item in batch.to_pylist()], collection


def patient() -> tuple[ProviderContext, list[float]]:
    """A context that waits for nothing, and the seconds it was asked to wait."""
    waits: list[float] = []
    return ProviderContext(lambda: NOW, MemorySnapshots(), sleep=waits.append), waits


@dataclass(frozen=True)
class Reply:
    """One answer of a server."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "application/xml"


def refused(status: int, code: str, message: str = "no", **headers: str) -> Reply:
    """A refusal in S3's own form."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>", told)


def listing(*found: tuple[str, int, str]) -> Reply:
    """A list of keys with their sizes and ETags."""
    entries = "".join(
        f"<Contents><Key>{key}</Key><Size>{size}</Size><ETag>&quot;{etag}&quot;</ETag></Contents>"
        for key, size, etag in found
    )
    return Reply(200, f"<ListBucketResult>{entries}</ListBucketResult>")


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], Reply]) -> Iterator[str]:
    """A server that answers each request with what `answer` gives for it; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply = answer(self)
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(reply.body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(reply.body.encode())

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with served(Handler) as url:
        yield url


def in_turn(*replies: Reply) -> Callable[[BaseHTTPRequestHandler], Reply]:
    """One reply after the other, and the last for ever."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def bucket_at(url: str, context: ProviderContext) -> S3Location:
    """The prefix ``focus`` of the bucket."""
    calls = boto_client.BotoCalls(context, context.meter())
    return S3Location("s3://costs/focus", lambda: boto_client.kept_client("s3", "us-east-1", url), calls)


def test_all_kinds_of_files_under_a_prefix(s3: Any, server: str, tmp_path: Path) -> None:
    rows = random_rows(500, 3)
    s3.upload_file(str(write_csv(tmp_path / "a.csv", csv_text(rows, columns("1.2")))), "costs", "focus/2024/a.csv")
    s3.upload_file(str(write_csv(tmp_path / "b.csv.gz", csv_text(rows, columns("1.0")))), "costs", "focus/b.csv.gz")
    s3.upload_file(str(write_parquet(tmp_path / "c.parquet", rows, columns("1.3"))), "costs", "focus/c.parquet")
    s3.put_object(Bucket="costs", Key="focus/_SUCCESS", Body=b"")
    s3.put_object(Bucket="costs", Key="focus/_tmp/d.csv", Body=b"x")
    s3.put_object(Bucket="costs", Key="focus-old/e.csv", Body=b"another folder")
    found, collection = collect(at(server))
    sent = sorted(Decimal(str(one["BilledCost"])) for one in rows * 3)
    assert sorted(one["billed_cost"] for one in found) == sent
    assert [source["file"] for source in collection.sources] == ["2024/a.csv", "b.csv.gz", "c.parquet"]
    assert collection.sources[0]["version"] == s3.head_object(Bucket="costs", Key="focus/2024/a.csv")["ETag"].strip('"')
    assert collection.requests > 0
    assert collection.change_token == FOCUS.probe(at(server), {}, patient()[0]).tokens[SEPTEMBER]
    assert FOCUS.discover(at(server, "s3://costs/focus/")) == ["s3://costs/focus"]


def test_a_probe_with_nothing_new_makes_one_request(s3: Any, server: str) -> None:
    s3.put_object(Bucket="costs", Key="focus/a.csv", Body=csv_text([row()]).encode())
    before = FOCUS.probe(at(server), {})
    again = FOCUS.probe(at(server), before.tokens)
    assert (again.tokens, again.requests) == (before.tokens, 1)
    s3.put_object(Bucket="costs", Key="focus/a.csv", Body=csv_text([row(BilledCost="3")]).encode())
    assert FOCUS.probe(at(server), before.tokens).tokens[SEPTEMBER] != before.tokens[SEPTEMBER]


def test_a_listing_of_several_pages(s3: Any) -> None:
    def page(request: BaseHTTPRequestHandler) -> Reply:
        number = 2 if "continuation-token=more" in request.path else 1
        more = (
            "<IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>" if number == 1 else ""
        )
        found = f"<Key>focus/{number}.csv</Key><Size>9</Size><ETag>&quot;e{number}&quot;</ETag>"
        return Reply(200, f"<ListBucketResult>{more}<Contents>{found}</Contents></ListBucketResult>")

    with answering(page) as url:
        bucket = bucket_at(url, patient()[0])
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
    with pytest.raises(BadData, match=r"^s3://costs/focus/a\.csv: row 1 \(line 2\), column BilledCost: value '\$1'"):
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
    boto_client.kept_client.cache_clear()
    with pytest.raises(
        CredentialRejected,
        match=r"^s3://costs/focus: Unable to locate credentials: .* set credentials for this process, name a profile",
    ):
        collect(at(server))


def test_an_unknown_profile(server: str) -> None:
    with pytest.raises(
        CredentialRejected,
        match=r"^s3://costs/focus: .*profile \(nobody\) could not be found: .*, name a profile that exists, or sign in again",
    ):
        collect(at(server, profile="nobody"))


def test_a_server_that_does_not_answer_is_transient(s3: Any) -> None:
    context, waits = patient()
    with pytest.raises(Transient, match=r"^s3://costs/focus: no answer: Could not connect") as raised:
        FOCUS.probe(at("http://127.0.0.1:9"), {}, context)
    assert (waits, context.spent.requests) == ([0.5, 1.0, 2.0], 4)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "code", "kind", "advice"),
    [
        (403, "AccessDenied", CredentialRejected, rf"it needs: {NEEDED}$"),
        (403, "AllAccessDisabled", CredentialRejected, rf"it needs: {NEEDED}$"),
        (403, "AccountProblem", CredentialRejected, rf"it needs: {NEEDED}$"),
        (403, "UnauthorizedAccess", CredentialRejected, rf"it needs: {NEEDED}$"),
        (403, "SignatureDoesNotMatch", CredentialRejected, "connect again with a valid one"),
        (403, "InvalidAccessKeyId", CredentialRejected, "connect again with a valid one"),
        (400, "ExpiredToken", CredentialRejected, r"sign in again \(aws sso login\)"),
        (403, "RequestTimeTooSkewed", CredentialRejected, "check this machine's clock"),
        (409, "OperationAborted", Transient, "try again later"),
        (423, "Locked", Transient, "try again later"),
        (301, "PermanentRedirect", CredentialRejected, "check region and endpoint_url"),
        (400, "AuthorizationHeaderMalformed", CredentialRejected, "check region and endpoint_url"),
        (503, "SlowDown", Throttled, ""),
        (500, "InternalError", Transient, "try again later"),
        (400, "InvalidRequest", ContractChanged, "check region and endpoint_url"),
    ],
)
def test_the_answers_of_s3_by_what_to_do(s3: Any, status: int, code: str, kind: type[Exception], advice: str) -> None:
    with (
        answering(lambda _: refused(status, code)) as url,
        pytest.raises(kind, match=f"^s3://costs/focus: .*{code}: no.*{advice}") as raised,
    ):
        collect(at(url))
    assert type(raised.value) is kind
    assert SECRET not in str(raised.value)


def test_throttling_is_waited_for_and_every_attempt_counts(s3: Any) -> None:
    context, waits = patient()
    slow = refused(503, "SlowDown")
    with answering(in_turn(slow, slow, listing())) as url, pytest.raises(NothingThere, match="no file named"):
        FOCUS.probe(at(url), {}, context)
    assert (waits, context.spent.requests) == ([0.5, 1.0], 3)


def test_a_store_that_says_how_long_to_wait_is_believed(s3: Any) -> None:
    context, waits = patient()
    with (
        answering(in_turn(refused(503, "SlowDown", Retry_After="3"), listing())) as url,
        pytest.raises(NothingThere),
    ):
        FOCUS.probe(at(url), {}, context)
    assert waits == [3.0]
    with (
        answering(lambda _: refused(503, "SlowDown", Retry_After="120")) as url,
        pytest.raises(Throttled) as raised,
    ):
        FOCUS.probe(at(url), {}, context)
    assert raised.value.until == NOW + timedelta(seconds=120)
    assert waits == [3.0], "whoever asks for so much gets it where nobody holds a worker for it"


def test_an_expired_token_is_refused_once(s3: Any) -> None:
    context, waits = patient()
    expired = refused(400, "ExpiredToken", "The provided token has expired.")
    with (
        answering(lambda _: expired) as url,
        pytest.raises(CredentialRejected, match="has expired") as raised,
    ):
        FOCUS.probe(at(url), {}, context)
    assert type(raised.value) is CredentialRejected
    assert (waits, context.spent.requests) == ([], 1)


def test_what_a_probe_and_a_collection_ask_is_metered(s3: Any, server: str) -> None:
    s3.put_object(Bucket="costs", Key="focus/a.csv", Body=csv_text([row(BilledCost="3")]).encode())
    context = ProviderContext(lambda: SEPTEMBER.start + timedelta(minutes=30), MemorySnapshots())
    probe = FOCUS.probe(at(server), {}, context)
    assert context.spent.requests == probe.requests > 0
    collection = FOCUS.collect(at(server), SEPTEMBER, context)
    list(collection.batches)
    assert context.spent.requests == probe.requests + collection.requests
    assert collection.data_through == context.clock(), "though the charge ends later"


WELL_FORMED = "<html><head><title>Sign in</title></head><body><p>Welcome</p></body></html>"
NOT_XML = "<!DOCTYPE html>\n<html><body><br>Sign in to the network</body></html>"


@pytest.mark.parametrize(
    ("page", "kind", "message"),
    [
        (WELL_FORMED, Unreachable, "a web page came in place of data: a proxy.*endpoint_url"),
        (NOT_XML, Transient, "the provider failed"),  # the SDK takes it for an error of the service
    ],
    ids=["well-formed", "not XML"],
)
def test_the_page_of_a_proxy_is_never_an_empty_bucket(s3: Any, page: str, kind: type[Exception], message: str) -> None:
    with (
        answering(lambda _: Reply(200, page, kind="text/html")) as url,
        pytest.raises(kind, match=message) as raised,
    ):
        FOCUS.probe(at(url), {}, patient()[0])
    assert type(raised.value) is kind


def test_the_page_of_a_proxy_is_never_an_object(s3: Any) -> None:
    def answer(request: BaseHTTPRequestHandler) -> Reply:
        is_list = "list-type" in request.path
        return listing(("focus/a.csv", 9, "e1")) if is_list else Reply(200, WELL_FORMED, kind="text/html")

    with answering(answer) as url:
        bucket = bucket_at(url, patient()[0])
        (file,) = bucket.files()
        for ask in (
            lambda: bucket.current("a.csv"),
            lambda: bucket.fetched("a.csv"),
            lambda: bucket.open(file).read(9),
        ):
            with pytest.raises(
                Transient, match=r"^s3://costs/focus/a.csv: the answer is not that of the provider: a proxy"
            ):
                ask()


@pytest.mark.parametrize("page", [WELL_FORMED, NOT_XML], ids=["well-formed", "not XML"])
def test_the_page_of_a_proxy_that_cannot_reach_the_store_is_transient(s3: Any, page: str) -> None:
    context, waits = patient()
    with (
        answering(lambda _: Reply(502, page, kind="text/html")) as url,
        pytest.raises(Transient, match=r"^s3://costs/focus: the provider failed \(502"),
    ):
        FOCUS.probe(at(url), {}, context)
    assert waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_store_that_does_not_know_conditions_gives_no_byte_of_another_version(s3: Any, name: str) -> None:
    def answer(request: BaseHTTPRequestHandler) -> Reply:
        if "list-type" in request.path:
            return listing((f"focus/{name}", 9, "old"))
        return Reply(200, "x" * 9, {"ETag": '"new"'}, "text/csv")

    with answering(answer) as url:
        bucket = bucket_at(url, patient()[0])
        (file,) = bucket.files()
        with pytest.raises(Transient, match=r"is gone or changed while it was read"):
            bucket.open(file).read(9)


def test_an_address_that_sends_elsewhere_is_told_and_not_followed_for_ever(s3: Any) -> None:
    """As of an ``http`` address that is served under ``https``: the SDK would ask for the bucket's region until its stack is full."""
    asked = []

    def answer(request: BaseHTTPRequestHandler) -> Reply:
        asked.append(request.command)
        return Reply(302, WELL_FORMED, {"Location": f"http://127.0.0.1:9{request.path}"}, "text/html")

    with (
        answering(answer) as url,
        pytest.raises(Transient, match=r"^s3://costs/focus: answered with status 302: .*check .* endpoint_url"),
    ):
        FOCUS.probe(at(url), {}, patient()[0])
    assert asked == ["GET", "HEAD"]


def test_no_secret_that_was_sent_comes_back_in_an_error(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy may show the headers of the request it refuses; those hold the token of a session."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    boto_client.kept_client.cache_clear()
    signatures = []

    def answer(request: BaseHTTPRequestHandler) -> Reply:
        signatures.append(request.headers["Authorization"])
        assert request.headers["X-Amz-Security-Token"] == TOKEN
        return refused(403, "AccessDenied", f"{TOKEN} {request.headers['Authorization']}")

    with answering(answer) as url, pytest.raises(ProviderError, match=r"AccessDenied: \*\*\*") as raised:
        FOCUS.probe(at(url), {}, patient()[0])
    shown = "".join(traceback.format_exception(raised.value))
    assert [secret for secret in (SECRET, TOKEN, *signatures) if secret in shown] == []


class Spans:
    """A store with one object of ten bytes, of which one answer is short though it announces all that it sends."""

    def __init__(self, name: str, short: int) -> None:
        self.name = name
        self.short = short
        self.asked: list[str | None] = []

    def answer(self, request: BaseHTTPRequestHandler) -> Reply:
        if "list-type" in request.path:
            return listing((f"focus/{self.name}", 10, "e1"))
        self.asked.append(request.headers["Range"])
        first, _, last = (request.headers["Range"] or "bytes=0-9").removeprefix("bytes=").partition("-")
        end = int(last) + (len(self.asked) - 1 != self.short)
        return Reply(206, "0123456789"[int(first) : end], {"ETag": '"e1"'}, "text/csv")


def test_a_span_that_breaks_off_is_asked_for_again(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large Parquet file exactly what is wanted is asked for."""
    monkeypatch.setattr(files, "SPAN_BYTES", 4)
    context, waits = patient()
    store = Spans("a.parquet", short=0)
    with answering(store.answer) as url:
        bucket = bucket_at(url, context)
        (file,) = bucket.files()
        with bucket.open(file) as opened:
            opened.seek(4)
            assert opened.read(3) == b"456"
            assert opened.read() == b"789"
            assert opened.read(3) == b""
    assert store.asked == ["bytes=4-6", "bytes=4-6", "bytes=7-9"]
    assert (waits, bucket.requests) == ([0.5], 4)


def test_a_stream_that_breaks_off_goes_on_where_it_was(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SPAN_BYTES", 4)
    context, waits = patient()
    store = Spans("a.csv", short=1)
    with answering(store.answer) as url:
        bucket = bucket_at(url, context)
        (file,) = bucket.files()
        with bucket.open(file) as opened:
            assert [opened.read(3) for _ in range(5)] == [b"012", b"345", b"678", b"9", b""]
    assert store.asked == ["bytes=0-3", "bytes=4-7", "bytes=4-7", "bytes=8-9"]
    assert (waits, bucket.requests) == ([0.5], 5)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_small_file_is_read_with_one_request(s3: Any, name: str) -> None:
    store = Spans(name, short=-1)
    with answering(store.answer) as url:
        bucket = bucket_at(url, patient()[0])
        (file,) = bucket.files()
        with bucket.open(file) as opened:
            opened.seek(7)
            assert opened.read(3) == b"789"
            opened.seek(0)
            assert opened.read(9) == b"012345678"
    assert store.asked == ["bytes=7-9", None]
