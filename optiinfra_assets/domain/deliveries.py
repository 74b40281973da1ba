"""Deliveries: places to which what is published of a customer goes as FOCUS files, and the manifest that says what is there.

A delivery writes one file for each slice, ``<account>/<YYYY-MM>.parquet`` or ``.csv.gz``, and ``manifest.json`` beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from optiinfra_assets.domain.focus import BY_TEXT, Version

MANIFEST: Final = "manifest.json"
ENDINGS: Final = {"parquet": ".parquet", "csv": ".csv.gz"}
"""Format -> what the names of its files end with."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A place, and what is written there.

    Attributes:
        name: within its customer.
        location: folder of the machine on which runs are executed, or ``s3://bucket/prefix``.
        version: FOCUS version, such as ``1.4``.
        format: ``parquet`` or ``csv``.
        has_x_columns: what sources have beyond FOCUS is written too.
        region, endpoint_url, profile: of S3, as in a `focus` account; a key is kept in the vault.
    """

    customer_id: str
    name: str
    location: str
    version: str = "1.4"
    format: str = "parquet"
    has_x_columns: bool = False
    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is not accepted; the message names the field and what is accepted.
        """
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name: {self.name!r} is not accepted: use 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit"
            )
        if self.version not in BY_TEXT:
            raise ValueError(f"version: {self.version!r} is not accepted: use {', '.join(BY_TEXT)}")
        if self.format not in ENDINGS:
            raise ValueError(f"format: {self.format!r} is not accepted: use {' or '.join(ENDINGS)}")
        is_bucket = re.match("s3://[^/]", self.location) is not None
        if not is_bucket and not self.location.startswith("/"):
            raise ValueError(
                f"location: {self.location!r} is not accepted: use an absolute folder, or s3://bucket/prefix"
            )
        if not is_bucket and (self.region or self.endpoint_url or self.profile):
            raise ValueError("region, endpoint_url and profile: go with an s3:// location: leave them out")

    @property
    def delivery_id(self) -> str:
        """Its id over all customers."""
        return f"{self.customer_id}/{self.name}"

    @property
    def focus_version(self) -> Version:
        """The version as two numbers."""
        return BY_TEXT[self.version]

    @property
    def written_as(self) -> dict[str, Any]:
        """How its files are written."""
        return {"focus": self.version, "has_x_columns": self.has_x_columns}

    def settings(self) -> dict[str, Any]:
        """Return all but its customer and name."""
        return {name: value for name, value in asdict(self).items() if name not in ("customer_id", "name")}

    @classmethod
    def of(cls, delivery_id: str, settings: Mapping[str, Any]) -> Delivery:
        """Make one from its id and `settings`."""
        customer_id, _, name = delivery_id.partition("/")
        return cls(customer_id, name, **settings)


@dataclass(slots=True)
class DeliveryManifest:
    """What lies at a place: the files that are whole there. A file that is not named is no part of the delivery.

    Attributes:
        files: name -> generation, how it is written, number of line items, bytes, SHA-256, exact totals of BilledCost by currency, and when
            it was published.
    """

    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, content: bytes) -> DeliveryManifest:
        """Read what `written` has written.

        Raises:
            ValueError: it is no such manifest.
        """
        said = json.loads(content)
        if not isinstance(said, dict) or not isinstance(said.get("files"), dict):
            raise ValueError(f"{MANIFEST}: is not that of a delivery")
        return cls(said["files"])

    def written(self, now: datetime) -> bytes:
        """Return the file, of files sorted by name."""
        shown = {
            "written_at": now.isoformat(timespec="seconds"),
            "files": dict(sorted(self.files.items())),
        }
        return json.dumps(shown, indent=2).encode() + b"\n"
