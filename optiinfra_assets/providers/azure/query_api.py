"""Reads Cost Management's Query API: the charges at a scope, day by day, grouped by two dimensions at most in one query.

This module handles what the API's documents do not promise:

- A response has the first 1,000 rows. The next ones need a POST with the same body to ``nextLink``, which the SDK does not do.
- Columns come in any order and are found by name. Amounts are read from the text of the response, because the SDK makes floats of them.
- The service silently moves a window of more than 31 days, or one in the future. Windows here are within one month, and a day outside
  of the requested window is an error.
- 204 means that there are no costs.
- The service makes group sums and day totals from the same amounts, so they must agree, except for float noise.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData, ContractChanged, Transient
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.domain.quoting import quoted
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE, JsonFields
from optiinfra_assets.providers.http.pagination import Page, items
from optiinfra_assets.providers.http.retry import RetryableError
from optiinfra_assets.providers.http.translation import broken_off

if TYPE_CHECKING:
    from azure.core.rest import HttpResponse
    from azure.mgmt.costmanagement import CostManagementClient

    from optiinfra_assets.providers.azure.entra import EntraSession

NO_CONTENT: Final = 204
COST: Final = "Cost"
DAY: Final = "UsageDate"
CURRENCY: Final = "Currency"
CHARGE_TYPE: Final = "ChargeType"
NEEDED_GROUPS: Final = frozenset({CHARGE_TYPE})
"""Dimensions that other queries are filtered by; all others only label costs."""
NOISE: Final = Decimal("0.0001")
"""Two sums of the same amounts may differ by this, or by one part in 10**9 if that is more: the service adds floats."""

Totals = dict[tuple[str, str], Decimal]
"""Cost by usage day (``YYYY-MM-DD``, or empty) and currency."""


class CostMetric(StrEnum):
    """Cost as billed, or with commitments spread over the usage that they cover."""

    ACTUAL = "ActualCost"
    AMORTIZED = "AmortizedCost"


@dataclass(frozen=True, slots=True)
class Window:
    """Whole UTC days of one month, both ends inclusive."""

    first: date
    last: date

    @classmethod
    def of(cls, period: BillingPeriod, now: datetime) -> Window:
        """Returns the days of a period so far; of a period that has not begun, its first day."""
        first = period.start.date()
        return cls(first, max(first, min(period.end.date() - timedelta(days=1), now.date())))

    def body(self) -> dict[str, str]:
        """The API's ``timePeriod``. Its samples end on the last day at 23:59:59; whether an end at midnight counts is not documented."""
        return {"from": f"{self.first}T00:00:00Z", "to": f"{self.last}T23:59:59Z"}


@dataclass(frozen=True, slots=True)
class QueryRow:
    """One row of a response: `groups` has the value of each dimension by name, as sent; `day` is ``YYYY-MM-DD``, or empty without days."""

    day: str
    currency: str
    cost: Decimal
    groups: Mapping[str, str]


class CostQueryClient:
    """Queries one scope with one SDK client."""

    def __init__(
        self, client: CostManagementClient, service: EntraSession, endpoint: str, scope: str, permission: str
    ) -> None:
        self._client = client
        self._service = service
        self._endpoint = urlsplit(endpoint)
        self._scope = scope
        self._permission = permission
        self._where = f"POST {scope}/providers/Microsoft.CostManagement/query"

    def totals(self, kind: CostMetric, window: Window, *, daily: bool) -> Totals:
        """Returns the ungrouped cost, by day or for the whole window.

        Raises:
            ProviderError: as `lines`.
        """
        return totals_of(self.lines(kind, window, daily=daily))

    def lines(
        self,
        kind: CostMetric,
        window: Window,
        *,
        daily: bool = True,
        groups: Sequence[str] = (),
        only: Mapping[str, str] | None = None,
    ) -> Iterator[QueryRow]:
        """Yields rows page by page, in the order of the service.

        Args:
            kind: cost metric.
            window: days of one month.
            daily: True for one row a day, False for one row in all.
            groups: names of at most two dimensions.
            only: filters, as values of other dimensions.

        Raises:
            Transient: also if a page comes twice, or the service moved the window.
            ContractChanged: a column or value is not as documented; names it.
            ProviderError: the scope could not be read.
        """
        body = _body(kind, window, daily, groups, only or {})
        for fields in items(lambda link: self._page(body, link), self._where, may_be_empty=True):
            yield from _lines(fields, window, daily, groups)

    def _page(self, body: bytes, link: str | None) -> Page[JsonFields]:
        text = self._service.ask(
            self._where,
            self._permission,
            lambda: self._next(body, link) if link else self._first(body),
            explain=lambda status, said: no_such_scope(self._scope, status, said),
        )
        if not text.strip():
            return Page([])
        answer = JsonFields.parse(text.encode(), self._where, self._service.hide, self._service.note).object(
            "properties"
        )
        return Page([answer], answer.text_or_none("nextLink"))

    def _first(self, body: bytes) -> str:
        # The method accepts bytes, although its type hints allow streams only.
        response = self._client.query.usage(  # type: ignore[call-overload]
            self._scope, body, cls=lambda response, *_: response.http_response
        )
        return self._text(response)

    def _next(self, body: bytes, link: str) -> str:
        from azure.core.rest import HttpRequest

        parts = urlsplit(link)
        if (parts.scheme, parts.netloc) != (self._endpoint.scheme, self._endpoint.netloc):
            raise ContractChanged(
                f"{self._where}: nextLink: value {quoted(link)} is not accepted: an address at {self._endpoint.netloc}, "
                f"to which alone the credential is sent; {ASK_FOR_UPDATE}"
            )
        request = HttpRequest("POST", link, content=body, headers={"Content-Type": "application/json"})
        response = self._client.send_request(request)
        response.raise_for_status()
        return self._text(response)

    def _text(self, response: HttpResponse) -> str:
        """Returns the body of a success; only a 204 may have none, which means that there are no costs."""
        text: str = response.text()
        if not text.strip() and response.status_code != NO_CONTENT:
            raise RetryableError(broken_off(self._where))
        return text


def no_such_scope(scope: str, status: int, said: str) -> BadData | None:
    """Returns the error for a scope that does not exist, or whose agreement does not support cost queries; None for other errors."""
    if status == 404:
        return BadData(f"scope: {scope!r} does not exist or is not visible ({said}): connect with another scope")
    if status == 400 and "does not support" in said:
        return BadData(f"scope: {scope!r} cannot be queried ({said}): connect with another scope, or an export_url")
    return None


def totals_of(lines: Iterator[QueryRow]) -> Totals:
    """Returns the sums by day and currency."""
    totals: Totals = defaultdict(Decimal)
    for line in lines:
        totals[line.day, line.currency] = exact_sum((totals[line.day, line.currency], line.cost))
    return dict(totals)


def refuse_difference(kind: CostMetric, stated: Totals, found: Totals, where: str) -> None:
    """Compares the sums over groups with the ungrouped totals.

    Raises:
        Transient: a day differs; the service refreshes its amounts several times a day, also between two requests.
    """
    for key in sorted(stated.keys() | found.keys()):
        one, other = stated.get(key, Decimal(0)), found.get(key, Decimal(0))
        if _differ(one, other):
            day, currency = key
            raise Transient(
                f"{where}: {kind} of {day}: the groups add up to {other} {currency}, the day's total is {one}: "
                "the figures changed while they were read; try again later"
            )


def refuse_missing_days(kind: CostMetric, stated: Totals, whole: Totals, where: str) -> None:
    """Compares the sum of the days with the total of the whole window: a day without costs has no row, so no count shows a lost one.

    Args:
        kind: cost metric.
        stated: totals by day.
        whole: totals of the window.
        where: what is read, for messages.

    Raises:
        Transient: the sums differ.
    """
    days = by_currency(stated)
    for currency, total in sorted(by_currency(whole).items()):
        found = days.get(currency, Decimal(0))
        if _differ(total, found):
            raise Transient(
                f"{where}: {kind}: the days add up to {found} {currency}, the whole month is {total}: "
                "days are missing, or the figures changed while they were read; try again later"
            )


def by_currency(totals: Totals) -> dict[str, Decimal]:
    """Returns the sums over all days."""
    sums: dict[str, Decimal] = {}
    for (_, currency), total in totals.items():
        sums[currency] = exact_sum((sums.get(currency, Decimal(0)), total))
    return sums


def _differ(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) > max(NOISE, abs(one) / 10**9)


def _body(kind: CostMetric, window: Window, daily: bool, groups: Sequence[str], only: Mapping[str, str]) -> bytes:
    dataset: dict[str, Any] = {
        "granularity": "Daily" if daily else "None",
        "aggregation": {COST: {"name": COST, "function": "Sum"}},
    }
    if groups:
        dataset["grouping"] = [{"type": "Dimension", "name": name} for name in groups]
    filters = [{"dimensions": {"name": name, "operator": "In", "values": [value]}} for name, value in only.items()]
    if filters:  # the API refuses "and" with fewer than two filters
        dataset["filter"] = filters[0] if len(filters) == 1 else {"and": filters}
    query = {"type": str(kind), "timeframe": "Custom", "timePeriod": window.body(), "dataset": dataset}
    return json.dumps(query).encode()


def _lines(properties: JsonFields, window: Window, daily: bool, groups: Sequence[str]) -> Iterator[QueryRow]:
    names = [column.text("name") for column in properties.objects("columns")]
    wanted = [COST, CURRENCY, *(NEEDED_GROUPS & set(groups)), *((DAY,) if daily else ())]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ContractChanged(
            f"{properties.where}: columns: {missing[0]} is missing among {', '.join(names)}; {ASK_FOR_UPDATE}"
        )
    for number, values in enumerate(_rows(properties, len(names))):
        said = dict(zip(names, values, strict=True))
        row = JsonFields(said, properties.where, properties.hide, f"rows[{number}]", properties.note)
        day = _day(row, window) if daily else ""
        found = {
            name: row.text(name) if name in NEEDED_GROUPS else row.optional(name, JsonFields.text, "")
            for name in groups
        }
        yield QueryRow(day, row.text(CURRENCY), row.money(COST), found)


def _rows(properties: JsonFields, width: int) -> list[list[Any]]:
    rows = properties.values.get("rows")
    if not isinstance(rows, list):
        properties.refuse("rows", "a list")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            properties.refuse("rows", f"lists of {width} values, not {quoted(row)} at {number}")
    return rows


def _day(row: JsonFields, window: Window) -> str:
    """Returns a day such as 20261131 as ``YYYY-MM-DD``; it must be within the window."""
    day = _parsed(row.identifier(DAY))
    if day is None:
        row.refuse(DAY, "a day such as 20261101")
    if not window.first <= day <= window.last:
        raise Transient(
            f"{row.where}: {row.path}.{DAY}: {day} is outside of {window.first} to {window.last}: the service moved the window; "
            "check the clock of this machine, and try again later"
        )
    return day.isoformat()


@lru_cache(maxsize=1_000)
def _parsed(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a day, not an instant
    except ValueError:
        return None
