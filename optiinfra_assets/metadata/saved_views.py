"""Views of costs that somebody saved under a name: the address of a page, for everybody who reads the data of the same customer.

Its author changes or removes a view, and so does an administrator. Each act is in the access audit log.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.domain.accounts import check_name
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.vault.credential_audit import Actor, by

MOST_VIEWS: Final = 100
"""Views that a customer can have."""


class ViewOfAnother(Exception):
    """Somebody else saved the view, and who would change it is no administrator."""


@dataclass(frozen=True, slots=True)
class StoredView:
    """A view under its name. `saved_at` is UTC.

    Attributes:
        path: path and query of the page that shows it.
        author: id of the token that saved it first.
        author_name: name of that token.
    """

    view_id: str
    customer_id: str
    name: str
    path: str
    author: str
    author_name: str
    saved_at: datetime

    def is_changed_by(self, principal: Principal) -> bool:
        """Whether `principal` may change or remove it."""
        return principal.role == "admin" or principal.token_id == self.author


class SavedViewRepository(Repository):
    """Reads, stores and removes saved views."""

    def find(self, *, customer_id: str) -> list[StoredView]:
        """Return the views of a customer, by name."""
        return [StoredView(**row) for row in self._database.rows("saved_views.sql", {"customer_id": customer_id})]

    def save(
        self,
        name: str,
        path: str,
        view_id: str | None,
        *,
        customer_id: str,
        principal: Principal,
        actor: Actor,
    ) -> StoredView:
        """Store a view under a name: a new one, or in the place of the one with that id, or else with that name.

        Raises:
            ValueError: the name is not accepted or another view has it, or the customer has too many views.
            RecordNotFound: the customer has no view with that id.
            ViewOfAnother: `principal` may not change the view that would be replaced.
        """
        check_name("name", name)
        with self._database.transaction():
            self._database.rows("lock_customer.sql", {"customer_id": customer_id})
            views = self.find(customer_id=customer_id)
            same_name = next((one for one in views if one.name == name), None)
            old = same_name if view_id is None else _named(views, view_id)
            if same_name is not None and same_name is not old:
                raise ValueError(f"name: another view is called {name!r}")
            if old is None and len(views) >= MOST_VIEWS:
                raise ValueError(f"name: this customer has {MOST_VIEWS} views already: remove one first")
            _check_may_change(old, principal)
            values = {
                "view_id": old.view_id if old else secrets.token_hex(6),
                "customer_id": customer_id,
                "name": name,
                "path": path,
                "author": principal.token_id,
                "author_name": principal.name,
            }
            (row,) = self._database.rows("save_view.sql", values | by(actor))
        return StoredView(**row)

    def remove(self, view_id: str, *, customer_id: str, principal: Principal, actor: Actor) -> StoredView:
        """Remove a view and return what it was.

        Raises:
            RecordNotFound: the customer has no view with that id.
            ViewOfAnother: `principal` may not change it.
        """
        view = _named(self.find(customer_id=customer_id), view_id)
        _check_may_change(view, principal)
        self._database.rows("remove_view.sql", {"view_id": view_id, "customer_id": customer_id, **by(actor)})
        return view


def _named(views: list[StoredView], view_id: str) -> StoredView:
    found = next((one for one in views if one.view_id == view_id), None)
    if found is None:
        raise RecordNotFound(f"view: {view_id!r} does not exist")
    return found


def _check_may_change(view: StoredView | None, principal: Principal) -> None:
    if view is not None and not view.is_changed_by(principal):
        raise ViewOfAnother(f"view: {view.name!r} was saved by {view.author_name}")
