"""The pages of anomalies: what is odd, the latest first; and one of them with its band, its causes and what to say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from optiinfra_api.web.sign_in import read_form, redirect
from optiinfra_api.web.visit import Visit
from optiinfra_assets.domain.anomalies import AnomalyStatus

STATES: Final = {one.name: one.value.capitalize() for one in AnomalyStatus}
_PAGE: Final = 50
_FIELDS: Final = """anomalyId provider account service kind firstDay lastDay oddDays excessPercent state sentence isSimulated foundAt
  excess { amount currency } expected { amount } cost { amount } projectedImpact { amount currency }"""
_AMOUNTS: Final = "value expected cost excess price usage new gone"
LIST: Final = f"""query Anomalies($customer: String, $first: Int!, $after: String, $filter: AnomalyFilterInput) {{
  anomalies(customerId: $customer, first: $first, after: $after, filter: $filter) {{
    judgedAt dataThrough isSimulated pageInfo {{ hasNextPage endCursor }} nodes {{ {_FIELDS} }}
  }}
  anomalyMeasures(customerId: $customer, filter: $filter) {{
    count hoursToAcknowledge hoursToResolve excess {{ amount currency }} byState {{ state count }}
  }}
}}"""
ONE: Final = f"""query Anomaly($customer: String, $id: String!, $tag: String) {{
  anomaly(customerId: $customer, anomalyId: $id, groupByTag: $tag) {{
    {_FIELDS} folded {{ anomalyId service excess {{ amount currency }} }}
    history {{ state setAt authorName until upTo note }} band {{ dates cost expected lower upper odd }}
    causes {{
      dimension explained total {{ {_AMOUNTS} }} others {{ {_AMOUNTS} }} contributors {{ {_AMOUNTS} }}
      path {{ dimension share contribution {{ value excess }} }}
      byDimension {{ dimension explained total {{ {_AMOUNTS} }} others {{ {_AMOUNTS} }} contributors {{ {_AMOUNTS} }} }}
    }}
  }}
}}"""
SAY: Final = """mutation SayOfAnomaly(
  $customer: String, $id: String!, $state: AnomalyState!, $until: Date, $upTo: Decimal, $note: String!
) {
  setAnomalyState(customerId: $customer, anomalyId: $id, state: $state, until: $until, upTo: $upTo, note: $note) {
    ... on AnomalyStateSet { anomaly { anomalyId } } ... on Refusal { message remedy }
  }
}"""


async def show(visit: Visit) -> Response:
    """Answer the list."""
    if visit.customer_id is None:
        return visit.shown("no_customer", "Anomalies")
    given = visit.request.query_params
    state = given.get("state") if given.get("state") in STATES else ""
    asked = {"first": _PAGE, "after": given.get("after") or None, "filter": {"state": [state]} if state else None}
    answer = await visit.ask(LIST, customer=visit.customer_id, **asked)
    nothing: dict[str, Any] = {
        "nodes": [],
        "pageInfo": {"hasNextPage": False},
        "judgedAt": None,
        "dataThrough": None,
        "isSimulated": False,
    }
    found = answer.get("anomalies") or nothing
    more = found["pageInfo"]
    kept = {"state": state} if state else {}
    return visit.shown(
        "anomalies",
        "Anomalies",
        found=found,
        measures=answer.get("anomalyMeasures"),
        rows=[(one, visit.link("/anomalies/anomaly", id=one["anomalyId"])) for one in found["nodes"]],
        chosen=state,
        states=STATES,
        hidden=visit.fields({}),
        next=visit.link("/anomalies", **kept, after=more["endCursor"]) if more["hasNextPage"] else None,
    )


async def show_one(visit: Visit, *, is_refused: bool = False) -> Response:
    """Answer one anomaly; after what was sent of it is refused, with that status."""
    if visit.customer_id is None:
        return visit.shown("no_customer", "Anomalies")
    given = visit.request.query_params
    named, tag = given.get("id", ""), given.get("tag", "")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_refused else HTTPStatus.OK
    one = (await visit.ask(ONE, customer=visit.customer_id, id=named, tag=tag or None)).get("anomaly")
    if one is None:
        unknown = status if visit.problems else HTTPStatus.NOT_FOUND
        return visit.shown("no_anomaly", "No such anomaly", unknown, anomaly=named)
    band = one["band"]
    days = list(zip(*(band[name] for name in ("dates", "cost", "expected", "lower", "upper", "odd")), strict=True))
    causes = one["causes"]
    by = "tag" if tag else given.get("by") or causes["dimension"]
    return visit.shown(
        "anomaly",
        one["service"] or f"All of {one['account']}",
        status,
        one=one,
        drawn=drawn(band),
        days=days[::-1],
        causes=next((of for of in causes["byDimension"] if of["dimension"] == by), causes),
        dimensions=[
            (name, visit.link("/anomalies/anomaly", id=named, by=name))
            for of in causes["byDimension"]
            if (name := of["dimension"]) != "tag"
        ],
        by=by,
        tag=tag,
        hidden=visit.fields({"id": named}),
        states=STATES,
        can_say=visit.role != "viewer" and not visit.is_read_only,
        folded=[(child, visit.link("/anomalies/anomaly", id=child["anomalyId"])) for child in one["folded"]],
        explored=visit.link(
            "/explore", account=one["account"], **({"service": one["service"]} if one["service"] else {})
        ),
        action=visit.link("/anomalies/anomaly", id=named),
    )


async def say(visit: Visit) -> Response:
    """Store what the form says of an anomaly, and answer it again."""
    named = visit.request.query_params.get("id", "")
    sent = await read_form(visit.request)
    asked = {
        "id": named,
        "state": sent.get("state", ""),
        "until": sent.get("until") or None,
        "upTo": sent.get("upTo") or None,
        "note": sent.get("note", ""),
    }
    answer: dict[str, Any] = (await visit.ask(SAY, customer=visit.customer_id, **asked)).get("setAnomalyState") or {}
    if "anomaly" in answer:
        return redirect(visit.link("/anomalies/anomaly", id=named))
    if answer:
        visit.problems.append(answer)
    return await show_one(visit, is_refused=True)


@dataclass(frozen=True)
class DrawnBand:
    """A band as shapes of a picture of `WIDTH` by `HEIGHT`: drawn here, so that it needs no script.

    Attributes:
        band: the points of the area between lower and upper ends.
        expected: the points of the line of what was expected.
        bars: x, y, width and height of what each day cost, whether it is odd, and what to say of it.
        most: the amount at the top.
    """

    WIDTH = 720
    HEIGHT = 220

    band: str
    expected: str
    bars: Sequence[tuple[float, float, float, float, bool, str]]
    most: Decimal


def drawn(band: Mapping[str, Any]) -> DrawnBand | None:
    """Return a band as it is drawn; None if there is no day."""
    names = ("cost", "expected", "lower", "upper")
    cost, expected, lower, upper = ([max(float(one), 0.0) for one in band[name]] for name in names)
    if not cost:
        return None
    most = max(*cost, *upper, 1e-9)
    step = DrawnBand.WIDTH / len(cost)

    def points(values: Sequence[float], *, is_back: bool = False) -> list[str]:
        placed = [f"{(place + 0.5) * step:.1f},{_y(value, most):.1f}" for place, value in enumerate(values)]
        return placed[::-1] if is_back else placed

    known = [place for place, value in enumerate(upper) if value]
    first = known[0] if known else len(cost)
    ends = points(upper)[first:] + points(lower, is_back=True)[: len(cost) - first]
    days = zip(band["dates"], band["cost"], band["odd"], cost, strict=True)
    bars = [
        (
            place * step + step * 0.18,
            _y(value, most),
            step * 0.64,
            DrawnBand.HEIGHT - _y(value, most),
            is_odd,
            f"{day}: {text}",
        )
        for place, (day, text, is_odd, value) in enumerate(days)
    ]
    return DrawnBand(" ".join(ends), " ".join(points(expected)[first:]), bars, Decimal(f"{most:.2f}"))


def _y(value: float, most: float) -> float:
    return DrawnBand.HEIGHT * (1 - value / most)
