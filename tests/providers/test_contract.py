"""What every provider owes, tried on every simulated cloud and every way it may be set up. What is special to one stands in its own tests.

A new cloud is here as soon as it is registered: nothing below names one.
Where a cloud bills in any currency, each way to set it up is tried in another.
"""

from __future__ import annotations

import itertools
import json
import logging
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from life import SECRET, AnyLife, at, billed, values
from ways import FEBRUARY, JANUARY, MARCH_10, WEB, Way, other_life, small, ways, young_life

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.errors import (
    BadData,
    ContractChanged,
    CredentialRejected,
    ProviderError,
    Throttled,
    Transient,
)
from optiinfra_assets.domain.failures import Fault
from optiinfra_assets.ingestion.failures import fault_of
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.simulators import SIMULATORS
from optiinfra_assets.simulators.server.faults import break_down, throttle, truncate
from optiinfra_assets.simulators.server.wire import FieldChange
from optiinfra_assets.simulators.world.scenario import EventKind, Scenario, ScenarioEvent
from optiinfra_assets.simulators.world.world import SimulatedClock
from optiinfra_assets.warehouse.loading import load
from optiinfra_assets.warehouse.warehouse import Warehouse


@pytest.fixture(params=ways())
def way(request: pytest.FixtureRequest) -> Way:
    """What is tried."""
    chosen: Way = request.param
    return chosen


@pytest.fixture
def life(way: Way) -> Iterator[AnyLife]:
    """An account of the cloud, in March."""
    made = other_life(way, small(), MARCH_10)
    with made.cloud:
        yield made


def test_every_cloud_provider_has_a_simulated_cloud_of_its_own_name() -> None:
    assert PROVIDERS.keys() - SIMULATORS.keys() == {"focus"}, "files are the cloud of `focus`"
    for name, cloud in SIMULATORS.items():
        for mode in cloud.modes:
            made = cloud.make(small(), SimulatedClock(MARCH_10), secret=SECRET, mode=mode)
            assert (made.provider, made.mode) == (name, mode)


def test_a_year_of_months_equals_the_invoices_to_the_cent(way: Way) -> None:
    """Every event a bill may have; seen on one day of each month, on four of every third, closed months again until they are final.

    A whole year for the way a cloud is usually set up; half a year, which has every kind of event, for others.
    """
    life = other_life(way, Scenario.load("busy_year"), datetime(2025, 11, 1, 2, tzinfo=UTC))
    count = 12 if way.mode == type(life.cloud).modes[0] else 6
    with life.cloud:
        months = [BillingPeriod(2025, 11).shift(number) for number in range(count)]
        for number, month in enumerate(months):
            for day in (0, 3, 12, 24) if number % 3 == 0 else (19,):
                life.go(month.start + timedelta(days=day, hours=13))
                assert billed(life.items.get(month, [])) == life.cloud.shown_amount(month), month
            assert life.cloud.shown_amount(month), "an open month is visible"
            assert not life.collections[month].is_final
        end = months[-1].end
        life.go(*(end + timedelta(days=day, hours=12) for day in (1, 3, 7, 19)))
        for month in months:
            assert billed(life.items[month]) == life.cloud.invoice_amount(month), month
            assert values(life.items[month], "billing_currency") == {life.cloud.currency}


def test_days_are_visible_while_the_month_is_open(way: Way) -> None:
    life = other_life(way, small(), at(3, 1, 12))
    with life.cloud:
        life.days(at(3, 1, 12), 9)
        march = life.items[BillingPeriod(2026, 3)]
        days = {item["charge_period_start"].date() for item in march}
        assert len(days) >= 7
        assert any(item["is_estimated"] for item in march)


def test_a_credit_on_day_40_for_day_5_appears_after_one_tick(way: Way) -> None:
    credit = ScenarioEvent(EventKind.CREDIT, date(2026, 1, 5), posted_on=date(2026, 2, 9), amount=Decimal("7.50"))
    life = other_life(way, small(credit), at(2, 8, 12))
    with life.cloud:
        life.go(at(2, 8, 12))
        before = {period: billed(items) for period, items in life.items.items()}
        shown = {period: life.cloud.shown_amount(period) for period in before}
        changed = life.go(at(2, 9, 12))
        assert FEBRUARY in changed
        assert billed(life.items[FEBRUARY]) == life.cloud.shown_amount(FEBRUARY)
        if life.cloud.shown_amount(FEBRUARY) - shown[FEBRUARY] < 0:
            assert billed(life.items[FEBRUARY], charge_category="Credit") == Decimal("-7.50")


def test_a_tick_without_a_change_collects_nothing(life: AnyLife) -> None:
    life.go(MARCH_10)
    assert life.tick() == []
    for _ in range(8):
        life.clock.advance(minutes=5)
        life.tick()
    spent = sum(collection.request_cost for collection in life.collections.values())
    assert spent >= 0
    probe = life.probe()
    assert probe.cost == 0, "a probe that finds nothing new costs nothing"


def test_the_same_source_gives_the_same_line_items(life: AnyLife) -> None:
    life.tick()
    first = life.collect(JANUARY)
    assert first
    assert life.collect(JANUARY) == first
    assert life.collections[JANUARY].sources, "lineage"


def test_any_page_size(life: AnyLife) -> None:
    whole = life.collect(JANUARY)
    for life.cloud.page_size in (1, 2, 3, 7):
        life.snapshots = type(life.snapshots)()
        assert sorted(map(repr, life.collect(JANUARY))) == sorted(map(repr, whole)), life.cloud.page_size


def test_a_page_that_comes_again_is_refused_or_not_asked_for(life: AnyLife) -> None:
    """Sources without pages cannot repeat one."""
    amount = billed(life.collect(JANUARY))
    life.cloud.page_size = 1
    life.cloud.repeats_pages = True
    asked = len(life.cloud.asked)
    try:
        again = billed(life.collect(JANUARY))
    except Transient:
        pass
    else:
        assert again == amount
    assert len(life.cloud.asked) < asked + 60, "it does not go round in a circle"


FAULTS = (throttle, break_down, truncate)


def test_one_passing_fault_leaves_no_trace(life: AnyLife) -> None:
    amount = billed(life.collect(JANUARY))
    for fault, skipped in itertools.product(FAULTS, range(3)):
        life.cloud.recover()
        if skipped:
            life.cloud.fail(lambda cloud, request, answer: answer(request), times=skipped)
        life.cloud.fail(fault(), times=1)
        if _asks_for_a_long_wait(life):
            assert fault is throttle
        else:
            assert billed(life.items[JANUARY]) == amount, (fault, skipped)


def _asks_for_a_long_wait(life: AnyLife) -> bool:
    """Collect January; whether the cloud asked for more patience than a collection has."""
    try:
        life.collect(JANUARY)
    except Throttled as error:
        return error.until > life.clock()
    return False


def test_a_lasting_fault_is_transient_and_gives_no_half_answer(life: AnyLife) -> None:
    life.tick()
    before = life.items[JANUARY]
    for fault in FAULTS:
        life.cloud.fail(fault(), times=10_000)
        with pytest.raises(Transient) as raised:
            life.collect(JANUARY)
        assert isinstance(raised.value, Throttled) == (fault is throttle)
        assert life.items[JANUARY] == before
        life.cloud.recover()
        assert life.collect(JANUARY) == before


@pytest.mark.parametrize("gone", ["https://127.0.0.1:1", "https://nobody.invalid"], ids=["closed port", "no such name"])
def test_a_server_that_cannot_be_reached_is_a_fault_of_the_network(life: AnyLife, gone: str) -> None:
    def moved(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: re.sub(r"https?://127\.0\.0\.1:\d+", gone, str(value)) for name, value in values.items()}

    account = replace(life.account, settings=moved(life.account.settings), secrets=moved(life.account.secrets))
    with pytest.raises(Transient) as raised:
        life.provider.probe(account, {}, life.context)
    assert fault_of(raised.value) is Fault.NETWORK
    assert not re.search(r"\b_[A-Za-z]+\(|object at 0x", str(raised.value)), "it names no class of ours"


def test_a_refused_credential_is_said_so(life: AnyLife) -> None:
    account = life.account
    life.cloud.refuses_credential = True
    for ask in (
        lambda: life.provider.discover(account),
        lambda: life.provider.probe(account, {}, life.context),
        lambda: list(life.provider.collect(account, JANUARY, life.context).batches),
    ):
        with pytest.raises(CredentialRejected):
            ask()


def test_a_missing_permission_is_named(life: AnyLife) -> None:
    life.cloud.lacks_permission = True
    with pytest.raises(CredentialRejected, match=life.cloud.lacking_permission):
        life.collect(JANUARY)


def test_settings_that_are_not_accepted_any_more_are_said_so(life: AnyLife) -> None:
    """Another version may have stored them."""
    settings = {**life.account.settings, "endpoint_url": "http://elsewhere.example"}
    account = replace(life.account, settings=settings)
    for ask in (
        lambda: life.provider.discover(account),
        lambda: life.provider.probe(account, {}, life.context),
        lambda: life.provider.collect(account, JANUARY, life.context),
    ):
        with pytest.raises(BadData, match=r"account shop\.main: endpoint_url: .*: connect it again") as raised:
            ask()
        assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_an_empty_month_is_empty(way: Way) -> None:
    idle = replace(small(tax_rate=Decimal(0)), resources=(replace(WEB, ended=date(2026, 1, 20)),))
    life = other_life(way, idle, at(2, 20))
    with life.cloud:
        life.tick()
        assert life.items.get(FEBRUARY, []) == []
        assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY) > 0
        assert life.collect(FEBRUARY) == []


def test_lines_that_differ_in_nothing_are_both_counted(life: AnyLife) -> None:
    life.cloud.duplicates_lines = True
    life.tick()
    assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)
    march = BillingPeriod(2026, 3)
    assert billed(life.items[march]) == life.cloud.shown_amount(march)


def test_fields_that_nobody_knows_are_of_no_concern(life: AnyLife) -> None:
    amount = billed(life.collect(JANUARY))
    life.cloud.adds_unknown_fields = True
    assert billed(life.collect(JANUARY)) == amount


def test_a_renamed_field_is_named(life: AnyLife) -> None:
    life.cloud.renames_field = True
    with pytest.raises((ContractChanged, BadData), match=life.cloud.renamed_field):
        life.collect(JANUARY)


def collected(life: AnyLife) -> ProviderError | None:
    """Collect both months. They must be whole, whatever is wrong, unless a provider says that it cannot have them."""
    try:
        life.tick()
    except ProviderError as error:
        return error
    shown = {JANUARY: life.cloud.invoice_amount(JANUARY), FEBRUARY: life.cloud.shown_amount(FEBRUARY)}
    assert {month: billed(life.items.get(month, [])) for month in shown} == shown
    return None


def field_names(way: Way) -> list[str]:
    """The names of all fields in the JSON answers of a cloud; none if it answers in other formats."""
    life = young_life(way)
    seen: set[str] = set()
    life.cloud.seen_fields = seen
    with life.cloud:
        life.tick()
    return sorted(seen)


def collected_with(way: Way, changes: dict[str, FieldChange]) -> ProviderError | None:
    life = young_life(way)
    with life.cloud:
        life.cloud.changed_fields = changes
        return collected(life)


def test_fields_that_only_explain_costs_never_stop_them(way: Way) -> None:
    """Every field of every answer, except those that a provider declares needed: null, absent or malformed."""
    names = [name for name in field_names(way) if name not in PROVIDERS[way.name].needed_fields]
    for change in FieldChange:
        collected_with(way, dict.fromkeys(names, change))  # whole or refused, even if nothing explains them any more
    if way.mode == SIMULATORS[way.name].modes[0]:
        for name, change in zip(names, itertools.cycle(FieldChange)):
            assert collected_with(way, {name: change}) is None, (name, change)


def test_fields_that_are_declared_needed_are_needed_and_never_make_costs_less(way: Way) -> None:
    changes = itertools.cycle(FieldChange)
    for name in sorted(PROVIDERS[way.name].needed_fields & set(field_names(way))):
        tried = (collected_with(way, {name: next(changes)}) for _ in FieldChange)
        assert any(tried), f"{name} only explains costs"


def test_money_keeps_18_digits(way: Way) -> None:
    exact = Decimal("0.000000000000000001")
    dear = replace(small(tax_rate=Decimal(0)), resources=(replace(WEB, hourly_price=Decimal("1234567.123456789")),))
    life = other_life(way, dear, MARCH_10, quantum=exact)
    with life.cloud:
        items = life.collect(JANUARY)
        amount = life.cloud.invoice_amount(JANUARY)
        assert amount.normalize().as_tuple().exponent < -10  # type: ignore[operator]
        assert billed(items) == amount
        assert life.collections[JANUARY].rounding.values == 0


def test_discover_names_an_account(life: AnyLife) -> None:
    names = life.provider.discover(life.account)
    assert names
    assert all(name.strip() for name in names)


def test_a_credential_model_explains_itself_and_hides_its_secrets(life: AnyLife) -> None:
    model = life.provider.credential_model
    assert all(field.description for field in model.model_fields.values())
    credential = model.model_validate({**life.account.settings, **life.account.secrets})
    assert SECRET not in f"{credential!r}{life.account!r}"
    assert set(life.account.secrets) <= life.provider.secret_fields()
    assert not set(life.account.settings) & life.provider.secret_fields()


def test_no_error_log_or_source_shows_a_secret(life: AnyLife, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    account = life.account
    life.tick()
    texts = [repr(life.collections), repr(life.items), repr(account)]
    texts += [repr(collection.sources) for collection in life.collections.values()]
    for misbehave in ("refuses_credential", "lacks_permission", "renames_field"):
        setattr(life.cloud, misbehave, True)
        for ask in (
            lambda: life.provider.discover(account),
            lambda: life.provider.probe(account, {}, life.context),
            lambda: list(life.provider.collect(account, JANUARY, life.context).batches),
        ):
            try:
                ask()
            except ProviderError as error:
                texts.append("".join(traceback.format_exception(error)))
        setattr(life.cloud, misbehave, False)
    assert len(texts) > 8
    assert [text for text in [*texts, caplog.text] if SECRET in text] == []


def test_line_items_are_stored_to_the_last_digit(life: AnyLife, warehouse: Warehouse) -> None:
    collection = life.open(JANUARY)
    slice_ = Slice.of(life.account, JANUARY)
    loaded = load(warehouse.client, slice_, 1, collection.batches)
    warehouse.derive({1: slice_})
    assert warehouse.unequal({1: (slice_, loaded)}) == {}
    assert loaded.totals.keys() == {life.cloud.currency}
    assert loaded.totals[life.cloud.currency].billed_cost == life.cloud.invoice_amount(JANUARY)
    for currency, stated in (collection.control_totals or {}).items():
        assert loaded.totals[currency].billed_cost == stated


_READER = """
import json, re, sys
from dataclasses import replace
from datetime import datetime
from optiinfra_assets.providers.context import transient_context
from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.providers import PROVIDERS
name, settings, secrets, now = json.load(sys.stdin)
context = replace(transient_context(), clock=lambda: datetime.fromisoformat(now))
account = Account("demo.memory", "demo", name, settings, secrets, is_simulated=True)
rows = sum(batch.num_rows for batch in PROVIDERS[name].collect(account, BillingPeriod(2026, 1), context).batches)
# Of this program alone: what getrusage says begins with the size of the process it was forked from.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
print(rows, peak)
"""


def test_memory_stays_within_its_limit(way: Way) -> None:
    """The reader is a process of its own. ``benchmarks/providers.py`` does it with 2 million line items."""
    count = 24_000  # several batches of every size that is read at once
    life = other_life(way, small(), MARCH_10)
    with life.cloud:
        life.cloud.extra_items = count
        asked = json.dumps([way.name, life.cloud.settings(), life.cloud.secrets(), MARCH_10.isoformat()])
        command = [sys.executable, "-c", _READER]
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    rows, peak = map(int, done.stdout.split())
    assert rows >= count
    assert peak < 285, "MB; the limit of 300 is for 2 million, which leave some 10 more in fragments"


def test_only_who_says_so_makes_paid_requests(life: AnyLife) -> None:
    life.tick()
    for collection in life.collections.values():
        assert collection.requests > 0
        assert life.provider.capabilities.paid_requests or collection.request_cost == 0
