"""Several processes of the service under load, of which one is killed again and again: what each kill costs.

``python -m benchmarks.failover --rows 1000000 --processes 2 --kills 10`` fills a warehouse once, starts the processes on one set of
databases, and has clients ask them in turn over connections that they keep, as behind a balancer that passes over a process that does not
accept. Every few seconds a process is killed with SIGKILL and started again. A question that fails must be one that the killed process
had: else this ends with an error, as it does with a wrong answer. It prints questions a second before the kills and during them.
"""

from __future__ import annotations

import argparse
import itertools
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO

import httpx

from benchmarks import dataset
from benchmarks.queries import LARGEST, QUERIES, engines, serving
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings

CLIENTS = 8
PERIOD = 3.0
"""Seconds between two kills, and of the measurement before the first."""


@dataclass
class Process:
    """A place where a process of the service runs, and how often one there was killed; odd while none answers there."""

    settings: Settings
    log: IO[bytes]
    stack: ExitStack = field(default_factory=ExitStack)
    url: str = ""
    kills: int = 0

    def start(self) -> None:
        """Start it, and wait until it answers."""
        served = serving("optiinfra_api", self.settings, log=self.log, keeps=True)
        self.url, self.process = self.stack.enter_context(served)

    def kill(self) -> None:
        """Kill it, and start another in its place."""
        self.kills += 1
        self.process.kill()
        self.process.wait()
        self.stack.close()
        self.start()
        self.kills += 1


@dataclass
class Load:
    """What clients asked, and how it ended."""

    processes: list[Process]
    token: str
    document: str
    right: str
    answered: int = 0
    excused: int = 0
    wrong: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def ask(self, first: int) -> None:
        """Ask the processes in turn until it is over, beginning with number `first`."""
        headers = {"Authorization": f"Bearer {self.token}"}
        turns = itertools.islice(itertools.cycle(self.processes), first, None)
        with httpx.Client(headers=headers, timeout=60) as client:
            while not self.is_over.is_set():
                process = next(turns)
                kills = process.kills
                try:
                    answer = client.post(f"{process.url}/graphql", json={"query": self.document})
                except httpx.ConnectError:
                    continue  # nobody has the question yet
                except httpx.HTTPError as error:
                    # The kill is counted before it is sent.
                    if process.kills == kills and kills % 2 == 0:
                        self.wrong.append(repr(error))
                    self.excused += 1
                    continue
                self.answered += 1
                if answer.text != self.right:
                    self.wrong.append(answer.text)


def measure(settings: Settings, count: int, kills: int) -> None:
    """Run the load, kill, and print a row."""
    metadata = Metadata.connect(settings)
    metadata.migrate()
    metadata.customers.add(LARGEST)
    token = metadata.tokens.issue("benchmark", LARGEST, "viewer").plaintext
    document = QUERIES["totalCost, 30 days"]
    with ExitStack() as stack:
        log = stack.enter_context((settings.home / "service.log").open("wb"))
        processes = [Process(settings, log) for _ in range(count)]
        for process in processes:
            process.start()
            stack.callback(process.stack.close)
        right = httpx.post(
            f"{processes[0].url}/graphql", json={"query": document}, headers={"Authorization": f"Bearer {token}"}
        ).text
        load = Load(processes, token, document, right)
        clients = [threading.Thread(target=load.ask, args=(number,)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        before = _rate(load, PERIOD)
        began, answered = time.monotonic(), load.answered
        for number in range(kills):
            time.sleep(PERIOD)
            processes[number % count].kill()
        during = (load.answered - answered) / (time.monotonic() - began)
        load.is_over.set()
        for client in clients:
            client.join()
    metadata.close()
    if load.wrong:
        raise SystemExit(f"wrong: {load.wrong[:3]}")
    print(
        "| processes | kills | questions | failed, open at the killed | failed otherwise | a second before | during |"
    )
    print("|---|---|---|---|---|---|---|")
    print(f"| {count} | {kills} | {load.answered:,} | {load.excused} | 0 | {before:,.0f} | {during:,.0f} |")


def _rate(load: Load, seconds: float) -> float:
    answered = load.answered
    time.sleep(seconds)
    return (load.answered - answered) / seconds


def main() -> None:
    """Fill the data set if it does not exist, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="line items (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="of the service (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=10, help="(default: %(default)s)")
    options = parser.parse_args()
    dataset.make(options.rows)
    with engines(dataset.DATA / str(options.rows)) as (settings, _):
        measure(settings, options.processes, options.kills)


if __name__ == "__main__":
    main()
