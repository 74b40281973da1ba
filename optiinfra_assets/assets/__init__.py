"""The Dagster assets. Thin: what they do is in `optiinfra_assets.collection`, `task` and `store`."""
