"""The tools for anomalies: checked arguments in -> a document of ours -> JSON text out."""

from __future__ import annotations

from typing import Any, Final

from optiinfra_api.mcp import answers
from optiinfra_api.mcp.arguments import AnomaliesAsked, AnomalyAsked, AnomalyFeedbackAsked
from optiinfra_api.mcp.caller import Caller, ToolFailed

_LIST: Final = """query McpAnomalies($customer: String, $filter: AnomalyFilterInput, $asOf: DateTime) {
  anomalies(customerId: $customer, first: 1000, filter: $filter, asOf: $asOf) {
    judgedAt dataThrough isSimulated pageInfo { hasNextPage }
    nodes {
      anomalyId account service kind firstDay lastDay excessPercent state excess { amount currency } projectedImpact { amount }
    }
  }
}"""
_CHANGES: Final = "value excess price usage new gone"
_ONE: Final = f"""query McpAnomaly($customer: String, $anomaly: String!, $asOf: DateTime, $tag: String) {{
  anomaly(customerId: $customer, anomalyId: $anomaly, asOf: $asOf, groupByTag: $tag) {{
    sentence kind state isSimulated projectedImpact {{ amount currency }} history {{ state setAt authorName until upTo note }}
    causes {{
      dimension explained path {{ dimension share contribution {{ value }} }} total {{ {_CHANGES} }}
      contributors {{ {_CHANGES} }} others {{ {_CHANGES} }}
      byDimension {{ dimension contributors {{ {_CHANGES} }} others {{ {_CHANGES} }} }}
    }}
  }}
}}"""
_SAY: Final = """mutation McpAnomalyState(
  $customer: String, $anomaly: String!, $state: AnomalyState!, $until: Date, $upTo: Decimal, $note: String!
) {
  setAnomalyState(customerId: $customer, anomalyId: $anomaly, state: $state, until: $until, upTo: $upTo, note: $note) {
    ... on AnomalyStateSet { anomaly { anomalyId state sentence } } ... on Refusal { message remedy }
  }
}"""
_COLUMNS: Final = ("anomalyId", "account", "service", "kind", "firstDay", "lastDay", "excessPercent", "state")


async def list_anomalies(caller: Caller, asked: AnomaliesAsked) -> str:
    """The anomalies, the latest first."""
    chosen = asked.model_dump(mode="json", by_alias=True, include={"account", "service", "state", "start"})
    variables = {
        "customer": asked.customer,
        "filter": {**chosen, "folded": bool(asked.service)},
        "asOf": asked.as_of and asked.as_of.isoformat(),
    }
    found = (await caller.ask(_LIST, variables))["anomalies"]
    rows: list[list[Any]] = [
        [
            *(one[name] for name in _COLUMNS),
            *(one["excess"]["amount"], one["projectedImpact"]["amount"], one["excess"]["currency"]),
        ]
        for one in found["nodes"]
    ]
    head = {name: found[name] for name in ("judgedAt", "dataThrough", "isSimulated")}
    columns = (*_COLUMNS, "excess", "projectedByEndOfMonth", "currency")
    has_more = found["pageInfo"]["hasNextPage"]
    return answers.table(head, columns, rows, limit=asked.limit, skip=asked.skip, has_more=has_more)


async def explain_anomaly(caller: Caller, asked: AnomalyAsked) -> str:
    """Where an anomaly comes from, and what people said of it."""
    variables = {
        "customer": asked.customer,
        "anomaly": asked.anomaly_id,
        "asOf": asked.as_of and asked.as_of.isoformat(),
        "tag": asked.group_by_tag,
    }
    one = (await caller.ask(_ONE, variables))["anomaly"]
    if one is None:
        raise ToolFailed(f"anomaly: {asked.anomaly_id!r} does not exist. Use an anomalyId that list_anomalies shows.")
    causes = one.pop("causes")
    head = {**one, "path": causes["path"], "tellsMost": causes["dimension"], "explained": causes["explained"]}
    lines = [
        {**line, "dimension": of["dimension"]}
        for of in causes["byDimension"] or [causes]
        for line in (*of["contributors"], {**of["others"], "value": "(others)"})
    ]
    lines.append({**causes["total"], "dimension": "(all)", "value": "(all)"})
    columns = ("dimension", *_CHANGES.split())
    rows = [[line[name] for name in columns] for line in lines]
    return answers.table(head, columns, rows, limit=len(rows))


async def judge_anomaly(caller: Caller, asked: AnomalyFeedbackAsked) -> str:
    """The anomaly with what was said of it."""
    sent = asked.model_dump(mode="json", by_alias=True, include={"state", "until", "up_to", "note"})
    variables = {"customer": asked.customer, "anomaly": asked.anomaly_id, **sent}
    found = (await caller.ask(_SAY, variables))["setAnomalyState"]
    if "anomaly" not in found:
        raise ToolFailed(f"{found['message']}. {found['remedy']}")
    return answers.document({"said": found["anomaly"]})
