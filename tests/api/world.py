"""A running API over real databases, and what is published in them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx
from charges import Charge, Held, Sent

from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.domain.publications import Publication
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.tokens import Role
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

_generations = itertools.count(1)


@dataclass(slots=True)
class World:
    """One API with its databases. Customers keep tests apart."""

    settings: Settings
    warehouse: Warehouse
    metadata: Metadata
    url: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def customer(self, role: Role = "viewer") -> Customer:
        """A new customer with a token."""
        customer_id = f"customer-{next(self.names)}"
        self.metadata.customers.add(customer_id)
        return Customer(self, customer_id, self.metadata.tokens.issue("test", customer_id, role).plaintext)

    def post(self, body: Any, token: str | None, **headers: str) -> httpx.Response:
        """One request to /graphql, as it is answered."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.http.post(f"{self.url}/graphql", json=body, headers=headers)

    def answer(self, document: str, token: str | None, **variables: Any) -> dict[str, Any]:
        """The answer to an operation that runs (status 200)."""
        response = self.post({"query": document, "variables": variables}, token)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def data(self, document: str, token: str | None, **variables: Any) -> dict[str, Any]:
        """The data of an operation that has no error."""
        answer = self.answer(document, token, **variables)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data


@dataclass(slots=True)
class Customer:
    """A customer, its token, and what is published of it now."""

    world: World
    customer_id: str
    token: str
    published: dict[Slice, list[Charge]] = field(default_factory=dict, repr=False)

    @property
    def held(self) -> list[Held]:
        """Every published charge."""
        return [Held(charge, slice_) for slice_, charges in self.published.items() for charge in charges]

    def data(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation with this customer's token."""
        return self.world.data(document, self.token, **variables)

    def error(self, document: str, **variables: Any) -> dict[str, Any]:
        """The one error of an operation with this customer's token."""
        (error,) = self.world.answer(document, self.token, **variables)["errors"]
        found: dict[str, Any] = error
        return found

    def publish(
        self, slice_: Slice, charges: Sequence[Charge], generation: int | None = None, **changes: Any
    ) -> Publication:
        """Write, derive and publish one generation, as a collection does."""
        return self._publish({generation or next(_generations): (slice_, charges)}, {slice_: changes})[0]

    def publish_all(
        self, slices: Mapping[Slice, Sequence[Charge]], changes: Mapping[Slice, dict[str, Any]] | None = None
    ) -> list[Publication]:
        """The same for many slices at once, as a collection of many does: it takes no more statements than one."""
        return self._publish({next(_generations): one for one in slices.items()}, changes or {})

    def _publish(
        self, generations: Mapping[int, tuple[Slice, Sequence[Charge]]], changes: Mapping[Slice, dict[str, Any]]
    ) -> list[Publication]:
        warehouse = self.world.warehouse
        rows = [
            charge.row(slice_, generation, number)
            for generation, (slice_, charges) in generations.items()
            for number, charge in enumerate(charges)
        ]
        if rows:
            names = list(rows[0])
            warehouse.client.insert("raw_costs", [[row[name] for name in names] for row in rows], column_names=names)
            warehouse.derive({generation: slice_ for generation, (slice_, _) in generations.items()})
        made = [
            _publication(slice_, generation, Sent.of(charges)) for generation, (slice_, charges) in generations.items()
        ]
        self.published |= {slice_: list(charges) for slice_, charges in generations.values()}
        stored = list(warehouse.publish([replace(one, **changes.get(one.slice, {})) for one in made]).values())
        assert all(isinstance(one, Publication) for one in stored), stored
        return stored  # type: ignore[return-value]


def _publication(slice_: Slice, generation: int, sent: Sent) -> Publication:
    return Publication(
        slice=slice_,
        generation=generation,
        published_at=datetime.now(UTC),
        line_items=sent.line_items,
        first_charge_date=sent.first_charge_date,
        last_charge_date=sent.last_charge_date,
        data_through=None,
        is_final=False,
        is_simulated=False,
        totals=sent.totals,
        content_hash="",
        change_token="",
    )
