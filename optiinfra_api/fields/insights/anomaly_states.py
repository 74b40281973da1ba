"""setAnomalyState: what a person says of an anomaly, which teaches how later days are judged."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import CustomerId
from optiinfra_api.fields.insights.anomalies import AnomalyId, amount_of
from optiinfra_api.fields.insights.anomaly_types import Anomaly, AnomalyState
from optiinfra_api.fields.refusal import Refusal
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import DecimalText
from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain import anomalies as domain


@strawberry.type(description="What was said is stored.")
class AnomalyStateSet:
    anomaly: Anomaly = strawberry.field(description="The anomaly as it is now.")


@strawberry.type(description="Something of what was said is not accepted.")
class AnomalyStateNotAccepted(Refusal):
    pass


@strawberry.type(description="There is no such anomaly.")
class AnomalyNotFound(Refusal):
    pass


SetResult = Annotated[
    AnomalyStateSet | AnomalyStateNotAccepted | AnomalyNotFound,
    strawberry.union("SetAnomalyStateResult", description="The anomaly, or why nothing was stored."),
]
State = Annotated[AnomalyState, strawberry.argument(description="What to say of it.")]
Until = Annotated[
    date | None, strawberry.argument(description="With PLANNED: the last day for which it is. Default: no end.")
]
UpTo = Annotated[
    DecimalText | None, strawberry.argument(description="With PLANNED: the cost of a day that is. Default: any.")
]
Note = Annotated[str, strawberry.argument(description=f"Why, at most {domain.LONGEST_NOTE} characters.")]


@strawberry.type
class AnomaliesMutation:
    @resolved("Say what an anomaly is; for operators. It teaches the days after those that the anomaly has.")
    async def set_anomaly_state(
        self,
        info: Info,
        anomaly_id: AnomalyId,
        state: State,
        until: Until = None,
        up_to: UpTo = None,
        note: Note = "",
        customer_id: CustomerId = None,
    ) -> SetResult | None:
        info.context.require("operator")
        info.context.require_may_change()
        data = await info.context.data_of(customer_id)
        amount = None if up_to is None else amount_of("upTo", up_to)
        try:
            found = await data.run(
                data.services.metadata.anomalies.say,
                anomaly_id,
                domain.AnomalyStatus(state.value),
                until_day=until,
                up_to=amount,
                note=note,
                principal=info.context.principal,
                now=data.services.clock(),
            )
        except RecordNotFound as error:
            remedy = "Use an anomalyId that `anomalies` shows."
            return AnomalyNotFound(code="ANOMALY_NOT_FOUND", message=str(error), remedy=remedy)
        except ValueError as error:
            return AnomalyStateNotAccepted(
                code="ANOMALY_STATE_NOT_ACCEPTED", message=str(error), remedy="Change what the message names."
            )
        return AnomalyStateSet(anomaly=Anomaly(**Anomaly.fields_of(found)))
