"""Figures on the whole platform are for those who show a token, wherever they ask from; others learn only whether it is ready."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest
from api_server import METRICS_TOKEN, SCRAPER, serving
from loopback import eventually
from world import World

from optiinfra_assets.embedded import metrics_token, services
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _status(world: World, path: str, token: str | None) -> int:
    headers = {} if token is None else _bearer(token)
    return world.http.get(f"{world.url}{path}", headers=headers).status_code


def test_a_program_on_this_machine_reads_no_figures_without_a_token(world: World) -> None:
    refused = world.http.get(f"{world.url}/metrics")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert "optiinfra_" not in refused.text


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_figures_and_detail_are_for_tokens_of_all_customers_and_for_scrapers(world: World, path: str) -> None:
    of_all = world.metadata.tokens.issue("root", None, "admin").plaintext
    of_one = [world.customer(role).token for role in ("viewer", "operator", "admin")]
    assert [_status(world, path, token) for token in (of_all, METRICS_TOKEN)] == [200, 200]
    assert [_status(world, path, token) for token in of_one] == [403, 403, 403]
    almost = (METRICS_TOKEN[:-1], f"{METRICS_TOKEN}x", METRICS_TOKEN.upper(), "-", "oi_" + "x" * 43)
    assert {_status(world, path, token) for token in almost} == {401}


def test_the_scrapers_token_reads_no_costs(world: World) -> None:
    answer = world.post({"query": "{ __typename }"}, METRICS_TOKEN)
    assert answer.status_code == 401
    assert _status(world, "/export/total.csv", METRICS_TOKEN) == 401


def test_a_stranger_learns_only_whether_the_platform_is_ready(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    with serving(settings) as url:
        assert httpx.get(f"{url}/readyz").json() == {"ready": True}
        assert set(httpx.get(f"{url}/readyz", headers=SCRAPER).json()) == {"ready", "parts", "automation"}
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as connection:
        connection.execute("DELETE FROM optiinfra.schema_migrations WHERE number = 3")
    with serving(settings) as url:
        answer = httpx.get(f"{url}/readyz")
        assert (answer.status_code, answer.json()) == (503, {"ready": False})


def test_scrapers_see_that_postgresql_is_down(settings: Settings, warehouse: Warehouse, metadata: Metadata) -> None:
    of_all = metadata.tokens.issue("root", None, "admin").plaintext
    metadata.close()
    with serving(settings) as url, ThreadPoolExecutor(3) as pool:
        _take_away(str(settings.postgres_url))

        def ask(path: str, headers: dict[str, str]) -> httpx.Response:
            return httpx.get(f"{url}{path}", headers=headers, timeout=60)

        ready = pool.submit(ask, "/readyz", SCRAPER)
        unknown = pool.submit(ask, "/readyz", _bearer(of_all))
        no_page = pool.submit(ask, "/metrics", _bearer(of_all))
        down = 'optiinfra_up{part="postgresql"} 0.0'
        assert eventually(lambda: down in ask("/metrics", SCRAPER).raise_for_status().text)
        parts = ready.result().json()["parts"]
        assert (ready.result().status_code, parts["postgresql"]) == (503, "does not answer")
        # Nobody can look up who this is: he learns what he would without a token.
        assert (unknown.result().status_code, unknown.result().json()) == (503, {"ready": False})
        assert "optiinfra_up" not in no_page.result().text


def _take_away(url: str) -> None:
    """Let nobody into a database any more, those who are in it neither."""
    parts = urlsplit(url)
    name = parts.path.removeprefix("/")
    with psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false'.encode())
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


@pytest.fixture
def silent_dagster() -> Iterator[tuple[str, list[socket.socket]]]:
    """The address of a server that accepts connections and answers none, and those connections."""
    asked: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    asked.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)
    for connection in asked:
        connection.close()


def test_however_many_ask_dagster_is_asked_once(
    settings: Settings, warehouse: Warehouse, metadata: Metadata, silent_dagster: tuple[str, list[socket.socket]]
) -> None:
    address, asked = silent_dagster
    with serving(settings.model_copy(update={"dagster_url": address})) as url, ThreadPoolExecutor(20) as pool:
        paths = ["/readyz", "/metrics"] * 10
        answers = list(pool.map(lambda path: httpx.get(f"{url}{path}", headers=SCRAPER, timeout=60), paths))
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["automation"] for answer in answers[::2]} == {"unknown: Dagster does not answer"}
        assert all('optiinfra_up{part="dagster"} 0.0' in answer.text for answer in answers[1::2])
    assert len(asked) == 1


def test_the_first_start_makes_a_token_that_only_its_owner_reads(tmp_path: Path) -> None:
    settings = services.resolved(
        Settings(home=tmp_path, postgres_url="postgresql://nowhere", clickhouse_url="http://x")
    )
    metrics_token.prepare(settings)
    path = tmp_path / "metrics.token"
    assert (settings.metrics_token_file, path.stat().st_mode & 0o777) == (path, 0o600)
    token = settings.read_metrics_token()
    assert token is not None
    assert len(token) >= 43
    metrics_token.prepare(settings)
    assert settings.read_metrics_token() == token, "scrapers need no other token after a restart"
    assert services.environment(settings)["OPTIINFRA_METRICS_TOKEN_FILE"] == str(path)
    assert token not in repr(settings)


def test_a_token_of_the_settings_needs_no_file(tmp_path: Path) -> None:
    given = Settings(
        home=tmp_path, postgres_url="postgresql://nowhere", clickhouse_url="http://x", metrics_token="s" * 16
    )
    settings = services.resolved(given)
    metrics_token.prepare(settings)
    assert settings.read_metrics_token() == "s" * 16
    assert not (tmp_path / "metrics.token").exists()


@pytest.mark.parametrize("token", ["short", "with a space in it, long", "x" * 513])
def test_a_token_that_can_be_guessed_or_not_sent_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(ValueError, match="use 16 to 512 letters, digits or signs"):
        Settings(home=tmp_path, metrics_token=token)
    path = tmp_path / "token"
    path.write_text(token)
    with pytest.raises(ValueError, match=r"OPTIINFRA_METRICS_TOKEN_FILE: .*: is no token: use 16 to 512") as caught:
        Settings(home=tmp_path, metrics_token_file=path).read_metrics_token()
    assert token not in str(caught.value)
    with pytest.raises(ValueError, match=r"OPTIINFRA_METRICS_TOKEN_FILE: .*: No such file"):
        Settings(home=tmp_path, metrics_token_file=tmp_path / "nothing").read_metrics_token()
