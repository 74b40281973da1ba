"""collectionHistory and collectionStatus: what was collected, when, who triggered it, and how it ended."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import After, ByAccount, ByProvider, CustomerId, First
from optiinfra_api.fields.costs.money import Money
from optiinfra_api.fields.from_record import from_record, of_slice
from optiinfra_api.fields.pagination import PageInfo, check_first, cut, decode
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import Count, decimal_text
from optiinfra_api.reading.cost_query import digest
from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.source_warnings import SourceWarning as Stored
from optiinfra_assets.metadata import collections as store
from optiinfra_assets.metadata.collections import TaskStatus

SHOWN_COLLECTIONS = 1000


@strawberry.enum(description="Who asked for a collection.")
class CollectionTrigger(Enum):
    SCHEDULE = described("schedule", "The schedule, after a probe saw a change.")
    BACKFILL = described("backfill", "A new account.")
    API = described("api", "`triggerCollection`.")
    CLI = described("cli", "The command line.")
    UI = described("ui", "Somebody in Dagster.")
    RETRY = described("retry", "A run that had failed.")


@strawberry.enum(description="How the collection of one slice stands.")
class CollectionStatus(Enum):
    QUEUED = described("queued", "Waits for its run.")
    RUNNING = described("running", "Is being collected.")
    RETRYING = described("retrying", "Failed for now, and will be tried again.")
    SUCCEEDED = described("succeeded", "Published.")
    UNCHANGED = described("unchanged", "Collected, and equal to what is published.")
    FAILED = described("failed", "Ended with an error.")
    CANCELED = described("canceled", "Ended before its end.")


@strawberry.enum(description="How a task stands as a whole.")
class TaskState(Enum):
    QUEUED = described("queued", "Nothing of it has begun.")
    RUNNING = described("running", "Some of it is being collected.")
    RETRYING = described("retrying", "Some of it failed for now, and will be tried again.")
    SUCCEEDED = described("succeeded", "All of it ended well, also if nothing had changed.")
    FAILED = described("failed", "Some of it ended with an error.")
    CANCELED = described("canceled", "It ended before its end.")


@strawberry.type(
    description="What a source lacked, what was skipped, or what was read although it is not quite as documented. No amount is wrong."
)
class SourceWarning:
    code: str = strawberry.field(description="Stable name for programs, such as `file-skipped`.")
    message: str = strawberry.field(description="What happened, and what follows from it.")
    count: Count = strawberry.field(description="How many times.")
    example: str = strawberry.field(description="Where it happened first. Empty: there is nothing to name.")

    @classmethod
    def of(cls, stored: Stored) -> SourceWarning:
        """Make one from its record."""
        return from_record(cls, stored)


@strawberry.type(description="The collection of one slice (account and billing period) within one task.")
class Collection:
    id: Count = strawberry.field(description="Grows with every collection.")
    task_id: str = strawberry.field(description="Everything that one trigger asked for.")
    trigger: CollectionTrigger = strawberry.field(description="Who asked.")
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    account: str = strawberry.field(description="Account id of this platform.")
    billing_period: str = strawberry.field(description="Month of the invoice, `YYYY-MM`.")
    status: CollectionStatus = strawberry.field(description="How it stands.")
    attempt: int = strawberry.field(description="1, and one more for each retry.")
    queued_at: datetime = strawberry.field(description="When it was asked for.")
    started_at: datetime | None = strawberry.field(description="When its last attempt began.")
    ended_at: datetime | None = strawberry.field(description="When it ended.")
    generation: Count | None = strawberry.field(description="The generation it published. Null: none.")
    line_items: Count | None = strawberry.field(description="Line items collected. Null: it has not ended well.")
    requests: Count = strawberry.field(description="Requests made to the provider.")
    request_cost: Money = strawberry.field(description="What the provider charges for them.")
    error: str | None = strawberry.field(description="Why it failed, or why it is being retried.")
    run_id: str | None = strawberry.field(description="The Dagster run.")
    warnings: list[SourceWarning] = strawberry.field(
        description="What it lacked, skipped or read leniently. Empty: nothing, or it has not ended well."
    )

    @classmethod
    def of(cls, row: store.CollectionRecord) -> Collection:
        """Make one from a row of the history."""
        return from_record(
            cls,
            row,
            **of_slice(row.slice),
            line_items=row.rows,
            request_cost=Money(amount=decimal_text(row.request_cost), currency="USD"),
            warnings=[SourceWarning.of(one) for one in row.warnings],
        )


@strawberry.type(description="A page of the history, newest first.")
class CollectionHistory:
    nodes: list[Collection] = strawberry.field(description="The collections of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.type(description="Everything that one trigger asked for, and how it stands.")
class CollectionTask:
    task_id: str = strawberry.field(description="Its id.")
    state: TaskState = strawberry.field(description="How it stands as a whole.")
    total: int = strawberry.field(description="Slices asked for.")
    done: int = strawberry.field(description="Slices that have ended.")
    error: str | None = strawberry.field(description="The first error of a slice.")
    collections: list[Collection] = strawberry.field(
        description=f"The slices in the order they were queued; the first {SHOWN_COLLECTIONS}."
    )

    @classmethod
    def of(cls, status: TaskStatus) -> CollectionTask:
        """Make one from its record."""
        return from_record(
            cls,
            status,
            total=len(status.slices),
            collections=[Collection.of(row) for row in status.slices[:SHOWN_COLLECTIONS]],
        )


ByBillingPeriod = Annotated[
    str | None, strawberry.argument(description="Only this billing period, `YYYY-MM`. Default: all.")
]
ByStatus = Annotated[CollectionStatus | None, strawberry.argument(description="Only this status. Default: all.")]
TaskId = Annotated[str, strawberry.argument(description="As `triggerCollection` answered.")]


@strawberry.type
class HistoryQuery:
    @resolved("What was collected, newest first, in pages.")
    async def collection_history(
        self,
        info: Info,
        first: First,
        after: After = None,
        customer_id: CustomerId = None,
        provider: ByProvider = None,
        account: ByAccount = None,
        billing_period: ByBillingPeriod = None,
        status: ByStatus = None,
    ) -> CollectionHistory | None:
        check_first(first)
        filters = {
            "provider": provider,
            "account_id": account,
            "billing_period": None if billing_period is None else billing_period_of(billing_period),
            "status": None if status is None else status.value,
        }
        data = await info.context.data_of(customer_id)
        asked = digest("history", data.customer_id, filters)
        before = None if after is None else decode(after, asked, (int,)).position[0]
        history = data.services.metadata.collections.history
        rows = await data.read(history, **filters, first=first + 1, before=before)
        shown, page_info = cut(asked, rows, first, lambda row: (row.id,))
        return CollectionHistory(
            nodes=[Collection.of(row) for row in shown],
            page_info=page_info,
        )

    @resolved("How a task stands. Null: there is no such task of this customer.")
    async def collection_status(
        self, info: Info, task_id: TaskId, customer_id: CustomerId = None
    ) -> CollectionTask | None:
        data = await info.context.data_of(customer_id)
        try:
            status = await data.read(data.services.metadata.collections.task_status, task_id)
        except RecordNotFound:
            return None
        return CollectionTask.of(status)


def billing_period_of(text: str, name: str = "billingPeriod") -> BillingPeriod:
    """Parse the argument `name`.

    Raises:
        InvalidArgument: `text` is not ``YYYY-MM``, or no month that a charge can be of.
    """
    try:
        return BillingPeriod.parse(text)
    except ValueError:
        raise InvalidArgument(f"{name}: {text[:100]!r} is not accepted", "Use YYYY-MM, such as 2026-11.") from None
