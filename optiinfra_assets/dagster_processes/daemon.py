"""Runs Dagster's daemon so that it outlasts a clock that was ahead: ``python -m optiinfra_assets.dagster_processes.daemon -w WORKSPACE``.

Dagster evaluates a schedule after the time of its last tick, and a sensor some seconds after it. If the clock was two days ahead and is set
right, both would do nothing for two days. So before the daemon starts, times that are yet to come are moved to now; and once the clock
is set back while it runs, this process ends, because the daemon remembers such times too. The supervisor starts it again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick

TOLERANCE: Final = 60.0
"""Seconds by which a clock may be set back without consequence: less than the quarter of an hour between two ticks."""
PERIOD: Final = 5.0
"""Seconds between two looks at the clock."""

Seconds = Callable[[], float]


def forget_future(instance: dg.DagsterInstance, now: float) -> int:
    """Move what schedules and sensors did at times after `now` (seconds of the epoch) to `now`; return how many records that were."""
    states = [one for one in instance.all_instigator_state() if one.instigator_data]
    wrong = [state for state in states if _later(state.instigator_data, now)]
    for state in wrong:
        instance.update_instigator_state(_moved(state, now))
    ticks = [tick for state in states for tick in _ticks_after(instance, state, now)]
    for tick in ticks:
        instance.update_tick(tick._replace(tick_data=tick.tick_data._replace(timestamp=now)))
    return len(wrong) + len(ticks)


def _later(data: Any, now: float) -> dict[str, float]:
    """Return the times of a state that are after `now`, by field; each is moved to `now`."""
    found = {name: value for name, value in data._asdict().items() if name.endswith("_timestamp") and value}
    return {name: now for name, value in found.items() if value > now + TOLERANCE}


def _moved(state: InstigatorState, now: float) -> InstigatorState:
    data: Any = state.instigator_data
    return state.with_data(data._replace(**_later(data, now)))


def _ticks_after(instance: dg.DagsterInstance, state: InstigatorState, now: float) -> list[InstigatorTick]:
    return list(instance.get_ticks(state.instigator_origin_id, state.selector_id, after=now + TOLERANCE))


def until_set_back(wall: Seconds = time.time, steady: Seconds = time.monotonic, sleep: Any = time.sleep) -> float:
    """Return once the clock `wall` was set back, by how many seconds. `steady` only ever goes forward."""
    furthest = wall() - steady()
    while True:
        sleep(PERIOD)
        ahead = wall() - steady()
        if ahead < furthest - TOLERANCE:
            return furthest - ahead
        furthest = max(furthest, ahead)


def _end_if_set_back() -> None:
    seconds = until_set_back()
    print(f"error: the clock was set back by {seconds:.0f} s: starting again", flush=True)  # noqa: T201 - its log
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the daemon with the arguments of ``dagster-daemon run``."""
    from dagster._daemon.cli import main as run

    with dg.DagsterInstance.get() as instance:
        forget_future(instance, time.time())
    threading.Thread(target=_end_if_set_back, name="clock", daemon=True).start()
    sys.argv[1:] = ["run", *sys.argv[1:]]
    run()


if __name__ == "__main__":
    main()
