"""Each limit of the service refuses with its name and its value; and what nobody waits for stops in the engine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import documents
import httpx
import pytest
from api_server import serving
from charges import Charge
from exporting import PERIOD as EXPORTED
from exporting import ask, counted
from hypothesis import given
from hypothesis import strategies as st
from loopback import eventually
from slowly import CORRELATION_ID, never_ending, running, statements, wait_for_statements, waiting
from world import Customer

from optiinfra_api.fields.collections.restatements import MAX_CHANGES
from optiinfra_api.fields.costs.cost_series import MAX_SERIES
from optiinfra_api.fields.pagination import MAX_FIRST
from optiinfra_api.graphql.errors import TooExpensive
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_api.reading.query_limits import ANSWER_BYTES
from optiinfra_api.reading.scan_budget import ROW_BYTES, AnswerBudget, estimated_rows
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.publications import PublishedGeneration, ResolvedGenerations
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

PERIOD = {"start": "2026-10-01", "end": "2026-11-01"}
BY_TAG = 'query($period: Period!) { costTrends(period: $period, groupByTag: "team") { isComplete } }'


def _total(customer: Customer) -> AbstractContextManager[None]:
    """An operation over ``cost_by_day`` whose answer nobody reads."""
    return waiting(customer, "/graphql", {"query": documents.TOTAL, "variables": {"period": PERIOD}})


def test_who_leaves_stops_the_statement_of_an_operation(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    with running(settings, warehouse, metadata) as customer:
        never_ending(warehouse, "cost_by_day")
        with _total(customer):
            wait_for_statements(warehouse, "cost_by_day", 1)
        wait_for_statements(warehouse, "cost_by_day", 0)
        assert customer.data("{ __typename }") == {"__typename": "Query"}
        gone = 'optiinfra_api_requests_total{field="totalCost",outcome="CLIENT_GONE"} 1.0'
        counted(customer.world, gone)


def test_the_statements_of_a_request_are_found_by_its_correlation_id(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    with running(settings, warehouse, metadata) as customer:
        never_ending(warehouse, "cost_by_day")
        with _total(customer):
            wait_for_statements(warehouse, "cost_by_day", 1)

            def are_stopped() -> bool:
                """Each: where rows for all answers are not had, the answer alone is asked for."""
                warehouse.client.command(f"KILL QUERY WHERE query_id LIKE '{CORRELATION_ID}.%' SYNC")
                return statements(warehouse, "cost_by_day") == 0

            assert eventually(are_stopped)


def test_statements_over_time_and_memory_are_refused_with_the_limits(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    by_account = "query($period: Period!) { costTrends(period: $period, groupBy: [ACCOUNT]) { isComplete } }"
    slow = settings.model_copy(update={"api_max_seconds": 1})
    small = settings.model_copy(update={"api_max_memory": 64 * 2**20})
    with running(slow, warehouse, metadata) as customer, serving(small) as url:
        never_ending(warehouse, "cost_by_day")
        over_time = customer.error(documents.TOTAL, period=PERIOD)
        growing = "SELECT kept_cost_by_day.* FROM kept_cost_by_day, system.numbers"
        warehouse.client.command(f"CREATE OR REPLACE VIEW cost_by_day AS {growing}")
        body = {"query": by_account, "variables": {"period": PERIOD}}
        headers = {"Authorization": f"Bearer {customer.token}"}
        (over_memory,) = httpx.post(f"{url}/graphql", json=body, headers=headers, timeout=60).json()["errors"]
    assert over_memory["message"] == "over the limit on the memory of one statement, 64 MiB (OPTIINFRA_API_MAX_MEMORY)"
    assert over_time["message"] == "over the limit on the time of one statement, 1 s (OPTIINFRA_API_MAX_SECONDS)"
    for error in (over_memory, over_time):
        assert error["extensions"] == {
            "code": "TOO_EXPENSIVE",
            "remedy": "Ask for a shorter period, fewer groups or a narrower filter.",
        }


def test_an_operation_is_refused_by_the_rows_it_would_read_in_all(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    limited = settings.model_copy(update={"api_max_rows": 2})
    with running(limited, warehouse, metadata) as customer:
        assert customer.data(BY_TAG, period=PERIOD)
        thrice = " ".join(
            f'f{number}: costTrends(period: $period, groupByTag: "team") {{ isComplete }}' for number in range(3)
        )
        answer = customer.world.answer(f"query($period: Period!) {{ {thrice} }}", customer.token, period=PERIOD)
        cheap = " ".join(f"f{number}: totalCost(period: $period) {{ isComplete }}" for number in range(20))
        assert customer.data(f"query($period: Period!) {{ {cheap} }}", period=PERIOD)
    (error,) = answer["errors"]
    assert error["message"] == "about 3 rows would be read; at most 2 are accepted (OPTIINFRA_API_MAX_ROWS)"
    assert error["extensions"]["code"] == "TOO_EXPENSIVE"
    assert sum(found is None for found in answer["data"].values()) == 1


AUDIT = "accessAuditLog(first: 3) { nodes { id } }"
LINES = "costMetrics(period: $period, first: 3) { nodes { lineNumber } }"
TREND = "costTrends(period: $period, groupBy: [ACCOUNT]) { series { account } }"
CHANGED = "restatements(period: $period, first: 3) { nodes { changes { after } } }"
HISTORY = "collectionHistory(first: 3) { nodes { taskId } }"
VERSIONS = 'lineage(account: "%s", billingPeriod: "2026-10", first: 3) { generations { generation } }'


@pytest.mark.parametrize("field", [AUDIT, LINES, TREND, CHANGED, HISTORY, VERSIONS])
def test_an_operation_is_refused_by_the_rows_that_its_fields_answer_together(
    field: str, settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    limited = settings.model_copy(update={"api_max_answer_rows": 9})
    with running(limited, warehouse, metadata) as customer:
        (slice_,) = customer.published
        metadata.accounts.add(Account(slice_.account_id, customer.customer_id, slice_.provider, {}))
        for day in (6, 7):
            customer.publish(slice_, [Charge(date(2026, 10, day), Decimal(number)) for number in range(3)])
            metadata.collections.queue(f"task {day}", "api", [slice_])
        asked = field % slice_.account_id if "%s" in field else field
        token = metadata.tokens.issue("admin", customer.customer_id, "admin").plaintext

        def answer(times: int) -> dict[str, Any]:
            aliased = " ".join(f"f{number}: {asked}" for number in range(times))
            document = f"query($period: Period!) {{ used: totalCost(period: $period) {{ isComplete }} {aliased} }}"
            return customer.world.answer(document, token, period=PERIOD)

        assert "errors" not in answer(1)
        refused = answer(20)
    last = refused["errors"][-1]
    assert "more together; at most 9 are accepted (OPTIINFRA_API_MAX_ANSWER_ROWS)" in last["message"]
    assert last["extensions"] == {
        "code": "TOO_EXPENSIVE",
        "remedy": "Ask for fewer fields or shorter pages in one operation.",
    }
    assert 1 <= sum(found is not None for found in refused["data"].values()) <= 9


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 2**24), st.integers(1, 2)), max_size=30))
def test_rows_add_up_and_long_ones_count_by_their_bytes(reads: list[tuple[int, int, int]]) -> None:
    budget, counted = AnswerBudget(12_000), 0
    for rows, size, in_a_row in reads:
        counted += max(-(-rows // in_a_row), size // ROW_BYTES)
        if counted > 12_000:
            with pytest.raises(TooExpensive, match=f"would answer {counted} rows or more"):
                budget.count(rows, size=size, in_a_row=in_a_row)
            return
        budget.count(rows, size=size, in_a_row=in_a_row)


def test_the_longest_page_of_every_field_alone_is_within_the_default() -> None:
    most = Settings().api_max_answer_rows
    assert max(MAX_FIRST + 1 + MAX_CHANGES // 2 + 1, MAX_SERIES + 1, ANSWER_BYTES // ROW_BYTES) <= most


RESTATEMENTS = """query($period: Period!) {
  restatements(period: $period, first: 5) { nodes { changes { before after } } }
}"""


def test_restatements_are_refused_by_the_rows_of_both_generations(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    limited = settings.model_copy(update={"api_max_rows": 5})
    with running(limited, warehouse, metadata) as customer:
        (slice_,) = customer.published
        day = [Charge(date(2026, 10, 5), Decimal(number)) for number in range(20)]
        for _ in range(2):
            customer.publish(slice_, day)
        error = customer.error(RESTATEMENTS, period=PERIOD)
        before = {"start": "2026-10-01", "end": "2026-10-05"}
        assert len(customer.data(RESTATEMENTS, period=before)["restatements"]["nodes"]) == 2
    # 41 line items in three generations: one of them was replaced and replaces another, and is read once.
    assert error["message"] == "about 6 rows would be read; at most 5 are accepted (OPTIINFRA_API_MAX_ROWS)"
    assert error["extensions"]["code"] == "TOO_EXPENSIVE"


def test_an_export_is_refused_by_the_rows_it_would_read(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    limited = settings.model_copy(update={"api_export_max_rows": 1})
    with running(limited, warehouse, metadata) as customer:
        customer.publish(
            Slice(customer.customer_id, "focus", f"{customer.customer_id}.other", BillingPeriod(2026, 10)),
            [held.charge for held in customer.held],
        )
        response = ask(customer.world, customer.token, "line-items.csv")
        assert ask(customer.world, customer.token, "total.csv").status_code == 200
    assert response.status_code == 422
    assert response.json()["errors"][0]["message"] == (
        "about 2 rows would be read; at most 1 are accepted (OPTIINFRA_API_EXPORT_MAX_ROWS)"
    )


def _published(generation: int, line_items: int, first: date, last: date) -> PublishedGeneration:
    return PublishedGeneration(
        slice=Slice("acme", "aws", "acme.aws", BillingPeriod(first.year, first.month)),
        generation=generation,
        published_at=datetime.fromisoformat("2026-11-01T00:00:00Z"),
        line_items=line_items,
        first_charge_date=first,
        last_charge_date=last,
        data_through=None,
        is_final=False,
        is_simulated=False,
    )


DAY = st.dates(date(2026, 1, 1), date(2026, 12, 31))


@given(
    spans=st.lists(st.tuples(DAY, DAY, st.integers(1, 10**9)), min_size=1, max_size=5),
    asked=st.tuples(DAY, DAY, DAY),
)
def test_estimates_add_up_and_never_exceed_what_there_is(
    spans: list[tuple[date, date, int]], asked: tuple[date, date, date]
) -> None:
    published = [
        _published(number, count, min(one, two), max(one, two)) for number, (one, two, count) in enumerate(spans)
    ]

    def estimate(start: date | None, end: date | None) -> int:
        resolved = ResolvedGenerations.of(published, start, end)
        return estimated_rows("SELECT 1 FROM raw_costs", CostQuery(start, end, None), resolved)

    first, middle, last = sorted(asked)
    parts = estimate(first, middle) + estimate(middle, last)
    assert abs(estimate(first, last) - parts) <= 1
    assert 0 <= estimate(first, last) <= estimate(None, None) == sum(count for _, _, count in spans)


def test_requests_of_one_token_at_one_time_are_limited(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    limited = settings.model_copy(update={"api_max_requests": 2, "api_max_exports": 1})
    with running(limited, warehouse, metadata) as customer:
        never_ending(warehouse, "cost_by_day")
        with _total(customer), _total(customer):
            wait_for_statements(warehouse, "cost_by_day", 2)
            refused = customer.world.post({"query": "{ __typename }"}, customer.token)
            exported = ask(customer.world, customer.token, "total.csv")
            other = metadata.tokens.issue("other", customer.customer_id, "viewer").plaintext
            assert customer.world.data("{ __typename }", other)
        wait_for_statements(warehouse, "cost_by_day", 0)
        assert _soon(customer)
    message = "the token has 2 requests under way; at most 2 are accepted (OPTIINFRA_API_MAX_REQUESTS)"
    for response in (refused, exported):
        assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        assert response.json()["errors"] == [{"message": message, "extensions": {"code": "TOO_MANY_REQUESTS"}}]


def _soon(customer: Customer) -> dict[str, Any]:
    """An answer, after the places of those who left are free again."""

    def is_let_in() -> bool:
        return customer.world.post({"query": "{ __typename }"}, customer.token).status_code != 429

    assert eventually(is_let_in)
    return customer.data("{ __typename }")


def test_exports_of_one_token_at_one_time_are_limited(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    limited = settings.model_copy(update={"api_max_exports": 1})
    with running(limited, warehouse, metadata) as customer:
        never_ending(warehouse, "cost_trends")
        with waiting(customer, f"/export/total.csv?{urlencode(EXPORTED)}"):
            wait_for_statements(warehouse, "cost_trends", 1)
            second = ask(customer.world, customer.token, "by-type.csv")
    assert second.status_code == 429
    assert second.json()["errors"][0]["message"] == (
        "the token has 1 exports under way; at most 1 are accepted (OPTIINFRA_API_MAX_EXPORTS)"
    )
