"""The commands accounts, and accounts show, set and remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from optiinfra_assets.cli.connecting import option_of, print_found, variable_of
from optiinfra_assets.cli.errors import redacting
from optiinfra_assets.cli.failures import failure_as_json, print_failures
from optiinfra_assets.cli.output import print_json, print_list, print_table
from optiinfra_assets.cli.stores import opened_metadata

if TYPE_CHECKING:
    from optiinfra_assets.domain.accounts import Account
    from optiinfra_assets.domain.failures import Failure
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.metadata.accounts import AccountState
    from optiinfra_assets.metadata.slices import SliceState
    from optiinfra_assets.providers.base import Provider

_SECRETS = "with_secrets"


@click.group(invoke_without_command=True)
@click.option("--customer", help="Only this customer's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def accounts(context: click.Context, customer: str | None, as_json: bool) -> None:
    """List connected accounts, when each was last asked, and what fails: since when, whose fault it is, and when it is tried again.

    With a command: show one of them with its months, change it, or remove it.

    \b
    Examples:
      optiinfra accounts --customer acme --json
      optiinfra accounts show acme.aws
      optiinfra accounts set acme.aws --new-secret
      optiinfra accounts remove acme.aws
    """
    if context.invoked_subcommand is None:
        _list(customer, as_json=as_json)
    elif customer or as_json:
        raise click.UsageError("--customer, --json: go before no command; give --json after it")


def _list(customer: str | None, *, as_json: bool) -> None:
    with opened_metadata() as metadata:
        if customer:
            metadata.customers.get(customer)
        states = metadata.accounts.states(customer_id=customer)
        failures = metadata.failures.find(customer_id=customer)
    found = [_as_json(one, failures) for one in states]
    columns = {
        "account": lambda one: f"{one['account']}{' (simulated)' if one['is_simulated'] else ''}",
        "provider": lambda one: one["provider"],
        "status": lambda one: one["status"],
        "last probe": lambda one: one["last_probe_at"],
        "last change": lambda one: one["last_change_at"],
        "last error": lambda one: one["last_error"],
    }
    none = "no account yet; next: optiinfra connect focus --customer acme --location /data/focus"
    print_list(found, columns, none=none, as_json=as_json)
    if failures and not as_json:
        click.echo()
        print_failures(failures)


def _as_json(one: AccountState, failures: list[Failure]) -> dict[str, Any]:
    return {
        "account": one.account.account_id,
        "customer": one.account.customer_id,
        "provider": one.account.provider,
        "settings": one.account.settings,
        "status": one.status,
        "is_simulated": one.account.is_simulated,
        "last_probe_at": one.last_probe_at,
        "last_change_at": one.last_change_at,
        "last_error": one.last_error,
        "failures": [failure_as_json(it) for it in failures if it.account_id == one.account.account_id],
    }


@accounts.command()
@click.argument("account")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(account: str, as_json: bool) -> None:
    """Show an account: its settings, what fails and when it is tried again, and each month that its source has."""
    with opened_metadata() as metadata:
        customer_id = metadata.accounts.get(account).customer_id
        (state,) = (
            one for one in metadata.accounts.states(customer_id=customer_id) if one.account.account_id == account
        )
        connection = metadata.accounts.connection(customer_id, account)
        failures = metadata.failures.find(account_id=account)
        months = metadata.slices.states(account_id=account)
    content = {
        **_as_json(state, failures),
        "connected_at": state.created_at,
        "secret_rotated_at": connection.rotated_at,
        "not_probed_before": state.probe_not_before,
        "months": [_month(one) for one in reversed(months)],
    }
    if as_json:
        print_json(content)
    else:
        _print_account(content, failures)


def _month(state: SliceState) -> dict[str, Any]:
    return {
        "period": str(state.slice.billing_period),
        "is_due": state.is_due,
        "seen_at": state.seen_at,
        "checked_at": state.checked_at,
        "published_at": state.published_at,
        "generation": state.generation,
    }


def _print_account(content: dict[str, Any], failures: list[Failure]) -> None:
    lines = [
        (
            "account",
            f"{content['account']}{' (simulated)' if content['is_simulated'] else ''}, of {content['customer']}",
        ),
        ("provider", content["provider"]),
        ("status", content["status"]),
        *(content["settings"].items()),
        ("connected", content["connected_at"]),
        ("secret rotated", content["secret_rotated_at"]),
        ("last probe", content["last_probe_at"]),
        ("last change", content["last_change_at"]),
        ("last error", content["last_error"]),
        ("not probed before", content["not_probed_before"]),
    ]
    print_table(("", ""), lines)
    if failures:
        click.echo()
        print_failures(failures)
    click.echo()
    columns = {
        "month": lambda one: one["period"],
        "state": lambda one: "due" if one["is_due"] else "collected" if one["checked_at"] else "-",
        "last collected": lambda one: one["checked_at"],
        "published": lambda one: one["published_at"],
        "generation": lambda one: one["generation"],
    }
    print_list(content["months"], columns, none="its source has shown no month yet", as_json=False)


class _AccountCommands(click.Group):
    """A group with one command per account, whose options are the fields of its provider."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return none: help must not need a running platform."""
        return []

    def get_command(self, _context: click.Context, name: str) -> click.Command:
        """Build the command of an account; raise RecordNotFound if there is none."""
        from optiinfra_assets.providers import PROVIDERS

        with opened_metadata() as metadata:
            provider = metadata.accounts.get(name).provider
        if provider not in PROVIDERS:
            raise click.ClickException(f"provider: {provider!r} is not known to this version")
        return _changing(name, PROVIDERS[provider])


@accounts.command("set", cls=_AccountCommands, subcommand_metavar="ACCOUNT [OPTIONS]")
def set_() -> None:
    """Change the settings of an account, or replace its secret. The source is read with them before anything is stored.

    What can be changed depends on the provider: optiinfra accounts set ACCOUNT --help. A secret is taken from the same
    variable as by `connect`, or asked for. Another address is accepted together with the secret only.
    """


def _changing(account_id: str, provider: Provider) -> click.Command:
    secret = provider.secret_fields()
    fields = {name: field for name, field in provider.credential_model.model_fields.items() if name not in secret}
    options: list[click.Parameter] = [option_of(provider, name, field) for name, field in fields.items()]
    for one in options:
        one.required = False
    options += [
        click.Option(["--reset"], type=click.Choice(sorted(fields)), multiple=True, help="Back to its default."),
        *([click.Option(["--new-secret", _SECRETS], is_flag=True, help="Replace the secret.")] if secret else []),
        click.Option(["--no-test"], is_flag=True, help="Store without reading the source."),
    ]

    def run(reset: tuple[str, ...], no_test: bool, with_secrets: bool = False, **values: Any) -> None:
        settings = {name: value for name, value in values.items() if value is not None} | dict.fromkeys(reset)
        secrets = _secrets(provider) if with_secrets else {}
        if not settings and not secrets:
            raise click.UsageError(f"nothing to change: see `optiinfra accounts set {account_id} --help`")
        with opened_metadata() as metadata, redacting(map(str, secrets.values())):
            _change(metadata, account_id, settings, secrets, test=not no_test)

    return click.Command(account_id, params=options, callback=run, help=f"Change {account_id} ({provider.title}).")


def _secrets(provider: Provider) -> dict[str, str]:
    """The secret fields of a provider, each from its variable, else asked for if it is required."""
    import os

    found: dict[str, str] = {}
    for name, field in provider.credential_model.model_fields.items():
        if name in provider.secret_fields():
            value = os.environ.get(variable_of(provider, name))
            if not value and field.is_required():
                value = click.prompt(name.replace("_", " "), hide_input=True)
            found |= {name: value} if value else {}
    return found


def _change(
    metadata: Metadata, account_id: str, settings: dict[str, Any], secrets: dict[str, str], *, test: bool
) -> None:
    from optiinfra_assets.ingestion import onboarding
    from optiinfra_assets.providers import PROVIDERS
    from optiinfra_assets.vault.credential_audit import Actor

    before = metadata.accounts.connection(metadata.accounts.get(account_id).customer_id, account_id)
    if not before.is_active:
        raise click.ClickException(f"account: {account_id!r} was removed: connect it again with the same settings")
    account, actor = before.account, Actor.here("cli")
    known = account if secrets else onboarding.with_stored_secrets(metadata, account, actor)
    with redacting(map(str, known.secrets.values())):
        wanted = onboarding.with_changes(known, {**settings, **secrets}, is_operator=True)
        moved = None if secrets else onboarding.field_requiring_secrets(account, wanted)
        if moved:
            raise click.UsageError(f"--{moved.replace('_', '-')}: goes with --new-secret: a secret is for one address")
        found = onboarding.read_source(PROVIDERS[account.provider], wanted) if test else None
        with metadata.transaction():
            metadata.credentials.hold(account, before.version)
            if settings:
                onboarding.save_settings(metadata, wanted, found, actor, with_secrets=bool(secrets))
            else:
                onboarding.save_secrets(metadata, wanted, found, actor)
    click.echo(f"changed {account_id}: {', '.join(sorted({*settings, *secrets}))}")
    print_found(found)
    click.echo(f"next: optiinfra collect --account {account_id} --wait")


@accounts.command()
@click.argument("account")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(account: str, yes: bool) -> None:
    """Stop collecting an account, and never open its secret again. What was collected of it stays, and is still shown.

    Connecting it again with the same settings goes on where it ended.
    """
    from optiinfra_assets.ingestion.onboarding import delete_account
    from optiinfra_assets.vault.credential_audit import Actor

    with opened_metadata() as metadata:
        found = metadata.accounts.connection(metadata.accounts.get(account).customer_id, account)
        if not found.is_active:
            raise click.ClickException(f"account: {account!r} was removed already")
        if not yes:
            _confirm(found.account)
        delete_account(metadata, found.account, Actor.here("cli"), has_secret=found.version is not None)
    click.echo(f"removed {account}: it is not collected any more; what was collected stays")


def _confirm(account: Account) -> None:
    import sys

    if not sys.stdin.isatty():
        raise click.UsageError("--yes: needed where nobody can be asked")
    click.confirm(f"Stop collecting {account.account_id} ({account.provider})?", abort=True)
