"""Access to AWS: keys, assumed roles, the default chain; what a credential accepts; what is found; no secret anywhere."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from life import SECRET, AnyLife, at, billed
from pydantic import ValidationError

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import CredentialRejected, ProviderError, Transient
from optiinfra_assets.providers.aws.provider import AwsCredential
from optiinfra_assets.simulators.aws.bill_lines import payer_of
from optiinfra_assets.simulators.aws.signatures import key_id
from optiinfra_assets.simulators.aws.simulator import (
    KEY_ID,
    ROLE_KEY_ID,
    ROLE_SECRET,
    ROLE_TOKEN,
    SimulatedAws,
)
from optiinfra_assets.simulators.server.faults import break_down, throttle
from optiinfra_assets.simulators.world.scenario import Scenario, ScenarioResource

JANUARY = BillingPeriod(2026, 1)
ROLE = "arn:aws:iam::123456789012:role/costs"
WEB = ScenarioResource("web", "web (simulated)", "compute", "m7g.large", "eu-central", "shop", Decimal("0.1"))
SCENARIO = Scenario("small", date(2025, 12, 1), (WEB,))


@pytest.fixture(params=["focus-export", "cost-explorer"])
def life(request: pytest.FixtureRequest) -> Iterator[AnyLife]:
    made = AnyLife.of("aws", SCENARIO, at(3, 10, 12), mode=request.param)
    with made.cloud:
        yield made


@pytest.fixture
def no_machine_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has none."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def with_settings(life: AnyLife, **more: str) -> None:
    told = life.cloud.settings() | more
    life.cloud.settings = lambda: told  # type: ignore[method-assign]


def cloud_of(life: AnyLife) -> SimulatedAws:
    assert isinstance(life.cloud, SimulatedAws)
    return life.cloud


def test_a_wrong_secret_is_told_by_its_signature(life: AnyLife) -> None:
    account = replace(life.account, secrets={"access_key_id": KEY_ID, "secret_access_key": "another"})
    for ask in (
        lambda: life.provider.probe(account, {}, life.context),
        lambda: life.provider.collect(account, JANUARY, life.context),
        lambda: life.provider.discover(account),
    ):
        with pytest.raises(CredentialRejected, match=r"not accepted \(401: SignatureDoesNotMatch"):
            ask()


def test_a_role_is_assumed_with_its_external_id(life: AnyLife) -> None:
    cloud = cloud_of(life)
    cloud.role_arn, cloud.external_id = ROLE, "agreed"
    with_settings(life, role_arn=ROLE, external_id="agreed")
    assert billed(life.collect(JANUARY)) == cloud.invoice_amount(JANUARY)
    keys = [key_id(request) for request in cloud.asked]
    assert keys[0] == KEY_ID
    assert set(keys[1:]) == {ROLE_KEY_ID}
    assert life.collections[JANUARY].requests == len(cloud.asked)


def test_a_role_that_may_not_be_assumed_is_named(life: AnyLife) -> None:
    cloud = cloud_of(life)
    cloud.role_arn, cloud.external_id = ROLE, "agreed"
    for more in ({"external_id": "guessed"}, {}):
        with_settings(life, role_arn=ROLE, **more)
        with pytest.raises(
            CredentialRejected,
            match=rf"sts:AssumeRole: .* it needs: sts:AssumeRole on {ROLE}, and a trust policy",
        ):
            life.probe()


def test_passing_faults_while_a_role_is_assumed_leave_no_trace(life: AnyLife) -> None:
    cloud = cloud_of(life)
    cloud.role_arn = ROLE
    with_settings(life, role_arn=ROLE)
    cloud.fail(throttle(), times=2)
    cloud.fail(break_down())
    assert billed(life.collect(JANUARY)) == cloud.invoice_amount(JANUARY)
    cloud.fail(break_down(), times=99)
    with pytest.raises(Transient, match="the provider failed"):
        life.probe()


def test_without_a_key_the_default_chain_counts(
    life: AnyLife, no_machine_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.cloud.secrets = dict  # type: ignore[method-assign]
    for ask in (life.probe, lambda: life.collect(JANUARY), lambda: life.provider.discover(life.account)):
        with pytest.raises(CredentialRejected, match="Unable to locate credentials: connect with a key"):
            ask()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY)
    cloud_of(life).role_arn = ROLE
    with_settings(life, role_arn=ROLE)
    assert billed(life.collect(JANUARY)) == life.cloud.invoice_amount(JANUARY)


def test_a_server_that_is_not_there_is_transient(life: AnyLife) -> None:
    with_settings(life, endpoint_url="http://127.0.0.1:9")
    with pytest.raises(Transient, match="no answer"):
        life.probe()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"access_key_id": KEY_ID}, "access_key_id and secret_access_key: give both, or neither"),
        ({"secret_access_key": SECRET}, "access_key_id and secret_access_key: give both, or neither"),
        ({"external_id": "x"}, "external_id: is for assuming a role: give role_arn too"),
        ({"role_arn": "costs"}, "role_arn"),
        ({"export": "s3://bucket"}, "s3://bucket/prefix/export-name is accepted"),
        ({"export": "s3://bucket/"}, "s3://bucket/prefix/export-name is accepted"),
        ({"export": "bucket/costs"}, "s3://bucket/prefix/export-name is accepted"),
        ({"daily_budget": "0"}, "an amount of US dollars from 0.01 to 10000"),
        ({"daily_budget": "0.009"}, "an amount of US dollars from 0.01 to 10000"),
        ({"daily_budget": "10000.01"}, "an amount of US dollars from 0.01 to 10000"),
        ({"daily_budget": "much"}, "an amount of US dollars from 0.01 to 10000"),
        ({"daily_budget": "NaN"}, "an amount of US dollars from 0.01 to 10000"),
        ({"refresh_hours": "5"}, "1, 2, 3, 4, 6, 8, 12 or 24 is accepted"),
        ({"detail": "everything"}, "'region' or 'service'"),
        ({"endpoint_url": "http://example.com"}, "an https address"),
    ],
)
def test_what_a_credential_does_not_accept(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as said:
        AwsCredential.model_validate(given)
    assert SECRET not in str(said.value)


def test_what_a_credential_accepts() -> None:
    credential = AwsCredential.model_validate({"export": "s3://bucket/exports/costs/", "daily_budget": "0.50"})
    assert (credential.export, credential.daily_budget) == ("s3://bucket/exports/costs", "0.50")


@pytest.mark.parametrize("budget", ["0.01", "10000"])
def test_the_least_and_the_largest_budget_are_accepted(budget: str) -> None:
    assert AwsCredential.model_validate({"daily_budget": budget}).daily_budget == budget


def test_discover_names_the_payer(life: AnyLife) -> None:
    number, name = payer_of(life.cloud.world)
    assert life.provider.discover(life.account) == [f"{number} {name}"]
    cloud_of(life).has_organization = False
    assert life.provider.discover(life.account) == [number]


def test_no_secret_of_a_key_or_a_role_shows(life: AnyLife, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    cloud = cloud_of(life)
    cloud.role_arn, cloud.external_id = ROLE, "agreed"
    with_settings(life, role_arn=ROLE, external_id="agreed")
    life.tick()
    texts = [repr(life.account), repr(life.collections), repr(life.items)]
    for misbehave in ("refuses_credential", "lacks_permission"):
        setattr(cloud, misbehave, True)
        for ask in (life.probe, lambda: life.collect(JANUARY), lambda: life.provider.discover(life.account)):
            try:
                ask()
            except ProviderError as error:
                texts.append("".join(traceback.format_exception(error)))
        setattr(cloud, misbehave, False)
    assert len(texts) >= 7
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("botocore")]
    assert [text for text in [*texts, *ours] for secret in (SECRET, ROLE_SECRET, ROLE_TOKEN) if secret in text] == []
    assert SECRET not in caplog.text


@pytest.mark.usefixtures("no_machine_credentials")
@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"AWS_PROFILE": "nobody"}, r"profile \(nobody\) could not be found"),
        (
            {"AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent/token", "AWS_ROLE_ARN": ROLE},
            "/nonexistent/token.*check the files that the credential of this machine names",
        ),
    ],
)
def test_what_this_machine_lacks_is_named(
    life: AnyLife, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    account = replace(life.account, secrets={})
    for ask in (
        lambda: life.provider.discover(account),
        lambda: life.provider.probe(account, {}, life.context),
        lambda: list(life.provider.collect(account, JANUARY, life.context).batches),
    ):
        with pytest.raises(CredentialRejected, match=message) as raised:
            ask()
        assert "update OptiInfra" not in str(raised.value)
