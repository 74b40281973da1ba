"""What finds the occasions of each kind of rule: one file a kind, registered here. The kinds themselves are in `domain.alerts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from optiinfra_assets.domain.alerts import ANOMALY, BUDGET, COLLECTION, CREDENTIAL, FORECAST, RESTATEMENT
from optiinfra_assets.notifications.kinds.anomaly import find_anomalies
from optiinfra_assets.notifications.kinds.base import Finder
from optiinfra_assets.notifications.kinds.budget import find_budgets
from optiinfra_assets.notifications.kinds.collection import find_troubles
from optiinfra_assets.notifications.kinds.credential import find_credentials
from optiinfra_assets.notifications.kinds.forecast import find_forecasts
from optiinfra_assets.notifications.kinds.restatement import find_restatements

FINDERS: Final[Mapping[str, Finder]] = {
    COLLECTION.name: find_troubles,
    RESTATEMENT.name: find_restatements,
    CREDENTIAL.name: find_credentials,
    BUDGET.name: find_budgets,
    FORECAST.name: find_forecasts,
    ANOMALY.name: find_anomalies,
}
