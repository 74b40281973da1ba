"""Whom PostgreSQL runs as when root starts it: it refuses to run as root.

Root starts the server under a number that no account has, so that no user has to be made and none is shared with other services. The
server needs no account of that number, but `initdb` looks its user up (get_user_name in PostgreSQL's src/common/username.c). `initdb`
therefore runs as an account that is there, for a second and in a folder that only root can enter; its files are then given to the number.

No mode of any folder is changed for this. The server enters its data directory through its working directory (``/proc/self/cwd``), which
may lie below folders that the server could not pass. If it cannot pass those of its programs, for instance in an environment below
``/root``, it also gets the one capability to do so (capabilities(7)).
"""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from optiinfra_assets.embedded.errors import PostgresError

NUMBERS: Final = range(65520, 65534)
"""Numbers that neither people, services nor containers get, and that exist in containers too (systemd.io/UIDS-GIDS: "unused")."""

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP = 28, 1 << 2
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True, slots=True)
class ServerUser:
    """A user and group for processes of PostgreSQL, with at most one of root's capabilities (its number in linux/capability.h)."""

    uid: int
    gid: int
    capability: int | None = None

    @classmethod
    def find(cls, program: str) -> Self | None:
        """Return the user for a server that runs `program`; None if we are not root, so that it runs as ourselves.

        Raises:
            PostgresError: there is no such user, or it cannot run `program`.
        """
        if os.geteuid() != 0:
            return None
        number = next((one for one in NUMBERS if not _has_account(one)), None)
        if number is None or sys.platform != "linux":
            raise PostgresError(f"PostgreSQL refuses to run as root and no other user can be had here: {_REMEDY}")
        # With the second capability it could also write: only where root itself, in a container, does not have the first.
        for capability in (None, _CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
            user = cls(number, number, capability)
            if user._can_run(program):
                return user
        raise PostgresError(f"PostgreSQL refuses to run as root, and user {number} cannot run {program}: {_REMEDY}")

    def for_initdb(self) -> ServerUser:
        """Return this user under the number of an account that is there, but with this user's group, which no other process has.

        Raises:
            PostgresError: there is no account but root's.
        """
        accounts = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0}
        if not accounts:
            raise PostgresError(f"PostgreSQL's initdb needs an account other than root's, and there is none: {_REMEDY}")
        return replace(self, uid=accounts.get("nobody", next(iter(accounts.values()))))

    def become(self) -> None:
        """Turn this process, a child before its exec, into one of this user, in no other group.

        Raises:
            OSError: we may not.
        """
        os.setgroups([])
        os.setresgid(self.gid, self.gid, self.gid)
        if self.capability is not None:
            # Capabilities outlast the change of user, and access(2), by which PostgreSQL looks for its programs, counts them.
            _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
        os.setresuid(self.uid, self.uid, self.uid)
        if self.capability is not None:
            _keep_only(self.capability)

    def owns(self, path: Path) -> bool:
        """Whether `path` belongs to this user."""
        return path.stat().st_uid == self.uid

    def take(self, folder: Path) -> None:
        """Give `folder` and all that is in it to this user, itself last, so that an interruption is seen and repaired."""
        for _, _, names, descriptor in os.fwalk(folder, topdown=False):
            for name in names:
                os.chown(name, self.uid, self.gid, dir_fd=descriptor, follow_symlinks=False)
            os.chown(descriptor, self.uid, self.gid)

    def _can_run(self, program: str) -> bool:
        try:
            command = [program, "--version"]
            return subprocess.run(command, capture_output=True, cwd="/", preexec_fn=self.become).returncode == 0
        except (OSError, subprocess.SubprocessError):
            return False


_REMEDY = "start as an ordinary user, or set OPTIINFRA_POSTGRES_URL"


def _has_account(number: int) -> bool:
    for look_up in (pwd.getpwuid, grp.getgrgid):
        try:
            look_up(number)
        except KeyError:
            continue
        return True
    return False


_libc = ctypes.CDLL(None, use_errno=True)


def _keep_only(capability: int) -> None:
    """Reduce our capabilities to one, which also survives the exec (capset(2), PR_CAP_AMBIENT)."""
    bit = 1 << capability
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    _check(_libc.capset(header, effective_permitted_inheritable))
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def _prctl(*arguments: int) -> None:
    _check(_libc.prctl(*(ctypes.c_ulong(argument) for argument in arguments)))


def _check(answer: int) -> None:
    if answer != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
