"""Recognizes the tables into which Google exports the costs of a billing account, and builds the SQL that reads them.

Three tables have the same costs: the standard and the detailed usage export (``cost`` before credits, ``credits[]`` separate, both
FLOAT64), and the FOCUS export (a preview; NUMERIC, net of credits already). Their schemas grow, so a statement is built from the columns
that a table has. A missing column that amounts depend on is refused by name, other missing ones are left out, and no other is read.

There are two statements. ``reading`` counts the lines that each loading day added to each invoice month and sums their amounts; it reads a
few narrow columns of the days that may have grown. ``lines`` reads the line items of one invoice month, summed by UTC day and by every
column that distinguishes lines. The sums are right for these reasons:

- Each amount is cast to BIGNUMERIC through its text before it is added: NUMERIC has 9 fraction digits and would cut off the cost of a few
  bytes of traffic, and FLOAT64 cast directly would show its binary noise. Each line is rounded to 18 fraction digits, so sums are exact.
- Credits are summed in a sub-select for each line. A join (``CROSS JOIN UNNEST``) would count a line with three credits three times.
- The month is ``invoice.month`` and the day is that of ``usage_start_time`` in UTC. Neither is derived from the other, because Google's
  month begins at midnight in California.
- ``_PARTITIONTIME``, the loading day, only limits what is read. The days come from the reading, so late lines are not cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData, ContractChanged
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.domain.quoting import quoted
from optiinfra_assets.providers.gcp.loading_days import BEGINNING, PeriodTotal
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE

if TYPE_CHECKING:
    from optiinfra_assets.providers.gcp.bigquery import ResultRow

NUMBERS: Final = frozenset({"FLOAT", "NUMERIC", "BIGNUMERIC", "INTEGER"})
GIVEN: Final = "('PROMOTION', 'FREE_TIER')"
"""Types of credits that become line items; all other credits, discounts for use or commitment, are part of the price."""
COMMITTED: Final = "('COMMITTED_USAGE_DISCOUNT', 'COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE', 'FEE_UTILIZATION_OFFSET')"


class ExportKind(StrEnum):
    """What a table holds."""

    STANDARD = "standard"
    DETAILED = "detailed"
    FOCUS = "focus"


class Aggregation(StrEnum):
    """How the values of lines are combined when the lines are summed."""

    KEY = "key"
    SUM = "sum"
    FIRST = "min"
    LAST = "max"


@dataclass(frozen=True, slots=True)
class SelectedColumn:
    """A column of the table that a statement reads.

    Attributes:
        path: path in the table, such as ``service.id``.
        name: name in the result: a FOCUS column, one of ours (``x_``), or one of Google's.
        how: how its values are combined.
        needed: amounts would be wrong without it.
    """

    path: str
    name: str
    how: Aggregation = Aggregation.KEY
    needed: bool = False


@dataclass(frozen=True, slots=True)
class _Expression:
    sql: str
    name: str
    how: Aggregation = Aggregation.KEY


_USAGE: Final = (
    SelectedColumn("billing_account_id", "BillingAccountId", needed=True),
    SelectedColumn("service.id", "x_ServiceId"),
    SelectedColumn("service.description", "ServiceName", needed=True),
    SelectedColumn("sku.id", "SkuId", needed=True),
    SelectedColumn("sku.description", "ChargeDescription"),
    SelectedColumn("project.id", "SubAccountId", needed=True),
    SelectedColumn("project.name", "SubAccountName"),
    SelectedColumn("project.labels", "x_ProjectLabels"),
    SelectedColumn("labels", "labels"),
    SelectedColumn("tags", "tags"),
    SelectedColumn("system_labels", "x_SystemLabels"),
    SelectedColumn("location.location", "x_Location"),
    SelectedColumn("location.region", "RegionId"),
    SelectedColumn("location.zone", "AvailabilityZone"),
    SelectedColumn("resource.global_name", "ResourceId"),
    SelectedColumn("resource.name", "ResourceName"),
    SelectedColumn("subscription.instance_id", "x_SubscriptionId"),
    SelectedColumn("transaction_type", "x_TransactionType"),
    SelectedColumn("seller_name", "x_SellerName"),
    SelectedColumn("currency", "BillingCurrency", needed=True),
    SelectedColumn("currency_conversion_rate", "x_CurrencyConversionRate"),
    SelectedColumn("usage.unit", "ConsumedUnit"),
    SelectedColumn("usage.pricing_unit", "PricingUnit"),
    SelectedColumn("cost_type", "x_CostType", needed=True),
    SelectedColumn("adjustment_info.id", "x_AdjustmentId"),
    SelectedColumn("adjustment_info.description", "x_AdjustmentDescription"),
    SelectedColumn("adjustment_info.mode", "x_AdjustmentMode"),
    SelectedColumn("adjustment_info.type", "x_AdjustmentType"),
    SelectedColumn("consumption_model.description", "x_ConsumptionModel"),
    SelectedColumn("cost", "ContractedCost", Aggregation.SUM, needed=True),
    SelectedColumn("cost_at_list", "ListCost", Aggregation.SUM),
    SelectedColumn("usage.amount", "ConsumedQuantity", Aggregation.SUM),
    SelectedColumn("usage.amount_in_pricing_units", "PricingQuantity", Aggregation.SUM),
    SelectedColumn("usage_start_time", "ChargePeriodStart", Aggregation.FIRST, needed=True),
    SelectedColumn("usage_end_time", "ChargePeriodEnd", Aggregation.LAST, needed=True),
    SelectedColumn("export_time", "exported", Aggregation.LAST, needed=True),
)
_FOCUS_NEEDED: Final = frozenset(
    ("BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "ChargeCategory", "ChargePeriodEnd",
     "ChargePeriodStart", "ContractedCost", "EffectiveCost", "ListCost", "x_Credits", "x_ExportTime"),
)  # fmt: skip
_FOCUS_APART: Final = {
    "BillingPeriodStart": None,
    "BillingPeriodEnd": None,
    "x_Credits": None,
    "ChargePeriodStart": Aggregation.FIRST,
    "ChargePeriodEnd": Aggregation.LAST,
    "x_ExportTime": Aggregation.LAST,
}


@dataclass(frozen=True, slots=True)
class CostTable:
    """A table of costs and the statements that read it.

    Attributes:
        name: ``project.dataset.table``.
        kinds: type of each column by its path, with ``[]`` appended if repeated.
        by_day: whether ``_PARTITIONTIME`` limits what is read.
    """

    name: str
    export: ExportKind
    kinds: Mapping[str, str]
    by_day: bool

    @classmethod
    def of(cls, name: str, columns: Sequence[tuple[str, str, tuple[object, ...]]], *, by_day: bool) -> CostTable:
        """Recognizes a table by its columns (see `optiinfra_assets.providers.gcp.bigquery.Column`).

        Raises:
            BadData: the table holds no costs.
            ContractChanged: it lacks a column that amounts depend on, or the column has another type.
        """
        kinds = dict(_paths(columns))
        if "x_ExportTime" in kinds or "ChargePeriodStart" in kinds:
            export = ExportKind.FOCUS
        elif "usage_start_time" in kinds:
            export = ExportKind.DETAILED if "resource" in kinds else ExportKind.STANDARD
        else:
            raise BadData(
                f"table: {name!r} is not accepted: it has neither the columns of a usage cost export nor of a FOCUS export"
            )
        table = cls(name, export, kinds, by_day)
        table._refuse_lacking()
        return table

    def reading(self) -> str:
        """Returns SQL for the lines, amount and newest export time by invoice month, loading day and currency.

        Parameters: ``@oldest`` month (YYYYMM), and if `by_day` ``@first``, the first loading day to read (inclusive).
        """
        takes = [_Expression(self._month, "month")]
        takes += [_Expression("_PARTITIONTIME", "part")] if self.by_day else []
        if self.export is ExportKind.FOCUS:
            takes += [
                _Expression("BillingCurrency", "currency"),
                _Expression(self._amount("BilledCost"), "cost", Aggregation.SUM),
                _Expression("x_ExportTime", "exported", Aggregation.LAST),
            ]
        else:
            takes += [
                _Expression("currency", "currency"),
                _Expression(self._amount("cost"), "cost", Aggregation.SUM),
                _Expression(self._credits(), "credits", Aggregation.SUM),
                _Expression("export_time", "exported", Aggregation.LAST),
            ]
        window = ["_PARTITIONTIME >= @first"] if self.by_day else []
        return self._statement(takes, [*window, f"COALESCE({self._month}, '999999') >= @oldest"])

    def counted(self, cells: ResultRow) -> PeriodTotal:
        """Converts one row of the result of `reading`.

        Raises:
            ContractChanged: a value is of another type.
        """
        month = cells.needed("month")
        try:
            period = BillingPeriod.parse(f"{month[:4]}-{month[4:]}")
        except ValueError:
            raise ContractChanged(
                f"{self.name}: column invoice.month: value {quoted(month)} is not accepted: YYYYMM was expected"
            ) from None
        day = cells.time("part") if self.by_day else BEGINNING
        amount = cells.number("cost") or Decimal(0)
        if self.export is not ExportKind.FOCUS:
            amount = exact_sum((amount, cells.number("credits") or Decimal(0)))
        currency, lines = cells.needed("currency"), cells.whole("lines")
        return PeriodTotal(period, currency, day, day, lines, amount, cells.time("exported"))

    def lines(self) -> str:
        """Returns SQL for the line items of an invoice month, summed by UTC day and every column that distinguishes lines.

        Parameters: ``@month`` (YYYYMM), and if `by_day` ``@first`` and ``@last`` (both inclusive), the loading days that have lines of it.
        """
        window = ["_PARTITIONTIME BETWEEN @first AND @last"] if self.by_day else []
        return self._statement(self._line(), [*window, f"{self._month} = @month"])

    def names(self) -> list[str]:
        """Returns the columns of the result of `lines`, except ``day`` and ``lines``."""
        return [one.name for one in self._line() if one.name != "day"]

    @property
    def _month(self) -> str:
        if self.export is ExportKind.FOCUS:
            return "FORMAT_DATE('%Y%m', DATE(BillingPeriodStart))"
        return "invoice.month"

    def _line(self) -> list[_Expression]:
        made = [_Expression(self._sql(take), take.name, take.how) for take in self._takes()]
        if self.export is ExportKind.FOCUS:
            return [
                _Expression("DATE(ChargePeriodStart)", "day"),
                *made,
                _Expression(self._credits("x_Credits", "Amount"), "credits", Aggregation.SUM),
            ]
        given = f"FROM UNNEST(credits) AS c WHERE c.type IN {GIVEN}"
        return [
            _Expression("DATE(usage_start_time)", "day"),
            *made,
            _Expression(f"(SELECT STRING_AGG(DISTINCT c.name, ', ' ORDER BY c.name) {given})", "credit_names"),
            _Expression(self._credits(where="c.type IN ('PROMOTION')"), "promotions", Aggregation.SUM),
            _Expression(self._credits(where="c.type IN ('FREE_TIER')"), "free_tier", Aggregation.SUM),
            _Expression(self._credits(where=f"COALESCE(c.type, '') NOT IN {GIVEN}"), "discounts", Aggregation.SUM),
            _Expression(self._credits(where=f"c.type IN {COMMITTED}"), "x_CommitmentDiscounts", Aggregation.SUM),
        ]

    def _takes(self) -> Iterable[SelectedColumn]:
        if self.export is not ExportKind.FOCUS:
            return [take for take in _USAGE if take.path in self.kinds]
        found = [
            path
            for path in self.kinds
            if path.isascii() and path.isidentifier() and (path in focus.BY_NAME or path.startswith("x_"))
        ]
        return [SelectedColumn(path, path, how) for path in found if (how := self._focus_how(path)) is not None]

    def _focus_how(self, path: str) -> Aggregation | None:
        if path in _FOCUS_APART:
            return _FOCUS_APART[path]
        is_summed = path.endswith(("Cost", "Quantity")) and self.kinds[path] in NUMBERS
        return Aggregation.SUM if is_summed else Aggregation.KEY

    def _sql(self, take: SelectedColumn) -> str:
        kind = self.kinds[take.path]
        if take.how is Aggregation.SUM:
            return self._amount(take.path)
        if take.how is not Aggregation.KEY or kind == "STRING":
            return take.path
        if kind in ("RECORD", "JSON") or kind.endswith("[]"):
            return f"TO_JSON_STRING({take.path})"
        return f"CAST({take.path} AS STRING)"

    def _amount(self, path: str, column: str = "") -> str:
        """Returns SQL for a number as BIGNUMERIC; `column` is its name in a sub-select, if that differs from `path`."""
        column = column or path
        text = f"CAST({column} AS STRING)" if self.kinds[path] == "FLOAT" else column
        return f"ROUND(CAST({text} AS BIGNUMERIC), 18)"

    def _credits(self, array: str = "credits", amount: str = "amount", where: str = "") -> str:
        condition = f" WHERE {where}" if where else ""
        total = f"SUM({self._amount(f'{array}.{amount}', f'c.{amount}')})"
        return f"(SELECT {total} FROM UNNEST({array}) AS c{condition})"  # noqa: S608 - names of a checked schema

    def _statement(self, takes: Sequence[_Expression], conditions: Sequence[str]) -> str:
        keys = [take.name for take in takes if take.how is Aggregation.KEY]
        sums = [f"{take.how.upper()}({take.name}) AS {take.name}" for take in takes if take.how is not Aggregation.KEY]
        inner = ",\n    ".join(f"{take.sql} AS {take.name}" for take in takes)
        return (
            f"SELECT\n  {', '.join(keys)},\n  {', '.join(sums)},\n  COUNT(*) AS lines\n"
            f"FROM (\n  SELECT\n    {inner}\n  FROM `{self.name}`\n  WHERE {' AND '.join(conditions)}\n) AS line\n"
            f"GROUP BY {', '.join(keys)}"
        )

    def _refuse_lacking(self) -> None:
        if self.export is ExportKind.FOCUS:
            needed = [
                SelectedColumn(path, path, _FOCUS_APART.get(path) or Aggregation.KEY) for path in sorted(_FOCUS_NEEDED)
            ]
            needed += [SelectedColumn("x_Credits.Amount", "", Aggregation.SUM)]
        else:
            needed = [take for take in _USAGE if take.needed]
            needed += [
                SelectedColumn("invoice.month", ""),
                SelectedColumn("credits.type", ""),
                SelectedColumn("credits.name", ""),
            ]
            needed += [SelectedColumn("credits.amount", "", Aggregation.SUM)]
        for take in needed:
            self._refuse_kind(take)

    def _refuse_kind(self, take: SelectedColumn) -> None:
        kind = self.kinds.get(take.path)
        accepted = {
            Aggregation.SUM: NUMBERS,
            Aggregation.FIRST: {"TIMESTAMP"},
            Aggregation.LAST: {"TIMESTAMP"},
        }.get(take.how)
        if take.path.endswith("Cost"):
            accepted = NUMBERS
        if kind is None or (accepted and kind not in accepted):
            said = "is missing" if kind is None else f"type {kind} is not accepted"
            wanted = f": {' or '.join(sorted(accepted))} was expected" if accepted else ""
            raise ContractChanged(f"{self.name}: column {take.path}: {said}{wanted}; {ASK_FOR_UPDATE}")


def _paths(columns: Sequence[tuple[str, str, tuple[object, ...]]], above: str = "") -> Iterable[tuple[str, str]]:
    for name, kind, within in columns:
        yield f"{above}{name}", kind
        yield from _paths(within, f"{above}{name}.")  # type: ignore[arg-type]
