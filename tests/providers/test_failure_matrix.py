"""Every endpoint that a provider declares, with every failure that a request may meet: what a person reads, and whether costs come.

A new cloud is here as soon as it is registered, with what it declares: nothing below names one. The simulators see each request, so an
endpoint that is asked and not declared is found too.
"""

from __future__ import annotations

import itertools
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

import pytest
from life import SECRET, AnyLife, billed
from loopback import HANG
from ways import FEBRUARY, FILES, JANUARY, Way, ways, young_files, young_life

from optiinfra_assets.domain.errors import (
    ContractChanged,
    CredentialRejected,
    Permanent,
    ProviderError,
    Throttled,
    Transient,
    Unreachable,
)
from optiinfra_assets.domain.source_warnings import SourceWarnings
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.base import InvoiceSource, Provider
from optiinfra_assets.providers.context import Deadline, MemorySnapshots
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE
from optiinfra_assets.simulators.aws.simulator import KEY_ID
from optiinfra_assets.simulators.server.faults import cut_short, say, throttle, truncate
from optiinfra_assets.simulators.server.server import (
    Answering,
    Fault,
    SimulatedCloud,
    SimulatedRequest,
    SimulatedResponse,
)

BODY: Final = "PLANTED-WORDS-OF-A-BODY"
PAGE: Final = f"<!DOCTYPE html><html><head><title>{BODY}</title></head><body>{BODY}</body></html>".encode()


class Failure(NamedTuple):
    """What becomes of a request, and the errors that fit; `in_body`: an answer to HEAD cannot say it."""

    fault: Fault
    kinds: tuple[type[ProviderError], ...]
    in_body: bool = False


def page(status: int) -> Fault:
    return say(SimulatedResponse(status, PAGE, {"Content-Type": "text/html"}))


def refusal(status: int, code: str = "Refused", said: str = "no") -> Fault:
    return lambda cloud, request, answer: cloud.refusal(status, code, said)


def reset(cloud: SimulatedCloud, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
    raise ConnectionResetError


def hung_up(cloud: SimulatedCloud, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
    return replace(answer(request), cut_at=0)


def json(text: bytes) -> Fault:
    return say(SimulatedResponse(200, text, {"Content-Type": "application/json"}))


_PASSING: Final = (407, 408, 409, 412, 421, 423, 424, 425, 500, 502, 504)
_EXPIRED: Final = "The provided token has expired."
_SKEWED: Final = "The time stamp of the request is skewed."

FAILURES: Final[dict[str, Failure]] = {
    **{f"a page, status {status}": Failure(page(status), (Transient,)) for status in (200, 302, 407, 502, 503)},
    "a page, status 403": Failure(page(403), (Transient,), in_body=True),
    **{f"status {status}": Failure(refusal(status), (Transient,)) for status in _PASSING},
    "too many requests": Failure(throttle(), (Throttled,)),
    "status 401": Failure(refusal(401), (CredentialRejected,)),
    "status 403": Failure(refusal(403, "AccessDenied"), (CredentialRejected,)),
    "status 404": Failure(refusal(404, "NotFound"), (Transient, Permanent)),
    "a wrong clock": Failure(refusal(403, "RequestTimeTooSkewed", _SKEWED), (CredentialRejected,)),
    "an expired session": Failure(refusal(401, "ExpiredToken", _EXPIRED), (CredentialRejected,)),
    "a connection that is reset": Failure(reset, (Unreachable,)),
    "a connection that ends": Failure(hung_up, (Transient,), in_body=True),
    "half of an answer": Failure(truncate(), (Transient,), in_body=True),
    "half of an answer as if it were whole": Failure(cut_short(), (Transient,), in_body=True),
    "an empty body": Failure(json(b""), (Transient,), in_body=True),
    "null": Failure(json(b"null"), (Transient, ContractChanged), in_body=True),
    "a list": Failure(json(b"[]"), (Transient, ContractChanged), in_body=True),
}


def _invoices(life: AnyLife) -> object:
    return (
        life.provider.invoices(life.account, JANUARY, life.context)
        if isinstance(life.provider, InvoiceSource)
        else None
    )


CALLS: Final[dict[str, Callable[[AnyLife], object]]] = {
    "discover": lambda life: life.provider.discover(life.account, life.context),
    "probe": lambda life: life.probe(),
    "invoices": _invoices,
    "January": lambda life: life.collect(JANUARY),
    "February": lambda life: life.collect(FEBRUARY),
}
MONTHS: Final = {"January": JANUARY, "February": FEBRUARY}


class Running(NamedTuple):
    """A simulated account that is running, and the requests that each call makes of it."""

    life: AnyLife
    asked: dict[str, list[str]]

    def calls(self, mark: str, *, is_auxiliary: bool) -> list[str]:
        """The calls that make a request to an endpoint."""
        return [
            name
            for name, texts in self.asked.items()
            if any(re.search(mark, text) and is_auxiliary == self.explains(text) for text in texts)
        ]

    def explains(self, text: str) -> bool:
        return any(re.search(endpoint.mark, text) for endpoint in self.life.provider.auxiliary)

    def again(self) -> AnyLife:
        """The same account, of which nothing is known yet."""
        self.life.cloud.recover()
        fresh: dict[str, Any] = {"snapshots": MemorySnapshots(), "tokens": {}, "items": {}, "collections": {}}
        return replace(self.life, **fresh, collected=[])


@pytest.fixture(scope="module")
def running() -> Iterator[Callable[[Way], Running]]:
    """Starts an account once and keeps it: vendors' clients and their connections are made once for all failures."""
    kept: dict[Way, Running] = {}
    chain = pytest.MonkeyPatch()
    for name, value in {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}.items():
        chain.setenv(name, value)

    def start(way: Way) -> Running:
        if way not in kept:
            life = young_files() if way == FILES else young_life(way)
            life.cloud.start()
            kept[way] = Running(life, {})
            for name, call in [*CALLS.items()] * 2:  # what is asked only once is kept for all failures
                before = len(life.cloud.asked)
                call(kept[way].again())
                kept[way].asked[name] = [request.text for request in life.cloud.asked[before:]]
        return kept[way]

    yield start
    chain.undo()
    for one in kept.values():
        one.life.cloud.stop()


WAYS: Final = [*(param.values[0] for param in ways()), FILES]
BY_NAME: Final = {name: [way for way in WAYS if way.name == name] for name in PROVIDERS}


def asking(running: Callable[[Way], Running], name: str, mark: str, *, is_auxiliary: bool) -> Running:
    """The first way to set up an account in which the provider asks an endpoint."""
    for way in BY_NAME[name]:
        found = running(way)
        if found.calls(mark, is_auxiliary=is_auxiliary):
            return found
    pytest.fail(f"{name}: {mark!r} is declared, and no call asks it")


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_says_which_endpoints_it_asks(name: str) -> None:
    """Itself, not by what it inherits; and some account of it is tried here."""
    declared = {field for base in type(PROVIDERS[name]).__mro__[:-1] if base is not Provider for field in vars(base)}
    assert {"necessary", "auxiliary", "needed_fields"} <= declared
    assert PROVIDERS[name].necessary
    assert BY_NAME[name]


@pytest.mark.parametrize("param", WAYS, ids=str)
def test_every_request_goes_to_an_endpoint_that_is_declared(param: Way, running: Callable[[Way], Running]) -> None:
    found = running(param)
    marks = [*found.life.provider.necessary, *(one.mark for one in found.life.provider.auxiliary)]
    texts = [text for texts in found.asked.values() for text in texts]
    assert [text for text in texts if not any(re.search(mark, text) for mark in marks)] == []
    assert texts


def refused(call: Callable[[], object]) -> ProviderError | None:
    """The error of a call; anything but a ProviderError fails the test."""
    try:
        call()
    except ProviderError as error:
        return error
    return None


def is_whole(life: AnyLife, call: str) -> bool:
    """Whether a call that did not fail took nothing from the costs."""
    return call not in MONTHS or billed(life.items[MONTHS[call]]) == life.cloud.amount(MONTHS[call])


NECESSARY: Final = [(name, mark) for name in BY_NAME for mark in PROVIDERS[name].necessary]


@pytest.mark.parametrize(("name", "mark"), NECESSARY)
def test_what_is_needed_fails_in_plain_words(name: str, mark: str, running: Callable[[Way], Running]) -> None:
    """One odd invoice stops its month alone, so a probe may end well; a collection that does is whole."""
    found = asking(running, name, mark, is_auxiliary=False)
    calls = itertools.cycle(found.calls(mark, is_auxiliary=False))
    is_head = mark.startswith("^HEAD")
    wrong = {}
    for failure, (fault, kinds, in_body) in FAILURES.items():
        if in_body and is_head:
            continue
        call, life = next(calls), found.again()
        life.cloud.fail(fault, times=10_000, pattern=mark)
        error = refused(partial(CALLS[call], life))
        if error is None:
            if not is_whole(life, call):
                wrong[failure] = (call, "costs are missing")
            continue
        said, shown = str(error), "".join(traceback.format_exception(error))
        is_update = ASK_FOR_UPDATE in said and not (isinstance(error, ContractChanged) and ContractChanged in kinds)
        is_plain = not any(word in shown for word in (BODY, SECRET)) and "Error(" not in said and "\n" not in said
        is_clock = _SKEWED not in said or "check this machine's clock" in said
        if not isinstance(error, kinds) or (is_update and failure != "status 404") or not is_plain or not is_clock:
            wrong[failure] = (call, type(error).__name__, said)
    assert wrong == {}


AUXILIARY: Final = [(name, endpoint) for name in BY_NAME for endpoint in PROVIDERS[name].auxiliary]


@pytest.mark.parametrize(("name", "endpoint"), AUXILIARY, ids=lambda one: getattr(one, "mark", one))
def test_what_only_explains_costs_never_stops_them(
    name: str, endpoint: AuxiliaryEndpoint, running: Callable[[Way], Running]
) -> None:
    found = asking(running, name, endpoint.mark, is_auxiliary=True)
    asked = found.calls(endpoint.mark, is_auxiliary=True)
    calls = itertools.cycle([one for one in asked if one != "discover"] or asked)
    wrong = {}
    for failure, (fault, _, _) in FAILURES.items():
        call, life = next(calls), found.again()
        life.cloud.fail(fault, times=10_000, pattern=endpoint.mark)
        ended = explained(life, call)
        if not ended or not is_whole(life, call) or endpoint.lacks not in ended:
            wrong[failure] = (call, ended)
        assert SECRET not in ended
        assert BODY not in ended
    assert wrong == {}


def explained(life: AnyLife, call: str) -> str:
    """What the warnings of a call say."""
    context = life.context
    warnings: SourceWarnings
    if call == "discover":
        life.provider.discover(life.account, context)
        warnings = context.warnings
    elif call == "probe":
        warnings = life.provider.probe(life.account, {}, context).warnings
    elif call == "invoices":
        assert isinstance(life.provider, InvoiceSource)
        life.provider.invoices(life.account, JANUARY, context)
        warnings = context.warnings
    else:
        life.collect(MONTHS[call])
        warnings = life.collections[MONTHS[call]].warnings
    return "; ".join(f"{one.message} ({one.example})" for one in warnings)


@pytest.mark.parametrize(("name", "endpoint"), AUXILIARY, ids=lambda one: getattr(one, "mark", one))
def test_an_explanation_that_never_comes_takes_a_small_share(
    name: str, endpoint: AuxiliaryEndpoint, running: Callable[[Way], Running]
) -> None:
    """In real time: the server holds the request until the test ends."""
    found = asking(running, name, endpoint.mark, is_auxiliary=True)
    call, life = found.calls(endpoint.mark, is_auxiliary=True)[-1], found.again()
    ended = threading.Event()

    def hold(cloud: SimulatedCloud, request: SimulatedRequest, answer: Answering) -> SimulatedResponse:
        ended.wait(HANG)
        raise ConnectionResetError

    life.limit = lambda: Deadline.after(HANG, patience=0.3)
    life.cloud.fail(hold, times=10_000, pattern=endpoint.mark)
    try:
        said = explained(life, call)
    finally:
        ended.set()
    assert is_whole(life, call)
    assert endpoint.lacks in said
    assert "only explains costs" in said
