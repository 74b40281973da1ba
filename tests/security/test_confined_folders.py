"""A customer who writes into a folder that the platform reads makes it read nothing else: no link, swapped folder, pipe or device does."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from focus_samples import csv_text, row, write_csv

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import CredentialRejected, NothingThere, Transient
from optiinfra_assets.ingestion.account_access import for_call
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import Probe
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext
from optiinfra_assets.providers.files.location import LocalFolder

FOCUS = PROVIDERS["focus"]
NOT_READ = "skipped: a link that leads out of the folder, a pipe, a device or a socket is not read"


@pytest.fixture
def costs(tmp_path: Path) -> Path:
    """The folder of a customer, with one file; beside it lie the costs of another customer."""
    for name in ("acme", "other"):
        _write(tmp_path / "customers" / name / "costs.csv")
    return tmp_path / "customers" / "acme"


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True)
    write_csv(path, csv_text([row()]))


def _account(folder: Path, *, by_operator: bool = False) -> Account:
    origin = {"settings_by_operator": by_operator, "secrets_by_operator": by_operator}
    return Account("acme.a", "acme", "focus", {"location": str(folder)}, {}, **origin)


def _probe(account: Account) -> Probe:
    context = ProviderContext(lambda: datetime(2026, 11, 5, tzinfo=UTC), MemorySnapshots())
    with for_call(context, FOCUS, account, "probe") as limited:
        return FOCUS.probe(account, {}, limited)


def _skipped(probe: Probe) -> list[tuple[str, int, str]]:
    return [(one.message, one.count, one.example) for one in probe.warnings]


def test_a_link_out_of_the_folder_is_skipped_with_one_note(costs: Path) -> None:
    before = _probe(_account(costs)).tokens
    (costs / "x.csv").symlink_to(costs.parent / "other" / "costs.csv")
    (costs / "y.csv").symlink_to("../other/costs.csv")
    (costs / "z").symlink_to(costs.parent / "other")
    (costs / "passwd.csv").symlink_to("/etc/passwd")
    probe = _probe(_account(costs))
    assert probe.tokens == before
    assert _skipped(probe) == [(NOT_READ, 4, str(costs / "passwd.csv"))]


def test_a_link_tells_nothing_of_what_is_outside(costs: Path) -> None:
    (costs / "a.csv").symlink_to("/etc/there-is-no-such-file")
    (costs / "b.csv").symlink_to("/etc/passwd")
    assert _skipped(_probe(_account(costs))) == [(NOT_READ, 2, str(costs / "a.csv"))]


def test_a_link_inside_the_folder_is_followed(costs: Path) -> None:
    _write(costs / "deep" / "more.csv")
    (costs / "link.csv").symlink_to(costs / "deep" / "more.csv")
    assert [file.name for file in LocalFolder(costs, is_confined=True).files()] == ["costs.csv", "deep/more.csv"]


def test_the_operator_may_link_to_where_he_likes(costs: Path) -> None:
    (costs / "x").symlink_to(costs.parent / "other")
    assert len(LocalFolder(costs).files()) == 2
    assert _skipped(_probe(_account(costs, by_operator=True))) == []


@pytest.mark.parametrize("by_operator", [True, False])
def test_what_is_no_file_neither_hangs_nor_is_read(costs: Path, by_operator: bool) -> None:
    os.mkfifo(costs / "pipe.csv")
    (costs / "zero.csv").symlink_to("/dev/zero")
    here = Path.cwd()
    os.chdir(costs)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("socket.csv")
            probe = _probe(_account(costs, by_operator=by_operator))
    finally:
        os.chdir(here)
    assert list(probe.tokens) == [BillingPeriod(2024, 9)]
    assert _skipped(probe) == [(NOT_READ, 3, str(costs / "pipe.csv"))]


def test_a_folder_with_nothing_else_says_why_nothing_is_read(costs: Path) -> None:
    (costs / "costs.csv").unlink()
    (costs / "x.csv").symlink_to(costs.parent / "other" / "costs.csv")
    with pytest.raises(NothingThere, match="a link that leads out of the folder"):
        _probe(_account(costs))


@pytest.mark.parametrize("deep", [False, True])
def test_what_becomes_a_link_after_it_was_listed_is_not_read(costs: Path, deep: bool) -> None:
    if deep:
        (costs / "a").mkdir()
        (costs / "costs.csv").rename(costs / "a" / "costs.csv")
    location = LocalFolder(costs, is_confined=True)
    (file,) = location.files()
    swapped = costs / "a" if deep else costs / "costs.csv"
    swapped.rename(costs / ".before")
    outside = costs.parent / "other" / ("" if deep else "costs.csv")
    os.utime(costs.parent / "other" / "costs.csv", ns=(1, int(file.version)))
    swapped.symlink_to(outside)
    with pytest.raises(Transient, match="is gone or changed"), location.reading(file):
        pass
    with pytest.raises(Transient, match="is gone or changed"):
        location.open(file)


def test_a_pipe_in_the_place_of_a_file_does_not_hang(costs: Path) -> None:
    location = LocalFolder(costs)
    (file,) = location.files()
    (costs / "costs.csv").unlink()
    os.mkfifo(costs / "costs.csv")
    with pytest.raises(Transient, match="is gone or changed"):
        location.open(file)


@pytest.mark.parametrize("above", [False, True])
def test_a_folder_that_becomes_a_link_is_not_read(costs: Path, above: bool) -> None:
    account = _account(costs)
    _probe(account)
    swapped, other = (costs.parent, costs.parent.with_name("elsewhere")) if above else (costs, costs.parent / "other")
    if above:
        swapped.rename(other)
        swapped.symlink_to(other)
    else:
        costs.rename(costs.parent / "before")
        costs.symlink_to(other)
    with pytest.raises(CredentialRejected, match="is reached over a link, which is not followed"):
        _probe(account)
    operators = replace(account, settings_by_operator=True, secrets_by_operator=True)
    assert len(_probe(operators).tokens) == 1
