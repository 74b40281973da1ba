"""Simulated clouds by the name of the provider that reads them. Adding one is its file and one entry here.

No provider imports any of this.
"""

from __future__ import annotations

from typing import Final

from optiinfra_assets.simulators.account import MakeCloud
from optiinfra_assets.simulators.aws.simulator import simulated_aws
from optiinfra_assets.simulators.azure.simulator import simulated_azure
from optiinfra_assets.simulators.digitalocean.simulator import simulated_digitalocean
from optiinfra_assets.simulators.gcp.simulator import simulated_gcp
from optiinfra_assets.simulators.linode.simulator import simulated_linode
from optiinfra_assets.simulators.vultr.simulator import simulated_vultr

SIMULATORS: Final[dict[str, MakeCloud]] = {
    "aws": simulated_aws,
    "azure": simulated_azure,
    "digitalocean": simulated_digitalocean,
    "gcp": simulated_gcp,
    "linode": simulated_linode,
    "vultr": simulated_vultr,
}
"""What makes a simulated account, by the registered name of its provider."""
