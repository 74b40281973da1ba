"""The verb rates: from a file to what converts costs."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from command_line import Run
from loopback import served

FILE = "Date,USD,CHF,\n2026-10-30,1.1172,0.9194,\n2026-10-29,1.113,N/A,\n"


class _Bank(BaseHTTPRequestHandler):
    """Answers any request with a file in which one rate is revised."""

    def do_GET(self) -> None:
        body = FILE.replace("1.113,", "1.1131,").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def acme(connected: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A customer, and no package that would bring rates."""
    monkeypatch.setattr("optiinfra_assets.ingestion.rate_files._PACKAGE", "a_package_that_nobody_has")
    connected("customers", "add", "acme")
    return connected


def test_rates_of_a_file_and_of_an_address_are_stored_once_and_shown(acme: Run, tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text(FILE)
    assert "no rate of any currency" in acme("rates", "show").out
    assert acme("rates", "update", "--file", str(tmp_path / "rates.csv")).out == "3 rates: 3 new, 0 changed\n"
    with served(_Bank) as url:
        assert acme("rates", "update", "--url", f"{url}/eurofxref-hist.csv").out == "3 rates: 0 new, 1 changed\n"
    shown = acme("rates", "show", "--date", "2026-10-31").out
    assert "ECB: 3 rates of 2 currencies, 2026-10-29 to 2026-10-30" in shown
    assert "1.1172" in shown
    found = json.loads(acme("rates", "show", "--date", "2026-10-29", "--currency", "USD", "--json").out)["rates"]
    assert [(one["day"], one["per_euro"], one["source"]) for one in found] == [("2026-10-29", "1.1131", "ECB")]


def test_a_customers_own_rates_and_its_method(acme: Run) -> None:
    pair = ("--customer", "acme", "--month", "2026-10", "--from", "USD", "--to", "CHF")
    assert acme("rates", "override", *pair, "--rate", "0.88").out == "set 2026-10: 1 USD = 0.88 CHF\n"
    (listed,) = json.loads(acme("rates", "overrides", "--customer", "acme", "--json").out)
    assert (listed["month"], listed["rate"]) == ("2026-10-01", "0.88")
    assert acme("rates", "remove", *pair).out == "removed 2026-10: 1 USD = 0.88 CHF\n"
    assert acme("rates", "overrides", "--customer", "acme").out == "acme has no rates of its own\n"
    assert acme("rates", "method", "--customer", "acme").out == "day\n"
    assert acme("rates", "method", "--customer", "acme", "month").out == "month\n"
    assert acme("rates", "method", "--customer", "acme").out == "month\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["update", "--file", "/no/such/file"], "/no/such/file: No such file or directory"),
        (["update", "--url", "http://example.org/a.zip"], "an https address without user"),
        (["override", "--month", "2026-13", "--from", "USD", "--to", "CHF", "--rate", "1"], "--month: '2026-13'"),
        (["override", "--month", "2026-10", "--from", "USD", "--to", "USD", "--rate", "1"], "use two currencies"),
        (["override", "--month", "2026-10", "--from", "USD", "--to", "CHF", "--rate", "-1"], "--rate: '-1'"),
        (["remove", "--month", "2026-10", "--from", "USD", "--to", "CHF"], "has no rate of acme's own"),
    ],
    ids=str,
)
def test_what_is_not_accepted(acme: Run, arguments: list[str], said: str) -> None:
    customer = [] if arguments[0] == "update" else ["--customer", "acme"]
    refused = acme("rates", *arguments, *customer)
    assert refused.code != 0
    assert said in refused.error
