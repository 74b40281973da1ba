"""The GraphQL types of anomalies: what is odd, why, and what people say of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import strawberry

from optiinfra_api.fields.costs.money import Money
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.scalars import DateColumn, DateText, DecimalColumn, DecimalText, decimal_text
from optiinfra_assets.analytics.effects import rounded_ratio
from optiinfra_assets.analytics.stored_causes import AMOUNTS
from optiinfra_assets.domain import anomalies as domain
from optiinfra_assets.domain.anomalies import StateChange, StoredAnomaly


@strawberry.enum(description="What is odd about the first day of an anomaly.")
class AnomalyKind(Enum):
    RISE = described("RISE", "It cost more than the band allows.")
    DROP = described("DROP", "Four days cost less than half of what was expected.")
    LEAK = described("LEAK", "Four weeks cost a fifth more than the four before, week by week, and moved less before.")
    NEW = described("NEW", "A series that had no costs has.")


@strawberry.enum(description="What people say of an anomaly. What they say teaches how later days are judged.")
class AnomalyState(Enum):
    OPEN = described(domain.AnomalyStatus.OPEN.value, "Nobody said anything, or somebody opened it again.")
    ACKNOWLEDGED = described(domain.AnomalyStatus.ACKNOWLEDGED.value, "Somebody looks into it.")
    PLANNED = described(domain.AnomalyStatus.PLANNED.value, "It is planned: until a day, or up to a cost of a day.")
    FALSE = described(domain.AnomalyStatus.FALSE.value, "It is none: the band of its series gets wider than that.")
    EXPECTED = described(domain.AnomalyStatus.EXPECTED.value, "The level since its first day is right from now on.")
    FIXED = described(domain.AnomalyStatus.FIXED.value, "What caused it is over; if it comes back, it is told again.")


@strawberry.type(description="What a person said of an anomaly.")
class AnomalyStateChange:
    state: AnomalyState = strawberry.field(description="What.")
    set_at: datetime = strawberry.field(description="When.")
    author_name: str = strawberry.field(description="Name of the token that said it.")
    until: DateText | None = strawberry.field(description="The last day for which it is planned. Null: no end.")
    up_to: DecimalText | None = strawberry.field(description="The cost of a day that is planned. Null: any.")
    note: str = strawberry.field(description="Why.")

    @classmethod
    def of(cls, one: StateChange) -> AnomalyStateChange:
        """Make one from its record."""
        return cls(
            state=AnomalyState(one.state.value),
            set_at=one.set_at,
            author_name=one.author_name,
            until=None if one.until_day is None else DateText(str(one.until_day)),
            up_to=None if one.up_to is None else decimal_text(one.up_to),
            note=one.note,
        )


@strawberry.type(description="Odd days of one account, or of a service of it, that are told of once.")
class Anomaly:
    anomaly_id: str = strawberry.field(description="Its id; it stays while its days change.")
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    account: str = strawberry.field(description="Account id of this platform.")
    service: str | None = strawberry.field(description="Service. Null: the whole account.")
    kind: AnomalyKind = strawberry.field(description="What is odd about its first day.")
    first_day: DateText = strawberry.field(description="The first odd UTC day.")
    last_day: DateText = strawberry.field(description="The last odd UTC day so far.")
    odd_days: int = strawberry.field(description="How many days of them are odd.")
    cost: Money = strawberry.field(description="What the odd days cost, exact: billed cost of usage.")
    expected: Money = strawberry.field(description="What was expected of them.")
    excess: Money = strawberry.field(description="`cost` less `expected`; negative for a drop.")
    excess_percent: DecimalText | None = strawberry.field(
        description="`excess` in percent of `expected`. Null: nothing was expected."
    )
    projected_impact: Money = strawberry.field(
        description="What it will have cost beyond what was expected by the end of the month of its last day."
    )
    score: DecimalText = strawberry.field(description="How many times the width of the band its oddest day lies off.")
    state: AnomalyState = strawberry.field(description="What was said of it last.")
    said: AnomalyStateChange | None = strawberry.field(description="Who said that. Null: nobody said anything.")
    folded_into: str | None = strawberry.field(
        description="The anomaly of the account that tells the same. Null: it is told of itself."
    )
    found_at: datetime = strawberry.field(description="When it was found.")
    changed_at: datetime = strawberry.field(description="Since when it is as it is here.")
    is_simulated: bool = strawberry.field(description="Its figures come from a simulator or sample files.")
    sentence: str = strawberry.field(description="All of that in one sentence.")

    @classmethod
    def fields_of(cls, one: StoredAnomaly) -> dict[str, Any]:
        """Return the fields of one from its record."""
        currency, expected, excess = one.series.currency, one.expected, one.excess
        ratio = rounded_ratio(Decimal(100), excess, expected).quantize(Decimal("0.1")) if expected else None
        return {
            "anomaly_id": one.anomaly_id,
            "provider": one.series.provider,
            "account": one.series.account,
            "service": one.series.service or None,
            "kind": AnomalyKind(one.kind),
            "first_day": DateText(str(one.first_day)),
            "last_day": DateText(str(one.last_day)),
            "odd_days": len(one.days),
            "cost": _money(one.cost, currency),
            "expected": _money(expected, currency),
            "excess": _money(excess, currency),
            "excess_percent": None if ratio is None else decimal_text(ratio),
            "projected_impact": _money(one.projected, currency),
            "score": decimal_text(Decimal(repr(one.score))),
            "state": AnomalyState(one.said.value),
            "said": None if one.state is None else AnomalyStateChange.of(one.state),
            "folded_into": one.folded_into,
            "found_at": one.found_at,
            "changed_at": one.made_at,
            "is_simulated": one.is_simulated,
            "sentence": sentence(one, ratio),
        }


@strawberry.type(
    description="What one value of a dimension has to do with the excess; price + usage + new + gone is the excess, exactly."
)
class AnomalyContribution:
    value: str | None = strawberry.field(description="The value. Null: charges without one.")
    expected: DecimalText = strawberry.field(description="What was expected of it.")
    cost: DecimalText = strawberry.field(description="What it cost.")
    excess: DecimalText = strawberry.field(description="What it cost beyond that.")
    price: DecimalText = strawberry.field(description="Of which: change of unit prices times old quantities.")
    usage: DecimalText = strawberry.field(
        description="Change of quantities times new unit prices; all of the change where quantities are not known."
    )
    new: DecimalText = strawberry.field(description="What was not there before.")
    gone: DecimalText = strawberry.field(description="What is not there any more; negative.")

    @classmethod
    def of(cls, one: Mapping[str, Any]) -> AnomalyContribution:
        """Make one from its JSON."""
        return cls(value=one["value"], **{name: DecimalText(one[name]) for name in AMOUNTS})


@strawberry.type(description="One value that holds at least 70 % of what the steps before it left.")
class AnomalyCauseStep:
    dimension: str = strawberry.field(description="`service`, `sub account`, `region`, `SKU` or `resource`.")
    share: DecimalText = strawberry.field(description="Its part of the whole excess.")
    contribution: AnomalyContribution = strawberry.field(description="What it has to do with it.")


@strawberry.type(
    description="What the values of one dimension have to do with an excess; all of it is in them and the others."
)
class AnomalyDimension:
    dimension: str = strawberry.field(
        description="`service`, `sub account`, `region`, `SKU` or `resource`; `tag` if one was asked for."
    )
    total: AnomalyContribution = strawberry.field(
        description="All of it. Its parts of price and usage depend on what charges are told apart by."
    )
    contributors: list[AnomalyContribution] = strawberry.field(description="At most five, the largest first.")
    others: AnomalyContribution = strawberry.field(description="All other values beside them, together.")
    explained: DecimalText = strawberry.field(description="The part of the excess that the named contributors have.")

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> AnomalyDimension:
        """Make one from its JSON."""
        return cls(
            dimension=found["dimension"],
            total=AnomalyContribution.of(found["total"]),
            contributors=[AnomalyContribution.of(one) for one in found["contributors"]],
            others=AnomalyContribution.of(found["others"]),
            explained=DecimalText(found["explained"]),
        )


@strawberry.type(description="Where an excess comes from.")
class AnomalyCauses:
    total: AnomalyContribution = strawberry.field(description="All of it.")
    path: list[AnomalyCauseStep] = strawberry.field(description="From the widest to the narrowest.")
    dimension: str | None = strawberry.field(description="What the contributors are values of. Null: nothing is known.")
    contributors: list[AnomalyContribution] = strawberry.field(
        description="The values that tell most, inside the path so far: at most five, the largest first."
    )
    others: AnomalyContribution = strawberry.field(description="All other values beside them, together.")
    explained: DecimalText = strawberry.field(description="The part of the excess that the named contributors have.")
    by_dimension: list[AnomalyDimension] = strawberry.field(
        description="The whole excess by each dimension alone, and by the tag that is asked for."
    )

    @classmethod
    def of(cls, found: Mapping[str, Any], tag: Mapping[str, Any] | None) -> AnomalyCauses:
        """Make one from its JSON, and from that of the tag that is asked for."""
        named = AnomalyDimension.of(found)
        dimensions = [*found.get("by_dimension", ()), *((tag,) if tag else ())]
        return cls(
            total=AnomalyContribution.of(found["total"]),
            path=[
                AnomalyCauseStep(
                    dimension=step["dimension"],
                    share=DecimalText(step["share"]),
                    contribution=AnomalyContribution.of(step),
                )
                for step in found["path"]
            ],
            dimension=named.dimension or None,
            contributors=named.contributors,
            others=named.others,
            explained=named.explained,
            by_dimension=[AnomalyDimension.of(one) for one in dimensions],
        )


@strawberry.type(description="Days around an anomaly: what its series cost, and what was expected.")
class AnomalyBand:
    dates: DateColumn = strawberry.field(description="Final UTC days that were judged.")
    cost: DecimalColumn = strawberry.field(description="What each cost.")
    expected: DecimalColumn = strawberry.field(description="What was expected of each; 0 before anything could be.")
    lower: DecimalColumn = strawberry.field(description="The lower end of its band.")
    upper: DecimalColumn = strawberry.field(description="The upper end.")
    odd: list[bool] = strawberry.field(description="Whether each is odd.")


@strawberry.type(description="An anomaly with its causes, its band and what was said of it.")
class AnomalyDetails(Anomaly):
    causes: AnomalyCauses = strawberry.field(description="Where the excess comes from.")
    band: AnomalyBand = strawberry.field(description="The days from 30 before it to 14 after it.")
    history: list[AnomalyStateChange] = strawberry.field(description="What people said of it, oldest first.")
    folded: list[Anomaly] = strawberry.field(description="Anomalies of services that it tells too.")


def sentence(one: StoredAnomaly, percent: Decimal | None) -> str:
    """Say what an anomaly is in one sentence, with its figures and their currency."""
    what = one.series.service or "the whole account"
    days = str(one.first_day) if len(one.days) == 1 else f"{one.first_day} to {one.last_day}"
    excess = decimal_text(abs(one.excess).quantize(Decimal("0.01")))
    way = "less" if one.excess < 0 else "more"
    share = "" if percent is None else f" ({decimal_text(abs(percent))} %)"
    return f"{what} of {one.series.account} cost {excess} {one.series.currency}{share} {way} than expected on {days}"


def _money(amount: Decimal, currency: str) -> Money:
    return Money(amount=decimal_text(amount), currency=currency)
