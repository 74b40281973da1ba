"""The command reconcile: how the costs of a month agree with its invoices, and where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import click

from optiinfra_assets.cli.asking import NOTHING_CONNECTED, Ask, only_customer, opened_api
from optiinfra_assets.cli.output import print_json, print_table
from optiinfra_assets.cli.spending import money
from optiinfra_assets.domain.accounts import BillingPeriod

_PAGE: Final = 500
_DOCUMENT: Final = """query CliReconciliation($customer: String, $month: String!, $account: String, $first: Int!, $after: String) {
  reconciliation(customerId: $customer, fromMonth: $month, toMonth: $month, account: $account, first: $first, after: $after) {
    nodes {
      account provider billingPeriod issuer status reason since comparedAt
      ours { amount currency } stated { amount } notInCosts { amount } difference { amount } tolerance { amount } moved { amount }
      lineItems unassigned unassignedCost { amount } invoiceIds
      gaps { chargeCategory service date amount { amount } invoiceId foundBy }
    }
    pageInfo { hasNextPage endCursor }
  }
}"""


@click.command()
@click.option("--customer", help="Whose months; may be left out while there is only one.")
@click.option("--month", default="last", show_default=True, help="last or YYYY-MM: the month of the invoice.")
@click.option("--account", help="Only this account.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with exact amounts.")
def reconcile(customer: str | None, month: str, account: str | None, as_json: bool) -> None:
    """Show whether the costs of a month are what was invoiced, and where they are not.

    Only `reconciled` says so. `not stated` is no agreement: record such an invoice with recordInvoice or on the page Invoices.

    \b
    Examples:
      optiinfra reconcile
      optiinfra reconcile --month 2026-10 --account acme.aws
    """
    period = _period(month)
    with opened_api() as ask:
        customer = customer or only_customer(ask)
        if customer is None:
            click.echo(NOTHING_CONNECTED)
            return
        found = list(_comparisons(ask, customer=customer, month=str(period), account=account))
    if as_json:
        print_json({"customer": customer, "month": str(period), "comparisons": found})
    elif found:
        _print_tables(period, found)
    else:
        click.echo(
            f"{period}: nothing is compared: costs and invoices are compared every day, and after either changed"
        )


def _period(text: str) -> BillingPeriod:
    if text == "last":
        return BillingPeriod.of(datetime.now(UTC)).shift(-1)
    try:
        return BillingPeriod.parse(text)
    except ValueError:
        raise click.UsageError(f"--month: {text!r} is not accepted: use last, or a month as 2026-10") from None


def _comparisons(ask: Ask, **asked: Any) -> Iterator[dict[str, Any]]:
    after = None
    while True:
        page = ask(_DOCUMENT, first=_PAGE, after=after, **asked)["reconciliation"]
        yield from page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


def _print_tables(period: BillingPeriod, found: Sequence[Mapping[str, Any]]) -> None:
    counts = {one["status"]: 0 for one in found}
    for one in found:
        counts[one["status"]] += 1
    click.echo(f"{period}: " + ", ".join(f"{count} {_words(status)}" for status, count in sorted(counts.items())))
    headers = ["account", "issuer", "status", "currency", "costs", "invoices", "difference", "since", "why"]
    cells = [
        (
            one["account"],
            one["issuer"],
            _words(one["status"]),
            one["ours"]["currency"],
            *(_money(one[name]) for name in ("ours", "stated", "difference")),
            one["since"][:10],
            one["reason"],
        )
        for one in found
    ]
    print_table(headers, cells, numbers=["costs", "invoices", "difference"])
    gaps = [(one, gap) for one in found for gap in one["gaps"]]
    if gaps:
        click.echo()
        headers = ["account", "charge category", "service", "day", "invoice", "currency", "difference", "found by"]
        rows = [
            (
                one["account"],
                *(gap[name] or "not known" for name in ("chargeCategory", "service", "date")),
                gap["invoiceId"] or "",
                one["ours"]["currency"],
                _money(gap["amount"]),
                gap["foundBy"],
            )
            for one, gap in gaps
        ]
        print_table(headers, rows, numbers=["difference"])


def _words(status: str) -> str:
    return status.lower().replace("_", " ")


def _money(amount: Mapping[str, str] | None) -> str:
    return "" if amount is None else money(Decimal(amount["amount"]))
