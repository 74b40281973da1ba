"""What goes wrong at clouds, to be planned with `SimulatedCloud.fail`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from optiinfra_assets.simulators.server.server import (
    Answering,
    Fault,
    SimulatedCloud,
    SimulatedRequest,
    SimulatedResponse,
)


def throttle() -> Fault:
    """Too many requests, in the provider's own words and headers."""
    return lambda cloud, request, answer: cloud.throttled()


def break_down() -> Fault:
    """An internal error, in the provider's own words."""
    return lambda cloud, request, answer: cloud.broken()


def _changed(change: Callable[[SimulatedResponse], SimulatedResponse]) -> Fault:
    return lambda cloud, request, answer: change(answer(request))


def truncate() -> Fault:
    """The right answer, cut in the middle by a connection that breaks."""
    return _changed(lambda right: replace(right, cut_at=len(right.body) // 2))


def cut_short() -> Fault:
    """Half of the right answer, sent as if it were whole, as a careless proxy does."""
    return _changed(lambda right: replace(right, body=right.body[: len(right.body) // 2]))


def repeat_page() -> Fault:
    """What was answered at this path before, whichever page is asked for now."""
    return lambda cloud, request, answer: cloud.last(request.path) or answer(request)


def delay(seconds: float) -> Fault:
    """The right answer, late (in real seconds)."""

    def fault(cloud: SimulatedCloud, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
        time.sleep(seconds)
        return answer(request)

    return fault


def say(response: SimulatedResponse) -> Fault:
    """A given answer, whatever is asked."""
    return lambda cloud, request, answer: response


def rewrite(old: str, new: str) -> Fault:
    """The right answer with one text in place of another: a renamed field, a value of another kind, a field that nobody knows."""
    return _changed(lambda right: replace(right, body=right.body.replace(old.encode(), new.encode())))
