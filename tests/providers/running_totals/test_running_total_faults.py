"""What the clouds asked month by month owe alike when something goes wrong, over real sockets; what is special stands with each."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from life import SECRET, AnyLife, at, billed

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.errors import CredentialRejected, ProviderError, Throttled, Transient
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.simulators.server.faults import break_down, cut_short, rewrite, say, throttle, truncate
from optiinfra_assets.simulators.server.server import SimulatedResponse
from optiinfra_assets.simulators.world.scenario import Scenario, ScenarioResource
from optiinfra_assets.warehouse.loading import load
from optiinfra_assets.warehouse.warehouse import Warehouse

JANUARY, FEBRUARY = BillingPeriod(2026, 1), BillingPeriod(2026, 2)
WEB = ScenarioResource("6e1f-web", "web", "compute", "small", "fra", "main", Decimal("0.10"), tags=(("team", "shop"),))
DISK = ScenarioResource("disk", "disk", "storage", "object", "fra", "main", Decimal("0.03"))


@dataclass(frozen=True)
class Cloud:
    """What is asked of one cloud, and in what words.

    Attributes:
        kept: kind of the snapshots that a probe makes last.
        paths: of what a probe needs, the running total first.
        refusal: what it says of a credential that it does not accept.
        counts: of each list, in the answer to a probe in the middle of February: its path, the count, and the count as announced.
        quoting: an answer with the secret at every place that is read or repeated.
        passing: so many refusals in a row are waited out, by the waiting times that the cloud states.
    """

    name: str
    kept: str
    paths: tuple[str, ...]
    refusal: str
    counts: tuple[tuple[str, int, str], ...]
    quoting: dict[str, Any]
    passing: int = 3


VULTR = Cloud(
    "vultr",
    "pending charges",
    ("pending-charges", "billing/invoices"),
    r"not accepted \(401: Invalid API token\.\)",
    (("/billing/invoices", 2, '"total":{},'), ("/instances", 1, '"total":{},')),
    {"error": f"Bearer {SECRET}", "pending_charges": SECRET, "account": SECRET},
)
LINODE = Cloud(
    "linode",
    "uninvoiced",
    ("/account", "/invoices"),
    r"not accepted \(401: Invalid Token\)",
    (("/account/invoices", 2, '"results":{}}}'), ("/linode/instances", 1, '"results":{}}}')),
    {"errors": [{"reason": f"Bearer {SECRET}"}], "balance_uninvoiced": SECRET, "data": SECRET},
)
DIGITALOCEAN = Cloud(
    "digitalocean",
    "droplets",
    ("/my/invoices",),
    r"not accepted \(401: Unable to authenticate you\.\)",
    (("/customers/my/invoices", 2, '"total":{}}}'), ("/droplets", 1, '"total":{}}}')),
    {
        "id": SECRET,
        "message": f"Bearer {SECRET}",
        "invoices": SECRET,
        "account": {"team": {"uuid": {SECRET: 1}}},
    },
    passing=2,
)
CLOUDS = (VULTR, LINODE, DIGITALOCEAN)


def small(**fields: Any) -> Scenario:
    """A machine and a disk from January 2026, no tax unless said."""
    return Scenario("small", date(2026, 1, 1), (WEB, DISK), **{"tax_rate": Decimal(0), **fields})


def live(cloud: Cloud, now: datetime, scenario: Scenario | None = None, **how: Any) -> AnyLife:
    return AnyLife.of(cloud.name, scenario or small(), now, **how)


@pytest.fixture(params=CLOUDS, ids=lambda cloud: cloud.name)
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """Each cloud."""
    chosen: Cloud = request.param
    return chosen


@pytest.fixture
def life(cloud: Cloud) -> Iterator[AnyLife]:
    """An account that began on the 1st of January, on its 10th at noon."""
    made = live(cloud, at(1, 10, 12))
    with made.cloud:
        yield made


@pytest.mark.parametrize("fault", [throttle, break_down, truncate, cut_short], ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("number", range(2))
def test_lasting_faults_keep_no_half_reading_and_passing_ones_leave_no_trace(
    life: AnyLife, cloud: Cloud, fault: Any, number: int
) -> None:
    """A running total that came is kept, whatever comes after it; half of one never is."""
    path = cloud.paths[min(number, len(cloud.paths) - 1)]
    life.cloud.fail(fault(), times=99, path=path)
    with pytest.raises(Transient) as raised:
        life.probe()
    assert isinstance(raised.value, Throttled) == (fault is throttle)
    assert len(life.snapshots.read(cloud.kept, JANUARY)) == (path != cloud.paths[0])
    life.cloud.recover()
    life.cloud.fail(fault(), times=cloud.passing, path=path)
    life.tick()
    assert billed(life.items[JANUARY]) == life.cloud.shown_amount(JANUARY) > 0


@pytest.mark.parametrize("change", [1, -1], ids=["shorter", "longer"])
@pytest.mark.parametrize("number", range(2))
def test_a_list_of_another_length_than_announced_is_refused(cloud: Cloud, number: int, change: int) -> None:
    path, count, announced = cloud.counts[number]
    life = live(cloud, at(2, 10, 12), replace(small(), start=date(2025, 12, 1)))
    with life.cloud:
        asked = rewrite(announced.format(count), announced.format(count + change))
        life.cloud.fail(asked, times=99, path=path)
        message = f"{path}: {count} items came though {count + change} are announced"
        if number == 0:
            with pytest.raises(Transient, match=message):
                life.probe()
        else:
            assert any(message in warning.example for warning in life.probe().warnings), "machines only explain costs"


def test_a_refused_credential_is_said_in_the_words_of_the_cloud(life: AnyLife, cloud: Cloud) -> None:
    life.cloud.refuses_credential = True
    for ask in (life.probe, lambda: life.collect(JANUARY), lambda: life.provider.discover(life.account)):
        with pytest.raises(CredentialRejected, match=cloud.refusal):
            ask()


def test_an_empty_month_is_empty_and_not_an_error(cloud: Cloud) -> None:
    idle = replace(small(), resources=(replace(WEB, ended=date(2026, 1, 20)),))
    life = live(cloud, at(1, 10), idle)
    with life.cloud:
        life.go(at(1, 10), at(2, 1, 1), at(2, 20), at(3, 1, 1))
        assert life.items[FEBRUARY] == []
        assert life.collections[FEBRUARY].sources
        assert life.tick() == []
        assert life.collect(BillingPeriod(2025, 1)) == []


def test_money_keeps_every_digit(cloud: Cloud) -> None:
    exact = Decimal("0.000000000000000001")
    dear = replace(small(), resources=(replace(WEB, hourly_price=Decimal("12345678.123456789")),))
    life = live(cloud, at(1, 2), dear, quantum=exact)
    with life.cloud:
        life.go(at(1, 2), at(1, 3), at(1, 4, 5))
        total = life.cloud.shown_amount(JANUARY)
        assert total.normalize().as_tuple().exponent < -10  # type: ignore[operator]
        assert billed(life.items[JANUARY]) == total
        life.go(at(2, 1, 7))
        assert billed(life.items[JANUARY]) == life.cloud.invoice_amount(JANUARY)
        assert life.collections[JANUARY].rounding.values == 0


def test_line_items_are_stored_to_the_cent_and_the_same_again(life: AnyLife, warehouse: Warehouse) -> None:
    life.days(at(1, 10, 5), 6)
    hashes = set()
    for generation, now in enumerate((at(1, 16), at(2, 3), at(2, 3)), 1):
        life.clock.now = now
        slice_ = Slice.of(life.account, JANUARY)
        loaded = load(warehouse.client, slice_, generation, life.open(JANUARY).batches)
        warehouse.derive({generation: slice_})
        assert warehouse.unequal({generation: (slice_, loaded)}) == {}
        if now == at(2, 3):
            hashes.add(str(loaded.content))
            assert loaded.totals["USD"].billed_cost == life.cloud.invoice_amount(JANUARY)
    assert len(hashes) == 1


def test_discover_names_the_account(life: AnyLife) -> None:
    names = life.provider.discover(life.account)
    assert len(names) == 1
    assert names[0].endswith(" small (simulated)")


def test_no_error_log_or_source_shows_the_secret(life: AnyLife, cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    credential = PROVIDERS[cloud.name].credential_model.model_validate(life.cloud.secrets())
    texts = [repr(life.account), repr(credential)]
    life.tick()
    texts += [repr(life.collections), repr(life.items)]
    for status in (200, 400, 401, 403, 404, 429, 500, 503):
        for path in (*cloud.paths, "/instances", "/account", "/transfer", "/insights/", "/droplets"):
            life.cloud.recover()
            life.snapshots = type(life.snapshots)()
            life.cloud.fail(say(SimulatedResponse.of(cloud.quoting, status=status)), times=99, path=path)
            discover = partial(life.provider.discover, life.account)
            # What is tried again waits by the real clock in `discover`.
            for ask in (life.probe, discover) if status < 429 else (life.probe,):
                try:
                    answer = ask()
                    texts.append(repr(answer if isinstance(answer, list) else [*answer.warnings]))
                except ProviderError as error:
                    texts.append("".join(traceback.format_exception(error)))
    assert len(texts) > 20
    assert any("the costs are whole, but lack" in text for text in texts)
    assert not [text for text in [*texts, caplog.text] if SECRET in text]
