"""The receiver of the demonstration's alerts: each message is a line, whichever port it has, and nobody else writes one."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from optiinfra_assets.simulators.alert_receiver import receiving


def test_messages_stay_on_this_machine_also_where_the_port_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "messages.jsonl"
    with receiving(file) as first, receiving(file, first) as other:
        assert other != first
        for url in (first, other):
            assert httpx.post(url, content=json.dumps({"to": url}, indent=2)).status_code == 204
            for path in ("/", "/messages", "/messages?one"):
                assert httpx.post(str(httpx.URL(url).join(path)), content="{}").status_code == 404
    assert [json.loads(line)["to"] for line in file.read_text().splitlines()] == [first, other]
    with receiving(file, first) as again:
        assert again == first
