"""A secret that is sent to the API, tried, stored, used, refused, replaced and erased is nowhere in clear, at any provider.

What is sent is made from the provider's own credential model, and its cloud repeats everything it hears. So a provider is covered as
soon as it is registered.
"""

from __future__ import annotations

import itertools
import logging
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from api_server import serving
from orchestrated import NOW, Platform
from planted import Echo, Planted, echo, plant, quotes
from stored import everything_stored

from optiinfra_assets import cli
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import ContractChanged
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import LineItemStream
from optiinfra_assets.simulators import SIMULATORS
from optiinfra_assets.simulators.world.scenario import Scenario, ScenarioResource
from optiinfra_assets.simulators.world.world import SimulatedClock
from optiinfra_assets.vault.credential_audit import Actor

WITH_SECRETS = sorted(name for name, provider in PROVIDERS.items() if provider.secret_fields())
WEB = ScenarioResource("6e1f-web", "web", "compute", "vc2-2c-4gb", "fra", "main", Decimal("0.10"))
ANSWER = """{ __typename ... on Refusal { code message remedy } ... on Credential {
  account status version keyId settings { name value } lastError
} }"""
ADD = f"""mutation($c: CredentialInput!, $test: Boolean!) {{
  addCredential(name: "main", customerId: "acme", credential: $c, test: $test) {ANSWER}
}}"""
UPDATE = f'mutation($s: SettingsInput!) {{ updateCredential(accountId: "acme.main", customerId: "acme", settings: $s) {ANSWER} }}'
ROTATE = f"""mutation($s: SecretsInput!, $test: Boolean!) {{
  rotateCredential(accountId: "acme.main", customerId: "acme", secrets: $s, test: $test) {ANSWER}
}}"""
TEST = """mutation { testCredential(accountId: "acme.main", customerId: "acme") {
  __typename ... on Refusal { code message remedy } ... on CredentialTested { billingAccounts billingPeriods }
} }"""
DELETE = f'mutation {{ deleteCredential(accountId: "acme.main", customerId: "acme") {ANSWER} }}'
PURGE = f'mutation {{ purgeCredential(accountId: "acme.main", customerId: "acme") {ANSWER} }}'
SHOWN = f"""{{
  credentials(first: 10, customerId: "acme", includeDeleted: true) {{ nodes {ANSWER.split("... on Credential ")[1].rsplit(" }", 1)[0]} }}
  credentialAuditLog(first: 100, customerId: "acme") {{ nodes {{ id actor origin action outcome detail purpose runId }} }}
  collectionHistory(first: 100, customerId: "acme") {{ nodes {{ id status error }} }}
}}"""


@pytest.fixture
def cloud() -> Iterator[Echo]:
    """A cloud that repeats what it hears."""
    with echo() as running:
        yield running


@pytest.fixture
def answers() -> list[bytes]:
    """Every answer of the API."""
    return []


@pytest.fixture
def ask(platform: Platform, answers: list[bytes]) -> Iterator[Callable[..., dict[str, Any]]]:
    """Ask the API, as an administrator of all customers; an operation has one field."""
    platform.metadata.customers.add("acme")
    token = platform.metadata.tokens.issue("root", None, "admin").plaintext
    with serving(platform.settings) as url, httpx.Client(timeout=120) as http:

        def asked(document: str, **variables: Any) -> dict[str, Any]:
            body = {"query": document, "variables": variables}
            response = http.post(f"{url}/graphql", json=body, headers={"Authorization": f"Bearer {token}"})
            answers.append(response.content + repr(response.headers).encode())
            found: dict[str, Any] = response.json()
            return next(iter(found["data"].values())) if found.get("data") else found

        yield asked


def _as_sent(provider: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of a model as the API calls them."""
    words = {name: name.split("_") for name in fields}
    names = {name: first + "".join(word.title() for word in more) for name, (first, *more) in words.items()}
    return {provider: {names[name]: value for name, value in fields.items()}}


def _secrets_of(provider: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in PROVIDERS[provider].secret_fields()}


@pytest.mark.parametrize("provider", WITH_SECRETS)
def test_a_planted_secret_is_nowhere(
    provider: str,
    platform: Platform,
    cloud: Echo,
    ask: Callable[..., dict[str, Any]],
    answers: list[bytes],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    first = plant(PROVIDERS[provider], "PLANTED-4711-first", cloud.url)
    second = plant(PROVIDERS[provider], "PLANTED-4712-second", cloud.url)
    sent = _as_sent(provider, first.fields)

    for cloud.status in (401, 200):
        refused = ask(ADD, c=sent, test=True)
        assert refused["__typename"] == "ProviderRefused", refused
    assert platform.metadata.accounts.find(include_disabled=True) == []
    assert ask(ADD, c={provider: {**sent[provider], "nope": 1}}, test=True)["errors"]
    assert ask(ADD, c=sent, test=False)["status"] == "ACTIVE"
    for cloud.status in (401, 200):
        assert ask(TEST)["__typename"] == "ProviderRefused"
    assert ask(UPDATE, s={provider: {}})["__typename"] == "ProviderRefused"

    for cloud.status in (401, 200):
        platform.tick(NOW)
        assert not platform.materialise(str(BillingPeriod.of(NOW)), account_id="acme.main", provider=provider).success
    (state,) = platform.metadata.accounts.states()
    assert state.last_error
    assert {one.status for one in platform.metadata.collections.history(first=100)} == {"failed"}

    assert ask(ROTATE, s=_as_sent(provider, _secrets_of(provider, second.fields)), test=True)["code"]
    assert ask(ROTATE, s=_as_sent(provider, _secrets_of(provider, second.fields)), test=False)["version"] == 2
    kept = platform.metadata.credentials.reveal("acme.main", Actor.here("test"), "test")
    assert dict(kept) == _secrets_of(provider, second.fields), "it is the second that is stored"
    ask(SHOWN)
    before = list(everything_stored(platform))
    assert ask(DELETE)["status"] == "DELETED"
    heard = len(cloud.heard)
    assert (platform.tick(NOW + timedelta(days=1)), len(cloud.heard)) == ([], heard), "it is not asked any more"
    assert ask(PURGE)["status"] == "PURGED"
    ask(SHOWN)

    _assert_nowhere((first, second), _places(platform, before, answers, caplog, capfd))


@pytest.mark.parametrize("provider", sorted(set(WITH_SECRETS) & SIMULATORS.keys()))
def test_a_secret_that_works_is_nowhere_either(
    provider: str,
    platform: Platform,
    ask: Callable[..., dict[str, Any]],
    answers: list[bytes],
    clock: SimulatedClock,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    scenario = Scenario("small", BillingPeriod.of(NOW).shift(-1).start.date(), (WEB,))
    with SIMULATORS[provider].make(scenario, clock, secret="PLANTED4711FIRST") as cloud:
        first = dict(cloud.secrets())
        sent = _as_sent(provider, {**cloud.settings(), **first})
        assert ask(ADD, c=sent, test=True)["status"] == "ACTIVE"
        assert ask(TEST)["billingPeriods"]
        assert platform.tick(NOW)
        this_month = str(BillingPeriod.of(NOW))
        assert platform.materialise(this_month, account_id="acme.main", provider=provider).success
        cloud.refuses_credential = True
        platform.tick(NOW + timedelta(hours=25))  # some are not asked more often than once a day
        assert ask(TEST)["code"] == "CREDENTIAL_REJECTED"
        (state,) = platform.metadata.accounts.states()
        assert state.last_error

        cloud.refuses_credential, cloud.secret = False, "PLANTED4712SECOND"
        second = dict(cloud.secrets())
        assert ask(ROTATE, s=_as_sent(provider, second), test=True)["version"] == 2
        assert ask(TEST)["billingPeriods"]
    ask(SHOWN)
    before = list(everything_stored(platform))
    assert ask(DELETE)["status"] == "DELETED"
    assert ask(PURGE)["status"] == "PURGED"
    planted = tuple(Planted(secrets, {text}) for secrets, text in ((first, "PLANTED4711FIRST"), (second, cloud.secret)))
    _assert_nowhere(planted, _places(platform, before, answers, caplog, capfd))


def _unforeseen(secrets: list[str]) -> Exception:
    """An error that nobody foresaw, with causes, contexts, notes and companions, which quote all and parts of `secrets`."""
    kinds = itertools.cycle([ValueError, KeyError, RuntimeError, AttributeError, OSError, IndexError])
    error: Exception = LookupError("the first")
    for number, text in enumerate(text for secret in secrets for text in quotes(secret)):
        cause, error = error, next(kinds)(f"not understood: {text}")
        if number % 7 == 5:
            error = ExceptionGroup(f"beside {text}", [error, ValueError(text)])
        error.add_note(f"while it read {text}")
        if number % 3:
            error.__cause__ = cause
        else:
            error.__context__ = cause
    return error


def _foreseen(secrets: list[str]) -> Exception:
    """An error that the provider raises on purpose, and that quotes what it should not."""
    said = " ".join(text for secret in secrets for text in quotes(secret))
    return ContractChanged(f"the answer is not as documented: {said}")


def _streamed(error: Exception) -> Iterator[Any]:
    raise error
    yield


@pytest.mark.parametrize("provider", WITH_SECRETS)
def test_an_error_that_quotes_a_secret_shows_nothing_of_it(
    provider: str,
    platform: Platform,
    ask: Callable[..., dict[str, Any]],
    answers: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What is called more than once fails in turn with an error that nobody foresaw and with one that the provider raises."""
    caplog.set_level(logging.DEBUG)
    planted = plant(PROVIDERS[provider], "Pl4nT3d/x9Kq+Zr7WvB2mE5tYh8Ls3Nd6Gf1Jc0Pa", "https://cloud.example")
    secrets = _secrets_of(provider, planted.fields)
    assert secrets.keys() == PROVIDERS[provider].secret_fields()
    texts, kind = list(secrets.values()), type(PROVIDERS[provider])
    calls: list[str] = []

    def failing(name: str) -> Callable[..., Any]:
        errors = itertools.cycle([_unforeseen, _foreseen])

        def call(*_: Any, **__: Any) -> Any:
            calls.append(name)
            raise next(errors)(texts)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(PROVIDERS[provider].credential_model, "model_validate", failing("validate"))
        assert ask(ADD, c=_as_sent(provider, planted.fields), test=False) is None, "masked, and in the log"
    for name in ("discover", "probe", "collect"):
        monkeypatch.setattr(kind, name, failing(name))
    assert ask(ADD, c=_as_sent(provider, planted.fields), test=True)["__typename"] == "ProviderRefused"
    assert ask(ADD, c=_as_sent(provider, planted.fields), test=False)["status"] == "ACTIVE"
    assert ask(TEST)["__typename"] == "ProviderRefused"
    platform.tick(NOW)
    period = str(BillingPeriod.of(NOW))
    assert not platform.materialise(period, account_id="acme.main", provider=provider).success
    monkeypatch.setattr(kind, "collect", lambda *_: LineItemStream(_streamed(_foreseen(texts)), "token"))
    assert not platform.materialise(period, account_id="acme.main", provider=provider).success
    assert {"validate", "discover", "probe", "collect"} == set(calls)
    (state,) = platform.metadata.accounts.states()
    assert state.last_error
    assert [one.status for one in platform.metadata.collections.history(first=100)] == ["failed", "failed"]
    ask(SHOWN)
    places = _places(platform, list(everything_stored(platform)), answers, caplog, capfd)
    places += _on_the_command_line(platform, provider, planted, monkeypatch, capfd)
    _assert_nowhere((planted,), places)


def _on_the_command_line(
    platform: Platform,
    provider: str,
    planted: Planted,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[tuple[str, bytes]]:
    """What `connect` says, also to who wants to see where an error came from; and what others say of the account."""
    for name in ("clickhouse_url", "postgres_url"):
        monkeypatch.setenv(f"OPTIINFRA_{name.upper()}", str(getattr(platform.settings, name)))
    options = [f"--{name.replace('_', '-')}={value}" for name, value in planted.fields.items()]
    connect = ["connect", provider, "--customer", "other", *options]
    for command, debug in ((connect, ""), (connect, "1"), (["accounts"], ""), (["status"], "")):
        monkeypatch.setattr("sys.argv", ["optiinfra", *command])
        monkeypatch.setenv("OPTIINFRA_DEBUG", debug)
        with pytest.raises((SystemExit, Exception)) as ended:
            cli.main()
        said = "".join(traceback.format_exception(ended.value))  # as Python prints it
        printed = capfd.readouterr()
        assert printed.out + printed.err or debug
        assert not debug or "not understood" in said or "not as documented" in said
        yield f"{command[0]} {debug}", f"{printed.out}{printed.err}{said}".encode()


def _places(
    platform: Platform,
    before: list[tuple[str, bytes]],
    answers: list[bytes],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> list[tuple[str, bytes]]:
    """Everything that was kept, answered, logged and printed, and where."""
    printed = capfd.readouterr()
    places = [(f"before: {place}", content) for place, content in before]
    places += [(f"after: {place}", content) for place, content in everything_stored(platform)]
    places += [(f"answer {number}", content) for number, content in enumerate(answers)]
    return [*places, ("log", caplog.text.encode()), ("output", f"{printed.out}{printed.err}".encode())]


def _assert_nowhere(planted: tuple[Planted, ...], places: list[tuple[str, bytes]]) -> None:
    names = {place for place, _ in places}
    assert any("optiinfra.credentials" in name for name in names)
    assert any("run " in name for name in names)
    for one in planted:
        assert one.found_in("".join(map(str, one.fields.values())).encode()), "the search would find it"
        assert [place for place, content in places if one.found_in(content)] == []
