"""Nobody is answered what was published before, and ClickHouse is asked no more whether something was while nothing can have been."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

import documents
import psycopg
import pytest
from api_server import SCRAPER, serving
from charges import Charge, slice_of
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from loopback import eventually
from world import Customer, World

from optiinfra_api.reading import clickhouse_reader
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

PERIOD = {"start": "2026-01-01", "end": "2027-01-01"}
ENDED = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'optiinfra news'
"""


@dataclass(slots=True)
class Collector:
    """Collects slices of one customer in the steps of a collection, of which others may see each."""

    customer: Customer
    loading: dict[Slice, int] = field(default_factory=dict)
    amount: int = 0

    def slice(self, month: int) -> Slice:
        return slice_of(self.customer.customer_id, "main", BillingPeriod(2026, month))

    def begin(self, month: int) -> None:
        slice_ = self.slice(month)
        self.loading[slice_] = self.metadata.slices.start_generation(slice_, "run")

    def publish(self, month: int) -> None:
        """The generation is visible, and PostgreSQL has not heard of it."""
        self.amount += 1
        slice_ = self.slice(month)
        self.customer.publish(slice_, [Charge(date(2026, month, 5), Decimal(self.amount))], self.loading[slice_])

    def end(self, month: int) -> None:
        slice_ = self.slice(month)
        generation = self.loading.pop(slice_)
        self.metadata.slices.finish_generation(generation, "published")
        self.metadata.slices.record_collection(slice_, "token", datetime.now(UTC), generation=generation)

    def collect(self, month: int) -> None:
        self.begin(month)
        self.publish(month)
        self.end(month)

    @property
    def metadata(self) -> Metadata:
        return self.customer.world.metadata

    def is_right(self) -> bool:
        """Whether an answer is that of what is published now."""
        totals = self.customer.data(documents.TOTAL, period=PERIOD)["totalCost"]["totals"]
        expected = sum(held.charge.billed for held in self.customer.held)
        return [Decimal(total["cost"]["amount"]) for total in totals] == ([expected] if self.customer.held else [])


@pytest.fixture
def collector(settings: Settings, warehouse: Warehouse, metadata: Metadata) -> Iterator[Collector]:
    """Of one new customer with an account, at an API of its own."""
    with serving(settings) as url:
        world = World(settings, warehouse, metadata, url)
        made = Collector(world.customer())
        account_id = made.slice(1).account_id
        metadata.accounts.add(Account(account_id, made.customer.customer_id, "focus", {}))
        yield made
        world.http.close()


def _asked(world: World) -> int:
    """How many statements ClickHouse was asked until now."""
    text = world.http.get(f"{world.url}/metrics", headers=SCRAPER).text
    found = re.search(r'^optiinfra_api_statements_total\{source="ClickHouse"\} (\S+)$', text, re.MULTILINE)
    return 0 if found is None else int(float(found[1]))


def _is_settled(collector: Collector) -> bool:
    """Whether a question that was asked before asks ClickHouse nothing."""
    assert collector.is_right()
    before = _asked(collector.customer.world)
    assert collector.is_right()
    time.sleep(0.05)  # a request is counted when its client has its answer already
    return _asked(collector.customer.world) == before


def test_what_was_asked_before_asks_clickhouse_nothing(collector: Collector) -> None:
    collector.collect(1)
    assert eventually(lambda: _is_settled(collector), pause=0.2)
    collector.collect(1)
    assert collector.is_right()
    assert eventually(lambda: _is_settled(collector), pause=0.2)


def test_a_publication_is_seen_before_postgresql_hears_of_it(collector: Collector) -> None:
    collector.collect(1)
    for _ in range(4):
        assert eventually(lambda: _is_settled(collector), pause=0.2)
        collector.begin(1)
        collector.publish(1)
        assert collector.is_right()
        collector.end(1)
        assert collector.is_right()


def test_while_an_attempt_may_publish_clickhouse_is_asked(collector: Collector) -> None:
    collector.collect(1)
    assert eventually(lambda: _is_settled(collector), pause=0.2)
    collector.begin(2)
    assert not _is_settled(collector)
    time.sleep(clickhouse_reader.SETTLE_SECONDS)
    assert not _is_settled(collector)
    collector.metadata.slices.finish_generation(collector.loading[collector.slice(2)], "discarded")
    assert eventually(lambda: _is_settled(collector), pause=0.2)


def test_postgresql_is_not_believed_where_it_is_older_than_what_is_published(collector: Collector) -> None:
    """As after its backup was restored: then an attempt may have been forgotten that still goes on."""
    collector.collect(1)
    slice_ = collector.slice(2)
    for amount in (1, 2, 3):
        collector.customer.publish(slice_, [Charge(date(2026, 2, 1), Decimal(amount))], 10**6 + amount)
        assert collector.is_right()
        time.sleep(clickhouse_reader.SETTLE_SECONDS / 2)
        assert collector.is_right()


def test_the_news_of_one_customer_are_not_those_of_another(collector: Collector) -> None:
    world = collector.customer.world
    other = Collector(world.customer())
    world.metadata.accounts.add(Account(other.slice(1).account_id, other.customer.customer_id, "focus", {}))
    collector.collect(1)
    other.collect(1)
    assert eventually(lambda: _is_settled(collector), pause=0.2)
    other.begin(1)
    assert _is_settled(collector)
    assert not _is_settled(other)


STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "publish", "end", "ask", "lose", "wait"]), st.integers(1, 3)), max_size=25
)


@hypothesis_settings(max_examples=10)
@given(steps=STEPS)
def test_every_answer_is_of_what_is_published_when_it_is_asked(
    collector: Collector, steps: list[tuple[str, int]]
) -> None:
    """Whatever steps collections take, and whenever the connection that brings the news breaks."""
    for step, month in steps:
        is_loading, is_published = collector.slice(month) in collector.loading, _is_published(collector, month)
        if step == "begin" and not is_loading:
            collector.begin(month)
        elif step == "publish" and is_loading and not is_published:
            collector.publish(month)
        elif step == "end" and is_published:
            collector.end(month)
        elif step == "lose":
            with psycopg.connect(str(collector.customer.world.settings.postgres_url), autocommit=True) as connection:
                connection.execute(ENDED.encode())
        elif step == "wait":
            time.sleep(0.1)
        assert collector.is_right(), step
    for slice_ in list(collector.loading):
        if not _is_published(collector, slice_.billing_period.month):
            collector.publish(slice_.billing_period.month)
        collector.end(slice_.billing_period.month)


def _is_published(collector: Collector, month: int) -> bool:
    """Whether what is being loaded is published already."""
    slice_ = collector.slice(month)
    current = collector.customer.world.warehouse.current(slice_)
    return slice_ in collector.loading and current is not None and current.generation == collector.loading[slice_]
