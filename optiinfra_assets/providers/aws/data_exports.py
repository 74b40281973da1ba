"""Reads the folder that AWS Data Exports writes in S3: finds its manifests, and returns the data files that they name.

::

    <export>/metadata/BILLING_PERIOD=2026-11/<name>-Manifest.json      of the newest run, written after its last data file
    <export>/metadata/BILLING_PERIOD=2026-11/<run>/...                 of single runs, if the export keeps them
    <export>/data/BILLING_PERIOD=2026-11/...                           data files; of all runs, if the export keeps them

``<name>`` is the last part of ``<export>``. AWS does not publish the format of a manifest; `DataExport._key` defines what is accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.errors import BadData, ContractChanged, NothingThere
from optiinfra_assets.domain.quoting import quoted
from optiinfra_assets.providers.aws.cur_to_focus import mapping_of
from optiinfra_assets.providers.files.focus_files import layout_of
from optiinfra_assets.providers.files.location import FileVersion
from optiinfra_assets.providers.files.manifest_exports import ManifestExport, ManifestFile, resolve_files
from optiinfra_assets.providers.files.parquet_reader import open_table
from optiinfra_assets.providers.files.s3 import S3Location
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE, JsonFields

_LEGACY: Final = re.compile(r"/\d{8}-\d{8}/(.+/)?[^/]+-Manifest\.json$")
_MANIFEST: Final = re.compile(r"BILLING_PERIOD=(\d{4}-(?:0[1-9]|1[0-2]))/[^/]+-Manifest\.json")


@dataclass(frozen=True, slots=True)
class DataExport:
    """One data export in a bucket.

    Attributes:
        bucket: the whole bucket, because manifests name their files by full keys.
        folder: key of the export, without a slash at either end.
    """

    bucket: S3Location
    folder: str

    def manifests(self) -> dict[BillingPeriod, FileVersion]:
        """Returns the manifest file of the newest run of each billing period, from one listing.

        Raises:
            NothingThere: the export has no manifest.
            BadData: the folder holds a legacy Cost and Usage Report.
            ContractChanged: a period has two manifests.
            ProviderError: the bucket cannot be listed.
        """
        found: dict[BillingPeriod, FileVersion] = {}
        for file in self.bucket.below(self._metadata):
            match = _MANIFEST.fullmatch(file.name.removeprefix(self._metadata))
            if match is None:
                continue
            period = BillingPeriod.parse(match[1])
            if period in found:
                raise ContractChanged(
                    f"{self.bucket.path(file.name)}: is a second manifest of {period}; {ASK_FOR_UPDATE}"
                )
            found[period] = file
        if not found:
            self._refuse_legacy()
            raise NothingThere(
                f"{self.bucket.path(self.folder)}: has no manifest yet: the first delivery takes up to 24 hours; check `export`; "
                "nothing that is stored is changed"
            )
        return found

    def _refuse_legacy(self) -> None:
        """Raises BadData if the folder holds a Cost and Usage Report of the older kind, for which no waiting helps."""
        for file in self.bucket.below(f"{self.folder}/"):
            if _LEGACY.search(file.name):
                raise BadData(
                    f"{self.bucket.path(file.name)}: belongs to a legacy Cost and Usage Report, which is not read: create a data export "
                    "(FOCUS, or Cost and Usage Report 2.0) in Billing and Cost Management, and connect its folder"
                )

    def delivery(self, period: BillingPeriod) -> ManifestExport:
        """Returns the manifest export of the newest run of a period.

        Raises:
            NothingThere: the period has no manifest.
            ContractChanged: the manifest is not as expected; names the field and the value.
            ProviderError: the manifest cannot be read.
        """
        name = f"{self._metadata}BILLING_PERIOD={period}/{self.folder.rpartition('/')[2]}-Manifest.json"
        return self._delivery(name)

    def prove(self, now: datetime) -> None:
        """Reads the newest manifest, and the columns of the first file that it names.

        Raises:
            ProviderError: one of them cannot be read, or the columns are neither FOCUS nor a Cost and Usage Report.
        """
        delivery = self._delivery(max(self.manifests().items())[1].name)
        for file, _ in resolve_files(self.bucket, delivery, now)[:1]:
            with open_table(self.bucket, file) as table:
                layout_of(self.bucket.path(file.name), table, mapping_of)

    @property
    def _metadata(self) -> str:
        return f"{self.folder}/metadata/"

    def _delivery(self, name: str) -> ManifestExport:
        found = self.bucket.fetched(name)
        if found is None:
            raise NothingThere(f"{self.bucket.path(name)}: is not there: nothing that is stored is changed")
        manifest, body = found
        fields = JsonFields.parse(body, self.bucket.path(name))
        files = fields.values.get("dataFiles")
        if not isinstance(files, list):
            fields.refuse("dataFiles", "a list")
        named = tuple(ManifestFile(self._key(file, number, fields)) for number, file in enumerate(files))
        return ManifestExport(manifest, named, run=fields.text_or_none("executionId") or "")

    def _key(self, file: Any, number: int, manifest: JsonFields) -> str:
        address = file.get("s3Uri") if isinstance(file, dict) else file
        if isinstance(address, str):
            key = address.removeprefix(f"{self.bucket.address}/")
            if key and "://" not in key:
                return key
        raise ContractChanged(
            f"{manifest.where}: dataFiles[{number}]: value {quoted(file)} is not accepted: the key of an object, its address "
            f"{self.bucket.address}/..., or an object with that as s3Uri was expected; {ASK_FOR_UPDATE}"
        )
