"""The command forecast: what costs will be, as a table for each currency, or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import click

from optiinfra_assets.cli.asking import NOTHING_CONNECTED, only_customer, opened_api
from optiinfra_assets.cli.charge_options import DIMENSIONS, chosen_charges, of_charges
from optiinfra_assets.cli.output import print_json, print_table
from optiinfra_assets.cli.spending import money
from optiinfra_assets.domain.charge_filters import ChargeFilter

_GROUPS: Final = {"all": None} | {option: of.upper() for option, of in DIMENSIONS.items()}
"""What costs are told apart by -> the dimension of GraphQL."""
_SPANS: Final = {
    "REST_OF_MONTH": "rest of month",
    "NEXT_MONTH": "next month",
    "DAYS_90": "90 days",
    "MONTHS_12": "12 months",
}
_SHOWN: Final = 20
_NAMED: Final = 10
"""So many accounts are named; of more, their number."""
_DOCUMENT: Final = """query CliForecast($customer: String, $groupBy: [Dimension!], $filter: CostFilter, $asOf: DateTime, $days: Int!) {
  forecast(customerId: $customer, groupBy: $groupBy, filter: $filter, asOf: $asOf, forecastDays: $days) {
    madeAt dataThrough publishedAt isSimulated reason
    series {
      provider account subAccount service region chargeCategory serviceProvider serviceCategory invoice billingPeriod sku pricingCategory
      commitment currency method reason errorPercent
      totals {
        span start end parts { part amount }
        beforeCredits { expected { amount } bounds { level lower upper coverage coverageOfAll } }
        afterCredits { expected { amount } bounds { level lower upper coverage coverageOfAll } }
      }
      dates beforeCredits afterCredits lower80 upper80 lower95 upper95 parts { part amounts } actualDates actualAmounts
    }
    finalDays { account lastDay }
    overrides { overrideId month provider account subAccount service currency amount factor note authorName madeAt }
  }
}"""


@click.command()
@click.option("--customer", help="Whose costs; may be left out while there is only one.")
@click.option(
    "--by", "by", type=click.Choice(list(_GROUPS)), default="all", show_default=True, help="Tell costs apart."
)
@of_charges
@click.option("--currency", help="Only this currency. Each has a table of its own.")
@click.option("--as-of", "as_of", help="What was forecast at this instant, such as 2026-11-30T12:00:00Z.")
@click.option("--days", type=click.IntRange(1, 366), default=92, show_default=True, help="Days of the columns in JSON.")
@click.option("--top", type=click.IntRange(1), default=_SHOWN, show_default=True, help="Groups of each table.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with days, parts and bounds.")
def forecast(
    customer: str | None,
    by: str,
    currency: str | None,
    as_of: str | None,
    days: int,
    top: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Show what costs will be: the rest of this month, the next, 90 days and 12 months, with 80 % bounds of each sum.

    Figures are before credits; JSON has them after credits too, with 95 % bounds, parts and each day.

    \b
    Examples:
      optiinfra forecast
      optiinfra forecast --customer acme --by service
      optiinfra forecast --by sku --service-category Compute --tag team=web
      optiinfra forecast --customer acme --as-of 2026-11-01T00:00:00Z --json
    """
    filter_ = _graphql(chosen_charges(given)) | ({"currency": [currency]} if currency else {})
    with opened_api() as ask:
        customer = customer or only_customer(ask)
        if customer is None:
            click.echo(NOTHING_CONNECTED)
            return
        variables = {"groupBy": [_GROUPS[by]] if _GROUPS[by] else None, "filter": filter_ or None, "asOf": as_of}
        found = ask(_DOCUMENT, customer=customer, days=days, **variables)["forecast"]
    if as_json:
        print_json({"customer": customer, "by": by, **found})
    else:
        _print_tables(by, found, top)


def _print_tables(by: str, found: Mapping[str, Any], top: int) -> None:
    notes = ["simulated"] * found["isSimulated"]
    click.echo("; ".join([f"forecast of {found['madeAt']}, data through {found['dataThrough'] or 'unknown'}", *notes]))
    if found["reason"]:
        click.echo(found["reason"])
    else:
        click.echo(final_text(found["finalDays"]))
    currencies = dict.fromkeys(one["currency"] for one in found["series"])
    for currency in currencies:
        rows = [one for one in found["series"] if one["currency"] == currency]
        click.echo()
        _print_table(by, currency, rows, top)
        for reason in dict.fromkeys(one["reason"] for one in rows if one["method"] != "MODEL"):
            click.echo(reason)
    for one in found["overrides"]:
        expected = f"{one['amount']} {one['currency']}" if one["amount"] else f"times {one['factor']}"
        of = ", ".join(value for name in ("provider", "account", "subAccount", "service") for value in one[name])
        click.echo(f"{one['month'][:7]}: {one['authorName']} expects {expected} of {of or 'all'}: {one['note'] or '-'}")


def final_text(final_days: Iterable[Mapping[str, Any]]) -> str:
    """Return how far the costs of accounts are final, in a line: the day of most first."""
    accounts: dict[str | None, list[str]] = {}
    for one in final_days:
        accounts.setdefault(one["lastDay"], []).append(one["account"])
    days = sorted(accounts, key=lambda day: (-len(accounts[day]), day or ""))
    if len(days) == 1 and days[0]:
        return f"all accounts are final through {days[0]}; later days are forecast"
    parts = [f"{_accounts(accounts[day])} {f'through {day}' if day else 'on no day'}" for day in days]
    return f"final: {'; '.join(parts)}; later days are forecast"


def _accounts(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= _NAMED else f"{len(names)} accounts"


def _print_table(by: str, currency: str, rows: Sequence[Mapping[str, Any]], top: int) -> None:
    headers = [by, currency, "to", "expected", "80 % from", "up to", "held", "error"]
    cells: list[Sequence[object]] = []
    for one in rows[:top]:
        label = "all" if by == "all" else one[_camel(DIMENSIONS[by])] or "(none)"
        for place, total in enumerate(one["totals"]):
            bounds = total["beforeCredits"]["bounds"]
            ends = (money(Decimal(bounds[0][end])) for end in ("lower", "upper")) if bounds else (None, None)
            held = bounds[0]["coverage"] if bounds else None
            cells.append(
                (
                    "" if place else label,
                    _SPANS[total["span"]],
                    str(date.fromisoformat(total["end"]) - timedelta(days=1)),
                    money(Decimal(total["beforeCredits"]["expected"]["amount"])),
                    *ends,
                    _percent(held),
                    f"{Decimal(one['errorPercent']):.1f} %" if one["errorPercent"] and not place else None,
                )
            )
    print_table(headers, cells, numbers=_numbers(headers))
    if len(rows) > top:
        click.echo(f"and {len(rows) - top} more: --top {len(rows)} shows them")


def _graphql(chosen: ChargeFilter) -> dict[str, Any]:
    tags = [{"key": one.name, "values": one.values, "ignoreCase": one.in_any_case} for one in chosen.tags]
    found = {_camel(name): [value or None for value in values] for name, values in chosen.chosen().items()}
    return found | ({"tags": tags} if tags else {})


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(one.capitalize() for one in others)


def _numbers(headers: Iterable[str]) -> frozenset[str]:
    return frozenset(headers) - {"to", *_GROUPS} - {one for one in headers if len(one) == 3 and one.isupper()}


def _percent(part: str | None) -> str | None:
    return None if part is None else f"{Decimal(part) * 100:.0f} %"
