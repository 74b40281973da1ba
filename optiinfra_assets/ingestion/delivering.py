"""Delivers what is published of a customer as FOCUS files: each generation once, a restated slice in the place of its file.

The manifest at the place says what is there. Each file is replaced in one step, and named in the manifest after that. A process that is
killed leaves the files as they were, or one more than the manifest names: the next run writes that one again, which are the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from optiinfra_assets.database.errors import RecordNotFound, SliceBusy
from optiinfra_assets.domain.deliveries import ENDINGS, MANIFEST, Delivery, DeliveryManifest
from optiinfra_assets.domain.errors import BadData, CredentialRejected, Transient
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.domain.publications import Publication
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers.context import ProviderContext, transient_context
from optiinfra_assets.providers.files.destination import BucketDestination, Destination, FolderDestination
from optiinfra_assets.vault.credential_audit import Actor
from optiinfra_assets.vault.credentials import CredentialChanged
from optiinfra_assets.vault.master_keys import MasterKeyUnavailable, VaultError
from optiinfra_assets.warehouse.focus_files import write_slice
from optiinfra_assets.warehouse.warehouse import Warehouse

KEY_FIELDS: Final = ("access_key_id", "secret_access_key")
"""The secret fields of a delivery."""

Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What one run did at one place: numbers of files written, removed, and left because they hold the newest generation."""

    written: int
    removed: int
    unchanged: int


def deliver(
    delivery: Delivery,
    metadata: Metadata,
    warehouse: Warehouse,
    *,
    run_id: str | None = None,
    say: Say = lambda _: None,
    context: ProviderContext | None = None,
) -> DeliveryResult:
    """Write the files of all slices whose newest generation is not at the place yet, and remove those of slices without line items.

    Args:
        delivery: the place.
        metadata: stores its secret, and locks it.
        warehouse: has the line items.
        run_id: the Dagster run, for the audit log.
        say: is told of each file.
        context: gives clock and requests; None: a new one.

    Raises:
        SliceBusy: another process delivers to the place.
        BadData: the place holds other files, or a manifest that is none.
        ProviderError: the place cannot be read or written. What was delivered before is whole.
        WarehouseUnavailable: ClickHouse does not answer.
    """
    context = context or transient_context()
    with metadata.deliveries.lock(delivery.delivery_id) as is_ours:
        if not is_ours:
            raise SliceBusy(f"delivery {delivery.delivery_id}: another process is delivering: wait for that one to end")
        place = _destination(delivery, _key_of(metadata, delivery, run_id), context)
        with tempfile.TemporaryDirectory(prefix="optiinfra-delivery-") as folder:
            return _Round(delivery, place, warehouse, context, Path(folder), say).run()


class _Round:
    """One run at one place."""

    def __init__(
        self,
        delivery: Delivery,
        place: Destination,
        warehouse: Warehouse,
        context: ProviderContext,
        folder: Path,
        say: Say,
    ) -> None:
        self._delivery, self._place, self._warehouse = delivery, place, warehouse
        self._context, self._folder, self._say = context, folder, say

    def run(self) -> DeliveryResult:
        manifest = self._manifest()
        wanted = {self._name(one): one for one in self._published() if one.line_items}
        stale = [name for name, one in wanted.items() if not self._is_there(manifest.files.get(name), one)]
        for name in stale:
            manifest.files[name] = self._deliver(name, wanted[name])
            self._store(manifest)
            self._remove(manifest, [one for one in manifest.files if one != name and _stem(one) == _stem(name)])
        gone = sorted(manifest.files.keys() - wanted.keys())
        self._remove(manifest, gone)
        return DeliveryResult(len(stale), len(gone), len(wanted) - len(stale))

    def _is_there(self, file: dict[str, Any] | None, published: Publication) -> bool:
        if file is None or file.get("generation") != published.generation:
            return False
        return {name: file.get(name) for name in self._delivery.written_as} == self._delivery.written_as

    def _remove(self, manifest: DeliveryManifest, names: list[str]) -> None:
        for name in names:
            self._place.remove(name)
            del manifest.files[name]
            self._store(manifest)
            self._say(f"removed {name}")

    def _published(self) -> list[Publication]:
        resolved = self._warehouse.resolve(self._delivery.customer_id)
        chosen = set(resolved.generations)
        slices = [one.slice for one in resolved.publications if one.generation in chosen]
        return sorted(self._warehouse.currents(slices).values(), key=lambda one: str(one.slice))

    def _name(self, published: Publication) -> str:
        return f"{published.slice.account_id}/{published.slice.billing_period}{ENDINGS[self._delivery.format]}"

    def _manifest(self) -> DeliveryManifest:
        """Read the manifest; at a new place, make one, so that files which a killed process left are known as ours."""
        content = self._place.read(MANIFEST)
        if content is not None:
            try:
                return DeliveryManifest.read(content)
            except ValueError as error:
                where = self._place.location.path(MANIFEST)
                raise BadData(f"{where}: {error}: use another place, or remove the file") from None
        if others := self._place.data_files():
            raise BadData(
                f"{self._place.location.address}: holds files that no delivery wrote, such as {others[0]}: use an empty place: "
                "whoever reads it would add them up"
            )
        made = DeliveryManifest()
        self._store(made)
        return made

    def _deliver(self, name: str, published: Publication) -> dict[str, Any]:
        path = self._folder / "file"
        with path.open("wb") as out:
            self._write(published, out)
        content = path.stat()
        with path.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        self._place.replace(name, path)
        path.unlink()
        self._say(f"delivered {name}: {published.line_items} line items, {content.st_size} bytes")
        return {
            "generation": published.generation,
            **self._delivery.written_as,
            "line_items": published.line_items,
            "bytes": content.st_size,
            "sha256": digest,
            "billed_cost": {currency: plain(one.billed_cost) for currency, one in sorted(published.totals.items())},
            "published_at": published.published_at.isoformat(),
            "is_final": published.is_final,
            "is_simulated": published.is_simulated,
        }

    def _write(self, published: Publication, out: BinaryIO) -> None:
        delivery = self._delivery
        write = partial(write_slice, self._warehouse, published, delivery.focus_version, delivery.format)
        if delivery.format == "csv":
            # Neither the name of a file nor the time, so that the same generation gives the same bytes.
            with gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
                write(cast(BinaryIO, packed), has_x_columns=delivery.has_x_columns)
        else:
            write(out, has_x_columns=delivery.has_x_columns)

    def _store(self, manifest: DeliveryManifest) -> None:
        path = self._folder / MANIFEST
        path.write_bytes(manifest.written(self._context.clock()))
        self._place.replace(MANIFEST, path)


def _stem(name: str) -> str:
    """Return the name of a file without what its format ends it with."""
    return next(name.removesuffix(ending) for ending in ENDINGS.values() if name.endswith(ending))


def _key_of(metadata: Metadata, delivery: Delivery, run_id: str | None) -> Mapping[str, str]:
    """Return the key of a delivery, nothing if it has none: then the default chain of this machine counts."""
    if not delivery.location.startswith("s3://"):
        return {}
    try:
        actor = Actor.here("delivery")
        return metadata.credentials.reveal(delivery.delivery_id, actor, "deliver", run_id, settings=delivery.settings())
    except RecordNotFound:
        return {}
    except (MasterKeyUnavailable, CredentialChanged) as error:
        raise Transient(str(error)) from None
    except VaultError as error:
        raise CredentialRejected(str(error)) from None


def _destination(delivery: Delivery, key: Mapping[str, str], context: ProviderContext) -> Destination:
    if not delivery.location.startswith("s3://"):
        return FolderDestination(Path(delivery.location))
    from optiinfra_assets.providers.http.boto_client import BotoCalls, kept_client

    client = partial(
        kept_client,
        "s3",
        delivery.region,
        delivery.endpoint_url,
        profile=delivery.profile,
        key_id=key.get(KEY_FIELDS[0]),
        secret=key.get(KEY_FIELDS[1]),
        network=context.network,
    )
    return BucketDestination(delivery.location, client, BotoCalls(context, context.meter(), secrets=key.values()))
