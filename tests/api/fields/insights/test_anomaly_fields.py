"""anomalies: found on final days alone, explained to the last digit, told once whatever is restated, and taught by what people say."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest
from alert_world import ALICE, PAGES, Receiver, hook, no_warehouse, receiving
from charges import Charge, slice_of
from world import Customer, World

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.ingestion.finding_anomalies import RefreshedAnomalies, find_anomalies
from optiinfra_assets.metadata.alerts import WantedRule
from optiinfra_assets.notifications.finding import find_occasions
from optiinfra_assets.notifications.sender import Sender

FIRST, ODD = date(2026, 1, 1), date(2026, 4, 14)
NOW = datetime(2026, 4, 21, 12, tzinfo=UTC)

FIELDS = """
    anomalyId provider account service kind firstDay lastDay oddDays excessPercent score state foldedInto foundAt isSimulated sentence
    cost { amount currency } expected { amount } excess { amount } projectedImpact { amount } said { state authorName note until upTo }
"""
AMOUNTS = "value expected cost excess price usage new gone"
LIST = f"""query Anomalies($first: Int!, $after: String, $filter: AnomalyFilterInput, $asOf: DateTime) {{
  anomalies(first: $first, after: $after, filter: $filter, asOf: $asOf) {{
    judgedAt dataThrough isSimulated pageInfo {{ hasNextPage endCursor }} nodes {{ {FIELDS} }}
  }}
}}"""
ONE = f"""query Anomaly($id: String!, $asOf: DateTime, $tag: String) {{
  anomaly(anomalyId: $id, asOf: $asOf, groupByTag: $tag) {{
    {FIELDS} folded {{ anomalyId service foldedInto }} history {{ state setAt note }}
    band {{ dates cost expected lower upper odd }}
    causes {{
      dimension explained total {{ {AMOUNTS} }} others {{ {AMOUNTS} }} contributors {{ {AMOUNTS} }}
      path {{ dimension share contribution {{ {AMOUNTS} }} }}
      byDimension {{ dimension explained total {{ {AMOUNTS} }} others {{ {AMOUNTS} }} contributors {{ {AMOUNTS} }} }}
    }}
  }}
}}"""
SAY = """mutation Say($id: String!, $state: AnomalyState!, $until: Date, $upTo: Decimal, $note: String! = "") {
  setAnomalyState(anomalyId: $id, state: $state, until: $until, upTo: $upTo, note: $note) {
    __typename ... on AnomalyStateSet { anomaly { state said { authorName until upTo } } } ... on Refusal { code message }
  }
}"""
MEASURES = """query { anomalyMeasures {
  count hoursToAcknowledge hoursToResolve excess { amount currency } projectedImpact { amount } byState { state count }
} }"""


class Costs:
    """An account with three services of daily costs, of which days are published up to `through`, and judged."""

    def __init__(self, customer: Customer) -> None:
        self.customer = customer
        self.changed: dict[tuple[date, str], Decimal] = {}
        self.price: set[date] = set()

    def charges(self, last: date) -> Iterator[Charge]:
        day = FIRST
        while day <= last:
            for number, service in enumerate(("Compute", "Storage", "Network")):
                for region in ("east", "west"):
                    usual = Decimal(40 - 10 * number) * (Decimal("0.6") if day.weekday() > 4 else 1) + Decimal(
                        (day.toordinal() * 7 + number) % 5
                    )
                    factor = self.changed.get((day, service), Decimal(1)) if region == "east" else Decimal(1)
                    yield Charge(
                        day,
                        usual * factor,
                        service=service,
                        region=region,
                        sub_account="s0",
                        sku=f"{service} hours",
                        quantity=usual if day in self.price else usual * factor,
                        unit="h",
                    )
            yield Charge(day, Decimal(1), service="Compute", category="Tax")
            if day.day == 1:
                yield Charge(day, Decimal(500), service="Compute", category="Purchase", frequency="Recurring")
            day += timedelta(days=1)

    def publish(self, last: date, now: datetime, through: date | None = None) -> RefreshedAnomalies:
        """Publish all to the day `last`, complete to `through`, and judge."""
        found = list(self.charges(last))
        slices = {
            slice_of(self.customer.customer_id, "main", BillingPeriod(2026, month)): [
                one for one in found if one.day.month == month
            ]
            for month in range(1, last.month + 1)
        }
        changes = {
            "published_at": now - timedelta(minutes=1),
            "data_through": datetime.combine((through or last) + timedelta(days=1), datetime.min.time(), UTC),
        }
        self.customer.publish_all(slices, dict.fromkeys(slices, changes))
        world = self.customer.world
        return find_anomalies(world.metadata, world.warehouse, self.customer.customer_id, now, 95)

    def told(self, **variables: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.customer.data(LIST, **{"first": 100, **variables})["anomalies"]["nodes"]
        return found

    def one(self, anomaly_id: str, **variables: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.customer.data(ONE, id=anomaly_id, **variables)["anomaly"]
        return found


@pytest.fixture
def costs(world: World) -> Costs:
    return Costs(world.customer("operator"))


def test_an_odd_day_is_told_once_with_its_band_and_causes_that_add_up(costs: Costs) -> None:
    costs.changed[ODD, "Compute"] = Decimal(5)
    judged = costs.publish(date(2026, 4, 20), NOW)
    assert (judged.series, judged.days) == (4, 62)
    (told,) = costs.told()
    assert (told["firstDay"], told["lastDay"], told["kind"], told["state"]) == (str(ODD), str(ODD), "RISE", "OPEN")
    assert told["service"] is None, "the account shows the same, so it tells it"
    one = costs.one(told["anomalyId"])
    ((child,), causes) = one["folded"], one["causes"]
    assert (child["service"], child["foldedInto"]) == ("Compute", told["anomalyId"])
    cost = sum(charge.billed for charge in costs.charges(ODD) if charge.day == ODD and charge.category == "Usage")
    assert Decimal(one["cost"]["amount"]) == cost
    excess = cost - Decimal(one["expected"]["amount"])
    assert Decimal(one["excess"]["amount"]) == excess
    for part in (causes["total"], *causes["contributors"], causes["others"]):
        assert sum(Decimal(part[name]) for name in ("price", "usage", "new", "gone")) == Decimal(part["excess"])
    assert Decimal(causes["total"]["excess"]) == excess
    path = {step["dimension"]: step["contribution"]["value"] for step in causes["path"]}
    assert path == {"service": "Compute", "sub account": "s0", "region": "east", "SKU": "Compute hours"}
    assert Decimal(causes["explained"]) >= Decimal("0.9")
    whole = causes["total"]
    assert Decimal(whole["usage"]) > 10 * abs(Decimal(whole["price"])), "more was used, at the same price"
    band = one["band"]
    place = band["dates"].index(str(ODD))
    assert [day for day, odd in zip(band["dates"], band["odd"], strict=True) if odd] == [str(ODD)]
    lower, expected, upper, came = (Decimal(band[name][place]) for name in ("lower", "expected", "upper", "cost"))
    assert lower < expected < upper < came == cost
    assert band["dates"][-1] == "2026-04-20"
    assert Decimal(one["projectedImpact"]["amount"]) == excess, "it is over"


def test_an_excess_is_told_by_resource_and_by_a_tag_of_choice(costs: Costs) -> None:
    """Of 130 machines, of which those that moved are read: two run more, one is dearer, one is new and one is gone."""
    days = [date(2026, 3, 1) + timedelta(days=back) for back in range(45)]
    odd = days[-1]
    changed = {"m3": (30, 10), "m40": (10, 10), "m41": (4, 1), "m69": (0, 0)}

    def machines(day: date) -> Iterator[Charge]:
        for number in range(131):
            name, of = f"m{number}", number % 3
            times, quantity = changed.get(name, (1, 1)) if day == odd else (1, 1)
            if (name == "m130" and day != odd) or not times:
                continue
            tags: dict[str, str | None] = {"team": "web" if name in ("m3", "m40") else "data"} if of else {}
            if name == "m5":
                tags["team"] = None
            yield Charge(
                day,
                Decimal(10 * times),
                resource=name,
                sku=f"s{of}",
                tags=tags,
                quantity=Decimal(10 * quantity),
                unit="h",
            )
        yield Charge(day, Decimal(5), service="Support (Business)", resource="m1", tags={"team": "web"})

    costs.charges = lambda last: (one for day in days if day <= last for one in machines(day))  # type: ignore[method-assign]
    costs.publish(odd, NOW)
    (told,) = costs.told(filter={"start": str(odd)})
    plain = costs.one(told["anomalyId"])["causes"]
    tagged = costs.one(told["anomalyId"], tag="team")["causes"]
    assert [one["dimension"] for one in plain["byDimension"]] == ["service", "sub account", "region", "SKU", "resource"]
    assert tagged["byDimension"][:-1] == plain["byDimension"]
    by = {one["dimension"]: one for one in tagged["byDimension"]}
    for one in by.values():
        parts = [*one["contributors"], one["others"]]
        assert Decimal(one["total"]["excess"]) == Decimal(told["excess"]["amount"])
        for name in AMOUNTS.split()[1:]:
            assert sum(Decimal(part[name]) for part in parts) == Decimal(one["total"][name])
        for part in parts:
            assert sum(Decimal(part[name]) for name in ("price", "usage", "new", "gone")) == Decimal(part["excess"])
    resources = {one["value"]: one for one in by["resource"]["contributors"]}
    assert list(resources)[:4] == ["m3", "m40", "m41", "m130"]
    assert Decimal(by["resource"]["explained"]) > 1, "what is gone is among the others"
    expected = {name: Decimal(one["expected"]) for name, one in resources.items()}
    assert all(abs(expected[name] - 10) < 1 for name in ("m3", "m40", "m41"))
    assert Decimal(resources["m41"]["price"]) > 25 > abs(Decimal(resources["m41"]["usage"]))
    assert Decimal(resources["m40"]["usage"]) > 85 > abs(Decimal(resources["m40"]["price"]))
    assert Decimal(resources["m130"]["new"]) == 10
    assert Decimal(by["resource"]["others"]["gone"]) == -expected["m41"]
    teams = {one["value"]: Decimal(one["cost"]) for one in by["tag"]["contributors"]}
    charged = defaultdict[str | None, Decimal](Decimal)
    for charge in machines(odd):
        if charge.service == "Compute":
            charged[charge.tags.get("team")] += charge.billed
    assert teams == charged
    assert next(iter(teams)) is None, "m3 has no tag"
    world = costs.customer.world
    headers, params = {"Authorization": f"Bearer {costs.customer.token}"}, {"groupByTag": "team", "start": str(odd)}
    params["end"] = str(odd + timedelta(days=1))
    answer = world.http.get(f"{world.url}/export/anomaly-causes.csv", params=params, headers=headers)
    written = [row for row in csv.DictReader(io.StringIO(answer.text)) if row["anomaly_id"] == told["anomalyId"]]
    assert [row["dimension"] for row in written if row["is_others"] == "true"] == list(by)
    for row in written:
        if row["dimension"] == "tag":
            assert row["tag_key"] == "team"
    assert {
        row["value"] or None: Decimal(row["cost"]) for row in written if row["tag_key"] and row["is_others"] == "false"
    } == teams
    nothing = costs.one(told["anomalyId"], tag="no such")["causes"]["byDimension"][-1]
    assert [(one["value"], one["excess"]) for one in nothing["contributors"]] == [(None, told["excess"]["amount"])]


def test_a_change_of_price_is_told_as_one_and_goes_on_to_the_end_of_the_month(costs: Costs) -> None:
    start = date(2026, 4, 15)
    for day in range(3):
        costs.changed[start + timedelta(days=day), "Compute"] = Decimal(4)
        costs.price.add(start + timedelta(days=day))
    costs.publish(date(2026, 4, 17), NOW)
    (told,) = costs.told()
    causes = costs.one(told["anomalyId"])["causes"]["total"]
    assert Decimal(causes["price"]) > 10 * abs(Decimal(causes["usage"]))
    excess = Decimal(told["excess"]["amount"])
    assert Decimal(told["projectedImpact"]["amount"]) > 3 * excess


def test_a_day_that_is_not_final_is_never_odd_and_days_are_told_once_when_they_are_restated(costs: Costs) -> None:
    costs.changed[ODD, "Storage"] = Decimal(6)
    early = NOW - timedelta(days=6)
    costs.publish(ODD, early, through=ODD - timedelta(days=1))
    assert costs.told() == []
    found = costs.publish(ODD, early + timedelta(hours=1))
    assert (found.days, found.found) == (1, 2)
    (told,) = costs.told(filter={"service": ["Storage"], "folded": True})
    again = costs.publish(ODD, early + timedelta(hours=2))
    assert (again.days, again.found, again.changed) == (0, 0, 0)
    # The next day is odd too; then the first is restated to nothing odd, and comes back.
    costs.changed[ODD + timedelta(days=1), "Storage"] = Decimal(6)
    later = costs.publish(ODD + timedelta(days=1), early + timedelta(days=1))
    assert later.found == 0
    (longer,) = costs.told(filter={"service": ["Storage"], "folded": True})
    assert (longer["anomalyId"], longer["oddDays"]) == (told["anomalyId"], 2)
    costs.changed.clear()
    gone = costs.publish(ODD + timedelta(days=1), early + timedelta(days=2))
    assert (gone.found, costs.told(filter={"folded": True})) == (0, [])
    costs.changed[ODD + timedelta(days=1), "Storage"] = Decimal(7)
    back = costs.publish(ODD + timedelta(days=1), early + timedelta(days=3))
    assert back.found == 0, "told before"
    (returned,) = costs.told(filter={"service": ["Storage"], "folded": True})
    assert (returned["anomalyId"], returned["foundAt"]) == (told["anomalyId"], told["foundAt"])
    as_of = costs.told(asOf=(early + timedelta(hours=3)).isoformat().replace("+00:00", "Z"), filter={"folded": True})
    assert {one["oddDays"] for one in as_of} == {1}
    assert costs.told(asOf=early.isoformat().replace("+00:00", "Z"), filter={"folded": True}) == []


def test_what_people_say_is_kept_with_who_and_when_and_teaches(costs: Costs, world: World) -> None:
    costs.changed[ODD, "Compute"] = Decimal(5)
    costs.publish(ODD, NOW - timedelta(days=6))
    (told,) = costs.told()
    viewer = world.metadata.tokens.issue("looks", costs.customer.customer_id, "viewer").plaintext
    (refused,) = world.answer(SAY, viewer, id=told["anomalyId"], state="FIXED")["errors"]
    assert "this needs operator" in refused["message"]

    def say(**variables: Any) -> dict[str, Any]:
        found: dict[str, Any] = costs.customer.data(SAY, id=told["anomalyId"], **variables)["setAnomalyState"]
        return found

    assert say(state="FIXED", until="2026-05-01")["code"] == "ANOMALY_STATE_NOT_ACCEPTED"
    assert costs.customer.data(SAY, id="0" * 16, state="FIXED")["setAnomalyState"]["code"] == "ANOMALY_NOT_FOUND"
    assert say(state="ACKNOWLEDGED", note="looking")["anomaly"]["state"] == "ACKNOWLEDGED"
    planned = say(state="PLANNED", until="2026-04-17", upTo="1000")
    assert planned["anomaly"]["said"] == {"authorName": "test", "until": "2026-04-17", "upTo": "1000"}
    assert [one["state"] for one in costs.one(told["anomalyId"])["history"]] == ["ACKNOWLEDGED", "PLANNED"]
    (measured,) = costs.customer.data(MEASURES).values()
    assert (measured["count"], measured["byState"]) == (1, [{"state": "PLANNED", "count": 1}])
    assert measured["excess"] == [{"amount": told["excess"]["amount"], "currency": "USD"}]
    assert Decimal(measured["hoursToAcknowledge"]) > 0
    assert Decimal(measured["hoursToResolve"]) >= Decimal(measured["hoursToAcknowledge"])
    # The plan covers the 16th, not the 19th.
    costs.changed[date(2026, 4, 16), "Compute"] = Decimal(5)
    costs.changed[date(2026, 4, 19), "Compute"] = Decimal(8)
    costs.publish(date(2026, 4, 20), NOW)
    now, planned = costs.told()
    assert (planned["anomalyId"], planned["state"], planned["oddDays"]) == (told["anomalyId"], "PLANNED", 1)
    assert (now["firstDay"], now["lastDay"], now["state"]) == ("2026-04-19", "2026-04-19", "OPEN")


def test_each_answer_teaches_what_it_says_and_what_goes_beyond_it_is_told_again(costs: Costs) -> None:
    """Planned up to an amount, expected from now, false and fixed, of a service each; then more of the same, and more than that."""
    days = [date(2026, 2, 20) + timedelta(days=back) for back in range(60)]
    answers = {"Planned": {"upTo": "700"}, "Expected": {}, "False": {}, "Fixed": {}, "Acknowledged": {}}
    times = {(service, day): 5 for service in answers for day in (14, 17)} | {
        ("Expected", day): 5 for day in range(14, 19)
    }
    times |= {("Planned", 19): 15, ("Expected", 19): 40, ("Acknowledged", 19): 5}
    restated: dict[str, int] = {}

    def charges(last: date) -> Iterator[Charge]:
        for day in (one for one in days if one <= last):
            for number, service in enumerate(answers):
                usual = 100 + (day.toordinal() * 7 + number) % 5
                at = (service, day.day if day.month == 4 else 0)
                yield Charge(
                    day, Decimal(usual * times.get(at, 1) + restated.get(service, 0) * (day == ODD)), service=service
                )

    def told() -> dict[str, list[tuple[str, str, str]]]:
        found = defaultdict(list)
        for one in costs.told(filter={"service": list(answers), "folded": True, "start": str(ODD)}):
            found[one["service"]].insert(0, (one["firstDay"][-2:], one["lastDay"][-2:], one["state"]))
        return found

    costs.charges = charges  # type: ignore[method-assign]
    costs.publish(ODD, NOW - timedelta(days=6))
    for one in costs.told(filter={"service": list(answers), "folded": True, "start": str(ODD)}):
        said = {"id": one["anomalyId"], "state": one["service"].upper(), **answers[one["service"]]}
        assert "anomaly" in costs.customer.data(SAY, **said)["setAnomalyState"]
    costs.publish(date(2026, 4, 20), NOW)
    assert told() == {
        "Planned": [("14", "14", "PLANNED"), ("19", "19", "OPEN")],
        "Expected": [("14", "14", "EXPECTED"), ("19", "19", "OPEN")],
        "False": [("14", "14", "FALSE")],
        "Fixed": [("14", "14", "FIXED"), ("17", "17", "OPEN")],
        "Acknowledged": [("14", "19", "ACKNOWLEDGED")],
    }
    before = told()
    restated["Fixed"] = restated["Acknowledged"] = 100
    again = costs.publish(date(2026, 4, 20), NOW + timedelta(hours=1))
    assert again.days == 7
    assert (again.found, told()) == (0, before)


def test_pages_follow_each_other_and_filters_narrow(costs: Costs) -> None:
    for service, day in (("Compute", 1), ("Storage", 9), ("Network", 18)):
        costs.changed[date(2026, 4, day), service] = Decimal(9)
    costs.publish(date(2026, 4, 20), NOW)
    every = costs.told(filter={"folded": True})
    assert len(every) == 6
    pages, after = [], None
    while True:
        page = costs.customer.data(LIST, first=4, after=after, filter={"folded": True})["anomalies"]
        pages += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert pages == every
    assert [one["lastDay"] for one in every] == sorted((one["lastDay"] for one in every), reverse=True)
    for filter_, days in (
        ({"start": "2026-04-09"}, ["2026-04-18", "2026-04-09"]),
        ({"end": "2026-04-09"}, ["2026-04-01"]),
        ({"service": ["Storage"], "folded": True}, ["2026-04-09"]),
        ({"leastExcess": "100000"}, []),
        ({"state": ["FIXED"]}, []),
        ({"kind": ["DROP"]}, []),
        ({"account": ["nobody"]}, []),
        ({"currency": "EUR"}, []),
    ):
        assert [one["lastDay"] for one in costs.told(filter=filter_)] == days, filter_
    told, world = costs.told(), costs.customer.world
    headers = {"Authorization": f"Bearer {costs.customer.token}"}
    written = world.http.get(f"{world.url}/export/anomalies.csv", headers=headers)
    rows = list(csv.DictReader(io.StringIO(written.text)))
    assert [(row["anomaly_id"], Decimal(row["excess"]), row["state"]) for row in rows] == [
        (one["anomalyId"], Decimal(one["excess"]["amount"]), "open") for one in told
    ]
    params = {"start": "2026-04-09", "end": "2026-04-10"}
    parquet = world.http.get(f"{world.url}/export/anomalies.parquet", params=params, headers=headers)
    assert pq.read_table(io.BytesIO(parquet.content))["anomaly_id"].to_pylist() == [told[1]["anomalyId"]]
    error = costs.customer.error(LIST, first=4, after=after, filter={"folded": False})
    assert "after" in error["message"]
    assert "leastExcess" in costs.customer.error(LIST, first=4, filter={"leastExcess": "much"})["message"]


@pytest.fixture
def receiver(costs: Costs) -> Iterator[Receiver]:
    """Takes what is told to the customer."""
    with receiving() as opened:
        hook(costs.customer.world.metadata, opened.url, customer_id=costs.customer.customer_id)
        yield opened


def watch(costs: Costs, name: str, **wanted: Any) -> None:
    """A rule on anomalies that tells by the one channel."""
    alerts, customer_id = costs.customer.world.metadata.alerts, costs.customer.customer_id
    (channel,) = alerts.channels(customer_id=customer_id)
    rule = WantedRule("anomaly", name, [channel.channel_id], **wanted)
    alerts.save_rule(rule, NOW, customer_id=customer_id, actor=ALICE)


def alerted(costs: Costs, receiver: Receiver, at: datetime) -> list[dict[str, Any]]:
    """Look for occasions and send them; what comes, each with its rule."""
    metadata, known = costs.customer.world.metadata, len(receiver.got)
    find_occasions(metadata, no_warehouse, at)
    Sender(metadata, PAGES, lambda: at).run()
    return [
        {"rule": one.json["rule"]["name"], **occasion}
        for one in receiver.got[known:]
        for occasion in one.json["occasions"]
    ]


def test_rules_tell_of_recent_anomalies_that_are_large_enough_each_once(costs: Costs, receiver: Receiver) -> None:
    """The first look at a customer finds old anomalies too, and a restated day is judged anew: nobody is told of those."""
    last = date(2026, 4, 20)
    costs.changed |= {(date(2026, 3, 10), "Compute"): Decimal(6), (last, "Compute"): Decimal(5)}
    watch(costs, "all")
    watch(costs, "large", options={"amount": 100_000})
    watch(costs, "share", options={"percent": 20, "amount": "20.5"})
    watch(costs, "storage", services=["Storage"])
    watch(costs, "compute", services=["Compute"])
    assert alerted(costs, receiver, NOW) == [], "nothing is judged yet"
    costs.publish(last, NOW)
    assert len(costs.told()) == 2
    found = {one["rule"]: one for one in alerted(costs, receiver, NOW)}
    assert found.keys() == {"all", "share", "compute"}
    (shown,) = [one for one in costs.told() if one["lastDay"] == str(last)]
    figures = {one["name"]: (one["amount"], one["currency"]) for one in found["all"]["figures"]}
    names = {"cost": "cost", "expected": "expected", "excess": "excess", "projected": "projectedImpact"}
    assert figures == {name: (shown[of]["amount"], "USD") for name, of in names.items()}
    assert found["all"]["link"] == f"{PAGES}/anomalies/anomaly?id={shown['anomalyId']}"
    excess = Decimal(shown["excess"]["amount"])
    assert found["all"]["title"] == f"{costs.customer.customer_id}.main: {excess:,.2f} USD more than expected"
    assert found["all"]["text"].startswith("On 2026-04-20 it cost ")
    assert found["all"]["dataThrough"] == "2026-04-21T00:00:00+00:00"
    assert "main, Compute: " in found["compute"]["title"]
    costs.changed[last, "Compute"] = Decimal(7)
    costs.publish(last, NOW + timedelta(hours=1))
    assert alerted(costs, receiver, NOW + timedelta(hours=1)) == []


@pytest.mark.parametrize(
    ("state", "is_told"), [("ACKNOWLEDGED", True), ("PLANNED", False), ("FALSE", False), ("FIXED", False)]
)
def test_what_somebody_has_an_answer_to_is_not_told(
    costs: Costs, receiver: Receiver, state: str, *, is_told: bool
) -> None:
    costs.changed[ODD, "Compute"] = Decimal(5)
    costs.publish(date(2026, 4, 15), NOW)
    (shown,) = costs.told()
    costs.customer.data(SAY, id=shown["anomalyId"], state=state)
    watch(costs, "all")
    assert bool(alerted(costs, receiver, NOW)) == is_told
