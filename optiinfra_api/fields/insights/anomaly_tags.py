"""Tells an anomaly by the values of a tag: read when somebody asks, since there are as many tags as anybody likes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from optiinfra_api.access.context import CustomerData
from optiinfra_api.reading.cost_query import validated
from optiinfra_assets.analytics.stored_causes import stored_dimension
from optiinfra_assets.analytics.usage_places import TAG, UsagePlaces, UsageQuery
from optiinfra_assets.domain.anomalies import StoredAnomaly


async def by_tag(data: CustomerData, one: StoredAnomaly, key: str, as_of: datetime | None) -> dict[str, Any]:
    """Return what the values of a tag have to do with an anomaly, as JSON, of the costs that readers see.

    Raises:
        TooExpensive: a limit on reading is exceeded.
        AsOfNotRetained: retention has removed these costs.
    """
    asked = UsageQuery.of(one)
    question = validated((asked.start, asked.end), as_of, account=[one.series.account])
    resolved = await data.resolve(question)
    values = asked.values()
    places = UsagePlaces.of(await data.groups("usage_by_sku", question, resolved, **values))
    listed = places.values_of(TAG, asked.expected, key)
    rows = await data.groups("usage_by_value", question, resolved, **values, **listed)
    cause = await data.services.run(places.told_apart(rows).explained, TAG, asked.expected)
    return stored_dimension(cause.by_dimension[-1])
