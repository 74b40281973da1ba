"""A cloud with a secret, from `connect` to published: real sockets, real stores, real Dagster; and where the secret never is."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from orchestrated import NOW, Files, Platform
from stored import everything_stored

from optiinfra_assets import cli
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.settings import Settings
from optiinfra_assets.simulators.server.faults import say
from optiinfra_assets.simulators.server.server import SimulatedResponse
from optiinfra_assets.simulators.vultr.simulator import SimulatedVultr
from optiinfra_assets.simulators.world.scenario import Scenario, ScenarioResource
from optiinfra_assets.simulators.world.world import SimulatedClock

PLANTED = "PLANTED-4711-api-key"
THIS_MONTH = BillingPeriod.of(NOW)
LAST_MONTH = THIS_MONTH.shift(-1)
QUARTER = timedelta(minutes=15)
WEB = ScenarioResource("6e1f-web", "web", "compute", "vc2-2c-4gb", "fra", "main", Decimal("0.10"))


@pytest.fixture
def cloud(clock: SimulatedClock) -> Iterator[SimulatedVultr]:
    """An account that began with the month before last."""
    scenario = Scenario("small", THIS_MONTH.shift(-2).start.date(), (WEB,))
    with SimulatedVultr.make(scenario, clock, secret=PLANTED) as started:
        yield started


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line on the databases and home of this test."""
    monkeypatch.setenv("OPTIINFRA_HOME", str(settings.home))
    monkeypatch.setenv("OPTIINFRA_CLICKHOUSE_URL", str(settings.clickhouse_url))
    monkeypatch.setenv("OPTIINFRA_POSTGRES_URL", str(settings.postgres_url))


def connect(cloud: SimulatedVultr, *options: str) -> Result:
    """`optiinfra connect vultr`, the key in the environment."""
    arguments = ["connect", "vultr", "--customer", "acme", "--endpoint-url", cloud.endpoint, *options]
    done = CliRunner().invoke(cli.command, arguments, env={"OPTIINFRA_VULTR_API_KEY": PLANTED})
    assert done.exit_code == 0, done.output
    return done


def total(platform: Platform, period: BillingPeriod) -> Decimal | None:
    return platform.total(str(period), "vultr", "acme.vultr")


def invoiced(cloud: SimulatedVultr, period: BillingPeriod) -> Decimal:
    return sum((charge.amount for charge in cloud.world.invoice(period) or []), Decimal(0))


def requests_of(found: object) -> list[dg.RunRequest]:
    return list(getattr(found, "run_requests", None) or [])


@pytest.mark.usefixtures("environment")
def test_from_connect_to_published_without_a_trace_of_the_secret(
    platform: Platform,
    cloud: SimulatedVultr,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    said = connect(cloud)
    assert f"made master key {platform.settings.home / 'master.key'}: back it up" in said.stderr

    results = platform.collect(requests_of(platform.sense("new_accounts")))
    assert results
    assert all(result.success for result in results)
    assert total(platform, LAST_MONTH) == invoiced(cloud, LAST_MONTH) > 0
    assert (total(platform, THIS_MONTH) or 0) > 0
    assert platform.tick(NOW + QUARTER) == []
    assert platform.skip_reason(NOW + 2 * QUARTER) == "nothing to collect: 1 accounts checked"

    before = total(platform, THIS_MONTH)
    changed = platform.tick(NOW + timedelta(hours=3))
    assert [request.tags["dagster/partition"] for request in changed] == [f"acme.vultr|{THIS_MONTH}"]
    results += platform.collect(changed)
    assert (total(platform, THIS_MONTH) or 0) > (before or 0)

    log = platform.metadata.credentials.audit()
    assert {one.run_id for one in log if one.purpose == "collect"} == {result.run_id for result in results}
    assert len([one for one in log if one.purpose == "probe"]) == 1
    assert {one.outcome for one in log} == {"done"}

    assert {request.headers["authorization"] for request in cloud.asked} == {f"Bearer {PLANTED}"}
    printed = capfd.readouterr()
    kept = dict(everything_stored(platform))
    assert {"optiinfra.credentials", "raw_costs", str(platform.settings.home / "master.key")} <= kept.keys()
    assert b"acme.vultr" in kept["optiinfra.collection_history"]
    assert any(b"acme.vultr" in content for place, content in kept.items() if place.startswith("run "))
    kept |= {"output": f"{said.output}{said.stderr}{printed.out}{printed.err}".encode()}
    kept |= {
        "log": caplog.text.encode(),
        "history": repr(platform.metadata.collections.history(first=1000)).encode(),
    }
    assert [place for place, content in kept.items() if PLANTED.encode() in content] == []


@pytest.mark.usefixtures("environment")
def test_without_its_master_key_an_account_says_so_and_delays_nobody(
    platform: Platform, cloud: SimulatedVultr, files: Files
) -> None:
    files.write("month", str(LAST_MONTH), ["1"])
    platform.add_account("acme.files", location=str(files.path))
    connect(cloud)
    # `connect` looks at the months before the day on which the test runs; these are those of the simulated account.
    platform.metadata.slices.record_probe("acme.vultr", {LAST_MONTH: "seen", THIS_MONTH: "seen"}, NOW - QUARTER)
    key = platform.settings.home / "master.key"
    key.rename(key.with_name("elsewhere"))
    requests = platform.tick(NOW)
    assert {request.tags["optiinfra/provider"] for request in requests} == {"focus", "vultr"}
    platform.collect(requests)

    assert platform.total(str(LAST_MONTH)) == 1
    state = next(one for one in platform.metadata.accounts.states() if one.account.account_id == "acme.vultr")
    reason = f"master key: none given: put this installation's key file back at {key}, or set OPTIINFRA_MASTER_KEY"
    assert state.last_error == reason
    failed = [one for one in platform.metadata.collections.history(first=100) if one.slice.provider == "vultr"]
    assert {(one.status, one.error) for one in failed} == {("failed", reason)}
    assert platform.tick(NOW + QUARTER) == []

    key.with_name("elsewhere").rename(key)
    results = platform.collect(platform.tick(NOW + timedelta(hours=7)))
    assert [result.success for result in results] == [True]
    assert total(platform, LAST_MONTH) == invoiced(cloud, LAST_MONTH)


@pytest.mark.usefixtures("environment")
def test_requests_of_a_collection_that_fails_are_on_record_too(platform: Platform, cloud: SimulatedVultr) -> None:
    connect(cloud)
    requests = platform.tick(NOW)
    cloud.fail(say(SimulatedResponse.of({"error": "gone"}, status=404)), times=999, path="billing/invoices")
    before = platform.metadata.activity.find("acme")[0].requests
    asked = len(cloud.asked)
    platform.collect(requests)
    failed = platform.metadata.collections.history(first=100)
    assert {one.status for one in failed} == {"failed"}
    assert all(one.requests > 0 for one in failed)
    made = len(cloud.asked) - asked
    assert sum(one.requests for one in failed) == made
    assert platform.metadata.activity.find("acme")[0].requests == before + made
