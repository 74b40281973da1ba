"""Another user of the machine, beside a whole platform that root runs: he connects to no socket, reads no state and runs no command.

The home has everything against it: an earlier version made it readable by all, the umask is 0, and its path is too long for a socket.
"""

from __future__ import annotations

import errno
import json
import os
import pwd
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from dagster._grpc.client import DagsterGrpcClient
from running_platform import Platform

from optiinfra_assets.embedded import home_folder

OTHER = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that everybody can enter: pytest's own are closed to others."""
    made = Path(tempfile.mkdtemp(prefix="optiinfra-local-user-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def modes_above(folder: Path) -> dict[Path, int]:
    """The modes of the folders above the home, before anything runs."""
    home(folder).parent.mkdir(parents=True)
    return modes(folder)


@pytest.fixture(scope="module")
def platform(folder: Path, modes_above: dict[Path, int]) -> Iterator[Platform]:
    """The platform in a home that an earlier version left open."""
    logs = home(folder) / "logs"
    logs.mkdir(parents=True)
    (logs / "api.log").write_text("what was said before\n")
    (home(folder) / "simulated").mkdir()
    (home(folder) / "simulated" / "costs.csv").write_text("BilledCost\n")
    for path in (
        home(folder),
        logs,
        logs / "api.log",
        *home(folder).rglob("simulated*"),
        logs.parent / "simulated/costs.csv",
    ):
        path.chmod(0o777)
    temporary = folder / "temporary"
    temporary.mkdir()
    running = Platform(home(folder), umask=0, TMPDIR=str(temporary), OPTIINFRA_CODE_LOCATION_PORT="4000")
    running.up()
    yield running
    if running.process and running.process.poll() is None:
        running.stop()


def home(folder: Path) -> Path:
    """A home with a path of more than 107 bytes."""
    return folder.joinpath(*["a-folder-with-a-long-name"] * 4, "home")


def modes(folder: Path) -> dict[Path, int]:
    """The modes of the folders above the home, and of those above our programs."""
    above = [*home(folder).parents, *Path(__file__).parents]
    return {path: stat.S_IMODE(path.stat().st_mode) for path in above}


def as_another_user(act: Callable[[], object]) -> object:
    """What `act` returns to another user, who has no group of ours; it must be JSON."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(OTHER, OTHER, OTHER)
            os.setresuid(OTHER, OTHER, OTHER)
            os.write(writer, json.dumps(act()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text)


def connecting(path: Path) -> str:
    """The name of the error when connecting to a unix socket, empty if there is none."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


def readable(paths: list[Path]) -> list[str]:
    """Those of `paths` that can be read or listed."""
    return [str(path) for path in paths if os.access(path, os.R_OK)]


def mode(path: Path) -> int:
    """None, if it has gone since it was found: a database's temporary file."""
    with suppress(FileNotFoundError):
        return stat.S_IMODE(path.lstat().st_mode)
    return 0


def code_location(platform: Platform) -> Path:
    """The socket of Dagster's code location as its clients name it: by the link, which lies in the temporary folder."""
    (link,) = (path for path in Path(platform.environment["TMPDIR"]).iterdir() if path.readlink().name == "sockets")
    return link / home_folder.code_location_socket(Path("/h")).name


def test_he_reaches_neither_the_code_location_nor_the_database(platform: Platform) -> None:
    sockets = [
        code_location(platform),
        Path(json.loads((platform.home / "runtime.json").read_text())["postgres_url"].partition("host=")[2])
        / ".s.PGSQL.5432",
    ]
    assert [connecting(path) for path in sockets] == ["", ""], "root connects"
    assert DagsterGrpcClient(socket=str(sockets[0])).ping("hello")["echo"] == "hello"
    assert as_another_user(lambda: [connecting(path) for path in sockets]) == ["EACCES", "EACCES"]


def connections(process: psutil.Process) -> list[Any]:
    """None of one that has ended since it was found, such as what waited for a run."""
    with suppress(psutil.NoSuchProcess):
        return list(process.net_connections("inet"))
    return []


def test_no_port_runs_commands(platform: Platform) -> None:
    """The three that listen ask for a password, a token or a sign-in; the code location has none."""
    listening = {
        connection.laddr.port: connection.laddr.ip
        for process in platform.processes()
        for connection in connections(process)
        if connection.status == psutil.CONN_LISTEN
    }
    assert {str(port) for port in listening} == {
        value for name, value in platform.environment.items() if name.endswith("_PORT") and "CODE_LOCATION" not in name
    }
    assert set(listening.values()) == {"127.0.0.1"}
    assert platform.one("optiinfra_assets.dagster_processes.code_location").net_connections("inet") == []


def test_he_reads_nothing_of_the_state(platform: Platform) -> None:
    paths = [platform.home, *platform.home.rglob("*")]
    read = set(readable(paths))
    left = {str(path) for path in paths if os.path.lexists(path)}  # both databases remove files meanwhile
    assert left <= read, "root reads all of it"
    assert len(left) > 1000
    assert as_another_user(lambda: readable(paths)) == []


def test_every_file_is_private_whatever_the_umask_and_the_modes_before(platform: Platform) -> None:
    paths = [path for path in (platform.home, *platform.home.rglob("*")) if not path.is_symlink()]
    assert [str(path) for path in paths if mode(path) & 0o077] == []
    assert (platform.home / "logs/api.log").read_text().startswith("what was said before\n")


def test_every_entry_of_a_home_is_known_to_be_ours(platform: Platform) -> None:
    """Only what is known is tightened: the home may be a folder with other things in it."""
    assert {path.name for path in platform.home.iterdir()} <= home_folder._OURS


def test_no_folder_above_is_changed_and_no_account_is_used(
    platform: Platform, folder: Path, modes_above: dict[Path, int]
) -> None:
    assert modes(folder) == modes_above
    users = {process.uids().real for process in platform.processes()} - {0}
    assert len(users) == 1, "PostgreSQL's"
    with pytest.raises(KeyError):
        pwd.getpwuid(users.pop())


def test_nothing_stays_in_the_temporary_folder(platform: Platform) -> None:
    assert platform.stop() == 0
    assert list(Path(platform.environment["TMPDIR"]).iterdir()) == []
    assert platform.processes() == []
