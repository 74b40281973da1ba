"""`optiinfra up`: everything starts, comes back, stops and leaves nothing, whatever is killed; and says in one line why it cannot start."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest
from running_platform import Platform, eventually, stopped_for

from optiinfra_assets.embedded import home_folder, liveness, preflight
from optiinfra_assets.embedded.errors import PreflightError
from optiinfra_assets.metadata.web_sessions import LINK_PATH

TO_BE_HURRIED = """
import signal
from optiinfra_assets.cli import main
from optiinfra_assets.embedded import liveness
def hurry(*_):
    liveness.PERIOD, liveness.PROBE_TIMEOUT = 0.5, 2.0
signal.signal(signal.SIGUSR1, hurry)
main()
"""
"""The command line with a supervisor that asks ten times as often as usual from SIGUSR1 on."""

WITHOUT_DAGSTER = """
from optiinfra_assets.cli import main
from optiinfra_assets.embedded import services
whole = services.plan
services.plan = lambda *how: [one for one in whole(*how) if one.name in ("postgres", "clickhouse", "migrations")]
main()
"""
"""The command line with a supervisor of the databases and their tables alone."""

LATEST = 100
"""Seconds in which all parts are replaced, on a machine that is busy with other tests too."""


@pytest.fixture(scope="module")
def platform(short_folder: Path) -> Iterator[Platform]:
    """A running platform, shared by the tests of this module up to the one that kills it."""
    running = Platform(short_folder / "home")
    running.up("-c", TO_BE_HURRIED)
    yield running
    if running.process and running.process.poll() is None:
        running.stop()


def test_everything_answers_and_an_empty_installation_says_what_to_type(platform: Platform) -> None:
    status = platform.status()
    names = ["postgres", "clickhouse", "dagster-webserver", "dagster-daemon", "code-location", "automation", "api"]
    assert [part["name"] for part in status["parts"]] == names
    assert eventually(platform.is_up, 30), platform.status()
    assert status["accounts"] == []
    assert "optiinfra connect" in status["next"]


def test_addresses_are_written_for_us_alone(platform: Platform) -> None:
    runtime = platform.home / "runtime.json"
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o600


def test_the_link_that_up_prints_signs_one_browser_in(platform: Platform) -> None:
    log = platform.home.with_name("home.up.log")
    printed = re.compile(rf"(http://127\.0\.0\.1:\d+)({LINK_PATH})(\S+)")
    assert eventually(lambda: printed.search(log.read_text()) is not None, 30)
    found = printed.search(log.read_text())
    assert found is not None
    url, path, link = found.groups()
    assert "button" in httpx.get(f"{url}{path}{link}").text
    with httpx.Client(base_url=url, headers={"Origin": url}) as browser:
        dagster = json.loads((platform.home / "runtime.json").read_text())["dagster_url"]
        assert browser.get("/explore").headers["location"] == "/sign-in?next=%2Fexplore"
        assert browser.get(f"{dagster}/runs").status_code == 401
        assert browser.post("/sign-in/link", data={"link": link}).headers["location"] == "/"
        assert "Overview" in browser.get("/").text
        assert browser.get(f"{dagster}/runs").status_code == 200, "a session is one for both"
        assert httpx.post(f"{url}/sign-in/link", data={"link": link}).status_code == 403, "it is used up"
        another = platform.command("token", "link", "--read-only", "--minutes", "1").stdout.strip()
        assert another.startswith(f"{url}{path}")
        assert platform.command("token", "link", "--dagster").stdout.startswith(f"{dagster}{path}")
        (standing,) = json.loads(platform.command("token", "list", "--json").stdout)
        assert platform.command("token", "revoke", standing["token_id"]).returncode == 0
        assert browser.get("/explore").status_code == 303, "revoking its token ends the session"
        assert browser.get(f"{dagster}/runs").status_code == 401
    token = json.loads((platform.home / "runtime.json").read_text())["dagster_token"]
    logs = [file.read_text() for file in (log, *(platform.home / "logs").iterdir())]
    assert not any(token in text for text in logs)
    assert not any(token in word for process in platform.processes() for word in process.cmdline())


def test_a_second_up_on_the_same_home_is_refused(platform: Platform) -> None:
    assert platform.process is not None
    refused = platform.command("up")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"home {platform.home}: already served by process {platform.process.pid}" in refused.stderr


def test_what_is_killed_comes_back(platform: Platform) -> None:
    """An engine, one that is a child of our process, and who listens on a socket and on a port."""
    parts = _parts(platform)
    killed = [parts[name] for name in ("clickhouse", "postgres", "code location", "api")]
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert eventually(platform.is_up, 60), platform.status()
    assert not set(killed) & {one.pid for one in platform.processes()}


@pytest.fixture(scope="module")
def impatient(platform: Platform) -> Platform:
    """The same, whose supervisor asks ten times as often as usual from now on."""
    assert platform.process is not None
    platform.process.send_signal(signal.SIGUSR1)
    return platform


def _parts(platform: Platform) -> dict[str, int]:
    """The process of each part that has to answer: of PostgreSQL the server itself, which our process only starts."""
    postmaster = (platform.home / "postgres" / "postmaster.pid").read_text().split()[0]
    running = platform.processes()
    return {
        "postgres": int(postmaster),
        "clickhouse": platform.one("optiinfra_assets.embedded.clickhouse", among=running).pid,
        "webserver": platform.one("optiinfra_api.web", among=running).pid,
        "daemon": platform.one("optiinfra_assets.dagster_processes.daemon", among=running).pid,
        "code location": platform.one("optiinfra_assets.dagster_processes.code_location", among=running).pid,
        "api": platform.one("optiinfra_api", among=running).pid,
    }


def _are_others(platform: Platform, before: dict[str, int]) -> bool:
    """Whether every part runs, each in another process than before."""
    try:
        return not set(_parts(platform).values()) & set(before.values())
    except (ValueError, OSError):
        return False  # one of them does not run yet


def test_who_sleeps_with_the_whole_machine_is_not_replaced(impatient: Platform) -> None:
    """As a laptop does: all stop, and the clock goes on. Eight seconds are twice what the supervisor would wait for an answer."""
    assert impatient.process is not None
    before = _parts(impatient)
    stopped_for(8, [impatient.process.pid, *before.values()])
    time.sleep(6)
    assert _parts(impatient) == before
    assert eventually(impatient.is_up, LATEST), impatient.status()


def test_every_part_that_is_silent_is_replaced(impatient: Platform) -> None:
    before = _parts(impatient)
    for pid in before.values():
        os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: not any(map(psutil.pid_exists, before.values())), LATEST), before
    assert eventually(lambda: _are_others(impatient, before), LATEST), impatient.processes()
    assert eventually(impatient.is_up, LATEST), impatient.status()
    said = impatient.home.with_name(f"{impatient.home.name}.up.log").read_text()
    for name in ("postgres", "clickhouse", "dagster-webserver", "dagster-daemon", "code-location", "api"):
        assert any(name in line and "did not answer" in line for line in said.splitlines()), (name, said)


def test_a_probe_waits_for_an_answer_and_not_for_a_connection(impatient: Platform) -> None:
    pid = impatient.one("optiinfra_assets.dagster_processes.code_location").pid
    socket = home_folder.code_location_socket(impatient.home)
    probe = liveness.grpc_answers(lambda: asyncio.open_unix_connection(socket))
    assert asyncio.run(probe(pid))
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(probe(pid), 1))
    finally:
        os.kill(pid, signal.SIGCONT)


def test_kill_9_leaves_no_process(impatient: Platform) -> None:
    impatient.stop(signal.SIGKILL)
    assert eventually(lambda: impatient.processes() == [], 15), impatient.processes()
    assert eventually(lambda: not (impatient.home / "runtime.json").exists(), 15)


def test_a_taken_port_is_named_with_its_holder_and_its_setting(tmp_path: Path) -> None:
    idle = Platform(tmp_path / "home")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", int(idle.environment["OPTIINFRA_API_PORT"])))
        holder.listen()
        refused = idle.command("up")
    assert refused.returncode == 1
    port = idle.environment["OPTIINFRA_API_PORT"]
    assert refused.stderr.startswith(f"error: port {port} is taken by process {os.getpid()} (")
    assert refused.stderr.endswith("free it, or set OPTIINFRA_API_PORT to another port\n")
    assert refused.stderr.count("\n") == 1
    assert idle.processes() == []


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_an_address_that_is_not_of_this_machine_is_named_with_its_setting(tmp_path: Path, host: str) -> None:
    refused = Platform(tmp_path / "home", OPTIINFRA_BIND_HOST=host).command("up")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: OPTIINFRA_BIND_HOST: '{host}' is not an address of this machine (")
    assert refused.stderr.count("\n") == 1
    assert "OPTIINFRA_API_PORT" not in refused.stderr


@pytest.mark.parametrize(
    ("engine", "scheme"), [("postgres", "postgresql"), ("clickhouse", "http")], ids=["postgres", "clickhouse"]
)
def test_a_wrong_url_is_one_line_without_its_password(tmp_path: Path, engine: str, scheme: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # taken and never listening: no other server of this machine can answer there
        port = silent.getsockname()[1]
        url = {f"OPTIINFRA_{engine.upper()}_URL": f"{scheme}://someone:hunter2@127.0.0.1:{port}/costs"}
        wrong = Platform(tmp_path / "home", **url)
        refused = wrong.command("up", program=("-c", WITHOUT_DAGSTER))
    assert refused.returncode == 1
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert f"127.0.0.1:{port}, database costs" in line
    assert f"check OPTIINFRA_{engine.upper()}_URL" in line
    assert "hunter2" not in refused.stderr + refused.stdout
    assert wrong.processes() == []


def test_data_of_another_postgres_version_is_left_alone(tmp_path: Path) -> None:
    old = Platform(tmp_path / "home")
    data = old.home / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("15\n")
    refused = old.command("up")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"{data}: data directory of PostgreSQL 15, but this is PostgreSQL 18" in refused.stderr
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refused = Platform(tmp_path / "file" / "home").command("up")
    assert refused.returncode == 1
    assert refused.stderr == (
        f"error: home {tmp_path}/file/home: Not a directory: "
        "make it a folder you may write to, or set OPTIINFRA_HOME to another one\n"
    )


def test_a_full_disk_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preflight.check_disk(tmp_path)
    monkeypatch.setattr(preflight, "LEAST_FREE_BYTES", 10**18)
    with pytest.raises(PreflightError, match=r"MB free and 1000000000000 MB are needed: free some space") as caught:
        preflight.check_disk(tmp_path)
    assert "\n" not in str(caught.value)
