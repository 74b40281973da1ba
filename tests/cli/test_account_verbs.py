"""`optiinfra accounts show`, `set` and `remove` on real databases and a simulated cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from command_line import Run

from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.failures import AFTER_PERMANENT, Fault
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.simulators.focus_files import generator
from optiinfra_assets.simulators.focus_files.catalog import CUSTOMERS
from optiinfra_assets.simulators.vultr.simulator import SimulatedVultr
from optiinfra_assets.simulators.world.scenario import Scenario, ScenarioResource
from optiinfra_assets.vault.credential_audit import Actor

OLD, NEW = "PLANTED-4711-old-key", "PLANTED-4712-new-key"
WEB = ScenarioResource("6e1f-web", "web", "compute", "vc2-2c-4gb", "fra", "main", Decimal("0.10"))


@pytest.fixture
def metadata(settings: Settings) -> Iterator[Metadata]:
    """What another process sees."""
    with closing(Metadata.connect(settings)) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with simulated files."""
    generator.write(CUSTOMERS[0], tmp_path / "files", date(2026, 11, 3))
    return tmp_path / "files"


@pytest.fixture
def focus(connected: Run, folder: Path) -> Run:
    """The command line where the account acme.focus is connected."""
    done = connected("connect", "focus", "--customer", "acme", "--location", str(folder))
    assert done.code == 0, done.err
    return connected


@pytest.fixture
def cloud(connected: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedVultr]:
    """A cloud that accepts only the new key, and the account acme.vultr with the old one."""
    start = BillingPeriod.of(datetime.now(UTC)).shift(-2).start.date()
    monkeypatch.setenv("OPTIINFRA_VULTR_API_KEY", OLD)
    with SimulatedVultr.make(Scenario("small", start, (WEB,)), lambda: datetime.now(UTC), secret=NEW) as started:
        connect = ("connect", "vultr", "--customer", "acme", "--endpoint-url", started.endpoint, "--no-test")
        assert connected(*connect).code == 0
        yield started


def test_show_has_state_failures_and_each_month(focus: Run, folder: Path, metadata: Metadata) -> None:
    at = datetime(2026, 11, 3, tzinfo=UTC)
    october = Slice("acme", "focus", "acme.focus", BillingPeriod(2026, 10))
    metadata.slices.record_collection(october, _seen(metadata, october), at, generation=7, published_at=at)
    september = Slice("acme", "focus", "acme.focus", BillingPeriod(2026, 9))
    now = datetime.now(UTC)
    metadata.failures.record(september, "row 7 is no good", Fault.SOURCE, now, AFTER_PERMANENT)
    content = json.loads(focus("accounts", "show", "acme.focus", "--json").out)
    assert (content["account"], content["status"], content["settings"]) == (
        "acme.focus",
        "active",
        {"location": str(folder)},
    )
    assert [one["period"] for one in content["months"]][:3] == ["2026-11", "2026-10", "2026-09"]
    assert content["months"][1] == {
        "period": "2026-10", "is_due": False, "seen_at": content["months"][1]["seen_at"],
        "checked_at": at.isoformat(), "published_at": at.isoformat(), "generation": 7,
    }  # fmt: skip
    assert content["months"][2]["is_due"] is True
    (failure,) = content["failures"]
    assert datetime.fromisoformat(failure["retry_at"]) > now
    shown = focus("accounts", "show", "acme.focus").out
    for part in (
        "active",
        str(folder),
        "row 7 is no good",
        f"{now + AFTER_PERMANENT.first:%Y-%m-%d %H:%M} UTC",
        "2026-10  collected",
    ):
        assert part in shown, shown


def _seen(metadata: Metadata, slice_: Slice) -> str:
    (state,) = [one for one in metadata.slices.states(account_id=slice_.account_id) if one.slice == slice_]
    return str(state.seen_token)


def test_settings_are_changed_after_the_source_was_read(
    focus: Run, folder: Path, tmp_path: Path, metadata: Metadata
) -> None:
    other = tmp_path / "elsewhere"
    assert "elsewhere" in focus("accounts", "set", "acme.focus", "--location", str(other)).error
    assert metadata.accounts.get("acme.focus").settings == {"location": str(folder)}
    folder.rename(other)
    done = focus("accounts", "set", "acme.focus", "--location", str(other))
    assert done.code == 0, done.err
    assert done.out.startswith("changed acme.focus: location\nfound ")
    assert metadata.accounts.get("acme.focus").settings == {"location": str(other)}
    last = metadata.credentials.audit(first=1)[0]
    assert (last.actor, last.action, last.account_id) == ("cli", "update", "acme.focus")


def test_what_cannot_be_set_is_said_with_what_can(focus: Run) -> None:
    assert "account: 'acme.nope' does not exist" in focus("accounts", "set", "acme.nope", "--location", "/x").error
    assert (
        "nothing to change: see `optiinfra accounts set acme.focus --help`"
        in focus("accounts", "set", "acme.focus").error
    )
    assert "No such option '--color'" in focus("accounts", "set", "acme.focus", "--color", "red").error
    helped = focus("accounts", "set", "acme.focus", "--help")
    assert "--location" in helped.out
    assert "--customer" not in helped.out


def test_a_secret_is_replaced_once_the_cloud_takes_it_and_never_shown(
    connected: Run, cloud: SimulatedVultr, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = connected("accounts", "set", "acme.vultr", "--new-secret")
    assert "the credential is not accepted" in refused.error
    monkeypatch.setenv("OPTIINFRA_VULTR_API_KEY", NEW)
    done = connected("accounts", "set", "acme.vultr", "--new-secret")
    assert done.code == 0, done.err
    assert done.out.startswith("changed acme.vultr: api_key\nfound ")
    assert metadata.credentials.reveal("acme.vultr", Actor.here("test"), "test") == {"api_key": NEW}
    assert metadata.accounts.get("acme.vultr").settings == {"endpoint_url": cloud.endpoint}
    shown = [
        refused,
        done,
        connected("accounts", "show", "acme.vultr"),
        connected("accounts", "show", "acme.vultr", "--json"),
    ]
    assert not [one for one in shown for key in (OLD, NEW) if key in one.out + one.err]
    assert json.loads(shown[-1].out)["secret_rotated_at"]


def test_a_stored_secret_goes_to_no_other_address(connected: Run, cloud: SimulatedVultr, metadata: Metadata) -> None:
    elsewhere = ("accounts", "set", "acme.vultr", "--endpoint-url", "https://collector.example.com", "--no-test")
    assert "--endpoint-url: goes with --new-secret: a secret is for one address" in connected(*elsewhere).error
    assert metadata.accounts.get("acme.vultr").settings == {"endpoint_url": cloud.endpoint}
    assert connected(*elsewhere, "--new-secret").code == 0
    assert metadata.accounts.get("acme.vultr").settings == {"endpoint_url": "https://collector.example.com"}
    assert connected("accounts", "set", "acme.vultr", "--reset", "endpoint_url", "--new-secret", "--no-test").code == 0
    assert metadata.accounts.get("acme.vultr").settings == {"endpoint_url": "https://api.vultr.com/v2"}


def test_remove_asks_stops_and_keeps_what_was_collected(
    connected: Run, cloud: SimulatedVultr, metadata: Metadata
) -> None:
    assert "--yes: needed where nobody can be asked" in connected("accounts", "remove", "acme.vultr").error
    assert metadata.accounts.find(account_id="acme.vultr")
    done = connected("accounts", "remove", "acme.vultr", "--yes")
    assert done.code == 0, done.err
    assert metadata.accounts.find(account_id="acme.vultr") == []
    assert json.loads(connected("accounts", "show", "acme.vultr", "--json").out)["status"] == "disabled"
    assert "was removed already" in connected("accounts", "remove", "acme.vultr", "--yes").error
    assert "was removed: connect it again" in connected("accounts", "set", "acme.vultr", "--new-secret").error
    assert "account: 'acme.nope' does not exist" in connected("accounts", "remove", "acme.nope", "--yes").error


def test_an_account_that_another_changed_meanwhile_is_not_overwritten(
    focus: Run, folder: Path, tmp_path: Path, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optiinfra_assets.ingestion import onboarding

    other, theirs = tmp_path / "other", {"location": str(tmp_path / "theirs")}
    folder.rename(other)
    read = onboarding.read_source

    def reading(*given: object) -> object:
        metadata.accounts.change_settings("acme.focus", theirs)
        return read(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(onboarding, "read_source", reading)
    assert focus("accounts", "set", "acme.focus", "--location", str(other)).code == 1
    assert metadata.accounts.get("acme.focus").settings == theirs
