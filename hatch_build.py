"""Build hook: a wheel brings the files of npm packages that the web pages need."""

from __future__ import annotations

import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Fetches them before the files of the wheel are listed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch what is missing. An editable install uses the checkout, where `make install` fetches."""
        if version != "editable":
            sys.path.insert(0, self.root)
            from optiinfra_api.web.fetch_assets import main

            main()
