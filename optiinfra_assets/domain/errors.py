"""What providers and normalization may raise, and how rounding is counted.

Errors, by what the caller does::

    ProviderError
    ├── Transient            try again later: network, time-out, 5xx (3 retries, 60 s apart)
    │   └── Throttled        try again, not before `until`
    └── Permanent            a person has to act; retrying changes nothing
        ├── CredentialRejected   the credential, or a permission it lacks
        ├── ContractChanged      the provider's answer is not what its documents say: names the field and value
        │   └── ResourceNotFound what was asked for is not there (404)
        └── BadData              a value that cannot be stored exactly: names file, row, column, value and what is accepted
            └── NothingThere     the source is empty or gone; nothing stored is erased for that
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


class ProviderError(Exception):
    """Base of everything a provider raises on purpose. The message is one line, without a secret, and says what to do."""


class Transient(ProviderError):
    """Worth retrying unchanged."""


class Throttled(Transient):
    """The provider asked to wait.

    Attributes:
        until: UTC instant before which no request should be made.
    """

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class Permanent(ProviderError):
    """Retrying changes nothing."""


class CredentialRejected(Permanent):
    """The provider does not accept the credential, or it lacks a permission (which the message names)."""


class ContractChanged(Permanent):
    """The answer is not of the documented shape; the message names the field and the value."""


class ResourceNotFound(ContractChanged):
    """What was asked for is not there; a provider that can do without it catches this."""


class BadData(Permanent):
    """A value cannot be stored exactly; the message names file, row, column, value and what is accepted."""


class NothingThere(BadData):
    """The source is empty or missing, which is never taken for a cost of zero."""


@dataclass(slots=True)
class Rounding:
    """How many numbers had more than 18 fraction digits, and by how much in all they were changed (half-even)."""

    values: int = 0
    total: Decimal = Decimal(0)


class SourceRefused(Exception):
    """The source could not be read. The message is one line without a secret.

    Attributes:
        code: why, stable, for programs.
        remedy: what to do, one sentence.
        until: UTC instant before which asking again is of no use, None if it says none.
    """

    def __init__(self, message: str, code: str, remedy: str, until: datetime | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy
        self.until = until
