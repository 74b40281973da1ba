"""The logs of services: bounded, readable by their owner only, and complete."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from loopback import HANG

from optiinfra_assets.embedded import logs

WRITER = """
import os
for number in range(300_000):
    os.write(1, b"line %06d\\n" % number)
"""


@pytest.fixture(autouse=True)
def small_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of 100 kB count as large."""
    monkeypatch.setattr(logs, "LARGEST_BYTES", 100_000)


def cuts(folder: Path) -> bool:
    """Whether the file system of `folder` can cut off the beginning of a file."""
    probe = folder / "probe"
    probe.write_bytes(bytes(10 * os.statvfs(folder).f_bsize))
    with probe.open("rb+") as file:
        return logs._cut_off(file.fileno(), os.statvfs(folder).f_bsize)


def test_no_line_of_a_writer_that_goes_on_is_lost(tmp_path: Path) -> None:
    if not cuts(tmp_path):
        pytest.skip("the file system of the temporary folder cannot cut off the beginning of a file")
    path = tmp_path / "logs" / "api.log"
    older = path.with_name("api.log.1")
    with logs.open_log(path) as log:
        writer = subprocess.Popen([sys.executable, "-c", WRITER], stdout=log)
    kept = []
    while writer.poll() is None:
        logs.bound(path)
        if older.exists():
            kept.append(older.read_bytes())
            older.unlink()
    assert writer.wait(HANG) == 0
    assert len(kept) > 3
    text = b"".join([*kept, path.read_bytes()])
    assert text == b"".join(b"line %06d\n" % number for number in range(300_000))


def test_a_log_is_bounded_and_one_older_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "logs" / "api.log"
    for can_cut in (True, False):
        if not can_cut:
            monkeypatch.setattr(logs, "_cut_off", lambda *_: False)
        for _ in range(3):
            with logs.open_log(path) as log:
                log.write(b"x" * 250_000)
            logs.bound(path)
            assert path.stat().st_size <= os.statvfs(tmp_path).f_bsize
        assert sorted(one.name for one in path.parent.iterdir()) == ["api.log", "api.log.1"]
        assert 245_000 < path.with_name("api.log.1").stat().st_size <= 255_000


def test_only_the_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "api.log"
    before = os.umask(0)
    try:
        with logs.open_log(path) as log:
            log.write(b"x" * 250_000)
        logs.bound(path)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(one.stat().st_mode) for one in (path.parent, path, path.with_name("api.log.1"))]
    assert modes == [0o700, 0o600, 0o600]


def test_a_reason_is_found_after_the_log_was_shortened(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    path.write_text("error: the disk is full\n")
    assert logs.reason(path, 5_000_000) == "the disk is full"


def test_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    path.write_bytes(b"x" * 250_000)
    path.with_name("api.log.1").symlink_to("/dev/full")
    logs.bound(path)
    assert path.stat().st_size == 250_000
