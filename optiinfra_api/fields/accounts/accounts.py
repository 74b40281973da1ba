"""accounts: the connected accounts, when each was last probed, changed and published, and what requests to its provider have cost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import After, ByAccount, ByProvider, CustomerId, First
from optiinfra_api.fields.costs.arguments import cost_query
from optiinfra_api.fields.costs.money import Money
from optiinfra_api.fields.from_record import from_record
from optiinfra_api.fields.pagination import PageInfo, check_first, cut, decode
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import Count, decimal_text
from optiinfra_api.reading.cost_query import digest
from optiinfra_assets.domain.failures import Failure
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.metadata.activity import AccountActivity


@strawberry.enum(description="Whose fault a failure is.")
class FailureCause(Enum):
    CREDENTIAL = described("credential", "The credential is not accepted, or lacks a permission.")
    SOURCE = described("source", "The data at the source are missing or malformed.")
    PROVIDER = described("provider", "The provider failed, throttles, or answered what was not expected.")
    NETWORK = described("network", "The provider could not be reached.")
    STORAGE = described("storage", "A database or disk of this platform failed.")
    PLATFORM = described("platform", "This platform: a bug, or a worker that died.")


@strawberry.type(description="Something that fails at an account, until it succeeds again.")
class AccountFailure:
    billing_period: str | None = strawberry.field(
        description="The month that could not be collected, `YYYY-MM`. Null: the source could not be asked for changes."
    )
    message: str = strawberry.field(description="Why, in one line.")
    fault: FailureCause = strawberry.field(description="Whose fault it is.")
    since: datetime = strawberry.field(description="When it failed first.")
    retry_at: datetime | None = strawberry.field(
        description="When it is tried again at the earliest, or as soon as the source changes. Null: within 15 minutes."
    )
    failures: int | None = strawberry.field(description="How often in a row. Null: unknown.")
    remedy: str = strawberry.field(description="What to do.")

    @classmethod
    def of(cls, failure: Failure) -> AccountFailure:
        """Make one from its record."""
        period = failure.billing_period
        return from_record(cls, failure, billing_period=None if period is None else str(period))


@strawberry.type(description="One connected account.")
class Account:
    id: str = strawberry.field(description="Account id of this platform.")
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    is_active: bool = strawberry.field(description="It is probed and collected.")
    is_simulated: bool = strawberry.field(description="It is read from a simulator or sample files, not from a cloud.")
    created_at: datetime = strawberry.field(description="When it was connected.")
    last_probe_at: datetime | None = strawberry.field(description="The last probe that got an answer. Null: none has.")
    last_change_at: datetime | None = strawberry.field(
        description="The last probe that found something changed. Null: none has."
    )
    last_error: str | None = strawberry.field(
        description="Why the last probe got no answer, or why the newest failing billing period was not collected. Null: nothing fails."
    )
    failures: list[AccountFailure] = strawberry.field(
        description="What fails now: the probe first, then billing periods, newest first."
    )
    not_probed_before: datetime | None = strawberry.field(
        description="The provider asked to be left alone until then. Null: it did not."
    )
    last_published_at: datetime | None = strawberry.field(
        description="When the newest data of it were published. Null: nothing is."
    )
    last_collected_at: datetime | None = strawberry.field(
        description="The last collection that ended well, also one that found nothing new. Null: none has."
    )
    data_through: datetime | None = strawberry.field(
        description="Its data are complete up to this instant (exclusive). Null: unknown."
    )
    known_billing_periods: int = strawberry.field(description="Billing periods that its source has shown.")
    due_billing_periods: int = strawberry.field(
        description="Those of them that wait to be collected: how far a backfill has still to go."
    )
    requests: Count = strawberry.field(description="Requests made to the provider so far, for probes and collections.")
    request_cost: Money = strawberry.field(description="What the provider charges for them.")

    @classmethod
    def of(
        cls, row: AccountActivity, published: ResolvedGenerations | None, failures: Iterable[Failure] = ()
    ) -> Account:
        """Make one from its record, its published generations (None: nothing is published), and the failures of some accounts."""
        return from_record(
            cls,
            row,
            id=row.account_id,
            failures=[AccountFailure.of(one) for one in failures if one.account_id == row.account_id],
            is_active=row.status == "active",
            not_probed_before=row.probe_not_before,
            last_published_at=published.published_at if published else None,
            last_collected_at=row.last_checked_at,
            data_through=published.data_through if published else None,
            known_billing_periods=row.known_periods,
            due_billing_periods=row.due_periods,
            request_cost=Money(amount=decimal_text(row.request_cost), currency="USD"),
        )


@strawberry.type(description="A page of accounts, by id.")
class Accounts:
    nodes: list[Account] = strawberry.field(description="The accounts of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.type
class AccountsQuery:
    @resolved("The connected accounts and how each is doing, in pages.")
    async def accounts(
        self,
        info: Info,
        first: First,
        after: After = None,
        customer_id: CustomerId = None,
        provider: ByProvider = None,
        account: ByAccount = None,
    ) -> Accounts | None:
        check_first(first)
        data = await info.context.data_of(customer_id)
        asked = digest("accounts", data.customer_id, provider, account)
        last = None if after is None else decode(after, asked, (str,)).position[0]
        find = data.services.metadata.activity.find
        rows = await data.read(find, first=first + 1, after=last, provider=provider, account_id=account)
        published = (await data.resolve(cost_query(None, None, None))).by_account()
        shown, page_info = cut(asked, rows, first, lambda row: (row.account_id,))
        failures = await data.read(data.services.metadata.failures.find, provider=provider, account_id=account)
        return Accounts(
            nodes=[Account.of(row, published.get(row.account_id), failures) for row in shown],
            page_info=page_info,
        )
