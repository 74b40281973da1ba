"""accessAuditLog: who created, renamed or revoked which customer, token, view or budget, or signed in, when, and where from."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.administration.tokens import OfCustomer, TokenRole
from optiinfra_api.fields.arguments import After, First
from optiinfra_api.fields.from_record import from_record
from optiinfra_api.fields.pagination import PageInfo, check_first, cut, decode
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import Count
from optiinfra_api.reading.cost_query import digest


@strawberry.enum(description="What was done.")
class AccessAction(Enum):
    CREATE_CUSTOMER = described("create_customer", "A customer was added.")
    RENAME_CUSTOMER = described("rename_customer", "A customer has another name.")
    CREATE_TOKEN = described("create_token", "A token was made.")
    REVOKE_TOKEN = described("revoke_token", "A token is refused from then on.")
    SIGN_IN = described("sign_in", "A browser was signed in at a web interface.")
    REFUSE_SIGN_IN = described("refuse_sign_in", "A browser was refused at a web interface.")
    SIGN_OUT = described("sign_out", "A browser signed out.")
    SAVE_VIEW = described("save_view", "A view was saved, new or in the place of another.")
    REMOVE_VIEW = described("remove_view", "A saved view was removed.")
    SET_RATE = described("set_rate", "A customer's own rate between two currencies was set for a month.")
    REMOVE_RATE = described("remove_rate", "A customer's own rate for a month was removed.")
    SET_RATE_METHOD = described("set_rate_method", "Which rates convert a customer's costs was changed.")
    RECORD_INVOICE = described("record_invoice", "Somebody recorded an invoice.")
    SAVE_ALERT_RULE = described("save_alert_rule", "A rule of alerts was saved, new or in the place of another.")
    MUTE_ALERT_RULE = described("mute_alert_rule", "A rule of alerts was muted, or tells again.")
    REMOVE_ALERT_RULE = described("remove_alert_rule", "A rule of alerts was removed.")
    ADD_ALERT_CHANNEL = described("add_alert_channel", "A channel of alerts was added.")
    REMOVE_ALERT_CHANNEL = described("remove_alert_channel", "A channel of alerts was removed.")
    RESEND_ALERT = described("resend_alert", "A message that was given up is sent again.")
    SAVE_BUDGET = described("save_budget", "A budget was made or changed.")
    REMOVE_BUDGET = described("remove_budget", "A budget was removed.")
    SET_FORECAST_OVERRIDE = described(
        "set_forecast_override", "Somebody expects something else of a month than is forecast."
    )
    REMOVE_FORECAST_OVERRIDE = described(
        "remove_forecast_override", "What somebody expected of a month was taken back."
    )


@strawberry.type(
    description="One act on a customer, a saved view, a budget or alerts, or with a token. Lines are never changed or removed."
)
class AccessAuditEntry:
    id: Count = strawberry.field(description="Grows with every line.")
    at: datetime = strawberry.field(description="When.")
    actor: str = strawberry.field(
        description="Who: the id of a token, a part of the platform such as `cli`, or `unknown` for a refused sign-in."
    )
    origin: str = strawberry.field(description="From where: the address of the request, or a process.")
    action: AccessAction = strawberry.field(description="What.")
    customer_id: str | None = strawberry.field(
        description="Whose. Null: a token for all customers, or one that is not known."
    )
    token_id: str | None = strawberry.field(
        description="The token. Null: an act on a customer or a view, or a token that is not known."
    )
    role: TokenRole | None = strawberry.field(description="That of the token.")
    name: str = strawberry.field(
        description="That of the customer, the token, the view, the budget, or the rule or channel of alerts; of a rate, its month and "
        "currencies; of what is expected of a month, that month. Empty: a token that is not known."
    )
    detail: str | None = strawberry.field(
        description="For a rename, or a view or rule that was replaced, the name before, and so for a rate. For alerts, until when a rule "
        "is muted, the kind of a channel, the id of a message. For a budget, its amount and cadence; for a month, what is expected of it, "
        "or by whom it was. For a sign-in, `by token`, `by link` or "
        "`by OpenID Connect`, or how many more were refused."
    )


@strawberry.type(description="A page of the log, newest first.")
class AccessAuditLog:
    nodes: list[AccessAuditEntry] = strawberry.field(description="The lines of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.type
class AccessAuditLogQuery:
    @resolved(
        "What was done with customers, tokens, views, budgets and alerts, and who signed in, newest first, in pages; for administrators."
    )
    async def access_audit_log(
        self, info: Info, first: First, after: After = None, customer_id: OfCustomer = None
    ) -> AccessAuditLog | None:
        info.context.require("admin")
        check_first(first)
        administration = await info.context.administration_of(customer_id)
        asked = digest("access audit log", administration.customer_id)
        before = None if after is None else decode(after, asked, (int,)).position[0]
        find = info.context.services.metadata.access_audit.find
        rows = await administration.read(find, first=first + 1, before=before)
        shown, page_info = cut(asked, rows, first, lambda row: (row.id,))
        return AccessAuditLog(
            nodes=[from_record(AccessAuditEntry, row) for row in shown],
            page_info=page_info,
        )
