"""Our small state in PostgreSQL: customers, accounts, slices and their locks, the history of collections, API tokens."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from optiinfra_assets.store.accounts import Accounts
from optiinfra_assets.store.activity import Activity
from optiinfra_assets.store.events import Events
from optiinfra_assets.store.history import History
from optiinfra_assets.store.pending import Pending
from optiinfra_assets.store.slices import Slices
from optiinfra_assets.store.tokens import Tokens

if TYPE_CHECKING:
    from optiinfra_assets.store.credentials import Credentials


class Metadata(Accounts, Slices, History, Pending, Tokens, Activity, Events):
    """One PostgreSQL database with all of them; see the modules for what each part does. Safe for threads."""

    @cached_property
    def credentials(self) -> Credentials:
        """The encrypted secrets of its accounts. No master key is read before a secret is stored or revealed."""
        # Here and not above: most who open this need no secret, and pay for no cryptography.
        from optiinfra_assets.store.credentials import Credentials
        from optiinfra_assets.store.keyring import Keyring

        return Credentials(self, Keyring.configured(self._settings))
