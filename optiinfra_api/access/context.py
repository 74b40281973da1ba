"""The only way from the API to the data: a resolver reads a customer's data only through `RequestContext.data_of`.

`CustomerData` binds the customer's id into every read, so that no resolver passes a customer to the stores itself. Both databases
enforce it once more: see `ClickHouseReader.rows` for ClickHouse, `Services.run_for` for PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import strawberry

from optiinfra_api.access.administration import Administration
from optiinfra_api.access.services import Services
from optiinfra_api.graphql.errors import Forbidden, InvalidArgument, NotFound
from optiinfra_api.http.request_log import current_request
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_api.reading.scan_budget import AnswerBudget, GenerationExtent, ScanBudget
from optiinfra_api.reading.stream import ExportFormat
from optiinfra_assets.database import errors as store_errors
from optiinfra_assets.database import sql_files
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.metadata.tokens import ROLES, Principal, Role
from optiinfra_assets.vault.credential_audit import Actor
from optiinfra_assets.warehouse.lineage import Generation, slice_history

if TYPE_CHECKING:
    from optiinfra_api.reading.conversion import Display
    from optiinfra_api.reading.view_reader import SqlFormat

_T = TypeVar("_T")

_CHANGES_IN_A_ROW: Final = 2
"""A change between two generations has five values."""
_GROUPS_IN_A_ROW: Final = 8


@dataclass(frozen=True, slots=True)
class CustomerData:
    """Reads the data of one customer. Only `RequestContext.data_of` makes it."""

    customer_id: str
    services: Services
    _budget: ScanBudget
    _answers: AnswerBudget

    async def resolve(self, question: CostQuery, as_of: datetime | None = None) -> ResolvedGenerations:
        """Return the generations that answer `question`, as of the question's own instant unless `as_of` is given.

        Raises:
            AsOfNotRetained: retention has removed generations that the answer needs.
        """
        instant = as_of or question.as_of
        standing = await self.services.standings.of(self.customer_id)
        resolved = await self.services.engine.resolve(self.customer_id, question, instant, standing)
        nothing_due = standing.is_complete(
            question.start,
            question.end,
            providers=question.providers,
            accounts=question.accounts,
            as_of=instant,
        )
        return resolved if nothing_due else replace(resolved, is_complete=False)

    async def answered(
        self, question: CostQuery, read: Callable[[ResolvedGenerations], Awaitable[_T]]
    ) -> tuple[ResolvedGenerations, _T]:
        """Return the generations that answer `question`, and what `read` finds in them.

        `read` runs on the generations known from before while a check runs whether they are still the newest, which saves
        3 of 15 ms; if they are not, `read` runs again.
        """
        known = None if question.as_of else self.services.engine.remembered(self.customer_id, question)
        if known is None:
            resolved = await self.resolve(question)
            return resolved, await read(resolved)
        current, found = await asyncio.gather(self.resolve(question), read(known), return_exceptions=True)
        if isinstance(current, BaseException):
            raise current
        if current.generations != known.generations:
            found = await read(current)
        if isinstance(found, BaseException):
            raise found
        return current, found

    def display(self, currency: str | None, selected: frozenset[str] | None = None) -> Display | None:
        """Return what converts one answer to a currency; None if none is asked. `selected`: names of the fields of its series; None: all.

        Raises:
            InvalidArgument: `currency` is no code of a currency.
        """
        return None if currency is None else self.services.display(self.customer_id, currency, selected)

    async def rows(
        self, statement: str, question: CostQuery, resolved: ResolvedGenerations, **values: Any
    ) -> list[dict[str, Any]]:
        """Return the rows of a statement of ``sql/clickhouse/queries`` over the `resolved` generations.

        Raises:
            TooExpensive: the operation reads or answers too many rows.
        """
        return await self._rows(statement, question, resolved, values, self._answers.count)

    async def groups(
        self, statement: str, question: CostQuery, resolved: ResolvedGenerations, **values: Any
    ) -> list[dict[str, Any]]:
        """As `rows`, for rows that are compared with others, of which few are answered: they cost a fraction of those."""
        count = partial(self._answers.count, in_a_row=_GROUPS_IN_A_ROW)
        return await self._rows(statement, question, resolved, values, count)

    async def _rows(
        self,
        statement: str,
        question: CostQuery,
        resolved: ResolvedGenerations,
        values: dict[str, Any],
        count: Callable[..., None],
    ) -> list[dict[str, Any]]:
        if not resolved.generations:
            return []
        text = sql_files.read("clickhouse", "queries", f"{statement}.sql")
        bound = self._bound(text, question, resolved, values)
        return await self.services.engine.rows(statement, bound, count)

    def export(
        self,
        text: str,
        form: ExportFormat,
        question: CostQuery,
        resolved: ResolvedGenerations,
        **values: Any,
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Stream the answer of the statement `text` over the `resolved` generations; see `ExportStreamer.stream`."""
        bound = self._bound(text, question, resolved, values)
        return self.services.exporter.stream(text, form, bound)

    def _bound(
        self,
        text: str,
        question: CostQuery,
        resolved: ResolvedGenerations,
        values: dict[str, Any],
    ) -> dict[str, Any]:
        """The values that a statement binds; spends its estimated rows from the budget, and raises TooExpensive if it has no room."""
        self._budget.spend(text, question, resolved)
        return {
            **question.parameters(),
            **_billing_periods(resolved),
            **values,
            "customer_id": self.customer_id,
            "generations": list(resolved.generations),
        }

    def sql(self, statement: str, form: SqlFormat) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Stream the answer of a statement of the caller's own over the views of what is current; see `ViewReader.stream`."""
        return self.services.views.stream(self.customer_id, statement, form)

    async def check_sql(self, statement: str) -> None:
        """Check a statement of the caller's own; see `ViewReader.check`."""
        await self.services.views.check(self.customer_id, statement)

    async def run(self, work: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
        """Run the blocking function `work` in a thread, with this customer as its ``customer_id``."""
        found = await self.services.run(work, *args, **kwargs, customer_id=self.customer_id)
        self._answers.count_found(found)
        return found

    async def read(self, work: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
        """As `run`, for `work` that reads from `Metadata`: PostgreSQL shows it only rows of this customer."""
        found = await self.services.run_for(self.customer_id, work, *args, **kwargs, customer_id=self.customer_id)
        self._answers.count_found(found)
        return found

    def count(self, rows: int, size: int) -> None:
        """Count rows of an answer that no statement returned, and their bytes as `size`.

        Raises:
            TooExpensive: the operation answers too many.
        """
        self._answers.count(rows, size=size)

    async def slice_history(
        self, account_id: str, period: BillingPeriod, first: int, before: int
    ) -> tuple[str, list[Generation]] | None:
        """The account's provider and at most `first` generations of a period below `before` (0: all), newest first; None: no account."""
        found = await self.read(self.services.metadata.activity.find, first=1, account_id=account_id)
        if not found:
            return None
        slice_ = Slice(self.customer_id, found[0].provider, account_id, period)
        run, warehouse = self.services.run, self.services.warehouse
        history = await run(slice_history, warehouse, slice_, first, before)
        self._answers.count_found(history)
        return slice_.provider, history

    async def compared(
        self, statement: str, olds: list[int], news: list[int], *, start: date, end: date, **values: Any
    ) -> list[dict[str, Any]]:
        """Return the rows of a statement that compares pairs of generations, superseded ones too, over the charges of [start, end)."""
        pairs = {"olds": olds, "news": news, "generations": sorted({*olds, *news})}
        bound = {**values, **pairs, "start": start, "end": end, "customer_id": self.customer_id}
        extents = map(GenerationExtent.of, await self.services.engine.rows("generation_extents", bound))
        text = sql_files.read("clickhouse", "queries", f"{statement}.sql")
        self._budget.spend_on(text, extents, start, end)
        return await self.services.engine.rows(
            statement, bound, partial(self._answers.count, in_a_row=_CHANGES_IN_A_ROW)
        )


def _billing_periods(resolved: ResolvedGenerations) -> dict[str, date]:
    """First and last billing period of the resolved generations, so that ClickHouse opens no partitions outside of them."""
    if resolved.extent is not None:
        return {
            "first_period": resolved.extent.first_period or _NEVER,
            "last_period": resolved.extent.last_period or _NEVER,
        }
    chosen = set(resolved.generations)
    periods = [one.slice.billing_period.start.date() for one in resolved.publications if one.generation in chosen]
    return {"first_period": min(periods, default=_NEVER), "last_period": max(periods, default=_NEVER)}


_NEVER = date(1970, 1, 1)


@dataclass(slots=True)
class RequestContext:
    """One request: its principal, and what it may reach.

    Attributes:
        principal: the customer and role of the token.
        correlation_id: identifies this request in the log.
        address: the client's address.
        budget: the rows that its statements may read in all.
        answers: the rows that its fields may answer in all.
    """

    principal: Principal
    services: Services
    correlation_id: str
    address: str = "unknown"
    budget: ScanBudget = field(init=False)
    answers: AnswerBudget = field(init=False)

    def __post_init__(self) -> None:
        self.budget = ScanBudget(self.services.settings.api_max_rows, "OPTIINFRA_API_MAX_ROWS")
        self.answers = AnswerBudget(self.services.settings.api_max_answer_rows)

    async def check_token(self) -> None:
        """Check that the token is still valid. This does nothing over HTTP, where a request ends before its token can become invalid.

        Raises:
            Forbidden: the token was revoked or has expired.
        """

    def require(self, role: Role) -> None:
        """Check that the token has `role` or a higher one.

        Raises:
            Forbidden: it has a lower role; the message names the role that is needed.
        """
        if ROLES.index(self.principal.role) < ROLES.index(role):
            raise Forbidden(
                f"the token has the role {self.principal.role}; this needs {role}",
                f"Use a token with the role {role}.",
            )

    def require_may_change(self) -> None:
        """Check that the caller may change what a viewer may.

        Raises:
            Forbidden: it came by a link that is read-only.
        """
        if self.principal.is_read_only:
            raise Forbidden("you signed in by a read-only link, which changes nothing", "Sign in with a token.")

    def require_all_customers(self) -> None:
        """Check that the token is an administrator's for all customers.

        Raises:
            Forbidden: it is another token.
        """
        if not self.principal.is_platform_admin:
            raise Forbidden(
                "this needs an administrator's token for all customers",
                "Ask an administrator of this platform.",
            )

    async def administration_of(self, customer_id: str | None) -> Administration:
        """Customers, tokens and their log: of the token's own customer; an administrator of all customers names one, or None for all.

        Raises:
            NotFound: as in `data_of`.
        """
        if customer_id is not None or self.principal.customer_id is not None:
            customer_id = (await self.data_of(customer_id)).customer_id
        return Administration(customer_id, Actor(self.principal.token_id, self.address), self.services, self.answers)

    async def data_of(self, customer_id: str | None) -> CustomerData:
        """The data of the token's own customer; an administrator of all customers names one.

        Raises:
            NotFound: the customer does not exist or is not the token's; the answer is the same.
            InvalidArgument: the token is for all customers, and `customer_id` is None.
        """
        own = self.principal.customer_id
        if own is None:
            own = await self._any_customer(customer_id)
        elif customer_id not in (None, own):
            raise _no_customer(customer_id)
        current_request().customer_id = own
        return CustomerData(own, self.services, self.budget, self.answers)

    async def _any_customer(self, customer_id: str | None) -> str:
        if customer_id is None:
            raise InvalidArgument(
                "customerId: needed, since an administrator's token is for all customers",
                "Name a customer.",
            )
        try:
            return (await self.services.run(self.services.metadata.customers.get, customer_id)).customer_id
        except store_errors.RecordNotFound:
            raise _no_customer(customer_id) from None


def _no_customer(customer_id: str | None) -> NotFound:
    return NotFound(
        f"customerId: {customer_id!r} does not exist", "Leave customerId out for the customer of the token."
    )


Info = strawberry.Info[RequestContext, None]
