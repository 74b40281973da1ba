"""alertRules, alertChannels, alertDeliveries, and the mutations of rules and messages: what is watched for, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import strawberry

from optiinfra_api.access.administration import Administration
from optiinfra_api.access.context import Info
from optiinfra_api.fields.alerts.alert_types import (
    AlertChannel,
    AlertChannels,
    AlertDeliveries,
    AlertDelivery,
    AlertDigest,
    AlertNotAccepted,
    AlertNotFound,
    AlertRule,
    AlertRules,
    AlertState,
    rule_kinds,
)
from optiinfra_api.fields.arguments import After, CustomerId, First
from optiinfra_api.fields.pagination import check_first, cut, decode, from_micros, to_micros
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.reading.cost_query import digest
from optiinfra_assets.database.errors import AlreadyExists, RecordNotFound
from optiinfra_assets.domain.alert_times import Timing
from optiinfra_assets.metadata.alerts import WantedRule

LONGEST_MUTE: Final = timedelta(days=3660)


@strawberry.input(description="A number of a rule.")
class AlertOptionInput:
    name: str = strawberry.field(description="Which one, as `alertRules` shows in `kinds`.")
    value: str = strawberry.field(description="What it is to be: a number.")


@strawberry.input(description="When a rule tells; hours and days are those of its time zone.")
class AlertTimingInput:
    digest: AlertDigest = strawberry.field(default=AlertDigest.NONE, description="Whether messages are gathered.")
    digest_hour: int = strawberry.field(default=8, description="Hour of digests, 0 to 23.")
    digest_weekday: int = strawberry.field(default=1, description="Day of weekly digests, 1 (Monday) to 7.")
    quiet_from: int | None = strawberry.field(
        default=None, description="Hour from which nothing is sent. Default: no quiet hours."
    )
    quiet_until: int | None = strawberry.field(default=None, description="Hour from which it is sent again.")
    timezone: str = strawberry.field(default="UTC", description="Name of the time zone, such as Europe/Berlin.")

    def parsed(self) -> Timing:
        """The timing. Raises ValueError if a value is not accepted."""
        return Timing(
            digest=self.digest.value,  # type: ignore[arg-type] # checked there
            digest_hour=self.digest_hour,
            digest_weekday=self.digest_weekday,
            quiet_from=self.quiet_from,
            quiet_until=self.quiet_until,
            timezone=self.timezone,
        )


@strawberry.input(description="A rule.")
class AlertRuleInput:
    kind: str = strawberry.field(description="What it watches for, as `alertRules` shows in `kinds`.")
    name: str = strawberry.field(description="What it is called, at most 100 characters.")
    channels: list[str] = strawberry.field(description="Ids of channels, at least one.")
    options: list[AlertOptionInput] = strawberry.field(
        default_factory=list, description="Its numbers. Default: those of its kind."
    )
    accounts: list[str] = strawberry.field(default_factory=list, description="Only these account ids. Default: all.")
    timing: AlertTimingInput | None = strawberry.field(default=None, description="When it tells. Default: at once.")
    services: list[str] = strawberry.field(
        default_factory=list, description="For kinds that have it: only these services. Default: all."
    )
    budgets: list[str] = strawberry.field(
        default_factory=list, description="For kinds that have it: only these ids of budgets. Default: all."
    )

    def parsed(self) -> WantedRule:
        """The rule. Raises ValueError if a value is not accepted."""
        options = {one.name: one.value for one in self.options}
        timing = self.timing.parsed() if self.timing else Timing()
        return WantedRule(
            self.kind, self.name, self.channels, options, self.accounts, timing, self.services, self.budgets
        )


@strawberry.type(description="The rule is stored.")
class AlertRuleSaved:
    rule: AlertRule = strawberry.field(description="As it is now.")


@strawberry.type(description="The rule watches for nothing any more; what waited of it is given up.")
class AlertRuleRemoved:
    rule: AlertRule = strawberry.field(description="As it was.")


@strawberry.type(description="The message is tried again for a day, with the same id.")
class AlertResent:
    delivery: AlertDelivery = strawberry.field(description="As it is now.")


SaveResult = Annotated[
    AlertRuleSaved | AlertNotFound | AlertNotAccepted,
    strawberry.union("SaveAlertRuleResult", description="The rule, or why it is not stored."),
]
RemoveResult = Annotated[
    AlertRuleRemoved | AlertNotFound,
    strawberry.union("RemoveAlertRuleResult", description="What the rule was, or that there is none."),
]
ResendResult = Annotated[
    AlertResent | AlertNotFound,
    strawberry.union("ResendAlertResult", description="The message, or that there is none that was given up."),
]
RuleId = Annotated[str, strawberry.argument(description="As `alertRules` shows it.")]
ReplacedId = Annotated[
    str | None,
    strawberry.argument(description="The rule to replace, whose kind stays. Default: a new one."),
]
Rule = Annotated[AlertRuleInput, strawberry.argument(description="The rule.")]
Until = Annotated[
    datetime | None, strawberry.argument(description="Until when it tells nothing. Default: it tells again.")
]
DeliveryId = Annotated[str, strawberry.argument(description="As `alertDeliveries` shows it.")]
ByState = Annotated[AlertState | None, strawberry.argument(description="Only messages in this state. Default: all.")]


@strawberry.type
class AlertsQuery:
    @resolved("What is watched for, for this customer, and who is told.")
    async def alert_rules(self, info: Info, customer_id: CustomerId = None) -> AlertRules | None:
        data = await info.context.data_of(customer_id)
        found = await data.read(data.services.metadata.alerts.rules)
        return AlertRules(nodes=[AlertRule.of(one) for one in found], kinds=rule_kinds())

    @resolved("The channels by which this customer is told, without their secrets.")
    async def alert_channels(self, info: Info, customer_id: CustomerId = None) -> AlertChannels | None:
        data = await info.context.data_of(customer_id)
        found = await data.read(data.services.metadata.alerts.channels)
        return AlertChannels(nodes=[AlertChannel.of(one) for one in found])

    @resolved("The messages of this customer's rules, newest first, in pages.")
    async def alert_deliveries(
        self, info: Info, first: First, after: After = None, state: ByState = None, customer_id: CustomerId = None
    ) -> AlertDeliveries | None:
        check_first(first)
        data = await info.context.data_of(customer_id)
        asked = digest("alert deliveries", data.customer_id, state and state.value)
        before = None
        if after is not None:
            micros, delivery_id = decode(after, asked, (int, str)).position
            before = (from_micros(micros), delivery_id)
        find = data.services.metadata.alert_outbox.deliveries
        rows = await data.read(find, first=first + 1, before=before, state=state and state.value)
        shown, page_info = cut(asked, rows, first, lambda row: (to_micros(row.created_at), row.delivery_id))
        return AlertDeliveries(nodes=[AlertDelivery.of(one) for one in shown], page_info=page_info)


@strawberry.type
class AlertsMutation:
    @resolved("Store a rule; for operators and administrators.")
    async def save_alert_rule(
        self, info: Info, rule: Rule, rule_id: ReplacedId = None, customer_id: CustomerId = None
    ) -> SaveResult | None:
        operator = await _operator(info, customer_id)
        save = info.context.services.metadata.alerts.save_rule
        try:
            wanted = rule.parsed()
            saved = await operator.act(save, wanted, datetime.now(UTC), rule_id, customer_id=operator.customer_id)
        except (ValueError, AlreadyExists, RecordNotFound) as error:
            return refusal(error)
        return AlertRuleSaved(rule=AlertRule.of(saved))

    @resolved("Mute a rule, or let it tell again; for operators and administrators.")
    async def mute_alert_rule(
        self, info: Info, rule_id: RuleId, until: Until = None, customer_id: CustomerId = None
    ) -> SaveResult | None:
        operator = await _operator(info, customer_id)
        mute = info.context.services.metadata.alerts.mute_rule
        try:
            muted = await operator.act(mute, rule_id, _checked_end(until), customer_id=operator.customer_id)
        except (ValueError, RecordNotFound) as error:
            return refusal(error)
        return AlertRuleSaved(rule=AlertRule.of(muted))

    @resolved("Remove a rule; for operators and administrators.")
    async def remove_alert_rule(
        self, info: Info, rule_id: RuleId, customer_id: CustomerId = None
    ) -> RemoveResult | None:
        operator = await _operator(info, customer_id)
        remove = info.context.services.metadata.alerts.remove_rule
        try:
            removed = await operator.act(remove, rule_id, customer_id=operator.customer_id)
        except RecordNotFound as error:
            return not_found(error)
        return AlertRuleRemoved(rule=AlertRule.of(removed))

    @resolved("Send a message again that was given up; for operators and administrators.")
    async def resend_alert(
        self, info: Info, delivery_id: DeliveryId, customer_id: CustomerId = None
    ) -> ResendResult | None:
        operator = await _operator(info, customer_id)
        resend = info.context.services.metadata.alert_outbox.resend
        try:
            found = await operator.act(resend, delivery_id, datetime.now(UTC), customer_id=operator.customer_id)
        except RecordNotFound as error:
            return not_found(error)
        return AlertResent(delivery=AlertDelivery.of(found))


async def _operator(info: Info, customer_id: str | None) -> Administration:
    """What an operator may do for one customer, named in the audit log."""
    info.context.require("operator")
    return await info.context.administration_of((await info.context.data_of(customer_id)).customer_id)


def _checked_end(until: datetime | None) -> datetime | None:
    now = datetime.now(UTC)
    if until is None:
        return None
    if until.tzinfo is None or not now < until <= now + LONGEST_MUTE:
        raise ValueError("until: is not accepted: use an instant with a time zone, within ten years from now")
    return until


def refusal(error: Exception) -> AlertNotFound | AlertNotAccepted:
    """Why nothing was stored."""
    if isinstance(error, RecordNotFound):
        return not_found(error)
    return AlertNotAccepted(code="ALERT_NOT_ACCEPTED", message=str(error), remedy="Change what the message names.")


def not_found(error: RecordNotFound) -> AlertNotFound:
    """That there is no such thing."""
    remedy = "Use what alertRules, alertChannels, alertDeliveries, accounts and budgets show."
    return AlertNotFound(code="ALERT_NOT_FOUND", message=str(error), remedy=remedy)
