"""The home: what is ours in it is made private, what is not and what lies above is left as it is, and its sockets have paths that fit."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from optiinfra_assets.embedded import home_folder, preflight, socket_paths
from optiinfra_assets.embedded.errors import PreflightError


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary folder of the machine, for this test; with a short path, as it has. `tmp_path` is made before."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def make(home: Path, *names: str) -> None:
    """Make files that everybody may read and write, in folders that everybody may enter."""
    for name in names:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        path.chmod(0o666)
        for folder in path.relative_to(home).parents:
            (home / folder).chmod(0o777)


def mode(path: Path) -> int:
    """The permissions of `path`."""
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_ours_is_made_private_and_nothing_above(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make(home, "logs/api.log", "clickhouse/store/a/b.bin", "dagster/dagster.yaml", "master.key")
    above = mode(tmp_path)
    home_folder.tighten(home)
    assert {mode(path) for path in (home, *home.rglob("*")) if path.is_dir()} == {0o700}
    assert {mode(path) for path in home.rglob("*") if path.is_file()} == {0o600}
    assert mode(tmp_path) == above


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """Somebody may have given a folder for a home that is in use for other things."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    make(home, "logs/api.log", "photos/summer.jpg")
    make(elsewhere, "costs.csv")
    (home / "simulated").symlink_to(elsewhere)
    home_folder.tighten(home)
    assert [mode(home / name) for name in ("logs", "logs/api.log")] == [0o700, 0o600]
    assert [mode(path) for path in (home, home / "photos", home / "photos/summer.jpg")] == [0o777, 0o777, 0o666]
    assert [mode(path) for path in (elsewhere, elsewhere / "costs.csv")] == [0o777, 0o666]


def test_a_database_that_is_private_is_not_looked_through(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make(home, "clickhouse/store/a.bin", "logs/api.log")
    for name in ("clickhouse", "logs"):
        (home / name).chmod(0o700)
    home_folder.tighten(home)
    assert [mode(home / name) for name in ("clickhouse/store/a.bin", "logs/api.log")] == [0o666, 0o600]


@pytest.mark.parametrize("name", ["home", "a-long-name" * 12, "with space & 100%", "größe"])
def test_a_socket_is_served_and_reached_below_any_home(tmp_path: Path, temporary: Path, name: str) -> None:
    home = tmp_path / name
    home.mkdir()
    with home_folder.working_folders(home):
        path = home_folder.code_location_socket(home)
        assert socket_paths._PLAIN.fullmatch(str(path))
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(str(path))
            server.listen()
            client.connect(str(path))
        assert mode(path.parent) == 0o700
        assert (home / "sockets" / path.name).is_socket()
    assert list(temporary.iterdir()) == list(home.iterdir()) == []


def test_a_link_in_a_temporary_folder_that_is_too_long_itself(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / ("a-long-name" * 12)))
    home = tmp_path / ("a-long-name" * 12)
    home.mkdir()
    with home_folder.working_folders(home):
        path = home_folder.code_location_socket(home)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    assert not path.parent.is_symlink()


def test_what_a_killed_process_left_is_taken_over(tmp_path: Path, temporary: Path) -> None:
    home = tmp_path / ("a-long-name" * 12)
    home.mkdir()
    killed = home_folder.working_folders(home)
    killed.__enter__()
    (home / "tmp" / "spilled").write_text("x")
    with home_folder.working_folders(home):
        assert list((home / "tmp").iterdir()) == []
    assert list(temporary.iterdir()) == list(home.iterdir()) == []


@pytest.mark.parametrize("kind", ["another target", "a folder", "another user's"])
def test_a_link_that_is_not_ours_is_refused_and_left(tmp_path: Path, kind: str) -> None:
    home = tmp_path / ("a-long-name" * 12)
    (home / "sockets").mkdir(parents=True)
    link = home_folder.code_location_socket(home).parent
    if kind == "a folder":
        link.mkdir()
    else:
        link.symlink_to(home / "sockets" if kind == "another user's" else tmp_path)
    if kind == "another user's":
        if os.geteuid() != 0:
            pytest.skip("only root can give a link to another user")
        os.lchown(link, 65534, 65534)
    with (
        pytest.raises(PreflightError, match=r"is not our link to .*: remove it, or choose a shorter OPTIINFRA_HOME"),
        socket_paths.linked(home / "sockets", "code-location.sock"),
    ):
        pass
    assert link.is_symlink() or link.is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another user")
def test_a_home_of_another_user_is_refused(tmp_path: Path) -> None:
    """Its owner could replace what we put there."""
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    home.chmod(0o777)
    os.chown(home, 65533, 65533)
    child = os.fork()
    if child == 0:
        os.setresuid(65534, 65534, 65534)
        try:
            with preflight.hold_home(home):
                os._exit(0)
        except PreflightError as error:
            os._exit(7 if "belongs to another user" in str(error) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert list(home.iterdir()) == []
    home.rmdir()
