"""Simulated clouds by the name of the provider that reads them. Adding one is its file and one entry here.

No provider imports any of this.
"""

from __future__ import annotations

from typing import Final

from optiinfra_assets.simulators.account import MakeCloud
from optiinfra_assets.simulators.aws import simulated_aws
from optiinfra_assets.simulators.vultr import simulated_vultr

SIMULATORS: Final[dict[str, MakeCloud]] = {
    "aws": simulated_aws,
    "vultr": simulated_vultr,
}
"""What makes a simulated account, by the registered name of its provider."""
