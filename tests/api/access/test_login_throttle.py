"""Failed authentication is limited for each address and overall, tells nothing, and locks out nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from api_server import serving
from hypothesis import given
from hypothesis import strategies as st
from world import World

from optiinfra_api.access import authentication, login_throttle
from optiinfra_api.access.login_throttle import (
    ADDRESS_BURST,
    OVERALL_BURST,
    OVERALL_PER_SECOND,
    LoginThrottle,
    client_network,
)

BURST = int(ADDRESS_BURST)


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock of the test's own."""
    return Clock()


@pytest.fixture
def counted(clock: Clock) -> LoginThrottle:
    """No failure yet."""
    return LoginThrottle(clock)


def test_an_address_is_heard_until_it_has_failed_too_often_and_again_later(
    counted: LoginThrottle, clock: Clock
) -> None:
    for _ in range(BURST):
        assert counted.wait("192.0.2.1") == 0
        counted.count("192.0.2.1")
    assert counted.wait("192.0.2.1") == 1
    assert counted.wait("192.0.2.2") == 0
    clock.now += 0.5
    assert counted.wait("192.0.2.1") == 1
    clock.now += 0.5
    assert counted.wait("192.0.2.1") == 0
    counted.count("192.0.2.1")
    assert counted.wait("192.0.2.1") == 1
    clock.now += 3600
    assert counted.wait("192.0.2.1") == 0


def test_many_addresses_together_are_limited_and_one_without_a_failure_is_heard(
    counted: LoginThrottle, clock: Clock
) -> None:
    for number in range(int(OVERALL_BURST)):
        address = f"10.0.{number // 250}.{number % 250}"
        assert counted.wait(address) == 0
        counted.count(address)
    assert counted.wait("10.0.0.1") > 0, "it has failed just now"
    assert counted.wait("192.0.2.1") == 0, "it has not"
    clock.now += 2 / OVERALL_PER_SECOND
    assert counted.wait("10.0.0.1") == 0


def test_what_is_remembered_is_bounded(counted: LoginThrottle) -> None:
    for number in range(login_throttle._REMEMBERED + 500):
        counted.count(f"10.{number >> 16}.{(number >> 8) & 255}.{number & 255}")
    assert len(counted._by_address) == login_throttle._REMEMBERED


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"])), max_size=300))
def test_what_is_answered_stays_within_the_budget(attempts: list[tuple[float, str]]) -> None:
    clock = Clock()
    counted = LoginThrottle(clock)
    answered: dict[str, int] = {}
    begin = clock.now
    for pause, address in attempts:
        clock.now += pause
        if counted.wait(address) == 0:
            counted.count(address)
            answered[address] = answered.get(address, 0) + 1
        waiting = counted.wait(address)
        clock.now += waiting
        assert counted.wait(address) == 0, "the wait that is told is enough"
    for count in answered.values():
        assert count <= ADDRESS_BURST + (clock.now - begin) * login_throttle.ADDRESS_PER_SECOND


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::2:3:4", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("unknown", "testclient", False),
    ],
)
def test_what_counts_as_one_client(one: str, other: str, same: bool) -> None:
    assert (client_network(one) == client_network(other)) == same


@pytest.fixture
def apart(world: World) -> Iterator[World]:
    """The same databases behind a service of this test's own, which has seen no failure."""
    with serving(world.settings) as url:
        own = World(world.settings, world.warehouse, world.metadata, url)
        yield own
        own.http.close()


BODY = {"query": "{ __typename }"}


def _from(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def test_an_address_that_fails_is_refused_with_a_wait_and_others_are_not(
    world: World, apart: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "TRUSTED_SECONDS", 0)
    token = world.metadata.tokens.issue("before", None, "admin").plaintext
    fresh = world.metadata.tokens.issue("after", None, "admin").plaintext
    assert apart.post(BODY, token, **_from("192.0.2.1")).status_code == 200
    wrong = "oi_" + "x" * 43
    answers = [apart.post(BODY, wrong, **_from("192.0.2.1")) for _ in range(BURST + 20)]
    refused = [one for one in answers if one.status_code == 429]
    assert [one.status_code for one in answers[:BURST]] == [401] * BURST
    assert len(refused) >= 10
    assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
    assert {one.text for one in refused} == {
        json.dumps(
            {
                "errors": [
                    {
                        "message": "too many failed attempts to authenticate: wait as long as the header `Retry-After` says",
                        "extensions": {"code": "TOO_MANY_FAILURES"},
                    }
                ]
            },
            separators=(",", ":"),
        )
    }
    # What is said does not tell a good token from a bad one, but a token that was good before is not locked out.
    while apart.post(BODY, wrong, **_from("192.0.2.1")).status_code != 429:
        pass
    assert apart.post(BODY, fresh, **_from("192.0.2.1")).text == refused[0].text
    assert apart.post(BODY, token, **_from("192.0.2.1")).status_code == 200
    assert apart.post(BODY, fresh, **_from("192.0.2.2")).status_code == 200
    assert apart.post(BODY, fresh, **_from("192.0.2.1")).status_code == 200, "now it was good before"


def test_without_a_token_nothing_is_counted(apart: World) -> None:
    answers = {apart.post(BODY, None).status_code for _ in range(BURST + 20)}
    assert answers == {401}
