"""An anomaly of a customer with a band and what somebody said of it, stored as a refresh stores it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np

from optiinfra_assets.analytics.anomalies import Kind
from optiinfra_assets.analytics.expectations import Expectations
from optiinfra_assets.analytics.explanation import Used, explain
from optiinfra_assets.analytics.stored_causes import stored_cause
from optiinfra_assets.domain.anomalies import AnomalyDay, AnomalyStatus, StoredAnomaly, UsageKey, anomaly_id
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.anomalies import AnomalyRefresh
from optiinfra_assets.metadata.tokens import Principal


def planted_anomaly(
    metadata: Metadata,
    series: UsageKey,
    day: date,
    cost: Decimal,
    principal: Principal,
    now: datetime,
    named: str | None = None,
) -> str:
    """Store that a day cost ten times what was expected, in one region; return the id, which is `named` if that is given."""
    customer_id = str(principal.customer_id)
    expected = (cost / 10).quantize(Decimal("0.01"))
    mark = series.service
    place = (mark, f"{mark}-sub", f"{mark}-region", f"{mark}-sku")
    cause = explain(("service", "sub account", "region", "SKU"), {place: Used(expected)}, {place: Used(cost)}, expected)
    found = StoredAnomaly(
        anomaly_id=named or anomaly_id(customer_id, series, day),
        made_at=now,
        found_at=now,
        series=series,
        kind="RISE",
        days={day: AnomalyDay(cost, expected)},
        projected=cost - expected,
        score=3.5,
        folded_into=None,
        causes=stored_cause(cause),
        is_gone=False,
        is_simulated=True,
    )
    one = np.array([float(cost)])
    judged = Expectations(
        [series], one, one / 10, one / 20, one / 5, np.array([Kind.RISE], np.int8), one, np.array([True])
    )
    refresh = AnomalyRefresh(now, 1, now, now, is_simulated=True)
    metadata.anomalies.keep(customer_id, refresh, {day: judged.to_bytes()}, [found], 400)
    metadata.anomalies.say(
        found.anomaly_id,
        AnomalyStatus.ACKNOWLEDGED,
        note=f"{mark} note",
        customer_id=customer_id,
        principal=principal,
        now=now + timedelta(hours=1),
    )
    return found.anomaly_id
