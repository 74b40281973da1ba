"""`optiinfra demo --once`: from nothing to an answer that equals the files, with a port that is taken."""

from __future__ import annotations

import csv
import json
import re
import socket
from pathlib import Path

import pytest
from running_platform import Platform


def add_a_refused_file(folder: Path) -> None:
    """Add a file whose only row costs nothing and is refused, as a person may have one."""
    with min(folder.glob("*.csv")).open(newline="") as file:
        row = next(csv.DictReader(file))
    with (folder / "refused.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow({**row, "BilledCost": "0", "ChargeCategory": "Something"})


@pytest.mark.timeout(600)
def test_the_demo_answers_what_the_files_say_leaves_nothing_and_collects_once(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "home")
    port = int(platform.environment["OPTIINFRA_API_PORT"])
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        done = platform.command("demo", "--once", seconds=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"port {port} is taken (OPTIINFRA_API_PORT): using " in done.stdout
    assert len(re.findall(r"^(?:acme|globex|initech) .* yes\s*$", done.stdout, re.MULTILINE)) == 4
    assert "curl -s http://127.0.0.1:" in done.stdout
    answer = json.loads(done.stdout[done.stdout.index("\n{\n") : done.stdout.index("\n}\n") + 2])
    assert set(answer["data"]) == {"acme", "globex", "initech"}
    assert all(customer["isSimulated"] for customer in answer["data"].values())
    assert platform.processes() == []

    add_a_refused_file(tmp_path / "home" / "demo" / "simulated" / "acme")
    again = platform.command("demo", "--once", seconds=280)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "collection failed: " in again.stdout, "one month that is refused does not stop everything"
    assert "what to do: optiinfra status" in again.stdout
    assert len(re.findall(r" yes\s*$", again.stdout, re.MULTILINE)) == 4
