"""The places to which what is published goes as files; their secrets are in the vault, and what was delivered is in their manifests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.types.json import Jsonb

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.domain.deliveries import Delivery


class DeliveryRepository(Repository):
    """Stores, finds and removes deliveries."""

    def add(self, delivery: Delivery) -> None:
        """Store a delivery, or other settings of it."""
        values = {"delivery_id": delivery.delivery_id, "customer_id": delivery.customer_id}
        self._database.rows("delivery_add.sql", {**values, "settings": Jsonb(delivery.settings())})

    def find(self, customer_id: str | None = None) -> list[Delivery]:
        """Return the deliveries of a customer, or all, by id."""
        values = {"customer_id": customer_id, "delivery_id": None}
        return [
            Delivery.of(row["delivery_id"], row["settings"]) for row in self._database.rows("deliveries.sql", values)
        ]

    def get(self, delivery_id: str) -> Delivery:
        """Return one delivery.

        Raises:
            RecordNotFound: there is none of that id.
        """
        row = self._database.row("deliveries.sql", {"customer_id": None, "delivery_id": delivery_id})
        if row is None:
            raise _unknown(delivery_id)
        return Delivery.of(row["delivery_id"], row["settings"])

    def remove(self, delivery_id: str) -> None:
        """Remove a delivery; what lies at its place stays.

        Raises:
            RecordNotFound: there is none of that id.
        """
        if not self._database.rows("delivery_remove.sql", {"delivery_id": delivery_id}):
            raise _unknown(delivery_id)

    @contextmanager
    def lock(self, delivery_id: str) -> Iterator[bool]:
        """Keep other processes from writing to the place; false if one does so now."""
        with self._database.locked("delivery_lock.sql", {"delivery_id": delivery_id}) as held:
            yield held is not None


def _unknown(delivery_id: str) -> RecordNotFound:
    return RecordNotFound(f"delivery: {delivery_id!r} does not exist: optiinfra delivery list shows all")
