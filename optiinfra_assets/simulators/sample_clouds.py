"""The sample customers' simulated clouds, in a process of their own: ``python -m ... --folder F --newest M``.

Flow in: the registered simulators, the scenario ``busy_year`` moved so that its thirteenth month is M (as YYYY-MM), the real clock. Flow
out: one server for each account on loopback, and ``F/clouds.json`` with what is needed to connect to each. Ports stay the same from start
to start where they can, because accounts remember them. One more server takes the messages of alerts, for ``F/messages.jsonl``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.providers.context import Clock, utc_now
from optiinfra_assets.simulators import SIMULATORS
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.alert_receiver import receiving
from optiinfra_assets.simulators.focus_files.catalog import CUSTOMERS
from optiinfra_assets.simulators.world.scenario import EventKind, Scenario, ScenarioEvent

SCENARIO: Final = "busy_year"
MONTHS: Final = 13
STEP_DAY: Final = 16
"""Day of the month before the newest on which a database becomes larger at clouds that tell days, of customers who have no files."""


@dataclass(frozen=True, slots=True)
class SampleCloud:
    """One account of a sample customer at one simulated cloud."""

    customer_id: str
    provider: str

    @property
    def name(self) -> str:
        """Name of the account within the customer."""
        return f"{self.provider}-simulated"

    @property
    def account_id(self) -> str:
        """Account id in this platform."""
        return f"{self.customer_id}.{self.name}"


@dataclass(frozen=True, slots=True)
class ServedCloud:
    """The data to connect to a running cloud; nothing in it needs to stay secret."""

    sample: SampleCloud
    port: int
    settings: Mapping[str, str]
    secrets: Mapping[str, str]


def sample_clouds() -> list[SampleCloud]:
    """Return every registered cloud once, assigned to the customers in turn."""
    return [
        SampleCloud(CUSTOMERS[number % len(CUSTOMERS)].customer_id, provider)
        for number, provider in enumerate(sorted(SIMULATORS))
    ]


def make_cloud(sample: SampleCloud, newest: BillingPeriod, clock: Clock, port: int = 0) -> SimulatedAccount:
    """Make the cloud of `sample` without starting it: thirteen months that end with `newest`, and what comes after."""
    scenario = replace(Scenario.load(SCENARIO), name=f"{sample.customer_id}-{sample.provider}")
    start = newest.shift(1 - MONTHS).start.date()
    scenario = scenario.starting(start)
    kind = SIMULATORS[sample.provider]
    if kind.tells_days and any(one.customer_id == sample.customer_id and not one.bills for one in CUSTOMERS):
        scenario = replace(scenario, events=(*scenario.events, _step(newest)))
    secret = f"simulated-{sample.customer_id}-{sample.provider}"
    return kind.make(scenario, clock, secret=secret, port=port)


def _step(newest: BillingPeriod) -> ScenarioEvent:
    """Something to find: of customers who have files, these have it."""
    day = newest.shift(-1).start.date() + timedelta(days=STEP_DAY - 1)
    return ScenarioEvent(EventKind.STEP, day, factor=Decimal(3), resource_id="orders")


def clouds_file(folder: Path) -> Path:
    """File in which a running process lists what it serves."""
    return folder / "clouds.json"


def read_served(folder: Path) -> tuple[int, list[ServedCloud]]:
    """Return the pid of the process that wrote the file and what it serves; (0, []) if there is none."""
    said = _said(folder)
    if not said:
        return 0, []
    clouds = [ServedCloud(**{**one, "sample": SampleCloud(**one["sample"])}) for one in said["clouds"]]
    return said["pid"], clouds


def messages_file(folder: Path) -> Path:
    """File to which the messages of alerts are written, one JSON object a line."""
    return folder / "messages.jsonl"


def messages_url(folder: Path) -> str:
    """Return the address at which a running process takes the messages of alerts; empty if there is none."""
    return str(_said(folder).get("messages", ""))


def _said(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(clouds_file(folder).read_text())
    except FileNotFoundError:
        return {}
    return found


@contextlib.contextmanager
def serving(folder: Path, newest: BillingPeriod, clock: Clock = utc_now) -> Iterator[list[ServedCloud]]:
    """Serve every sample cloud on its port; the file in `folder` exists while the context is open."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = {one.sample: one.port for one in read_served(folder)[1]}
    with contextlib.ExitStack() as stack:
        served = []
        for sample in sample_clouds():
            cloud = _started(sample, newest, clock, ports.get(sample, 0))
            stack.callback(cloud.stop)
            port = int(cloud.url.rpartition(":")[2])
            served.append(ServedCloud(sample, port, cloud.settings(), cloud.secrets()))
        messages = stack.enter_context(receiving(messages_file(folder), messages_url(folder)))
        _write(folder, {"pid": os.getpid(), "clouds": [asdict(one) for one in served], "messages": messages})
        yield served


def _started(sample: SampleCloud, newest: BillingPeriod, clock: Clock, port: int) -> SimulatedAccount:
    cloud = make_cloud(sample, newest, clock, port)
    try:
        cloud.start()
    except OSError:  # another process has the port by now
        cloud = make_cloud(sample, newest, clock)
        cloud.start()
    return cloud


def _write(folder: Path, content: dict[str, Any]) -> None:
    fresh = clouds_file(folder).with_suffix(".fresh")
    fresh.write_text(json.dumps(content, indent=2))
    fresh.replace(clouds_file(folder))


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where clouds.json is written and read again")
    parser.add_argument(
        "--newest", type=BillingPeriod.parse, required=True, help="the last of the thirteen months, YYYY-MM"
    )
    asked = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serving(asked.folder, asked.newest):
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
