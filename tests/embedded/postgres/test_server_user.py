"""Root's PostgreSQL: it runs as nobody that exists, below folders that only root can enter, and no folder's mode is changed for it."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
from loopback import HANG, server_folder

from optiinfra_assets.embedded.postgres import data_folder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root cannot run PostgreSQL as itself")


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that only root can enter."""
    with server_folder() as folder:
        yield folder


def modes(path: Path) -> dict[Path, int]:
    """The modes of all folders above `path`."""
    return {parent: stat.S_IMODE(parent.stat().st_mode) for parent in path.parents if parent.exists()}


def serve_once(path: Path, **environment: str) -> dict[str, Any]:
    """Start the server on `path`, ask it, stop it; what it ran as."""
    command = [sys.executable, "-m", "optiinfra_assets.embedded.postgres", "--path", str(path)]
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, process.communicate()[1]
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS answer")
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        (server,) = psutil.Process(process.pid).children()
        said: dict[str, Any] = server.as_dict(["uids", "gids", "exe"])
        said["capabilities"] = int(status_line(server.pid, "CapEff"), 16)
        return said
    finally:
        process.terminate()
        process.communicate(timeout=HANG)


def status_line(pid: int, name: str) -> str:
    """A value of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def assert_private(path: Path, uid: int) -> None:
    """All of a data directory belongs to `uid` and is closed to others."""
    for one in (path, *path.rglob("*")):
        found = one.lstat()
        assert (found.st_uid, found.st_gid) == (uid, uid), one
        assert not found.st_mode & 0o077 or one.is_symlink(), one


def test_it_runs_as_a_number_without_an_account(closed: Path) -> None:
    path = closed / "postgres"
    before, accounts = modes(path), pwd.getpwall()
    server = serve_once(path)
    (uid,) = set(server["uids"])
    with pytest.raises(KeyError):
        pwd.getpwuid(uid)
    assert set(server["gids"]) == {uid}
    assert_private(path, uid)
    assert modes(path) == before
    assert pwd.getpwall() == accounts
    assert sorted(one.name for one in closed.iterdir()) == ["postgres", "postgres.lock"]


def test_data_of_another_user_are_taken_over(closed: Path) -> None:
    """An earlier version made a system user and gave it the data."""
    path = closed / "postgres"
    serve_once(path)
    for one in (path, *path.rglob("*")):
        os.lchown(one, 12345, 12345)
    (uid,) = set(serve_once(path)["uids"])
    assert_private(path, uid)


def test_programs_that_only_root_can_reach(closed: Path) -> None:
    """Such as those of an environment below /root: one capability passes the folders, and their modes stay."""
    installed = Path(data_folder.binary("postgres")).parents[2]
    copied = closed / "site-packages" / installed.name
    for part in installed.parent.glob(f"{installed.name}*"):  # the package, and the libraries beside it
        shutil.copytree(part, copied.with_name(part.name), symlinks=True)
    path = closed / "postgres"
    before = modes(copied / "pginstall18/bin/postgres")
    server = serve_once(path, PYTHONPATH=str(copied.parent))
    assert server["exe"].startswith(str(copied))
    assert server["capabilities"].bit_count() == 1
    assert_private(path, server["uids"].real)
    assert modes(copied / "pginstall18/bin/postgres") == before
