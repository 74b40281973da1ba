"""The receiver of the demonstration's alerts: each message is a line, whichever port it has."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from optiinfra_assets.simulators.alert_receiver import receiving


def test_messages_stay_on_this_machine_also_where_the_port_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "messages.jsonl"
    with receiving(file) as port, receiving(file, port) as other:
        assert other != port
        for number in (port, other):
            body = json.dumps({"port": number}, indent=2).encode()
            with urllib.request.urlopen(f"http://127.0.0.1:{number}/", body, timeout=30) as answer:
                assert answer.status == 204
    assert [json.loads(line)["port"] for line in file.read_text().splitlines()] == [port, other]
