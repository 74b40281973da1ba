"""The commands of anomalies: what is odd, why, and what to say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import click

from optiinfra_assets.cli.asking import NOTHING_CONNECTED, only_customer, opened_api
from optiinfra_assets.cli.output import print_json, print_table
from optiinfra_assets.cli.spending import money
from optiinfra_assets.cli.stores import opened_metadata

if TYPE_CHECKING:
    from optiinfra_assets.metadata import Metadata

_STATES: Final = ("open", "acknowledged", "planned", "false", "expected", "fixed")
_BARS: Final = 30
_FIELDS: Final = """
  anomalyId provider account service kind firstDay lastDay oddDays excessPercent score state foldedInto foundAt changedAt isSimulated
  sentence cost { amount currency } expected { amount currency } excess { amount currency } projectedImpact { amount currency }
  said { state setAt authorName until upTo note }
"""
_AMOUNTS: Final = "value expected cost excess price usage new gone"
_LIST: Final = f"""query CliAnomalies($customer: String, $first: Int!, $after: String, $filter: AnomalyFilterInput, $asOf: DateTime) {{
  anomalies(customerId: $customer, first: $first, after: $after, filter: $filter, asOf: $asOf) {{
    judgedAt dataThrough isSimulated pageInfo {{ hasNextPage endCursor }} nodes {{ {_FIELDS} }}
  }}
}}"""
_DIMENSIONS: Final = {
    "service": "service",
    "sub-account": "sub account",
    "region": "region",
    "sku": "SKU",
    "resource": "resource",
}
_SHOW: Final = f"""query CliAnomaly($customer: String, $id: String!, $asOf: DateTime, $tag: String) {{
  anomaly(customerId: $customer, anomalyId: $id, asOf: $asOf, groupByTag: $tag) {{
    {_FIELDS} folded {{ anomalyId service excess {{ amount currency }} }}
    history {{ state setAt authorName until upTo note }} band {{ dates cost expected lower upper odd }}
    causes {{
      dimension explained total {{ {_AMOUNTS} }} others {{ {_AMOUNTS} }} contributors {{ {_AMOUNTS} }}
      path {{ dimension share contribution {{ {_AMOUNTS} }} }}
      byDimension {{ dimension explained total {{ {_AMOUNTS} }} others {{ {_AMOUNTS} }} contributors {{ {_AMOUNTS} }} }}
    }}
  }}
}}"""


@click.group()
def anomalies() -> None:
    """Show what is odd about costs, and say what it is.

    \b
    Examples:
      optiinfra anomalies list
      optiinfra anomalies show 0f3c5a1b2d4e6f78
      optiinfra anomalies set 0f3c5a1b2d4e6f78 planned --until 2026-12-24 --note "load test"
    """


@anomalies.command("list")
@click.option("--customer", help="Whose costs; may be left out while there is only one.")
@click.option("--account", help="Only this account.")
@click.option("--service", help="Only this service, also where the anomaly of its account tells it.")
@click.option("--state", type=click.Choice(_STATES), help="Only this state.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only those with a day from this UTC day on.")
@click.option("--as-of", "as_of", help="As it was at this instant, such as 2026-11-30T12:00:00Z.")
@click.option("--most", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most anomalies.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with exact amounts.")
def list_(
    customer: str | None,
    account: str | None,
    service: str | None,
    state: str | None,
    since: datetime | None,
    as_of: str | None,
    most: int,
    as_json: bool,
) -> None:
    """List anomalies, the latest first, with what they cost beyond what was expected.

    \b
    Examples:
      optiinfra anomalies list
      optiinfra anomalies list --customer acme --state open --since 2026-11-01
    """
    wanted = {
        "account": [account] if account else None,
        "service": [service] if service else None,
        "folded": bool(service),
        "state": [state.upper()] if state else None,
        "start": since.date().isoformat() if since else None,
    }
    with opened_api() as ask:
        customer = customer or only_customer(ask)
        if customer is None:
            click.echo(NOTHING_CONNECTED)
            return
        found = ask(_LIST, customer=customer, first=most, filter=wanted, asOf=as_of)["anomalies"]
    if as_json:
        print_json({"customer": customer, **found})
        return
    notes = ["simulated"] * found["isSimulated"]
    judged = f"judged {found['judgedAt']}" if found["judgedAt"] else "nothing is judged yet: wait for the next refresh"
    click.echo("; ".join([judged, f"data through {found['dataThrough'] or 'unknown'}", *notes]))
    headers = ["id", "days", "account", "service", "kind", "currency", "excess", "%", "by month's end", "state"]
    cells = [
        (
            one["anomalyId"],
            one["firstDay"] + ("" if one["oddDays"] == 1 else f" to {one['lastDay']}"),
            one["account"],
            one["service"] or "(all)",
            one["kind"].lower(),
            one["excess"]["currency"],
            _money(one["excess"]),
            one["excessPercent"] or "",
            _money(one["projectedImpact"]),
            one["state"].lower(),
        )
        for one in found["nodes"]
    ]
    print_table(headers, cells, numbers=["excess", "%", "by month's end"])
    if found["pageInfo"]["hasNextPage"]:
        click.echo(f"and more: --most {min(most * 4, 1000)} shows them")


@anomalies.command("show")
@click.argument("anomaly_id")
@click.option("--customer", help="Whose; may be left out while there is only one.")
@click.option("--by", help=f"Its causes by {', '.join(_DIMENSIONS)} or tag:NAME; default: by what tells most.")
@click.option("--as-of", "as_of", help="As it was at this instant, such as 2026-11-30T12:00:00Z.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with exact amounts and the band of each day.")
def show(anomaly_id: str, customer: str | None, by: str | None, as_of: str | None, as_json: bool) -> None:
    """Show one anomaly: where its excess comes from, its days beside what was expected, and what people said.

    \b
    Examples:
      optiinfra anomalies show 0f3c5a1b2d4e6f78
      optiinfra anomalies show 0f3c5a1b2d4e6f78 --by resource
      optiinfra anomalies show 0f3c5a1b2d4e6f78 --by tag:team --json
    """
    tag = by.removeprefix("tag:") if by and by.startswith("tag:") else None
    if by and not tag and by not in _DIMENSIONS:
        raise click.UsageError(f"--by: {by!r} is not accepted: use {', '.join(_DIMENSIONS)} or tag:NAME")
    with opened_api() as ask:
        customer = customer or only_customer(ask)
        found = ask(_SHOW, customer=customer, id=anomaly_id, asOf=as_of, tag=tag)["anomaly"]
    if found is None:
        raise click.ClickException(
            f"anomaly: {anomaly_id!r} does not exist: use an id that `optiinfra anomalies list` shows"
        )
    if as_json:
        print_json({"customer": customer, **found})
        return
    _print_one(found, "tag" if tag else _DIMENSIONS.get(by or ""), tag)


@anomalies.command("set")
@click.argument("anomaly_id")
@click.argument("state", type=click.Choice(_STATES))
@click.option("--customer", help="Whose; may be left out while there is only one.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="With planned: the last day for which it is.")
@click.option("--up-to", "up_to", help="With planned: the cost of a day that is.")
@click.option("--note", default="", help="Why.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def set_(
    anomaly_id: str,
    state: str,
    customer: str | None,
    until: datetime | None,
    up_to: str | None,
    note: str,
    as_json: bool,
) -> None:
    """Say what an anomaly is; that teaches how later days are judged.

    false widens the band of its series, expected takes the level since its first day for right, planned mutes until a day or up to a cost.

    \b
    Examples:
      optiinfra anomalies set 0f3c5a1b2d4e6f78 acknowledged --note "asked the team"
      optiinfra anomalies set 0f3c5a1b2d4e6f78 planned --until 2026-12-24 --up-to 900
    """
    from optiinfra_assets.domain.anomalies import AnomalyStatus
    from optiinfra_assets.metadata.tokens import Principal

    with opened_metadata() as metadata:
        customer = customer or _only(metadata)
        done = metadata.anomalies.say(
            anomaly_id,
            AnomalyStatus(state),
            until_day=until.date() if until else None,
            up_to=_amount(up_to),
            note=note,
            customer_id=customer,
            principal=Principal("cli", "cli", customer, "operator"),
            now=datetime.now(UTC),
        )
    if as_json:
        print_json({"customer": customer, "anomalyId": done.anomaly_id, "said": done.state})
    else:
        click.echo(f"{anomaly_id} is {state}: later days are judged by it")


def _only(metadata: Metadata) -> str:
    names = [one.customer_id for one in metadata.customers.find()]
    if len(names) > 1:
        raise click.UsageError(f"--customer: needed, since there are several: use one of {', '.join(names)}")
    if not names:
        raise click.ClickException(NOTHING_CONNECTED)
    return names[0]


def _amount(text: str | None) -> Decimal | None:
    from optiinfra_assets.domain.exact_amounts import written

    try:
        return None if text is None else written("--up-to", text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _print_one(found: Mapping[str, Any], by: str | None, tag: str | None) -> None:
    currency, causes = found["excess"]["currency"], found["causes"]
    click.echo(found["sentence"] + ("; simulated" if found["isSimulated"] else ""))
    click.echo(f"{found['kind'].lower()}, {found['state'].lower()}, found {found['foundAt']}")
    click.echo(f"by the end of the month {_money(found['projectedImpact'])} {currency} more than expected")
    for step in causes["path"]:
        share = Decimal(step["share"]) * 100
        click.echo(f"{share:.0f} % of it: {step['dimension']} {step['contribution']['value'] or '(none)'}")
    click.echo()
    wanted = by or causes["dimension"]
    shown = next((one for one in causes["byDimension"] if one["dimension"] == wanted), causes)
    label = f"tag {tag}" if tag else wanted or "all"
    parts = ("expected", "cost", "excess", "price", "usage", "new", "gone")
    lines: Sequence[tuple[str, Mapping[str, Any]]] = [
        *((one["value"] or "(none)", one) for one in shown["contributors"]),
        ("others", shown["others"]),
        ("total", shown["total"]),
    ]
    rows = [(name, *(money(Decimal(one[part])) for part in parts)) for name, one in lines]
    print_table([label, *parts], rows, numbers=parts)
    click.echo()
    band = found["band"]
    days = list(zip(*(band[name] for name in ("dates", "cost", "expected", "lower", "upper", "odd")), strict=True))
    days = [day for day in days if day[0] >= found["firstDay"]][:_BARS]
    cells = [(day, *(money(Decimal(one)) for one in amounts[:4]), "odd" * amounts[4]) for day, *amounts in days]
    print_table(["day", "cost", "expected", "from", "to", ""], cells, numbers=["cost", "expected", "from", "to"])
    for one in found["history"]:
        limits = [f"until {one['until']}"] * bool(one["until"]) + [f"up to {one['upTo']}"] * bool(one["upTo"])
        click.echo(f"{one['setAt']} {one['authorName']}: {' '.join([one['state'].lower(), *limits])} {one['note']}")
    for one in found["folded"]:
        click.echo(f"tells too: {one['anomalyId']} {one['service']} {_money(one['excess'])} {currency}")


def _money(amount: Mapping[str, str]) -> str:
    return money(Decimal(amount["amount"]))
