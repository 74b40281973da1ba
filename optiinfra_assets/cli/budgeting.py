"""The commands budgets list, add, set, remove and status: what may be spent, and how that stands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import click

from optiinfra_assets.cli.charge_options import chosen_charges, of_charges
from optiinfra_assets.cli.forecasting import final_text
from optiinfra_assets.cli.output import print_json, print_list, print_table
from optiinfra_assets.cli.spending import money
from optiinfra_assets.cli.stores import opened_metadata
from optiinfra_assets.domain.charge_filters import ChargeFilter
from optiinfra_assets.domain.rates_used import rates_used

if TYPE_CHECKING:
    from optiinfra_assets.domain.budgets import Budget
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.metadata.budgets import StoredBudget
    from optiinfra_assets.metadata.tokens import Principal

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_CUSTOMER = click.option("--customer", required=True, help="Whose.")
_BASES: Final = ("billed", "effective", "list", "contracted")
_CADENCES: Final = ("monthly", "quarterly", "yearly", "between")
_STATUS: Final = """query CliBudgets($customer: String, $after: String, $id: String, $asOf: DateTime) {
  budgetStatus(first: 100, after: $after, customerId: $customer, budgetId: $id, asOf: $asOf) {
    nodes {
      budget {
        budgetId name cadence currency costBasis
        filters {
          provider account subAccount service region chargeCategory currency serviceProvider serviceCategory invoice billingPeriod sku
          pricingCategory commitment tagKey tagValues tags { key values ignoreCase }
        }
      }
      periodStart periodEnd amount spent used forecast lower80 upper80 lower95 upper95 probability passedOn state reason dataThrough
      conversions { currency isExpected amount converted lowestRate highestRate firstRateDate lastRateDate source }
      rates { currency rate rateDate source amount firstDay lastDay isExpected }
      finalDays { account lastDay } forecastMadeAt isSimulated
    }
    unusable { budgetId name problem }
    pageInfo { hasNextPage endCursor }
  }
}"""


def _of_charges(command: Any) -> Any:
    """Give a command the options that choose the charges of a budget."""
    help_ = "Only charges that are billed in this currency."
    return of_charges(click.option("--billed-in", "billed_in", multiple=True, help=help_)(command))


def _of_budget(command: Any) -> Any:
    options = [
        click.option("--amount", help="What may be spent in each period."),
        click.option("--currency", help="Its currency, such as USD; costs billed in others are converted to it."),
        click.option("--cadence", type=click.Choice(_CADENCES), help="How often it begins anew."),
        click.option("--basis", type=click.Choice(_BASES), help="The cost that counts."),
        click.option("--from", "start", type=click.DateTime(["%Y-%m-%d"]), help="First day; needed with between."),
        click.option("--to", "end", type=click.DateTime(["%Y-%m-%d"]), help="Day after the last; needed with between."),
        click.option("--month-amount", "months", multiple=True, help="YYYY-MM=AMOUNT: the amount of one month."),
        click.option("--or", "others", multiple=True, help="Other charges that count too: '--service B --region eu'."),
    ]
    command = _of_charges(command)
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def budgets() -> None:
    """Budgets: what may be spent each month, quarter or year, or between two days, and how that stands.

    \b
    Examples:
      optiinfra budgets add --customer acme --name web --amount 5000 --currency USD --service Compute
      optiinfra budgets status --customer acme
      optiinfra budgets set web --customer acme --amount 6000
    """


@budgets.command("list")
@_CUSTOMER
@_JSON
def list_(customer: str, as_json: bool) -> None:
    """List the budgets of a customer."""
    with opened_metadata() as metadata:
        found = metadata.budgets.find(customer_id=metadata.customers.get(customer).customer_id)
    columns = {
        "name": lambda one: one.budget.name,
        "amount": lambda one: money(one.budget.amount),
        "currency": lambda one: one.budget.currency,
        "cadence": lambda one: one.budget.cadence,
        "of": lambda one: _of(one.budget.filters),
        "changed": lambda one: one.changed_at,
        "problem": lambda one: one.problem,
    }
    print_list(found, columns, none=f"{customer} has no budget; next: optiinfra budgets add", as_json=as_json)


@budgets.command()
@_CUSTOMER
@click.option("--name", required=True, help="What it is called.")
@_of_budget
@_JSON
def add(customer: str, name: str, as_json: bool, **given: Any) -> None:
    """Add a budget. Options that are given several times accept several values; --or adds charges that count too."""
    from optiinfra_assets.domain.budgets import Budget, Cadence

    for option in ("amount", "currency"):
        if not given[option]:
            raise click.UsageError(f"--{option}: needed for a new budget")
    plain = Budget(name, Cadence.MONTHLY, Decimal(0), "")
    with opened_metadata() as metadata:
        done = metadata.budgets.save(
            _changed(plain, given), customer_id=customer, principal=_cli(customer), now=datetime.now(UTC)
        )
    _show("added", done, as_json=as_json)


@budgets.command("set")
@_CUSTOMER
@click.argument("name")
@click.option("--rename", help="What it is called from now on.")
@_of_budget
@_JSON
def set_(customer: str, name: str, rename: str | None, as_json: bool, **given: Any) -> None:
    """Change what is given of a budget; the rest stays. Filters that are given take the place of all that were."""
    from dataclasses import replace

    with opened_metadata() as metadata:
        old = _named(metadata, customer, name)
        budget = _changed(replace(old.budget, name=rename or old.budget.name), given)
        now = datetime.now(UTC)
        done = metadata.budgets.save(budget, old.budget_id, customer_id=customer, principal=_cli(customer), now=now)
    _show("changed", done, as_json=as_json)


@budgets.command()
@_CUSTOMER
@click.argument("name")
@_JSON
def remove(customer: str, name: str, as_json: bool) -> None:
    """Remove a budget; its history stays."""
    with opened_metadata() as metadata:
        old = _named(metadata, customer, name)
        now = datetime.now(UTC)
        done = metadata.budgets.remove(old.budget_id, customer_id=customer, principal=_cli(customer), now=now)
    _show("removed", done, as_json=as_json)


@budgets.command()
@click.option("--customer", help="Whose; may be left out while there is only one.")
@click.option("--as-of", "as_of", help="How they stood at this instant, such as 2026-11-30T12:00:00Z.")
@_JSON
def status(customer: str | None, as_of: str | None, as_json: bool) -> None:
    """Show how budgets stand: spent, expected at the end, how likely an overrun is, and the day that passes the amount."""
    from optiinfra_assets.cli.asking import only_customer, opened_api

    found: list[Mapping[str, Any]] = []
    unusable: list[Mapping[str, Any]] = []
    with opened_api() as ask:
        customer = customer or only_customer(ask)
        page: Mapping[str, Any] = {"hasNextPage": customer is not None, "endCursor": None}
        while page["hasNextPage"]:
            answer = ask(_STATUS, customer=customer, after=page["endCursor"], asOf=as_of)["budgetStatus"]
            found += answer["nodes"]
            unusable += answer["unusable"]
            page = answer["pageInfo"]
    if as_json:
        print_json(found)
    elif found:
        _print_status(found)
    elif not unusable:
        click.echo("no budget has a period now; next: optiinfra budgets add")
    for one in unusable:
        click.echo(f"budget {one['name']} cannot be used: {one['problem']}", err=True)


def _print_status(found: Sequence[Mapping[str, Any]]) -> None:
    headers = ("budget", "", "amount", "spent", "expected", "80 % up to", "overrun", "passed", "state")
    rows = [
        (
            one["budget"]["name"],
            one["budget"]["currency"],
            *(
                None if one[name] is None else money(Decimal(one[name]))
                for name in ("amount", "spent", "forecast", "upper80")
            ),
            None if one["probability"] is None else f"{Decimal(one['probability']) * 100:.0f} %",
            one["passedOn"],
            one["state"].lower().replace("_", " "),
        )
        for one in found
    ]
    print_table(headers, rows, numbers={"amount", "spent", "expected", "80 % up to", "overrun"})
    for one in found:
        for line in rates_used(one["conversions"], one["budget"]["currency"]):
            click.echo(f"{one['budget']['name']}: {line}")
    if any(one["isSimulated"] for one in found):
        click.echo("simulated")
    finals = {day["account"]: day for one in found for day in one["finalDays"]}
    if finals:
        click.echo(final_text(finals.values()))
    for reason in dict.fromkeys(one["reason"] for one in found if one["probability"] is None):
        click.echo(reason)


def _changed(budget: Budget, given: Mapping[str, Any]) -> Budget:
    """Return the budget with what is given. Raises UsageError if a value is none."""
    from dataclasses import replace

    from optiinfra_assets.domain.budgets import Cadence

    changes: dict[str, Any] = {name: given[name].date() for name in ("start", "end") if given[name]}
    if given["amount"]:
        changes["amount"] = _amount("--amount", given["amount"])
    if given["currency"]:
        changes["currency"] = given["currency"]
    if given["cadence"]:
        changes["cadence"] = Cadence(given["cadence"])
    if given["basis"]:
        changes["cost_basis"] = f"{given['basis']}_cost"
    if given["months"]:
        changes["amounts"] = dict(_month_amount(one) for one in given["months"])
    chosen = _chosen(given)
    if given["others"] and not chosen:
        raise click.UsageError("--or: say first which charges count, such as --service A")
    if chosen:
        changes["filters"] = (chosen, *map(_other, given["others"]))
    return replace(budget, **changes)


def _chosen(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filter that the options say, as it is stored."""
    return chosen_charges(given).stored() | ({"currency": list(given["billed_in"])} if given["billed_in"] else {})


def _other(text: str) -> dict[str, Any]:
    """Return the filter of other charges. Raises UsageError if there is none, or one that is not accepted."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise click.UsageError(f"--or: {text!r} is not accepted: {error}") from None
    options = _of_charges(click.Command("--or", add_help_option=False))
    chosen = _chosen(options.make_context("--or", words).params)
    if not chosen:
        raise click.UsageError(f"--or: {text!r} is not accepted: use filters, such as '--service B --region eu'")
    return chosen


def _month_amount(text: str) -> tuple[Any, Decimal]:
    from optiinfra_assets.domain.accounts import BillingPeriod

    month, _, amount = text.partition("=")
    try:
        return BillingPeriod.parse(month).start.date(), _amount("--month-amount", amount)
    except ValueError:
        raise click.UsageError(
            f"--month-amount: {text!r} is not accepted: use YYYY-MM=AMOUNT, from 1970 to 2105"
        ) from None


def _amount(option: str, text: str) -> Decimal:
    from optiinfra_assets.domain.exact_amounts import written

    try:
        return written(option, text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _named(metadata: Metadata, customer: str, name: str) -> StoredBudget:
    found = metadata.budgets.find(customer_id=metadata.customers.get(customer).customer_id)
    budget = next((one for one in found if name in (one.budget.name, one.budget_id)), None)
    if budget is None:
        raise click.ClickException(
            f"budget: {name!r} does not exist: optiinfra budgets list --customer {customer} shows all"
        )
    return budget


def _cli(customer: str) -> Principal:
    from optiinfra_assets.metadata.tokens import Principal

    return Principal("cli", "command line", customer, "operator")


def _of(filters: Sequence[Mapping[str, Any]]) -> str:
    return " or ".join(map(_of_filter, filters)) or "all"


def _of_filter(one: Mapping[str, Any]) -> str:
    chosen = ChargeFilter.of(one)
    named = [*chosen.chosen().items(), *((tag.name, tag.values) for tag in chosen.tags)]
    return "; ".join(f"{name}: {', '.join(str(value or None) for value in values)}" for name, values in named)


def _show(done: str, found: StoredBudget, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        budget = found.budget
        click.echo(
            f"{done} {budget.name}: {money(budget.amount)} {budget.currency} {budget.cadence}, {_of(budget.filters)}"
        )
