"""Saved views: one name once for each customer, changed by whoever may, at most so many, and each act on record."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.saved_views import MOST_VIEWS, StoredView, ViewOfAnother
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.vault.credential_audit import Actor

ALICE = Principal("token-a", "alice", "acme", "viewer")
BOB = Principal("token-b", "bob", "acme", "operator")
ADMIN = Principal("token-c", "carol", "acme", "admin")


@pytest.fixture
def acme(metadata: Metadata) -> Metadata:
    """Two customers."""
    for customer in ("acme", "beta"):
        metadata.customers.add(customer)
    return metadata


def save(metadata: Metadata, name: str, who: Principal, view_id: str | None = None, **changed: Any) -> StoredView:
    """Save a view of a customer."""
    values = {"path": "/explore", "customer_id": "acme", **changed}
    actor = Actor(who.token_id, "192.0.2.7")
    path = values.pop("path")
    return metadata.saved_views.save(name, path, view_id, principal=who, actor=actor, **values)


def names(metadata: Metadata, customer_id: str = "acme") -> list[str]:
    """The names of a customer's views."""
    return [one.name for one in metadata.saved_views.find(customer_id=customer_id)]


def test_a_view_is_replaced_and_renamed_by_its_author_and_by_administrators(acme: Metadata) -> None:
    first = save(acme, "web", ALICE)
    again = save(acme, "web", ALICE, path="/explore?group=REGION")
    assert (again.view_id, again.path) == (first.view_id, "/explore?group=REGION")
    with pytest.raises(ViewOfAnother, match="'web' was saved by alice"):
        save(acme, "web", BOB)
    renamed = save(acme, "Web team", ADMIN, first.view_id)
    assert (renamed.view_id, renamed.author_name) == (first.view_id, "alice")
    save(acme, "other", BOB)
    with pytest.raises(ValueError, match="another view is called 'other'"):
        save(acme, "other", ADMIN, first.view_id)
    with pytest.raises(RecordNotFound):
        save(acme, "x", ADMIN, "0123456789ab")
    assert names(acme) == ["other", "Web team"]
    log = [(one.action, one.name, one.detail, one.actor) for one in acme.access_audit.find(customer_id="acme")][:4]
    assert log == [
        ("save_view", "other", None, "token-b"),
        ("save_view", "Web team", "web", "token-c"),
        ("save_view", "web", "web", "token-a"),
        ("save_view", "web", None, "token-a"),
    ]


def test_a_view_is_removed_by_whoever_may(acme: Metadata) -> None:
    view = save(acme, "web", ALICE)
    asked: dict[str, Any] = {"customer_id": "acme", "actor": Actor("x", "y")}
    with pytest.raises(ViewOfAnother):
        acme.saved_views.remove(view.view_id, principal=BOB, **asked)
    with pytest.raises(RecordNotFound):
        acme.saved_views.remove(view.view_id, principal=ADMIN, **{**asked, "customer_id": "beta"})
    assert acme.saved_views.remove(view.view_id, principal=ALICE, **asked).name == "web"
    assert names(acme) == []
    with pytest.raises(RecordNotFound):
        acme.saved_views.remove(view.view_id, principal=ALICE, **asked)
    assert acme.access_audit.find()[0].action == "remove_view"


def test_customers_have_names_of_their_own(acme: Metadata) -> None:
    view = save(acme, "web", ALICE)
    theirs = save(acme, "web", ALICE, customer_id="beta")
    assert theirs.view_id != view.view_id
    assert (names(acme), names(acme, "beta")) == (["web"], ["web"])


def test_two_who_save_at_once_do_not_pass_the_limit(acme: Metadata) -> None:
    for number in range(MOST_VIEWS - 1):
        save(acme, f"view {number}", ALICE)
    refused: list[str] = []

    def one_more(name: str) -> None:
        try:
            save(acme, name, ALICE)
        except ValueError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=one_more, args=(f"more {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(acme)) == MOST_VIEWS
    assert refused == [f"name: this customer has {MOST_VIEWS} views already: remove one first"] * 3
    save(acme, "view 0", ALICE, path="/explore?compare=1")


@pytest.mark.parametrize("name", ["", " x", "x" * 101, "a\0b", "a\nb"])
def test_a_name_that_is_not_accepted_is_named(acme: Metadata, name: str) -> None:
    with pytest.raises(ValueError, match=r"^name: "):
        save(acme, name, ALICE)
