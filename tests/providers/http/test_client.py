"""The one way of talking HTTP, over real sockets: what becomes of each kind of answer, how long we wait, what may show in a message."""

from __future__ import annotations

import itertools
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_assets.domain.errors import (
    ContractChanged,
    CredentialRejected,
    ProviderError,
    ResourceNotFound,
    Throttled,
    Transient,
)
from optiinfra_assets.providers.context import MemorySnapshots, Meter, ProviderContext
from optiinfra_assets.providers.http.client import UNPACED, ApiResponse, Client, rate_limit_end, retry_after
from optiinfra_assets.providers.http.endpoint_policy import check_endpoint
from optiinfra_assets.providers.http.json_fields import JsonFields, parse_json
from optiinfra_assets.providers.http.pagination import Page, items
from optiinfra_assets.providers.http.redaction import bearer_header
from optiinfra_assets.providers.http.retry import PATIENCE, TRIES
from optiinfra_assets.providers.http.translation import no_answer
from optiinfra_assets.simulators.server.faults import (
    break_down,
    cut_short,
    delay,
    repeat_page,
    rewrite,
    say,
    throttle,
    truncate,
)
from optiinfra_assets.simulators.server.server import SimulatedCloud, SimulatedRequest, SimulatedResponse
from optiinfra_assets.simulators.world.scenario import Scenario
from optiinfra_assets.simulators.world.world import SimulatedClock, World

SECRET = "planted-secret-4711"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONEY = Decimal("12345678901234567890.123456789012345678")


class Shop(SimulatedCloud):
    """One value, and a list of seven numbers in pages of three."""

    def answer(self, request: SimulatedRequest) -> SimulatedResponse:
        if request.headers.get("authorization") != f"Bearer {self.secret}":
            return SimulatedResponse.of({"error": f"no such token: {request.headers.get('authorization')}"}, status=401)
        if request.path == "/money":
            return SimulatedResponse.of({"amount": MONEY, "nested": {"list": [{"n": 1}, {"n": 2}]}})
        begin = int(request.query.get("cursor") or 0)
        end = min(begin + 3, 7)
        numbers = [{"n": n} for n in range(begin, end)]
        return SimulatedResponse.of({"list": numbers, "next": str(end) if end < 7 else "", "total": 7})

    def throttled(self) -> SimulatedResponse:
        return SimulatedResponse.of({"error": "slow down"}, status=429, headers={"Retry-After": "2"})


@pytest.fixture
def shop() -> Iterator[Shop]:
    scenario = Scenario("nothing", NOW.date(), ())
    with Shop(World(scenario, SimulatedClock(NOW)), secret=SECRET) as cloud:
        yield cloud


class Waits:
    """Stands for `time.sleep`: remembers, and moves the simulated clock on."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.clock.advance(seconds=seconds)


@pytest.fixture
def waits(shop: Shop) -> Waits:
    clock = shop.world.clock
    assert isinstance(clock, SimulatedClock)
    return Waits(clock)


@pytest.fixture
def api(shop: Shop, waits: Waits) -> Iterator[Client]:
    context = ProviderContext(waits.clock, MemorySnapshots(), waits)
    headers = bearer_header("api_key", SECRET)
    with Client(shop.url, context, headers=headers, secrets=[SECRET], reason="error") as client:
        yield client


def money(api: Client) -> Decimal:
    return api.get("/money", permission="billing (read)").fields().money("amount")


def read_list(api: Client) -> list[int]:
    def read(cursor: str | None) -> Page[JsonFields]:
        params = {"cursor": cursor} if cursor else None
        fields = api.get("/list", params, permission="billing (read)").fields()
        return Page(fields.objects("list"), fields.text_or_none("next"), fields.whole("total"))

    return [fields.whole("n") for fields in items(read, "list")]


def test_money_comes_digit_by_digit(api: Client) -> None:
    answer = api.get("/money", permission="billing (read)")
    assert answer.fields().money("amount") == MONEY
    assert answer.asked_at == NOW
    assert [fields.whole("n") for fields in answer.fields().object("nested").objects("list")] == [1, 2]
    assert api.meter.requests == 1


def test_long_lists_are_read_at_the_pace_of_the_provider_after_the_first_requests(shop: Shop, waits: Waits) -> None:
    context = ProviderContext(waits.clock, MemorySnapshots(), waits)
    headers = bearer_header("api_key", SECRET)
    with Client(shop.url, context, headers=headers, secrets=[SECRET], pace=lambda _: 3.0) as client:
        for _ in range(UNPACED):
            money(client)
        assert waits.seconds == []
        money(client)
        assert waits.seconds == [3.0]


@pytest.mark.parametrize("fault", [throttle, break_down, truncate, cut_short], ids=lambda fault: fault.__name__)
def test_a_passing_fault_is_waited_out(shop: Shop, api: Client, waits: Waits, fault: object) -> None:
    shop.fail(fault(), times=2)  # type: ignore[operator]
    assert money(api) == MONEY
    assert waits.seconds == ([2, 2] if fault is throttle else [0.5, 1])
    assert api.meter.requests == 3, "requests that failed are charged too"


@pytest.mark.parametrize("fault", [break_down, truncate, cut_short], ids=lambda fault: fault.__name__)
def test_a_lasting_fault_is_transient(shop: Shop, api: Client, waits: Waits, fault: object) -> None:
    shop.fail(fault(), times=100)  # type: ignore[operator]
    with pytest.raises(Transient, match=r"GET 127\.0\.0\.1:\d+/money: .*; try again later"):
        money(api)
    assert api.meter.requests == TRIES
    assert waits.seconds == [0.5, 1, 2]


def test_a_long_wait_is_left_to_the_caller(shop: Shop, api: Client, waits: Waits) -> None:
    shop.fail(say(SimulatedResponse.of({"error": "slow down"}, status=429, headers={"Retry-After": "600"})))
    with pytest.raises(Throttled, match="too many requests") as raised:
        money(api)
    assert raised.value.until == NOW + timedelta(minutes=10)
    assert waits.seconds == []
    assert len(shop.asked) == 1


def test_short_waits_are_bounded_together(shop: Shop, api: Client, waits: Waits) -> None:
    shop.fail(say(SimulatedResponse.of({"error": "slow down"}, status=429, headers={"Retry-After": "6"})), times=9)
    with pytest.raises(Throttled) as raised:
        money(api)
    assert waits.seconds == [6]
    assert sum(waits.seconds) <= PATIENCE
    assert raised.value.until == NOW + timedelta(seconds=12)


def test_throttling_without_a_header_backs_off(shop: Shop, api: Client, waits: Waits) -> None:
    shop.fail(say(SimulatedResponse.of({"error": "slow down"}, status=429)), times=9)
    with pytest.raises(Throttled) as raised:
        money(api)
    assert waits.seconds == [0.5, 1, 2]
    assert raised.value.until == waits.clock() + timedelta(minutes=1)


def test_maintenance_that_says_until_when(shop: Shop, api: Client) -> None:
    headers = {"Retry-After": "Sun, 01 Mar 2026 13:00:00 GMT"}
    shop.fail(say(SimulatedResponse.of({"error": "maintenance"}, status=503, headers=headers)))
    with pytest.raises(Throttled) as raised:
        money(api)
    assert raised.value.until == NOW + timedelta(hours=1)


def test_a_rejected_credential_is_not_tried_again(shop: Shop, waits: Waits) -> None:
    context = ProviderContext(waits.clock, MemorySnapshots(), waits)
    with (
        Client(
            shop.url,
            context,
            headers=bearer_header("api_key", "another"),
            secrets=["another"],
            reason="error",
        ) as api,
        pytest.raises(CredentialRejected, match=r"not accepted \(401: no such token: Bearer \*\*\*\)"),
    ):
        money(api)
    assert len(shop.asked) == 1


def test_who_does_not_tell_a_missing_permission_from_a_wrong_credential_has_both_named(shop: Shop, api: Client) -> None:
    shop.fail(say(SimulatedResponse.of({"error": "not authorized"}, status=401)))
    with pytest.raises(CredentialRejected, match=r"a valid one; it needs: billing \(read\)"):
        money(api)


def test_the_providers_words_may_stand_anywhere_in_the_answer(shop: Shop, waits: Waits) -> None:
    def first(answer: ApiResponse) -> str:
        return answer.headers.get("x-said") or answer.fields().objects("errors")[0].text("reason")

    headers, context = (
        bearer_header("api_key", SECRET),
        ProviderContext(waits.clock, MemorySnapshots(), waits),
    )
    answers = [
        (
            SimulatedResponse.of({"errors": [{"reason": f"no, {SECRET}\nnever"}]}, status=403),
            r"403: no, \*\*\* never\)",
        ),
        (SimulatedResponse(403, b"", {"X-Said": "closed"}), r"403: closed\)"),
        (SimulatedResponse.of({"errors": [{"why": 1}]}, status=403), r"do this \(403\)"),
        (SimulatedResponse(403, b"<h"), r"do this \(403\)"),
    ]
    with Client(shop.url, context, headers=headers, secrets=[SECRET], reason=first) as client:
        for answer, message in answers:
            shop.fail(say(answer))
            with pytest.raises(CredentialRejected, match=message):
                client.get("/money", permission="billing (read)")


def test_a_missing_permission_is_named(shop: Shop, api: Client) -> None:
    shop.fail(say(SimulatedResponse.of({"error": "forbidden"}, status=403)))
    with pytest.raises(CredentialRejected, match=r"it needs: billing \(read\)"):
        money(api)


@pytest.mark.parametrize("status", [400, 404, 418])
def test_any_other_status_is_a_changed_contract(shop: Shop, api: Client, status: int) -> None:
    shop.fail(say(SimulatedResponse.of({"error": "elsewhere"}, status=status)))
    with pytest.raises(ContractChanged, match=f"status {status}: elsewhere"):
        money(api)
    assert len(shop.asked) == 1


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_resource_is_missing_only_where_the_status_says_so(shop: Shop, api: Client, status: int) -> None:
    shop.fail(say(SimulatedResponse.of({"error": "elsewhere"}, status=status)))
    with pytest.raises(ContractChanged) as raised:
        money(api)
    assert isinstance(raised.value, ResourceNotFound) is (status == 404)


@pytest.mark.parametrize("status", [301, 302, 307, 407])
def test_a_redirect_is_a_proxys_answer_and_is_not_followed(shop: Shop, api: Client, status: int) -> None:
    """Following it would carry the credential to whoever it names."""
    elsewhere = {"Location": "http://127.0.0.1:1/"}
    shop.fail(say(SimulatedResponse.of({"error": "elsewhere"}, status=status, headers=elsewhere)), times=9)
    with pytest.raises(
        Transient, match=rf"answered with status {status}: elsewhere, as a proxy or a sign-in page does"
    ):
        money(api)
    assert len(shop.asked) == 1


@pytest.mark.parametrize("status", [408, 409, 412, 421, 423, 424, 425, 500, 503])
def test_what_may_pass_is_tried_again(shop: Shop, api: Client, status: int) -> None:
    shop.fail(say(SimulatedResponse.of({"error": "not now"}, status=status)), times=2)
    assert money(api) == MONEY
    shop.fail(say(SimulatedResponse.of({"error": "not now"}, status=status)), times=9)
    with pytest.raises(Transient, match=rf"the provider failed \({status}: not now\)"):
        money(api)


@pytest.mark.parametrize("status", [200, 401, 403, 404])
@pytest.mark.parametrize(
    "page", [b"<html><body>sign in</body></html>", b"\n<!DOCTYPE html><title>no</title>", b"<HEAD></HEAD>"]
)
def test_a_web_page_is_a_proxys_answer_in_plain_words(shop: Shop, api: Client, status: int, page: bytes) -> None:
    shop.fail(say(SimulatedResponse(status, page, {"Content-Type": "application/json"})), times=9)
    with pytest.raises(Transient, match="a web page came in place of data: a proxy") as raised:
        money(api)
    assert "update OptiInfra" not in str(raised.value)
    assert len(shop.asked) == 1


def test_an_empty_body_is_a_broken_answer(shop: Shop, api: Client) -> None:
    shop.fail(say(SimulatedResponse(200, b"", {"Content-Type": "application/json"})), times=9)
    with pytest.raises(Transient, match="broke off after 0 bytes"):
        money(api)


@pytest.mark.parametrize(
    "said",
    [
        "RequestTimeTooSkewed: The difference between the request time and the current time is too large",
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values",
        "AADSTS700024: Client assertion is not within its valid time range",
        "Signature not yet current: 20261130T000000Z is still later than 20261129T000000Z",
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_wrong_clock_is_said_so(shop: Shop, api: Client, status: int, said: str) -> None:
    shop.fail(say(SimulatedResponse.of({"error": said}, status=status)))
    with pytest.raises(CredentialRejected, match="check this machine's clock"):
        money(api)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("[Errno -2] Name or service not known", "the DNS of this machine"),
        ("[Errno -3] Temporary failure in name resolution", "the DNS of this machine"),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid",
            "this machine's clock",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate",
            "let this machine trust",
        ),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "whether a proxy stands in between"),
        ("Connection refused", "try again later"),
    ],
)
def test_no_answer_has_its_remedy(said: str, remedy: str) -> None:
    assert remedy in str(no_answer("GET /money", said))


def test_nobody_listens(waits: Waits) -> None:
    context = ProviderContext(waits.clock, MemorySnapshots(), waits)
    with (
        Client("http://127.0.0.1:9", context, headers=bearer_header("api_key", SECRET), secrets=[SECRET]) as api,
        pytest.raises(Transient, match="Connection refused"),
    ):
        money(api)


def test_a_slow_answer_times_out(shop: Shop, api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api._client, "timeout", 0.05)
    shop.fail(delay(0.3), times=TRIES)
    with pytest.raises(Transient, match="no answer in time"):
        money(api)


def test_an_answer_that_never_ends_is_given_up(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optiinfra_assets.providers.http.client.DEADLINE", -1.0)
    with pytest.raises(Transient, match="no answer in time"):
        money(api)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"amount"', '"total"', "amount: is missing: a number"),
        (str(MONEY), '"twelve"', "amount: value 'twelve' is not accepted: a number"),
        (str(MONEY), "NaN", "JSON in UTF-8 was expected"),
        (str(MONEY), "1E99", "value '1E[+]99' is not accepted"),
        (str(MONEY), "true", "value 'True' is not accepted"),
        (str(MONEY), "null", "value null is not accepted"),
        ('{"amount"', '<amount>"amount"', "JSON was expected"),
        ('{"amount":', '{"amount"?', "JSON was expected, not what stands at character 9"),
    ],
)
def test_a_changed_contract_names_field_and_value(shop: Shop, api: Client, old: str, new: str, message: str) -> None:
    shop.fail(rewrite(old, new))
    with pytest.raises(ContractChanged, match=message):
        money(api)


@pytest.mark.parametrize(
    ("largest", "beyond"),
    [
        ("9" * 20, "1" + "0" * 20),
        ("-" + "9" * 20 + ".9", "-" + "9" * 40),
        ("1E19", "1E20"),
        ("0." + "0" * 59 + "1", "0." + "0" * 60 + "1"),
        ("1E-60", "1E-61"),
    ],
    ids=[
        "20 integer digits",
        "40 integer digits",
        "with exponent",
        "60 fraction digits",
        "small with exponent",
    ],
)
def test_money_is_of_a_size_that_money_can_have(shop: Shop, api: Client, largest: str, beyond: str) -> None:
    """Written as a number or as text: at most 20 integer and 60 fraction digits."""
    for number, quote in itertools.product((largest, beyond), ("", '"')):
        shop.fail(rewrite(str(MONEY), f"{quote}{number}{quote}"))
        if number == largest:
            assert money(api) == Decimal(largest)
            continue
        with pytest.raises(
            ContractChanged, match="is not accepted: a number of at most 20 integer and 60 fraction digits"
        ):
            money(api)


def test_a_field_inside_a_list_is_named_with_its_place(shop: Shop, api: Client) -> None:
    shop.fail(rewrite('{"n":2}', '{"n":"x","more":[]}'))
    inner = api.get("/money", permission="").fields().object("nested").objects("list")
    with pytest.raises(ContractChanged, match=r"/money: nested.list\[1\].n: value 'x' is not accepted: a number"):
        inner[1].whole("n")


def test_all_pages_are_read(shop: Shop, api: Client) -> None:
    assert read_list(api) == list(range(7))
    assert len(shop.asked) == 3


def test_a_repeated_page_is_refused(shop: Shop, api: Client) -> None:
    pages = 0

    def second_repeats(cloud: SimulatedCloud, request: SimulatedRequest, answer: object) -> SimulatedResponse:
        nonlocal pages
        pages += 1
        return repeat_page()(cloud, request, shop.answer) if pages > 1 else shop.answer(request)

    shop.fail(second_repeats, times=100)
    with pytest.raises(Transient, match="same page again"):
        read_list(api)
    assert len(shop.asked) == 2


def test_an_unannounced_empty_page_is_refused(shop: Shop, api: Client) -> None:
    shop.fail(say(SimulatedResponse.of({"list": [], "next": "3", "total": 7})))
    with pytest.raises(Transient, match="empty page after 0 items though more is announced"):
        read_list(api)


def test_a_list_shorter_than_announced_is_refused(shop: Shop, api: Client) -> None:
    shop.fail(rewrite('"next":"3"', '"next":""'))
    with pytest.raises(Transient, match="3 items came though 7 are announced"):
        read_list(api)


@pytest.mark.parametrize("announced", [0, 6, 8])
def test_a_list_of_another_length_than_announced_is_refused(shop: Shop, api: Client, announced: int) -> None:
    shop.fail(rewrite('"total":7', f'"total":{announced}'), times=3)
    with pytest.raises(Transient, match=f"7 items came though {announced} are announced"):
        read_list(api)


@given(st.lists(st.integers(), max_size=30), st.integers(1, 9))
def test_any_page_size_gives_the_whole_list(values: list[int], size: int) -> None:
    def read(token: str | None) -> Page[int]:
        begin = int(token or 0)
        end = begin + size
        return Page(values[begin:end], str(end) if end < len(values) else None, len(values))

    assert list(items(read, "numbers")) == values


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("7", NOW + timedelta(seconds=7)),
        ("Sun, 01 Mar 2026 12:00:30 GMT", NOW + timedelta(seconds=30)),
        ("99999999999", NOW + timedelta(days=1)),
        ("soon", None),
        ("", None),
        ("-1", None),
    ],
)
def test_retry_after(text: str, until: datetime | None) -> None:
    assert retry_after({"retry-after": text}, NOW) == until


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ftp://127.0.0.1",
        "https://",
        "https://user@example.com",
        "https://example.com/?key=1",
        "http://127.0.0.1.example.com",
        "https://example.com:0",
        "https://example.com:99999",
        "https://example.com:x",
    ],
)
def test_credentials_go_nowhere_unsafe(url: str) -> None:
    with pytest.raises(ValueError, match=r"https address|[Pp]ort"):
        check_endpoint(url)


@pytest.mark.parametrize("url", ["https://example.com/v2/", "http://127.0.0.1:80/v2", "http://[::1]:8080"])
def test_safe_endpoints(url: str) -> None:
    assert check_endpoint(url) == url.rstrip("/")


@pytest.mark.parametrize("token", ["", "with\nline end", "with space", "wïth accent"])
def test_a_token_that_cannot_be_sent_is_not_shown(token: str) -> None:
    with pytest.raises(CredentialRejected, match="api_key: not a token") as raised:
        bearer_header("api_key", token)
    assert not token or token not in str(raised.value)


def test_a_secret_in_an_address_is_refused_before_it_is_sent(shop: Shop, api: Client) -> None:
    with pytest.raises(ValueError, match="a secret stands in the address"):
        api.get("/money", {"key": SECRET}, permission="")
    assert shop.asked == []


def test_no_error_and_no_log_shows_the_secret(shop: Shop, api: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the provider sends back, our credential in it included."""
    caplog.set_level(logging.DEBUG)
    echo = {"error": f"no {SECRET}", "amount": SECRET, "list": [SECRET], "next": "x", "total": 1}
    texts = []
    for status in (200, 400, 401, 403, 404, 429, 500, 503):
        for read in (money, read_list):
            shop.fail(say(SimulatedResponse.of(echo, status=status)), times=TRIES)
            with pytest.raises(ProviderError) as raised:
                read(api)
            texts.append("".join(traceback.format_exception(raised.value)))
            shop.recover()
    assert not [text for text in [*texts, caplog.text] if SECRET in text]


def test_paid_requests_are_added_up(shop: Shop, waits: Waits) -> None:
    meter = Meter(price=Decimal("0.01"))
    context = ProviderContext(waits.clock, MemorySnapshots(), waits)
    with Client(shop.url, context, headers=bearer_header("api_key", SECRET), secrets=[], meter=meter) as api:
        money(api)
        shop.fail(break_down())
        money(api)
    assert (meter.requests, meter.cost) == (3, Decimal("0.03"))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20) + 1, max_value=10**20 - 1, places=18))
def test_json_numbers_keep_every_digit(number: Decimal) -> None:
    text = f'{{"a": {number:f}}}'
    assert parse_json(text.encode(), "here") == {"a": number}
    assert JsonFields.parse(text.encode(), "here").money("a") == number


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "40"}, 40),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "40", "retry-after": "3"}, 3),
        ({"x-ratelimit-remaining": "7", "x-ratelimit-reset": "40"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "-1"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9000000"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"retry-after": "3"}, 3),
        ({}, None),
    ],
)
def test_when_a_used_up_limit_begins_anew(headers: dict[str, str], seconds: int | None) -> None:
    told = dict(headers)
    if told.get("x-ratelimit-reset", "-").isdecimal():
        told["x-ratelimit-reset"] = str(int(NOW.timestamp()) + int(told["x-ratelimit-reset"]))
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert rate_limit_end(told, NOW) == expected


@given(st.text(max_size=5000), st.text(max_size=5000))
def test_any_limit_headers_are_survived(remaining: str, reset: str) -> None:
    for left in (remaining, "0"):
        until = rate_limit_end({"x-ratelimit-remaining": left, "x-ratelimit-reset": reset}, NOW)
        assert until is None or NOW < until <= NOW + timedelta(days=1)


def test_a_time_without_a_zone_is_of_the_documented_one_or_refused() -> None:
    fields = JsonFields(
        {"at": "2026-01-31T23:59:59", "zoned": "2026-02-01T01:00:00+01:00", "end": "9999-12-31"}, "GET /x"
    )
    assert fields.time("at", UTC) == datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
    assert fields.time("zoned", timezone(timedelta(hours=9))) == datetime(2026, 2, 1, tzinfo=UTC)
    with pytest.raises(ContractChanged, match="at: value '2026-01-31T23:59:59' is not accepted: a time with its zone"):
        fields.time("at")
    with pytest.raises(ContractChanged, match="end: value '9999-12-31' is not accepted: a time, such as"):
        fields.time("end", UTC)
