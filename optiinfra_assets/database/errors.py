"""The errors that the databases' code raises on purpose. Every message is one line without secrets, and says what to do."""

from __future__ import annotations

from datetime import datetime


class StoreError(Exception):
    """Base of all errors of this module."""


class WarehouseUnavailable(StoreError):
    """ClickHouse cannot be reached, or refuses the connection; the message names host and database."""


class MetadataUnavailable(StoreError):
    """PostgreSQL cannot be reached, or refuses the connection; the message names host and database."""


class MigrationError(StoreError):
    """The migrations recorded in a database do not match the files of this version."""


class IntegrityError(StoreError):
    """The database does not hold what was sent; the message names table, currency, measure and both numbers."""


class PublicationRefused(StoreError):
    """A generation is not newer than the published one of its slice, or is (or may be) published already."""


class SliceBusy(StoreError):
    """Another process is collecting the slice, or this one has lost its lock on it."""


class AsOfNotRetained(StoreError):
    """An `asOf` read needs generations that retention has removed.

    Attributes:
        before: newest earlier instant (UTC) that can still be read, None if there is none.
        after: earliest later instant (UTC) that can still be read.
    """

    def __init__(self, as_of: datetime, before: datetime | None, after: datetime) -> None:
        kept = [moment.isoformat() for moment in (before, after) if moment is not None]
        super().__init__(
            f"asOf: {as_of.isoformat()} is no longer kept: the nearest kept instants are {' and '.join(kept)}"
        )
        self.before = before
        self.after = after


class RecordNotFound(StoreError):
    """A customer, account, token or other record does not exist; the message names it."""


class AlreadyExists(StoreError):
    """A customer or account with that id already exists, usually with other content."""


class NothingToCollect(RecordNotFound, ValueError):
    """No active account matches the request; the message names those that exist."""


class NothingDue(NothingToCollect):
    """Every slice is collected at its last seen change token, and none may have changed since."""


class PeriodNotThere(StoreError, ValueError):
    """No source has the billing period that was named; the message says which it has."""


class TooManyOpenRequests(StoreError):
    """A customer has as many open requests for collections as it may; the message names the setting."""


class DagsterUnavailable(StoreError):
    """The Dagster webserver does not answer, or refuses a request; the message names its URL."""


class RunTerminationFailed(DagsterUnavailable):
    """Dagster could not terminate some of the runs; the others are terminated."""
