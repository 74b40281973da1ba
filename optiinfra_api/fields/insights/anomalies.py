"""anomalies, anomaly and anomalyMeasures: which days are odd, why, and how they are handled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

import numpy as np
import strawberry

from optiinfra_api.access.context import CustomerData, Info
from optiinfra_api.fields.arguments import After, AsOf, CustomerId, First
from optiinfra_api.fields.costs.money import Money
from optiinfra_api.fields.costs.trends import GroupByTag
from optiinfra_api.fields.insights.anomaly_tags import by_tag
from optiinfra_api.fields.insights.anomaly_types import (
    Anomaly,
    AnomalyBand,
    AnomalyCauses,
    AnomalyDetails,
    AnomalyKind,
    AnomalyState,
    AnomalyStateChange,
)
from optiinfra_api.fields.pagination import PageInfo, check_first, cut, decode
from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import BadValue, DateColumn, DecimalColumn, DecimalText, decimal_text, parse_date
from optiinfra_api.reading.cost_query import digest
from optiinfra_assets.analytics.anomalies import Kind
from optiinfra_assets.domain.anomalies import RESOLVED, AnomalyStatus, StateChange, StoredAnomaly
from optiinfra_assets.domain.exact_amounts import exact_sum, written
from optiinfra_assets.domain.subunits import decimal_places
from optiinfra_assets.metadata.anomalies import AnomalyFilter

_BEFORE: Final = timedelta(days=30)
_AFTER: Final = timedelta(days=15)
_MOST: Final = 10_000
_HOUR: Final = Decimal(3600)


@strawberry.input(description="Which anomalies. What is left out is not looked at.")
class AnomalyFilterInput:
    provider: list[str] | None = strawberry.field(default=None, description="Only these providers.")
    account: list[str] | None = strawberry.field(default=None, description="Only these account ids.")
    service: list[str] | None = strawberry.field(default=None, description="Only these services.")
    currency: str | None = strawberry.field(default=None, description="Only this currency.")
    kind: list[AnomalyKind] | None = strawberry.field(default=None, description="Only these kinds.")
    state: list[AnomalyState] | None = strawberry.field(default=None, description="Only these states.")
    start: date | None = strawberry.field(default=None, description="Only those with a day from this UTC day on.")
    end: date | None = strawberry.field(default=None, description="Only those with a day before this UTC day.")
    least_excess: DecimalText | None = strawberry.field(
        default=None, description="Only those that cost at least so much more, or less, than expected."
    )
    folded: bool = strawberry.field(
        default=False, description="Those too that the anomaly of their account tells already."
    )


ByFilter = Annotated[
    AnomalyFilterInput | None, strawberry.argument(description="Which anomalies. Default: all that are told.")
]
AnomalyId = Annotated[str, strawberry.argument(description="As `anomalies` shows it.")]


@strawberry.type(description="A page of anomalies, the latest first.")
class Anomalies:
    nodes: list[Anomaly] = strawberry.field(description="The anomalies of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")
    judged_at: datetime | None = strawberry.field(
        description="When days were judged last. Null: never, so there are no anomalies yet."
    )
    data_through: datetime | None = strawberry.field(
        description="The costs that were judged are complete up to this instant, exclusive. Null: nobody tells."
    )
    is_simulated: bool = strawberry.field(description="Some of the costs come from a simulator or sample files.")


@strawberry.type(description="How many anomalies have a state.")
class AnomalyStateCount:
    state: AnomalyState = strawberry.field(description="The state.")
    count: int = strawberry.field(description="How many.")


@strawberry.type(description="What anomalies cost and how they are handled.")
class AnomalyMeasures:
    count: int = strawberry.field(description="How many there are.")
    excess: list[Money] = strawberry.field(description="What they cost beyond what was expected, by currency.")
    projected_impact: list[Money] = strawberry.field(description="What they will have cost by the end of their months.")
    by_state: list[AnomalyStateCount] = strawberry.field(description="How many have each state.")
    hours_to_acknowledge: DecimalText | None = strawberry.field(
        description="Mean hours until somebody said something of those of which somebody did. Null: nobody did."
    )
    hours_to_resolve: DecimalText | None = strawberry.field(
        description="Mean hours until they were planned, false, expected or fixed, of those that are. Null: none is."
    )


@strawberry.type
class AnomaliesQuery:
    @resolved("Odd days of accounts and services, merged into anomalies, in pages, the latest first.")
    async def anomalies(
        self,
        info: Info,
        first: First,
        after: After = None,
        customer_id: CustomerId = None,
        filter: ByFilter = None,
        as_of: AsOf = None,
    ) -> Anomalies | None:
        check_first(first)
        data = await info.context.data_of(customer_id)
        asked = asked_of(filter, as_of)
        bound = digest("anomalies", data.customer_id, asked.values(""))
        page = replace(asked, after=_place(after, bound), most=first + 1)
        found = await data.read(data.services.metadata.anomalies.find, page)
        shown, page_info = cut(bound, found, first, lambda one: (str(one.last_day), one.anomaly_id))
        refresh = await data.read(data.services.metadata.anomalies.refreshed, as_of)
        return Anomalies(
            nodes=[Anomaly(**Anomaly.fields_of(one)) for one in shown],
            page_info=page_info,
            judged_at=refresh.made_at if refresh else None,
            data_through=refresh.data_through if refresh else None,
            is_simulated=bool(refresh and refresh.is_simulated),
        )

    @resolved("One anomaly with its causes, its band and what was said of it. Null: there is none with that id.")
    async def anomaly(
        self,
        info: Info,
        anomaly_id: AnomalyId,
        customer_id: CustomerId = None,
        as_of: AsOf = None,
        group_by_tag: GroupByTag = None,
    ) -> AnomalyDetails | None:
        data = await info.context.data_of(customer_id)
        repository = data.services.metadata.anomalies
        found = await data.read(repository.find, AnomalyFilter(anomaly_id=anomaly_id, is_folded=True, as_of=as_of))
        return await _details(data, found[0], as_of, group_by_tag) if found else None

    @resolved("How many anomalies there are, what they cost, and how long it took to acknowledge and to resolve them.")
    async def anomaly_measures(
        self, info: Info, customer_id: CustomerId = None, filter: ByFilter = None, as_of: AsOf = None
    ) -> AnomalyMeasures | None:
        data = await info.context.data_of(customer_id)
        repository = data.services.metadata.anomalies
        found = await data.read(repository.find, replace(asked_of(filter, as_of), most=_MOST))
        histories = await data.read(repository.histories, [one.anomaly_id for one in found], as_of)
        return _measures(found, histories)


def asked_of(given: AnomalyFilterInput | None, as_of: datetime | None) -> AnomalyFilter:
    """Return what is asked for.

    Raises:
        InvalidArgument: an argument of the filter is not accepted.
    """
    given = given or AnomalyFilterInput()
    if given.start and given.end and given.end <= given.start:
        raise InvalidArgument(f"end: {given.end} is not after start: {given.start}", "Use a later `end`.")
    return AnomalyFilter(
        providers=tuple(given.provider or ()),
        accounts=tuple(given.account or ()),
        services=tuple(given.service or ()),
        currency=given.currency,
        kinds=tuple(one.value for one in given.kind or ()),
        states=tuple(one.value for one in given.state or ()),
        start=given.start,
        end=given.end,
        least=None if given.least_excess is None else amount_of("leastExcess", given.least_excess),
        is_folded=given.folded,
        as_of=as_of,
    )


def amount_of(name: str, text: str) -> Decimal:
    """Parse an amount that is not negative. Raises InvalidArgument if it is none."""
    try:
        return written(name, text)
    except ValueError:
        raise InvalidArgument(
            f"{name}: {text[:100]!r} is not accepted", "Use a number from 0 on, such as 1250.50."
        ) from None


def _place(after: str | None, asked: str) -> tuple[str, str] | None:
    """The last day and the id of the last row of the page before; None for the first page."""
    if after is None:
        return None
    day, anomaly_id = decode(after, asked, (str, str)).position
    try:
        parse_date(day)
    except BadValue:
        raise InvalidArgument("after: not a cursor of this service", "Use `endCursor` of the page before.") from None
    return day, anomaly_id


async def _details(data: CustomerData, one: StoredAnomaly, as_of: datetime | None, tag: str | None) -> AnomalyDetails:
    repository = data.services.metadata.anomalies
    start, end = one.first_day - _BEFORE, one.last_day + _AFTER
    history = await data.read(repository.history, one.anomaly_id, as_of)
    days = await data.read(repository.expectations, start, end, as_of)
    children = await data.read(
        repository.find, AnomalyFilter(accounts=(one.series.account,), is_folded=True, as_of=as_of, start=start)
    )
    shown = [(day, found) for day in sorted(days) if (found := days[day].day_of(one.series)) is not None]
    digits = decimal_places(one.series.currency)

    def column(name: str) -> DecimalColumn:
        amounts = (float(np.nan_to_num(getattr(found, name))) for _, found in shown)
        return DecimalColumn([decimal_text(Decimal(f"{amount:.{digits}f}")) for amount in amounts])

    return AnomalyDetails(
        **Anomaly.fields_of(one),
        causes=AnomalyCauses.of(one.causes, await by_tag(data, one, tag, as_of) if tag else None),
        band=AnomalyBand(
            dates=DateColumn([str(day) for day, _ in shown]),
            cost=column("cost"),
            expected=column("expected"),
            lower=column("lower"),
            upper=column("upper"),
            odd=[found.kind is not Kind.NONE for _, found in shown],
        ),
        history=[AnomalyStateChange.of(change) for change in history],
        folded=[Anomaly(**Anomaly.fields_of(child)) for child in children if child.folded_into == one.anomaly_id],
    )


def _measures(found: Sequence[StoredAnomaly], histories: Iterable[StateChange]) -> AnomalyMeasures:
    said: dict[str, list[StateChange]] = defaultdict(list)
    for change in histories:
        said[change.anomaly_id].append(change)
    touched = [
        (one.found_at, min(step.set_at for step in steps))
        for one in found
        if (steps := [step for step in said[one.anomaly_id] if step.state is not AnomalyStatus.OPEN])
    ]
    resolved_at = [(one.found_at, one.state.set_at) for one in found if one.state and one.said in RESOLVED]
    return AnomalyMeasures(
        count=len(found),
        excess=_by_currency((one.series.currency, one.excess) for one in found),
        projected_impact=_by_currency((one.series.currency, one.projected) for one in found),
        by_state=[
            AnomalyStateCount(state=state, count=count)
            for state in AnomalyState
            if (count := sum(one.said.value == state.value for one in found))
        ],
        hours_to_acknowledge=_mean_hours(touched),
        hours_to_resolve=_mean_hours(resolved_at),
    )


def _by_currency(amounts: Iterable[tuple[str, Decimal]]) -> list[Money]:
    sums: dict[str, list[Decimal]] = defaultdict(list)
    for currency, amount in amounts:
        sums[currency].append(amount)
    return [Money(amount=decimal_text(exact_sum(some)), currency=currency) for currency, some in sorted(sums.items())]


def _mean_hours(spans: Sequence[tuple[datetime, datetime]]) -> DecimalText | None:
    if not spans:
        return None
    seconds: Any = sum(((until - since).total_seconds() for since, until in spans), 0.0) / len(spans)
    return decimal_text((Decimal(repr(seconds)) / _HOUR).quantize(Decimal("0.1")))
