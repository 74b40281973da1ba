"""The command costs: what was spent, as tables with a line of blocks for each group, as JSON or as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from optiinfra_assets.cli.asking import NOTHING_CONNECTED, only_customer, opened_api
from optiinfra_assets.cli.output import print_json, print_table
from optiinfra_assets.cli.spending import (
    FIRST_DAY,
    LAST_DAY,
    DayRange,
    Spent,
    by_currency,
    left_out,
    money,
    percent,
    sparkline,
    summed,
)
from optiinfra_assets.domain.exact_amounts import plain

_FIELDS: Final = {
    "service": "SERVICE",
    "account": "ACCOUNT",
    "region": "REGION",
    "provider": "PROVIDER",
    "sku": "SKU",
    "invoice": "INVOICE",
    "commitment": "COMMITMENT",
}
"""What costs are told apart by -> the same in GraphQL."""

_TAG: Final = "tag:"
_SHOWN: Final = 20
_ARGUMENTS: Final = (
    "customerId: $customer, groupBy: $groupBy, groupByTag: $tag, filter: $filter, displayCurrency: $display"
)
_DOCUMENT: Final = """query CliCosts($customer: String, $period: Period!, $before: Period!, $granularity: Granularity!,
               $groupBy: [Dimension!], $tag: String, $filter: CostFilter, $display: String, $compares: Boolean!) {
  now: costTrends(period: $period, granularity: $granularity, %(arguments)s) {
    series { %(name)s currency dates amounts convertedAmounts cost { amount converted { amount } } }
    dataThrough isComplete publishedAt isSimulated conversion { warnings }
  }
  moved: compareCosts(period: $period, with: $before, limit: 1000, %(arguments)s) @include(if: $compares) {
    groups { %(name)s currency isOther groups before { amount converted { amount } } after { amount converted { amount } } }
    conversion { warnings }
  }
  accounts(customerId: $customer, first: 1) { nodes { id } }
}"""


@click.command()
@click.option("--customer", help="Whose costs; may be left out while there is only one.")
@click.option("--by", "by", default="service", show_default=True, help=f"{', '.join(_FIELDS)} or tag:NAME.")
@click.option("--month", help="this, last or YYYY-MM; this month if no days are given.")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First day, instead of a month.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last day, inclusive; today if left out.")
@click.option(
    "--compare",
    is_flag=True,
    help="Also show the period before, the largest movement first: the same days of the month before, or as many days.",
)
@click.option(
    "--top", type=click.IntRange(1), help=f"Groups of each currency; {_SHOWN} in tables, all in JSON and CSV."
)
@click.option("--currency", help="Only this currency. Each has a table of its own.")
@click.option("--display-currency", "display", help="Show all costs in this currency, such as EUR.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with exact amounts.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with exact amounts.")
def costs(
    customer: str | None,
    by: str,
    month: str | None,
    first: datetime | None,
    last: datetime | None,
    compare: bool,
    top: int | None,
    currency: str | None,
    display: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show what was spent, the most expensive first, and how it went from day to day.

    Days are UTC days of the charges. Currencies are never added, but with --display-currency: see `optiinfra rates`.

    \b
    Examples:
      optiinfra costs
      optiinfra costs --month last --by tag:team --compare
      optiinfra costs --customer acme --from 2026-10-01 --to 2026-10-15 --by account --csv
    """
    if as_json and as_csv:
        raise click.UsageError("--csv: goes without --json")
    name, variables = _groups(by)
    days = _days(month, first, last)
    variables |= {"period": days.graphql, "before": days.before().graphql, "granularity": days.granularity}
    with opened_api() as ask:
        customer = customer or only_customer(ask)
        if customer is None:
            click.echo(NOTHING_CONNECTED)
            return
        filter_ = {"currency": [currency]} if currency else None
        document = _DOCUMENT % {"arguments": _ARGUMENTS, "name": name}
        found = ask(document, customer=customer, filter=filter_, display=display, compares=compare, **variables)
    if display:
        _convert(found, display)
    tables = by_currency(found["now"]["series"], found["moved"]["groups"] if compare else None, name)
    if as_json:
        _print_json(customer, by, days, found, tables, top, compare=compare)
    elif as_csv:
        _print_csv(by, tables, top, compare=compare)
    else:
        _print_tables(by, days, found, tables, top or _SHOWN, compare=compare)


def _convert(found: Mapping[str, Any], display: str) -> None:
    """Put converted amounts in the place of those that are billed.

    Raises:
        ClickException: some have no rate, and a sum that lacks them would mislead.
    """
    moved = found.get("moved") or {"groups": [], "conversion": {"warnings": []}}
    if warnings := [*found["now"]["conversion"]["warnings"], *moved["conversion"]["warnings"]]:
        raise click.ClickException(f"--display-currency: {warnings[0]} Next: optiinfra rates update")
    for series in found["now"]["series"]:
        series["currency"], series["cost"] = display, series["cost"]["converted"]
        series["amounts"] = series["convertedAmounts"]
    for group in moved["groups"]:
        group["currency"] = display
        for name in ("before", "after"):
            group[name] = group[name]["converted"] or group[name]


def _groups(by: str) -> tuple[str, dict[str, Any]]:
    """The field of a series that tells groups apart, and the variables that ask for it."""
    if by.startswith(_TAG) and by != _TAG:
        return "tag", {"tag": by.removeprefix(_TAG), "groupBy": None}
    if by not in _FIELDS:
        raise click.UsageError(f"--by: {by!r} is not accepted: use {', '.join(_FIELDS)} or tag:NAME")
    return by, {"groupBy": [_FIELDS[by]], "tag": None}


def _days(month: str | None, first: datetime | None, last: datetime | None) -> DayRange:
    today = datetime.now(UTC).date()
    if first is None and last is None:
        return DayRange.of_month(month or "this", today)
    if month:
        raise click.UsageError("--month: goes without --from and --to")
    if first is None:
        raise click.UsageError("--to: goes with --from")
    begin, until = first.date(), last.date() if last else max(today, first.date())
    for option, day, earliest in (("--from", begin, FIRST_DAY), ("--to", until, begin)):
        if not earliest <= day <= LAST_DAY:
            raise click.UsageError(f"{option}: {day} is not accepted: use a day from {earliest} to {LAST_DAY}")
    return DayRange(begin, until + timedelta(days=1))


def _print_tables(
    by: str,
    days: DayRange,
    found: Mapping[str, Any],
    tables: Mapping[str, Sequence[Spent]],
    top: int,
    *,
    compare: bool,
) -> None:
    now = found["now"]
    notes = ["simulated"] * now["isSimulated"] + ["not final"] * (not now["isComplete"])
    through = f"data through {now['dataThrough'] or 'unknown'}"
    click.echo("; ".join([f"{days}, UTC", through, *notes]))
    if compare:
        click.echo(f"before: {days.before()}")
    for currency, rows in tables.items():
        click.echo()
        _print_table(by, days, currency, rows, top, compare=compare)
    if not tables:
        click.echo("no costs in these days" if found["accounts"]["nodes"] else "no account is connected")
        click.echo("next: optiinfra status")


def _print_table(by: str, days: DayRange, currency: str, rows: Sequence[Spent], top: int, *, compare: bool) -> None:
    total = summed(rows, "total")
    shown = list(rows[:top])
    if len(rows) > top:
        shown.append(left_out(rows[top:]))
    buckets = days.buckets()
    headers = [by, currency, "share", *(("before", "change", "%") if compare else ()), days.granularity.lower()]
    cells = []
    for one in [*shown, total]:
        label = one.label or (f"(no {by.removeprefix(_TAG)})" if one.group is None or by in _FIELDS else "(empty)")
        share = percent(one.cost, total.cost) if one.cost >= 0 else None
        moved = (money(one.before), money(one.change), percent(one.change, one.before)) if compare else ()
        cells.append((label, money(one.cost), share, *moved, sparkline(one, buckets)))
    print_table(headers, cells, numbers=headers[1:-1])


def _print_json(
    customer: str,
    by: str,
    days: DayRange,
    found: Mapping[str, Any],
    tables: Mapping[str, Sequence[Spent]],
    top: int | None,
    *,
    compare: bool,
) -> None:
    now = found["now"]
    print_json(
        {
            "customer": customer,
            "by": by,
            "period": days.graphql,
            "before": days.before().graphql if compare else None,
            "granularity": days.granularity,
            "data_through": now["dataThrough"],
            "is_complete": now["isComplete"],
            "published_at": now["publishedAt"],
            "is_simulated": now["isSimulated"],
            "currencies": [
                {
                    "currency": currency,
                    **_amounts(summed(rows, ""), compare=compare),
                    "groups": [
                        {
                            "group": one.group,
                            **({"others": one.others} if one.others else {}),
                            **_amounts(one, compare=compare),
                            "days": {day.isoformat(): plain(amount) for day, amount in sorted(one.days.items())},
                        }
                        for one in rows[:top]
                    ],
                }
                for currency, rows in tables.items()
            ],
        }
    )


def _amounts(row: Spent, *, compare: bool) -> dict[str, str]:
    moved = {"before": plain(row.before), "change": plain(row.change)}
    return {"cost": plain(row.cost)} | (moved if compare else {})


def _print_csv(by: str, tables: Mapping[str, Sequence[Spent]], top: int | None, *, compare: bool) -> None:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([by, "currency", "cost", *(("before", "change") if compare else ())])
    for currency, rows in tables.items():
        for one in rows[:top]:
            writer.writerow([_marked(one.label or ""), currency, *_amounts(one, compare=compare).values()])
    click.echo(text.getvalue(), nl=False)


def _marked(text: str) -> str:
    """`text` as the files of the API have it: a spreadsheet must not run it."""
    from optiinfra_assets.domain.spreadsheet_text import FORMULA_SIGNS, MARK

    return f"{MARK}{text}" if text.lstrip(MARK).startswith(tuple(FORMULA_SIGNS)) else text
