"""Keeps row counts and sums of an append-only table by billing period, so that only loading days that may have grown are read again.

Rows are added under the day on which they were loaded, and a day that is over never grows. So `TableContents` holds the sum of earlier
loading days, and the last days one by one. A new reading replaces those last days, whatever was late, repeated or had an older time stamp.
Only a full reading can show deleted rows. So the table is read in full if it has fewer rows or was created again, or if a collection
found other rows than were counted (`TableContents.emptied`). `TableContents` keeps the largest row count that each period ever had, to
tell a period that lost rows from one that never had them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.providers.context import Snapshot, Snapshots
from optiinfra_assets.providers.http.json_fields import JsonFields

READING: Final = "reading of the export"
SILENT: Final = timedelta(hours=48)
"""Rows arrive several times a day; after this long without one, the export is taken to be switched off or broken."""
MARGIN: Final = timedelta(days=1)
"""How long after its end a loading day may still grow: clocks differ, and loads run past midnight."""


@dataclass(frozen=True, slots=True)
class PeriodTotal:
    """The rows that one or more loading days added to a billing period in one currency.

    Attributes:
        first: first loading day (UTC).
        last: last loading day (UTC).
        lines: number of rows.
        amount: sum of the rows, in `currency`.
        exported: newest export time of the rows (UTC).
    """

    period: BillingPeriod
    currency: str
    first: datetime
    last: datetime
    lines: int
    amount: Decimal
    exported: datetime

    def plus(self, other: PeriodTotal) -> PeriodTotal:
        """Returns the sum of both, which must be of one period and currency."""
        return replace(
            self,
            first=min(self.first, other.first),
            last=max(self.last, other.last),
            lines=self.lines + other.lines,
            amount=exact_sum((self.amount, other.amount)),
            exported=max(self.exported, other.exported),
        )


@dataclass(frozen=True, slots=True)
class TableContents:
    """What a table contained at an instant.

    Attributes:
        created: when the table was created (UTC).
        version: changes whenever the table changes.
        rows: row count of the whole table.
        floor: loading days from this one on may still grow (UTC, inclusive).
        parts: days before `floor` summed by period and currency, later days one by one.
        most: largest row count of each period; see `remembering`.
    """

    created: datetime
    version: str
    rows: int
    floor: datetime
    parts: tuple[PeriodTotal, ...] = ()
    most: Mapping[BillingPeriod, int] = field(default_factory=dict)

    def is_continued_by(self, created: datetime, rows: int) -> bool:
        """Returns whether a table is still this one, and apparently lost no rows."""
        return created == self.created and rows >= self.rows

    def emptied(self, created: datetime) -> TableContents:
        """Returns empty contents, to count this table or its replacement from the beginning; keeps the largest row counts."""
        return replace(no_contents(created), most=self.most)

    def grown(self, parts: Iterable[PeriodTotal], at: datetime, version: str, rows: int) -> TableContents:
        """Returns these contents with the parts of a reading that started at the instant `at` (UTC) and covers days from `floor` on."""
        floor = at.replace(hour=0, minute=0, second=0, microsecond=0) - MARGIN
        kept = [part for part in self.parts if part.last < self.floor]
        settled: dict[tuple[BillingPeriod, str], PeriodTotal] = {}
        open_: list[PeriodTotal] = []
        for part in [*kept, *parts]:
            key = (part.period, part.currency)
            if part.last >= floor:
                open_.append(part)
            else:
                settled[key] = settled[key].plus(part) if key in settled else part
        return TableContents(self.created, version, rows, floor, (*settled.values(), *open_), self.most)

    def remembering(self, open_from: BillingPeriod) -> TableContents:
        """Returns these contents with the present row counts in `most`.

        For a period from `open_from` on, a present count above zero replaces the largest one: the period continues with the rows left.
        """
        counted = _counted(self.parts)
        most = {
            period: counted[period]
            if counted[period] and period >= open_from
            else max(counted[period], self.most.get(period, 0))
            for period in {*counted, *self.most}
        }
        return replace(self, most=most)

    def has_lost(self, period: BillingPeriod) -> bool:
        """Returns whether a period has fewer rows than it had, or none any more."""
        return _counted(self.parts)[period] < self.most.get(period, 0)

    def since(self, oldest: BillingPeriod) -> TableContents:
        """Returns these contents without periods before `oldest`."""
        parts = tuple(part for part in self.parts if part.period >= oldest)
        most = {period: rows for period, rows in self.most.items() if period >= oldest}
        return replace(self, parts=parts, most=most)

    def periods(self) -> list[BillingPeriod]:
        """Returns the periods that have rows, oldest first."""
        return sorted({part.period for part in self.parts})

    def totals(self, period: BillingPeriod) -> dict[str, PeriodTotal]:
        """Returns the total of a period by currency."""
        found: dict[str, PeriodTotal] = {}
        for part in self.parts:
            if part.period == period:
                known = found.get(part.currency)
                found[part.currency] = known.plus(part) if known else part
        return found

    def token(self, period: BillingPeriod) -> str:
        """Returns the change token of a period, which changes with every added row; empty if the period has no rows."""
        totals = self.totals(period)
        return ", ".join(
            f"{part.exported.isoformat()} {part.lines} lines {part.amount:f} {currency}"
            for currency, part in sorted(totals.items())
        )

    @property
    def exported(self) -> datetime | None:
        """When the newest row was exported (UTC); None without rows."""
        return max((part.exported for part in self.parts), default=None)

    def is_silent(self, now: datetime) -> bool:
        """Returns whether the newest row is older than `SILENT`."""
        return self.exported is not None and now - self.exported > SILENT

    def warnings(self, period: BillingPeriod, now: datetime) -> Iterator[str]:
        """Yields warnings about a period, for the people who look at it."""
        if self.exported is not None and self.is_silent(now):
            yield f"nothing was exported since {self.exported:%Y-%m-%d %H:%M} UTC: see whether the export is still enabled"
        if self.has_lost(period):
            yield f"not all of the {self.most[period]} rows of the month are left: others have expired or were deleted"

    def to_json(self) -> bytes:
        """Returns the contents as the body of a snapshot."""
        parts = [
            {
                "period": str(part.period),
                "currency": part.currency,
                "first": part.first.isoformat(),
                "last": part.last.isoformat(),
                "lines": part.lines,
                "amount": f"{part.amount:f}",
                "exported": part.exported.isoformat(),
            }
            for part in self.parts
        ]
        head = {"created": self.created.isoformat(), "version": self.version, "rows": self.rows}
        most = {str(period): rows for period, rows in sorted(self.most.items())}
        return json.dumps({**head, "floor": self.floor.isoformat(), "parts": parts, "most": most}).encode()

    @classmethod
    def from_json(cls, body: bytes, where: str) -> TableContents:
        """Reads what `to_json` wrote, also before it wrote `most`.

        Raises:
            ContractChanged: the body is something else.
        """
        fields = JsonFields.parse(body, where)
        parts = tuple(
            PeriodTotal(
                BillingPeriod.parse(one.text("period")),
                one.text("currency"),
                one.time("first"),
                one.time("last"),
                one.whole("lines"),
                one.money("amount"),
                one.time("exported"),
            )
            for one in fields.objects("parts")
        )
        head = (fields.time("created"), fields.text("version"), fields.whole("rows"))
        said = fields.object("most") if "most" in fields.values else None
        most = {BillingPeriod.parse(name): said.whole(name) for name in said.values} if said else _counted(parts)
        return cls(*head, fields.time("floor"), parts, most)


@dataclass(frozen=True, slots=True)
class TableContentsStore:
    """Stores the contents of one table between readings.

    Attributes:
        snapshots: snapshots of the account, which may be changed to read another table.
        table: name of the table.
        months: how many months back to look for contents.
    """

    snapshots: Snapshots
    table: str
    months: int

    def newest(self, now: datetime) -> TableContents | None:
        """Returns the contents stored last; None if there are none.

        Raises:
            ContractChanged: what is stored is something else.
        """
        period = BillingPeriod.of(now)
        for kind in (f"{READING} {self.table}", READING):  # older snapshots name no table
            for back in range(self.months):
                kept = self.snapshots.newest(kind, period.shift(-back))
                if kept is not None:
                    return TableContents.from_json(kept.body, kind)
        return None

    def keep(self, stock: TableContents, at: datetime) -> None:
        """Stores the contents of an instant (UTC)."""
        kind = f"{READING} {self.table}"
        self.snapshots.add(Snapshot(kind, BillingPeriod.of(at), at, stock.to_json()))


def _counted(parts: Iterable[PeriodTotal]) -> Counter[BillingPeriod]:
    found = Counter[BillingPeriod]()
    for part in parts:
        found[part.period] += part.lines
    return found


BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


def no_contents(created: datetime) -> TableContents:
    """Returns the contents of a table that has not been read yet."""
    return TableContents(created, "", 0, BEGINNING)
