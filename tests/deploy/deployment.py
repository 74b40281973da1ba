"""The processes of deploy/compose.yaml without containers: the same commands, on loopback, from a folder of secrets.

They run in the environment of this checkout, or in that of ``OPTIINFRA_TEST_ROOT``, a folder that deploy/install.sh made: then, if this is
root, as a user who owns nothing, and who reaches neither the checkout nor a place to write but his own.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
import yaml
from loopback import HANG, eventually, free_port

from optiinfra_assets.embedded.postgres import data_folder
from optiinfra_assets.embedded.postgres.server_user import ServerUser
from optiinfra_assets.embedded.processes import tie_to_parent
from optiinfra_assets.settings import Settings

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
ROOT: Final = os.environ.get("OPTIINFRA_TEST_ROOT")
PASSWORD: Final = "a-password-of-tests"
SOMEBODY: Final = 65532
"""The user of the image."""


def compose() -> dict[str, Any]:
    """The compose file, its anchors resolved."""
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return content


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    (stated,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    return dict(pair.split("=", 1) for pair in stated.replace("\\\n", " ").split())


@contextmanager
def postgres_over_tcp(folder: Path) -> Iterator[str]:
    """The embedded PostgreSQL on a loopback port, for those who know its password; its address."""
    data, port = folder / "postgres", free_port()
    user = ServerUser.find(data_folder.binary("initdb"))
    data_folder.prepare(data, user)
    (data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ".", "unix_socket_permissions": "0700"}
    options = [part for item in settings.items() for part in ("-c", "=".join(item))]
    entrance, tie = data_folder.entrance(data, user), tie_to_parent(signal.SIGINT)

    def prepare() -> None:
        if user:
            user.become()
        tie()

    server = subprocess.Popen(
        [data_folder.binary("postgres"), "-D", entrance, "-p", str(port), "-c", "max_connections=200", *options],
        cwd=data,
        preexec_fn=prepare,
    )
    try:
        socket = f"postgresql://postgres@/postgres?host={data}&port={port}"
        assert eventually(lambda: _answers(socket))
        with psycopg.connect(socket) as connection:
            connection.execute(f"ALTER USER postgres PASSWORD '{PASSWORD}'")
        yield f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(HANG)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def _somebody(python: Path) -> int:
    """The user of the image, if he reaches the interpreter of an installation."""
    try:
        subprocess.run([python, "-c", ""], cwd="/", user=SOMEBODY, group=SOMEBODY, extra_groups=[], check=True)
    except PermissionError:
        pytest.fail(
            f"{python.resolve()}: other users do not reach it: make test-deploy PYTHON=/usr/bin/python3 ROOT=/a/folder"
        )
    return SOMEBODY


class Deployment:
    """One deployment on the databases of `settings`, all of it below `folder`."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        dagster_yaml: Mapping[str, Any] | None = None,
        code_locations: int | None = None,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.python = Path(ROOT or Path(sys.executable).parents[1]) / "bin" / "python"
        self.user = _somebody(self.python) if ROOT and os.geteuid() == 0 else None
        self.ports = {name: free_port() for name in ("api", "dagster-webserver", "code-location")}
        self.secrets = {
            "optiinfra_clickhouse_url": str(settings.clickhouse_url),
            "optiinfra_postgres_url": str(settings.postgres_url),
            "optiinfra_master_key": "bWFzdGVyIGtleSBvZiB0ZXN0cywgMzIgYnl0ZXMhISE=",
            "optiinfra_dagster_token": "token-of-this-installation-in-tests",
            "optiinfra_link_key": "key-of-links-in-tests-is-long-enough",
            "optiinfra_metrics_token": "token-for-scrapers-in-tests",
            **({"optiinfra_celery_broker": settings.celery_broker} if settings.celery_broker else {}),
        }
        self.more: dict[str, str] = {}
        """Variables that processes get in addition."""
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.code_locations = code_locations or self.ports["code-location"]
        self._write(dagster_yaml or yaml.safe_load((DEPLOY.parent / "dagster.yaml").read_text()))

    def _write(self, dagster_yaml: Mapping[str, Any]) -> None:
        workspace = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())
        workspace["load_from"][0]["grpc_server"] |= {"host": "127.0.0.1", "port": self.code_locations}
        files = {
            "dagster/dagster.yaml": yaml.safe_dump(dict(dagster_yaml)),
            "dagster/workspace.yaml": yaml.safe_dump(workspace),
            **{f"secrets/{name}": f"{value}\n" for name, value in self.secrets.items()},
        }
        for name in ("dagster", "secrets", "tmp", "logs"):
            (self.folder / name).mkdir(parents=True)
        for name, text in files.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o400)
        if self.user:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, self.user, self.user)

    def make_folder(self, path: Path) -> None:
        """Make a folder of the user of the processes, if it is not there."""
        path.mkdir(parents=True, exist_ok=True)
        if self.user:
            os.chown(path, self.user, self.user)

    @property
    def environment(self) -> dict[str, str]:
        """What every process gets: the variables of the image and of the compose file, at the places of this deployment."""
        stated = image_environment() | compose()["x-process"]["environment"]
        places = {
            "PATH": f"{self.python.parent}:/usr/bin:/bin",
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "HOME": str(self.folder / "tmp"),
            "TMPDIR": str(self.folder / "tmp"),
            "OPTIINFRA_HOME": str(self.folder / "tmp" / "optiinfra"),
            "OPTIINFRA_SECRETS_FOLDER": str(self.folder / "secrets"),
            "OPTIINFRA_DAGSTER_URL": self.address("dagster-webserver"),
            "OPTIINFRA_PUBLIC_URL": self.address("api"),
            "OPTIINFRA_WEB_ORIGINS": self.address("dagster-webserver"),
        }
        # Every import is a line of the log.
        return {**stated, **places, "PYTHONVERBOSE": "1", **self.more}

    def address(self, service: str) -> str:
        """Where a service is asked."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def command(self, service: str, port: int | None = None) -> list[str]:
        """The command of a service in the compose file, on loopback."""
        ours = {
            "python": str(self.python),
            "optiinfra": str(self.python.with_name("optiinfra")),
            "--host=0.0.0.0": "--host=127.0.0.1",
            "/var/lib/dagster/workspace.yaml": str(self.folder / "dagster" / "workspace.yaml"),
        }
        words = [ours.get(word, word) for word in compose()["services"][service]["command"]]
        if service == "code-location" and self.code_locations != self.ports[service]:
            words.append("--fixed-server-id=of-several")  # as the chart has it
        return [re.sub(r"--port=\d+", f"--port={port or self.ports.get(service)}", word) for word in words]

    def start(self, service: str, name: str = "", port: int | None = None, command: list[str] | None = None) -> None:
        """Start one process; `name` tells a second of the same service from the first."""
        with self.log(name or service).open("ab") as log:
            self.running[name or service] = subprocess.Popen(
                command or self.command(service, port),
                cwd=self.folder / "tmp",
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
                start_new_session=True,
                preexec_fn=tie_to_parent(signal.SIGKILL),
            )

    def run(self, *words: str) -> str:
        """Run a command of the platform to its end, and return what it said."""
        done = subprocess.run(
            [str(self.python.with_name(words[0])), *words[1:]],
            cwd=self.folder / "tmp",
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=HANG,
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
        )
        with self.log("commands").open("a") as log:
            log.write(done.stderr)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def check_health(self, service: str) -> None:
        """Run the health check of a service in the compose file."""
        kind, *words = compose()["services"][service]["healthcheck"]["test"]
        assert kind == "CMD"
        inside = compose()["services"][service]["command"]
        (port,) = re.findall(r"--port=(\d+)", " ".join(inside)) or [None]
        self.run(*(word.replace(port, str(self.ports[service])) if port else word for word in words))

    def start_all(self) -> None:
        """Migrate, start every process, and wait until each answers."""
        self.run("optiinfra", "migrate", "--dagster")
        for service in ("code-location", "api"):
            self.start(service)
        self.wait_for_code_location(self.ports["code-location"])
        for service in ("dagster-webserver", "dagster-daemon"):
            self.start(service)
        self.wait("api", "/readyz")
        self.wait("dagster-webserver", "/healthz")

    def wait_for_code_location(self, port: int) -> None:
        """Wait until a code location answers at `port`."""
        from dagster._grpc.client import DagsterGrpcClient

        client = DagsterGrpcClient(port=port, host="127.0.0.1")
        assert eventually(lambda: client.health_check_query() == "SERVING", 0.2), self.said("code-location")

    def wait(self, service: str, path: str, name: str = "", port: int | None = None) -> None:
        """Wait until a service answers."""
        url = f"http://127.0.0.1:{port}" if port else self.address(service)
        process = self.running[name or service]

        def is_ready() -> bool:
            assert process.poll() is None, self.said(name or service)
            try:
                return httpx.get(f"{url}{path}", timeout=HANG).is_success
            except httpx.HTTPError:
                return False

        assert eventually(is_ready, 0.2), self.said(name or service)

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self.folder / "logs" / f"{name}.log"

    def said(self, name: str) -> str:
        """The end of what a process wrote, without its imports."""
        lines = self.log(name).read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if not line.startswith(("import ", "# "))][-60:])

    def imported(self, name: str) -> set[str]:
        """Every module that a process, and those that it started, have loaded."""
        return set(re.findall(r"^import '([\w.]+)' #", self.log(name).read_text(errors="replace"), re.MULTILINE))

    def show_no_secret(self) -> None:
        """Fail if a log, a command line or an environment has a secret."""
        secrets = [value.encode() for value in self.secrets.values()]
        shown = {path.name: path.read_bytes() for path in (self.folder / "logs").iterdir()}
        for name, started in self.running.items():
            process = psutil.Process(started.pid)
            for one in (process, *process.children(recursive=True)):
                files = [Path(f"/proc/{one.pid}/{file}") for file in ("cmdline", "environ")]
                shown[f"{name} {one.pid}"] = b"".join(file.read_bytes() for file in files)
        assert [name for name, content in shown.items() for secret in secrets if secret in content] == [], (
            "a secret is shown"
        )

    def show_nothing_written_elsewhere(self) -> None:
        """Fail if the user of the processes has a file outside of this deployment, where one who owns nothing could have written.

        /dev/shm is left out: semaphores are there, and each container has one of its own, in memory.
        """
        if self.user:
            open_to_all = [Path(name) for name in ("/tmp", "/var/tmp", "/run")]  # noqa: S108
            found = [path for folder in open_to_all for path in folder.glob("*") if path.lstat().st_uid == self.user]
            assert found == [], found

    def kill(self, name: str) -> None:
        """End a process and what it started, at once."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(HANG)

    def stop(self) -> None:
        """End every process."""
        for process in self.running.values():
            process.terminate()
        for name, process in self.running.items():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(HANG)
            assert process.returncode is not None, name
        self.running.clear()


@contextmanager
def deployed(
    settings: Settings,
    *details: Any,
    ports: Mapping[str, int] | None = None,
    prepare: Callable[[Deployment], None] = lambda _: None,
) -> Iterator[Deployment]:
    """A running deployment, made with further `details`, in a folder of its own that its user can pass; `prepare` is called before."""
    folder = Path(f"/tmp/optiinfra-deployed-{free_port()}")  # noqa: S108 - others' folders of tests cannot be passed
    folder.mkdir(mode=0o711)
    try:
        found = Deployment(folder / "platform", settings, *details)
        found.ports |= ports or {}
        prepare(found)
        try:
            found.start_all()
            yield found
        finally:
            found.stop()
    finally:
        shutil.rmtree(folder)
