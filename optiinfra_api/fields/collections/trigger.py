"""triggerCollection and cancelCollection: start collecting costs now, or cancel a task. Both answer without waiting for collections."""

from __future__ import annotations

from typing import Annotated

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import ByAccount, CustomerId
from optiinfra_api.fields.collections.history import TaskId, billing_period_of
from optiinfra_api.fields.refusal import Refusal
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.http.request_log import current_request
from optiinfra_assets.database import errors


@strawberry.type(description="The collection is queued.")
class CollectionQueued:
    task_id: str = strawberry.field(description="For `collectionStatus`.")
    slices: int = strawberry.field(description="Accounts and billing periods that will be collected.")


@strawberry.type(description="No active account matches.")
class NothingToCollect(Refusal):
    pass


@strawberry.type(description="The billing period cannot be collected.")
class BillingPeriodNotAccepted(Refusal):
    pass


@strawberry.type(description="Dagster does not answer, or could not do all of it; the message says what was done.")
class DagsterUnavailable(Refusal):
    pass


@strawberry.type(description="This customer has as many collections asked for and not ended as it may.")
class TooManyOpenCollections(Refusal):
    pass


TriggerResult = Annotated[
    CollectionQueued | NothingToCollect | BillingPeriodNotAccepted | TooManyOpenCollections | DagsterUnavailable,
    strawberry.union("TriggerCollectionResult", description="The task, or why there is none."),
]
OfProvider = Annotated[str | None, strawberry.argument(description="Only accounts at this provider. Default: all.")]
OfBillingPeriod = Annotated[
    str | None,
    strawberry.argument(description="Only this billing period, `YYYY-MM`. Default: all that the source has."),
]


@strawberry.type(description="What the task still had to collect will not be collected.")
class CollectionCanceled:
    task_id: str = strawberry.field(description="The task.")
    slices: int = strawberry.field(
        description="Accounts and billing periods that will not be collected. What is published already stays."
    )


@strawberry.type(description="There is no such task of this customer.")
class TaskNotFound(Refusal):
    pass


CancelResult = Annotated[
    CollectionCanceled | TaskNotFound | DagsterUnavailable,
    strawberry.union("CancelCollectionResult", description="What was canceled, or why nothing was."),
]


def _dagster_unavailable(consequence: str) -> DagsterUnavailable:
    return DagsterUnavailable(
        code="DAGSTER_UNAVAILABLE",
        message=f"Dagster does not answer; {consequence}",
        remedy="Try again in a minute; if it persists, ask whoever runs this platform.",
    )


@strawberry.type
class CollectingMutation:
    @resolved(
        "Have costs collected now; for operators. The sources are asked first; what did not change publishes nothing. What is asked for "
        "already is answered with the task of the first who asked. "
        "Without a billing period: what is due, and the current month and the one before."
    )
    async def trigger_collection(
        self,
        info: Info,
        customer_id: CustomerId = None,
        provider: OfProvider = None,
        account: ByAccount = None,
        billing_period: OfBillingPeriod = None,
    ) -> TriggerResult | None:
        info.context.require("operator")
        period = None if billing_period is None else billing_period_of(billing_period)
        data = await info.context.data_of(customer_id)
        try:
            async with data.services.collecting.of(data.customer_id):
                task = await data.run(
                    data.services.collect, provider=provider, account_id=account, billing_period=period
                )
        except errors.NothingToCollect as error:
            return NothingToCollect(
                code="NOTHING_TO_COLLECT", message=str(error), remedy="Name an account that is connected."
            )
        except ValueError as error:
            return BillingPeriodNotAccepted(
                code="BILLING_PERIOD_NOT_ACCEPTED", message=str(error), remedy="Name another billing period."
            )
        except errors.TooManyOpenRequests as error:
            return TooManyOpenCollections(
                code="TOO_MANY_OPEN_COLLECTIONS",
                message=str(error),
                remedy="Wait until some of them have ended, or cancel some by `cancelCollection`.",
            )
        except errors.DagsterUnavailable:
            return _dagster_unavailable("nothing is queued")
        current_request().task_id = task.task_id
        return CollectionQueued(task_id=task.task_id, slices=len(task.slices))

    @resolved("End what a task still has to collect; for operators. What it has published stays.")
    async def cancel_collection(
        self, info: Info, task_id: TaskId, customer_id: CustomerId = None
    ) -> CancelResult | None:
        info.context.require("operator")
        data = await info.context.data_of(customer_id)
        try:
            slices = await data.run(data.services.cancel, task_id)
        except errors.RecordNotFound:
            return TaskNotFound(
                code="TASK_NOT_FOUND",
                message=f"taskId: {task_id!r} does not exist",
                remedy="Use the task id that `triggerCollection` answered.",
            )
        except errors.RunTerminationFailed:
            return DagsterUnavailable(
                code="DAGSTER_UNAVAILABLE",
                message="Dagster could not end a run; the task is canceled, and the run leaves alone what it has not published",
                remedy="Cancel it again in a minute to see whether the run has ended.",
            )
        except errors.DagsterUnavailable:
            return _dagster_unavailable("nothing is canceled")
        return CollectionCanceled(task_id=task_id, slices=slices)
