"""What a test has a process say that is started as a run is."""

from __future__ import annotations

import sys
from multiprocessing.queues import SimpleQueue


def say_what_is_loaded(queue: SimpleQueue[bool]) -> None:
    """Whether the definitions are loaded before anything was done."""
    queue.put("optiinfra_assets.definitions" in sys.modules)
