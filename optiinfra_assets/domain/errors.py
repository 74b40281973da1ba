"""The errors that providers and normalization may raise, and the count of rounded numbers.

The errors are grouped by what the caller does::

    ProviderError
    ├── Transient            try again later: network, time-out, 5xx (3 retries, 60 s apart)
    │   ├── Throttled        try again, not before `until`
    │   └── Unreachable      no connection, or no answer in time
    └── Permanent            a person has to act; retrying changes nothing
        ├── CredentialRejected   the provider rejects the credential, or it lacks a permission
        ├── ContractChanged      the response differs from the provider's documentation: names the field and value
        │   └── ResourceNotFound     the requested resource does not exist (404)
        └── BadData              a value cannot be stored exactly: names file, row, column, value and what is accepted
            └── NothingThere         the source is empty or gone; stored data are not erased for that
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal

_EXACT = Context(prec=2000)


class ProviderError(Exception):
    """Base of all errors that a provider raises on purpose. The message is one line without secrets, and says what to do."""


class Transient(ProviderError):
    """The same request may succeed later."""


class Throttled(Transient):
    """The provider asks to wait.

    Attributes:
        until: UTC instant before which no request should be made.
    """

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class Unreachable(Transient):
    """The network does not reach the provider, or its answer does not come in time."""


class Permanent(ProviderError):
    """A retry changes nothing; a person has to act."""


class CredentialRejected(Permanent):
    """The provider does not accept the credential, or the credential lacks a permission, which the message names."""


class ContractChanged(Permanent):
    """The response does not have the documented shape; the message names the field and the value."""


class ResourceNotFound(ContractChanged):
    """The requested resource does not exist (404); a provider that can do without it catches this."""


class BadData(Permanent):
    """A value cannot be stored exactly; the message names file, row, column, value and what is accepted."""


class NothingThere(BadData):
    """The source is empty or missing; this never counts as a cost of zero."""


@dataclass(slots=True)
class Rounding:
    """How many numbers were rounded (half-even) because they had more than 18 fraction digits, and by how much in total."""

    values: int = 0
    total: Decimal = Decimal(0)

    def add(self, other: Rounding) -> None:
        """Add what another one counted."""
        self.values += other.values
        self.total = _EXACT.add(self.total, other.total)


class SourceRefused(Exception):
    """The source could not be read. The message is one line without secrets.

    Attributes:
        code: the reason as a stable code for programs.
        remedy: what to do, in one sentence.
        until: UTC instant before which a retry is useless, None if the provider named none.
    """

    def __init__(self, message: str, code: str, remedy: str, until: datetime | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy
        self.until = until
