"""Two processes of the service, and two code locations, each behind one address: one is killed under load."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from balancer import Balancer
from collecting_deployed import TOTAL, ask, collected, connect, token_of, trigger
from deployment import Deployment
from loopback import HANG, eventually, free_port

CLIENTS = 8
QUESTIONS = 60
"""Of each client, before and again after the kill."""


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


def test_no_question_fails_but_those_that_the_killed_process_had(deployment: Deployment) -> None:
    """A collection runs all the while, and what it publishes is what the other process answers."""
    connect(deployment, "acme", rows=2)
    token = token_of(deployment, "acme")
    trigger(deployment, token)
    assert eventually(lambda: collected(deployment, token) == "2.5", 0.3)
    second = free_port()
    deployment.start("api", "api-2", second)
    deployment.wait("api", "/readyz", "api-2", second)
    with Balancer(deployment.ports["api"], second) as balancer:
        load = Load(f"http://127.0.0.1:{balancer.port}", token)
        with under_load(load):
            assert eventually(lambda: len(load.answered) >= CLIENTS * QUESTIONS)
            dying = deployment.ports["api"]
            before, open_there, taken = len(load.answered), balancer.open_at(dying), balancer.taken[dying]
            deployment.kill("api")
            assert eventually(lambda: len(load.answered) >= before + CLIENTS * QUESTIONS)
        assert open_there > 0
        # It may accept a connection while it dies; a client has one question open.
        assert len(load.failed) <= open_there + balancer.taken[dying] - taken <= 2 * CLIENTS, load.failed
        assert set(load.answered) == {"2.5"}
        deployment.start("api")
        deployment.wait("api", "/readyz")
        assert ask(deployment, token, TOTAL, f"http://127.0.0.1:{balancer.port}")["data"]["totalCost"]["totals"]
