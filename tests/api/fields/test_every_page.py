"""Pages of what is not line items or resources, put together, are the whole as it was, while more of it is made after each page.

`test_paging` is for line items and resources, `test_administration` for customers, tokens and what was done with them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import documents
import orjson
import pytest
from alert_world import hook, occasion, rule
from charges import Charge, slice_of
from graphql import get_named_type
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from isolation_walk import content_of
from world import Customer, World

from optiinfra_api.fields import pagination
from optiinfra_api.schema import schema
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.domain.commitments import Commitment
from optiinfra_assets.domain.invoices import Invoice, InvoiceStatement
from optiinfra_assets.ingestion.reconciling import reconcile_customer
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.vault.credential_audit import Actor

OCTOBER = BillingPeriod(2026, 10)
ROWS = 8
_PAGE_INFO = "pageInfo { hasNextPage endCursor }"
_numbers = count(100)


def _add_account(customer: Customer) -> None:
    name = f"{customer.customer_id}.n{next(_numbers)}"
    account = Account(name, customer.customer_id, "focus", {"location": f"/{name}"})
    customer.world.metadata.accounts.add(account)
    customer.world.metadata.credentials.put(account, {"key": "x"}, Actor("test", "x"))


def _publish(customer: Customer) -> None:
    number = next(_numbers)
    slice_ = slice_of(customer.customer_id, "main", OCTOBER)
    customer.publish(slice_, [Charge(date(2026, 10, 1), Decimal(number), service=f"s-{number % 4}")])


def _queue(customer: Customer) -> None:
    slice_ = slice_of(customer.customer_id, "main", OCTOBER)
    customer.world.metadata.collections.queue(f"{customer.customer_id}-{next(_numbers)}", "api", [slice_])


def _state(customer: Customer) -> None:
    """An invoice of an account of its own, compared with no costs."""
    number = next(_numbers)
    metadata, name = customer.world.metadata, f"{customer.customer_id}.i{number}"
    metadata.accounts.add(Account(name, customer.customer_id, "focus", {"location": f"/{name}"}))
    made = Invoice(
        invoice_id=str(number), issuer="Example", billing_period=OCTOBER, currency="USD", total=Decimal(number)
    )
    slice_, now = Slice(customer.customer_id, "focus", name, OCTOBER), datetime(2026, 11, 5, tzinfo=UTC)
    metadata.invoices.publish(slice_, "source", InvoiceStatement((made,)), now)
    reconcile_customer(metadata, customer.world.warehouse, customer.customer_id, now)


def _tell(customer: Customer) -> None:
    metadata = customer.world.metadata
    rules = metadata.alerts.rules(customer_id=customer.customer_id)
    made = rules[0] if rules else rule(metadata, hook(metadata, "https://example.com/x", "x", customer.customer_id)[0])
    with metadata.transaction():
        metadata.alert_outbox.record(made, [occasion(next(_numbers))], datetime.now(UTC))


def _budget(customer: Customer) -> None:
    budget = Budget(f"b{next(_numbers):04d}", Cadence.MONTHLY, Decimal(5), "USD")
    who = Principal("author", "author", customer.customer_id, "operator")
    now = datetime.now(UTC)
    customer.world.metadata.budgets.save(budget, customer_id=customer.customer_id, principal=who, now=now)


@dataclass(frozen=True, slots=True)
class Paged:
    """One field that comes in pages.

    Attributes:
        arguments: all but ``first`` and ``after``; ``MAIN`` stands for the id of an account.
        rows: the field of the list.
        row: what is asked of each row.
        make: one row more.
        is_newest_first: rows made later come before all others; else anywhere.
    """

    arguments: str
    row: str
    make: Callable[[Customer], None]
    rows: str = "nodes"
    is_newest_first: bool = True


def _commit(customer: Customer) -> None:
    metadata, start, end = customer.world.metadata, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    main = metadata.accounts.get(f"{customer.customer_id}.main")
    known = [one.commitment for one in metadata.commitments.find(customer_id=customer.customer_id)]
    made = Commitment(
        commitment_id=f"c-{next(_numbers)}",
        contract_id="k",
        category="Spend",
        type_="Agreement",
        period_start=start,
        period_end=end,
        contract_start=start,
        contract_end=end,
        currency="USD",
        cost=Decimal("1.5"),
    )
    metadata.commitments.replace(main, [*known, made], start)


PAGED = {
    "commitments": Paged("", "account commitmentId cost { amount currency } quantity", _commit, is_newest_first=False),
    "accounts": Paged("", "id provider", _add_account, is_newest_first=False),
    "credentials": Paged("", "account name version", _add_account, is_newest_first=False),
    "credentialAuditLog": Paged("", "id action account", _add_account),
    "alertDeliveries": Paged("", "deliveryId titles state", _tell),
    "collectionHistory": Paged("", "id taskId", _queue),
    "lineage": Paged(', account: "MAIN", billingPeriod: "2026-10"', "generation lineItems", _publish, "generations"),
    "restatements": Paged(
        ', period: {start: "2026-10-01", end: "2026-11-01"}',
        "generation previousGeneration changes { service before after }",
        _publish,
    ),
}
PAGED |= {
    "invoices": Paged("", "account billingPeriod invoices { total { amount } }", _state, is_newest_first=False),
    "reconciliation": Paged("", "account billingPeriod stated { amount }", _state, is_newest_first=False),
}
PAGED |= {"budgets": Paged("", "budgetId name", _budget, is_newest_first=False)}
ELSEWHERE = {"anomalies", "budgetStatus", "costMetrics", "costsByResource", "customers", "tokens", "accessAuditLog"}


def test_every_field_with_pages_is_put_together_somewhere() -> None:
    query = schema._schema.query_type
    assert query is not None
    paged = {
        name for name, field in query.fields.items() if "pageInfo" in getattr(get_named_type(field.type), "fields", ())
    }
    assert paged == {*PAGED, *ELSEWHERE}


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    """One with some rows of everything."""
    customer = world.customer("admin")
    main = Account(f"{customer.customer_id}.main", customer.customer_id, "focus", {"location": "/main"})
    world.metadata.accounts.add(main)
    for _ in range(ROWS):
        for make in (_add_account, _publish, _queue, _state, _commit, _tell, _budget):
            make(customer)
    return customer


def _document(customer: Customer, field: str) -> str:
    paged = PAGED[field]
    arguments = paged.arguments.replace("MAIN", f"{customer.customer_id}.main")
    return f"""query($first: Int!, $after: String) {{
      {field}(first: $first, after: $after{arguments}) {{ {paged.rows} {{ {paged.row} }} {_PAGE_INFO} }}
    }}"""


def _page(customer: Customer, field: str, first: int, after: str | None) -> tuple[list[Any], dict[str, Any]]:
    paged = PAGED[field]
    page = customer.data(_document(customer, field), first=first, after=after)[field]
    return page[paged.rows], page["pageInfo"]


@pytest.mark.parametrize("field", PAGED)
def test_pages_are_the_whole_while_more_is_made(customer: Customer, field: str) -> None:
    paged = PAGED[field]

    @settings(max_examples=3, suppress_health_check=list(HealthCheck))
    @given(first=st.integers(2, 12), makes_after=st.none() | st.integers(0, 2))
    @example(first=3, makes_after=0)
    def whole(first: int, makes_after: int | None) -> None:
        before, info = _page(customer, field, 1000, None)
        assert not info["hasNextPage"]
        assert len(before) >= ROWS - 1
        rows: list[Any] = []
        after = None
        for number in range(len(before) + 20):
            page, info = _page(customer, field, first, after)
            assert len(page) <= first
            assert info["hasNextPage"] or after is None or page
            rows += page
            after = info["endCursor"]
            if not info["hasNextPage"]:
                break
            assert len(page) == first
            if number == makes_after:
                paged.make(customer)
        assert not info["hasNextPage"]
        assert [one for one in rows if one in before] == before
        assert paged.is_newest_first is False or rows == before

    whole()


MADE_UP: dict[type, list[Any]] = {
    int: [-1, 2**53 - 1, 2**62, -(2**63), "1", 1.5, None],
    str: ["", "\0", "x", "9" * 100, "1e999", 1, None],
}
NO_CURSORS = [b"1", b"{}", b"[]", b"[1,2]", b"x", b'["",[],{},3,0]']


def _sealed(content: bytes) -> str:
    return base64.urlsafe_b64encode(pagination._checksum(content) + content).decode().rstrip("=")


def _made_up(cursor: str) -> Iterator[str]:
    """Cursors with the right checksum and one value that the service did not put there."""
    yield from map(_sealed, NO_CURSORS)
    values = content_of(cursor)
    for place in (2, *range(4, len(values))):
        for odd in MADE_UP[type(values[place] or 0)]:
            yield _sealed(orjson.dumps([*values[:place], odd, *values[place + 1 :]]))


@pytest.mark.parametrize("field", [*PAGED, "costMetrics", "costsByResource", "tokens", "accessAuditLog"])
def test_a_made_up_cursor_is_refused_or_leads_somewhere(customer: Customer, field: str) -> None:
    costs = {"costMetrics": documents.LINE_ITEMS, "costsByResource": documents.RESOURCES}
    plain = f"query($first: Int!, $after: String) {{ {field}(first: $first, after: $after) {{ {_PAGE_INFO} }} }}"
    document = _document(customer, field) if field in PAGED else costs.get(field, plain)
    asked: dict[str, Any] = {"first": 1}
    if field in costs:
        asked["period"] = {"start": "2026-10-01", "end": "2026-11-01"}
    cursor = customer.data(document, **asked)[field]["pageInfo"]["endCursor"]
    for made_up in _made_up(cursor):
        answer = customer.world.answer(document, customer.token, **asked, after=made_up)
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        assert codes <= {"INVALID_ARGUMENT", "CURSOR_EXPIRED"}, (content_of(made_up), answer)
