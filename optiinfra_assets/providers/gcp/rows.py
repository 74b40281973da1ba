"""Maps the rows of the ``lines`` statement of `optiinfra_assets.providers.gcp.export_tables` to FOCUS line items."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import ContractChanged
from optiinfra_assets.domain.exact_amounts import exact_sum
from optiinfra_assets.domain.quoting import quoted
from optiinfra_assets.domain.read_memory import kept_if_short
from optiinfra_assets.line_items.row_batches import LineItemRow, Value
from optiinfra_assets.providers.gcp.export_tables import CostTable, ExportKind
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE

if TYPE_CHECKING:
    from optiinfra_assets.providers.gcp.bigquery import ResultRow

GOOGLE: Final = "Google Cloud"
SOURCE: Final = "export"
NET: Final = "sum of a day, net of discounts"
GIVEN: Final = {"promotions": "PROMOTION", "free_tier": "FREE_TIER"}
"""Sums of credits that become line items of their own -> Google's type of such credits."""
ZERO: Final = Decimal(0)

_EMPTY: Final = frozenset(("[]", "{}"))

_ALWAYS: Final = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "HostProviderName", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ServiceCategory",
    "ServiceName", "ServiceProviderName", "SubAccountType", "Tags", "x_CreditType", "x_ExportedLines", "x_Method",
)  # fmt: skip
_CATEGORIES: Final = {"regular": "Usage", "tax": "Tax"}
_COMMITMENT: Final = re.compile(r"commitment\b", re.I)
_QUANTITIES: Final = (
    "ConsumedQuantity",
    "ConsumedUnit",
    "PricingQuantity",
    "PricingUnit",
    "x_CommitmentDiscounts",
)
_INTO_TAGS: Final = ("x_ProjectLabels", "x_Tags", "x_Labels")
"""Columns of the FOCUS export that tags are made from; the last one wins."""
_SERVICE_CATEGORIES: Final = (
    (
        "AI and Machine Learning",
        re.compile(r"vertex|gemini|\bai\b|speech|vision|translation|natural language", re.I),
    ),
    (
        "Databases",
        re.compile(r"\bsql\b|spanner|bigtable|firestore|datastore|memorystore|alloydb|database", re.I),
    ),
    ("Analytics", re.compile(r"bigquery|dataflow|dataproc|looker|data fusion|composer", re.I)),
    ("Storage", re.compile(r"storage|filestore|backup", re.I)),
    ("Networking", re.compile(r"network|\bcdn\b|\bdns\b|\bvpn\b|interconnect|load balanc|\bnat\b", re.I)),
    ("Security", re.compile(r"security|key management|secret manager|recaptcha|armor", re.I)),
    ("Integration", re.compile(r"pub/sub|tasks|scheduler|workflows|apigee", re.I)),
    ("Management and Governance", re.compile(r"logging|monitoring|trace|operations", re.I)),
    ("Compute", re.compile(r"compute|cloud run|app engine|kubernetes|functions|vmware", re.I)),
)


def columns_of(table: CostTable) -> list[str]:
    """Returns every column that line items of a table may fill."""
    stored = {name for name in table.names() if name.startswith("x_") or (name in focus.BY_NAME and _is_stored(name))}
    return sorted(stored.union(_ALWAYS) - _left_out(table))


@dataclass(slots=True)
class BillingRows:
    """Makes the line items of one invoice month, and keeps counts and checks of them for the end.

    Attributes:
        payer: name of the billing account, if known.
        is_estimated: whether the month is not final.
        exported_lines: number of lines of the export that the rows so far sum up.
        used_through: end of the latest usage (UTC).
    """

    table: CostTable
    period: BillingPeriod
    payer: str | None
    is_estimated: bool
    exported_lines: int = 0
    used_through: datetime | None = None
    _start: datetime = field(init=False)
    _end: datetime = field(init=False)
    _texts: tuple[str, ...] = field(init=False)
    _numbers: tuple[str, ...] = field(init=False)
    _odd: int = 0
    _difference: Decimal = ZERO

    def __post_init__(self) -> None:
        """Sorts the columns once, because a month may have millions of line items."""
        self._start, self._end = self.period.start, self.period.end
        told = set(self.table.names())
        names = [name for name in columns_of(self.table) if name in told]
        kinds = {name: focus.BY_NAME[name].kind if name in focus.BY_NAME else focus.ColumnType.STRING for name in names}
        self._numbers = tuple(name for name in names if kinds[name] is focus.ColumnType.DECIMAL)
        self._texts = tuple(
            name
            for name in names
            if kinds[name] not in (focus.ColumnType.DECIMAL, focus.ColumnType.TIME) and name != "Tags"
        )

    def of(self, cells: ResultRow) -> Iterator[LineItemRow]:
        """Yields the line items of one row: one, and one more for each kind of credit that Google granted.

        Raises:
            ContractChanged: a value is not of the documented type.
        """
        lines = cells.whole("lines")
        self.exported_lines += lines
        values: dict[str, Value] = {
            name: text for name in self._texts if (text := cells.text(name)) and text not in _EMPTY
        }
        values |= {name: cells.number(name) for name in self._numbers}
        values |= {
            "BillingAccountName": self.payer or values.get("BillingAccountName"),
            "BillingPeriodStart": self._start,
            "BillingPeriodEnd": self._end,
            "ChargePeriodStart": cells.time("ChargePeriodStart"),
            "ChargePeriodEnd": cells.time("ChargePeriodEnd"),
            "SubAccountType": "Project" if values.get("SubAccountId") else None,
            "x_ExportedLines": str(lines),
        }
        if self.table.export is ExportKind.FOCUS:
            yield self._focus_row(cells, values)
        else:
            yield from self._usage_rows(cells, values)

    def checks(self) -> list[dict[str, str]]:
        """Returns a check for the lineage: whether BilledCost of a FOCUS export is net of credits, as this module assumes."""
        if self.table.export is not ExportKind.FOCUS:
            return []
        check = {
            "kind": "check",
            "rule": "ContractedCost + x_Credits = BilledCost",
            "line_items_off": str(self._odd),
        }
        if self._odd:
            check["warning"] = (
                f"off by {self._difference:f} in all: compare the month with its invoice before trusting BilledCost"
            )
        return [check]

    def _usage_rows(self, cells: ResultRow, values: dict[str, Value]) -> Iterator[LineItemRow]:
        cost = cells.number("ContractedCost") or ZERO
        net = exact_sum((cost, cells.number("discounts") or ZERO))
        category = self._category(values, net)
        tags = _tags(cells, "labels"), _tags(cells, "tags")
        values |= {
            "BilledCost": net,
            "EffectiveCost": net,
            "ContractedCost": cost,
            "ListCost": net if category == "Tax" else values.get("ListCost"),
            "ChargeCategory": category,
            "ChargeFrequency": {"Usage": "Usage-Based", "Purchase": "Recurring"}.get(category, "One-Time"),
            "HostProviderName": GOOGLE,
            "InvoiceIssuerName": GOOGLE,
            "ServiceProviderName": values.get("x_SellerName") or GOOGLE,
            "ServiceCategory": _service_category(values.get("ServiceName")) if category == "Usage" else "Other",
            "Tags": {**{_apart(key, tags[0]): value for key, value in tags[1].items()}, **tags[0]},
            "x_Method": NET,
        }
        self._note_use(category, values)
        given = {name: amount for name in GIVEN if (amount := cells.number(name))}
        is_something = cost or net or values.get("ConsumedQuantity")
        if is_something or not given:
            yield LineItemRow(SOURCE, self.is_estimated, {**values, "ChargeClass": self._class(values, net)})
        for name, amount in given.items():
            yield self._credit_row(values, name, amount, cells.text("credit_names"))

    def _credit_row(self, values: Mapping[str, Value], name: str, amount: Decimal, names: str | None) -> LineItemRow:
        same = {key: value for key, value in values.items() if key not in _QUANTITIES}
        return LineItemRow(
            SOURCE,
            self.is_estimated,
            {
                **same,
                "BilledCost": amount,
                "EffectiveCost": amount,
                "ContractedCost": amount,
                "ListCost": amount,
                "ChargeCategory": "Credit",
                "ChargeClass": self._class(values, amount),
                "ChargeDescription": names or values.get("ChargeDescription"),
                "ChargeFrequency": "One-Time",
                "ServiceCategory": _service_category(values.get("ServiceName")),
                "x_CreditType": GIVEN[name],
                "x_ExportedLines": None,
            },
        )

    def _focus_row(self, cells: ResultRow, values: dict[str, Value]) -> LineItemRow:
        billed, contracted = cells.number("BilledCost") or ZERO, cells.number("ContractedCost") or ZERO
        off = exact_sum((contracted, cells.number("credits") or ZERO, billed.copy_negate()))
        if off:
            self._odd += 1
            self._difference = exact_sum((self._difference, off.copy_abs()))
        tags: dict[str, str | None] = {}
        for name in (*_INTO_TAGS, "Tags"):
            found = _tags(cells, name) if name in cells.places else {}
            tags = {**{_apart(key, found): value for key, value in tags.items()}, **found}
        publisher, provider = _optional(cells, "PublisherName"), _optional(cells, "ProviderName")
        values |= {
            "HostProviderName": values.get("HostProviderName") or provider or GOOGLE,
            "InvoiceIssuerName": values.get("InvoiceIssuerName") or GOOGLE,
            "ServiceProviderName": values.get("ServiceProviderName") or publisher or provider or GOOGLE,
            "ServiceCategory": values.get("ServiceCategory") or _service_category(values.get("ServiceName")),
            "Tags": tags,
        }
        self._note_use(str(values["ChargeCategory"]), values)
        return LineItemRow(SOURCE, self.is_estimated, values)

    def _note_use(self, category: str, values: Mapping[str, Value]) -> None:
        end = values["ChargePeriodEnd"]
        if category == "Usage" and isinstance(end, datetime):
            self.used_through = max(end, self.used_through or end)

    def _category(self, values: Mapping[str, Value], net: Decimal) -> str:
        """Regular costs are usage, except for commitment fees, which are purchases; adjustments and rounding errors are adjustments."""
        category = _CATEGORIES.get(str(values.get("x_CostType")), "Adjustment")
        is_fee = category == "Usage" and _COMMITMENT.match(str(values.get("ChargeDescription") or ""))
        return "Purchase" if is_fee else category

    def _class(self, values: Mapping[str, Value], amount: Decimal) -> str | None:
        """A charge that reduces or adjusts the charges of an earlier month corrects an issued invoice."""
        end = values["ChargePeriodEnd"]
        is_earlier = isinstance(end, datetime) and end <= self._start
        is_correction = is_earlier and (amount < 0 or values["ChargeCategory"] == "Adjustment")
        return "Correction" if is_correction else None


def _left_out(table: CostTable) -> set[str]:
    """Returns the columns whose values are in another column already."""
    return {"x_ExportTime", *(_INTO_TAGS if table.export is ExportKind.FOCUS else ())}


def _is_stored(name: str) -> bool:
    return focus.BY_NAME[name].until is None


def _optional(cells: ResultRow, name: str) -> str | None:
    return cells.text(name) if name in cells.places else None


def _apart(key: str, others: Mapping[str, str | None]) -> str:
    """Returns ``tag:<key>`` for a tag whose key is also a label's, so that both are kept."""
    return f"tag:{key}" if key in others else key


@lru_cache(maxsize=1_000)
def _category_of(service: str) -> str:
    return next((category for category, names in _SERVICE_CATEGORIES if names.search(service)), "Other")


def _service_category(service: Value) -> str:
    return _category_of(str(service or ""))


def _tags(cells: ResultRow, name: str) -> dict[str, str | None]:
    """Returns the keys and values of a JSON column; empty if the table has no such column."""
    text = cells.text(name) if name in cells.places else None
    if not text or text == "[]":
        return {}
    try:
        return _pairs(text)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ContractChanged(
            f"{cells.where}: column {name}: value {quoted(text)} is not accepted: keys and values were expected; {ASK_FOR_UPDATE}"
        ) from None


@kept_if_short
def _pairs(text: str) -> dict[str, str | None]:
    """Parses a list of records with key and value, in any case, or an object."""
    found: Any = json.loads(text)
    if isinstance(found, dict):
        return {key: None if value is None else str(value) for key, value in found.items()}
    pairs = [{name.lower(): value for name, value in one.items()} for one in found or []]
    return {str(one["key"]): None if one.get("value") is None else str(one["value"]) for one in pairs}
