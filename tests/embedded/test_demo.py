"""`optiinfra demo --once`: from nothing to an answer that equals the files, with a port that is taken."""

from __future__ import annotations

import json
import re
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from running_platform import Platform

from optiinfra_assets import demo
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.ingestion import triggering
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.alerts import WantedRule
from optiinfra_assets.metadata.collections import CollectionTask, State, TaskStatus
from optiinfra_assets.notifications.channels import add_channel
from optiinfra_assets.settings import Settings
from optiinfra_assets.simulators import sample_clouds
from optiinfra_assets.vault.credential_audit import Actor


@pytest.mark.timeout(600)
def test_the_demo_answers_what_the_files_say_leaves_nothing_and_collects_once(short_folder: Path) -> None:
    platform = Platform(short_folder / "home")
    port = int(platform.environment["OPTIINFRA_API_PORT"])
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        done = platform.command("demo", "--once", seconds=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"port {port} is taken (OPTIINFRA_API_PORT): using " in done.stdout
    assert len(re.findall(r"^(?:acme|globex|initech) .* yes\s*$", done.stdout, re.MULTILINE)) == 4
    assert (
        "Odd costs of acme: Amazon Redshift (rise), Amazon Relational Database Service (rise), Amazon Simple"
        in done.stdout
    )
    assert (
        "Odd costs of globex: Azure Kubernetes Service (new), Google Kubernetes Engine (rise), globex.simulated (rise)\n"
        in done.stdout
    )
    assert "Odd costs of initech: Database Clusters (rise)\n" in done.stdout
    assert "curl -s http://127.0.0.1:" in done.stdout
    answer = json.loads(done.stdout[done.stdout.index("\n{\n") : done.stdout.index("\n}\n") + 2])
    assert set(answer["data"]) == {"acme", "globex", "initech"}
    assert all(customer["isSimulated"] for customer in answer["data"].values())
    assert platform.processes() == []

    again = platform.command("demo", "--once", seconds=280)
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(re.findall(r" yes\s*$", again.stdout, re.MULTILINE)) == 4


def test_a_collection_that_fails_is_said_and_stops_nothing(
    metadata: Metadata, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be of an account that a person connected to the demo, or be canceled by one."""
    month = BillingPeriod(2026, 10)
    metadata.customers.add("acme")
    metadata.accounts.add(Account("acme.own", "acme", "focus"))
    metadata.slices.record_probe("acme.own", {month: "seen"}, datetime(2026, 11, 1, tzinfo=UTC))
    asked = CollectionTask("task", (Slice("acme", "focus", "acme.own", month),))
    monkeypatch.setattr(triggering, "trigger_collection", lambda *_, **__: asked)
    ends: tuple[State, ...] = ("failed", "canceled")
    for state in ends:
        said: list[str] = []
        ended = TaskStatus("task", state, (), 0, "why")
        demo._collect(metadata, settings, said.append, lambda *_, ended=ended: ended, lambda _: None)
        assert said == [f"collection {state}: why; what to do: optiinfra status"]


def test_alerts_follow_their_receiver_to_another_port(metadata: Metadata, tmp_path: Path) -> None:
    """And whatever else a person made of the rules stays."""
    metadata.customers.add("acme")
    actor, now = Actor("somebody", "127.0.0.1"), datetime(2026, 11, 1, tzinfo=UTC)

    def serve(url: str) -> None:
        sample_clouds.clouds_file(tmp_path).write_text(json.dumps({"pid": 1, "clouds": [], "messages": url}))

    def addresses() -> list[str]:
        channels = metadata.alerts.channels(customer_id="acme")
        return [metadata.channel_secrets.reveal(one.channel_id, actor, "test")["url"] for one in channels]

    serve("http://127.0.0.1:1001/secret-path")
    demo._keep_alert_rules(metadata, tmp_path, "acme", now)
    ours = {"customer_id": "acme", "actor": actor}
    own = add_channel(metadata, "slack", "own", {"url": "https://example.com/x"}, is_operator=True, **ours).channel
    rule = next(one for one in metadata.alerts.rules(customer_id="acme") if one.kind == "anomaly")
    changed = WantedRule("anomaly", "mine", [*rule.channels, own.channel_id], {"amount": "7"}, services=["Compute"])
    metadata.alerts.save_rule(changed, now, rule.rule_id, **ours)
    before = metadata.alerts.channels(customer_id="acme")
    demo.move_alerts(metadata, tmp_path, "acme", now)
    assert metadata.alerts.channels(customer_id="acme") == before, "the same port"
    serve("http://127.0.0.1:1002/secret-path")
    demo.move_alerts(metadata, tmp_path, "acme", now)
    assert addresses() == ["https://example.com/x", "http://127.0.0.1:1002/secret-path"]
    used = {one.channel_id for one in metadata.alerts.channels(customer_id="acme")}
    after = metadata.alerts.rule(rule.rule_id, customer_id="acme")
    assert (after.name, after.services, after.number("amount"), set(after.channels)) == ("mine", ["Compute"], 7, used)
    assert {one.kind for one in metadata.alerts.rules(customer_id="acme") if used & set(one.channels)} == {
        "anomaly",
        "budget",
    }
