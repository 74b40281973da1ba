"""The keys of the assets of one provider: ``<provider>/source`` → ``raw_costs`` → the derived tables → ``published_costs``."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from optiinfra_assets.ingestion.asset_paths import asset_paths


@dataclass(frozen=True, slots=True)
class ProviderAssetKeys:
    """Asset keys of one provider, in the order the data flow."""

    provider: str

    @property
    def source(self) -> dg.AssetKey:
        """The external source: the provider's files or API."""
        return dg.AssetKey([self.provider, "source"])

    @property
    def raw(self) -> dg.AssetKey:
        """The line items."""
        return self.collected[0]

    @property
    def derived(self) -> dict[str, dg.AssetKey]:
        """The derived tables, by table name."""
        return {key.path[-1]: key for key in self.collected[1:-1]}

    @property
    def published(self) -> dg.AssetKey:
        """The published generations that readers see."""
        return self.collected[-1]

    @property
    def collected(self) -> list[dg.AssetKey]:
        """Everything that a collection materializes; a run always takes all of it."""
        return [dg.AssetKey(path) for path in asset_paths(self.provider)]
