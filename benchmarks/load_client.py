"""Runs many clients at one time, in a process of their own, for ``benchmarks.load``.

Flow in: a `Load` as JSON on standard input. Flow out: a `Figures` as JSON on standard output, or exit code 1 after one line that names
the first wrong response. Each client keeps its connection and sends its next request once it has the whole response to the one before.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp
import uvloop
from yarl import URL

WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Ask:
    """One POST and the body of its right response, whose lines may come in any order."""

    url: str
    headers: dict[str, str]
    body: str
    answer: str


@dataclass(frozen=True, slots=True)
class Load:
    """What is requested, by how many clients, and for how long.

    Attributes:
        people: for each person the POSTs that make one request, sent one after another; clients act as one of them in turn.
        clients: connections at one time.
        requests: most requests in all, besides `WARM_UP` of each client that are not counted.
        seconds: no request begins later than this.
    """

    people: list[list[Ask]]
    clients: int
    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Results of a load: milliseconds of each request, seconds in all, and CPU seconds of the clients themselves."""

    times: list[float]
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.times) / self.seconds


def percentiles(times: list[float]) -> str:
    """The times that 50, 95 and 99 % of `times` do not exceed."""
    ordered = sorted(times)
    found = (ordered[min(len(ordered) - 1, round(part * len(ordered)))] for part in (0.5, 0.95, 0.99))
    return " / ".join(f"{time:.1f}" for time in found)


def run(load: Load) -> Figures:
    """Put `load` on a server, from a process of its own.

    Raises:
        subprocess.CalledProcessError: a response was wrong; standard error says which.
    """
    command = [sys.executable, "-m", "benchmarks.load_client"]
    done = subprocess.run(command, input=json.dumps(asdict(load)).encode(), stdout=subprocess.PIPE, check=True)
    return Figures(**json.loads(done.stdout))


class WrongAnswer(Exception):
    """A response differs from the right one."""


class _Clients:
    """The clients of one load."""

    def __init__(self, load: dict[str, Any]) -> None:
        self._load = load
        self._left = int(load["requests"])
        self._deadline = 0.0
        self._times: list[float] = []

    async def run(self) -> Figures:
        """Warm up, then send the requests."""
        people = [[Ask(**ask) for ask in person] for person in self._load["people"]]
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            chosen = [people[number % len(people)] for number in range(self._load["clients"])]
            await asyncio.gather(*(self._warm_up(session, person) for person in chosen))
            begin, cpu = time.perf_counter(), time.process_time()
            self._deadline = begin + self._load["seconds"]
            await asyncio.gather(*(self._client(session, person) for person in chosen))
            return Figures(self._times, time.perf_counter() - begin, time.process_time() - cpu)

    async def _warm_up(self, session: aiohttp.ClientSession, person: list[Ask]) -> None:
        for _ in range(WARM_UP):
            await self._request(session, person)

    async def _client(self, session: aiohttp.ClientSession, person: list[Ask]) -> None:
        while self._left > 0 and (begin := time.perf_counter()) < self._deadline:
            self._left -= 1
            await self._request(session, person)
            self._times.append((time.perf_counter() - begin) * 1000)

    async def _request(self, session: aiohttp.ClientSession, person: list[Ask]) -> None:
        for ask in person:
            url = URL(ask.url, encoded=True)
            async with session.post(url, data=ask.body.encode(), headers=ask.headers) as response:
                answer = (await response.read()).decode()
            if response.status != 200 or not _same(answer, ask.answer):
                raise WrongAnswer(f"{ask.url[:80]}: {response.status}, {answer[:300]!r}")


def _same(answer: str, right: str) -> bool:
    return answer == right or sorted(answer.splitlines()) == sorted(right.splitlines())


def main() -> int:
    """Read the load, run it, write the figures."""
    try:
        figures = uvloop.run(_Clients(json.load(sys.stdin)).run())
    except (WrongAnswer, aiohttp.ClientError) as error:
        print(f"load_client: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    json.dump(asdict(figures), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
