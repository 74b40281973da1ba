"""Rows of a derived table by day, held as columns in memory, and the cost series over them: exact, as ClickHouse would answer.

Data in: rows of some generations of one customer, as Arrow. Data out: the rows of ``sql/clickhouse/queries/cost_series_by_*.sql``.
Costs have 128 bits. A sum of them is taken over each 32 bits of all rows in floats of 64 bits, which hold every integer up to 2**53: with
at most `MOST_ROWS` rows no digit is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache
from itertools import groupby, islice, repeat
from typing import Any, ClassVar, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cachetools import LRUCache

from optiinfra_api.reading.exact_sums import Ints, Sums, counted, written
from optiinfra_api.reading.rated_costs import DIGITS as CONVERTED_DIGITS
from optiinfra_api.reading.rated_costs import ConversionAsked, RatedCosts

MOST_ROWS: Final = 2**21
_MOST_CELLS: Final = 2**20
_MOST_SUMS: Final = 2**21
"""Groups times buckets that are summed here: each takes up to 64 bytes while a question is answered."""
_EPOCH: Final = date(1970, 1, 1)
_CURRENCIES: Final = 2
"""Display currencies in which costs of one table are held; one takes about as much memory as the table."""

COSTS: Final = ("billed_cost", "effective_cost", "list_cost", "contracted_cost")
_COUNTS: Final = ("list_cost_missing", "contracted_cost_missing", "line_items")
DIMENSIONS: Final = (
    "provider",
    "account",
    "period",
    "sub_account",
    "service",
    "region",
    "charge_category",
    "charge_class",
    "charge_frequency",
    "pricing_category",
    "resource",
)
"""Dimensions in the order of the statements: the parameter of each names the column, if it is asked."""
FILTERS: Final = {
    "sub_accounts": "sub_account_id",
    "services": "service_name",
    "regions": "region_id",
    "charge_categories": "charge_category",
    "pricing_categories": "pricing_category",
    "currencies": "billing_currency",
    "resources": "resource_id",
}

_SIGNS: Final = {"largest_first": -1, "smallest_first": 1, "by_name": 0}
"""The orders of ``fragments/series_order.sql``: by the total, multiplied by this."""

_MOST_TEXTS: Final = 2**15 - 1
_MOST_COUNTED: Final = 2**31 - 1

Count = Callable[..., None]


@dataclass(frozen=True, slots=True)
class _Bucket:
    """The buckets of a period: their first days, and the bucket of each day."""

    starts: list[str]
    of_day: Ints


class ColumnTable:
    """Rows of a derived table, of `generations`, by day. It is never changed."""

    DAY: ClassVar[str] = "charge_date"
    """The column of days, by which rows are sorted."""
    KEEPS_PERIODS: ClassVar[bool] = False
    """Whether rows have their billing period as a day, beside its name."""
    FILTERS: ClassVar[Mapping[str, str]] = FILTERS
    """The column that each filter is about."""

    def __init__(self, rows: pa.Table, generations: frozenset[int]) -> None:
        """
        Args:
            rows: columns of the derived table, strings as dictionaries.
            generations: those whose rows these are; one may have no row. Empty: only rows of those that are asked.
        """
        self._rows = _narrow(rows.sort_by(self.DAY).unify_dictionaries().combine_chunks())
        self.generations = generations
        self._rated: LRUCache[tuple[str, str, str], RatedCosts] = LRUCache(_CURRENCIES)

    @classmethod
    def of(cls, answer: bytes, generations: Collection[int]) -> Self:
        """Make one from ClickHouse's answer as an Arrow stream."""
        rows = pa.ipc.open_stream(answer).read_all()
        names = {
            "charge_date": pa.int32(),
            "charge_month": pa.int32(),
            "billing_period": pa.int32(),
            "generation": pa.uint64(),
        }
        columns = {}
        for name in rows.column_names:
            column = rows[name]
            if name == "billing_period":
                columns["period_key"] = _months(column)
                if not cls.KEEPS_PERIODS:
                    continue
            if name in names:
                column = column.cast(names[name])
            elif name in _COUNTS:
                column = column.cast(pa.int64())
            elif name not in COSTS:
                column = cls.texts(name, column).dictionary_encode()
            columns[name] = column
        return cls(pa.table(columns), frozenset(generations))

    @classmethod
    def texts(cls, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """The column `name` as texts, none of them null."""
        return column.cast(pa.string())

    @classmethod
    def joined(cls, tables: Sequence[ColumnTable]) -> ColumnTable:
        """The rows of all `tables`, which count whatever the generations of a question are."""
        return cls(pa.concat_tables([_wide(table._rows) for table in tables]), frozenset())

    def with_rows_of(self, other: ColumnTable, kept: Collection[int]) -> Self:
        """The rows of these generations that are in `kept`, and those of `other`."""
        remaining = self.generations & frozenset(kept)
        own = self._rows
        if remaining != self.generations:
            own = own.filter(pc.is_in(own["generation"], value_set=pa.array(sorted(remaining), pa.uint64())))
        return type(self)(pa.concat_tables([_wide(own), _wide(other._rows)]), remaining | other.generations)

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return int(self._rows.nbytes) + 100 * len(self.generations)

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    @cached_property
    def _days(self) -> Ints:
        return self._array(self.DAY)

    def _array(self, name: str) -> Ints:
        column = self._rows[name].chunks
        found: Ints = column[0].to_numpy() if column else np.zeros(0, np.int64)
        return found

    def _codes(self, name: str) -> tuple[Ints, pa.Array]:
        """A column of strings as numbers, and the string of each number."""
        chunks = self._rows[name].chunks
        if not chunks:
            return np.zeros(0, np.int64), pa.array([], pa.string())
        return chunks[0].indices.to_numpy(), chunks[0].dictionary

    def _limbs(self, name: str) -> tuple[Ints, ...]:
        """A column of costs in units of 10**-18: each 32 bits of it, lowest first; the highest are signed."""
        chunks = self._rows[name].chunks
        if not chunks:
            return (np.zeros(0, np.uint32),) * 4
        column = chunks[0]
        words = np.frombuffer(column.buffers()[1], "<u4").reshape(-1, column.type.bit_width // 32)
        *low, high = words[column.offset : column.offset + len(column)].T
        return *low, high.view("<i4")

    def lacks_rates(self, values: Mapping[str, Any]) -> bool:
        """Whether `rows` has to convert some rows first."""
        return self._rated_costs(values).lacks(self._of_days(values["start"], values["end"]))

    def months(self, values: Mapping[str, Any]) -> dict[str, set[str]]:
        """The months, by currency, whose rates are needed before `rows` converts."""
        conversion: ConversionAsked = values["conversion"]
        rated = self._rated_costs(values)
        found = rated.months(self._places(values["start"], values["end"], values))
        return {currency: months for currency, months in found.items() if currency != conversion.currency}

    def _rated_costs(self, values: Mapping[str, Any]) -> RatedCosts:
        conversion: ConversionAsked = values["conversion"]
        key = values["cost"], conversion.currency, conversion.state
        rated = self._rated.get(key)
        if rated is None:
            codes, currencies = self._codes("billing_currency")
            costs = self._limbs(values["cost"])
            rated = self._rated[key] = RatedCosts(costs, self._days, (codes, currencies.to_pylist()))
        return rated

    def rows(self, values: Mapping[str, Any], count: Count | None = None) -> list[dict[str, Any]] | None:
        """Return what the statement over this table answers for its bound `values`; the rows of other generations count for nothing.
        None: ClickHouse has to be asked, because so many sums would take too much memory.

        `count` is told the number of rows and their bytes before any is written. With ``conversion``, and ``rates`` of its `months`, in
        `values`, rows are as `Display.series` makes them.
        """
        places = self._places(values["start"], values["end"], values)
        names = self.asked(values)
        asked = {name: column for name, column in names.items() if column in self._rows.column_names}
        groups, keys = self._groups(places, list(asked.values()))
        conversion: ConversionAsked | None = values.get("conversion")
        granularity = conversion.granularity if conversion else values.get("granularity", "daily")
        buckets = _buckets(granularity, values["start"], values["end"])
        if len(keys) * len(buckets.starts) > _MOST_SUMS:
            return None
        cells = groups * len(buckets.starts) + buckets.of_day[self._days[places] - _number(values["start"])]
        sums = Sums(cells, (len(keys), len(buckets.starts)), [limb[places] for limb in self._limbs(values["cost"])])
        items = counted(groups, len(keys), self._array("line_items")[places])
        unpriced = self._unpriced(groups, len(keys), places, values.get("unpriced", ""))
        totals = sums.totals()
        sign = _SIGNS[values.get("order", "by_name")]
        order = sorted(range(len(keys)), key=lambda group: (keys[group][-1], sign * totals[group], keys[group]))
        by_currency = groupby(order, lambda group: keys[group][-1])
        firsts = (group for _, ordered in by_currency for group in islice(ordered, values.get("each")))
        order = list(islice(firsts, values.get("limit")))
        if count is not None:
            count(len(order), size=sums.points(order) * 40 + len(order) * 300)
        is_whole = len(buckets.starts) == 1  # then a group has one amount, its total
        parts = repeat(([0], [])) if is_whole else sums.of_groups(order)
        rows = []
        for group, (own, amounts) in zip(order, parts, strict=not is_whole):
            found = dict(zip(asked, keys[group], strict=False))
            total = written(totals[group])
            rows.append(
                {
                    **{name: found.get(name, "") for name in names},
                    "currency": keys[group][-1],
                    "dates": [buckets.starts[bucket] for bucket in own],
                    "amounts": [total] if is_whole else list(map(written, amounts)),
                    "total": total,
                    "unpriced_line_items": unpriced[group],
                    "line_items": items[group],
                }
            )
        if conversion:
            for row, more in zip(rows, self._converted(values, places, groups, cells, sums, order), strict=True):
                row |= more
        return rows

    def asked(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The dimensions that a row of the answer has, in the order of the statement, each with its column; one without is ''."""
        return {name: values[name] for name in DIMENSIONS if name in values}

    def _converted(
        self, values: Mapping[str, Any], places: Any, groups: Ints, cells: Ints, sums: Sums, order: Sequence[int]
    ) -> Iterator[dict[str, Any]]:
        """Yield what the row of each group of `order` has beside in another currency."""
        conversion: ConversionAsked = values["conversion"]
        rated = self._rated_costs(values)
        rated.convert(places, values["rates"], conversion.currency)
        own = Sums(cells, sums.shape, rated.limbs(places))
        totals = own.totals()
        number, buckets = sums.shape
        described = rated.described(places, groups, number, conversion.currency)
        columns = conversion.columns if conversion.granularity != "whole" else frozenset()
        rates, lacks = rated.only(places, cells, number * buckets) if columns else ([], [])
        parts = own.of_groups(order) if columns else repeat(([], []))
        for group, (found, amounts) in zip(order, parts, strict=bool(columns)):
            fields, missing = described[group]
            amount = None if missing else written(totals[group], CONVERTED_DIGITS)
            row: dict[str, Any] = {"converted": {**fields, "amount": amount}, "missing": missing}
            shown = [group * buckets + bucket for bucket in found]
            if "converted_amounts" in columns:
                row["converted_amounts"] = [
                    None if lacks[cell] else written(part, CONVERTED_DIGITS)
                    for cell, part in zip(shown, amounts, strict=True)
                ]
            if "rates" in columns:
                row["rates"] = [rates[cell] for cell in shown]
            yield row

    def _places(self, start: date, end: date, values: Mapping[str, Any]) -> Any:
        """Which rows of the days of [start, end) the filters and generations of a question accept."""
        days = self._of_days(start, end)
        conditions = []
        if self.generations and not self.generations <= frozenset(values["generations"]):
            conditions.append(np.isin(self._array("generation")[days], np.array(values["generations"], np.uint64)))
        for name, column in self.FILTERS.items():
            accepted = values.get(name)
            if accepted:
                codes, texts = self._codes(column)
                is_accepted = pc.is_in(texts, value_set=pa.array(accepted, pa.string())).to_numpy(zero_copy_only=False)
                conditions.append(is_accepted[codes[days]])
        accepted = np.logical_and.reduce(conditions) if conditions else np.True_
        # A slice of a column is not copied, and rows of other generations are rare.
        return days if accepted.all() else days.start + np.flatnonzero(accepted)

    def _of_days(self, start: date, end: date) -> slice:
        """The rows of the days of [start, end)."""
        return slice(*(int(np.searchsorted(self._days, _number(bound))) for bound in (start, end)))

    def _unpriced(self, groups: Ints, number: int, places: Any, column: str) -> list[int]:
        """How many line items of each group have no price; the column may be an alias for none."""
        return counted(groups, number, self._array(column)[places]) if column in _COUNTS else [0] * number

    def _groups(self, places: Any, columns: Sequence[str]) -> tuple[Ints, list[tuple[str, ...]]]:
        """The number of the group of each row of `places`, and the texts of each group: of `columns` and the currency."""
        coded = [self._codes(name) for name in (*columns, "billing_currency")]
        shape = [len(texts) or 1 for _, texts in coded]
        combined = np.zeros(len(self._days[places]), np.int64)
        for (codes, _), size in zip(coded, shape, strict=True):
            combined = combined * size + codes[places]
        if np.prod(shape, dtype=float) <= _MOST_CELLS:
            present = np.flatnonzero(np.bincount(combined, minlength=1))
            numbers = np.zeros(int(present[-1]) + 1 if len(present) else 1, np.int64)
            numbers[present] = np.arange(len(present))
            groups = numbers[combined]
        else:
            present, groups = np.unique(combined, return_inverse=True)
        texts = []
        for (_, names), size in zip(reversed(coded), reversed(shape), strict=True):
            texts.append(names.take(pa.array(present % size)).to_pylist())
            present = present // size
        return groups, list(zip(*reversed(texts), strict=True))


def _narrow(rows: pa.Table) -> pa.Table:
    """The same rows in a fifth less memory: numbers of texts in 16 bits, and of line items in 32, if they fit. Columns are of one chunk."""
    for place, name in enumerate(rows.column_names):
        column = rows.column(place)
        if not column.num_chunks:
            continue
        if pa.types.is_dictionary(column.type) and len(column.chunk(0).dictionary) <= _MOST_TEXTS:
            one = column.chunk(0)
            rows = rows.set_column(
                place, name, pa.DictionaryArray.from_arrays(one.indices.cast(pa.int16()), one.dictionary)
            )
        elif name in _COUNTS and (pc.max(column).as_py() or 0) <= _MOST_COUNTED:
            rows = rows.set_column(place, name, column.cast(pa.int32()))
    return rows


def _wide(rows: pa.Table) -> pa.Table:
    """Rows whose columns have the same types whatever their numbers are, so that they can be put together."""
    types = {name: pa.int64() for name in _COUNTS}
    for place, field in enumerate(rows.schema):
        wide = pa.dictionary(pa.int32(), pa.string()) if pa.types.is_dictionary(field.type) else types.get(field.name)
        if wide is not None:
            rows = rows.set_column(place, field.name, rows.column(place).cast(wide))
    return rows


def _months(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Days as the months that they are in."""
    days = column.cast(pa.int32()).combine_chunks().dictionary_encode()
    return pa.DictionaryArray.from_arrays(days.indices, pc.strftime(days.dictionary.cast(pa.date32()), "%Y-%m"))


@lru_cache(maxsize=512)
def _buckets(granularity: str, start: date, end: date) -> _Bucket:
    """The buckets of the days of [start, end), as the statements name them."""
    days = [start + timedelta(days=number) for number in range((end - start).days)]
    first_days: dict[str, Callable[[date], date]] = {
        "daily": lambda day: day,
        "weekly": lambda day: day - timedelta(days=day.weekday()),
        "monthly": lambda day: day.replace(day=1),
        "whole": lambda _: start,
    }
    first_day = first_days[granularity]
    numbers: dict[date, int] = {}
    of_day = np.array([numbers.setdefault(first_day(day), len(numbers)) for day in days], np.int64)
    return _Bucket([day.isoformat() for day in numbers], of_day)


def _number(day: date) -> int:
    """The number of a day, as Arrow holds it."""
    return (day - _EPOCH).days
