"""The pages of anomalies: what is listed, drawn and said, by whom, as text whatever it contains."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import quote

from planted_anomaly import planted_anomaly
from site_world import HOSTILE, NOW, Site
from test_states import text_of

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.domain.anomalies import UsageKey
from optiinfra_assets.metadata.tokens import Principal


def test_an_anomaly_is_seen_with_its_band_and_causes_and_spoken_of_by_operators(site: Site) -> None:
    customer = site.world.customer("operator")
    metadata, customer_id = site.world.metadata, customer.customer_id
    with site.signed_in(customer.token) as browser:
        assert "No day is judged yet" in text_of(browser.get("/anomalies"))
    account = metadata.accounts.add(Account(f"{customer_id}.main", customer_id, "aws"))
    author = Principal("alice", "alice", customer_id, "operator")
    found = planted_anomaly(
        metadata,
        UsageKey("aws", account.account_id, HOSTILE, "USD"),
        date(2026, 11, 10),
        Decimal(1000),
        author,
        NOW.replace(day=12),
    )
    with site.signed_in(customer.token) as browser:
        listed = browser.get("/anomalies")
        assert HOSTILE not in listed.text
        said = text_of(listed)
        assert "10 Nov 2026" in said
        assert "900.00 USD" in said
        assert "Simulated data" in said
        assert "Mean hours to acknowledge 1" in said
        assert "Nothing is odd" in text_of(browser.get("/anomalies?state=FIXED"))
        path = f"/anomalies/anomaly?id={found}"
        one = browser.get(path)
        assert HOSTILE not in one.text
        assert one.text.count('<rect class="odd"') == 1
        assert "Region" in text_of(one)
        assert "acknowledged" not in text_of(one), "states have their names"
        by = browser.get(f"{path}&by=region")
        assert 'aria-current="true">Region' in by.text
        assert f"{HOSTILE}-region" in text_of(by)
        by_tag = browser.get(path, params={"id": found, "tag": f"of {HOSTILE}"})
        assert f"Tag of {HOSTILE}" in text_of(by_tag)
        assert HOSTILE not in by_tag.text
        answer = browser.post(path, data={"state": "PLANNED", "until": "2026-12-24", "note": f"why {HOSTILE}"})
        assert answer.status_code == 303, text_of(answer)
        after = browser.get(path)
        assert "test: Planned until 24 Dec 2026" in text_of(after)
        assert HOSTILE not in after.text
        refused = browser.post(path, data={"state": "FIXED", "until": "2026-12-24"})
        assert "go with the state planned only" in text_of(refused)
        assert refused.status_code == 422
        assert browser.post("/anomalies/anomaly?id=none", data={"state": "FIXED"}).status_code == 422
        assert browser.post(path, data={"state": "OPEN"}).status_code == 303
        assert "more than expected on 2026-11-10" in text_of(browser.get("/")), "the overview names it"
        gone = browser.get(f"/anomalies/anomaly?id={quote('no such')}")
        assert (gone.status_code, "no such" in text_of(gone)) == (404, True)
    viewer = metadata.tokens.issue("looks", customer_id, "viewer").plaintext
    with site.signed_in(viewer) as browser:
        assert 'method="post" action="/anomalies' not in browser.get(path).text
        assert "this needs operator" in text_of(browser.post(path, data={"state": "FIXED"}))
        assert "test: Open" in text_of(browser.get(path))
    with site.signed_in(site.world.customer("admin").token) as browser:
        assert browser.get(path).status_code == 404
    changes = metadata.anomalies.history(found, customer_id=customer_id)
    assert [change.state.value for change in changes] == ["acknowledged", "planned", "open"]
    assert all(change.set_at <= datetime.now(UTC) for change in changes)
