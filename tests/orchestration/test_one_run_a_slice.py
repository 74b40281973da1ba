"""A slice of a task is collected by one run, and by none once its row of the history has ended or its account is deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from orchestrated import NOW, Files, Platform, Scripted

from optiinfra_assets.domain.errors import Transient
from optiinfra_assets.domain.run_scope import TASK_TAG
from optiinfra_assets.ingestion import onboarding
from optiinfra_assets.vault.credential_audit import Actor
from optiinfra_assets.warehouse.warehouse import Warehouse

CANCELED = [("2026-10", "canceled", "canceled on request")]
DELETED = [("2026-10", "canceled", "account 'acme.files' was deleted: connect it again to have it collected")]

Act = Callable[[Platform], None]


def cancel(platform: Platform) -> None:
    """As `cancel_task` does where Dagster cannot end the run."""
    (row,) = platform.metadata.collections.history()
    platform.metadata.collections.close("canceled", "canceled on request", task_id=row.task_id)


def delete(platform: Platform) -> None:
    """As `deleteCredential` does."""
    account = platform.metadata.accounts.get("acme.files")
    onboarding.delete_account(platform.metadata, account, Actor.here("test"), has_secret=False)


@pytest.fixture
def asked(scripted_platform: Platform, scripted: Scripted, files: Files) -> list[str]:
    """A file of one month; the periods that the provider is asked for."""
    files.write("october", "2026-10", ["1"])
    periods: list[str] = []
    scripted.on_collect = lambda _, period: periods.append(str(period))
    return periods


def test_a_run_launched_twice_collects_once(scripted_platform: Platform, asked: list[str]) -> None:
    requests = scripted_platform.tick(NOW)
    scripted_platform.collect(requests)
    before = scripted_platform.metadata.collections.history()
    (second,) = scripted_platform.collect(requests)
    assert second.success
    assert second.asset_materializations_for_node("collect_scripted") == []
    assert scripted_platform.metadata.collections.history() == before
    assert asked == ["2026-10"]


def test_what_another_run_is_collecting_is_left_to_it(scripted_platform: Platform, asked: list[str]) -> None:
    requests = scripted_platform.tick(NOW)
    (row,) = scripted_platform.metadata.collections.history()
    scripted_platform.metadata.collections.start(row.task_id, "schedule", row.slice, "first run")
    before = scripted_platform.metadata.collections.history()
    (second,) = scripted_platform.collect(requests)
    assert second.success
    assert scripted_platform.metadata.collections.history() == before
    assert asked == []


@pytest.mark.parametrize(("act", "ended"), [(cancel, CANCELED), (delete, DELETED)])
def test_a_queued_run_of_what_was_canceled_collects_nothing(
    scripted_platform: Platform, asked: list[str], act: Act, ended: list[tuple[str, str, str]]
) -> None:
    requests = scripted_platform.tick(NOW)
    act(scripted_platform)
    (run,) = scripted_platform.collect(requests)
    assert run.success
    assert scripted_platform.history() == ended
    assert asked == []
    assert scripted_platform.publications("2026-10") == 0


@pytest.mark.parametrize(("act", "ended"), [(cancel, CANCELED), (delete, DELETED)])
def test_what_is_canceled_while_it_is_read_is_not_published(
    scripted_platform: Platform, scripted: Scripted, files: Files, act: Act, ended: list[tuple[str, str, str]]
) -> None:
    files.write("october", "2026-10", ["1"])
    scripted.on_collect = lambda *_: act(scripted_platform)
    (run,) = scripted_platform.collect(scripted_platform.tick(NOW))
    assert run.success
    assert scripted_platform.history() == ended
    assert scripted_platform.publications("2026-10") == 0
    assert scripted_platform.metadata.slices.live_generations() == frozenset()  # what it wrote is garbage


@pytest.mark.parametrize(("act", "ended"), [(cancel, CANCELED), (delete, DELETED)])
def test_what_is_canceled_after_it_was_read_is_not_published(
    scripted_platform: Platform,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    act: Act,
    ended: list[tuple[str, str, str]],
) -> None:
    compare = Warehouse.unequal

    def compare_and_act(*arguments: Any) -> Any:
        found = compare(*arguments)
        act(scripted_platform)
        return found

    monkeypatch.setattr(Warehouse, "unequal", compare_and_act)
    (run,) = scripted_platform.collect(scripted_platform.tick(NOW))
    assert run.success
    assert asked == ["2026-10"]
    assert scripted_platform.history() == ended
    assert scripted_platform.publications("2026-10") == 0
    assert scripted_platform.metadata.slices.live_generations() == frozenset()  # what it wrote is garbage


def test_what_is_canceled_is_not_tried_again(scripted_platform: Platform, scripted: Scripted, files: Files) -> None:
    files.write("october", "2026-10", ["1"])
    tries: list[str] = []

    def fail(account_id: str, _: object) -> None:
        tries.append(account_id)
        cancel(scripted_platform)
        raise Transient("the network is away")

    scripted.on_collect = fail
    scripted_platform.collect(scripted_platform.tick(NOW))
    assert scripted_platform.history() == CANCELED
    assert len(tries) == 1


def test_a_run_that_goes_on_for_one_from_the_ui_goes_on_with_its_task(
    scripted_platform: Platform, asked: list[str]
) -> None:
    """Dagster launches it with the tags of the run whose worker died, which may have those of the run that it repeats."""
    run = scripted_platform.materialise("2026-10", provider="scripted")
    assert run.success
    launched = scripted_platform.instance.get_run_by_id(run.run_id)
    assert launched is not None
    assert launched.tags[TASK_TAG] == run.run_id
    again = scripted_platform.run({**launched.tags, "dagster/retry_number": "1"}, "scripted")
    assert again.success
    assert asked == ["2026-10"]
    assert [row.task_id for row in scripted_platform.metadata.collections.history()] == [run.run_id]
