"""What an append-only table holds of each billing period, kept so that only the days that may have grown are asked about again.

Rows are added under the day on which they were loaded, and a day that is over is never added to. So a `TableContents` is what earlier
days brought, added up, and the last days apart; a new reading replaces those, whatever came late, twice, or under an older time stamp.
Nothing but a full reading would see rows that were taken away, so one is made when there are fewer rows or the table is a new one, or
when somebody found fewer than the stock says (`TableContents.emptied`). A stock remembers the most rows that a period ever had, to tell
one that lost some from one that never had them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.providers.context import Snapshot, Snapshots
from optiinfra_assets.providers.http.json_fields import JsonFields
from optiinfra_assets.providers.running_totals.readings import exact_sum

READING: Final = "reading of the export"
SILENT: Final = timedelta(hours=48)
"""Rows come several times a day; after this long what adds them is taken to have been switched off or broken."""
MARGIN: Final = timedelta(days=1)
"""How much longer than itself a loading day is taken to be growing: clocks differ, and loads run past midnight."""


@dataclass(frozen=True, slots=True)
class PeriodTotal:
    """What a loading day, or several, brought to a billing period in one currency.

    Attributes:
        first: first loading day (UTC).
        last: last loading day (UTC).
        lines: how many rows.
        amount: what they come to.
        exported: the newest time stamp the provider gave them (UTC).
    """

    period: BillingPeriod
    currency: str
    first: datetime
    last: datetime
    lines: int
    amount: Decimal
    exported: datetime

    def plus(self, other: PeriodTotal) -> PeriodTotal:
        """Both together, of one period and currency."""
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
    """What a table held at an instant.

    Attributes:
        created: when the table was made (UTC).
        version: changes whenever the table does.
        rows: of the whole table.
        floor: loading days from here on may still grow (UTC).
        parts: days before `floor` added up by period and currency, the others one by one.
        most: the most rows that each period was ever counted with; see `remembering`.
    """

    created: datetime
    version: str
    rows: int
    floor: datetime
    parts: tuple[PeriodTotal, ...] = ()
    most: Mapping[BillingPeriod, int] = field(default_factory=dict)

    def is_continued_by(self, created: datetime, rows: int) -> bool:
        """Whether a table is still this one, and nothing seems to have been taken away."""
        return created == self.created and rows >= self.rows

    def emptied(self, created: datetime) -> TableContents:
        """To count a table, this one or another in its place, from its beginning; what periods once had is still known."""
        return replace(no_contents(created), most=self.most)

    def grown(self, parts: Iterable[PeriodTotal], at: datetime, version: str, rows: int) -> TableContents:
        """With what a reading from `floor` on found, begun at an instant (UTC)."""
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
        """With what it counted taken into `most`.

        Of a period from `open_from` on the present number counts, if it has rows: it goes on with what is left of it.
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
        """Whether a period has fewer rows than it had, or none any more."""
        return _counted(self.parts)[period] < self.most.get(period, 0)

    def since(self, oldest: BillingPeriod) -> TableContents:
        """Without periods before `oldest`."""
        parts = tuple(part for part in self.parts if part.period >= oldest)
        most = {period: rows for period, rows in self.most.items() if period >= oldest}
        return replace(self, parts=parts, most=most)

    def periods(self) -> list[BillingPeriod]:
        """Those that have rows, oldest first."""
        return sorted({part.period for part in self.parts})

    def totals(self, period: BillingPeriod) -> dict[str, PeriodTotal]:
        """What a period has, by currency."""
        found: dict[str, PeriodTotal] = {}
        for part in self.parts:
            if part.period == period:
                known = found.get(part.currency)
                found[part.currency] = known.plus(part) if known else part
        return found

    def token(self, period: BillingPeriod) -> str:
        """Changes with every row that a period gets; empty if it has none."""
        totals = self.totals(period)
        return ", ".join(
            f"{part.exported.isoformat()} {part.lines} lines {part.amount:f} {currency}"
            for currency, part in sorted(totals.items())
        )

    @property
    def exported(self) -> datetime | None:
        """When the newest row was exported (UTC)."""
        return max((part.exported for part in self.parts), default=None)

    def is_silent(self, now: datetime) -> bool:
        """Whether no row came for too long."""
        return self.exported is not None and now - self.exported > SILENT

    def warnings(self, period: BillingPeriod, now: datetime) -> Iterator[str]:
        """What whoever looks at a period should know."""
        if self.exported is not None and self.is_silent(now):
            yield f"nothing was exported since {self.exported:%Y-%m-%d %H:%M} UTC: see whether the export is still enabled"
        if self.has_lost(period):
            yield f"not all of the {self.most[period]} rows of the month are left: others have expired or were deleted"

    def to_json(self) -> bytes:
        """For a snapshot."""
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
        """What `to_json` wrote, also before it wrote `most`.

        Raises:
            ContractChanged: it is something else.
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
    """Where the stock of one table is kept between readings.

    Attributes:
        snapshots: of the account, which may be told to read another table.
        table: its name.
        months: how long one is looked for.
    """

    snapshots: Snapshots
    table: str
    months: int

    def newest(self, now: datetime) -> TableContents | None:
        """The stock that was kept last.

        Raises:
            ContractChanged: it is something else.
        """
        period = BillingPeriod.of(now)
        for kind in (f"{READING} {self.table}", READING):  # without a name: kept before it had one
            for back in range(self.months):
                kept = self.snapshots.newest(kind, period.shift(-back))
                if kept is not None:
                    return TableContents.from_json(kept.body, kind)
        return None

    def keep(self, stock: TableContents, at: datetime) -> None:
        """Keep a stock of an instant."""
        kind = f"{READING} {self.table}"
        self.snapshots.add(Snapshot(kind, BillingPeriod.of(at), at, stock.to_json()))


def _counted(parts: Iterable[PeriodTotal]) -> Counter[BillingPeriod]:
    found = Counter[BillingPeriod]()
    for part in parts:
        found[part.period] += part.lines
    return found


BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


def no_contents(created: datetime) -> TableContents:
    """Of a table that has not been read yet."""
    return TableContents(created, "", 0, BEGINNING)
