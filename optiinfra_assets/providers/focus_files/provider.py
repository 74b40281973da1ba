"""Provider ``focus``: a folder, or an ``s3://`` prefix, of FOCUS cost files.

This reads every file below the location whose name ends in ``.csv``, ``.csv.gz``, ``.csv.zst`` or ``.parquet``, except hidden files. One
slice consists of the rows of one billing period (the UTC month of their BillingPeriodStart) in all files. Every file counts as current: two
exports of the same month in one location would count twice, so let exports overwrite each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import pyarrow as pa
from pydantic import BaseModel, Field, field_validator

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import NothingThere
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.base import Capabilities, LineItemStream, Probe, Provider, credential_of
from optiinfra_assets.providers.context import ProviderContext, transient_context
from optiinfra_assets.providers.files.coverage import ChargeCoverage
from optiinfra_assets.providers.files.export_runs import refuse_several_runs
from optiinfra_assets.providers.files.focus_files import (
    has_rows,
    layout_of,
    line_items,
    month_of,
    months_of,
    period_of,
)
from optiinfra_assets.providers.files.location import FileVersion, LocalFolder, Location, change_token
from optiinfra_assets.providers.files.manifest_exports import is_old
from optiinfra_assets.providers.files.parquet_reader import open_table
from optiinfra_assets.providers.http.endpoint_policy import MachineLocal

FILES_TRIED = 50
"""Most files that `discover` opens: a bucket may hold thousands, and each costs a request."""


class FocusCredential(BaseModel):
    """Where the files are. No secret is stored: access to S3 comes from the AWS default chain of this machine."""

    location: Annotated[str, MachineLocal.FOLDER] = Field(description="Folder with the files, or s3://bucket/prefix.")
    endpoint_url: str | None = Field(None, description="Address of an S3-compatible service; empty for AWS itself.")
    region: str | None = Field(None, description="AWS region of the bucket; empty for the default of this machine.")
    profile: Annotated[str | None, MachineLocal.SETTING] = Field(
        None, description="AWS profile to use; empty for the default chain."
    )

    @field_validator("location")
    @classmethod
    def _absolute(cls, location: str) -> str:
        """Make a folder absolute, because collections run in another directory than `connect`."""
        if location.startswith("s3://"):
            if location.removeprefix("s3://")[:1] in ("", "/"):
                raise ValueError("use s3://bucket or s3://bucket/prefix")
            return location.rstrip("/")
        if "://" in location:
            raise ValueError("use a folder, or s3://bucket/prefix")
        return str(Path(location).expanduser().absolute())


class FocusFiles(Provider):
    """FOCUS 1.0 to 1.4 CostAndUsage files."""

    name: ClassVar[str] = "focus"
    title: ClassVar[str] = "FOCUS files"
    credential_model: ClassVar[type[BaseModel]] = FocusCredential
    capabilities: ClassVar[Capabilities] = Capabilities(granularity="as delivered", history_months=None)
    own_hosts: ClassVar[tuple[str, ...]] = (
        "s3.amazonaws.com", "*.s3.amazonaws.com", "s3.*.amazonaws.com", "*.s3.*.amazonaws.com",
    )  # fmt: skip
    auxiliary: ClassVar[tuple[AuxiliaryEndpoint, ...]] = ()
    needed_fields: ClassVar[frozenset[str]] = frozenset()

    def discover(self, account: Account, context: ProviderContext | None = None) -> list[str]:
        """Return the location, once it is listed and the last 50 of its files by name have FOCUS columns.

        Raises:
            ProviderError: the location cannot be read, or a file is not FOCUS.
        """
        location = _location(account, context)
        for file in location.files()[-FILES_TRIED:]:
            with open_table(location, file) as table:
                layout_of(location.path(file.name), table)
        return [location.address]

    def probe(
        self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext | None = None
    ) -> Probe:
        """Return the token of each billing period: a hash over name, size and version of the files that have rows of it. It changes once
        more when the period is old enough to be complete.

        Raises:
            NothingThere: there is no file, or no file has a row.
            ProviderError: a file cannot be read.
        """
        location = _location(account, context)
        now = (context or transient_context()).clock()
        tokens = {period: _token(files, period, now) for period, files in _by_period(location).items()}
        return Probe(tokens, requests=location.requests)

    def collect(
        self, account: Account, billing_period: BillingPeriod, context: ProviderContext | None = None
    ) -> LineItemStream:
        """Open the stream of the line items of one billing period, file by file in order of name.

        ``data_through`` is the latest ChargePeriodEnd of a usage charge, but not after the end of the period or the present; and the end
        of the period 15 days after it, if a file was written since: a month whose last days have no usage is complete too. ``is_final``
        stays False: a file may be replaced at any time, and the probe sees that at no cost.

        Raises:
            NothingThere: there is no file, or no file has a row.
            ProviderError: a file cannot be read. The stream may raise BadData for the first row that is not accepted, and Transient for
                a file that changed while it was read.
        """
        context = context or transient_context()
        location = _location(account, context)
        month = month_of(billing_period)
        files = location.files()
        refuse_several_runs(files, location.address)
        chosen = [file for file in files if has_rows(location, file, month)]
        if not chosen and not any(months_of(location, file) for file in files):
            raise _nothing(location)
        token = _token(chosen, billing_period, context.clock())
        collection = LineItemStream(batches=iter(()), change_token=token, is_removed=not chosen)
        collection.batches = _line_items(location, chosen, billing_period, collection, context)
        return collection


def _location(account: Account, context: ProviderContext | None) -> Location:
    credential = credential_of(account, FocusCredential)
    if credential.location.startswith("s3://"):
        from optiinfra_assets.providers.files.s3 import S3Location
        from optiinfra_assets.providers.http.boto_client import BotoCalls, kept_client

        context = context or transient_context()
        at, network = (credential.region, credential.endpoint_url), context.network
        client = partial(kept_client, "s3", *at, profile=credential.profile, network=network)
        return S3Location(credential.location, client, BotoCalls(context, context.meter()))
    return LocalFolder(Path(credential.location))


def _by_period(location: Location) -> dict[BillingPeriod, list[FileVersion]]:
    """Return the files that have rows of each period.

    Raises:
        NothingThere: there is no file, or no file has a row; this never means that everything was removed.
    """
    by_period: dict[BillingPeriod, list[FileVersion]] = {}
    files = location.files()
    refuse_several_runs(files, location.address)
    for file in files:
        for month in months_of(location, file):
            by_period.setdefault(period_of(month), []).append(file)
    if not by_period:
        raise _nothing(location)
    return by_period


def _is_whole(files: list[FileVersion], period: BillingPeriod, now: datetime) -> bool:
    """Whether a period is complete whatever its last usage: it ended 15 days ago, and a file of it was written after its end."""
    return is_old(period, now) and any(file.written_at and file.written_at >= period.end for file in files)


def _token(files: list[FileVersion], period: BillingPeriod, now: datetime) -> str:
    return f"{change_token(files)}{', complete' if _is_whole(files, period, now) else ''}"


def _nothing(location: Location) -> NothingThere:
    return NothingThere(f"{location.address}: the files have no rows: nothing that is stored is changed")


def _line_items(
    location: Location,
    files: list[FileVersion],
    billing_period: BillingPeriod,
    collection: LineItemStream,
    context: ProviderContext,
) -> Iterator[pa.RecordBatch]:
    reach = ChargeCoverage(billing_period)
    for file in files:
        for batch in line_items(location, file, month_of(billing_period), collection):
            reach.add(batch)
            yield batch
    collection.requests = location.requests
    now = context.clock()
    collection.data_through = billing_period.end if _is_whole(files, billing_period, now) else reach.data_through(now)
