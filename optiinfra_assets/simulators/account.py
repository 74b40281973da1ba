"""What is asked of a simulated account whatever the cloud: by the one contract suite of all providers, and by the demonstration."""

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
from optiinfra_assets.simulators.world.scenario import Scenario
from optiinfra_assets.simulators.world.world import World

Simulator = TypeVar("Simulator", bound="SimulatedAccount")


class SimulatedAccount(SimulatedCloud):
    """One account at one cloud, which can be set to misbehave for good; for passing faults see `SimulatedCloud.fail`.

    Attributes:
        provider: registered name of the provider that reads it.
        modes: ways in which such an account may be set up, each read in another way; the first is the default.
        mode: the way that this class is for; the other ways have subclasses.
        rules: fields of a `Scenario` that are this cloud's to say: when usage shows, when invoices come, what is capped.
        quantum: the smallest amount it bills.
        base_path: what stands before every path of its API.
        renamed_field: what a refusal names when `renames_field`.
        lacking_permission: what a refusal names when `lacks_permission`.
        page_size: most objects it puts on one page of any list, at first as many as the provider documents.
        extra_items: so many line items more in every closed month, each of the world's quantum; made as they are asked for.
        duplicates_lines: each usage line comes as two that differ in nothing but their numbers.
        adds_unknown_fields: whatever it tells has a field more, which nobody knows.
        renames_field: the amount of a line has another name.
        repeats_pages: every list gives its first page again, with the same announcement of more, whichever page is asked for.
        refuses_credential: the credential is not accepted any more.
        lacks_permission: the credential is accepted, and may not read costs.
    """

    provider: ClassVar[str]
    modes: ClassVar[tuple[str, ...]] = ("",)
    mode: ClassVar[str] = ""
    rules: ClassVar[Mapping[str, Any]] = MappingProxyType({})
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
        """An account with the spend of `scenario`, under the rules of this cloud.

        Args:
            scenario: the customer's life.
            clock: what "now" means.
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
        """For the credential's ``endpoint_url``."""
        return self.url + self.base_path

    def settings(self) -> dict[str, str]:
        """What an account that reads this cloud is told, apart from its secrets: where it listens."""
        return {"endpoint_url": self.endpoint}

    @abstractmethod
    def secrets(self) -> dict[str, str]:
        """The secret fields of its credential; `secret` stands in one of them."""

    def refuses(self, request: SimulatedRequest) -> bool:
        """Whether the bearer token of a request is not accepted."""
        return self.refuses_credential or request.headers.get("authorization") != f"Bearer {self.secret}"

    def invoice_amount(self, period: BillingPeriod) -> Decimal:
        """What all line items of a closed month come to, from the truth and not from the answers."""
        lines = self.world.invoice(period) or []
        return sum((charge.amount for charge in lines), Decimal(0)) + self.extra_items * self.world.quantum

    @abstractmethod
    def shown_amount(self, period: BillingPeriod) -> Decimal:
        """What all line items of an open month come to by what the cloud shows at this instant, from the truth."""

    @property
    def currency(self) -> str:
        """In which it bills: the scenario's, or the only one that the cloud knows."""
        return self.world.scenario.currency

    def amount(self, period: BillingPeriod) -> Decimal:
        """What all line items of a month come to at this instant, open or closed, from the truth."""
        is_closed = self.world.invoice(period) is not None
        return self.invoice_amount(period) if is_closed else self.shown_amount(period)

    def tell(self, request: SimulatedRequest) -> SimulatedResponse:
        """The answer, disturbed."""
        return self.disturbed(request, self.answer(request))

    def disturbed(self, request: SimulatedRequest, response: SimulatedResponse) -> SimulatedResponse:
        """The answer with `adds_unknown_fields` and `renames_field` applied, for JSON; others do it where they write."""
        if response.status >= 300 or "json" not in response.headers.get("Content-Type", ""):
            return response
        body = response.body
        if self.adds_unknown_fields:
            body = body.replace(b'{"', b'{"brand_new":[1,{"a":null}],"')
        if self.renames_field:
            body = body.replace(f'"{self.renamed_field}":'.encode(), b'"renamed":')
        return replace(response, body=body)


def _kinds(kind: type[Simulator]) -> Iterator[type[Simulator]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
