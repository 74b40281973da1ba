"""forecast: children add up to parents to the subunit whatever is asked, a person's word counts, and what was forecast stays."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from charges import Charge, slice_of
from world import Customer, World

from optiinfra_api.fields.insights import forecasting
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.ingestion.forecasting import forecast_costs
from optiinfra_assets.metadata.tokens import Principal

FIRST, THROUGH = date(2026, 1, 1), date(2026, 4, 20)
AS_OF = datetime(2026, 4, 21, 12, tzinfo=UTC)
PUBLISHED = AS_OF - timedelta(hours=6)

FIELDS = """
    provider account subAccount service region chargeCategory serviceProvider serviceCategory invoice billingPeriod sku pricingCategory
    commitment tag tags currency method reason errorPercent
    totals {
      span start end parts { part amount }
      beforeCredits { expected { amount currency } bounds { level lower upper coverage coverageOfAll } }
      afterCredits { expected { amount } bounds { level lower upper } }
    }
    dates beforeCredits afterCredits lower80 upper80 lower95 upper95 parts { part amounts } actualDates actualAmounts
    finalDays { account lastDay }
"""
FORECAST = f"""query Forecast(
  $asOf: DateTime, $filter: CostFilter, $groupBy: [Dimension!], $tag: String, $tags: [String!], $anyCase: Boolean, $days: Int
  $basis: CostBasis
) {{
  forecast(
    asOf: $asOf, filter: $filter, groupBy: $groupBy, groupByTag: $tag, groupByTags: $tags, ignoreTagCase: $anyCase, forecastDays: $days
    costBasis: $basis
  ) {{
    madeAt dataThrough isSimulated reason series {{ {FIELDS} }} overrides {{ overrideId month factor amount authorName service }}
  }}
}}"""


def charges(account: str) -> Iterator[Charge]:
    """Four services in two sub accounts, with tax, a fee on the 3rd and a credit; an account bills in yen, too."""
    day = FIRST
    while day <= THROUGH + timedelta(days=1):
        weekend = day.weekday() > 4
        for number, service in enumerate(("Compute", "Storage", "Network")):
            amount = Decimal(7 + number) * (Decimal("0.37") if weekend else 1) + Decimal(day.day % 5) / 7
            if day > THROUGH:
                amount /= 3
            yield Charge(
                day,
                amount.quantize(Decimal("1E-18")),
                effective=amount.quantize(Decimal("1E-18")) * 2,
                service=service,
                region=None if number == 2 else f"r{day.day % 3}",
                sub_account=f"s{number % 2}",
                tags={"team" if day.day % 2 else "Team": f"t{day.day % 4}", "env": ["", "prod"][number - 1]}
                if number
                else {},
                service_provider="AWS" if number else "",
                service_category=f"c{number % 2}",
                invoice=f"i{day.month}" if day.month < 4 else None,
                sku=f"{service}-{day.day % 3}" if number else None,
                pricing=["Standard", "Committed", None][day.day % 3],
                commitment=f"k{day.day % 2}" if number == 1 else None,
                currency="JPY" if account == "two" and number == 2 else "USD",
            )
        if day.day == 3:
            yield Charge(
                day, Decimal(100), service="Support plan", sub_account="s0", category="Purchase", frequency="Recurring"
            )
        yield Charge(day, Decimal("1.1"), service="Compute", category="Tax", sub_account="s0")
        yield Charge(day, Decimal("-2.5"), service="Compute", category="Credit", sub_account="s1")
        day += timedelta(days=1)


@pytest.fixture(scope="module")
def costs(world: World) -> Customer:
    """A customer with two accounts and 16 weeks of costs, of which the last day is not final."""
    customer = world.customer("operator")
    for account in ("one", "two"):
        found = list(charges(account))
        for month in range(1, 5):
            period = BillingPeriod(2026, month)
            customer.publish(
                slice_of(customer.customer_id, account, period),
                [one for one in found if one.day.month == month],
                published_at=PUBLISHED,
                data_through=datetime(2026, 4, 21, tzinfo=UTC),
                is_final=month < 4,
            )
    return customer


def asked(customer: Customer, **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = customer.data(FORECAST, **{"asOf": AS_OF.isoformat(), "days": 90} | variables)["forecast"]
    return found


def figures(found: dict[str, Any]) -> dict[str, list[Any]]:
    """By currency: all amounts, added up over the series."""
    sums: dict[str, list[Any]] = {}
    for one in found["series"]:
        totals = [
            Decimal(total[when]["expected"]["amount"])
            for total in one["totals"]
            for when in ("beforeCredits", "afterCredits")
        ]
        totals += [Decimal(part["amount"]) for total in one["totals"] for part in total["parts"]]
        days = [Decimal(amount) for part in one["parts"] for amount in part["amounts"]]
        both = [*totals, *days]
        before = sums.setdefault(one["currency"], [Decimal(0)] * len(both))
        sums[one["currency"]] = [a + b for a, b in zip(before, both, strict=True)]
    return sums


@pytest.mark.parametrize("is_stored", [False, True], ids=["made when asked", "stored"])
def test_children_add_up_to_parents_whatever_they_are_told_apart_by(
    world: World, costs: Customer, *, is_stored: bool
) -> None:
    if is_stored:
        forecast_costs(world.metadata, world.warehouse, costs.customer_id, AS_OF, 95)
    whole = asked(costs)
    assert whole["madeAt"] == "2026-04-21T12:00:00Z"
    assert whole["dataThrough"] == "2026-04-21T00:00:00Z"
    parents = figures(whole)
    assert parents.keys() == {"USD", "JPY"}
    assert all(amount == int(amount) for amount in parents["JPY"])
    for groups in (
        ["ACCOUNT"], ["SERVICE"], ["SUB_ACCOUNT"], ["REGION"], ["CHARGE_CATEGORY"], ["ACCOUNT", "SERVICE", "REGION"],
    ):  # fmt: skip
        found = asked(costs, groupBy=groups)
        assert len(found["series"]) > 2
        assert figures(found) == parents, groups
    by_tag = asked(costs, tag="team", anyCase=True)
    assert {one["tag"] for one in by_tag["series"]} == {None, "t0", "t1", "t2", "t3"}
    assert figures(by_tag) == parents
    assert {one["tag"] for one in asked(costs, tag="team")["series"]} == {None, "t1", "t3"}
    by_tags = asked(costs, tag="env", tags=["team", "Team"])
    assert {(one["tag"], *one["tags"]) for one in by_tags["series"]} > {
        (None, None, None),
        ("", "t1", None),
        ("prod", None, "t2"),
    }
    assert figures(by_tags) == parents
    of_groups = {one["account"]: one for one in asked(costs, groupBy=["ACCOUNT"])["series"] if one["currency"] == "USD"}
    for account, group in of_groups.items():
        (alone,) = asked(costs, filter={"account": [account], "currency": ["USD"]})["series"]
        assert alone | {"account": account} == group
    two = asked(
        costs, groupBy=["SERVICE"], filter={"region": ["r1", None], "tag": {"key": "team", "values": ["t1", None]}}
    )
    assert {one["service"] for one in two["series"]} == {"Compute", "Storage", "Network", "Support plan"}


@pytest.mark.parametrize(
    ("dimension", "field"),
    [
        ("SERVICE_PROVIDER", "serviceProvider"),
        ("SERVICE_CATEGORY", "serviceCategory"),
        ("SKU", "sku"),
        ("PRICING_CATEGORY", "pricingCategory"),
        ("COMMITMENT", "commitment"),
        ("INVOICE", "invoice"),
        ("BILLING_PERIOD", "billingPeriod"),
        ("REGION", "region"),
    ],
)
def test_every_dimension_of_costs_groups_and_filters_forecasts(costs: Customer, dimension: str, field: str) -> None:
    """A filter on a value is the group of that value; groups add up to the whole, and a filter of all values but one to the rest."""
    parents = figures(asked(costs))
    found = asked(costs, groupBy=[dimension])
    assert figures(found) == parents
    values = list(dict.fromkeys(one[field] for one in found["series"]))
    value = values[-1]
    one = asked(costs, filter={field: [value]})
    assert figures(one) == figures({"series": [group for group in found["series"] if group[field] == value]})
    of_service = asked(costs, groupBy=[dimension, "SERVICE"], filter={"service": ["Storage"]})
    assert figures(of_service) == figures(asked(costs, filter={"service": ["Storage"]}))
    if others := values[:-1]:
        left = figures(asked(costs, filter={field: others}))
        assert left == figures({"series": [group for group in found["series"] if group[field] != value]})


def test_charges_to_come_are_invoiced_in_the_month_of_their_day_and_no_invoice_has_them_yet(costs: Customer) -> None:
    dollars = {"currency": ["USD"]}
    (whole,) = asked(costs, filter=dollars)["series"]
    (may,) = asked(costs, filter=dollars | {"billingPeriod": ["2026-05"]})["series"]
    days = zip(whole["dates"], whole["beforeCredits"], may["beforeCredits"], strict=True)
    assert all(of_may == (all_ if day.startswith("2026-05") else "0") for day, all_, of_may in days)
    totals = {one["span"]: one["beforeCredits"] for one in may["totals"]}
    assert totals["NEXT_MONTH"] == next(one for one in whole["totals"] if one["span"] == "NEXT_MONTH")["beforeCredits"]
    assert (totals["REST_OF_MONTH"]["expected"]["amount"], totals["REST_OF_MONTH"]["bounds"][0]["upper"]) == ("0", "0")
    none = asked(costs, filter={"invoice": ["i3"]})
    assert (none["series"], none["reason"].split(",")[0]) == ([], "Charges to come have no invoice yet")
    assert figures(asked(costs, filter={"invoice": [None]})) == figures(asked(costs))
    both = {"tags": [{"key": "TEAM", "values": ["t1", None], "ignoreCase": True}, {"key": "env", "values": [""]}]}
    (tagged,) = asked(costs, filter=dollars | both)["series"]
    (alone,) = asked(costs, filter=dollars | {"tags": both["tags"][1:]})["series"]
    assert (
        0
        < Decimal(tagged["totals"][1]["beforeCredits"]["expected"]["amount"])
        < Decimal(alone["totals"][1]["beforeCredits"]["expected"]["amount"])
    )


def test_what_would_be_told_apart_by_too_much_is_refused(costs: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    """By month each series is as many as it has months, whether costs of late are read for that or not."""
    monkeypatch.setattr(forecasting, "_MOST_SPLIT", 20)
    for groups in (["BILLING_PERIOD"], ["SKU", "BILLING_PERIOD"]):
        answer = costs.world.answer(FORECAST, costs.token, asOf=AS_OF.isoformat(), groupBy=groups)
        assert answer["errors"][0]["message"] == "more than 20 series are asked for"
    assert asked(costs, groupBy=["BILLING_PERIOD"], filter={"service": ["Network"], "billingPeriod": ["2026-05"]})[
        "series"
    ]


def test_parts_days_and_bounds_belong_together(costs: Customer) -> None:
    (whole,) = asked(costs, filter={"currency": ["USD"]})["series"]
    parts = {one["part"]: list(map(Decimal, one["amounts"])) for one in whole["parts"]}
    after = list(map(Decimal, whole["afterCredits"]))
    assert after == [sum(day) for day in zip(*parts.values(), strict=True)]
    assert whole["dates"][0] == "2026-04-21"
    thirds = [place for place, day in enumerate(whole["dates"]) if day.endswith("-03")]
    assert [place for place, amount in enumerate(parts["SUPPORT"]) if amount > 20] == thirds
    assert all(amount < 0 for amount in parts["CREDITS"])
    totals = {one["span"]: one for one in whole["totals"]}
    for name, start, end in (("REST_OF_MONTH", 0, 10), ("NEXT_MONTH", 10, 41), ("DAYS_90", 0, 90)):
        assert Decimal(totals[name]["afterCredits"]["expected"]["amount"]) == sum(after[start:end])
        assert [one["level"] for one in totals[name]["beforeCredits"]["bounds"]] == [80, 95]
        lower95, lower80, expected, upper80, upper95 = (
            Decimal(totals[name]["beforeCredits"]["bounds"][place][end_])
            if end_ else Decimal(totals[name]["beforeCredits"]["expected"]["amount"])
            for place, end_ in ((1, "lower"), (0, "lower"), (0, ""), (0, "upper"), (1, "upper"))
        )  # fmt: skip
        assert lower95 <= lower80 <= expected <= upper80 <= upper95
    assert totals["MONTHS_12"]["end"] == "2027-04-21"
    assert Decimal(whole["errorPercent"]) < 10
    assert whole["actualDates"][0] == "2026-04-01"
    assert whole["actualDates"][-1] == "2026-04-21", "what came since is beside it, final or not"


def test_a_persons_word_for_a_month_counts_from_then_on(world: World, costs: Customer) -> None:
    set_ = """mutation Expect($amount: Decimal, $currency: String, $factor: Decimal, $filter: CostFilter) {
      setForecastOverride(month: "2026-05-17", amount: $amount, currency: $currency, factor: $factor, filter: $filter, note: "twice") {
        ... on ForecastOverrideSet { override { overrideId authorName month service } }
        ... on ForecastOverrideNotAccepted { message }
      }
    }"""
    plain = figures(asked(costs))
    done = costs.data(set_, amount="1234.56", currency="USD", filter={"service": ["Compute"]})["setForecastOverride"]
    assert done["override"]["month"] == "2026-05-01"
    now = datetime.now(UTC).isoformat()
    assert figures(asked(costs)) == plain, "on the day that is asked about nobody had said so"
    forecast_costs(world.metadata, world.warehouse, costs.customer_id, AS_OF, 95)
    (compute,) = asked(costs, asOf=now, filter={"service": ["Compute"], "currency": ["USD"]})["series"]
    first, last = compute["dates"].index("2026-05-01"), compute["dates"].index("2026-05-31")
    assert sum(map(Decimal, compute["beforeCredits"][first : last + 1])) == Decimal("1234.56")
    regions = asked(costs, asOf=now, groupBy=["REGION"])
    assert figures(regions) == figures(asked(costs, asOf=now)), "children have their share of it"
    (shown,) = asked(costs, asOf=now)["overrides"]
    assert (shown["amount"], shown["service"], shown["authorName"]) == ("1234.56", ["Compute"], "test")
    refused = costs.data(set_, amount="-1", currency="USD")["setForecastOverride"]
    assert refused["message"] == "amount: '-1' is not accepted: use a number from 0 to below 10^15, such as 1250.50"
    refused = costs.data(set_, amount="5", currency="usd")["setForecastOverride"]
    assert refused["message"] == "currency: 'usd' is not accepted: use an ISO 4217 code, such as EUR"
    far = costs.data(set_.replace("2026-05-17", "9999-12-17"), factor="2")["setForecastOverride"]
    assert far["message"] == "month: 9999-12-17 is not accepted: use a day from 1971-01-01 to before 2100-01-01"
    refused = costs.data(set_, amount="5", currency="USD", factor="2")["setForecastOverride"]
    assert refused["message"] == "amount: give either an amount with its currency, or a factor"
    remove = """mutation($id: String!) { removeForecastOverride(overrideId: $id) { __typename } }"""
    assert costs.data(remove, id=shown["overrideId"]) == {
        "removeForecastOverride": {"__typename": "ForecastOverrideRemoved"}
    }
    assert (
        costs.data(remove, id=shown["overrideId"])["removeForecastOverride"]["__typename"] == "ForecastOverrideNotFound"
    )


def test_other_bases_are_forecast_when_asked_and_nothing_explains_itself(world: World, costs: Customer) -> None:
    billed, effective = (
        asked(costs, filter={"service": ["Storage"]}, basis=basis)["series"][0]["totals"][1]["beforeCredits"][
            "expected"
        ]
        for basis in ("BILLED", "EFFECTIVE")
    )
    assert abs(Decimal(effective["amount"]) / Decimal(billed["amount"]) - 2) < Decimal("0.01")
    empty = asked(world.customer(), groupBy=["SERVICE"])
    assert empty["series"] == []
    assert empty["reason"].startswith("Nothing is published")
    unknown = world.customer()
    slice_ = slice_of(unknown.customer_id, "main", BillingPeriod(2026, 4))
    unknown.publish(slice_, [Charge(date(2026, 4, 3), Decimal(5))], published_at=PUBLISHED)
    (series,) = asked(unknown)["series"]
    assert (series["method"], series["totals"][0]["beforeCredits"]["bounds"]) == ("NONE", [])
    assert series["reason"].startswith("No final day of costs yet")
    unknown.publish(
        slice_, [Charge(date(2026, 4, day), Decimal(5)) for day in range(1, 6)],
        published_at=PUBLISHED, data_through=datetime(2026, 4, 6, tzinfo=UTC),
    )  # fmt: skip
    (series,) = asked(unknown)["series"]
    assert (series["method"], series["beforeCredits"][0], series["lower80"]) == ("RUN_RATE", "5", None)
    assert series["reason"].startswith("Less than two weeks of costs")


def test_the_file_is_what_the_field_answers(world: World, costs: Customer) -> None:
    found = asked(costs, groupBy=["SERVICE"])["series"]
    params = {"asOf": AS_OF.isoformat().replace("+00:00", "Z"), "groupBy": "SERVICE", "forecastDays": "90"}
    headers = {"Authorization": f"Bearer {costs.token}"}
    response = world.http.get(f"{world.url}/export/forecast.csv", params=params, headers=headers)
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [(row["service"], row["currency"], row["date"], Decimal(row["after_credits"])) for row in rows] == [
        (one["service"], one["currency"], day, Decimal(amount))
        for one in found
        for day, amount in zip(one["dates"], one["afterCredits"], strict=True)
    ]
    assert {row["final_accounts"] for row in rows} == {""}, "both accounts are final to the same day"
    assert {(of["account"], of["lastDay"]) for one in found for of in one["finalDays"]} == {
        (f"{costs.customer_id}.one", "2026-04-20"), (f"{costs.customer_id}.two", "2026-04-20")
    }  # fmt: skip
    of_sku = world.http.get(
        f"{world.url}/export/forecast.csv", params=params | {"groupBy": "SKU", "sku": "Storage-1"}, headers=headers
    )
    assert {row["sku"] for row in csv.DictReader(io.StringIO(of_sku.text))} == {"Storage-1"}
    assert response.headers["X-Data-Through"] == "2026-04-21T00:00:00+00:00"
    parquet = world.http.get(f"{world.url}/export/forecast.parquet", params=params, headers=headers)
    assert pq.read_table(io.BytesIO(parquet.content)).num_rows == len(rows)


def test_what_the_document_shows_is_accepted(world: World, costs: Customer, docs: Path) -> None:
    query, mutation, create, status = re.findall(
        r"```graphql\n(.*?)```", (docs / "forecasts.md").read_text(), re.DOTALL
    )
    assert len(costs.data(query, asOf=AS_OF.isoformat())["forecast"]["series"]) == 3
    done = costs.data(mutation)["setForecastOverride"]["override"]
    assert (done["month"], done["factor"]) == ("2027-03-01", "2")
    who = Principal("test", "test", costs.customer_id, "operator")
    end = world.metadata.forecasts.end_override
    end(done["overrideId"], customer_id=costs.customer_id, principal=who, now=datetime.now(UTC))
    days = [date(2026, 4, day) for day in range(1, 21)]
    world.metadata.rates.update(
        "ECB", [(day, *of) for day in days for of in (("USD", Decimal(1)), ("JPY", Decimal(160)))]
    )
    assert "budgetId" in costs.data(create)["createBudget"]["budget"]
    (web,) = costs.data(status, asOf=AS_OF.isoformat())["budgetStatus"]["nodes"]
    assert Decimal(web["spent"]) < Decimal(web["forecast"])
