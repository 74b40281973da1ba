"""Our small state in PostgreSQL, one repository a subject: customers, accounts, slices, collections, tokens and their logs."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from optiinfra_assets.database.postgres import Database
from optiinfra_assets.metadata.access_audit import AccessAudit
from optiinfra_assets.metadata.accounts import Accounts, Customers
from optiinfra_assets.metadata.activity import Activity
from optiinfra_assets.metadata.collections import History
from optiinfra_assets.metadata.events import Events
from optiinfra_assets.metadata.platform_figures import Figures
from optiinfra_assets.metadata.slices import Slices
from optiinfra_assets.metadata.tokens import Tokens
from optiinfra_assets.metadata.work_queue import Pending

if TYPE_CHECKING:
    from optiinfra_assets.vault.credentials import Credentials


class Metadata(Database):
    """One PostgreSQL database and its repositories. Safe for threads."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.customers = Customers(self)
        self.accounts = Accounts(self)
        self.slices = Slices(self)
        self.work_queue = Pending(self)
        self.collections = History(self)
        self.events = Events(self)
        self.tokens = Tokens(self)
        self.activity = Activity(self)
        self.access_audit = AccessAudit(self)
        self.platform_figures = Figures(self)

    @cached_property
    def credentials(self) -> Credentials:
        """The encrypted secrets of its accounts. No master key is read before a secret is stored or revealed."""
        # Here and not above: most who open this need no secret, and pay for no cryptography.
        from optiinfra_assets.vault.credentials import Credentials
        from optiinfra_assets.vault.keyring import Keyring

        return Credentials(self, Keyring.configured(self._settings))
