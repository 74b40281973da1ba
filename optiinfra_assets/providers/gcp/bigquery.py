"""Queries BigQuery: prices each query before it runs, caps what it may bill, and yields the rows page by page as text.

BigQuery charges for the bytes of the columns that a query reads, 10 MB at least; tables.get and dry runs are free. No value passes through
a float or a data frame: cells are text or null as in the JSON, and `ResultRow` converts them by column name and type.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from google.api_core.exceptions import Conflict
from google.cloud import bigquery

from optiinfra_assets.domain.errors import BadData, ContractChanged, NothingThere, Transient
from optiinfra_assets.domain.quoting import quoted
from optiinfra_assets.providers.gcp.auth import SECONDS, GoogleSession
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE
from optiinfra_assets.providers.http.pagination import Page, pages

PRICE_PER_TIB: Final = Decimal("6.25")
"""USD for a TiB read on demand in the US regions; other regions cost up to half as much again, and the first TiB of a month is free
(https://cloud.google.com/bigquery/pricing)."""
PAGE_ROWS: Final = 1_000
"""Rows of one page: about 12 MB as Python objects."""
JOB_SECONDS: Final = 600
DATA_VIEWER: Final = "roles/bigquery.dataViewer on the dataset (bigquery.tables.getData)"
JOB_USER: Final = (
    "roles/bigquery.jobUser on the project that runs the queries (bigquery.jobs.create), and "
    "roles/bigquery.dataViewer on the dataset (bigquery.tables.getData)"
)
GIB: Final = 2**30

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WHOLE: Final = re.compile(r"-?\d{1,18}", re.ASCII)

Parameter = str | date | datetime
Column = tuple[str, str, tuple["Column", ...]]
"""Name, type (``STRING``, ``RECORD``, ...; with ``[]`` appended if repeated) and nested columns."""


@dataclass(frozen=True, slots=True)
class TableMetadata:
    """The metadata of a table, from tables.get.

    Attributes:
        name: ``project.dataset.table``.
        version: changes whenever the table changes.
        rows: number of rows that are in its partitions already.
        by_day: whether it is partitioned by loading time, by day or hour, so that ``_PARTITIONTIME`` limits what a query reads.
    """

    name: str
    location: str
    columns: tuple[Column, ...]
    created: datetime
    version: str
    rows: int
    by_day: bool


class BigQuery:
    """Runs queries in one project, for the duration of one call of a provider. Use it in a ``with``."""

    def __init__(self, access: GoogleSession, project: str, *, most_bytes: int, endpoint: str | None) -> None:
        """Prepares the client; sends no request.

        Args:
            access: session to sign requests with.
            project: project that runs the queries and pays for them.
            most_bytes: most bytes that one query may bill.
            endpoint: address of the service; None for Google's own.
        """
        self.bytes_billed = 0
        self._access = access
        self._most_bytes = most_bytes
        options = {"api_endpoint": endpoint} if endpoint else None
        self._client = bigquery.Client(
            project, credentials=access.credentials, client_options=options, _http=access.session()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    def table(self, name: str) -> TableMetadata:
        """Returns the metadata of a table; free.

        Raises:
            NothingThere: the table does not exist.
            ProviderError: the table cannot be read, or the credential may not read it.
        """
        where = f"tables.get {name}"
        with self._access.translated(where, DATA_VIEWER):
            found = self._client.get_table(name, retry=self._access.patience(where, DATA_VIEWER), timeout=SECONDS)
            parts = found.time_partitioning
            return TableMetadata(
                name=name,
                location=found.location,
                columns=tuple(_column(one) for one in found.schema),
                created=found.created or _EPOCH,
                version=f"{found.modified or ''} {found.num_rows or 0} {found.etag or ''}",
                rows=found.num_rows or 0,
                by_day=parts is not None and parts.field is None and parts.type_ in ("DAY", "HOUR"),
            )

    def price(self, statement: str, parameters: Mapping[str, Parameter], location: str, *, label: str) -> int:
        """Returns how many bytes a statement will read; free. Also proves that it may run.

        Raises:
            BadData: it would read more than the cap allows.
            ProviderError: it cannot run, or the credential may not run it.
        """
        job = self._begin(statement, _config(parameters, label, dry_run=True), location, label)
        size = int(job.total_bytes_processed or 0)
        if size > self._most_bytes:
            raise BadData(
                f"query {label}: it would read {Decimal(size) / GIB:.1f} GiB ({price(size):.2f} USD), more than max_gib_billed "
                f"{self._most_bytes // GIB} allows: raise it, and connect again"
            )
        return size

    def rows(
        self, statement: str, parameters: Mapping[str, Parameter], location: str, *, label: str
    ) -> Iterator[ResultRow]:
        """Yields the rows of a statement, with one page in memory at a time; adds its cost to `bytes_billed` and the meter.

        Args:
            statement: standard SQL, with values as ``@name`` only.
            parameters: the values.
            location: location of the table.
            label: names the statement in messages, and in the project's own list of jobs.

        Raises:
            BadData: it would read more than the cap allows.
            ProviderError: it cannot run or the credential may not run it, or its response cannot be read.
        """
        self.price(statement, parameters, location, label=label)
        job = self._begin(statement, _config(parameters, label, most_bytes=self._most_bytes), location, label)
        where = f"query {label}"
        patience = self._access.patience(where, JOB_USER)
        with self._access.translated(where, JOB_USER):
            result = job.result(page_size=PAGE_ROWS, retry=patience, job_retry=None, timeout=JOB_SECONDS)
            billed = int(job.total_bytes_billed or 0)
            self.bytes_billed += billed
            self._access.meter.charge(price(billed))
            places = {field.name: number for number, field in enumerate(result.schema)}
        read = iter(result.pages)

        def page(_token: str | None) -> Page[ResultRow]:
            with self._access.translated(where, JOB_USER):
                texts: dict[Any, Any] = {}
                following = next(read, None)
                if following is None:
                    raise ValueError("no totalRows")
                raw: Mapping[str, Any] = following.raw_page
                lines = [[_once(cell["v"], texts) for cell in row["f"]] for row in raw.get("rows", ())]
                if any(len(line) != len(places) for line in lines):
                    raise ValueError(f"rows of other than {len(places)} cells")
                cells = [ResultRow(line, places, where) for line in lines]
                return Page(cells, result.next_page_token, result.total_rows)

        for some in pages(page, where):
            yield from some

    def _begin(self, statement: str, config: bigquery.QueryJobConfig, location: str, label: str) -> bigquery.QueryJob:
        """Starts a job under an id of ours, so that a job whose response was lost is found again and not paid for twice."""
        where = f"query {label}"
        patience = self._access.patience(where, JOB_USER)
        job_id = f"optiinfra-{label}-{uuid.uuid4()}"
        with self._access.translated(where, JOB_USER):
            try:
                return self._client.query(
                    statement,
                    job_config=config,
                    job_id=job_id,
                    location=location,
                    retry=patience,
                    job_retry=None,
                    timeout=SECONDS,
                )
            except Conflict:
                with suppress(NothingThere):
                    job = self._client.get_job(job_id, location=location, retry=patience, timeout=SECONDS)
                    if isinstance(job, bigquery.QueryJob):
                        return job
        raise Transient(f"{where}: the job was not found again; try again later")


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One row of a result, with its values by column name.

    Attributes:
        values: text or null, in the order of the response.
        places: position of each column.
        where: the statement, for messages.
    """

    values: Sequence[Any]
    places: Mapping[str, int]
    where: str

    def text(self, name: str) -> str | None:
        """Returns text as sent; None for null.

        Raises:
            ContractChanged: as all methods here, if the column is missing or the value is of another type; names column and value.
        """
        place = self.places.get(name)
        if place is None:
            raise ContractChanged(f"{self.where}: column {name}: is missing; {ASK_FOR_UPDATE}")
        value = self.values[place]
        return value if value is None or isinstance(value, str) else self._refuse(name, "text")

    def needed(self, name: str) -> str:
        """Returns text; refuses null and empty text."""
        return self.text(name) or self._refuse(name, "text")

    def number(self, name: str) -> Decimal | None:
        """Returns a number with all its digits; None for null."""
        text = self.text(name)
        if text is None:
            return None
        return Decimal(text) if _NUMBER.fullmatch(text) else self._refuse(name, "a number")

    def whole(self, name: str) -> int:
        """Returns a whole number."""
        text = self.text(name)
        return int(text) if text and _WHOLE.fullmatch(text) else self._refuse(name, "a whole number")

    def time(self, name: str) -> datetime:
        """Returns a TIMESTAMP, which BigQuery sends as microseconds since 1970, in UTC."""
        try:
            return _EPOCH + timedelta(microseconds=self.whole(name))
        except OverflowError:
            self._refuse(name, "a time")

    def _refuse(self, name: str, accepted: str) -> NoReturn:
        value = quoted(self.values[self.places[name]])
        raise ContractChanged(
            f"{self.where}: column {name}: value {value} is not accepted: {accepted} was expected; {ASK_FOR_UPDATE}"
        )


def price(size: int) -> Decimal:
    """Returns the price in USD of reading `size` bytes."""
    return Decimal(size) / 2**40 * PRICE_PER_TIB


def _once(value: Any, texts: dict[Any, Any]) -> Any:
    """Returns one object for equal texts, because most cells of a page are equal."""
    return texts.setdefault(value, value) if isinstance(value, str) else value


def _config(
    parameters: Mapping[str, Parameter], label: str, *, dry_run: bool = False, most_bytes: int | None = None
) -> bigquery.QueryJobConfig:
    values = [bigquery.ScalarQueryParameter(name, _kind(value), value) for name, value in parameters.items()]
    config = bigquery.QueryJobConfig(
        query_parameters=values, labels={"optiinfra": label}, dry_run=dry_run, use_legacy_sql=False
    )
    if most_bytes is not None:
        config.maximum_bytes_billed = most_bytes
        config.job_timeout_ms = JOB_SECONDS * 1000
    return config


def _kind(value: Parameter) -> str:
    if isinstance(value, datetime):
        return "TIMESTAMP"
    return "DATE" if isinstance(value, date) else "STRING"


def _column(field: bigquery.SchemaField) -> Column:
    kind = {"FLOAT64": "FLOAT", "INT64": "INTEGER", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}.get(
        field.field_type, field.field_type
    )
    repeated = "[]" if field.mode == "REPEATED" else ""
    return field.name, f"{kind}{repeated}", tuple(_column(one) for one in field.fields)
