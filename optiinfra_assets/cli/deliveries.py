"""The commands delivery add, list, remove and run, for the places to which what is published goes as FOCUS files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optiinfra_assets.cli.errors import redacting
from optiinfra_assets.cli.output import print_json, print_list
from optiinfra_assets.cli.stores import opened_metadata, opened_stores

if TYPE_CHECKING:
    from optiinfra_assets.domain.deliveries import Delivery
    from optiinfra_assets.metadata import Metadata

_SECRET = "OPTIINFRA_DELIVERY_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable


@click.group()
def delivery() -> None:
    """Deliver what is published of a customer as FOCUS files, every hour, to a folder or to S3.

    \b
    Examples:
      optiinfra delivery add --customer acme --name lake --location s3://bucket/focus --region eu-west-1
      optiinfra delivery add --customer acme --name disk --location /srv/focus --format csv --focus 1.2
      optiinfra delivery run acme/lake
    """


@delivery.command()
@click.option("--customer", required=True, help="Customer whose costs are delivered.")
@click.option("--name", required=True, help="Name of the place within the customer.")
@click.option("--location", required=True, help="Folder of the machine where runs are executed, or s3://bucket/prefix.")
@click.option("--focus", "version", default="1.4", show_default=True, help="FOCUS version, 1.0 to 1.4.")
@click.option("--format", "form", default="parquet", show_default=True, help="parquet or csv (packed with gzip).")
@click.option("--x-columns", is_flag=True, help="Also what sources have beyond FOCUS, in columns of their own.")
@click.option("--region", help="AWS region of the bucket; empty for the default of the machine.")
@click.option("--endpoint-url", help="Address of an S3-compatible service; empty for AWS.")
@click.option("--profile", help="AWS profile; empty for the default chain, or for a key.")
@click.option("--access-key-id", help=f"Key to write with; its secret is taken from {_SECRET}, or asked for.")
def add(
    customer: str,
    name: str,
    location: str,
    version: str,
    form: str,
    x_columns: bool,
    access_key_id: str | None,
    **s3: Any,
) -> None:
    """Add a place, or change it. The first delivery comes within the hour, or by `delivery run`."""
    from optiinfra_assets.domain.deliveries import Delivery

    # An address that is none of s3 is no folder either: `Delivery` says what is accepted.
    at = location.rstrip("/") if "://" in location else str(Path(location).expanduser().absolute())
    place = Delivery(customer, name, at, version, form, x_columns, **s3)
    key = _key(access_key_id) if access_key_id else {}
    with redacting(key.values()), opened_metadata() as metadata:
        _store(metadata, place, key)
    click.echo(f"delivers to {place.delivery_id}: {place.location}")
    click.echo(f"next: optiinfra delivery run {place.delivery_id}")


def _key(access_key_id: str) -> dict[str, str]:
    from optiinfra_assets.ingestion.delivering import KEY_FIELDS

    secret = os.environ.get(_SECRET) or click.prompt("secret access key", hide_input=True)
    return dict(zip(KEY_FIELDS, (access_key_id, secret), strict=True))


def _store(metadata: Metadata, place: Delivery, key: dict[str, str]) -> None:
    from optiinfra_assets.domain.accounts import Account
    from optiinfra_assets.vault.credential_audit import Actor

    metadata.customers.get(place.customer_id)
    for account in metadata.accounts.find(customer_id=place.customer_id):
        if overlap := _overlap(str(account.settings.get("location", "")), place.location):
            raise click.UsageError(
                f"location: account {account.account_id} reads {overlap}: it would collect what is delivered"
            )
    with metadata.transaction():
        metadata.deliveries.add(place)
    if key:
        owner = Account(place.delivery_id, place.customer_id, "delivery", place.settings())
        metadata.credentials.put(owner, key, Actor.here("cli"))


def _overlap(read: str, written: str) -> str:
    """Return the place that is read if it holds, or lies in, the one that is written."""
    inner, outer = f"{written.rstrip('/')}/", f"{read.rstrip('/')}/"
    return read if read and (inner.startswith(outer) or outer.startswith(inner)) else ""


@delivery.command("list")
@click.option("--customer", help="Only of this customer.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(customer: str | None, as_json: bool) -> None:
    """List the places, without their secrets."""
    with opened_metadata() as metadata:
        found = metadata.deliveries.find(customer)
    columns = {
        "delivery": lambda one: one.delivery_id,
        "location": lambda one: one.location,
        "FOCUS": lambda one: one.version,
        "format": lambda one: one.format,
        "x_ columns": lambda one: "yes" if one.has_x_columns else "no",
    }
    print_list(found, columns, none="no delivery yet; next: optiinfra delivery add", as_json=as_json)


@delivery.command()
@click.argument("delivery_id")
def remove(delivery_id: str) -> None:
    """Stop delivering to a place, and erase its secret. DELIVERY_ID is the first column of `delivery list`; its files stay."""
    from optiinfra_assets.database.errors import RecordNotFound
    from optiinfra_assets.vault.credential_audit import Actor

    with opened_metadata() as metadata:
        metadata.deliveries.get(delivery_id)
        try:
            metadata.credentials.delete(delivery_id, Actor.here("cli"))
            metadata.credentials.purge(delivery_id, Actor.here("cli"))
        except RecordNotFound:
            pass
        metadata.deliveries.remove(delivery_id)
    click.echo(f"removed {delivery_id}; its files stay")


@delivery.command()
@click.argument("delivery_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def run(delivery_id: str, as_json: bool) -> None:
    """Deliver now, in this process, what is not at the place yet."""
    from optiinfra_assets.ingestion.delivering import deliver
    from optiinfra_assets.settings import Settings

    with opened_stores(Settings()) as (metadata, warehouse):
        place = metadata.deliveries.get(delivery_id)
        done = deliver(place, metadata, warehouse, say=lambda line: click.echo(line, err=True))
    if as_json:
        print_json(done)
    else:
        click.echo(
            f"{done.written} files written, {done.removed} removed, {done.unchanged} unchanged at {place.location}"
        )
