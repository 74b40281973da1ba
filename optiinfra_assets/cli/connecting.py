"""The command connect. The options of ``connect <provider>`` are the fields of the provider's credential model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from optiinfra_assets.cli.errors import redacting
from optiinfra_assets.cli.output import print_json, print_warnings
from optiinfra_assets.cli.previewing import print_preview
from optiinfra_assets.cli.stores import opened_metadata

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from optiinfra_assets.domain.accounts import Account
    from optiinfra_assets.ingestion.onboarding import SourceContents
    from optiinfra_assets.providers.base import Provider


class ProviderCommands(click.Group):
    """A group with one command per registered provider."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the names of the providers, sorted."""
        from optiinfra_assets.providers import PROVIDERS

        return sorted(PROVIDERS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Build the command of the provider `name` from its credential model; return None for an unknown one."""
        from optiinfra_assets.providers import PROVIDERS

        return _command_of(PROVIDERS[name]) if name in PROVIDERS else None

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as click does, but for an unknown provider raise an error that lists the known ones."""
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
      optiinfra connect focus --preview /data/vendor/costs.csv
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
        *(option_of(provider, name, field) for name, field in fields.items()),
        *_preview_options(provider),
        click.Option(["--no-test"], is_flag=True, help="Store without reading the source."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
    ]

    def run(customer: str, name: str, no_test: bool, as_json: bool, preview: str | None = None, **values: Any) -> None:
        if preview is not None:
            print_preview(provider.preview(preview), as_json=as_json)
            return
        given = {key: value for key, value in values.items() if value is not None}
        with redacting(given[key] for key in given.keys() & provider.secret_fields()):
            _connect(provider, customer, name, given, test=not no_test, as_json=as_json)

    summary = (provider.credential_model.__doc__ or "").strip()
    return _PreviewingCommand(
        provider.name,
        params=options,
        callback=run,
        help=f"{provider.title}.\n\n{summary}",
        short_help=f"{provider.title}.",
    )


class _PreviewingCommand(click.Command):
    """A command whose option --preview needs nothing beside it: a file is shown, and no account is made."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse as click does; with --preview, no other option is needed."""
        if any(one.partition("=")[0] == "--preview" for one in args):
            for option in self.params:
                option.required = False
        return super().parse_args(context, args)


def _preview_options(provider: Provider) -> list[click.Parameter]:
    text = "Show how one file would be read, and a mapping for it if it needs one; nothing is stored."
    return [click.Option(["--preview"], metavar="FILE", help=text)] if provider.previews_files else []


def option_of(provider: Provider, name: str, field: FieldInfo) -> click.Option:
    """Build the option of a field. A secret can also come from the environment or a hidden prompt, to keep it out of process lists."""
    text = field.description or ""
    option = [f"--{name.replace('_', '-')}", name]
    if field.annotation is bool:
        return click.Option(option, is_flag=True, default=None, help=text)
    if name in provider.secret_fields():
        variable = variable_of(provider, name)
        return click.Option(
            option, envvar=variable, show_envvar=True, prompt=field.is_required(), hide_input=True, help=text
        )
    return click.Option(option, required=field.is_required(), help=text)


def variable_of(provider: Provider, name: str) -> str:
    """The environment variable that a secret field is taken from."""
    return f"OPTIINFRA_{provider.name.upper()}_{name.upper()}"


def _connect(
    provider: Provider, customer: str, name: str, values: dict[str, Any], *, test: bool, as_json: bool
) -> None:
    from optiinfra_assets.ingestion.onboarding import build_account, read_source, save_account

    account = build_account(provider, customer, name, values)
    found = read_source(provider, account) if test else None
    with opened_metadata() as metadata:
        save_account(metadata, provider, account, found)
        made = metadata.credentials.made_key_file if provider.secret_fields() else None
    if made:
        click.echo(f"made master key {made}: back it up; without it no stored secret can be opened", err=True)
    if as_json:
        print_json(_as_json(account, found))
    else:
        click.echo(f"connected {account.account_id} ({account.provider})")
        print_found(found)
        click.echo(f"next: optiinfra collect --account {account.account_id} --wait")


def _as_json(account: Account, found: SourceContents | None) -> dict[str, Any]:
    return {
        "account": account.account_id,
        "customer": account.customer_id,
        "provider": account.provider,
        "found": found.names if found else None,
        "periods": [str(period) for period in sorted(found.tokens)] if found else None,
        "tried": found.tried if found else None,
        "warnings": [one.values() for one in found.warnings] if found else None,
    }


def print_found(found: SourceContents | None) -> None:
    """Print what a source holds, if it was asked."""
    if found:
        periods = sorted(found.tokens)
        span = f": {len(periods)} billing periods, {periods[0]} to {periods[-1]}" if periods else ""
        click.echo(f"found {', '.join(found.names)}{span or ': nothing is billed yet'}")
        click.echo(f"tried: {found.tried or 'reading the source; its values are checked when they are collected'}")
        print_warnings(str(one) for one in found.warnings)
