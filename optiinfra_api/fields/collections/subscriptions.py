"""collectionEvents and publicationEvents: events from now on, from an instant on, or from a cursor on.

Each subscription polls the databases every `POLL_SECONDS` for new events, so that it sees the events of every process, and a client that
reconnects with its last cursor misses none. Publications are read with an overlap, because the time of a publication is chosen before
the publication is visible: after a reconnection an event may come again, with the same generation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import strawberry

from optiinfra_api.access.context import CustomerData, Info
from optiinfra_api.fields.arguments import CustomerId
from optiinfra_api.fields.collections.history import CollectionStatus, CollectionTrigger
from optiinfra_api.fields.costs.arguments import Filter, cost_query
from optiinfra_api.fields.from_record import from_record, of_slice
from optiinfra_api.fields.pagination import Cursor, decode, from_micros, to_micros
from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.graphql.scalars import Count
from optiinfra_api.reading.cost_query import CostQuery, digest
from optiinfra_assets.domain.publications import PublishedGeneration
from optiinfra_assets.metadata import events as store
from optiinfra_assets.warehouse.lineage import published_since

POLL_SECONDS: Final = 1.0
EVENTS_AT_ONCE: Final = 500

OVERLAP: Final = timedelta(minutes=2)
"""Between choosing the time of a publication and its visibility lies one insert; two minutes allow for a server that hung."""

REMEMBERED: Final = 200
"""Most generations that a cursor lists as delivered already."""


@strawberry.type(description="The collection of a slice now stands so.")
class CollectionEvent:
    cursor: str = strawberry.field(description="Give it as `after` to go on from here.")
    at: datetime = strawberry.field(description="When it came to stand so.")
    task_id: str = strawberry.field(description="Everything that one trigger asked for.")
    trigger: CollectionTrigger = strawberry.field(description="Who asked.")
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    account: str = strawberry.field(description="Account id of this platform.")
    billing_period: str = strawberry.field(description="Month of the invoice, `YYYY-MM`.")
    status: CollectionStatus = strawberry.field(description="How it stands.")
    attempt: int = strawberry.field(description="1, and one more for each retry.")
    generation: Count | None = strawberry.field(description="The generation it published. Null: none.")
    line_items: Count | None = strawberry.field(description="Line items collected. Null: it has not ended well.")
    error: str | None = strawberry.field(description="Why it failed, or why it is being retried.")

    @classmethod
    def of(cls, event: store.CollectionEvent, asked: str) -> CollectionEvent:
        """Make one from its record, with a cursor for the query digest `asked`."""
        cursor = Cursor(asked, None, "", event.place).encode()
        return from_record(cls, event, cursor=cursor, line_items=event.rows, **of_slice(event.slice))


@strawberry.type(description="A generation of a slice that readers see from now on.")
class PublicationEvent:
    cursor: str = strawberry.field(description="Give it as `after` to go on from here.")
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    account: str = strawberry.field(description="Account id of this platform.")
    billing_period: str = strawberry.field(description="Month of the invoice, `YYYY-MM`.")
    generation: Count = strawberry.field(
        description="Its number. An event may come again after a reconnection, with the same number."
    )
    published_at: datetime = strawberry.field(description="From when readers see it.")
    line_items: Count = strawberry.field(description="How many line items it has.")
    data_through: datetime | None = strawberry.field(
        description="Its charges are complete up to this instant (exclusive). Null: unknown."
    )
    is_final: bool = strawberry.field(description="The provider will not change the period any more.")
    is_simulated: bool = strawberry.field(description="The figures come from a simulator or sample files.")


AfterEvent = Annotated[
    str | None,
    strawberry.argument(description="`cursor` of the last event that was seen. Default: only what is new."),
]
SinceEvent = Annotated[
    datetime | None,
    strawberry.argument(
        description="Begin with what happened from this instant on (inclusive), as far as it is kept. Not together with `after`."
    ),
]
OfTask = Annotated[
    str | None,
    strawberry.argument(description="Only this task, as `triggerCollection` answered. Default: all."),
]


async def _collection_events(
    info: Info,
    after: AfterEvent = None,
    since: SinceEvent = None,
    task_id: OfTask = None,
    customer_id: CustomerId = None,
) -> AsyncGenerator[CollectionEvent, None]:
    _check_begin(after, since)
    data = await info.context.data_of(customer_id)
    asked = digest("collection events", data.customer_id, task_id)
    place: store.EventPosition
    events = data.services.metadata.events
    if after is None:
        # Begin before the first event from `since` on; if there is none, or no `since`, begin after all events so far.
        place = await data.services.run(events.position_now)
        begin = None if since is None else await data.read(events.position_since, since=since)
        place = begin or place
    else:
        transaction, number = decode(after, asked, (int, int)).position
        place = (transaction, number)
    while True:
        found = await data.read(events.after, after=place, first=EVENTS_AT_ONCE, task_id=task_id)
        await info.context.check_token()
        for event in found:
            place = event.place
            yield CollectionEvent.of(event, asked)
        if len(found) < EVENTS_AT_ONCE:
            await asyncio.sleep(POLL_SECONDS)


async def _publication_events(
    info: Info,
    after: AfterEvent = None,
    since: SinceEvent = None,
    customer_id: CustomerId = None,
    filter: Filter = None,
) -> AsyncGenerator[PublicationEvent, None]:
    _check_begin(after, since)
    question = cost_query(None, filter, None)
    if not question.is_of_accounts:
        raise InvalidArgument("filter: publicationEvents know provider and account only", "Leave other filters out.")
    data = await info.context.data_of(customer_id)
    asked = question.digest("publication events", data.customer_id)
    follower = _Follower.begin(asked, after, since or datetime.now(UTC))
    while True:
        async for found in _published(data, follower.since, question):
            await info.context.check_token()
            for one in found:
                if follower.is_new(one):
                    cursor = follower.cursor()
                    yield from_record(PublicationEvent, one, cursor=cursor, **of_slice(one.slice))
        await asyncio.sleep(POLL_SECONDS)


async def _published(
    data: CustomerData, since: datetime, question: CostQuery
) -> AsyncGenerator[list[PublishedGeneration], None]:
    """Yield all publications from an instant on (inclusive), oldest first, in chunks; the last of one chunk may come again in the next.

    A chunk begins at the instant that the one before ended at. If a full chunk does not get past one instant, the next is twice as large.
    """
    first = EVENTS_AT_ONCE
    while True:
        found = await data.run(
            published_since,
            data.services.warehouse,
            since=since,
            first=first,
            accounts=question.accounts,
            providers=question.providers,
        )
        yield found
        if len(found) < first:
            return
        newest = found[-1].published_at
        first = EVENTS_AT_ONCE if newest > since else 2 * first
        since = newest


def _check_begin(after: str | None, since: datetime | None) -> None:
    if after is not None and since is not None:
        raise InvalidArgument("since: not accepted together with after", "Give one of the two.")


class _Follower:
    """Tracks which publications one subscription has delivered."""

    def __init__(self, asked: str, newest: datetime, delivered: dict[int, datetime]) -> None:
        self._asked = asked
        self._newest = newest
        self._delivered = delivered
        self._begin = newest if not delivered else None

    @classmethod
    def begin(cls, asked: str, after: str | None, since: datetime) -> _Follower:
        """Begin at a client's cursor `after`, or without one at the instant `since`."""
        if after is None:
            return cls(asked, since, {})
        micros, *numbers = _numbers(decode(after, asked, (tuple,)).position[0])
        newest = from_micros(micros)
        return cls(asked, newest, dict.fromkeys(numbers, newest))

    @property
    def since(self) -> datetime:
        """The instant (inclusive) from which publications have to be read again."""
        return self._begin or self._newest - OVERLAP

    def is_new(self, one: PublishedGeneration) -> bool:
        """Whether `one` was not delivered yet; marks it as delivered."""
        if one.generation in self._delivered:
            return False
        self._begin = None
        self._newest = max(self._newest, one.published_at)
        self._delivered[one.generation] = one.published_at
        for old in [number for number, at in self._delivered.items() if at < self._newest - 2 * OVERLAP]:
            del self._delivered[old]
        return True

    def cursor(self) -> str:
        """The cursor after the publications delivered so far."""
        numbers = sorted(self._delivered)[-REMEMBERED:]
        return Cursor(self._asked, None, "", (",".join(map(str, (to_micros(self._newest), *numbers))),)).encode()


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


@strawberry.type(
    description="What happens from now on, over a WebSocket with the protocol graphql-transport-ws. "
    'A connection begins with `{"Authorization": "Bearer oi_..."}` as its payload.'
)
class Subscription:
    collection_events: AsyncGenerator[CollectionEvent, None] = strawberry.subscription(
        resolver=_collection_events,
        description="Each change in how a collection stands: queued, running, retrying, and how it ended.",
    )
    publication_events: AsyncGenerator[PublicationEvent, None] = strawberry.subscription(
        resolver=_publication_events, description="Each generation that is published."
    )
