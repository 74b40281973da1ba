"""``python -m optiinfra_api.web.fetch_assets``: fetch what the pages need of npm packages into the folder ``vendor``.

With a folder and a lock, fetch what that lock names instead: the tests of the pages have files of their own, which no wheel brings.

``assets.lock.json`` names each package by its exact version, the SHA-512 of its archive as npm's own lock files do, and the files that
are taken from it. No address stands there: npm asks the registry that it is configured for. Nothing of a package is run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

LOCK: Final = Path(__file__).with_name("assets.lock.json")
VENDOR: Final = Path(__file__).with_name("vendor")
_PATIENCE: Final = 180


class NotFetched(Exception):
    """A package could not be had, or is not the one that the lock names."""


def fetch(folder: Path = VENDOR, lock: Path = LOCK) -> bool:
    """Fetch every file that `lock` names into `folder`, and return whether anything was missing before.

    Raises:
        NotFetched: npm is not there or cannot get a package, or a package is another one than the lock says; `folder` is as it was.
    """
    packages: list[dict[str, Any]] = json.loads(lock.read_text())["packages"]
    stamp, locked = folder / "lock", hashlib.sha256(lock.read_bytes()).hexdigest()
    wanted = [name for package in packages for name in package["files"].values()]
    if stamp.is_file() and stamp.read_text() == locked and all((folder / name).is_file() for name in wanted):
        return False
    npm = shutil.which("npm")
    if npm is None:
        raise NotFetched("there is no npm on this machine")
    found: dict[str, bytes] = {}
    for package in packages:
        found |= _files(npm, package)
    folder.mkdir(exist_ok=True)
    for name, content in found.items():
        (folder / name).write_bytes(content)
    stamp.write_text(locked)
    return True


def _files(npm: str, package: dict[str, Any]) -> dict[str, bytes]:
    """The files of a package that are wanted, by the names that they get."""
    which = f"{package['name']}@{package['version']}"
    with tempfile.TemporaryDirectory(prefix="optiinfra-assets-") as folder:
        command = [npm, "pack", which, "--ignore-scripts", "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotFetched(f"npm pack {which}: {error}") from None
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise NotFetched(f"npm pack {which}: {' '.join(done.stderr.split())[:200] or 'no answer'}")
        digest = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
        if package["integrity"] != f"sha512-{digest}":
            raise NotFetched(f"{which} is not the package that {LOCK.name} names: its SHA-512 differs")
        with tarfile.open(archives[0]) as archive:
            return {name: _content(archive, f"package/{path}") for path, name in package["files"].items()}


def _content(archive: tarfile.TarFile, path: str) -> bytes:
    try:
        member = archive.extractfile(path)
    except KeyError:
        member = None
    if member is None:
        raise NotFetched(f"{path} is not in the package")
    return member.read()


def main(*paths: str) -> int:
    """Fetch what is missing, for the pages or into another folder by its own lock; if it cannot be had, say so and what follows.

    Returns 0: the platform runs without.
    """
    try:
        fetch(*map(Path, paths))
    except NotFetched as why:
        missed = (
            "The tests of accessibility will be skipped" if paths else "The web pages will show tables and no charts"
        )
        print(f"{missed}: {why}.", file=sys.stderr)  # noqa: T201 - a command's own words
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
