"""The commands of alerts: rules, channels and messages of one customer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from optiinfra_assets.cli.errors import redacting
from optiinfra_assets.cli.output import print_json, print_list
from optiinfra_assets.cli.stores import opened_metadata

if TYPE_CHECKING:
    from optiinfra_assets.domain.alert_times import Timing
    from optiinfra_assets.domain.alerts import AlertChannel, AlertRule

_CUSTOMER = click.option("--customer", required=True, help="Customer id.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def alerts() -> None:
    """Tell people and programs when an account fails, costs are odd, a budget is passed, a closed month changes or a credential ends.

    A channel says how, a rule says of what. What is given here is the operator's, so a channel may lead into a private network.

    \b
    Examples:
      optiinfra alerts add-channel slack --customer acme --name costs
      optiinfra alerts test --customer acme 0a1b2c3d4e5f
      optiinfra alerts add collection --customer acme --name broken --channel 0a1b2c3d4e5f --set minutes=30
      optiinfra alerts add budget --customer acme --name overruns --channel 0a1b2c3d4e5f --set actual=80 --set probability=90
      optiinfra alerts add anomaly --customer acme --name odd --channel 0a1b2c3d4e5f --set amount=100 --service Compute
      optiinfra alerts deliveries --customer acme --state dead
    """


@alerts.command("list")
@_CUSTOMER
@_JSON
def list_(customer: str, as_json: bool) -> None:
    """List the rules of a customer, by name."""
    with opened_metadata() as metadata:
        found = metadata.alerts.rules(customer_id=metadata.customers.get(customer).customer_id)
    columns = {
        "rule": lambda one: one.rule_id,
        "name": lambda one: one.name,
        "watches": lambda one: one.kind,
        "with": lambda one: ", ".join(f"{name} {value}" for name, value in sorted(one.options.items())),
        "where": lambda one: ", ".join([*one.accounts, *one.services, *one.budgets]) or "all",
        "channels": lambda one: ", ".join(one.channels) or "none",
        "when": lambda one: _when(one.timing),
        "muted until": lambda one: one.muted_until,
        "last looked": lambda one: one.checked_at,
    }
    none = f"no rule yet; next: optiinfra alerts add collection --customer {customer} --name <name> --channel <channel>"
    print_list(found, columns, none=none, as_json=as_json)


@alerts.command()
@_CUSTOMER
@_JSON
def channels(customer: str, as_json: bool) -> None:
    """List the channels of a customer, by name, without their secrets."""
    with opened_metadata() as metadata:
        found = metadata.alerts.channels(customer_id=metadata.customers.get(customer).customer_id)
    columns = {
        "channel": lambda one: one.channel_id,
        "name": lambda one: one.name,
        "kind": lambda one: one.kind,
        "leads to": _leads_to,
        "added": lambda one: one.created_at,
    }
    none = f"no channel yet; next: optiinfra alerts add-channel webhook --customer {customer} --name <name>"
    print_list(found, columns, none=none, as_json=as_json)


@alerts.command("add-channel")
@click.argument("kind", type=click.Choice(["webhook", "slack", "teams", "email"]))
@_CUSTOMER
@click.option("--name", required=True, help="What people call it.")
@click.option(
    "--url", envvar="OPTIINFRA_ALERT_URL", show_envvar=True, help="Address that takes messages; asked for if left out."
)
@click.option(
    "--signing-key", envvar="OPTIINFRA_ALERT_KEY", show_envvar=True, help="For a webhook: its key; made if left out."
)
@click.option("--host", help="For e-mail: the SMTP server.")
@click.option("--port", type=click.IntRange(1, 65_535), help="For e-mail: its port, 587 if left out.")
@click.option(
    "--security", type=click.Choice(["starttls", "tls", "none"]), help="For e-mail: encryption, starttls if left out."
)
@click.option("--username", help="For e-mail: user at the server.")
@click.option(
    "--password", envvar="OPTIINFRA_ALERT_PASSWORD", show_envvar=True, help="For e-mail: asked for with a user."
)
@click.option("--sender", help="For e-mail: address that messages come from.")
@click.option("--to", "recipients", multiple=True, help="For e-mail: address that they go to; may be repeated.")
@_JSON
def add_channel_(
    kind: str, customer: str, name: str, as_json: bool, recipients: tuple[str, ...], **values: Any
) -> None:
    """Add a channel by which a customer is told. Its address, key and password are kept encrypted."""
    from optiinfra_assets.notifications.channels import add_channel
    from optiinfra_assets.vault.credential_audit import Actor

    if kind != "email" and not values["url"]:
        values["url"] = click.prompt("Address (not shown)", hide_input=True)
    if values["username"] and not values["password"]:
        values["password"] = click.prompt("Password", hide_input=True)
    values["recipients"] = list(recipients) or None
    with (
        redacting(one for name in ("url", "signing_key", "password") if (one := values[name])),
        opened_metadata() as metadata,
    ):
        added = add_channel(
            metadata, kind, name, values, is_operator=True, customer_id=customer, actor=Actor.here("cli")
        )
        made = metadata.channel_secrets.made_key_file
    if made:
        click.echo(f"made master key {made}: back it up; without it no stored secret can be opened", err=True)
    if as_json:
        print_json({"channel": added.channel, "signing_key": added.signing_key})
        return
    click.echo(f"added {added.channel.channel_id} ({name})")
    if added.signing_key:
        click.echo(f"signing key, shown only now: {added.signing_key}")
    click.echo(f"next: optiinfra alerts test --customer {customer} {added.channel.channel_id}")


@alerts.command()
@click.argument("channel")
@_CUSTOMER
def test(channel: str, customer: str) -> None:
    """Send a message by CHANNEL that says it is a test."""
    from optiinfra_assets.notifications.channels import try_channel
    from optiinfra_assets.notifications.errors import NotReceived
    from optiinfra_assets.settings import Settings
    from optiinfra_assets.vault.credential_audit import Actor

    with opened_metadata() as metadata:
        found = metadata.alerts.channel(channel, customer_id=customer)
        try:
            note = try_channel(metadata, found, Settings().api_url, lambda: datetime.now(UTC), Actor.here("cli"))
        except NotReceived as error:
            raise click.ClickException(f"not received: {error}") from None
    click.echo(f"received by {found.name}{f', but {note}' if note else ''}")


@alerts.command()
@click.argument("kind")
@_CUSTOMER
@click.option("--name", required=True, help="What people call it.")
@click.option("--channel", "channels", multiple=True, required=True, help="Id of a channel; may be repeated.")
@click.option("--set", "options", multiple=True, metavar="NAME=NUMBER", help="A number of the rule; may be repeated.")
@click.option("--account", "accounts", multiple=True, help="Only this account id; may be repeated.")
@click.option(
    "--service", "services", multiple=True, help="For forecast and anomaly: only this service; may be repeated."
)
@click.option("--budget", "budgets", multiple=True, help="For budget: only this one, its name or id; may be repeated.")
@click.option("--digest", type=click.Choice(["none", "daily", "weekly"]), default="none", help="Gather messages.")
@click.option("--hour", type=click.IntRange(0, 23), default=8, show_default=True, help="Hour of digests.")
@click.option(
    "--weekday", type=click.IntRange(1, 7), default=1, show_default=True, help="Day of weekly digests, 1 is Monday."
)
@click.option("--quiet", metavar="FROM-UNTIL", help="Hours in which nothing is sent, such as 22-7.")
@click.option("--timezone", default="UTC", show_default=True, help="Time zone of all hours.")
@click.option("--replace", "rule_id", metavar="RULE", help="Change this rule; its kind stays.")
@_JSON
def add(
    kind: str,
    customer: str,
    name: str,
    channels: tuple[str, ...],
    options: tuple[str, ...],
    accounts: tuple[str, ...],
    services: tuple[str, ...],
    budgets: tuple[str, ...],
    rule_id: str | None,
    as_json: bool,
    **timing: Any,
) -> None:
    """Add a rule. KIND is what it watches for: collection, restatement, credential, budget, forecast or anomaly."""
    from optiinfra_assets.domain.alerts import RULE_KINDS
    from optiinfra_assets.metadata.alerts import WantedRule
    from optiinfra_assets.vault.credential_audit import Actor

    if kind not in RULE_KINDS:
        known = "; ".join(
            f"{one.name} ({', '.join(f'{option.name}={option.default:f}' for option in one.options)})"
            for one in RULE_KINDS.values()
        )
        raise click.UsageError(f"kind: {kind!r} is not known: use {known}")
    with opened_metadata() as metadata:
        ids = {one.budget.name: one.budget_id for one in metadata.budgets.find(customer_id=customer)} if budgets else {}
        wanted = WantedRule(
            kind,
            name,
            channels,
            dict(map(_option, options)),
            accounts,
            _timing(**timing),
            services,
            [ids.get(one, one) for one in budgets],
        )
        saved = metadata.alerts.save_rule(
            wanted, datetime.now(UTC), rule_id, customer_id=customer, actor=Actor.here("cli")
        )
    _show("saved", saved, as_json=as_json)


@alerts.command()
@click.argument("rule")
@_CUSTOMER
@click.option("--hours", type=click.FloatRange(0, 87_600, min_open=True), help="How long it tells nothing.")
@click.option("--off", is_flag=True, help="Let it tell again.")
@_JSON
def mute(rule: str, customer: str, hours: float | None, off: bool, as_json: bool) -> None:
    """Mute RULE. What happens meanwhile is not told later."""
    from optiinfra_assets.vault.credential_audit import Actor

    if (hours is None) != off:
        raise click.UsageError("--hours: needed, or --off")
    until = None if hours is None else datetime.now(UTC) + timedelta(hours=hours)
    with opened_metadata() as metadata:
        muted = metadata.alerts.mute_rule(rule, until, customer_id=customer, actor=Actor.here("cli"))
    _show("muted" if until else "no longer muted", muted, as_json=as_json)


@alerts.command()
@click.argument("rule_or_channel")
@_CUSTOMER
def remove(rule_or_channel: str, customer: str) -> None:
    """Remove a rule, or a channel with its secrets. What waits of it is given up."""
    from optiinfra_assets.vault.credential_audit import Actor

    who: dict[str, Any] = {"customer_id": customer, "actor": Actor.here("cli")}
    with opened_metadata() as metadata:
        is_channel = any(one.channel_id == rule_or_channel for one in metadata.alerts.channels(customer_id=customer))
        change = metadata.alerts.remove_channel if is_channel else metadata.alerts.remove_rule
        removed: AlertChannel | AlertRule = change(rule_or_channel, **who)
    click.echo(f"removed {rule_or_channel} ({removed.name})")


@alerts.command()
@_CUSTOMER
@click.option("--state", type=click.Choice(["waiting", "sent", "dead"]), help="Only messages in this state.")
@click.option("--first", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@_JSON
def deliveries(customer: str, state: str | None, first: int, as_json: bool) -> None:
    """List messages, newest first: what they tell, and how far they have come."""
    with opened_metadata() as metadata:
        customer_id = metadata.customers.get(customer).customer_id
        found = metadata.alert_outbox.deliveries(customer_id=customer_id, first=first, state=state)
    columns = {
        "delivery": lambda one: one.delivery_id,
        "found": lambda one: one.created_at,
        "rule": lambda one: one.rule_name,
        "channel": lambda one: one.channel_name,
        "state": lambda one: one.state,
        "tried": lambda one: one.attempts,
        "next, or received": lambda one: one.sent_at or (one.due_at if one.state == "waiting" else None),
        "tells": lambda one: one.titles[0] + (f" and {len(one.titles) - 1} more" if len(one.titles) > 1 else ""),
        "last error": lambda one: one.error,
    }
    print_list(found, columns, none="no message", as_json=as_json)


@alerts.command()
@click.argument("delivery")
@_CUSTOMER
@_JSON
def resend(delivery: str, customer: str, as_json: bool) -> None:
    """Try a message again that was given up, for another day and with the same id."""
    from optiinfra_assets.vault.credential_audit import Actor

    with opened_metadata() as metadata:
        found = metadata.alert_outbox.resend(delivery, datetime.now(UTC), customer_id=customer, actor=Actor.here("cli"))
    if as_json:
        print_json(found)
    else:
        click.echo(f"{delivery} is sent again within a minute")


def _show(done: str, rule: AlertRule, *, as_json: bool) -> None:
    if as_json:
        print_json(rule)
    else:
        click.echo(f"{done} {rule.rule_id} ({rule.name})")


def _option(text: str) -> tuple[str, str]:
    name, sign, number = text.partition("=")
    if not sign:
        raise click.UsageError(f"--set: {text!r} is not accepted: use NAME=NUMBER")
    return name, number


def _timing(digest: Any, hour: int, weekday: int, quiet: str | None, timezone: str) -> Timing:
    from optiinfra_assets.domain.alert_times import Timing

    quiet_from, quiet_until = None, None
    if quiet is not None:
        try:
            quiet_from, quiet_until = map(int, quiet.split("-"))
        except ValueError:
            raise click.UsageError(f"--quiet: {quiet!r} is not accepted: use two hours, such as 22-7") from None
    return Timing(digest, hour, weekday, quiet_from, quiet_until, timezone)


def _when(timing: Timing) -> str:
    parts = ["at once" if timing.digest == "none" else f"{timing.digest} at {timing.digest_hour}"]
    parts += [] if timing.quiet_from is None else [f"quiet {timing.quiet_from}-{timing.quiet_until}"]
    return ", ".join([*parts, timing.timezone])


def _leads_to(channel: AlertChannel) -> str:
    settings = channel.settings
    return str(settings.get("server") or f"{', '.join(settings['recipients'])} by {settings['host']}")
