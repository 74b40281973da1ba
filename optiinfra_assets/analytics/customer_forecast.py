"""Forecasts all series of a customer: from rows of ``forecast_history`` to series that are forecast, one set a currency.

A series is what one service of one sub account of one account costs. Whatever is asked (an account, a service, a group of filters) is a sum
of them, so that children add up to their parents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optiinfra_assets.analytics.arrays import Calendar, Floats, Integers
from optiinfra_assets.analytics.charge_parts import CostPart, RecurringCharges, part_of
from optiinfra_assets.analytics.cost_history import CostHistory, SeriesForecasts, by_series
from optiinfra_assets.analytics.forecast import Override, days_of, with_overrides
from optiinfra_assets.domain.day_span import DaySpan
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.domain.subunits import decimal_places

HISTORY_DAYS: Final = 540
"""So many days back are looked at: twelve back-tests, the oldest from half a year of costs."""
HORIZON_DAYS: Final = 400
"""Days after the last final one: twelve months, and the days until the next publication."""


class SeriesKey(NamedTuple):
    """What a series is of; '' where charges lack it, or where series are not told apart by it."""

    provider: str
    account: str
    sub_account: str = ""
    service: str = ""
    region: str = ""
    charge_category: str = ""
    service_provider: str = ""
    service_category: str = ""
    invoice: str = ""
    """'' for all charges to come: no invoice has them yet."""
    period: str = ""
    """The month that is invoiced, ``YYYY-MM``: that of the day, for charges to come."""
    sku: str = ""
    pricing_category: str = ""
    commitment: str = ""
    tags: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class CurrencyForecast:
    """The series of one customer in one currency, forecast; amounts are whole subunits."""

    currency: str
    keys: Sequence[SeriesKey]
    through: NDArray[np.datetime64]
    """The last final day of each series; NaT if it has none."""
    days: Calendar
    series: SeriesForecasts
    recent: CostHistory
    """What the final days cost of the months that are not over: all as use, for what a person expects of a month."""

    @property
    def digits(self) -> int:
        """Decimal places of the subunit."""
        return decimal_places(self.currency)

    @property
    def size(self) -> int:
        """Bytes that its arrays take."""
        arrays = (
            *self.series.parts.values(),
            self.series.errors_of_sums,
            self.series.errors_of_days,
            self.recent.usage,
        )
        return sum(one.nbytes for one in arrays) + 1000

    def overridden(self, overrides: Sequence[Override]) -> SeriesForecasts:
        """Return the series with what people expect of months."""
        return with_overrides(self.series, self.recent, self.days, overrides, self.digits) if overrides else self.series


def forecast_customer(
    rows: Iterable[Mapping[str, Any]], first_day: date, through: Mapping[str, date | None], end: date
) -> list[CurrencyForecast]:
    """Forecast all series.

    Args:
        rows: of ``forecast_history``, with days counted from `first_day`.
        through: the last final day of each account; accounts that are not there are left out.
        end: the first day that is not looked at.
    """
    by_currency: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["account_id"] in through:
            by_currency.setdefault(row["billing_currency"], []).append(row)
    return [_of_currency(currency, found, first_day, through, end) for currency, found in sorted(by_currency.items())]


def final_days(resolved: ResolvedGenerations) -> dict[str, date | None]:
    """Return the last whole UTC day of which each account's costs are complete; None: nobody tells. Accounts that are not collected any
    more are left out, unless all are."""
    found = {
        account: of_account.data_through and (of_account.data_through - timedelta(days=1)).date()
        for account, of_account in resolved.by_account().items()
    }
    active = {account: day for account, day in found.items() if account not in resolved.standing.disabled}
    return active or found


def _of_currency(
    currency: str, rows: Sequence[Mapping[str, Any]], first_day: date, through: Mapping[str, date | None], end: date
) -> CurrencyForecast:
    keys = sorted({_key(row) for row in rows})
    finals = np.array([through[key.account] for key in keys], dtype="M8[D]")
    known = finals[~np.isnat(finals)]
    last = known.max().astype(date) if known.size else first_day
    history = _history(rows, keys, first_day, (last - first_day).days + 1, finals)
    days = days_of(finals, [DaySpan(first_day, max(end, last + timedelta(days=HORIZON_DAYS)))])
    digits = decimal_places(currency)
    series = with_overrides(by_series(history, days), history, days, (), digits)
    return CurrencyForecast(currency, keys, finals, days, series, _recent(history, days))


def _key(row: Mapping[str, Any]) -> SeriesKey:
    return SeriesKey(row["provider"], row["account_id"], row["sub_account"], row["service_name"])


def _history(
    rows: Sequence[Mapping[str, Any]], keys: Sequence[SeriesKey], first_day: date, count: int, finals: Any
) -> CostHistory:
    """Return the costs of `count` days, charge by charge in the part that it belongs to."""
    place = {key: index for index, key in enumerate(keys)}
    daily = {part: np.zeros((len(keys), max(count, 1))) for part in CostPart}
    recurring: list[tuple[int, int, Integers, Floats]] = []
    for number, row in enumerate(rows):
        part = part_of_row(row)
        days, amounts = np.asarray(row["days"], dtype=np.int64), np.asarray(row["amounts"], dtype=np.float64)
        within = (days >= 0) & (days < count)
        days, amounts = days[within], amounts[within]
        if part is CostPart.RECURRING:
            recurring.append((place[_key(row)], number, days, amounts))
        elif part is not None:
            np.add.at(daily[part][place[_key(row)]], days, amounts)
    return CostHistory(
        first_day,
        finals,
        daily[CostPart.USAGE],
        daily[CostPart.SUPPORT],
        daily[CostPart.TAX],
        daily[CostPart.CREDITS],
        np.full(len(keys), np.nan),
        _recurring(recurring, first_day),
        np.unique([key.account for key in keys], return_inverse=True)[1].reshape(-1),
    )


def part_of_row(row: Mapping[str, Any]) -> CostPart | None:
    """Return the part that a kind of charge belongs to; None for what comes once."""
    return part_of(row["charge_category"], row["charge_frequency"], row["charge_class"], row["service_name"])


def _recurring(found: Sequence[tuple[int, int, Integers, Floats]], first_day: date) -> RecurringCharges:
    sizes = [len(days) for _, _, days, _ in found]
    days = np.concatenate([np.empty(0, np.int64), *(days for _, _, days, _ in found)])
    return RecurringCharges(
        np.repeat(np.array([series for series, _, _, _ in found], dtype=np.int64), sizes),
        np.repeat(np.array([number for _, number, _, _ in found], dtype=np.int64), sizes),
        np.datetime64(first_day, "D") + days,
        np.concatenate([np.empty(0), *(amounts for _, _, _, amounts in found)]),
        np.full(len(days), np.datetime64("NaT"), dtype="M8[D]"),
    )


def _recent(history: CostHistory, days: Calendar) -> CostHistory:
    """Return all that is charged, before credits, in the months of the days that are not final; a final day counts for its series."""
    begin = days.dates[0].astype("M8[M]").astype("M8[D]")
    first = max(int((begin - np.datetime64(history.first_day, "D")).astype(np.int64)), 0)
    past = Calendar.starting(history.first_day, history.usage.shape[1])[first:]
    charged = history.recurring.charged(np.arange(len(history.usage)), past) if len(past.dates) else 0.0
    spent = (history.usage + history.support + history.tax)[:, first:] + charged
    recent = CostHistory.of_daily((begin if not len(past.dates) else past.dates[0]).astype(date), spent)
    return CostHistory(
        recent.first_day, history.through, recent.usage, recent.support, recent.tax, recent.credits, recent.credits_left
    )
