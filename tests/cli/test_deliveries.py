"""``optiinfra delivery``: places are added, listed, delivered to and removed, and a key is in the vault alone."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from command_line import Run

from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from tests.focus_samples import columns, csv_text, row, write_csv

PLANTED = "PLANTED-4711-secret"


def test_a_place_from_adding_to_removing(
    connected: Run, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(tmp_path / "costs" / "september.csv", csv_text([row()], columns("1.0")))
    assert connected("connect", "focus", "--customer", "acme", "--location", str(tmp_path / "costs")).code == 0
    add = ("delivery", "add", "--customer", "acme", "--name")
    done = connected(*add, "disk", "--location", str(tmp_path / "out"), "--format", "csv", "--focus", "1.2")
    assert done.out.splitlines()[0] == f"delivers to acme/disk: {tmp_path / 'out'}"
    monkeypatch.setenv("OPTIINFRA_DELIVERY_SECRET_ACCESS_KEY", PLANTED)
    key = ("--access-key-id", "AKIA1", "--endpoint-url", "http://127.0.0.1:1")
    said = [connected(*add, "lake", "--location", "s3://lake/focus", *key), connected("delivery", "list", "--json")]
    assert [one["name"] for one in json.loads(said[1].out)] == ["disk", "lake"]
    assert not [one for one in said if PLANTED in one.out + one.err or one.code]
    with closing(Metadata.connect(settings)) as metadata:
        assert "AKIA1" not in json.dumps([one.settings() for one in metadata.deliveries.find()])
    run = connected("delivery", "run", "acme/disk")
    assert run.out == f"0 files written, 0 removed, 0 unchanged at {tmp_path / 'out'}\n"
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["files"] == {}
    for name in ("disk", "lake"):
        assert connected("delivery", "remove", f"acme/{name}").code == 0
    assert connected("delivery", "list").out.startswith("no delivery yet")
    again = connected(*add, "lake", "--location", "s3://lake/focus")
    assert again.code == 0, again.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--location", "s3://"), "location: 's3:' is not accepted"),
        (("--location", "/x", "--focus", "2.0"), "version: '2.0' is not accepted: use 1.0, 1.1, 1.2, 1.3, 1.4"),
        (("--location", "/x", "--format", "json"), "format: 'json' is not accepted: use parquet or csv"),
        (("--location", "/x", "--region", "eu"), "go with an s3:// location"),
        (("--location", "/x", "--name", "A B"), "name: 'A B' is not accepted"),
        (("--location", "/x", "--customer", "nobody"), "customer: 'nobody' does not exist"),
        (
            ("--location", "gs://bucket/out"),
            "location: 'gs://bucket/out' is not accepted: use an absolute folder, or s3://",
        ),
        (("--location", "S3://bucket/out"), "location: 'S3://bucket/out' is not accepted"),
        (("--location", "costs/out"), "it would collect what is delivered"),
        (("--location", "."), "it would collect what is delivered"),
    ],
)
def test_what_is_not_accepted_is_named(
    connected: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "costs").mkdir()
    assert connected("connect", "focus", "--no-test", "--customer", "acme", "--location", "costs").code == 0
    defaults = {"--customer": "acme", "--name": "disk"} | dict(zip(given[::2], given[1::2], strict=True))
    done = connected("delivery", "add", *(word for pair in defaults.items() for word in pair))
    assert said in done.error
    assert "acme/nobody" in connected("delivery", "run", "acme/nobody").error
