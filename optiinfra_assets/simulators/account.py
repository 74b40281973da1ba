"""What every simulated account offers, whatever the cloud: the contract suite of all providers and the demo use it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.providers.context import Clock
from optiinfra_assets.simulators.server.server import SimulatedCloud, SimulatedRequest, SimulatedResponse
from optiinfra_assets.simulators.server.wire import FieldChange, changed_json
from optiinfra_assets.simulators.world.scenario import Scenario
from optiinfra_assets.simulators.world.world import World

Simulator = TypeVar("Simulator", bound="SimulatedAccount")


class SimulatedAccount(SimulatedCloud):
    """One account at one cloud, which can be set to misbehave permanently; for transient faults see `SimulatedCloud.fail`.

    Attributes:
        provider: registered name of the provider that reads it.
        modes: ways in which such an account may be set up, each read in another way; the first is the default.
        mode: the way that this class simulates; subclasses simulate the others.
        rules: fields of a `Scenario` that this cloud decides: when usage shows, when invoices come, what is capped.
        tells_days: it says what past days cost; the others tell a total of each month, so that what happened within it is not seen.
        quantum: the smallest amount that it bills.
        base_path: prefix of every path of its API.
        renamed_field: field that `renames_field` renames; the provider's error names it.
        lacking_permission: permission that the cloud's error names if `lacks_permission`.
        page_size: most objects on one page of any list; the provider's documented limit by default.
        extra_items: number of additional line items in every closed month, each of the world's quantum; made on request.
        duplicates_lines: each usage line comes as two lines that differ only in their numbers.
        adds_unknown_fields: every response has one more field, which no provider knows.
        renames_field: the amount of a line has another name.
        changed_fields: fields of any JSON response that are changed, by name.
        seen_fields: where names of all fields of all JSON responses are added; None: nobody wants to know.
        repeats_pages: every list returns its first page for every requested page and announces more.
        refuses_credential: the credential is no longer accepted.
        lacks_permission: the credential is accepted but may not read costs.
    """

    provider: ClassVar[str]
    modes: ClassVar[tuple[str, ...]] = ("",)
    mode: ClassVar[str] = ""
    rules: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    tells_days: ClassVar[bool] = True
    quantum: ClassVar[Decimal]
    base_path: ClassVar[str] = ""
    renamed_field: ClassVar[str]
    lacking_permission: ClassVar[str]

    def __init__(self, world: World, *, secret: str, port: int = 0) -> None:
        super().__init__(world, secret=secret, port=port)
        self.page_size = 100
        self.extra_items = 0
        self.duplicates_lines = False
        self.adds_unknown_fields = False
        self.renames_field = False
        self.changed_fields: dict[str, FieldChange] = {}
        self.seen_fields: set[str] | None = None
        self.repeats_pages = False
        self.refuses_credential = False
        self.lacks_permission = False

    @classmethod
    def make(
        cls,
        scenario: Scenario,
        clock: Clock,
        *,
        secret: str,
        port: int = 0,
        quantum: Decimal | None = None,
        mode: str = "",
    ) -> Self:
        """Make an account with the spend of `scenario`, under the rules of this cloud.

        Args:
            scenario: what the customer runs and is charged.
            clock: returns the current time.
            secret: the credential to accept.
            port: 0 for a free one.
            quantum: smallest amount that is billed; None: that of the cloud.
            mode: one of `modes`; empty: the first.

        Raises:
            KeyError: there is no such mode.
        """
        kind = {one.mode: one for one in _kinds(cls)}[mode or cls.modes[0]]
        world = World(replace(scenario, **kind.rules), clock, quantum or kind.quantum)
        return kind(world, secret=secret, port=port)

    @property
    def endpoint(self) -> str:
        """Value of the credential's ``endpoint_url``."""
        return self.url + self.base_path

    def settings(self) -> dict[str, str]:
        """Settings, without secrets, of an account that reads this cloud: its address."""
        return {"endpoint_url": self.endpoint}

    @abstractmethod
    def secrets(self) -> dict[str, str]:
        """The secret fields of its credential; `secret` is in one of them."""

    def refuses(self, request: SimulatedRequest) -> bool:
        """Whether the bearer token of a request is refused."""
        return self.refuses_credential or request.headers.get("authorization") != f"Bearer {self.secret}"

    def invoice_amount(self, period: BillingPeriod) -> Decimal:
        """Sum of all line items of a closed month, computed from the world and not from the responses."""
        lines = self.world.invoice(period) or []
        return sum((charge.amount for charge in lines), Decimal(0)) + self.extra_items * self.world.quantum

    @abstractmethod
    def shown_amount(self, period: BillingPeriod) -> Decimal:
        """Sum of all line items of an open month that the cloud shows now, computed from the world."""

    @property
    def currency(self) -> str:
        """Billing currency: the scenario's, or the only one that the cloud has."""
        return self.world.scenario.currency

    def amount(self, period: BillingPeriod) -> Decimal:
        """Sum of all line items of a month, open or closed, at this instant, computed from the world."""
        is_closed = self.world.invoice(period) is not None
        return self.invoice_amount(period) if is_closed else self.shown_amount(period)

    def tell(self, request: SimulatedRequest) -> SimulatedResponse:
        """Return the response with the permanent faults of this account."""
        return self.disturbed(request, self.answer(request))

    def disturbed(self, request: SimulatedRequest, response: SimulatedResponse) -> SimulatedResponse:
        """Apply `adds_unknown_fields`, `renames_field` and `changed_fields` to a JSON response; other formats do so where they write."""
        if response.status >= 300 or "json" not in response.headers.get("Content-Type", ""):
            return response
        body = response.body
        if self.adds_unknown_fields:
            body = body.replace(b'{"', b'{"brand_new":[1,{"a":null}],"')
        if self.renames_field:
            body = body.replace(f'"{self.renamed_field}":'.encode(), b'"renamed":')
        is_of_login = "/oauth2/" in request.path or request.path.endswith(("/token", "openid-configuration"))
        if (self.changed_fields or self.seen_fields is not None) and not is_of_login:
            body = changed_json(body, self.changed_fields, set() if self.seen_fields is None else self.seen_fields)
        return replace(response, body=body)


def _kinds(kind: type[Simulator]) -> Iterator[type[Simulator]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
