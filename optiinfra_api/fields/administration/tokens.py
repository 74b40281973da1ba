"""tokens, createToken, revokeToken: the API tokens, the customer each is for, and its role."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import After, First
from optiinfra_api.fields.from_record import from_record
from optiinfra_api.fields.pagination import PageInfo, check_first, cut, decode, from_micros, to_micros
from optiinfra_api.fields.refusal import Refusal
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.reading.cost_query import digest
from optiinfra_assets.database.errors import RecordNotFound

MAX_DAYS = 3660


@strawberry.enum(description="What a token may do; each role also what those before it may.")
class TokenRole(Enum):
    VIEWER = described("viewer", "Reads.")
    OPERATOR = described("operator", "Also triggers collections.")
    ADMIN = described("admin", "Also manages credentials and tokens.")


@strawberry.type(description="A bearer token, without what it takes to use it.")
class Token:
    token_id: str = strawberry.field(description="Its id, for `revokeToken` and in logs.")
    name: str = strawberry.field(description="What it is for.")
    customer_id: str | None = strawberry.field(description="The customer whose data it reads. Null: all customers.")
    role: TokenRole = strawberry.field(description="What it may do.")
    created_at: datetime = strawberry.field(description="When it was made.")
    expires_at: datetime | None = strawberry.field(
        description="It is refused from this instant on. Null: it does not expire."
    )
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to the minute. Null: never.")
    revoked_at: datetime | None = strawberry.field(description="Refused since then. Null: it was not revoked.")


@strawberry.type(description="A page of tokens, oldest first; expired and revoked ones too.")
class Tokens:
    nodes: list[Token] = strawberry.field(description="The tokens of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.type(description="The token is made.")
class TokenCreated:
    token: Token = strawberry.field(description="What is known of it from now on.")
    secret: str = strawberry.field(
        description="What is sent as `Authorization: Bearer ...`. Shown here and never again."
    )


@strawberry.type(description="No such token can be made.")
class TokenNotAccepted(Refusal):
    pass


@strawberry.type(description="The token is refused from now on, by other processes of this service within seconds.")
class TokenRevoked:
    token: Token = strawberry.field(description="The token.")


@strawberry.type(description="There is no such token of this customer.")
class TokenNotFound(Refusal):
    pass


CreateResult = Annotated[
    TokenCreated | TokenNotAccepted,
    strawberry.union("CreateTokenResult", description="The token, or why there is none."),
]
RevokeResult = Annotated[
    TokenRevoked | TokenNotFound,
    strawberry.union("RevokeTokenResult", description="The token, or that there is none."),
]
OfCustomer = Annotated[
    str | None,
    strawberry.argument(
        description="Only of this customer. Default: the token's own; with an administrator's token all."
    ),
]
ForCustomer = Annotated[
    str | None,
    strawberry.argument(
        description="The customer whose data it reads. Default: the token's own; an administrator's token names one or all."
    ),
]
ForAll = Annotated[
    bool,
    strawberry.argument(description="For all customers; only from an administrator of all, and only an ADMIN."),
]
Name = Annotated[str, strawberry.argument(description="What it is for, at most 100 characters.")]
AsRole = Annotated[TokenRole, strawberry.argument(description="What it may do. Default: VIEWER.")]
ExpiresAt = Annotated[
    datetime | None,
    strawberry.argument(description="Refused from this instant on. Default: never, or `days`."),
]
Days = Annotated[
    int | None,
    strawberry.argument(description=f"Refused after so many days, 1 to {MAX_DAYS}. Instead of `expiresAt`."),
]
TokenId = Annotated[str, strawberry.argument(description="As `tokens` shows it.")]


def _position(after: str | None, asked: str) -> tuple[datetime, str] | None:
    if after is None:
        return None
    micros, token_id = decode(after, asked, (int, str)).position
    return from_micros(micros), token_id


def _check_reach(own: str | None, asked: str | None, all_customers: bool) -> None:
    """Raise ValueError for a token of more customers than its creator's token has, and for one that has all customers by oversight."""
    if all_customers and asked is not None:
        raise ValueError("allCustomers: not together with customerId: use one of them")
    if all_customers and own is not None:
        raise ValueError("allCustomers: only an administrator of all customers makes such a token")
    if not all_customers and own is None:
        raise ValueError("customerId: needed, unless allCustomers is true")


def _expiry(expires_at: datetime | None, days: int | None) -> datetime | None:
    if days is None:
        return expires_at
    if expires_at is not None:
        raise ValueError("days: not together with expiresAt: use one of them")
    if not 1 <= days <= MAX_DAYS:
        raise ValueError(f"days: {days} is not accepted: use 1 to {MAX_DAYS}")
    return datetime.now(UTC) + timedelta(days=days)


@strawberry.type
class TokensQuery:
    @resolved("Tokens of this service, in pages; for administrators.")
    async def tokens(
        self, info: Info, first: First, after: After = None, customer_id: OfCustomer = None
    ) -> Tokens | None:
        info.context.require("admin")
        check_first(first)
        administration = await info.context.administration_of(customer_id)
        asked = digest("tokens", administration.customer_id)
        find = info.context.services.metadata.tokens.find
        rows = await administration.read(find, first=first + 1, after=_position(after, asked))
        shown, page_info = cut(asked, rows, first, lambda row: (to_micros(row.created_at), row.token_id))
        return Tokens(
            nodes=[from_record(Token, row) for row in shown],
            page_info=page_info,
        )


@strawberry.type
class TokensMutation:
    @resolved("Make a token; for administrators, of their own customer.")
    async def create_token(
        self,
        info: Info,
        name: Name,
        role: AsRole = TokenRole.VIEWER,
        customer_id: ForCustomer = None,
        all_customers: ForAll = False,
        expires_at: ExpiresAt = None,
        days: Days = None,
    ) -> CreateResult | None:
        info.context.require("admin")
        administration = await info.context.administration_of(customer_id)
        try:
            _check_reach(administration.customer_id, customer_id, all_customers)
            issued = await administration.act(
                info.context.services.metadata.tokens.issue,
                name,
                administration.customer_id,
                role.value,
                _expiry(expires_at, days),
            )
        except ValueError as error:
            return TokenNotAccepted(
                code="TOKEN_NOT_ACCEPTED", message=str(error), remedy="Change what the message names."
            )
        return TokenCreated(token=from_record(Token, issued.token), secret=issued.plaintext)

    @resolved("Refuse a token from now on; for administrators.")
    async def revoke_token(self, info: Info, token_id: TokenId) -> RevokeResult | None:
        info.context.require("admin")
        administration = await info.context.administration_of(None)
        try:
            row = await administration.revoke_token(token_id)
        except RecordNotFound as error:
            return TokenNotFound(
                code="TOKEN_NOT_FOUND", message=str(error), remedy="Use a tokenId that `tokens` shows."
            )
        return TokenRevoked(token=from_record(Token, row))
