"""customers, createCustomer, renameCustomer: the tenants."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import After, CustomerId, First
from optiinfra_api.fields.from_record import from_record
from optiinfra_api.fields.pagination import PageInfo, check_first, cut, decode
from optiinfra_api.fields.refusal import Refusal
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.reading.cost_query import digest
from optiinfra_assets.database.errors import AlreadyExists


@strawberry.type(description="A tenant. Every account, token and row of cost data belongs to exactly one.")
class Customer:
    customer_id: str = strawberry.field(description="Its id, which never changes.")
    name: str = strawberry.field(description="What people call it.")
    created_at: datetime = strawberry.field(description="When it was added.")


@strawberry.type(description="A page of customers, by id.")
class Customers:
    nodes: list[Customer] = strawberry.field(description="The customers of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.type(description="The customer is there now.")
class CustomerCreated:
    customer: Customer = strawberry.field(description="The new customer.")


@strawberry.type(description="The customer has its new name.")
class CustomerRenamed:
    customer: Customer = strawberry.field(description="The customer under its new name.")


@strawberry.type(description="The id belongs to another customer.")
class CustomerExists(Refusal):
    pass


@strawberry.type(description="The id or the name cannot be accepted.")
class CustomerNotAccepted(Refusal):
    pass


CreateResult = Annotated[
    CustomerCreated | CustomerExists | CustomerNotAccepted,
    strawberry.union("CreateCustomerResult", description="The customer, or why there is none."),
]
RenameResult = Annotated[
    CustomerRenamed | CustomerNotAccepted,
    strawberry.union("RenameCustomerResult", description="The customer, or why its name stays."),
]
NewId = Annotated[
    str,
    strawberry.argument(description="Its id, for ever: 1 to 100 lower-case letters, digits, `-`, `_` and single `.`."),
]
NewName = Annotated[
    str | None,
    strawberry.argument(description="What people call it, at most 100 characters. Default: its id."),
]
OtherName = Annotated[str, strawberry.argument(description="The name from now on, at most 100 characters.")]


@strawberry.type
class CustomersQuery:
    @resolved("The customers that the token is for: its own, or with an administrator's token all, in pages.")
    async def customers(self, info: Info, first: First, after: After = None) -> Customers | None:
        check_first(first)
        administration = await info.context.administration_of(None)
        asked = digest("customers", administration.customer_id)
        above = None if after is None else decode(after, asked, (str,)).position[0]
        find = info.context.services.metadata.customers.find
        rows = await administration.read(find, first=first + 1, after=above)
        shown, page_info = cut(asked, rows, first, lambda row: (row.customer_id,))
        return Customers(
            nodes=[from_record(Customer, row) for row in shown],
            page_info=page_info,
        )


@strawberry.type
class CustomersMutation:
    @resolved("Add a customer; for administrators of all customers.")
    async def create_customer(self, info: Info, customer_id: NewId, name: NewName = None) -> CreateResult | None:
        info.context.require_all_customers()
        administration = await info.context.administration_of(None)
        create = info.context.services.metadata.customers.create
        try:
            row = await administration.act(create, customer_id, customer_id if name is None else name)
        except AlreadyExists as error:
            return CustomerExists(code="CUSTOMER_EXISTS", message=str(error), remedy="Use another id.")
        except ValueError as error:
            return _not_accepted(error)
        return CustomerCreated(customer=from_record(Customer, row))

    @resolved("Give a customer another name, its id stays; for administrators.")
    async def rename_customer(self, info: Info, name: OtherName, customer_id: CustomerId = None) -> RenameResult | None:
        info.context.require("admin")
        data = await info.context.data_of(customer_id)
        administration = await info.context.administration_of(data.customer_id)
        rename = info.context.services.metadata.customers.rename
        try:
            row = await administration.act(rename, data.customer_id, name)
        except ValueError as error:
            return _not_accepted(error)
        return CustomerRenamed(customer=from_record(Customer, row))


def _not_accepted(error: ValueError) -> CustomerNotAccepted:
    return CustomerNotAccepted(code="CUSTOMER_NOT_ACCEPTED", message=str(error), remedy="Use another id or name.")
