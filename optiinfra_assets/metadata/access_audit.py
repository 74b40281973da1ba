"""The audit log of changes to customers, rates, tokens, views, budgets and alerts, and of sign-ins. PostgreSQL refuses to change its lines.

Each statement that changes one of them, or opens or ends a session, also writes the log line, so that there is none without one.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, Literal

from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.metadata.tokens import Principal, Role

AccessAction = Literal[
    "create_customer",
    "rename_customer",
    "create_token",
    "revoke_token",
    "sign_in",
    "refuse_sign_in",
    "sign_out",
    "save_view",
    "remove_view",
    "set_rate",
    "remove_rate",
    "set_rate_method",
    "record_invoice",
    "save_alert_rule",
    "mute_alert_rule",
    "remove_alert_rule",
    "add_alert_channel",
    "remove_alert_channel",
    "resend_alert",
    "save_budget",
    "remove_budget",
    "set_forecast_override",
    "remove_forecast_override",
]
SignInBy = Literal["token", "link", "OpenID Connect"]
UNKNOWN: Final = "unknown"
"""Who was refused, if no token of ours was named."""


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One line of the log. Times are UTC.

    Attributes:
        id: increases with every line; the cursor of pages.
        actor: who did it: the id of a token, a part of the platform, or `UNKNOWN`.
        origin: from where: the address of a request, or a process.
        customer_id: the customer concerned; None: a token for all customers.
        token_id: the token issued, revoked, or signed in with; None for a change to a customer or a view, or if it is not known.
        role: role of the token.
        name: name of the customer, the token, the view, the budget, or the rule or channel of alerts, or the month and currencies of a
            rate, or the month of which somebody expects something; empty if the token is not known.
        detail: for a rename, or a view or rule that was replaced, the previous name, and so of a rate; for alerts, until when a rule is
            muted, the kind of a channel, the id of a message; for a budget, its amount and cadence; for a month, what is expected of it,
            or by whom it was; for a sign-in, by what (a token, a link, OpenID Connect), or how many
            more were refused.
    """

    id: int
    at: datetime
    actor: str
    origin: str
    action: AccessAction
    customer_id: str | None
    token_id: str | None
    role: Role | None
    name: str
    detail: str | None


class AccessAuditRepository(Repository):
    """Reads the audit log, and writes the lines of what changed nothing: refused sign-ins."""

    def find(self, *, first: int = 50, before: int | None = None, customer_id: str | None = None) -> list[AccessEntry]:
        """Return at most `first` lines, newest first, with an id below `before`; of one customer if `customer_id` is given."""
        values = {"first": first, "before": before, "customer_id": customer_id}
        return [AccessEntry(**row) for row in self._database.rows("access_audit.sql", values)]

    def presented(self, how: SignInBy, secret: str) -> Principal | None:
        """Return the token that a refused `secret` is of, or is a link for, whether revoked or expired; None: none of ours."""
        secret_hash = hashlib.sha256(secret.encode(errors="replace")).digest()
        row = self._database.row("presented_token.sql", {"how": how, "secret_hash": secret_hash})
        return Principal(**row) if row else None

    def refuse_sign_in(self, principal: Principal | None, origin: str, detail: str) -> None:
        """Write that sign-ins were refused.

        Args:
            principal: the token that was named; None: none of ours.
            origin: address of the client.
            detail: how it was tried, or how often more.
        """
        values = {"token_id": None, "name": "", "customer_id": None, "role": None} | (
            asdict(principal) if principal else {}
        )
        actor = principal.token_id if principal else UNKNOWN
        self._database.rows("refuse_sign_in.sql", {**values, "actor": actor, "origin": origin, "detail": detail})
