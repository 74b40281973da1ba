"""However many tokens a customer makes, it has no more than its share of requests under way, and another customer has its own."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiinfra_api.http.concurrency import CUSTOMER_SHARE, ConcurrencyLimit
from optiinfra_api.http.http_errors import HttpError
from optiinfra_assets.metadata.tokens import Principal

MOST = 4


def _token(number: int, customer: str | None = "acme") -> Principal:
    return Principal(f"{customer}-{number}", "test", customer, "admin" if customer is None else "viewer")


def _limit() -> ConcurrencyLimit:
    return ConcurrencyLimit(MOST, "requests", "OPTIINFRA_API_MAX_REQUESTS")


def test_ten_tokens_of_a_customer_leave_the_others_theirs() -> None:
    limit = _limit()
    with ExitStack() as held:
        for number in range(CUSTOMER_SHARE * MOST):
            held.enter_context(limit.passing(_token(number)))
        with pytest.raises(HttpError) as caught:
            held.enter_context(limit.passing(_token(99)))
        assert str(caught.value) == (
            "the customer has 8 requests under way; at most 8 are accepted (2 times OPTIINFRA_API_MAX_REQUESTS)"
        )
        for number in range(MOST):
            held.enter_context(limit.passing(_token(number, "globex")))
    with limit.passing(_token(99)):
        pass


def test_one_token_has_no_more_than_before_and_those_of_the_platform_no_customer() -> None:
    limit = _limit()
    with ExitStack() as held:
        for _ in range(MOST):
            held.enter_context(limit.passing(_token(1)))
        with pytest.raises(HttpError, match="the token has 4 requests under way; at most 4 are accepted"):
            held.enter_context(limit.passing(_token(1)))
        for number in range(3 * MOST):
            held.enter_context(limit.passing(_token(number, None)))


@given(st.lists(st.tuples(st.sampled_from(["acme", "globex"]), st.integers(0, 5), st.booleans()), max_size=80))
def test_what_is_under_way_is_counted_and_forgotten(steps: list[tuple[str, int, bool]]) -> None:
    limit, open_requests = _limit(), []
    for customer, number, ends in steps:
        if ends and open_requests:
            open_requests.pop(0)[1].close()
            continue
        one = _token(number, customer)
        of_token = sum(held == one for held, _ in open_requests)
        of_customer = sum(held.customer_id == customer for held, _ in open_requests)
        stack = ExitStack()
        try:
            stack.enter_context(limit.passing(one))
        except HttpError:
            assert of_token == MOST or of_customer == CUSTOMER_SHARE * MOST
        else:
            assert (of_token < MOST, of_customer < CUSTOMER_SHARE * MOST) == (True, True)
            open_requests.append((one, stack))
    for _, stack in open_requests:
        stack.close()
    assert not limit._inside
