"""Classify exceptions of probes and collections: whose fault, whether the same run tries again, and how long the schedule waits."""

from __future__ import annotations

import errno
import os
from typing import Final

import psycopg
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from optiinfra_assets.database.errors import (
    IntegrityError,
    MetadataUnavailable,
    SliceBusy,
    StoreError,
    WarehouseUnavailable,
)
from optiinfra_assets.domain.errors import (
    BadData,
    CredentialRejected,
    Permanent,
    ProviderError,
    Transient,
    Unreachable,
)
from optiinfra_assets.domain.failures import (
    AFTER_PERMANENT,
    AFTER_TRANSIENT,
    AFTER_UNEXPECTED,
    Fault,
    RetryPause,
)

_TRANSIENT_CODES: Final = frozenset({159, 202, 209, 210, 241, 242, 252, 319, 999})
"""ClickHouse error codes: time-out, too many queries, socket time-out, network, memory limit, read-only replica, too many parts,
unknown status of an insert, keeper. Source: src/Common/ErrorCodes.cpp of ClickHouse."""

_DATA_CODES: Final = frozenset({6, 27, 38, 41, 43, 53, 69, 70, 72, 131, 190, 321, 349, 407})
"""ClickHouse error codes about values, which the same data cause again: cannot parse, illegal or mismatching type, out of bound, cannot
convert, too large, sizes, null where none may be, decimal overflow. Source as above."""

_FULL_CODES: Final = frozenset({243})
"""ClickHouse's error code where it sees that a disk is full; where the system tells it, its text is that of the system. Source as above."""

_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})

_FAULTS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], Fault], ...]] = (
    (CredentialRejected, Fault.CREDENTIAL),
    (BadData, Fault.SOURCE),
    (Unreachable, Fault.NETWORK),
    (ProviderError, Fault.PROVIDER),
    (SliceBusy, Fault.PLATFORM),
    ((StoreError, DatabaseError, OperationalError, psycopg.Error), Fault.STORAGE),
)


def fault_of(error: Exception) -> Fault:
    """Return whose fault an exception is."""
    if isinstance(error, OSError) and error.errno in _DISK:
        return Fault.STORAGE
    return next((fault for kinds, fault in _FAULTS if isinstance(error, kinds)), Fault.PLATFORM)


def is_full(error: Exception) -> bool:
    """Whether a disk of the platform is full."""
    if isinstance(error, DatabaseError):
        return getattr(error, "code", None) in _FULL_CODES or os.strerror(errno.ENOSPC) in str(error)
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def is_transient(error: Exception) -> bool:
    """Whether the same run should try again."""
    if isinstance(error, DatabaseError):
        return getattr(error, "code", None) in _TRANSIENT_CODES
    return isinstance(error, Transient | WarehouseUnavailable | MetadataUnavailable | SliceBusy | OperationalError)


def is_permanent(error: Exception) -> bool:
    """Whether the same data fail again, so that only another state of the source, or a person, helps."""
    if isinstance(error, DatabaseError):
        return getattr(error, "code", None) in _DATA_CODES
    return isinstance(error, Permanent | IntegrityError)


def pause_after(error: Exception) -> RetryPause:
    """Return how long the schedule waits after a collection that failed with `error`."""
    if is_permanent(error):
        return AFTER_PERMANENT
    return AFTER_TRANSIENT if is_transient(error) else AFTER_UNEXPECTED
