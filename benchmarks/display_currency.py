"""What a display currency costs a query: each query of `benchmarks.queries` over HTTP, as billed and in another currency, in turn.

``python -m benchmarks.display_currency --rows 1000000`` fills ``benchmarks/data/<rows>`` once, starts the embedded engines and three
services, see `benchmarks.queries`: *cold* holds nothing in memory, *first* keeps no answer, *again* is as by default. Times are
milliseconds; the ratio of two figures of one line is what counts, since both suffer the same neighbours.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

from benchmarks import dataset
from benchmarks.queries import LARGEST, MEDIAN, PERIOD, QUERIES, SUM, asking, in_turn, recorded_as_published, settle
from benchmarks.serving import engines, serving
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings

DISPLAY = "CHF"
MONEY = "{ amount currency }"
CONVERTED = "{ amount currency converted { amount rate } }"
SERVICES = ("cold", "first", "again")
_YEAR = PERIOD % ("2025-12-01", "2026-12-01")
_HALVES = f'{PERIOD % ("2026-06-01", "2026-12-01")}, with: {{start: "2025-12-01", end: "2026-06-01"}}'
_COMPARED = f"difference {MONEY} before {MONEY} after {MONEY}"
MORE = {
    "costTrends, 12 months by service": f"{{ costTrends({_YEAR}, groupBy: [SERVICE], granularity: MONTHLY) {{ series "
    f"{{ service dates amounts {SUM} }} }} }}",
    "costTrends, 12 months by a tag": f'{{ costTrends({_YEAR}, groupByTag: "team", granularity: MONTHLY) {{ series '
    f"{{ tag dates amounts {SUM} }} }} }}",
    "compareCosts, half years by service": f"{{ compareCosts({_HALVES}, groupBy: [SERVICE]) {{ groups "
    f"{{ service {_COMPARED} }} totals {{ {_COMPARED} }} }} }}",
    "compareCosts, half years by service, with effects": f"{{ compareCosts({_HALVES}, groupBy: [SERVICE]) {{ groups "
    f"{{ service {_COMPARED} priceEffect {MONEY} usageEffect {MONEY} }} totals {{ {_COMPARED} }} }} }}",
    "costsByBillingPeriod, 12 months by service": '{ costsByBillingPeriod(from: "2025-12", to: "2026-11", '
    f"groupBy: [SERVICE]) {{ months {{ service billingPeriod invoiced {MONEY} charged {MONEY} }} }} }}",
}
"""Queries beside those of `benchmarks.queries`."""


def displayed(document: str) -> str:
    """The same query in another currency, with the converted amounts beside its sums."""
    asked = document.replace("{ latestCosts {", "{ latestCosts() {")
    asked = re.sub(r"^\{ (\w+)\(", rf'{{ \1(displayCurrency: "{DISPLAY}", ', asked)
    return asked.replace(MONEY, CONVERTED)


def quote(metadata: Metadata) -> None:
    """Store a rate for every weekday of two years, whatever they are."""
    dice = random.Random(1)
    days = [date(2025, 1, 1) + timedelta(number) for number in range(730)]
    quotes = [
        (day, currency, Decimal(dice.randrange(8_000, 12_000)).scaleb(-4))
        for day in days
        if day.weekday() < 5
        for currency in ("USD", DISPLAY)
    ]
    metadata.rates.update("benchmark", quotes)


def measure(urls: dict[str, str], settings: Settings, rows: int, chosen: str, rounds: int) -> None:
    """Print the figures of every query whose name contains `chosen`."""
    metadata = Metadata.connect(settings)
    metadata.migrate()
    quote(metadata)
    heads = [f"{service}{part}" for service in urls for part in (", as billed", ", converted", ", ratio")]
    print(f"| query | customer | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 2)}")
    for who, customer_id in (("median", MEDIAN), ("largest", LARGEST)):
        recorded_as_published(metadata, customer_id, rows)
        token = metadata.tokens.issue("benchmark", customer_id, "viewer").plaintext
        for name, document in (QUERIES | MORE).items():
            if chosen not in name:
                continue
            with ExitStack() as stack:
                askers: dict[str, Callable[[], float | None]] = {}
                for service, url in urls.items():
                    for part, text in (("billed", document), ("converted", displayed(document))):
                        ask = stack.enter_context(asking(url, "/graphql", token, {"query": text}))
                        askers[f"{service} {part}"] = ask
                settle(partial(_all, list(askers.values())))
                half = {one: times.percentile(0.5) for one, times in in_turn(askers, rounds).items()}
            cells = []
            for service in urls:
                billed, converted = (half[f"{service} {part}"] for part in ("billed", "converted"))
                cells += [f"{billed:.1f}", f"{converted:.1f}", f"{converted / billed:.2f}"]
            print(f"| {name} | {who} | {' | '.join(cells)} |", flush=True)
    metadata.close()


def _all(askers: list[Callable[[], float | None]]) -> None:
    for ask in askers:
        ask()


def main() -> None:
    """Fill the data set if it does not exist, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="line items (default: %(default)s)")
    parser.add_argument("--only", default="", help="only queries with this text in their name")
    parser.add_argument("--rounds", type=int, default=40, help="requests to each (default: %(default)s)")
    parser.add_argument("--services", nargs="+", choices=SERVICES, default=SERVICES, help="which (default: all)")
    options = parser.parse_args()
    dataset.make(options.rows)
    folder = dataset.DATA / str(options.rows)
    with ExitStack() as stack:
        log = stack.enter_context((folder / "service.log").open("wb"))
        settings, _ = stack.enter_context(engines(folder))
        kept = dict(zip(SERVICES, ({}, {"holds": True}, {"keeps": True}), strict=True))
        urls = {
            name: stack.enter_context(serving("optiinfra_api", settings, log=log, **how))[0]
            for name, how in kept.items()
            if name in options.services
        }
        measure(urls, settings, options.rows, options.only, options.rounds)


if __name__ == "__main__":
    main()
