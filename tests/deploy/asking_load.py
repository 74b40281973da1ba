"""Clients that ask the service all the time, over connections that they keep."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from collecting_deployed import TOTAL
from loopback import HANG

CLIENTS = 8


@dataclass
class Load:
    """Clients that ask one after another over connections that they keep, and what each was answered."""

    url: str
    token: str
    answered: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def ask_until_over(self) -> None:
        """Ask as one client. A question that fails is asked no second time: the next is another one."""
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(headers=headers, timeout=HANG) as client:
            while not self.is_over.is_set():
                try:
                    answer = client.post(f"{self.url}/graphql", json={"query": TOTAL})
                    self.answered.append(
                        answer.raise_for_status().json()["data"]["totalCost"]["totals"][0]["cost"]["amount"]
                    )
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))


@contextmanager
def under_load(load: Load) -> Iterator[None]:
    """`CLIENTS` clients that ask all the time."""
    clients = [threading.Thread(target=load.ask_until_over) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        load.is_over.set()
        for client in clients:
            client.join(HANG)
