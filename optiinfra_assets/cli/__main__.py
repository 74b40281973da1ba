"""``python -m optiinfra_assets.cli`` runs ``optiinfra``."""

from __future__ import annotations

from optiinfra_assets.cli import main

main()
