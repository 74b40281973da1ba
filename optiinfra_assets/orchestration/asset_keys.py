"""Names of the assets of one provider: ``source/<provider>`` → ``raw/...`` → ``derived/...`` → ``published/...``."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from optiinfra_assets.ingestion.asset_paths import asset_paths


@dataclass(frozen=True, slots=True)
class ProviderAssetKeys:
    """Asset keys of one provider, in the order of the way of the data."""

    provider: str

    @property
    def source(self) -> dg.AssetKey:
        """What lies outside: the provider's own files or interface."""
        return dg.AssetKey(["source", self.provider])

    @property
    def raw(self) -> dg.AssetKey:
        """Line items."""
        return self.collected[0]

    @property
    def derived(self) -> dict[str, dg.AssetKey]:
        """By name of the table."""
        return {key.path[-1]: key for key in self.collected[1:-1]}

    @property
    def published(self) -> dg.AssetKey:
        """What readers see."""
        return self.collected[-1]

    @property
    def collected(self) -> list[dg.AssetKey]:
        """Everything a collection makes; a run always takes all of it."""
        return [dg.AssetKey(path) for path in asset_paths(self.provider)]
