"""Formats any exception as the one line that a person sees."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

_OURS = (
    "optiinfra_assets.backup.errors",
    "optiinfra_assets.dagster_processes.tables",
    "optiinfra_assets.demo",
    "optiinfra_assets.database.errors",
    "optiinfra_assets.domain.errors",
    "optiinfra_assets.embedded.errors",
)


def error_line(error: BaseException) -> str:
    """Return the message of `error` in one line; for an unexpected error, also its type and how to see more."""
    if isinstance(error, click.UsageError):
        context = error.ctx.command_path if error.ctx else "optiinfra"
        return f"{_one_line(error.format_message())} (see `{context} --help`)"
    if isinstance(error, click.ClickException):
        return _one_line(error.format_message())
    if type(error).__module__.startswith("pydantic"):
        return _of_validation(error)
    if type(error).__module__.startswith("psycopg"):
        return f"PostgreSQL: {_one_line(str(error))}: check OPTIINFRA_POSTGRES_URL"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'system'}: {error.strerror}"
    if isinstance(error, ValueError) or any(kind.__module__ in _OURS for kind in type(error).__mro__):
        return _one_line(str(error))
    said = _one_line(str(error))
    return f"unexpected {type(error).__name__}{f': {said}' if said else ''} (OPTIINFRA_DEBUG=1 shows where)"


@contextmanager
def redacting(secrets: Iterable[str]) -> Iterator[None]:
    """Raise errors unchanged, unless they quote a part of one of `secrets`: then with their line and traceback redacted."""
    try:
        yield
    except Exception as error:
        from optiinfra_assets.providers.http.redaction import redactor

        hide, details = redactor(secrets), traceback.format_exc()
        if (shown := hide(details)) == details:
            raise
        said = click.ClickException(hide(error_line(error)))
        said.add_note(shown)
        raise said from None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _of_validation(error: BaseException) -> str:
    """Return the first error of a pydantic model: of `Settings`, whose fields are variables, or a credential, whose fields are options."""
    from pydantic import ValidationError

    from optiinfra_assets.settings import complaint

    if not isinstance(error, ValidationError):
        return _one_line(str(error))
    if error.title == "Settings":
        return complaint(error)
    first = error.errors(include_url=False, include_input=False)[0]
    name = "-".join(str(part) for part in first["loc"]).replace("_", "-")
    return f"--{name}: {_one_line(first['msg'])}"
