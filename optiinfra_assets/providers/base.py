"""The interface of a provider: an account in, change tokens (`probe`) and line items (`collect`) out, in pure Python.

A provider knows its cloud and not where the data go. Each has a package and one entry in the registry. `domain.errors` has the errors that
it may raise, grouped by what the caller does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, get_args, runtime_checkable

from optiinfra_assets.domain.errors import BadData, NothingThere, Rounding, Transient
from optiinfra_assets.domain.source_warnings import SourceWarnings
from optiinfra_assets.providers.auxiliary import AuxiliaryEndpoint

if TYPE_CHECKING:
    import pyarrow as pa
    from pydantic import BaseModel

    from optiinfra_assets.domain.accounts import Account, BillingPeriod
    from optiinfra_assets.domain.commitments import Commitment
    from optiinfra_assets.domain.invoices import InvoiceStatement
    from optiinfra_assets.providers.context import ProviderContext


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can deliver, so that the platform promises no more.

    Attributes:
        granularity: finest charge period that the source really has: ``hour``, ``day``, ``month`` or ``as delivered``.
        history_months: how many billing periods a backfill requests; None: all that the source has.
        paid_requests: requests cost money, so the provider makes them only when a probe finds a change.
        has_inventory: the provider can list resources apart from charges.
    """

    granularity: str
    history_months: int | None
    paid_requests: bool = False
    has_inventory: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """What the source has now.

    Attributes:
        tokens: change token of each billing period that the source has now. If a token is unchanged, there is nothing to collect.
        requests: number of requests made to the provider.
        cost: what the provider charges for them, in USD.
        warnings: what was skipped or lacks; shown when the account is connected.
    """

    tokens: Mapping[BillingPeriod, str]
    requests: int = 0
    cost: Decimal = Decimal(0)
    warnings: SourceWarnings = field(default_factory=SourceWarnings)


@dataclass(frozen=True, slots=True)
class RequestedDays:
    """The UTC days that a provider asked for, of a source that answers day by day; both ends are inclusive."""

    first: date
    last: date

    def refuse_missing(self, answered: Collection[date], where: str) -> None:
        """Compare them with the days of an answer that must have every day, also those without costs.

        Raises:
            NothingThere: the answer has none of the days.
            Transient: it has only some of them.
        """
        count = (self.last - self.first).days + 1
        missing = [day for number in range(count) if (day := self.first + timedelta(days=number)) not in answered]
        if not missing:
            return
        asked = f"{where}: {count} days were asked for, {self.first} to {self.last}"
        if len(missing) == count:
            raise NothingThere(f"{asked}, and none was answered: nothing that is stored is changed")
        raise Transient(
            f"{asked}, and {count - len(missing)} were answered: {missing[0]} is the first that is missing; try again later"
        )


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What connecting an account tried beyond reading its source.

    Attributes:
        tried: what was tried and how it ended; '' for nothing.
        warnings: what a collection would warn of, or refuse.
    """

    tried: str = ""
    warnings: SourceWarnings = field(default_factory=SourceWarnings)


@dataclass(slots=True)
class LineItemStream:
    """All line items of one slice as a stream. The other attributes are complete once the stream has ended.

    Attributes:
        batches: record batches of `optiinfra_assets.line_items.SCHEMA`. If it raises a ProviderError, none of its line items count.
        change_token: the token that these line items belong to.
        sources: where each part came from (file name and version, request window, invoice id): the lineage.
        control_totals: the provider's own billed total by currency, None if it states none.
        rounding: filled while `batches` is read.
        data_through: the provider's data are complete up to this UTC instant (exclusive), None if it does not say so.
        is_final: the provider will not change this period any more.
        is_removed: the source is there and was read whole, and whoever keeps it has removed this period. Any other stream without line
            items is refused once the slice has had some: it may be an answer that lacks them.
        days: the days that were asked for, if each of them keeps charges once it has had some; None for any other source. An answer that
            ends before the published days do, or begins after them, is refused.
        requests: number of requests made to the provider.
        request_cost: what the provider charges for them, in USD.
        warnings: what the line items lack, what was skipped, what was read leniently; filled while `batches` is read.
    """

    batches: Iterator[pa.RecordBatch]
    change_token: str
    sources: list[dict[str, str]] = field(default_factory=list)
    control_totals: dict[str, Decimal] | None = None
    rounding: Rounding = field(default_factory=Rounding)
    data_through: datetime | None = None
    is_final: bool = False
    is_removed: bool = False
    days: RequestedDays | None = None
    requests: int = 0
    request_cost: Decimal = Decimal(0)
    warnings: SourceWarnings = field(default_factory=SourceWarnings)


Model = TypeVar("Model", bound="BaseModel")


def credential_of(account: Account, model: type[Model]) -> Model:
    """Build the credential from the settings and secrets of an account.

    Raises:
        BadData: the model does not accept them, as another version of the provider stored them; names the field and never the value.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate({**account.settings, **account.secrets})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        named = "".join(f"{part}: " for part in first["loc"])
        raise BadData(f"account {account.account_id}: {named}{first['msg']}: connect it again") from None


@dataclass(slots=True)
class FilePreview:
    """How one file would be read.

    Attributes:
        path: the file.
        read_as: what it is taken for.
        rows: the first line items by FOCUS names, without what is null.
        missing: FOCUS columns that it lacks and should have.
        problem: why it would be refused; empty if nothing was found.
        notes: what was read although it is written in another way than FOCUS says.
        proposed: the text of a mapping file for it, if it needs one.
    """

    path: str
    read_as: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    problem: str = ""
    notes: list[str] = field(default_factory=list)
    proposed: str | None = None


class Provider(ABC):
    """One source of cost data. Instances keep no state between calls and are safe to use from several threads."""

    name: ClassVar[str]
    """Registered name in lower case; it is also a part of asset keys."""
    title: ClassVar[str]
    """Name that people read."""
    credential_model: ClassVar[type[BaseModel]]
    """Model of the fields that `connect` asks for, with their help texts; secret fields are pydantic SecretStr."""
    capabilities: ClassVar[Capabilities]
    own_hosts: ClassVar[tuple[str, ...]] = ()
    """The provider's own hosts, with ``*`` for one label of a name: errors may repeat what they say, and a proxy may connect to them."""
    auxiliary: ClassVar[tuple[AuxiliaryEndpoint, ...]]
    """The endpoints that only explain costs."""
    necessary: ClassVar[tuple[str, ...]]
    """All other endpoints, whose failure ends the call, as `AuxiliaryEndpoint.mark` writes them; no request goes elsewhere."""
    previews_files: ClassVar[bool] = False
    """Whether `preview` shows how a file of this machine would be read."""
    needed_fields: ClassVar[frozenset[str]]
    """Names of the fields without which no cost can be stated. Any other field of any answer may be missing, null or malformed."""

    @classmethod
    def secret_fields(cls) -> frozenset[str]:
        """Return the names of the secret fields of its credential model, required or not. Their values are stored encrypted and apart."""
        from pydantic import SecretStr

        fields = cls.credential_model.model_fields.items()
        return frozenset(name for name, field in fields if SecretStr in (field.annotation, *get_args(field.annotation)))

    @abstractmethod
    def discover(self, account: Account, context: ProviderContext | None = None) -> list[str]:
        """Prove that the credential of `account` works, and return the names of the billing accounts that it reaches.

        `context` is that of the call; without one, that of `transient_context`.

        Raises:
            ProviderError: the credential does not work; the message says why.
        """

    def rehearse(self, account: Account, context: ProviderContext) -> Rehearsal:
        """Try at low cost, when an account is connected, whether a collection would succeed; by default nothing.

        Raises:
            ProviderError: the source could not be read.
        """
        return Rehearsal()

    def preview(self, path: str) -> FilePreview:
        """Show how one file of this machine would be read, if `previews_files`.

        Raises:
            ProviderError: it cannot be read.
        """
        raise BadData(f"{path}: {self.title} reads no single file")

    @abstractmethod
    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext) -> Probe:
        """Find out at low cost what the source has now; `since` has the tokens of the last collection by billing period.

        This keeps what `collect` needs later in ``context.snapshots``.

        Raises:
            ProviderError: the source could not be read.
        """

    @abstractmethod
    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        """Open the stream of all line items of one slice.

        If the source has no line item for the slice, the stream is empty. Once the slice had some, only a stream that `is_removed` may be.

        Raises:
            NothingThere: the whole source is empty or gone.
            ProviderError: the source could not be read.
        """


@runtime_checkable
class InvoiceSource(Protocol):
    """A provider that reads invoices; one whose source states none does not have it."""

    def invoices(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> InvoiceStatement:
        """Return what the source states of the invoices of one account and billing period, at low cost: all of them, or an error.

        Raises:
            ProviderError: the invoices could not be read.
        """
        ...


@runtime_checkable
class CommitmentSource(Protocol):
    """A provider that states the commitments of contracts; one whose source states none does not have it."""

    def commitments(self, account: Account, context: ProviderContext) -> list[Commitment]:
        """Return all commitments that the source of an account states now, at low cost, or raise an error.

        Raises:
            ProviderError: they could not be read.
        """
        ...
