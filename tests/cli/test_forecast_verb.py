"""`optiinfra forecast` on a running API: a table a person can read, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from api_server import serving
from charges import Charge, slice_of
from command_line import Run
from psycopg.types.json import Jsonb
from world import Customer, World

from optiinfra_assets.cli.forecasting import final_text
from optiinfra_assets.demo import keep_tight_budget
from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

AS_OF = datetime(2026, 4, 21, 12, tzinfo=UTC)


@pytest.fixture
def asked(settings: Settings, connected: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The command line beside an API whose customer has 16 weeks of costs, 10 a day."""
    with serving(settings, clock=lambda: AS_OF) as url:
        monkeypatch.setenv("OPTIINFRA_API_PORT", str(urlsplit(url).port))
        warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
        metadata.customers.add("acme")
        metadata.accounts.add(Account("acme.main", "acme", "focus"))
        customer = Customer(World(settings, warehouse, metadata, ""), "acme", "")
        days = [date(2026, 1, 1) + timedelta(days=place) for place in range(110)]
        for month in range(1, 5):
            customer.publish(
                slice_of("acme", "main", BillingPeriod(2026, month)),
                [Charge(day, Decimal(10)) for day in days if day.month == month],
                published_at=AS_OF - timedelta(hours=1),
                data_through=datetime(2026, 4, 21, tzinfo=UTC),
                is_simulated=True,
            )
        yield connected
        warehouse.close()
        metadata.close()


def test_sums_of_days_are_shown_with_their_bounds(asked: Run) -> None:
    shown = asked("forecast", "--as-of", "2026-04-21T12:00:00Z", "--by", "service")
    assert shown.code == 0, shown.err
    head, table = shown.out.split("\n\n")
    assert head.splitlines() == [
        "forecast of 2026-04-21T12:00:00Z, data through 2026-04-21T00:00:00Z; simulated",
        "all accounts are final through 2026-04-20; later days are forecast",
    ]
    lines = table.splitlines()
    assert lines[0].split() == ["service", "USD", "to", "expected", "80", "%", "from", "up", "to", "held", "error"]
    assert lines[1].split()[:8] == ["Compute", "rest", "of", "month", "2026-04-30", "100.00", "100.00", "100.00"]
    assert [line.split()[3:][-5] for line in lines[1:]][1:] == ["310.00", "900.00", "3,650.00"]
    found = json.loads(asked("forecast", "--as-of", "2026-04-21T12:00:00Z", "--days", "3", "--json").out)
    (series,) = found["series"]
    assert (found["customer"], series["afterCredits"]) == ("acme", ["10", "10", "10"])
    empty = asked("forecast", "--service", "Nothing")
    assert "Nothing is published that the filter leaves" in empty.out


def test_budgets_are_added_changed_shown_and_removed(asked: Run) -> None:
    none = asked("budgets", "list", "--customer", "acme")
    assert none.out == "acme has no budget; next: optiinfra budgets add\n"
    added = asked(
        "budgets", "add", "--customer", "acme", "--name", "web", "--amount", "250", "--currency", "USD", "--service", "Compute"
    )  # fmt: skip
    assert added.out == "added web: 250.00 USD monthly, service: Compute\n", added.err
    shown = asked("budgets", "status", "--as-of", "2026-04-21T12:00:00Z")
    assert shown.out.splitlines()[1].split() == [
        "web", "USD", "250.00", "200.00", "300.00", "300.00", "100", "%", "2026-04-26", "likely", "over"
    ]  # fmt: skip
    assert asked("budgets", "set", "web", "--customer", "acme", "--amount", "400").code == 0
    (status,) = json.loads(asked("budgets", "status", "--as-of", "2026-04-21T12:00:00Z", "--json").out)
    assert (status["amount"], status["state"], status["budget"]["filters"][0]["service"]) == (
        "400",
        "WITHIN",
        ["Compute"],
    )
    refused = asked("budgets", "set", "web", "--customer", "acme", "--amount", "x")
    assert "--amount: 'x' is not accepted" in refused.err
    (kept,) = json.loads(asked("budgets", "list", "--customer", "acme", "--json").out)
    assert asked("budgets", "set", kept["budget_id"], "--customer", "acme", "--amount", "300").out.startswith(
        "changed web: 300"
    )
    for words in (("list",), ("add", "--name", "x", "--amount", "1", "--currency", "USD"), ("remove", "web")):
        assert "customer: 'nobody' does not exist" in asked("budgets", *words, "--customer", "nobody").err
    assert "customer: 'nobody' does not exist" in asked("rates", "method", "--customer", "nobody").err
    assert asked("budgets", "remove", "web", "--customer", "acme").out.startswith("removed web")
    assert json.loads(asked("budgets", "list", "--customer", "acme", "--json").out) == []


def test_budgets_take_the_filters_of_costs_and_one_that_cannot_be_used_is_named(asked: Run, settings: Settings) -> None:
    asked(
        *(
            "budgets",
            "add",
            "--customer",
            "acme",
            "--name",
            "narrow",
            "--amount",
            "5",
            "--currency",
            "USD",
            "--sku",
            "",
            "--sku",
            "a",
        ),
        *("--billing-period", "2026-04", "--tag", "team=web", "--tag", "team", "--tag", "Env=x", "--ignore-tag-case"),
    )
    metadata = Metadata.connect(settings)
    (stored,) = metadata.budgets.find(customer_id="acme")
    assert stored.budget.filters == (
        {
            "sku": [None, "a"],
            "billing_period": ["2026-04"],
            "tags": [
                {"key": "team", "values": ["web", None], "ignore_case": True},
                {"key": "Env", "values": ["x"], "ignore_case": True},
            ],
        },
    )
    never = Budget("never", Cadence.BETWEEN, Decimal(5), "USD", start=date(1, 1, 1), end=date(9999, 1, 1))
    values = {"customer_id": "acme", "name": "never", "budget_id": "never", "definition": Jsonb(never.stored())}
    by = {"now": AS_OF, "actor": "test", "author_name": "test", "origin": "test", "detail": ""}
    metadata.rows("save_budget.sql", values | by)
    metadata.close()
    shown = asked("budgets", "status")
    assert "all accounts are final" not in shown.out, "no charge matches, so no account is in it"
    assert "budget never cannot be used: start: 0001-01-01 is not accepted" in shown.err
    assert "start: 0001-01-01 is not accepted" in asked("budgets", "list", "--customer", "acme").out
    refused = asked("budgets", "set", "narrow", "--customer", "acme", "--billing-period", "soon")
    assert "billing period: 'soon' is not accepted" in refused.err


def test_budgets_take_groups_of_filters(asked: Run) -> None:
    new = ("budgets", "add", "--customer", "acme", "--amount", "250", "--currency", "USD", "--name", "groups")
    first = ("--service", "Compute", "--service", "a b")
    added = asked(*new, *first, "--or", "--service Other --region eu --tag 'x=y z'", "--or", "--service ''")
    assert added.out == (
        "added groups: 250.00 USD monthly, service: Compute, a b or service: Other; region: eu; x: y z or service: None\n"
    ), added.err
    shown = json.loads(asked("budgets", "status", "--as-of", "2026-04-21T12:00:00Z", "--json").out)
    assert [one["spent"] for one in shown] == ["200"]
    for given, said in (
        (("--or", "--service B"), "--or: say first which charges count, such as --service A"),
        (("--service", "A", "--or", "B"), "unexpected extra argument (B)"),
        (("--service", "A", "--or", "--colour red"), "--colour"),
        (("--service", "A", "--or", "--service 'B"), "is not accepted: No closing quotation"),
        (("--service", "A", "--or", ""), "--or: '' is not accepted: use filters"),
        (("--service", "A", "--or", "--service A"), "filters: a charge may match both 1 and 2"),
    ):
        refused = asked(*new[:-1], "refused", *given)
        assert refused.code != 0
        assert said in refused.err, refused.err


def test_a_budget_in_another_currency_names_its_rates(asked: Run, settings: Settings) -> None:
    """Without them it says what to do; charges can be narrowed to those billed in a currency."""
    new = ("budgets", "add", "--customer", "acme", "--amount", "500", "--currency", "XCL")
    assert asked(*new, "--name", "all").out == "added all: 500.00 XCL monthly, all\n"
    narrow = asked(*new, "--name", "narrow", "--billed-in", "XCL", "--billed-in", "EUR")
    assert narrow.out == "added narrow: 500.00 XCL monthly, currency: XCL, EUR\n"
    assert asked("budgets", "remove", "narrow", "--customer", "acme").code == 0
    at = ("budgets", "status", "--as-of", "2026-04-21T12:00:00Z")
    lost = asked(*at)
    assert (
        "budget all cannot be used: There is no rate from USD to XCL on days from 2026-04-01 to 2026-04-20" in lost.err
    )
    assert "Run `optiinfra rates update`" in lost.err
    metadata = Metadata.connect(settings)
    days = [date(2026, 4, 1) + timedelta(days=place) for place in range(19)]
    metadata.rates.update("TEST", [(day, "USD", Decimal(1)) for day in days])
    metadata.rates.update("TEST", [(day, "XCL", Decimal(2 if day.day < 10 else 4)) for day in days])
    metadata.close()
    shown = asked(*at).out.splitlines()
    assert shown[1].split()[:5] == ["all", "XCL", "500.00", "620.00", "1,020.00"]
    assert shown[2:4] == [
        "all: Spent in USD at 2 to 4 XCL (TEST, 2026-04-01 to 2026-04-19).",
        "all: Expected in USD at 4 XCL (TEST, 2026-04-19).",
    ]
    found = json.loads(asked(*at, "--json").out)[0]
    assert sum(Decimal(one["converted"]) for one in found["conversions"]) == Decimal(found["forecast"])
    assert sum(Decimal(one["amount"]) * Decimal(one["rate"]) for one in found["rates"]) == Decimal(found["forecast"])


@pytest.mark.parametrize(
    ("finals", "text"),
    [
        ({"a": "2026-04-20", "b": "2026-04-20"}, "all accounts are final through 2026-04-20; later days are forecast"),
        (
            {"a": "2026-04-20", "b": "2026-04-18", "c": "2026-04-20", "d": None},
            "final: a, c through 2026-04-20; d on no day; b through 2026-04-18; later days are forecast",
        ),
        (
            {str(name): "2026-04-20" for name in range(11)} | {"b": None},
            "final: 11 accounts through 2026-04-20; b on no day; later days are forecast",
        ),
    ],
)
def test_accounts_whose_days_are_not_final_are_named(finals: dict[str, str | None], text: str) -> None:
    assert final_text({"account": name, "lastDay": day} for name, day in finals.items()) == text


def test_a_demo_has_a_budget_that_is_about_to_break(asked: Run, settings: Settings) -> None:
    metadata = Metadata.connect(settings)
    token = metadata.tokens.issue("demo", None, "admin").plaintext
    for _ in range(2):
        keep_tight_budget(metadata, Settings(), token, "acme", AS_OF)
    (stored,) = metadata.budgets.find(customer_id="acme")
    metadata.close()
    assert stored.budget.name == "Simulated: all costs in USD"
    assert stored.budget.amount > 0
    (status,) = json.loads(asked("budgets", "status", "--customer", "acme", "--json").out)
    assert status["isSimulated"]
