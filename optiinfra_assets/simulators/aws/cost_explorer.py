"""Simulates Cost Explorer's GetCostAndUsage: days, at most two dimensions, filters, pages, and its errors.

Every metric of a line equals its cost, because the world has neither discounts nor amortization. Days without a group are returned too.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.aws.bill_lines import (
    BillLineItem,
    is_invoiced,
    lines_of,
    member_of,
    refreshed_at,
    region_of,
)
from optiinfra_assets.simulators.server.server import SimulatedResponse
from optiinfra_assets.simulators.world.world import World

_DIMENSIONS: Final[Mapping[str, Callable[[BillLineItem], str]]] = {
    "LINKED_ACCOUNT": lambda line: line.account,
    "RECORD_TYPE": lambda line: line.type,
    "REGION": lambda line: line.region or "NoRegion",
    "SERVICE": lambda line: line.service.explored,
}
_MONTHS_BACK: Final = 13


@dataclass(frozen=True, slots=True)
class _Entry:
    """One group of one day; without keys, a day that has no group or the total of a query without dimensions."""

    day: date
    keys: tuple[str, ...]
    amount: Decimal


@dataclass(slots=True)
class GroupedCosts:
    """Answers GetCostAndUsage requests.

    Attributes:
        extra_items: number of additional groups in every closed month, each with a service of its own.
        twice: usage comes as two groups with the same keys.
    """

    world: World
    page_size: int
    extra_items: int = 0
    twice: bool = False
    repeats_pages: bool = False

    def answer(self, asked: Mapping[str, Any]) -> SimulatedResponse:
        """Return Cost Explorer's response to the body of a request."""
        try:
            start, end = (date.fromisoformat(asked["TimePeriod"][name]) for name in ("Start", "End"))
        except (KeyError, ValueError):
            return json_error("ValidationException", "Failed to parse the dates.")
        dimensions = [one["Key"] for one in asked.get("GroupBy", ())]
        problem = self._problem(start, end, dimensions, asked)
        if problem:
            return json_error("ValidationException", problem)
        question = {name: value for name, value in asked.items() if name != "NextPageToken"}
        mark = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]
        known, _, offset = _decoded(asked.get("NextPageToken", "")).partition(" ")
        if known and known != mark:
            return json_error("RequestChangedException", "Your request parameters changed between pages.")
        begin = 0 if self.repeats_pages else int(offset or 0)
        only = dict(_filters(asked.get("Filter")))
        entries = self._entries(start, end, dimensions, only)
        extra = self._extra(start, end, only) if "SERVICE" in dimensions else 0
        stop = min(begin + self.page_size, len(entries) + extra)
        page = entries[begin:stop]
        page += [
            self._extra_entry(number - len(entries), end, dimensions)
            for number in range(max(begin, len(entries)), stop)
        ]
        return self._page(page, dimensions, asked["Metrics"], f"{mark} {stop}" if stop < len(entries) + extra else "")

    def _problem(self, start: date, end: date, dimensions: Sequence[str], asked: Mapping[str, Any]) -> str:
        oldest = BillingPeriod.of(self.world.clock()).shift(-_MONTHS_BACK).start.date()
        if start >= end:
            return "Start date (and hour) should be before end date (and hour)"
        if start < oldest:
            return f"You haven't enabled historical data beyond {_MONTHS_BACK} months"
        if len(dimensions) > 2:
            return "Up to 2 GroupBy are allowed"
        known = [*dimensions, *dict(_filters(asked.get("Filter")))]
        return "" if set(known) <= _DIMENSIONS.keys() else f"Unknown dimension in {known}"

    def _lines(self, start: date, end: date) -> Iterator[BillLineItem]:
        for period in self.world.periods():
            if period.start.date() < end and start < period.end.date():
                charges = self.world.charges(period, refreshed_at(self.world))
                yield from (line for line in lines_of(self.world, charges, twice=self.twice) if start <= line.day < end)

    def _entries(
        self, start: date, end: date, dimensions: Sequence[str], only: Mapping[str, Sequence[str]]
    ) -> list[_Entry]:
        by_day: dict[date, dict[tuple[Any, ...], Decimal]] = {}
        for number, line in enumerate(self._lines(start, end)):
            if all(_DIMENSIONS[key](line) in values for key, values in only.items()):
                keys: tuple[Any, ...] = tuple(_DIMENSIONS[key](line) for key in dimensions)
                if self.twice and "SERVICE" in dimensions:
                    keys = (*keys, number % 2)
                groups = by_day.setdefault(line.day, {})
                groups[keys] = groups.get(keys, Decimal(0)) + line.charge.amount
        extra = self._extra(start, end, only)
        if extra and "SERVICE" not in dimensions:
            groups = by_day.setdefault(end - timedelta(days=1), {})
            keys = self._extra_keys(0, dimensions)
            groups[keys] = groups.get(keys, Decimal(0)) + extra * self.world.quantum
        days = [start + timedelta(days=number) for number in range((end - start).days)]
        return [
            _Entry(day, keys[: len(dimensions)], amount)
            for day in days
            for keys, amount in sorted(by_day.get(day, {(): Decimal(0)}).items())
        ]

    def _extra(self, start: date, end: date, only: Mapping[str, Sequence[str]]) -> int:
        """Number of extra items in a window, which lies in one month."""
        keys = dict(zip(_DIMENSIONS, self._extra_keys(0, list(_DIMENSIONS)), strict=True))
        fits = all(keys[key] in values for key, values in only.items())
        period = BillingPeriod.of(start)
        is_whole = start == period.start.date() and end == period.end.date()
        return self.extra_items if fits and is_whole and is_invoiced(self.world, period) else 0

    def _extra_keys(self, number: int, dimensions: Sequence[str]) -> tuple[str, ...]:
        resource = self.world.scenario.resources[0]
        said = {
            "LINKED_ACCOUNT": member_of(self.world, resource.sub_account)[0],
            "RECORD_TYPE": "Usage",
            "REGION": region_of(resource.region),
            "SERVICE": f"Snapshot storage {number} (simulated)",
        }
        return tuple(said[key] for key in dimensions)

    def _extra_entry(self, number: int, end: date, dimensions: Sequence[str]) -> _Entry:
        return _Entry(end - timedelta(days=1), self._extra_keys(number, dimensions), self.world.quantum)

    def _page(
        self, entries: Sequence[_Entry], dimensions: Sequence[str], metrics: Sequence[str], following: str
    ) -> SimulatedResponse:
        results = []
        for day, group in groupby(entries, key=lambda entry: entry.day):
            found = list(group)
            bucket: dict[str, Any] = {
                "TimePeriod": {"Start": day.isoformat(), "End": (day + timedelta(days=1)).isoformat()},
                "Estimated": not is_invoiced(self.world, BillingPeriod.of(day)),
                "Total": {} if dimensions else self._metrics(found[0].amount, metrics),
                "Groups": [
                    {"Keys": list(entry.keys), "Metrics": self._metrics(entry.amount, metrics)}
                    for entry in found
                    if entry.keys
                ],
            }
            results.append(bucket)
        said: dict[str, Any] = {"ResultsByTime": results, "DimensionValueAttributes": []}
        if dimensions:
            said["GroupDefinitions"] = [{"Type": "DIMENSION", "Key": key} for key in dimensions]
        if "LINKED_ACCOUNT" in dimensions:
            said["DimensionValueAttributes"] = [
                {"Value": number, "Attributes": {"description": name}} for number, name in self._names()
            ]
        if following:
            said["NextPageToken"] = base64.b64encode(following.encode()).decode()
        return SimulatedResponse.of(said, headers={"Content-Type": "application/x-amz-json-1.1"})

    def _metrics(self, amount: Decimal, metrics: Sequence[str]) -> dict[str, dict[str, str]]:
        return {name: {"Amount": f"{amount:f}", "Unit": self.world.scenario.currency} for name in metrics}

    def _names(self) -> list[tuple[str, str]]:
        accounts = {resource.sub_account for resource in self.world.scenario.resources}
        return [member_of(self.world, account) for account in sorted(accounts)]


def json_error(code: str, message: str, status: int = 400) -> SimulatedResponse:
    """Return an error in the format of AWS services with JSON 1.1."""
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return SimulatedResponse.of({"__type": code, "Message": message}, status=status, headers=headers)


def _filters(said: Mapping[str, Any] | None) -> Iterator[tuple[str, list[str]]]:
    if said is None:
        return
    for one in said.get("And", [said]):
        yield one["Dimensions"]["Key"], one["Dimensions"]["Values"]


def _decoded(token: str) -> str:
    return base64.b64decode(token).decode() if token else ""
