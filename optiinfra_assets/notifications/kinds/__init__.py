"""What finds the occasions of each kind of rule: one file a kind, registered here. The kinds themselves are in `domain.alerts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from optiinfra_assets.domain.alerts import COLLECTION, CREDENTIAL, RESTATEMENT
from optiinfra_assets.notifications.kinds.base import Finder
from optiinfra_assets.notifications.kinds.collection import find_troubles
from optiinfra_assets.notifications.kinds.credential import find_credentials
from optiinfra_assets.notifications.kinds.restatement import find_restatements

FINDERS: Final[Mapping[str, Finder]] = {
    COLLECTION.name: find_troubles,
    RESTATEMENT.name: find_restatements,
    CREDENTIAL.name: find_credentials,
}
