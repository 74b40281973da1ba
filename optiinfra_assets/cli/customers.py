"""The commands customers list, add and rename."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from optiinfra_assets.cli.output import print_json, print_list
from optiinfra_assets.cli.stores import opened_metadata

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
    with opened_metadata() as metadata:
        found = metadata.customers.find()
    columns = {
        "customer": lambda one: one.customer_id,
        "name": lambda one: one.name,
        "created": lambda one: one.created_at,
    }
    none = "no customer yet; next: optiinfra customers add <customer>"
    print_list(found, columns, none=none, as_json=as_json)


@customers.command()
@click.argument("customer")
@click.option("--name", help="What people call it; the id if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(customer: str, name: str | None, as_json: bool) -> None:
    """Add a customer. CUSTOMER is its id: lower-case letters, digits, '-', '_' and '.', and never changes."""
    from optiinfra_assets.vault.credential_audit import Actor

    with opened_metadata() as metadata:
        added = metadata.customers.create(customer, customer if name is None else name, Actor.here("cli"))
    _show("added", added, as_json=as_json)


@customers.command()
@click.argument("customer")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rename(customer: str, name: str, as_json: bool) -> None:
    """Give a customer another name. Its id stays."""
    from optiinfra_assets.vault.credential_audit import Actor

    with opened_metadata() as metadata:
        renamed = metadata.customers.rename(customer, name, Actor.here("cli"))
    _show("renamed", renamed, as_json=as_json)


def _show(done: str, customer: Customer, *, as_json: bool) -> None:
    if as_json:
        print_json(customer)
    else:
        click.echo(f"{done} {customer.customer_id} ({customer.name})")
