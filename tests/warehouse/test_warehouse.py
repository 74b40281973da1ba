"""Deriving, verifying and publishing one generation, on the real engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from relay import relay
from warehouse_samples import NOW, SLICE, Line, publication, publish, show, verify, write

from optiinfra_assets.database.errors import IntegrityError, PublicationRefused, WarehouseUnavailable
from optiinfra_assets.domain.publications import MEASURES, Totals
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse, derived_tables

LINES = [
    Line(Decimal("1.000000000000000001"), day=1),
    Line(Decimal("1.000000000000000001"), day=1),
    Line(Decimal("-0.5"), day=2, service="Storage", list_cost=None),
    Line(Decimal(7), currency="EUR", day=31, contracted_cost=Decimal("0.1")),
]


def count(warehouse: Warehouse, table: str, generation: int) -> int:
    answer = warehouse.client.query(
        f"SELECT count() FROM {table} WHERE generation = {{generation:UInt64}}",
        parameters={"generation": generation},
    )
    return int(answer.result_rows[0][0])


def test_what_was_published_comes_back_whole(warehouse: Warehouse) -> None:
    sent = write(warehouse, 5, LINES)
    whole = publication(
        5,
        sent,
        content_hash="4:ABC",
        change_token="it's \\ {a:String} \n %(x)s",
        sources=[{"file": "a'b\\c.csv", "version": "1.2"}],
        rounded_values=3,
        rounded_total=Decimal("1.2E-18"),
        run_id="run",
        data_through=NOW.replace(microsecond=0),
        is_final=True,
        is_simulated=True,
    )
    assert warehouse.current(SLICE) is None
    assert show(warehouse, whole) == whole
    assert warehouse.current(SLICE) == whole


def test_the_lineage_of_thousands_of_files_is_published(warehouse: Warehouse) -> None:
    sources = [{"file": f"s3://bucket/exports/part-{number:06d}.parquet", "etag": "0" * 32} for number in range(20_000)]
    show(warehouse, publication(5, write(warehouse, 5, LINES), sources=sources))
    current = warehouse.current(SLICE)
    assert current is not None
    assert current.sources == sources


def test_a_generation_without_line_items_is_published_too(warehouse: Warehouse) -> None:
    published = publish(warehouse, 5, [])
    assert warehouse.current(SLICE) == published
    assert (published.line_items, published.totals, published.first_charge_date) == (0, {}, None)


def test_totals_past_the_range_of_a_column_are_published_exactly(warehouse: Warehouse) -> None:
    huge = {"USD": Totals(*[Decimal("99999999999999999999999.123456789012345678")] * 4)}
    sent = replace(write(warehouse, 5, LINES), totals=huge)
    show(warehouse, publication(5, sent))
    current = warehouse.current(SLICE)
    assert current is not None
    assert current.totals == huge


def test_what_was_derived_twice_is_found(warehouse: Warehouse) -> None:
    sent = write(warehouse, 5, LINES)
    warehouse.derive({5: SLICE})
    verify(warehouse, SLICE, 5, sent)
    warehouse.derive({5: SLICE})
    with pytest.raises(IntegrityError, match=r"cost_by_.* has "):
        verify(warehouse, SLICE, 5, sent)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_cost_that_differs_from_what_was_sent_is_found(warehouse: Warehouse, measure: str) -> None:
    sent = write(warehouse, 5, LINES)
    warehouse.derive({5: SLICE})
    sum_sent = getattr(sent.totals["USD"], measure)
    sent.totals["USD"] = replace(sent.totals["USD"], **{measure: sum_sent + Decimal("1E-18")})
    with pytest.raises(IntegrityError) as caught:
        verify(warehouse, SLICE, 5, sent)
    for part in ("raw_costs", "USD", measure, str(sum_sent + Decimal("1E-18"))):
        assert part in str(caught.value)


def test_a_line_item_that_costs_nothing_is_missed_all_the_same(warehouse: Warehouse) -> None:
    free = Line(Decimal(0), list_cost=None)
    sent = write(warehouse, 5, [*LINES, free])
    with pytest.raises(IntegrityError, match="5 line items, 6 were sent"):
        verify(warehouse, SLICE, 5, replace(sent, line_items=6))


def test_a_currency_that_never_arrived_is_found(warehouse: Warehouse) -> None:
    sent = write(warehouse, 5, LINES)
    sent.totals["JPY"] = Totals(billed_cost=Decimal(3))
    with pytest.raises(IntegrityError, match="raw_costs has billed_cost 0 JPY, expected 3"):
        verify(warehouse, SLICE, 5, sent)


def test_a_currency_that_was_never_sent_is_found(warehouse: Warehouse) -> None:
    sent = write(warehouse, 5, LINES)
    warehouse.derive({5: SLICE})
    del sent.totals["EUR"]
    with pytest.raises(IntegrityError, match=r"raw_costs has billed_cost .* EUR, expected 0"):
        verify(warehouse, SLICE, 5, sent)


def test_a_currency_that_only_a_derived_table_has_is_found(warehouse: Warehouse) -> None:
    sent = write(warehouse, 5, LINES)
    warehouse.derive({5: SLICE})
    names = ["customer_id", "generation", "billing_period", "billing_currency", "billed_cost"]
    warehouse.client.insert("cost_by_day", [["acme", 5, date(2026, 10, 1), "CHF", Decimal(3)]], column_names=names)
    with pytest.raises(IntegrityError, match=r"cost_by_day has billed_cost 3.* CHF, expected 0"):
        verify(warehouse, SLICE, 5, sent)


@pytest.mark.parametrize("measure", [*MEASURES, "list_cost_missing", "contracted_cost_missing", "line_items"])
def test_a_planted_row_is_found_in_every_derived_table(warehouse: Warehouse, measure: str) -> None:
    value = Decimal("1E-18") if measure in MEASURES else 1
    planted = dict(enumerate(derived_tables(), start=5))
    sent: Any = {generation: (SLICE, write(warehouse, generation, LINES)) for generation in planted}
    warehouse.derive(dict.fromkeys(planted, SLICE))
    assert warehouse.unequal(sent) == {}
    names = ["customer_id", "generation", "billing_period", "billing_currency", measure]
    for generation, table in planted.items():
        row = ["acme", generation, date(2026, 10, 1), "EUR", value]
        warehouse.client.insert(table, [row], column_names=names)
    found = warehouse.unequal(sent)
    assert found.keys() == planted.keys()
    for generation, table in planted.items():
        assert f"generation {generation}: {table} has {measure} " in str(found[generation])
        assert " EUR, expected" in str(found[generation])


def test_a_sum_that_wraps_in_128_bits_is_found(warehouse: Warehouse) -> None:
    most = Decimal("99999999999999999999.999999999999999999")
    sent = write(warehouse, 5, [Line(most, list_cost=None) for _ in range(4)])
    warehouse.derive({5: SLICE})
    with pytest.raises(IntegrityError, match=r"billed_cost .* USD, expected 399999999999999999999.999999999999999996"):
        verify(warehouse, SLICE, 5, sent)


def test_an_older_or_equal_generation_is_refused(warehouse: Warehouse) -> None:
    publish(warehouse, 5, LINES)
    sent = write(warehouse, 4, LINES)
    for generation in (4, 5):
        refusal = f"generation {generation} is not newer than the published 5"
        with pytest.raises(PublicationRefused, match=refusal):
            show(warehouse, publication(generation, sent))


def test_published_at_grows_even_if_a_clock_stands_behind(warehouse: Warehouse) -> None:
    first = publish(warehouse, 5, LINES)
    second = publish(warehouse, 6, LINES, published_at=NOW - timedelta(days=1))
    third = publish(warehouse, 7, LINES, published_at=second.published_at)
    assert first.published_at < second.published_at < third.published_at
    current = warehouse.current(SLICE)
    assert current is not None
    assert current.generation == 7


def test_of_two_publications_of_one_instant_the_higher_generation_is_the_newer(warehouse: Warehouse) -> None:
    sent = write(warehouse, 6, LINES)
    publish(warehouse, 5, LINES)
    names = [row[0] for row in warehouse.client.query("DESCRIBE publications").result_rows]
    picked = ", ".join("6 AS generation" if name == "generation" else name for name in names)
    warehouse.client.command(f"INSERT INTO publications SELECT {picked} FROM publications")
    current = warehouse.current(SLICE)
    assert current is not None
    assert (current.generation, sent.line_items) == (6, 4)
    assert warehouse.resolve("acme").generations == (6,)
    assert warehouse.resolve("acme", as_of=NOW).generations == (6,)


def test_a_derived_table_younger_than_the_generations_is_filled(warehouse: Warehouse) -> None:
    """As after a migration that adds one, also if filling it died half way; what was removed stays removed."""
    for generation in (5, 6, 7):
        publish(warehouse, generation, LINES)
    before = warehouse.client.query("SELECT * FROM cost_by_service WHERE generation > 5 ORDER BY ALL").result_rows
    warehouse.client.insert(
        "removed_generations", [["acme", 5, NOW]], column_names=["customer_id", "generation", "removed_at"]
    )
    warehouse.client.command("DELETE FROM cost_by_service WHERE generation IN (5, 6) OR billing_currency = 'EUR'")
    assert count(warehouse, "cost_by_service", 7) == 2
    warehouse.migrate()
    assert count(warehouse, "cost_by_service", 5) == 0
    after = warehouse.client.query("SELECT * FROM cost_by_service ORDER BY ALL").result_rows
    assert after == before


def test_names_of_a_resource_are_those_of_its_last_charge(warehouse: Warehouse) -> None:
    named = [(2, "old"), (9, "between"), (9, "last"), (3, "older")]
    lines = [Line(day=day, columns={"resource_id": "i-1", "resource_name": name}) for day, name in named]
    publish(warehouse, 5, lines)
    answer = warehouse.client.query("SELECT resource_name, line_items FROM cost_by_resource")
    assert answer.result_rows == [("last", 4)]


def test_many_threads_share_one_client(warehouse: Warehouse) -> None:
    for generation in range(1, 9):
        publish(warehouse, generation, LINES, replace(SLICE, customer_id=f"customer-{generation}"))
    with ThreadPoolExecutor(8) as threads:
        customers = [f"customer-{number % 8 + 1}" for number in range(80)]
        answers = list(threads.map(warehouse.resolve, customers))
    assert [one.generations for one in answers] == [(number % 8 + 1,) for number in range(80)]


def test_on_a_cluster_a_publication_is_never_seen_before_its_rows(settings: Settings) -> None:
    """One server cannot show it; that the server takes the settings for it can be shown."""
    clustered = Warehouse.connect(settings.model_copy(update={"clickhouse_cluster": "costs"}))
    names = ("insert_quorum", "insert_quorum_parallel", "select_sequential_consistency", "insert_deduplicate")
    picked = ", ".join(f"toString(getSetting('{name}'))" for name in names)
    assert clustered.client.query(f"SELECT {picked}").result_rows == [("auto", "false", "1", "false")]
    clustered.close()


def test_published_rows_are_not_derived_again(warehouse: Warehouse) -> None:
    publish(warehouse, 5, LINES)
    publish(warehouse, 6, LINES)
    for generation in (5, 6):
        assert warehouse.maybe_published({generation: SLICE})
        with pytest.raises(PublicationRefused, match="is published"):
            warehouse.derive({generation: SLICE})
        assert count(warehouse, "raw_costs", generation) == len(LINES)


@pytest.mark.parametrize("delivered", [True, False])
def test_rows_stay_if_nobody_knows_whether_they_are_published(
    warehouse: Warehouse, settings: Settings, delivered: bool
) -> None:
    """A server that did not answer in time may publish at any later moment, and then the rows must be there."""
    address = urlsplit(str(settings.clickhouse_url))
    server = str(address.hostname), int(address.port or 8123)
    with relay(*server, b"INSERT INTO publications ", delivered=delivered) as between:
        url = str(settings.clickhouse_url).replace(f":{address.port}/", f":{between.port}/")
        through = settings.model_copy(update={"clickhouse_url": url})
        collector = Warehouse.connect(through, dedicated_pool=True, compress=False)
        sent = write(collector, 5, LINES)
        with pytest.raises(WarehouseUnavailable):
            show(collector, publication(5, sent))
        assert collector.maybe_published({5: SLICE})
    assert (warehouse.current(SLICE) is not None) == delivered
    assert count(warehouse, "raw_costs", 5) == len(LINES)


@pytest.mark.parametrize(
    ("url", "where", "reason"),
    [
        ("http://user:sekret@127.0.0.1:1/costs", "127.0.0.1:1, database costs", "Connection refused"),
        ("http://user:sekret@nowhere.invalid", "nowhere.invalid:8123, database default", "nowhere.invalid"),
    ],
)
def test_a_wrong_address_is_one_line_without_the_password(url: str, where: str, reason: str) -> None:
    with pytest.raises(WarehouseUnavailable) as caught:
        Warehouse.connect(Settings(clickhouse_url=url))
    message = str(caught.value)
    assert reason in message
    assert message.startswith(f"ClickHouse at {where}: ")
    assert "OPTIINFRA_CLICKHOUSE_URL" in message
    assert "sekret" not in message
    assert "\n" not in message


def test_a_missing_database_is_named(settings: Settings) -> None:
    url = str(settings.clickhouse_url).rsplit("/", 1)[0] + "/not_there"
    with pytest.raises(WarehouseUnavailable, match="Database not_there does not exist"):
        Warehouse.connect(settings.model_copy(update={"clickhouse_url": url})).migrate()


def test_no_address_says_what_to_set() -> None:
    with pytest.raises(WarehouseUnavailable, match="set OPTIINFRA_CLICKHOUSE_URL"):
        Warehouse.connect(Settings(clickhouse_url=None))
