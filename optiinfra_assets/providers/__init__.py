"""The registry of providers. To add a provider, write its package and add one entry here."""

from __future__ import annotations

from typing import Final

from optiinfra_assets.providers.aws.provider import Aws
from optiinfra_assets.providers.azure.provider import Azure
from optiinfra_assets.providers.base import Provider
from optiinfra_assets.providers.digitalocean.provider import DigitalOcean
from optiinfra_assets.providers.focus_files.provider import FocusFiles
from optiinfra_assets.providers.gcp.provider import Gcp
from optiinfra_assets.providers.linode.provider import Linode
from optiinfra_assets.providers.vultr.provider import Vultr

PROVIDERS: Final[dict[str, Provider]] = {
    provider.name: provider
    for provider in (
        Aws(),
        Azure(),
        DigitalOcean(),
        FocusFiles(),
        Gcp(),
        Linode(),
        Vultr(),
    )
}
"""Providers by their registered names."""
