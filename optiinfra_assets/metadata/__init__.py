"""The state in PostgreSQL, with one repository per subject: customers, accounts, slices, collections, tokens, sessions and their logs."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from optiinfra_assets.database.postgres import Database
from optiinfra_assets.metadata.access_audit import AccessAuditRepository
from optiinfra_assets.metadata.accounts import AccountRepository, CustomerRepository
from optiinfra_assets.metadata.activity import ActivityRepository
from optiinfra_assets.metadata.collections import CollectionRepository
from optiinfra_assets.metadata.events import EventRepository
from optiinfra_assets.metadata.slices import SliceRepository
from optiinfra_assets.metadata.tokens import TokenRepository
from optiinfra_assets.metadata.web_sessions import WebSessionRepository
from optiinfra_assets.metadata.work_queue import WorkQueueRepository

if TYPE_CHECKING:
    from optiinfra_assets.metadata.alert_outbox import AlertOutboxRepository
    from optiinfra_assets.metadata.alerts import AlertRepository
    from optiinfra_assets.metadata.anomalies import AnomalyRepository
    from optiinfra_assets.metadata.budgets import BudgetRepository
    from optiinfra_assets.metadata.commitments import CommitmentRepository
    from optiinfra_assets.metadata.deliveries import DeliveryRepository
    from optiinfra_assets.metadata.failures import FailureRepository
    from optiinfra_assets.metadata.forecasts import ForecastRepository
    from optiinfra_assets.metadata.invoices import InvoiceRepository
    from optiinfra_assets.metadata.platform_figures import StatisticsRepository
    from optiinfra_assets.metadata.rates import RateRepository
    from optiinfra_assets.metadata.retention import RetentionRepository
    from optiinfra_assets.metadata.saved_views import SavedViewRepository
    from optiinfra_assets.vault.channel_secrets import ChannelSecretRepository
    from optiinfra_assets.vault.credentials import CredentialRepository


class Metadata(Database):
    """A PostgreSQL database and its repositories. Thread-safe."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.customers = CustomerRepository(self)
        self.accounts = AccountRepository(self)
        self.slices = SliceRepository(self)
        self.work_queue = WorkQueueRepository(self)
        self.collections = CollectionRepository(self)
        self.events = EventRepository(self)
        self.tokens = TokenRepository(self)
        self.web_sessions = WebSessionRepository(self)
        self.activity = ActivityRepository(self)
        self.access_audit = AccessAuditRepository(self)

    @cached_property
    def platform_figures(self) -> StatisticsRepository:
        """The figures of operations; no reader of costs needs them."""
        from optiinfra_assets.metadata.platform_figures import StatisticsRepository

        return StatisticsRepository(self)

    @cached_property
    def failures(self) -> FailureRepository:
        """The failures that stand; no reader of costs needs them."""
        from optiinfra_assets.metadata.failures import FailureRepository

        return FailureRepository(self)

    @cached_property
    def invoices(self) -> InvoiceRepository:
        """What is stated of invoices, and the comparisons of costs with them."""
        from optiinfra_assets.metadata.invoices import InvoiceRepository

        return InvoiceRepository(self)

    @cached_property
    def rates(self) -> RateRepository:
        """Rates between currencies; whoever converts costs needs them."""
        from optiinfra_assets.metadata.rates import RateRepository

        return RateRepository(self)

    @cached_property
    def budgets(self) -> BudgetRepository:
        """What customers may spend."""
        from optiinfra_assets.metadata.budgets import BudgetRepository

        return BudgetRepository(self)

    @cached_property
    def anomalies(self) -> AnomalyRepository:
        """Anomalies, what was expected of each day, and what people say."""
        from optiinfra_assets.metadata.anomalies import AnomalyRepository

        return AnomalyRepository(self)

    @cached_property
    def forecasts(self) -> ForecastRepository:
        """Forecasts as they were made, and what people expect instead."""
        from optiinfra_assets.metadata.forecasts import ForecastRepository

        return ForecastRepository(self)

    @cached_property
    def saved_views(self) -> SavedViewRepository:
        """The views of costs that people saved; the pages need it, and whoever asks for them."""
        from optiinfra_assets.metadata.saved_views import SavedViewRepository

        return SavedViewRepository(self)

    @cached_property
    def commitments(self) -> CommitmentRepository:
        """The commitments that sources state; no question about costs needs them."""
        from optiinfra_assets.metadata.commitments import CommitmentRepository

        return CommitmentRepository(self)

    @cached_property
    def deliveries(self) -> DeliveryRepository:
        """The places to which files are delivered; the service of costs does not need it."""
        from optiinfra_assets.metadata.deliveries import DeliveryRepository

        return DeliveryRepository(self)

    @cached_property
    def alerts(self) -> AlertRepository:
        """The rules and channels of alerts; no reader of costs needs them."""
        from optiinfra_assets.metadata.alerts import AlertRepository

        return AlertRepository(self)

    @cached_property
    def alert_outbox(self) -> AlertOutboxRepository:
        """The messages of alerts; who finds occasions, sends and shows them needs it."""
        from optiinfra_assets.metadata.alert_outbox import AlertOutboxRepository

        return AlertOutboxRepository(self)

    @cached_property
    def channel_secrets(self) -> ChannelSecretRepository:
        """The encrypted secrets of the channels of alerts; as `credentials`."""
        from optiinfra_assets.vault.channel_secrets import ChannelSecretRepository
        from optiinfra_assets.vault.keyring import Keyring

        return ChannelSecretRepository(self, Keyring.configured(self._settings))

    @cached_property
    def retention(self) -> RetentionRepository:
        """Removes old records; the daily maintenance alone needs it."""
        from optiinfra_assets.metadata.retention import RetentionRepository

        return RetentionRepository(self)

    @cached_property
    def credentials(self) -> CredentialRepository:
        """The encrypted secrets of the accounts. This reads no master key until a secret is stored or revealed."""
        # Imported here: most users of this class need no secret, and should not pay for importing the cryptography.
        from optiinfra_assets.vault.credentials import CredentialRepository
        from optiinfra_assets.vault.keyring import Keyring

        return CredentialRepository(self, Keyring.configured(self._settings))
