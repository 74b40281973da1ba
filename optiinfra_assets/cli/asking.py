"""Asks the API of the platform that runs here, as the pages ask it: GraphQL with a session that may only read, and is ended at once.

So a command shows the figures that everybody sees, within the same limits, and no token is made that somebody would have to revoke.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import click

from optiinfra_assets.cli.stores import opened_metadata

Ask = Callable[..., dict[str, Any]]
"""``ask(document, name=value)`` returns the data of an operation of GraphQL."""

NOTHING_CONNECTED: Final = (
    "nothing is connected yet; next: optiinfra connect focus --customer acme --location /data/focus"
)
_CUSTOMERS: Final = "query CliCustomers { customers(first: 1000) { nodes { customerId } } }"
_ORIGIN: Final = "cli"
_LINK_LASTS: Final = timedelta(minutes=1)
_SECONDS: Final = 120
"""The API stops a statement after 30 s, and an operation has a few."""


@contextmanager
def opened_api() -> Iterator[Ask]:
    """Open a session of the API that may only read, of all customers.

    What it gives raises ClickException if the API does not answer, or answers an error.
    """
    import httpx

    from optiinfra_assets.settings import Settings

    url = Settings().api_url
    with opened_metadata() as metadata:
        link = metadata.web_sessions.make_link(
            metadata.tokens.standing().token_id, is_read_only=True, lasts=_LINK_LASTS
        )
        secret = metadata.web_sessions.open_by_link(link, _ORIGIN)
        # The API takes a session only from its own pages, as a browser would say.
        headers = {"Origin": url, "Cookie": f"optiinfra_session={secret}"}
        try:
            with httpx.Client(base_url=url, headers=headers, timeout=_SECONDS) as http:
                yield lambda document, **variables: _answer(http, {"query": document, "variables": variables})
        except httpx.HTTPError as error:
            said = f"{url}: does not answer ({error}): start `optiinfra up`, or see `optiinfra status`"
            raise click.ClickException(said) from None
        finally:
            metadata.web_sessions.end(secret or "", _ORIGIN)


def only_customer(ask: Ask) -> str | None:
    """Return the customer, None if there is none yet. Raises UsageError if there are several, one of which has to be named."""
    names = [one["customerId"] for one in ask(_CUSTOMERS)["customers"]["nodes"]]
    if len(names) > 1:
        raise click.UsageError(f"--customer: needed, since there are several: use one of {', '.join(names)}")
    return names[0] if names else None


def _answer(http: Any, operation: dict[str, Any]) -> dict[str, Any]:
    answer = http.post("/graphql", json=operation)
    content = answer.json() if answer.headers.get("content-type") == "application/json" else {}
    if errors := content.get("errors"):
        remedy = errors[0]["extensions"].get("remedy", "")
        raise click.ClickException(f"{errors[0]['message'].rstrip('.')}. {remedy}".strip())
    if "data" not in content:
        said = f"{http.base_url}: answers {answer.status_code}, but not as the API does: see `optiinfra status`"
        raise click.ClickException(said)
    data: dict[str, Any] = content["data"]
    return data
