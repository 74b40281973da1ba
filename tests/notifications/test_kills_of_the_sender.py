"""kill -9 of what finds and sends, at 20 random moments, while the receiver fails at random: each occasion comes once by its id."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import defaultdict

from alert_world import PAGES, FastClock, flaky, hook, receiving, rule, work_for_ever
from loopback import HANG, eventually

from optiinfra_assets.metadata import Metadata
from optiinfra_assets.notifications.sender import Sender
from optiinfra_assets.settings import Settings

KILLS = 20


def test_each_occasion_is_received_once_by_its_delivery_and_none_is_lost(
    metadata: Metadata, settings: Settings
) -> None:
    seed = random.SystemRandom().randrange(10**9)
    random_ = random.Random(seed)  # noqa: S311 - moments of kills, not secrets
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    metadata.customers.add("acme")
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["optiinfra_assets.notifications.sender", "optiinfra_assets.metadata.alerts"])
    with receiving() as receiver:
        receiver.answers = flaky(random.Random(seed))  # noqa: S311
        channel, key = hook(metadata, receiver.url)
        rule(metadata, channel)
        clock = FastClock()
        for _ in range(KILLS):
            before = len(receiver.got)
            victim = processes.Process(target=work_for_ever, args=(settings, clock))
            victim.start()
            assert eventually(lambda before=before: len(receiver.got) > before)  # type: ignore[misc]
            time.sleep(random_.random() * 0.08)
            victim.kill()
            victim.join(HANG)
        assert eventually(lambda: _is_all_sent(metadata, clock))
    sent = metadata.alert_outbox.deliveries(customer_id="acme", first=10_000)
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for one in receiver.got:
        assert one.is_signed(key)
        assert one.headers["webhook-id"] == one.json["deliveryId"] == one.delivery_id
        bodies[one.delivery_id].add(one.body)
    assert all(len(same) == 1 for same in bodies.values()), "what is sent again is the same"
    kept = {one.delivery_id: one.json for one in receiver.got}
    told = [occasion["key"] for body in kept.values() for occasion in body["occasions"]]
    assert kept.keys() == {one.delivery_id for one in sent}
    assert sorted(told) == sorted(f"number {number}" for number in range(len(told))), "none twice, none lost"
    assert len(told) == sum(len(one.titles) for one in sent) > KILLS
    assert len(receiver.got) > len(kept), "something was received more than once"
    print(f"{len(told)} occasions, {len(receiver.got)} requests")  # noqa: T201


def _is_all_sent(metadata: Metadata, clock: FastClock) -> bool:
    Sender(metadata, PAGES, clock).run()
    return all(one.state == "sent" for one in metadata.alert_outbox.deliveries(customer_id="acme", first=10_000))
