"""The commands rates update, show, override, overrides, remove and method: what converts costs from one currency to another."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optiinfra_assets.cli.output import print_json, print_list, print_table
from optiinfra_assets.cli.stores import opened_metadata

if TYPE_CHECKING:
    from optiinfra_assets.metadata.rates import RateOverride

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_CUSTOMER = click.option("--customer", required=True, help="Whose.")
_PAIR = (
    click.option("--month", required=True, help="The month of the charges, YYYY-MM."),
    click.option("--from", "currency", required=True, help="The currency of the charges."),
    click.option("--to", "into", required=True, help="The currency they are shown in."),
    click.option("--reopen", is_flag=True, help="Also if charges of that month were converted already."),
)


def _of_pair(command: Any) -> Any:
    for option in reversed(_PAIR):
        command = option(command)
    return command


@click.group()
def rates() -> None:
    """Rates between currencies, by which costs are shown in one currency.

    They begin with the European Central Bank's, up to the release of this installation.

    \b
    Examples:
      optiinfra rates update
      optiinfra rates update --file eurofxref-hist.zip
      optiinfra rates show --date 2026-10-30 --currency USD
      optiinfra rates override --customer acme --month 2026-10 --from USD --to CHF --rate 0.88
      optiinfra rates method --customer acme month
    """


@rates.command()
@click.option("--file", "path", type=click.Path(path_type=Path), help="A file like eurofxref-hist.zip or .csv.")
@click.option("--url", help="Address of such a file; the bank's own if no file is given.")
@_JSON
def update(path: Path | None, url: str | None, as_json: bool) -> None:
    """Store the rates of a file of the European Central Bank, those that are new or differ."""
    from optiinfra_assets.ingestion.rate_files import ECB_URL, fetched, start_rates, update_rates

    if path and url:
        raise click.UsageError("--url: goes without --file")
    name = str(path or url or ECB_URL)
    content = path.read_bytes() if path else fetched(name)
    with opened_metadata() as metadata:
        start_rates(metadata.rates)
        done = update_rates(metadata.rates, content, name)
    if as_json:
        print_json(done)
    else:
        click.echo(f"{done.rates} rates: {done.added} new, {done.changed} changed")


@rates.command()
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="As of this day; the newest if left out.")
@click.option("--currency", help="Only this one.")
@_JSON
def show(day: datetime | None, currency: str | None, as_json: bool) -> None:
    """Show the newest rate of each currency, per euro, with its date and source, and what is stored in all."""
    from optiinfra_assets.ingestion.rate_files import start_rates

    with opened_metadata() as metadata:
        start_rates(metadata.rates)
        extent = metadata.rates.extent()
        found = metadata.rates.find(day.date() if day else None, currency)
    if as_json:
        print_json({"rates": found, "stored": extent})
        return
    for one in extent:
        span = f"{one.first_day} to {one.last_day}"
        click.echo(f"{one.source}: {one.rates} rates of {one.currencies} currencies, {span}")
    rows = [[one.currency, one.per_euro, one.day, one.source] for one in found]
    if rows:
        print_table(("currency", "per EUR", "date", "source"), rows, numbers={"per EUR"})
    else:
        when = f" at {day:%Y-%m-%d}" if day else ""
        click.echo(f"no rate of {currency or 'any currency'}{when}; next: optiinfra rates update")


@rates.command()
@_CUSTOMER
@_of_pair
@click.option("--rate", required=True, help="What one unit of --from is worth in --to.")
@_JSON
def override(customer: str, month: str, currency: str, into: str, reopen: bool, rate: str, as_json: bool) -> None:
    """Set a customer's own rate for a month: it goes before all others, also in the other direction."""
    from optiinfra_assets.domain.rates import checked_rate
    from optiinfra_assets.vault.credential_audit import Actor

    value = checked_rate(rate, "--rate")
    with opened_metadata() as metadata:
        done = metadata.rates.override(
            _month(month), currency, into, value, customer_id=customer, actor=Actor.here("cli"), reopen=reopen
        )
    _show("set", done, as_json=as_json)


@rates.command()
@_CUSTOMER
@_of_pair
@_JSON
def remove(customer: str, month: str, currency: str, into: str, reopen: bool, as_json: bool) -> None:
    """Remove a customer's own rate for a month."""
    from optiinfra_assets.vault.credential_audit import Actor

    with opened_metadata() as metadata:
        done = metadata.rates.remove_override(
            _month(month), currency, into, customer_id=customer, actor=Actor.here("cli"), reopen=reopen
        )
    _show("removed", done, as_json=as_json)


@rates.command()
@_CUSTOMER
@_JSON
def overrides(customer: str, as_json: bool) -> None:
    """List a customer's own rates."""
    with opened_metadata() as metadata:
        found = metadata.rates.overrides(customer_id=customer)
    columns = {
        "month": lambda one: f"{one.month:%Y-%m}",
        "from": lambda one: one.currency,
        "to": lambda one: one.into_currency,
        "rate": lambda one: one.rate,
        "set": lambda one: one.set_at,
    }
    print_list(found, columns, none=f"{customer} has no rates of its own", as_json=as_json)


@rates.command()
@_CUSTOMER
@click.argument("choice", type=click.Choice(["day", "month"]), required=False)
def method(customer: str, choice: str | None) -> None:
    """Show or set which rate converts a charge of a customer: that of its day, or the average of its month."""
    from optiinfra_assets.vault.credential_audit import Actor

    with opened_metadata() as metadata:
        if choice:
            metadata.rates.set_method(choice, customer_id=customer, actor=Actor.here("cli"))
        click.echo(choice or metadata.rates.method(customer_id=metadata.customers.get(customer).customer_id))


def _month(text: str) -> date:
    from optiinfra_assets.domain.accounts import BillingPeriod

    try:
        return BillingPeriod.parse(text).start.date()
    except ValueError:
        raise click.UsageError(f"--month: {text!r} is not accepted: use YYYY-MM, from 1970 to 2105") from None


def _show(done: str, found: RateOverride, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        pair = f"{found.month:%Y-%m}: 1 {found.currency} = {found.rate:f} {found.into_currency}"
        click.echo(f"{done} {pair}")
