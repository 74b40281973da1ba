"""`optiinfra anomalies` on a running API: what is odd, why, and what to say of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from api_server import serving
from command_line import Run
from planted_anomaly import planted_anomaly

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.domain.anomalies import UsageKey
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.settings import Settings


@pytest.fixture
def asked(settings: Settings, connected: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Run, str]]:
    """The command line beside an API with one anomaly, and its id."""
    with serving(settings) as url:
        monkeypatch.setenv("OPTIINFRA_API_PORT", str(urlsplit(url).port))
        metadata = Metadata.connect(settings)
        metadata.customers.add("acme")
        metadata.accounts.add(Account("acme.main", "acme", "focus"))
        series = UsageKey("focus", "acme.main", "Compute", "USD")
        author = Principal("alice", "alice", "acme", "operator")
        found = planted_anomaly(
            metadata, series, date(2026, 10, 3), Decimal(1000), author, datetime(2026, 10, 5, tzinfo=UTC)
        )
        yield connected, found
        metadata.close()


def test_an_anomaly_is_listed_shown_and_spoken_of(asked: tuple[Run, str]) -> None:
    run, found = asked
    listed = run("anomalies", "list")
    assert listed.code == 0, listed.err
    head, columns, row = listed.out.splitlines()
    assert head == "judged 2026-10-05T00:00:00Z; data through 2026-10-05T00:00:00Z; simulated"
    assert columns.split()[:4] == ["id", "days", "account", "service"]
    assert row.split() == [
        *(found, "2026-10-03", "acme.main", "Compute", "rise", "USD", "900.00", "900", "900.00", "acknowledged")
    ]
    assert found not in run("anomalies", "list", "--state", "fixed").out
    shown = run("anomalies", "show", found)
    assert shown.code == 0, shown.err
    assert shown.out.startswith("Compute of acme.main cost 900 USD (900 %) more than expected on 2026-10-03; simulated")
    assert "100 % of it: region Compute-region" in shown.out
    assert "alice: acknowledged Compute note" in shown.out
    by = run("anomalies", "show", found, "--by", "region")
    assert ["region", "expected"] in [line.split()[:2] for line in by.out.splitlines()]
    assert ["Compute-region", "100.00", "1,000.00", "900.00"] in [line.split()[:4] for line in by.out.splitlines()]
    by_tag = run("anomalies", "show", found, "--by", "tag:team")
    assert ["tag", "team", "expected"] in [line.split()[:3] for line in by_tag.out.splitlines()], by_tag.err
    assert "--by: 'team' is not accepted: use service, " in run("anomalies", "show", found, "--by", "team").err
    said = run("anomalies", "set", found, "planned", "--until", "2026-12-24", "--up-to", "1200", "--note", "a test")
    assert said.code == 0, said.err
    exact = json.loads(run("anomalies", "show", found, "--json").out)
    assert (exact["state"], exact["said"]["until"], exact["said"]["upTo"]) == ("PLANNED", "2026-12-24", "1200")
    assert (exact["band"]["cost"], exact["band"]["odd"]) == (["1000"], [True])
    wrong = run("anomalies", "set", found, "fixed", "--until", "2026-12-24")
    assert (wrong.code, "until, upTo: go with the state planned only" in wrong.err) == (1, True)
    nothing = run("anomalies", "show", "0" * 16)
    assert (nothing.code, "does not exist" in nothing.err) == (1, True)
