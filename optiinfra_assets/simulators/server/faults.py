"""Faults of clouds, to be planned with `SimulatedCloud.fail`."""

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
    """Too many requests, with the provider's own body and headers."""
    return lambda cloud, request, answer: cloud.throttled()


def break_down() -> Fault:
    """An internal error, with the provider's own body."""
    return lambda cloud, request, answer: cloud.broken()


def _changed(change: Callable[[SimulatedResponse], SimulatedResponse]) -> Fault:
    return lambda cloud, request, answer: change(answer(request))


def truncate() -> Fault:
    """The right response, cut in the middle by a connection that breaks."""
    return _changed(lambda right: replace(right, cut_at=len(right.body) // 2))


def cut_short() -> Fault:
    """Half of the right response, sent as if it were whole, as a faulty proxy does."""
    return _changed(lambda right: replace(right, body=right.body[: len(right.body) // 2]))


def repeat_page() -> Fault:
    """The previous response at this path, whichever page is requested now."""
    return lambda cloud, request, answer: cloud.last(request.path) or answer(request)


def delay(seconds: float) -> Fault:
    """The right response, late (in real seconds)."""

    def fault(cloud: SimulatedCloud, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
        time.sleep(seconds)
        return answer(request)

    return fault


def say(response: SimulatedResponse) -> Fault:
    """A given response to any request."""
    return lambda cloud, request, answer: response


def rewrite(old: str, new: str) -> Fault:
    """The right response with one text replaced: a renamed field, a value of another type, an unknown field."""
    return _changed(lambda right: replace(right, body=right.body.replace(old.encode(), new.encode())))
