"""Provider ``focus``: a folder, or an ``s3://`` prefix, of FOCUS cost files.

This reads every file below the location whose name ends in ``.csv``, ``.csv.gz``, ``.csv.zst`` or ``.parquet``, except hidden files. One
slice consists of the rows of one billing period (the UTC month of their BillingPeriodStart) in all files. Every file counts as current: two
exports of the same month in one location would count twice, so let exports overwrite each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import pyarrow as pa
from pydantic import BaseModel, Field, field_validator

if TYPE_CHECKING:
    from optiinfra_assets.domain.commitments import Commitment
    from optiinfra_assets.domain.invoices import InvoiceStatement

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.errors import BadData, CredentialRejected, ProviderError
from optiinfra_assets.domain.source_warnings import SourceWarnings
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint
from optiinfra_assets.providers.base import (
    Capabilities,
    FilePreview,
    LineItemStream,
    Probe,
    Provider,
    Rehearsal,
    credential_of,
)
from optiinfra_assets.providers.context import ProviderContext, transient_context
from optiinfra_assets.providers.files.coverage import ChargeCoverage
from optiinfra_assets.providers.files.focus_files import NotCosts, layout_of, line_items, month_of, table_form
from optiinfra_assets.providers.files.location import FileVersion, LocalFolder, Location
from optiinfra_assets.providers.files.manifest_exports import is_old
from optiinfra_assets.providers.files.parquet_reader import open_table
from optiinfra_assets.providers.focus_files.survey import REFUSED, Survey
from optiinfra_assets.providers.http.endpoint_policy import MachineLocal

FILES_TRIED = 50
"""Most files that `discover` opens: a bucket may hold thousands, and each costs a request."""
ROWS_TRIED = 100_000
"""Most rows of the newest file that `rehearse` reads, so that connecting takes seconds."""


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
        try:
            return str(Path(location).expanduser().absolute())
        except RuntimeError:
            raise ValueError(f"there is no user {location.partition('/')[0][1:]}: use the path of the folder") from None


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
    necessary: ClassVar[tuple[str, ...]] = (r"^GET /[^/]+\n", r"^HEAD /[^/]+/", r"^GET /[^/]+/[^\n]")
    needed_fields: ClassVar[frozenset[str]] = frozenset()
    previews_files: ClassVar[bool] = True

    def discover(self, account: Account, context: ProviderContext | None = None) -> list[str]:
        """Return the location, once it is listed and one of the last 50 of its files by name has FOCUS columns.

        Raises:
            ProviderError: the location cannot be read, or none of these files is FOCUS; the error of the first.
        """
        context = context or transient_context()
        survey = Survey(_location(account, context), context)
        problems: list[ProviderError] = []
        for file in survey.files[-FILES_TRIED:]:
            try:
                form_of = survey.mapping_for(file)
                with open_table(survey.location, file, form=table_form(form_of)) as table:
                    layout_of(survey.location.path(file.name), table, form_of)
                return [survey.location.address]
            except (BadData, CredentialRejected) as problem:
                problems.append(problem)
        raise next((one for one in problems if not isinstance(one, NotCosts)), problems[0])

    def rehearse(self, account: Account, context: ProviderContext) -> Rehearsal:
        """Accept the rows of the newest file as a collection would, up to `ROWS_TRIED`."""
        survey = Survey(_location(account, context), context)
        periods = survey.by_period((), SourceWarnings())
        file = max({one for files in periods.values() for one in files}, key=lambda one: (_written(one), one.name))
        path, rows = survey.location.path(file.name), 0
        trial = LineItemStream(batches=iter(()), change_token="")
        try:
            for period in sorted(one for one, files in periods.items() if file in files):
                form_of = survey.mapping_for(file)
                for batch in line_items(survey.location, file, month_of(period), trial, form_of=form_of):
                    rows += batch.num_rows
                    if rows >= ROWS_TRIED:
                        return Rehearsal(
                            f"the first {rows} rows of the newest file, {path}: they are accepted", trial.warnings
                        )
        except BadData as refused:
            trial.warnings.add(REFUSED, f"the newest file is refused until it is corrected: {refused}")
            return Rehearsal(f"the rows of the newest file, {path}: they are not accepted", trial.warnings)
        return Rehearsal(f"every row ({rows}) of the newest file, {path}: they are accepted", trial.warnings)

    def preview(self, path: str) -> FilePreview:
        """Show how one file would be read, and propose a mapping if it is not FOCUS; see `preview.preview`."""
        from optiinfra_assets.providers.focus_files.preview import preview

        return preview(path)

    def probe(
        self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext | None = None
    ) -> Probe:
        """Return the token of each billing period: a hash over name, size and version of the files that have rows of it. It changes once
        more when the period is old enough to be complete.

        Raises:
            NothingThere: there is no file, or no file has a row.
            ProviderError: the location cannot be listed, or none of its files can be read.
        """
        context = context or transient_context()
        survey = Survey(_location(account, context), context)
        warnings, now = SourceWarnings(), context.clock()
        by_period, closed = survey.by_period(since, warnings), survey.closed_months(warnings)
        tokens = {
            period: _token(survey, files, period, now, is_closed=month_of(period) in closed)
            for period, files in by_period.items()
        }
        return Probe(tokens, requests=survey.location.requests, warnings=warnings)

    def invoices(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> InvoiceStatement:
        """Return what InvoiceDetail files state of the invoices of a month; not stated if there is no such file.

        Raises:
            ProviderError: the location cannot be listed, or such a file cannot be read.
        """
        from optiinfra_assets.providers.focus_files.invoices import invoices_of

        return invoices_of(Survey(_location(account, context), context), billing_period)

    def commitments(self, account: Account, context: ProviderContext) -> list[Commitment]:
        """Return the commitments that ContractCommitment files state; none if there is no such file.

        Raises:
            ProviderError: the location cannot be listed, or such a file cannot be read.
        """
        from optiinfra_assets.providers.focus_files.commitments import commitments_of

        return commitments_of(Survey(_location(account, context), context))

    def collect(
        self, account: Account, billing_period: BillingPeriod, context: ProviderContext | None = None
    ) -> LineItemStream:
        """Open the stream of the line items of one billing period, file by file in order of name.

        ``data_through`` is the latest ChargePeriodEnd of a usage charge, but not after the end of the period or the present; and the end
        of the period 15 days after it, if a file was written since: a month whose last days have no usage is complete too. ``is_final``
        is what a BillingPeriod file says: that the month is closed. A file may be replaced at any time, and the probe sees that at no cost.

        Raises:
            NothingThere: there is no file, or no file has a row.
            ProviderError: the location cannot be listed, or a file with costs of the period cannot be read. The stream may raise BadData
                for the first row that is not accepted, and Transient for a file that changed while it was read.
        """
        context = context or transient_context()
        survey = Survey(_location(account, context), context)
        collection = LineItemStream(batches=iter(()), change_token="")
        chosen = survey.of_period(billing_period, collection.warnings)
        is_closed = month_of(billing_period) in survey.closed_months(collection.warnings)
        collection.is_final = is_closed and bool(chosen)
        collection.change_token = _token(survey, chosen, billing_period, context.clock(), is_closed=is_closed)
        collection.is_removed = not chosen and survey.is_whole
        collection.batches = _line_items(survey, chosen, billing_period, collection, context)
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
    is_confined = context is not None and not context.network.is_everywhere
    return LocalFolder(Path(credential.location), is_confined=is_confined)


def _written(file: FileVersion) -> float:
    """Return when a file was written, as far as its location tells."""
    if file.written_at is not None:
        return file.written_at.timestamp()
    return int(file.version) / 10**9 if file.version.isdecimal() else 0.0


def _is_complete(files: Sequence[FileVersion], period: BillingPeriod, now: datetime) -> bool:
    """Whether a period is complete whatever its last usage: it ended 15 days ago, and a file of it was written after its end."""
    return is_old(period, now) and any(file.written_at and file.written_at >= period.end for file in files)


def _token(
    survey: Survey, files: Sequence[FileVersion], period: BillingPeriod, now: datetime, *, is_closed: bool
) -> str:
    complete = ", complete" if _is_complete(files, period, now) else ""
    return f"{survey.token(files)}{complete}{', closed' if is_closed else ''}"


def _line_items(
    survey: Survey,
    files: list[FileVersion],
    billing_period: BillingPeriod,
    collection: LineItemStream,
    context: ProviderContext,
) -> Iterator[pa.RecordBatch]:
    reach = ChargeCoverage(billing_period)
    for file in files:
        form_of = survey.mapping_for(file)
        for batch in line_items(survey.location, file, month_of(billing_period), collection, form_of=form_of):
            reach.add(batch)
            yield batch
    collection.requests = survey.location.requests
    now = context.clock()
    is_complete = collection.is_final or _is_complete(files, billing_period, now)
    collection.data_through = billing_period.end if is_complete else reach.data_through(now)
    survey.remember(billing_period, [source["file"] for source in collection.sources])
