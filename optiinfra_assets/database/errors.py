"""What the store raises on purpose. Every message is one line, without a secret, and says what to do."""

from __future__ import annotations

from datetime import datetime


class StoreError(Exception):
    """Base of everything the store raises on purpose."""


class WarehouseUnavailable(StoreError):
    """ClickHouse cannot be reached, or refuses us; the message names host and database."""


class MetadataUnavailable(StoreError):
    """PostgreSQL cannot be reached, or refuses us; the message names host and database."""


class MigrationError(StoreError):
    """The migrations on record in a database and the files of this version do not belong together."""


class IntegrityError(StoreError):
    """The database does not hold what was sent; the message names table, currency, measure and both numbers."""


class PublicationRefused(StoreError):
    """A generation that is not newer than the published one of its slice, or that is published already."""


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
    """No such customer, account or token; the message names it."""


class AlreadyExists(StoreError):
    """A customer or account of that id is there already, with other content."""


class NothingToCollect(RecordNotFound, ValueError):
    """No account matches what was asked for; the message names what exists."""


class NothingDue(NothingToCollect):
    """Everything is collected as its source last showed it, and no month of it may have moved since."""


class DagsterUnavailable(StoreError):
    """The Dagster webserver does not answer, or cannot do what it was asked; the message names its address."""


class RunTerminationFailed(DagsterUnavailable):
    """Dagster could not end some of the runs that it was to end; the others are ended."""
