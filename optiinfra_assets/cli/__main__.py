"""``python -m optiinfra_assets.cli`` is ``optiinfra``."""

from __future__ import annotations

from optiinfra_assets.cli import main

main()
