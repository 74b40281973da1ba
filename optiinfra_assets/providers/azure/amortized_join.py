"""Reads the charges of a month at a scope with as few queries as are exact, and joins billed and amortized cost line by line.

A query can group by two dimensions at most, and a line has more: charge type, resource or subscription, service. So the first query
lists the charge types, and one query for each charge type groups by the other two. Nothing is spread or guessed. For each cost metric::

    1  ungrouped, by day                                  the totals that the others must add up to
    2  by charge type                                     the charge types that exist
    3  for each charge type: by resource and service      the lines (by subscription and service if the scope has no resources)

and once, without days: the region of each resource, or the name of each subscription. A month with usage only takes seven requests, and
each other charge type two more, each with as many pages as it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Final

from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.azure.query_api import (
    CHARGE_TYPE,
    CostMetric,
    CostQueryClient,
    QueryRow,
    Totals,
    Window,
    refuse_difference,
    refuse_missing_days,
    totals_of,
)
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.providers.sorting import ExternalSorter, Record

RESOURCE: Final = "ResourceId"
SERVICE: Final = "ServiceName"
LOCATION: Final = "ResourceLocation"
SUBSCRIPTION: Final = "SubscriptionId"
SUBSCRIPTION_NAME: Final = "SubscriptionName"

ATTRIBUTES: Final = AuxiliaryEndpoint(
    f'"({LOCATION}|{SUBSCRIPTION_NAME})"', "the regions of resources, or the names of subscriptions"
)
_ATTRIBUTE: Final = ""
"""Stands in place of a day; sorts before every day."""


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line of a month.

    Attributes:
        owner: id of the resource in lower case, or of the subscription; empty if the charge has none.
        attribute: region of the resource or name of the subscription; empty unless the service gave exactly one.
        day: ``YYYY-MM-DD``.
    """

    owner: str
    attribute: str
    day: str
    charge_type: str
    service: str
    currency: str
    billed: Decimal
    effective: Decimal


def cost_lines(
    query: CostQueryClient,
    window: Window,
    stated: dict[CostMetric, Totals],
    context: ProviderContext,
    *,
    by_resource: bool,
    where: str,
) -> Iterator[CostLine]:
    """Yields all lines of a window in order of owner and day, after it has read all of them and compared them with `stated`.

    Args:
        query: client of the scope.
        window: days of one month.
        stated: ungrouped cost of each metric, by day.
        context: gets a warning if regions or names cannot be read.
        by_resource: True if the scope has resources, False to group by subscription.
        where: what is read, for messages.

    Raises:
        Transient: the lines do not add up to `stated`.
        ProviderError: as `CostQueryClient.lines`.
    """
    owner, attribute = (RESOURCE, LOCATION) if by_resource else (SUBSCRIPTION, SUBSCRIPTION_NAME)
    with ExternalSorter() as sorter:
        for kind, totals in stated.items():
            if totals:
                found, whole = _add_lines(query, kind, window, owner, sorter)
                refuse_missing_days(kind, totals, whole, where)
                refuse_difference(kind, totals, found, where)
        if any(stated.values()):
            ATTRIBUTES.read(context, lambda: _add_attributes(query, window, (owner, attribute), sorter), None)
        yield from _joined(sorter.sorted())


def _add_lines(
    query: CostQueryClient, kind: CostMetric, window: Window, owner: str, sorter: ExternalSorter
) -> tuple[Totals, Totals]:
    """Adds the lines of one metric to the sorter; returns their sums by day, and the sums that the service states for the whole window."""
    charge_types = list(query.lines(kind, window, daily=False, groups=(CHARGE_TYPE,)))
    totals: Totals = {}
    for charge_type in sorted({line.groups[CHARGE_TYPE] for line in charge_types}):
        only = {CHARGE_TYPE: charge_type}
        for line in query.lines(kind, window, groups=(owner, SERVICE), only=only):
            sorter.add(_record(line, kind, charge_type, owner))
            key = line.day, line.currency
            totals[key] = exact_sum((totals.get(key, Decimal(0)), line.cost))
    return totals, totals_of(iter(charge_types))


def _add_attributes(query: CostQueryClient, window: Window, groups: tuple[str, str], sorter: ExternalSorter) -> None:
    owner, attribute = groups
    for line in query.lines(CostMetric.ACTUAL, window, daily=False, groups=groups):
        said = _region(line.groups[attribute]) if attribute == LOCATION else line.groups[attribute]
        if line.groups[owner] and said:
            sorter.add((_folded(line.groups[owner]), _ATTRIBUTE, "", "", "", "", said))


def _record(line: QueryRow, kind: CostMetric, charge_type: str, owner: str) -> Record:
    groups = line.groups
    key = (_folded(groups[owner]), line.day, charge_type, groups[SERVICE], line.currency)
    return (*key, kind, f"{line.cost:f}")


def _folded(resource_id: str) -> str:
    """Lower case, because the service changes the case of an id from one day to the next."""
    return resource_id.strip().lower()


def _region(location: str) -> str:
    """Returns the id of a region. The service uses ``East US`` and ``eastus`` side by side; ids have neither capitals nor spaces."""
    return location.replace(" ", "").lower()


def _joined(records: Iterator[Record]) -> Iterator[CostLine]:
    for owner, of_owner in groupby(records, key=lambda record: record[0]):
        attributes: set[str] = set()
        for (day, charge_type, service, currency), same in groupby(of_owner, key=lambda record: record[1:5]):
            if day == _ATTRIBUTE:
                attributes = {record[6] for record in same}
                continue
            sums = dict.fromkeys(CostMetric, Decimal(0))
            for record in same:
                kind = CostMetric(record[5])
                sums[kind] = exact_sum((sums[kind], Decimal(record[6])))
            attribute = next(iter(attributes)) if len(attributes) == 1 else ""
            billed, effective = sums[CostMetric.ACTUAL], sums[CostMetric.AMORTIZED]
            yield CostLine(owner, attribute, day, charge_type, service, currency, billed, effective)
