"""Arranges what a customer uses from day to day into series: each service of each account, and each account as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from optiinfra_assets.analytics.arrays import Calendar, Floats, Integers
from optiinfra_assets.analytics.charge_parts import CostPart, part_of
from optiinfra_assets.domain.anomalies import UsageKey


@dataclass(frozen=True)
class UsageSeries:
    """Daily usage in all currencies: rows are series, columns UTC days."""

    keys: Sequence[UsageKey]
    calendar: Calendar
    values: Floats
    through: NDArray[np.datetime64]
    """The last final day of each series; NaT if nobody tells."""

    @classmethod
    def of_rows(
        cls, rows: Iterable[Mapping[str, Any]], first_day: date, through: Mapping[str, date | None], count: int
    ) -> Self:
        """Arrange rows of ``forecast_history`` whose days are counted from `first_day`; the series have `count` days.

        `through` has the last final day of each account; accounts that are not there are left out.
        """
        found: dict[UsageKey, Floats] = {}
        for row in rows:
            kind = (row["charge_category"], row["charge_frequency"], row["charge_class"], row["service_name"])
            if row["account_id"] not in through or part_of(*kind) is not CostPart.USAGE:
                continue
            days, amounts = np.asarray(row["days"], np.int64), np.asarray(row["amounts"], np.float64)
            within = (days >= 0) & (days < count)
            for service in {row["service_name"], ""}:  # a charge without a service is in its account once
                key = UsageKey(row["provider"], row["account_id"], service, row["billing_currency"])
                np.add.at(found.setdefault(key, np.zeros(count)), days[within], amounts[within])
        keys = sorted(found)
        values = np.stack([found[key] for key in keys]) if keys else np.zeros((0, count))
        finals = np.array([through[key.account] for key in keys], dtype="M8[D]")
        return cls(keys, Calendar.starting(first_day, count), values, finals)

    @cached_property
    def places(self) -> dict[UsageKey, int]:
        """The row of each series."""
        return {key: place for place, key in enumerate(self.keys)}

    @cached_property
    def accounts(self) -> Integers:
        """The row of the account of each series."""
        return np.array([self.places[key._replace(service="")] for key in self.keys], dtype=np.int64)

    @property
    def parents(self) -> dict[int, int]:
        """The row above each row that has one."""
        return {place: int(above) for place, above in enumerate(self.accounts) if place != above}

    @property
    def last_final(self) -> date | None:
        """The last day that is final for some series; None: there is none."""
        known = self.through[~np.isnat(self.through)]
        days = self.calendar.dates
        if not known.size or not days.size:
            return None
        last: date = min(known.max(), days[-1]).astype(date)
        return last

    def column(self, day: date) -> int:
        """The column of a day."""
        return int((np.datetime64(day, "D") - self.calendar.dates[0]).astype(np.int64))
