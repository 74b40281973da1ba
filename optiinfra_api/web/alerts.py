"""Alerts: the rules of a customer, the channels by which it is told, and what became of each message."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.web.sign_in import number_of, read_form, redirect
from optiinfra_api.web.visit import Visit

MOST_MESSAGES: Final = 50
PAGE: Final = """query Alerts($customer: String, $first: Int!, $after: String) {
  alertRules(customerId: $customer) {
    nodes {
      ruleId kind name options { name value } accounts services budgets channels mutedUntil checkedAt
      timing { digest digestHour digestWeekday quietFrom quietUntil timezone }
    }
    kinds { name help options { name help default } places }
  }
  budgets(customerId: $customer, first: 1000) { nodes { budgetId name } }
  alertChannels(customerId: $customer) { nodes { channelId kind name server recipients createdAt } }
  alertDeliveries(customerId: $customer, first: $first, after: $after) {
    nodes { deliveryId ruleName channelName state titles createdAt dueAt attempts sentAt error }
    pageInfo { hasNextPage endCursor }
  }
}"""
_REFUSED: Final = "... on Refusal { message remedy }"
SAVE: Final = f"""mutation SaveRule($customer: String, $rule: AlertRuleInput!) {{
  done: saveAlertRule(customerId: $customer, rule: $rule) {{ ... on AlertRuleSaved {{ rule {{ name }} }} {_REFUSED} }}
}}"""
MUTE: Final = f"""mutation Mute($customer: String, $id: String!, $until: DateTime) {{
  done: muteAlertRule(customerId: $customer, ruleId: $id, until: $until) {{ ... on AlertRuleSaved {{ rule {{ name }} }} {_REFUSED} }}
}}"""
REMOVE_RULE: Final = f"""mutation RemoveRule($customer: String, $id: String!) {{
  done: removeAlertRule(customerId: $customer, ruleId: $id) {{ ... on AlertRuleRemoved {{ rule {{ name }} }} {_REFUSED} }}
}}"""
RESEND: Final = f"""mutation Resend($customer: String, $id: String!) {{
  done: resendAlert(customerId: $customer, deliveryId: $id) {{ ... on AlertResent {{ delivery {{ state }} }} {_REFUSED} }}
}}"""
ADD: Final = f"""mutation AddChannel($customer: String, $name: String!, $channel: AlertChannelInput!) {{
  done: addAlertChannel(customerId: $customer, name: $name, channel: $channel) {{
    ... on AlertChannelAdded {{ signingKey channel {{ name }} }} {_REFUSED}
  }}
}}"""
TEST: Final = f"""mutation TestChannel($customer: String, $id: String!) {{
  done: testAlertChannel(customerId: $customer, channelId: $id) {{
    ... on AlertChannelTested {{ note channel {{ name }} }} {_REFUSED}
  }}
}}"""
REMOVE_CHANNEL: Final = f"""mutation RemoveChannel($customer: String, $id: String!) {{
  done: removeAlertChannel(customerId: $customer, channelId: $id) {{
    ... on AlertChannelRemoved {{ channel {{ name }} }} {_REFUSED}
  }}
}}"""
_BY_ID: Final[Mapping[str, str]] = {
    "remove-rule": REMOVE_RULE,
    "resend": RESEND,
    "test": TEST,
    "remove-channel": REMOVE_CHANNEL,
}
MOST_HOURS: Final = 24 * 31
"""For which a rule is muted."""
CHANNELS: Final = {"webhook": "Webhook", "slack": "Slack", "teams": "Microsoft Teams", "email": "E-mail"}


async def show(visit: Visit, made: dict[str, Any] | None = None, *, is_refused: bool = False) -> Response:
    """Answer the page; with what was just `made`, such as a signing key that is shown this once."""
    if visit.customer_id is None:
        return visit.shown("no_customer", "Alerts")
    after = visit.request.query_params.get("after") or None
    found = await visit.ask(PAGE, customer=visit.customer_id, first=MOST_MESSAGES, after=after)
    rules, channels = found.get("alertRules") or {}, found.get("alertChannels") or {}
    messages = found.get("alertDeliveries") or {}
    info = messages.get("pageInfo") or {}
    channel_nodes = channels.get("nodes", [])
    return visit.shown(
        "alerts",
        "Alerts",
        HTTPStatus.UNPROCESSABLE_ENTITY if is_refused else HTTPStatus.OK,
        rules=rules.get("nodes", []),
        kinds=rules.get("kinds", []),
        channels=channel_nodes,
        names={one["channelId"]: one["name"] for one in channel_nodes},
        budgets={one["budgetId"]: one["name"] for one in (found.get("budgets") or {}).get("nodes", [])},
        messages=messages.get("nodes", []),
        older=visit.link("/alerts", after=info["endCursor"]) if info.get("hasNextPage") else None,
        offered=CHANNELS,
        made=made,
    )


async def save(visit: Visit) -> Response:
    """Store a new rule, as the form says."""
    sent = await read_form(visit.request)
    options = {name.removeprefix("option-"): value for name, value in sent.items() if name.startswith("option-")}
    quiet = sent.get("quiet-from", "").strip(), sent.get("quiet-until", "").strip()
    timing: dict[str, Any] = {
        "digest": sent.get("digest", "NONE"),
        "timezone": sent.get("timezone", "").strip() or "UTC",
    }
    if any(quiet):
        timing |= {"quietFrom": number_of(quiet[0]), "quietUntil": number_of(quiet[1])}
    rule = {
        "kind": sent.get("kind", ""),
        "name": sent.get("name", ""),
        "channels": [name.removeprefix("channel-") for name in sent if name.startswith("channel-")],
        "options": [{"name": name, "value": value} for name, value in options.items() if value.strip()],
        "accounts": sent.get("accounts", "").replace(",", " ").split(),
        "services": [one.strip() for one in sent.get("services", "").splitlines() if one.strip()],
        "budgets": [name.removeprefix("budget-") for name in sent if name.startswith("budget-")],
        "timing": timing,
    }
    return await _done(visit, SAVE, rule=rule)


async def mute(visit: Visit) -> Response:
    """Mute a rule for some hours, or let it tell again."""
    sent = await read_form(visit.request)
    hours = number_of(sent.get("hours", ""))
    if not isinstance(hours, int) or not 0 <= hours <= MOST_HOURS:
        remedy = "Choose how long the rule is muted once more."
        visit.problems.append({"message": f"hours: use 1 to {MOST_HOURS}, or 0 to let it tell again", "remedy": remedy})
        return await show(visit, is_refused=True)
    until = (visit.now + timedelta(hours=hours)).isoformat() if hours else None
    return await _done(visit, MUTE, id=sent.get("id", ""), until=until)


async def add(visit: Visit) -> Response:
    """Add a channel, and show the key that was made for it."""
    sent = {name: value.strip() for name, value in (await read_form(visit.request)).items() if value.strip()}
    kind, name = sent.pop("kind", ""), sent.pop("name", "")
    fields: dict[str, Any] = dict(sent)
    if "port" in fields:
        fields["port"] = number_of(fields["port"])
    if kind == "email":
        fields["recipients"] = fields.get("recipients", "").replace(",", " ").split()
    return await _done(visit, ADD, name=name, channel={kind: fields})


async def act(visit: Visit) -> Response:
    """Remove a rule, send a message again, test or remove a channel: what the last part of the path says."""
    document = _BY_ID[visit.request.url.path.rpartition("/")[2]]
    return await _done(visit, document, id=(await read_form(visit.request)).get("id", ""))


async def _done(visit: Visit, document: str, **asked: Any) -> Response:
    """Change something and lead back; if it is refused, or has something to show, show the page instead."""
    found = await visit.ask(document, customer=visit.customer_id, **asked)
    answer: dict[str, Any] = found.get("done") or {}
    if "message" in answer:
        visit.problems.append({"message": answer["message"], "remedy": answer["remedy"]})
    if visit.problems:
        return await show(visit, is_refused=True)
    if document in (ADD, TEST):
        return await show(visit, {"is_tested": document == TEST, **answer})
    return redirect(visit.link("/alerts"))
