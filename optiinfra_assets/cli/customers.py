"""Verbs on customers: customers list, add, rename."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from optiinfra_assets.metadata.accounts import Customer


@click.group()
def customers() -> None:
    """List, add and rename customers. Every account, token and row of data belongs to exactly one.

    \b
    Examples:
      optiinfra customers list
      optiinfra customers add acme --name "Acme Ltd"
      optiinfra customers rename acme "Acme Inc"
    """


@customers.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List customers, by id."""
    from optiinfra_assets.cli.output import print_json, print_table
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.settings import Settings

    metadata = Metadata.connect(Settings())
    found = metadata.customers.find()
    metadata.close()
    if as_json:
        print_json(found)
    elif not found:
        click.echo("no customer yet; next: optiinfra customers add <customer>")
    else:
        print_table(
            ("customer", "name", "created"), [(one.customer_id, one.name, one.created_at) for one in found]
        )


@customers.command()
@click.argument("customer")
@click.option("--name", help="What people call it; the id if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(customer: str, name: str | None, as_json: bool) -> None:
    """Add a customer. CUSTOMER is its id: lower-case letters, digits, '-', '_' and '.', and never changes."""
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.settings import Settings
    from optiinfra_assets.vault.credential_audit import Actor

    metadata = Metadata.connect(Settings())
    added = metadata.customers.create(customer, customer if name is None else name, Actor.here("cli"))
    metadata.close()
    _show("added", added, as_json=as_json)


@customers.command()
@click.argument("customer")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rename(customer: str, name: str, as_json: bool) -> None:
    """Give a customer another name. Its id stays."""
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.settings import Settings
    from optiinfra_assets.vault.credential_audit import Actor

    metadata = Metadata.connect(Settings())
    renamed = metadata.customers.rename(customer, name, Actor.here("cli"))
    metadata.close()
    _show("renamed", renamed, as_json=as_json)


def _show(done: str, customer: Customer, *, as_json: bool) -> None:
    from optiinfra_assets.cli.output import print_json

    if as_json:
        print_json(customer)
    else:
        click.echo(f"{done} {customer.customer_id} ({customer.name})")
