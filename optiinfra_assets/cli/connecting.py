"""Verbs on accounts: connect, accounts. The options of ``connect <provider>`` are the fields of the provider's credential model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

    from optiinfra_assets.model import Account, BillingPeriod
    from optiinfra_assets.providers.base import Provider
    from optiinfra_assets.store.metadata import Metadata


class ProviderCommands(click.Group):
    """One command per registered provider."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Names of the providers."""
        from optiinfra_assets.providers import PROVIDERS

        return sorted(PROVIDERS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """The command of provider `name`, made from its credential model."""
        from optiinfra_assets.providers import PROVIDERS

        return _command_of(PROVIDERS[name]) if name in PROVIDERS else None

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown provider is told which there are."""
        name = click.utils.make_str(arguments[0])
        if not name.startswith("-") and name not in (known := self.list_commands(context)):
            raise click.UsageError(f"provider: {name!r} is not known: use {', '.join(known)}", context)
        return super().resolve_command(context, arguments)


@click.group(cls=ProviderCommands)
def connect() -> None:
    """Connect a billing account of a customer, and prove that it can be read.

    The customer is created when new. What the source holds is printed; nothing is stored if it cannot be read.

    \b
    Examples:
      optiinfra connect focus --customer acme --location /data/focus
      optiinfra connect focus --customer acme --name exports --location s3://bucket/prefix
      optiinfra connect focus --help
    """


def _command_of(provider: Provider) -> click.Command:
    fields = provider.credential_model.model_fields
    options: list[click.Parameter] = [
        click.Option(["--customer"], required=True, help="Customer id; created when new."),
        click.Option(
            ["--name"],
            default=provider.name,
            show_default=True,
            help="Name of the account within the customer.",
        ),
        *(_option_of(provider, name, field) for name, field in fields.items()),
        click.Option(["--no-test"], is_flag=True, help="Store without reading the source."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
    ]

    def run(customer: str, name: str, no_test: bool, as_json: bool, **values: Any) -> None:
        _connect(
            provider,
            customer,
            name,
            {key: value for key, value in values.items() if value is not None},
            test=not no_test,
            as_json=as_json,
        )

    summary = (provider.credential_model.__doc__ or "").strip()
    return click.Command(
        provider.name,
        params=options,
        callback=run,
        help=f"{provider.title}.\n\n{summary}",
        short_help=f"{provider.title}.",
    )


def _option_of(provider: Provider, name: str, field: FieldInfo) -> click.Option:
    """A secret may also come from the environment or a hidden prompt, so that it need not show in a list of processes."""
    text = field.description or ""
    option = [f"--{name.replace('_', '-')}", name]
    if field.annotation is bool:
        return click.Option(option, is_flag=True, default=None, help=text)
    if name in provider.secret_fields():
        variable = f"OPTIINFRA_{provider.name.upper()}_{name.upper()}"
        return click.Option(
            option, envvar=variable, show_envvar=True, prompt=field.is_required(), hide_input=True, help=text
        )
    return click.Option(option, required=field.is_required(), help=text)


def _connect(
    provider: Provider, customer: str, name: str, values: dict[str, Any], *, test: bool, as_json: bool
) -> None:
    from optiinfra_assets.cli.output import print_json
    from optiinfra_assets.store.metadata import Metadata
    from optiinfra_assets.store.settings import Settings

    account = account_of(provider, customer, name, values)
    found = look(provider, account) if test else None
    metadata = Metadata.connect(Settings())
    store(metadata, provider, account, found)
    made = metadata.credentials.made_key_file if provider.secret_fields() else None
    metadata.close()
    if made:
        click.echo(f"made master key {made}: back it up; without it no stored secret can be opened", err=True)
    if as_json:
        print_json(_as_json(account, found))
    else:
        _print_connected(account, found)


def account_of(
    provider: Provider, customer: str, name: str, values: Mapping[str, Any], *, is_simulated: bool = False
) -> Account:
    """The account that fields of a credential model describe.

    Raises:
        ValueError: the customer or name is not accepted (also pydantic's ValidationError for a field).
    """
    from optiinfra_assets.model import Account, check_slug

    credential = provider.credential_model.model_validate(values)
    given = {key: getattr(credential, key) for key in type(credential).model_fields}
    fields = {key: value for key, value in given.items() if value is not None}
    secret = fields.keys() & provider.secret_fields()
    return Account(
        account_id=check_slug("name", f"{check_slug('customer', customer)}.{name}"),
        customer_id=customer,
        provider=provider.name,
        settings={key: value for key, value in fields.items() if key not in secret},
        secrets={key: fields[key].get_secret_value() for key in secret},
        is_simulated=is_simulated,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """What a source holds: names of billing accounts, and the change token of each billing period; `at` is UTC."""

    names: list[str]
    tokens: Mapping[BillingPeriod, str]
    at: datetime


def look(provider: Provider, account: Account) -> Found:
    """Read what the source of `account` holds now.

    Raises:
        ProviderError: it cannot be read, and why.
    """
    from optiinfra_assets.contexts import passing

    at = datetime.now(UTC)
    return Found(provider.discover(account), provider.probe(account, {}, passing()).tokens, at)


def store(metadata: Metadata, provider: Provider, account: Account, found: Found | None) -> None:
    """Store the account, its secrets, its customer when new, and what was seen, or nothing; the collection of it is then due.

    Raises:
        AlreadyExists: the account is there with other settings.
        VaultError: there is no usable master key.
    """
    from optiinfra_assets.store.credential_audit import Actor

    with metadata.transaction():
        metadata.add_customer(account.customer_id)
        metadata.add_account(replace(account, secrets={}))
        if provider.secret_fields():
            # Also when none is given: an account whose credential was deleted must not be read with what the machine offers instead.
            metadata.credentials.put(account, account.secrets, Actor.here("connect"))
        if found:
            metadata.record_probe(account.account_id, found.tokens, found.at)


def _as_json(account: Account, found: Found | None) -> dict[str, Any]:
    return {
        "account": account.account_id,
        "customer": account.customer_id,
        "provider": account.provider,
        "found": found.names if found else None,
        "periods": [str(period) for period in sorted(found.tokens)] if found else None,
    }


def _print_connected(account: Account, found: Found | None) -> None:
    click.echo(f"connected {account.account_id} ({account.provider})")
    if found:
        periods = sorted(found.tokens)
        span = f": {len(periods)} billing periods, {periods[0]} to {periods[-1]}" if periods else ""
        click.echo(f"found {', '.join(found.names)}{span or ': nothing is billed yet'}")
    click.echo(f"next: optiinfra collect --account {account.account_id} --wait")


@click.command()
@click.option("--customer", help="Only this customer's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def accounts(customer: str | None, as_json: bool) -> None:
    """List connected accounts and when each was last asked.

    \b
    Example:
      optiinfra accounts --customer acme --json
    """
    from optiinfra_assets.cli.output import print_json, print_table
    from optiinfra_assets.store.metadata import Metadata
    from optiinfra_assets.store.settings import Settings

    metadata = Metadata.connect(Settings())
    if customer:
        metadata.customer(customer)
    states = metadata.account_states(customer_id=customer)
    metadata.close()
    if as_json:
        print_json(
            [
                {
                    "account": one.account.account_id,
                    "customer": one.account.customer_id,
                    "provider": one.account.provider,
                    "settings": one.account.settings,
                    "status": one.status,
                    "is_simulated": one.account.is_simulated,
                    "last_probe_at": one.last_probe_at,
                    "last_change_at": one.last_change_at,
                    "last_error": one.last_error,
                }
                for one in states
            ]
        )
    elif not states:
        click.echo("no account yet; next: optiinfra connect focus --customer acme --location /data/focus")
    else:
        headers = ("account", "provider", "status", "last probe", "last change", "last error")
        print_table(
            headers,
            [
                (
                    f"{one.account.account_id}{' (simulated)' if one.account.is_simulated else ''}",
                    one.account.provider,
                    one.status,
                    one.last_probe_at,
                    one.last_change_at,
                    one.last_error,
                )
                for one in states
            ],
        )
