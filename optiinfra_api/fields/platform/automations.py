"""automations: the schedules and sensors without which nothing is collected by itself."""

from __future__ import annotations

from enum import Enum

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.from_record import from_record
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_assets.database.errors import DagsterUnavailable


@strawberry.enum(description="What begins runs by itself.")
class ScheduleKind(Enum):
    SCHEDULE = described("schedule", "At certain times.")
    SENSOR = described("sensor", "When something has changed.")


@strawberry.type(description="A schedule or sensor of this platform. It runs unless a person stops it.")
class ScheduleState:
    kind: ScheduleKind = strawberry.field(description="Which of the two it is.")
    name: str = strawberry.field(description="As Dagster calls it.")
    is_running: bool = strawberry.field(description="It runs. False: somebody stopped it.")


@strawberry.type
class AutomationsQuery:
    @resolved(
        "The schedules and sensors without which nothing is collected by itself; for administrators of all customers. "
        "Null: Dagster does not answer."
    )
    async def automations(self, info: Info) -> list[ScheduleState] | None:
        info.context.require_all_customers()
        try:
            return [from_record(ScheduleState, one) for one in await info.context.services.automations()]
        except DagsterUnavailable:
            return None
