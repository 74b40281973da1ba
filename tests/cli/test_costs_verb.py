"""`optiinfra costs` on a running API: the figures that GraphQL has, in tables, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from urllib.parse import urlsplit

import psycopg
import pytest
from api_server import serving
from charges import Charge, slice_of
from command_line import Run
from hypothesis import given
from hypothesis import strategies as st
from world import Customer, World

from optiinfra_assets.cli.spending import BLOCKS, DayRange, Spent, by_currency, money, sparkline, summed
from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

OCTOBER = ("--month", "2026-10")
ESCAPE = "\x1b]0;owned\x07"


@pytest.fixture
def asked(settings: Settings, connected: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The command line beside an API of the same databases, which are empty."""
    with serving(settings) as url:
        monkeypatch.setenv("OPTIINFRA_API_PORT", str(urlsplit(url).port))
        yield connected


@pytest.fixture
def acme(settings: Settings, asked: Run) -> Iterator[Customer]:
    """A customer with September and October 2026."""
    warehouse, metadata = Warehouse.connect(settings), Metadata.connect(settings)
    metadata.customers.add("acme")
    metadata.accounts.add(Account("acme.main", "acme", "focus"))
    customer = Customer(World(settings, warehouse, metadata, ""), "acme", "")
    september, october = (slice_of("acme", "main", BillingPeriod(2026, month)) for month in (9, 10))
    customer.publish(september, [Charge(date(2026, 9, 1), Decimal(20), service="Compute", tags={"team": "web"})])
    charges = [
        Charge(date(2026, 10, 1), Decimal("10.000000000000000001"), service="Compute", tags={"team": "web"}),
        Charge(date(2026, 10, 3), Decimal("20.5"), service="Compute", region="eu"),
        Charge(date(2026, 10, 3), Decimal("-2"), service=f"=Credit{ESCAPE}", category="Credit"),
        Charge(date(2026, 10, 2), Decimal("0.001"), service="Mail", currency="EUR"),
        *(Charge(date(2026, 10, 31), Decimal(1), service=f"Small {number}") for number in range(30)),
    ]
    through = datetime(2026, 11, 1, tzinfo=UTC)
    customer.publish(october, charges, data_through=through, is_simulated=True)
    yield customer
    warehouse.close()
    metadata.close()


@pytest.mark.usefixtures("acme")
def test_each_currency_has_a_table_of_its_own_with_lines_of_blocks(asked: Run) -> None:
    shown = asked("costs", *OCTOBER, "--top", "2")
    assert shown.code == 0, shown.err
    head, euro, dollar = shown.out.split("\n\n")
    assert head == "2026-10-01 to 2026-10-31, UTC; data through 2026-11-01T00:00:00Z; simulated; not final"
    assert [line.split()[:3] for line in euro.splitlines()] == [
        ["service", "EUR", "share"], ["Mail", "<0.01", "100.0"], ["total", "<0.01", "100.0"]
    ]  # fmt: skip
    lines = dollar.splitlines()
    assert lines[1].split()[:3] == ["Compute", "30.50", "52.1"]
    assert lines[1].rstrip().endswith(f"{BLOCKS[3]} {BLOCKS[7]}")
    assert lines[3].startswith("30 others")
    assert lines[4].split()[:3] == ["total", "58.50", "100.0"]


@pytest.mark.usefixtures("acme")
def test_a_name_cannot_steer_the_terminal_or_a_spreadsheet(asked: Run) -> None:
    shown = asked("costs", *OCTOBER, "--top", "50")
    assert "=Credit\ufffd]0;owned\ufffd" in shown.out
    assert "\x1b" not in shown.out
    assert f"\n'=Credit{ESCAPE},USD,-2\n" in asked("costs", *OCTOBER, "--csv").out


@pytest.mark.usefixtures("acme")
def test_a_comparison_says_what_it_was_before_and_the_difference(asked: Run) -> None:
    shown = asked("costs", *OCTOBER, "--compare", "--top", "1", "--currency", "USD")
    assert "before: 2026-09-01 to 2026-09-30" in shown.out
    (row,) = [line.split() for line in shown.out.splitlines() if line.startswith("Compute")]
    assert row[:6] == ["Compute", "30.50", "52.1", "20.00", "10.50", "52.5"]
    moved = asked("costs", *OCTOBER, "--compare", "--top", "2", "--currency", "USD").out.splitlines()
    assert [line.split()[0] for line in moved[4:]] == ["Compute", "=Credit\ufffd]0;owned\ufffd", "30", "total"]
    assert "EUR" not in shown.out


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("account", {"acme.main": "58.500000000000000001"}),
        ("region", {"eu": "20.5", None: "38.000000000000000001"}),
        ("provider", {"focus": "58.500000000000000001"}),
        ("tag:team", {"web": "10.000000000000000001", None: "48.5"}),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("acme")
def test_json_has_exact_amounts_of_every_group(asked: Run, by: str, groups: dict[str | None, str]) -> None:
    content = json.loads(asked("costs", *OCTOBER, "--by", by, "--json", "--compare").out)
    assert (content["customer"], content["by"]) == ("acme", by)
    assert content["period"] == {"start": "2026-10-01", "end": "2026-11-01"}
    assert (content["is_simulated"], content["is_complete"]) == (True, False)
    (dollar,) = [one for one in content["currencies"] if one["currency"] == "USD"]
    assert {one["group"]: one["cost"] for one in dollar["groups"]} == groups
    assert (dollar["cost"], dollar["before"], dollar["change"]) == (
        "58.500000000000000001",
        "20",
        "38.500000000000000001",
    )


@pytest.mark.usefixtures("acme")
def test_csv_has_exact_amounts_and_days_are_inclusive(asked: Run) -> None:
    shown = asked("costs", "--from", "2026-10-01", "--to", "2026-10-02", "--csv", "--compare")
    assert list(csv.reader(io.StringIO(shown.out))) == [
        ["service", "currency", "cost", "before", "change"],
        ["Mail", "EUR", "0.001", "0", "0.001"],
        ["Compute", "USD", "10.000000000000000001", "20", "-9.999999999999999999"],
    ]  # fmt: skip


def test_nothing_yet_says_what_to_do_next(asked: Run, settings: Settings) -> None:
    assert "nothing is connected yet; next: optiinfra connect" in asked("costs").out
    metadata = Metadata.connect(settings)
    metadata.customers.add("acme")
    assert asked("costs").out.endswith("no account is connected\nnext: optiinfra status\n")
    metadata.accounts.add(Account("acme.main", "acme", "focus"))
    assert asked("costs").out.endswith("no costs in these days\nnext: optiinfra status\n")
    metadata.customers.add("globex")
    assert "--customer: needed, since there are several: use one of acme, globex" in asked("costs").error
    assert asked("costs", "--customer", "globex").code == 0
    assert "customerId: 'nobody' does not exist" in asked("costs", "--customer", "nobody").error
    metadata.close()


@pytest.mark.usefixtures("acme")
def test_no_token_is_made_for_each_call_and_no_session_stays(asked: Run, settings: Settings) -> None:
    for _ in range(2):
        assert asked("costs", *OCTOBER).code == 0
    metadata = Metadata.connect(settings)
    assert [one.name for one in metadata.tokens.find()] == ["sign-in links"]
    acts = [one.action for one in metadata.access_audit.find(first=10)]
    metadata.close()
    with psycopg.connect(str(settings.postgres_url)) as connection:
        assert connection.execute("SELECT count(*) FROM optiinfra.web_sessions").fetchone() == (0,)
    assert acts.count("sign_out") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "team"], "--by: 'team' is not accepted: use service, account, region, provider, sku, invoice, commitment or tag:NAME"),
        (["--by", "tag:"], "--by: 'tag:' is not accepted"),
        (["--month", "2026-10", "--from", "2026-10-01"], "--month: goes without --from and --to"),
        (["--to", "2026-10-01"], "--to: goes with --from"),
        (["--from", "2026-10-02", "--to", "2026-10-01"], "--to: 2026-10-01 is not accepted: use a day from 2026-10-02 to 2099-12-31"),
        (["--month", "october"], "month: 'october' is not accepted: use this, last or YYYY-MM"),
        (["--month", "0001-01"], "month: '0001-01' is not accepted: use this, last or YYYY-MM from 1971-01 to 2099-12"),
        (["--month", "9999-12"], "month: '9999-12' is not accepted"),
        (["--from", "0001-01-01"], "--from: 0001-01-01 is not accepted: use a day from 1971-01-01 to 2099-12-31"),
        (["--from", "9999-12-31"], "--from: 9999-12-31 is not accepted"),
        (["--from", "2026-01-01", "--to", "9999-12-31"], "--to: 9999-12-31 is not accepted: use a day from 2026-01-01 to 2099-12-31"),
        (["--json", "--csv"], "--csv: goes without --json"),
        (["--top", "0"], "'--top'"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_not_accepted_is_named(run: Run, arguments: list[str], said: str) -> None:
    assert said in run("costs", *arguments).error


def test_an_api_that_is_away_is_said_with_what_to_start(connected: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIINFRA_API_PORT", "1")
    assert "http://127.0.0.1:1: does not answer" in connected("costs").error


DAYS = st.dates(date(2000, 1, 31), date(2098, 1, 1))
AMOUNTS = st.decimals(min_value=-(10**20), max_value=10**20, places=18)


@given(DAYS, st.integers(1, 1500))
def test_the_blocks_of_a_period_cover_its_days(start: date, count: int) -> None:
    days = DayRange(start, start + timedelta(days=count))
    buckets = days.buckets()
    assert buckets == sorted(set(buckets))
    assert buckets[0] <= start
    assert buckets[-1] < days.end
    assert len(buckets) <= 63
    before = days.before()
    assert before.end <= start
    assert before.start < before.end


@pytest.mark.parametrize(
    ("days", "before"),
    [
        ((date(2026, 10, 1), date(2026, 11, 1)), "2026-09-01 to 2026-09-30"),
        ((date(2026, 3, 1), date(2026, 3, 31)), "2026-02-01 to 2026-02-28"),
        ((date(2026, 3, 1), date(2026, 3, 4)), "2026-02-01 to 2026-02-03"),
        ((date(2026, 3, 2), date(2026, 3, 4)), "2026-02-28 to 2026-03-01"),
        ((date(2026, 1, 1), date(2026, 1, 2)), "2025-12-01"),
        ((date(2026, 1, 1), date(2027, 1, 1)), "2025-01-01 to 2025-12-31"),
    ],
)
def test_what_a_period_is_compared_with(days: tuple[date, date], before: str) -> None:
    assert str(DayRange(*days).before()) == before


@pytest.mark.parametrize(
    ("month", "days"),
    [
        ("this", "2026-03-01 to 2026-03-18"),
        ("last", "2026-02-01 to 2026-02-28"),
        ("2024-02", "2024-02-01 to 2024-02-29"),
    ],
)
def test_the_days_of_a_month(month: str, days: str) -> None:
    assert str(DayRange.of_month(month, date(2026, 3, 18))) == days


@given(st.lists(st.tuples(st.sampled_from("abc"), AMOUNTS), unique_by=lambda one: one[0]))
def test_groups_add_up_exactly(groups: list[tuple[str, Decimal]]) -> None:
    series = [
        {
            "service": name,
            "currency": "USD",
            "cost": {"amount": str(amount)},
            "dates": ["2026-10-01"],
            "amounts": [str(amount)],
        }
        for name, amount in groups
    ]
    rows = by_currency(series, None, "service").get("USD", [])
    total = summed(rows, "total")
    assert [row.cost for row in rows] == sorted((amount for _, amount in groups), reverse=True)
    assert Fraction(plain(total.cost)) == sum(Fraction(amount) for _, amount in groups)
    assert len(sparkline(total, [date(2026, 10, 1)])) <= 1


def test_amounts_are_rounded_for_people_only() -> None:
    assert [money(Decimal(one)) for one in ("0", "0.004", "-0.004", "1234.565", "-0.5")] == [
        "0.00",
        "<0.01",
        "-<0.01",
        "1,234.56",
        "-0.50",
    ]
    row = Spent(
        "a", days={date(2026, 1, 1): Decimal(8), date(2026, 1, 2): Decimal(-1), date(2026, 1, 4): Decimal("0.1")}
    )
    assert sparkline(row, [date(2026, 1, day) for day in range(1, 6)]) == f"{BLOCKS[7]}  {BLOCKS[0]}"
    assert sparkline(Spent("a", days={date(2026, 1, 1): Decimal(-8)}), [date(2026, 1, 1)]) == ""


def test_costs_in_one_currency(asked: Run, acme: Customer) -> None:
    """What was billed in several currencies is one table; without a rate nothing is shown, and what to do is."""
    rates = acme.world.metadata.rates
    rates.update("ECB", [(date(2026, month, 1), "USD", Decimal("1.25")) for month in (9, 10)])
    lost = asked("costs", *OCTOBER, "--display-currency", "EUR", "--json")
    assert "No rate from USD to EUR on 2026-10-31" in lost.error
    rates.update("ECB", [(date(2026, 10, 30), "USD", Decimal(2))])
    shown = asked("costs", *OCTOBER, "--display-currency", "EUR", "--by", "provider", "--compare", "--json")
    (currency,) = json.loads(shown.out)["currencies"]
    assert (currency["currency"], currency["before"]) == ("EUR", "16")
    expected = (Decimal("10.000000000000000001") + Decimal("18.5")) * Decimal("0.8") + 15 + Decimal("0.001")
    assert currency["cost"] == plain(expected)
    assert [one["group"] for one in currency["groups"]] == ["focus"]
    assert "EUR" in asked("costs", *OCTOBER, "--display-currency", "EUR").out
    assert "displayCurrency: 'eur' is not accepted" in asked("costs", "--display-currency", "eur").error
