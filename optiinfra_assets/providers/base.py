"""What a provider is: probe and collect, as pure Python; and the errors it may raise.

A provider knows the outside world and nothing of where the data go. One file per provider, one entry in the registry.

Errors, by what the caller does::

    ProviderError
    ├── Transient            try again later: network, time-out, 5xx (3 retries, 60 s apart)
    │   └── Throttled        try again, not before `until`
    └── Permanent            a person has to act; retrying changes nothing
        ├── CredentialRejected   the credential, or a permission it lacks
        ├── ContractChanged      the provider's answer is not what its documents say: names the field and value
        │   └── NotFound         what was asked for is not there (404)
        └── BadData              a value that cannot be stored exactly: names file, row, column, value and what is accepted
            └── NothingThere     the source is empty or gone; nothing stored is erased for that
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, TypeVar, get_args

from optiinfra_assets.domain.errors import BadData, Rounding

if TYPE_CHECKING:
    import pyarrow as pa
    from pydantic import BaseModel

    from optiinfra_assets.domain.accounts import Account, BillingPeriod
    from optiinfra_assets.providers.context import ProviderContext


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can give, so that nothing is promised beyond it.

    Attributes:
        granularity: finest honest charge period: ``hour``, ``day``, ``month`` or ``as delivered``.
        history_months: how many billing periods a backfill asks for; None: all the source has.
        paid_requests: requests cost money, so they are made only when a probe says something changed.
        has_inventory: resources can be listed apart from charges.
    """

    granularity: str
    history_months: int | None
    paid_requests: bool = False
    has_inventory: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """The answer to "has anything changed?".

    Attributes:
        tokens: change token of each billing period the source has now. Equal token: nothing to collect.
        requests: requests made to the provider.
        cost: what the provider charges for them, in USD.
    """

    tokens: Mapping[BillingPeriod, str]
    requests: int = 0
    cost: Decimal = Decimal(0)


@dataclass(slots=True)
class LineItemStream:
    """All line items of one slice, as a stream, with what is known about them once the stream has ended.

    Attributes:
        batches: record batches of `optiinfra_assets.line_items.SCHEMA`. Raises a ProviderError; then nothing of it counts.
        change_token: the token these line items answer to; complete when `batches` has ended.
        sources: where each part came from (file name and version, request window, invoice id): the lineage.
        control_totals: the provider's own billed total by currency, where it states one.
        rounding: filled while `batches` is read.
        data_through: the provider's data are complete up to this instant (exclusive), if it says so.
        is_final: the provider will not change this period any more.
        requests: requests made to the provider.
        request_cost: what the provider charges for them, in USD.
    """

    batches: Iterator[pa.RecordBatch]
    change_token: str
    sources: list[dict[str, str]] = field(default_factory=list)
    control_totals: dict[str, Decimal] | None = None
    rounding: Rounding = field(default_factory=Rounding)
    data_through: datetime | None = None
    is_final: bool = False
    requests: int = 0
    request_cost: Decimal = Decimal(0)


Model = TypeVar("Model", bound="BaseModel")


def credential_of(account: Account, model: type[Model]) -> Model:
    """The credential that the settings and secrets of an account make.

    Raises:
        BadData: a provider of another version stored them; names the field, and never the value.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate({**account.settings, **account.secrets})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        named = "".join(f"{part}: " for part in first["loc"])
        raise BadData(f"account {account.account_id}: {named}{first['msg']}: connect it again") from None


class Provider(ABC):
    """One source of cost data. Instances hold no state between calls and are safe to use from several threads."""

    name: ClassVar[str]
    """Registered name: lower case, also the first part of asset keys."""
    title: ClassVar[str]
    """Name a person reads."""
    credential_model: ClassVar[type[BaseModel]]
    """Fields `connect` asks for, with their help; secret fields are pydantic SecretStr."""
    capabilities: ClassVar[Capabilities]

    @classmethod
    def secret_fields(cls) -> frozenset[str]:
        """Names of the secret fields of its credential model, needed or not; the values are stored encrypted, apart from the others."""
        from pydantic import SecretStr

        fields = cls.credential_model.model_fields.items()
        return frozenset(name for name, field in fields if SecretStr in (field.annotation, *get_args(field.annotation)))

    @abstractmethod
    def discover(self, account: Account) -> list[str]:
        """Names of the billing accounts the credential of `account` reaches; proves that it works.

        Raises:
            ProviderError: the credential does not work, and why.
        """

    @abstractmethod
    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext) -> Probe:
        """Ask cheaply what the source has now; `since` holds the tokens of the last collection.

        What has to be kept for `collect` goes to ``context.snapshots``.

        Raises:
            ProviderError: the source could not be asked.
        """

    @abstractmethod
    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        """Open the stream of all line items of one slice.

        A slice that the source once had and now has no line item for gives an empty stream: that is a complete answer.

        Raises:
            NothingThere: the whole source is empty or gone.
            ProviderError: the source could not be read.
        """
