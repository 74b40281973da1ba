"""Files of npm packages: fetched by npm itself from a registry on this machine, checked, and missed where they cannot be had."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from loopback import served

from optiinfra_api.web.fetch_assets import LOCK, NotFetched, fetch

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="NO NPM ON THIS MACHINE: nothing is fetched")


def archive() -> bytes:
    """A package as npm has it: one script, and one that would run when it is installed."""
    files = {
        "package/package.json": json.dumps(
            {"name": "drawing", "version": "1.0.0", "scripts": {"prepack": "touch ran", "install": "touch ran"}}
        ).encode(),
        "package/dist/drawing.js": b"draw()",
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


PACKED = archive()
INTEGRITY = "sha512-" + base64.b64encode(hashlib.sha512(PACKED).digest()).decode()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A registry with that one package, which npm asks."""

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/drawing":
                dist = {"tarball": f"{url}/drawing.tgz", "integrity": INTEGRITY}
                version = {"name": "drawing", "version": "1.0.0", "dist": dist}
                answer = json.dumps(
                    {"name": "drawing", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
                ).encode()
            else:
                answer = PACKED if self.path == "/drawing.tgz" else b""
            self.send_response(200 if answer else 404)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    with served(Registry) as url:
        monkeypatch.setenv("npm_config_registry", url)
        yield url


def locked(folder: Path, **changes: str) -> Path:
    """A lock that names the package."""
    package = {"name": "drawing", "version": "1.0.0", "integrity": INTEGRITY, **changes}
    lock = folder / "lock.json"
    lock.write_text(json.dumps({"packages": [{**package, "files": {"dist/drawing.js": "drawing.js"}}]}))
    return lock


@needs_npm
def test_what_the_lock_names_is_fetched_once_and_none_of_it_runs(registry: str, tmp_path: Path) -> None:
    vendor = tmp_path / "vendor"
    assert fetch(vendor, locked(tmp_path))
    assert (vendor / "drawing.js").read_bytes() == b"draw()"
    assert not fetch(vendor, locked(tmp_path)), "it is there"
    assert list(tmp_path.rglob("ran")) == []
    (vendor / "drawing.js").unlink()
    assert fetch(vendor, locked(tmp_path))


@needs_npm
@pytest.mark.parametrize(
    ("change", "why"),
    [({"integrity": "sha512-" + "A" * 86 + "=="}, "SHA-512 differs"), ({"version": "1.0.1"}, "npm pack drawing@1.0.1")],
    ids=["another package", "no such version"],
)
def test_another_package_is_refused_and_nothing_changes(
    registry: str, tmp_path: Path, change: dict[str, str], why: str
) -> None:
    vendor = tmp_path / "vendor"
    with pytest.raises(NotFetched, match=why):
        fetch(vendor, locked(tmp_path, **change))
    assert not vendor.exists()


def test_without_npm_the_platform_is_made_and_one_line_says_what_follows(tmp_path: Path) -> None:
    package = tmp_path / "optiinfra_api" / "web"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    for name in ("fetch_assets.py", LOCK.name):
        shutil.copy(LOCK.with_name(name), package / name)
    done = subprocess.run(
        [sys.executable, "-m", "optiinfra_api.web.fetch_assets"],
        cwd=tmp_path,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert "tables and no charts: there is no npm" in done.stderr


def test_the_lock_names_exact_versions_and_no_address() -> None:
    for package in json.loads(LOCK.read_text())["packages"]:
        assert package["version"].replace(".", "").isdigit()
        assert len(base64.b64decode(package["integrity"].removeprefix("sha512-"))) == 64
    assert "://" not in LOCK.read_text()
