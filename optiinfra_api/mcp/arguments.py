"""The arguments of the tools: JSON in -> checked values out. Their names and values are those of GraphQL.

The descriptions are read by language models with each conversation, so all of them together are short; see `MAX_DESCRIBED` of `tools`.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from optiinfra_api.exploring.periods import PRESETS, Days, preset
from optiinfra_api.exploring.state import DIMENSIONS
from optiinfra_api.reading.cost_query import END_DAY, FIRST_DAY

MOST_ROWS: Final = 200

_OfTables = Literal["PROVIDER", "ACCOUNT", "SUB_ACCOUNT", "SERVICE", "REGION", "CHARGE_CATEGORY", "PRICING_CATEGORY"]
_OfLineItems = Literal["SERVICE_PROVIDER", "SERVICE_CATEGORY", "INVOICE", "BILLING_PERIOD", "SKU", "COMMITMENT"]
DimensionName = Literal[_OfTables, _OfLineItems]
ValuesOf = Literal[DimensionName, "CURRENCY", "TAG", "TAG_KEY"]
PresetName = Literal["this-month", "last-month", "7-days", "30-days", "90-days", "12-months"]

_DAY: Final = "a day, YYYY-MM-DD"
_PERIOD: Final = f'one of {", ".join(PRESETS)}, or {{"start": {_DAY}, "end": the day after the last}}, from {FIRST_DAY} to before {END_DAY}'
_INSTEAD: Final = {
    "period": _PERIOD,
    "before": _PERIOD,
    "asOf": "an instant with its zone, 2026-11-01T00:00:00Z",
    "displayCurrency": "an ISO 4217 code, such as EUR",
}
"""What is accepted, where the checks of types say it badly."""


class ArgumentRefused(Exception):
    """An argument is not accepted; the message names it and what is accepted."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class DaysAsked(_Model):
    """UTC days, the end exclusive."""

    start: date
    end: date

    @model_validator(mode="after")
    def _check_days(self) -> Self:
        """Those far off have no days before them to be compared with."""
        if min(self.start, self.end) < FIRST_DAY or max(self.start, self.end) > END_DAY:
            raise ValueError("out of range")
        return self


class TagAsked(_Model):
    """The accepted values of one tag; None: charges without it."""

    key: str
    values: list[str | None]
    ignore_case: bool = False


class FilterAsked(_Model):
    """The accepted values of each dimension; None: charges without it."""

    provider: list[str] | None = None
    account: list[str] | None = None
    sub_account: list[str | None] | None = None
    service: list[str | None] | None = None
    region: list[str | None] | None = None
    charge_category: list[str] | None = None
    currency: list[str] | None = None
    service_provider: list[str | None] | None = None
    service_category: list[str | None] | None = None
    invoice: list[str | None] | None = None
    billing_period: list[str] | None = None
    sku: list[str | None] | None = None
    pricing_category: list[str | None] | None = None
    commitment: list[str | None] | None = None
    tag: TagAsked | None = None
    tags: list[TagAsked] | None = None


class ToolArguments(_Model):
    """What every tool but `run_graphql` takes."""

    customer: str | None = Field(None, description="Customer id, for tokens of all customers.")


class AccountsAsked(ToolArguments):
    """Arguments of `list_accounts`."""

    provider: str | None = None
    skip: int = Field(0, ge=0)


class CostsAsked(ToolArguments):
    """What every tool takes that shows costs."""

    period: PresetName | DaysAsked = Field(
        description="UTC days of the charges; end is exclusive. All but last-month end with today."
    )
    filter: FilterAsked | None = Field(None, description="Accepted values by dimension; null: charges without one.")
    cost_basis: Literal["BILLED", "EFFECTIVE", "LIST", "CONTRACTED"] = Field(
        default="BILLED", description="EFFECTIVE: amortised. LIST, CONTRACTED: at those prices."
    )
    as_of: AwareDatetime | None = Field(
        None, description="As it was known at this instant, such as 2026-11-01T00:00:00Z."
    )
    display_currency: str | None = Field(
        None, pattern="^[A-Z]{3}$", description="Show all costs in this one, such as EUR."
    )
    limit: int = Field(50, ge=1, le=MOST_ROWS, description="Rows at most.")
    skip: int = Field(0, ge=0, description="Rows to leave out.")

    def variables(self, today: date) -> dict[str, Any]:
        """The variables of GraphQL for what all of these tools take."""
        return {
            "customer": self.customer,
            "period": days_of(self.period, today).graphql,
            "filter": self.filter and self.filter.model_dump(by_alias=True, exclude_unset=True),
            "basis": self.cost_basis,
            "asOf": self.as_of and self.as_of.isoformat(),
        }


class _GroupsAsked(CostsAsked):
    group_by: list[DimensionName] = []
    group_by_tag: str | None = Field(None, description="Name of a tag.")

    @property
    def fields(self) -> list[str]:
        """The fields of a series that tell groups apart."""
        return [
            *(DIMENSIONS[one] for one in dict.fromkeys(self.group_by)),
            *(["tag"] * (self.group_by_tag is not None)),
        ]


class QueryAsked(_GroupsAsked):
    """Arguments of `query_costs`."""

    granularity: Literal["TOTAL", "DAILY", "WEEKLY", "MONTHLY"] = Field("TOTAL", description="TOTAL: one sum a group.")


class ComparisonAsked(_GroupsAsked):
    """Arguments of `compare_periods`."""

    before: PresetName | DaysAsked | None = Field(None, description="Default: what `period` follows.")
    group_by: list[DimensionName] = Field([], description="Default: SERVICE, unless by a tag.")
    effects: bool = Field(False, description="Split changes by price and usage; best by SKU.")

    @model_validator(mode="after")
    def _group(self) -> Self:
        if "group_by" not in self.model_fields_set and self.group_by_tag is None:
            self.group_by = ["SERVICE"]
        return self


class ResourcesAsked(CostsAsked):
    """Arguments of `top_resources`; a page of GraphQL has at most 1000."""

    skip: int = Field(0, ge=0, le=999)


class ValuesAsked(CostsAsked):
    """Arguments of `find_values`."""

    period: PresetName | DaysAsked = "90-days"
    dimension: ValuesOf = Field(description="TAG: values of the tag `tagKey`; TAG_KEY: names of tags.")
    tag_key: str | None = None
    search: str = Field("", description="Part of the value, in any case.")

    @model_validator(mode="after")
    def _check_tag(self) -> Self:
        if (self.dimension == "TAG") != (self.tag_key is not None):
            raise ValueError("tagKey: goes with the dimension TAG, and only with it: name the tag")
        return self


class ReconciliationAsked(ToolArguments):
    """Arguments of `reconcile_month`."""

    month: str | None = Field(None, pattern=r"^\d{4}-\d{2}$", description="YYYY-MM. Default: the last month.")
    account: str | None = None
    as_of: AwareDatetime | None = None
    limit: int = Field(50, ge=1, le=MOST_ROWS)
    skip: int = Field(0, ge=0)


class ForecastAsked(ToolArguments):
    """Arguments of `forecast`."""

    filter: FilterAsked | None = None
    group_by: list[DimensionName] = []
    as_of: AwareDatetime | None = None
    limit: int = Field(40, ge=1, le=MOST_ROWS)
    skip: int = Field(0, ge=0)


class BudgetsAsked(ToolArguments):
    """Arguments of `budget_status`."""

    as_of: AwareDatetime | None = None
    skip: int = Field(0, ge=0)


class BudgetAsked(ToolArguments):
    """Arguments of `create_budget`."""

    name: str
    amount: str
    currency: str
    cadence: Literal["MONTHLY", "QUARTERLY", "YEARLY", "BETWEEN"] = "MONTHLY"
    filters: list[FilterAsked] | None = Field(None, description="Charges that any matches; none may match two.")
    start: date | None = None
    end: date | None = None


StateName = Literal["OPEN", "ACKNOWLEDGED", "PLANNED", "FALSE", "EXPECTED", "FIXED"]


class AnomaliesAsked(ToolArguments):
    """Arguments of `list_anomalies`."""

    account: list[str] | None = None
    service: list[str] | None = None
    state: list[StateName] | None = None
    start: date | None = None
    as_of: AwareDatetime | None = None
    limit: int = Field(20, ge=1, le=MOST_ROWS)
    skip: int = Field(0, ge=0)


class AnomalyAsked(ToolArguments):
    """Arguments of `explain_anomaly`."""

    anomaly_id: str
    group_by_tag: str | None = Field(None, description="Name of a tag.")
    as_of: AwareDatetime | None = None


class AnomalyFeedbackAsked(ToolArguments):
    """Arguments of `judge_anomaly`."""

    anomaly_id: str
    state: StateName
    until: date | None = Field(None, description="PLANNED: last day.")
    up_to: str | None = Field(None, description="PLANNED: cost of a day.")
    note: str = ""


class GraphqlAsked(_Model):
    """Arguments of `run_graphql`."""

    query: str = Field(description="A document of queries.")
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


def days_of(period: PresetName | DaysAsked, today: date) -> Days:
    """The days of a period that was asked for."""
    return preset(period, today) if isinstance(period, str) else Days(period.start, period.end)


def checked(model: type[BaseModel], given: dict[str, Any]) -> Any:
    """Return the arguments as a `model`.

    Raises:
        ArgumentRefused: an argument is missing, not known, or has a value that is not accepted.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        said = dict.fromkeys(_complaint(one, model) for one in error.errors(include_url=False, include_input=False))
        raise ArgumentRefused("; ".join(said)) from None


def _complaint(error: Any, model: type[BaseModel]) -> str:
    path = [str(part) for part in error["loc"]]
    if not path:
        return str(error["msg"]).removeprefix("Value error, ")
    said = f"{error['msg'][:1].lower()}{error['msg'][1:]}"
    if path[0] in _INSTEAD:
        path, said = path[:1], _INSTEAD[path[0]]
    elif error["type"] == "extra_forbidden":
        known = FilterAsked if path[:-1] == ["filter"] else model
        said = f"use {', '.join(map(to_camel, known.model_fields))}"
    what = {"missing": "is needed", "extra_forbidden": "does not exist"}.get(error["type"], "is not accepted")
    return f"{'.'.join(path)}: {what}: {said}"


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of the arguments, without what a language model need not read: titles and docstrings."""
    schema = model.model_json_schema()
    for one in (schema, *schema.get("$defs", {}).values()):
        del one["title"], one["description"]
        for value in one["properties"].values():
            value.pop("title", None)
    return schema
