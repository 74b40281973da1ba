"""The command line teaches, and what it does not understand or cannot do it says in one line."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from command_line import Run

from optiinfra_assets import cli


def verbs() -> list[tuple[str, ...]]:
    """Every command a person can type, as its words."""
    found: list[tuple[str, ...]] = []
    for name, command in cli.command.commands.items():
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in command.list_commands(click.Context(command))]
    return found


def test_the_verbs_are_those_of_the_readme() -> None:
    names = {words[0] for words in verbs()}
    assert names == {
        "up",
        "demo",
        "status",
        "migrate",
        "connect",
        "accounts",
        "alerts",
        "customers",
        "collect",
        "schedule",
        "token",
        "keys",
        "gc",
        "backup",
        "restore",
        "mcp",
        "costs",
        "forecast",
        "budgets",
        "anomalies",
        "rates",
        "reconcile",
        "completion",
        "delivery",
    }


@pytest.mark.parametrize("words", verbs(), ids=" ".join)
def test_every_verb_has_help(words: tuple[str, ...], run: Run) -> None:
    helped = run(*words, "--help")
    assert helped.code == 0
    assert helped.out.startswith(f"Usage: optiinfra {' '.join(words)}")
    assert len(helped.out.splitlines()) > 5


@pytest.mark.parametrize(
    "words", [(), ("connect",), ("token",), ("keys",), ("customers",), ("delivery",)], ids=" ".join
)
def test_a_verb_that_lacks_its_second_word_shows_its_help(words: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", "optiinfra_assets.cli", *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert " ".join(("Usage: optiinfra", *words)) == done.stderr.partition(" [OPTIONS]")[0]
    assert "Commands:" in done.stderr.splitlines()


@pytest.mark.parametrize("words", [words for words in verbs() if len(words) == 1], ids=" ".join)
def test_every_verb_shows_an_example(words: tuple[str, ...], run: Run) -> None:
    assert f"optiinfra {words[0]}" in run(*words, "--help").out.split("\n", 1)[1]


def test_help_is_there_at_once_and_loads_nothing_heavy() -> None:
    heavy = {
        "dagster",
        "chdb",
        "pandas",
        "pyarrow",
        "pydantic",
        "clickhouse_connect",
        "psycopg",
        "rich",
        "httpx",
    }
    code = f"import sys, optiinfra_assets.cli; print(*({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["colect"], "No such command 'colect'. (Did you mean"),
        (["connect", "nimbus"], "provider: 'nimbus' is not known: use "),
        (["connect", "focus", "--customer", "acme"], "Missing option '--location'"),
        (["collect", "--accept-empty"], "--accept-empty: say for which account with --account"),
        (["token", "create", "--role", "king"], "'king' is not one of 'viewer', 'operator', 'admin'"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_command_line_that_is_not_understood(arguments: list[str], said: str, run: Run) -> None:
    refused = run(*arguments)
    assert refused.code == 2
    assert said in refused.error
    assert "--help`)" in refused.error


@pytest.mark.parametrize(
    "words", [("accounts",), ("token", "list"), ("gc",), ("migrate",), ("collect",), ("costs",)], ids=" ".join
)
def test_without_a_running_platform_every_verb_says_what_to_start(words: tuple[str, ...], run: Run) -> None:
    refused = run(*words)
    assert refused.code == 1
    assert "start `optiinfra up`, or set OPTIINFRA_POSTGRES_URL" in refused.error


def test_a_setting_that_is_not_accepted_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIINFRA_API_PORT", "eight thousand")
    assert "OPTIINFRA_API_PORT" in run("accounts").error


def test_debug_shows_where_an_error_comes_from(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from optiinfra_assets.database.errors import MetadataUnavailable

    monkeypatch.setenv("OPTIINFRA_DEBUG", "1")
    monkeypatch.setattr("sys.argv", ["optiinfra", "accounts"])
    with pytest.raises(MetadataUnavailable):
        cli.main()
