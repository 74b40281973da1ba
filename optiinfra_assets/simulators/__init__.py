"""Simulated clouds by the name of the provider that reads them. To add one, add its folder and one entry here.

No provider imports this package.
"""

from __future__ import annotations

from typing import Final

from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.aws.simulator import SimulatedAws
from optiinfra_assets.simulators.azure.simulator import SimulatedAzure
from optiinfra_assets.simulators.digitalocean.simulator import SimulatedDigitalOcean
from optiinfra_assets.simulators.gcp.simulator import SimulatedGcp
from optiinfra_assets.simulators.linode.simulator import SimulatedLinode
from optiinfra_assets.simulators.vultr.simulator import SimulatedVultr

CLOUDS: Final[tuple[type[SimulatedAccount], ...]] = (
    SimulatedAws,
    SimulatedAzure,
    SimulatedDigitalOcean,
    SimulatedGcp,
    SimulatedLinode,
    SimulatedVultr,
)
SIMULATORS: Final = {cloud.provider: cloud for cloud in CLOUDS}
"""Classes of simulated accounts by the registered name of their provider; `SimulatedAccount.make` makes an account."""
