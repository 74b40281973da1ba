"""The commands token create, list, revoke and link, for tokens and for the links that sign a browser in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from optiinfra_assets.cli.output import print_json, print_list
from optiinfra_assets.cli.stores import opened_metadata

_LONGEST_DAYS = 36_500
"""A century; a token that never expires is issued without the option."""


@click.group()
def token() -> None:
    """Make, list and revoke tokens for the GraphQL service and the web interfaces, and links that sign a browser in.

    \b
    Examples:
      optiinfra token create --customer acme
      optiinfra token create --role admin --name ops --days 30
      optiinfra token revoke 0a1b2c3d4e5f
      optiinfra token link --read-only
    """


@token.command()
@click.option("--customer", help="Customer whose data it reads; for an admin's token: all customers if left out.")
@click.option(
    "--role",
    type=click.Choice(["viewer", "operator", "admin"]),
    default="viewer",
    show_default=True,
    help="What it may do.",
)
@click.option("--name", default="cli", show_default=True, help="What it is for, as shown by `token list`.")
@click.option("--days", type=click.IntRange(1, _LONGEST_DAYS), help="Days it is accepted; for ever if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(customer: str | None, role: str, name: str, days: int | None, as_json: bool) -> None:
    """Make a token and print it: it is shown only now."""
    from optiinfra_assets.vault.credential_audit import Actor

    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    with opened_metadata() as metadata:
        issued = metadata.tokens.issue(name, customer, role, expires_at, Actor.here("cli"))  # type: ignore[arg-type] # click checks the role
    if as_json:
        shown = {"token": issued.plaintext, "token_id": issued.token.token_id, "name": name}
        print_json({**shown, "customer": customer, "role": role, "expires_at": expires_at})
    else:
        click.echo(issued.plaintext)


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List tokens, without what it takes to use them."""
    with opened_metadata() as metadata:
        found = metadata.tokens.find()
    columns = {
        "token": lambda one: one.token_id,
        "name": lambda one: one.name,
        "customer": lambda one: one.customer_id or "all",
        "role": lambda one: one.role,
        "created": lambda one: one.created_at,
        "expires": lambda one: one.expires_at,
        "last used": lambda one: one.last_used_at,
        "revoked": lambda one: one.revoked_at,
    }
    none = "no token yet; next: optiinfra token create --customer <customer>"
    print_list(found, columns, none=none, as_json=as_json)


@token.command()
@click.argument("token_id")
def revoke(token_id: str) -> None:
    """Refuse a token from now on. TOKEN_ID is the first column of `token list`."""
    from optiinfra_assets.vault.credential_audit import Actor

    with opened_metadata() as metadata:
        metadata.tokens.revoke(token_id, actor=Actor.here("cli"))
    click.echo(f"revoked {token_id}")


@token.command()
@click.argument("token_id", required=False)
@click.option("--read-only", is_flag=True, help="Who signs in by it may look at everything and change nothing.")
@click.option("--dagster", "is_for_dagster", is_flag=True, help="The link leads to Dagster's web interface.")
@click.option(
    "--minutes", type=click.IntRange(1, 24 * 60), default=15, show_default=True, help="How long it is accepted."
)
def link(token_id: str | None, read_only: bool, is_for_dagster: bool, minutes: int) -> None:
    """Print a link that signs a browser in to the web pages, once.

    Dagster's web interface on the same host takes the same session. It acts for the token TOKEN_ID, and ends when that is revoked;
    without TOKEN_ID, for the one that `optiinfra up` uses.
    """
    from optiinfra_assets.metadata.web_sessions import LINK_PATH
    from optiinfra_assets.settings import Settings

    settings = Settings()
    with opened_metadata() as metadata:
        found = token_id or metadata.tokens.standing().token_id
        secret = metadata.web_sessions.make_link(found, is_read_only=read_only, lasts=timedelta(minutes=minutes))
    click.echo(f"{settings.dagster_url if is_for_dagster else settings.api_url}{LINK_PATH}{secret}")
