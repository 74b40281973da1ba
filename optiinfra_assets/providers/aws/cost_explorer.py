"""Reads daily costs from Cost Explorer, as line items by service, region, linked account and record type, and proves that none is missing.

One query can group by two dimensions at most, so a window of days takes three kinds of queries::

    1  ungrouped                               the total of each day
    2  by linked account and record type       the pairs that exist, and the names of the accounts
    3  by service and region, one pair each    the line items (detail "region")
       or by linked account and service, one record type each, without regions (detail "service")

Each page is one request, and AWS charges for it. For each day and metric, the sums of 3 must equal those of 2, and the sums of 2 those
of 1. Cost Explorer adds in binary and prints ten fraction digits, so a sum may differ by one unit of the tenth digit plus one part in
10**15 of the total, for each amount that was added. A larger difference is an error, not rounding.

Net costs (after the discounts that AWS spreads over usage) are used if the account has them on every day of the window, otherwise
unblended costs. The two are never mixed: over all record types, each adds up to the bill.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.domain.errors import Transient
from optiinfra_assets.domain.exact_amounts import exact_difference, exact_sum
from optiinfra_assets.providers.aws.client import no_data_as_nothing
from optiinfra_assets.providers.base import RequestedDays
from optiinfra_assets.providers.http.boto_client import BotoCalls
from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.http.pagination import Page, pages

PERMISSION: Final = "ce:GetCostAndUsage"
PRICE: Final = Decimal("0.01")
"""USD for each page."""

UNBLENDED: Final = ("UnblendedCost", "AmortizedCost")
NET: Final = ("NetUnblendedCost", "NetAmortizedCost")

_METRICS: Final[tuple[str, ...]] = (*UNBLENDED, *NET)
_WHERE: Final = "Cost Explorer, GetCostAndUsage"
_DIGIT: Final = Decimal("1e-10")
_BINARY: Final = Decimal("1e-15")
_NO_REGION: Final = frozenset({"", "noregion", "no region"})

TOTALS: Final = 2
"""Number of queries (kinds 1 and 2) that come before those for line items."""

Amounts = tuple[Decimal, ...]
"""One amount for each metric."""

DayUnit = tuple[date, str | None]
"""A day and a currency: several sellers may bill an account in several currencies on one day."""


@dataclass(frozen=True, slots=True)
class GroupedCost:
    """The costs of one day and currency for one value of each dimension of a query.

    Attributes:
        amounts: amount of each metric that the response contains.
        unit: currency; None where nothing was ever charged.
        is_estimated: whether Cost Explorer marks the day as estimated.
    """

    day: date
    keys: tuple[str, ...]
    amounts: Mapping[str, Decimal]
    unit: str | None
    is_estimated: bool

    @property
    def day_unit(self) -> DayUnit:
        """Its day and currency: amounts are added up for each of them."""
        return self.day, self.unit


@dataclass(frozen=True, slots=True)
class DailyCost:
    """The costs of one day for one service, region, linked account and record type: one line item before it becomes a row.

    Attributes:
        region: None if the cost has no region or the query did not ask for regions.
        billed: net or unblended cost, as `CostWindow.basis` says.
        effective: the same cost, amortized.
    """

    day: date
    account: str
    record_type: str
    service: str
    region: str | None
    billed: Decimal
    effective: Decimal
    currency: str
    is_estimated: bool


class CostExplorer:
    """Queries Cost Explorer for one window of days, from `start` (inclusive) to `end` (exclusive)."""

    def __init__(self, client: Any, calls: BotoCalls, start: date, end: date) -> None:
        """Stores the window; sends no request.

        Args:
            client: boto3 client of ``ce``.
            calls: retries, counts and redacts the requests.
            start: first day (UTC), inclusive.
            end: day after the last one (UTC), exclusive.
        """
        self._client = client
        self._calls = calls
        self.start = start
        self.end = end
        self.names: dict[str, str] = {}
        """Names of linked accounts by id, as far as responses have contained them."""
        self.pages = 0
        """Number of pages read so far."""

    @property
    def days(self) -> RequestedDays:
        """The days of the window. Cost Explorer answers each of them, also those without costs."""
        return RequestedDays(self.start, self.end - timedelta(days=1))

    def ask(self, dimensions: Sequence[str] = (), only: Mapping[str, str] | None = None) -> Iterator[GroupedCost]:
        """Yields the groups of each day, page by page. Without dimensions it yields one group without keys for each day.

        Args:
            dimensions: dimensions to group by, two at most.
            only: filters, as values of other dimensions.

        Raises:
            ProviderError: AWS refused the query, or the response is not as documented.
        """
        asked: dict[str, Any] = {
            "TimePeriod": {"Start": self.start.isoformat(), "End": self.end.isoformat()},
            "Granularity": "DAILY",
            "Metrics": list(_METRICS),
        }
        if dimensions:
            asked["GroupBy"] = [{"Type": "DIMENSION", "Key": key} for key in dimensions]
        filters = [{"Dimensions": {"Key": key, "Values": [value]}} for key, value in (only or {}).items()]
        if filters:
            asked["Filter"] = filters[0] if len(filters) == 1 else {"And": filters}

        def read(token: str | None) -> Page[JsonFields]:
            more = {"NextPageToken": token} if token else {}
            answer = self._calls(
                lambda: self._client.get_cost_and_usage(**asked, **more),
                _WHERE,
                PERMISSION,
                explain=no_data_as_nothing(_WHERE),
            )
            fields = JsonFields(answer, _WHERE, self._calls.hide, note=self._calls.context.leave_out)
            self.pages += 1
            self._learn_names(fields)
            return Page(fields.objects("ResultsByTime"), fields.text_or_none("NextPageToken"))

        for page in pages(read, _WHERE):
            for bucket in page:
                yield from self._groups(bucket, len(dimensions))

    def _learn_names(self, fields: JsonFields) -> None:
        for one in fields.optional("DimensionValueAttributes", JsonFields.objects, ()):
            told, number = (
                one.optional("Attributes", JsonFields.object, None),
                one.optional("Value", JsonFields.text, ""),
            )
            name = told.optional("description", JsonFields.text, "") if told else ""
            if name and number:
                self.names[number] = name

    def _groups(self, bucket: JsonFields, dimensions: int) -> Iterator[GroupedCost]:
        day = self._day(bucket)
        is_estimated = bucket.values.get("Estimated")
        if not isinstance(is_estimated, bool):
            bucket.refuse("Estimated", "true or false")
        if not dimensions:
            yield _group(day, (), bucket.object("Total"), is_estimated)
            return
        for group in bucket.objects("Groups"):
            keys = tuple(group.texts("Keys"))
            if len(keys) != dimensions:
                group.refuse("Keys", f"{dimensions} values")
            yield _group(day, keys, group.object("Metrics"), is_estimated)

    def _day(self, bucket: JsonFields) -> date:
        """Returns the day of a bucket, which must be one day of the window; otherwise raises ContractChanged."""
        span = bucket.object("TimePeriod")
        try:
            day, end = date.fromisoformat(span.text("Start")), date.fromisoformat(span.text("End"))
        except ValueError:
            span.refuse("Start", "a day such as 2026-11-01")
        if end != day + timedelta(days=1) or not self.start <= day < self.end:
            span.refuse("Start", f"one day from {self.start}, before {self.end}")
        return day


def _group(day: date, keys: tuple[str, ...], metrics: JsonFields, is_estimated: bool) -> GroupedCost:
    found = {name: metrics.object(name) for name in _METRICS if name in metrics.values}
    amounts = {name: metric.money("Amount") for name, metric in found.items()}
    units = {metric.text("Unit") for metric in found.values()}
    if len(units) > 1:
        metrics.refuse(next(iter(found)), f"one currency, not {', '.join(sorted(units))}")
    return GroupedCost(day, keys, amounts, next(iter(units), None), is_estimated)


@dataclass(slots=True)
class _Sum:
    """A sum of amounts, and how many were added."""

    amounts: Amounts
    count: int = 0

    def add(self, amounts: Amounts) -> None:
        self.amounts = tuple(exact_sum(pair) for pair in zip(self.amounts, amounts, strict=True))
        self.count += 1


@dataclass(slots=True)
class CostWindow:
    """The totals of a window, the pairs of linked account and record type in it, and the line items read for them.

    Attributes:
        detail: ``region`` or ``service``, see the module docstring.
        basis: names of the two metrics in use: `NET` or `UNBLENDED`.
        largest_difference: largest difference so far between a sum and the total it must equal.
    """

    explorer: CostExplorer
    detail: str
    basis: tuple[str, str] = UNBLENDED
    largest_difference: Decimal = Decimal(0)
    _totals: list[GroupedCost] = field(default_factory=list, init=False, repr=False)
    _pairs: dict[tuple[str, str], dict[DayUnit, _Sum]] = field(default_factory=dict, init=False, repr=False)
    _answered: int = field(default=0, init=False, repr=False)

    def read_totals(self) -> None:
        """Runs queries 1 and 2 of the table above.

        Raises:
            ProviderError: AWS refused a query, a response is not as documented, or the sums of query 2 do not equal those of query 1.
        """
        self._totals = list(self.explorer.ask())
        self.explorer.days.refuse_missing({total.day for total in self._totals}, _WHERE)
        self._choose_basis()
        wanted: dict[DayUnit, _Sum] = {}
        for total in self._totals:
            if total.amounts:
                wanted.setdefault(total.day_unit, _Sum(_ZERO)).add(self._amounts(total))
        found: dict[DayUnit, _Sum] = {}
        for group in self.explorer.ask(("LINKED_ACCOUNT", "RECORD_TYPE")):
            account, type_ = group.keys
            amounts = self._amounts(group)
            for sums in (found, self._pairs.setdefault((account, type_), {})):
                sums.setdefault(group.day_unit, _Sum(_ZERO)).add(amounts)
        # A total has one currency. Only groups tell what else a day has.
        days = {day for day, _ in wanted}
        told = {one: sum_ for one, sum_ in found.items() if one in wanted or one[0] not in days}
        self._compare(told, wanted, "linked accounts and record types")

    @property
    def total(self) -> dict[str, Decimal]:
        """Billed cost of the whole window by currency."""
        totals: dict[str, Decimal] = {}
        for days in self._pairs.values():
            for (_, unit), sum_ in days.items():
                totals[unit or ""] = exact_sum((totals.get(unit or "", Decimal(0)), sum_.amounts[0]))
        return totals

    @property
    def questions(self) -> list[tuple[tuple[str, str], dict[str, str]]]:
        """Dimensions and filters of each query of kind 3."""
        if self.detail == "region":
            return [
                (("SERVICE", "REGION"), {"LINKED_ACCOUNT": account, "RECORD_TYPE": type_})
                for account, type_ in sorted(self._pairs)
            ]
        types = sorted({type_ for _, type_ in self._pairs})
        return [(("LINKED_ACCOUNT", "SERVICE"), {"RECORD_TYPE": type_}) for type_ in types]

    @property
    def pages(self) -> int:
        """Smallest number of pages that the whole window takes: those read so far, plus one for each query not yet read to its end."""
        return self.explorer.pages + len(self.questions) - self._answered

    def data_through(self) -> datetime | None:
        """Start of the newest day with a cost, which may not be over; the end of the window if no day is estimated; None without costs."""
        known = [total for total in self._totals if any(total.amounts.values())]
        if not known:
            return None
        day = max(total.day for total in known)
        if not any(total.is_estimated for total in self._totals):
            day = self.explorer.end
        return datetime(day.year, day.month, day.day, tzinfo=UTC)

    def figures(self) -> Iterator[DailyCost]:
        """Yields all line items of the window, page by page.

        Raises:
            ProviderError: as `read_totals`; line items yielded before the error must be discarded.
        """
        for dimensions, only in self.questions:
            wanted = self._wanted(only)
            sums: dict[DayUnit, _Sum] = {}
            for group in self.explorer.ask(dimensions, only):
                if group.day_unit not in wanted:
                    self._refuse_unit(group, wanted)
                figure = self._figure(group, dict(zip(dimensions, group.keys, strict=True)) | only)
                sums.setdefault(group.day_unit, _Sum(_ZERO)).add((figure.billed, figure.effective))
                yield figure
            self._compare(sums, wanted, ", ".join(only.values()))
            self._answered += 1

    def _figure(self, group: GroupedCost, said: Mapping[str, str]) -> DailyCost:
        region = said.get("REGION", "")
        billed, effective = self._amounts(group)
        return DailyCost(
            day=group.day,
            account=said["LINKED_ACCOUNT"],
            record_type=said["RECORD_TYPE"],
            service=said["SERVICE"],
            region=None if region.lower() in _NO_REGION else region,
            billed=billed,
            effective=effective,
            currency=group.unit or "",
            is_estimated=group.is_estimated,
        )

    def _choose_basis(self) -> None:
        told = [total for total in self._totals if total.amounts]
        if told and all(name in total.amounts for total in told for name in NET):
            self.basis = NET

    def _amounts(self, group: GroupedCost) -> Amounts:
        """Returns the amounts of the chosen basis; raises ContractChanged if one is missing."""
        missing = [name for name in self.basis if name not in group.amounts]
        if missing:
            _place(group).refuse(missing[0], "an amount, as on the other days and groups")
        return tuple(group.amounts[name] for name in self.basis)

    def _refuse_unit(self, group: GroupedCost, wanted: Mapping[DayUnit, _Sum]) -> None:
        """Raises ContractChanged for a group in a currency in which its linked account and record type have nothing on that day."""
        units = [str(unit) for day, unit in wanted if day == group.day]
        if units:
            _place(group).refuse("Unit", f"the currency of the day's total, {', '.join(units)}")

    def _wanted(self, only: Mapping[str, str]) -> dict[DayUnit, _Sum]:
        wanted: dict[DayUnit, _Sum] = {}
        for (account, type_), days in self._pairs.items():
            if type_ == only["RECORD_TYPE"] and account == only.get("LINKED_ACCOUNT", account):
                for day, amounts in days.items():
                    wanted.setdefault(day, _Sum(_ZERO)).add(amounts.amounts)
        return wanted

    def _compare(self, found: Mapping[DayUnit, _Sum], wanted: Mapping[DayUnit, _Sum], what: str) -> None:
        for day, unit in sorted(found.keys() | wanted.keys(), key=str):
            one, other = found.get((day, unit), _Sum(_ZERO)), wanted.get((day, unit), _Sum(_ZERO))
            for name, sum_, total in zip(self.basis, one.amounts, other.amounts, strict=True):
                difference = exact_difference(sum_, total).copy_abs()
                self.largest_difference = max(self.largest_difference, difference)
                if difference > (one.count + other.count + 1) * (_DIGIT + abs(total) * _BINARY):
                    raise Transient(
                        f"{_WHERE}: {day}, {what}: the groups add up to {sum_} {name}, but the total is {total}; "
                        "the costs may have been refreshed in between; try again later"
                    )


def _place(group: GroupedCost) -> JsonFields:
    return JsonFields({}, _WHERE, path=f"{group.day}, {', '.join(group.keys) or 'total'}")


_ZERO: Final[Amounts] = (Decimal(0), Decimal(0))
