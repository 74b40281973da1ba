"""What the pages say while something is missing: no customer, no account, nothing collected, a provider or a database down."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from api_server import serving
from charges import Charge, slice_of
from relay import Relay
from site_world import NOW, Site, spend
from world import World

from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.exact_amounts import exact_sum, plain
from optiinfra_assets.domain.failures import AFTER_TRANSIENT, Fault
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse


def text_of(answer: httpx.Response) -> str:
    """What a page says, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def test_without_an_account_the_overview_says_how_to_connect_one(site: Site) -> None:
    with site.signed_in(site.world.customer().token) as browser:
        said = text_of(browser.get("/"))
        assert "No account is connected yet" in said
        assert "optiinfra connect --help" in said
        assert "Nothing was charged" in text_of(browser.get("/explore"))


def test_an_administrator_of_all_customers_is_told_that_a_customer_does_not_exist(site: Site) -> None:
    """He asks two operations at once for the overview, and the first fails."""
    site.world.customer()
    with site.signed_in(site.world.metadata.tokens.issue("root", None, "admin").plaintext) as browser:
        answer = browser.get("/?customer=nobody")
        assert answer.status_code == 200
        assert "'nobody' does not exist" in text_of(answer)
        assert "There is no customer yet" not in text_of(browser.get("/?customer="))


def test_every_page_that_has_a_period_says_what_it_did_not_understand(site: Site) -> None:
    customer = site.world.customer()
    slice_ = spend(customer)
    resource = f"/resources/resource?account={slice_.account_id}&resource=i-1&"
    with site.signed_in(customer.token) as browser:
        for path in ("/explore?", "/resources?", resource):
            answer = browser.get(f"{path}period=2-days")
            assert "period: '2-days' is not accepted; use this-month" in text_of(answer), path
            assert answer.text.count('role="alert"') == 1


def test_before_the_first_month_is_published_the_page_shows_progress_and_asks_again(site: Site) -> None:
    customer = site.world.customer()
    account = Account(f"{customer.customer_id}.new", customer.customer_id, "aws")
    site.world.metadata.accounts.add(account)
    with site.signed_in(customer.token) as browser:
        assert "wait to be looked at for the first time" in text_of(browser.get("/"))
        months = {BillingPeriod(2026, month): "token" for month in (9, 10, 11)}
        site.world.metadata.slices.record_probe(account.account_id, months, datetime.now(UTC))
        page = browser.get("/")
        assert "0 of 3 months of invoices are here" in text_of(page)
        assert 'data-refresh="5"' in page.text
        assert "The first figures appear as soon as the first month is published" in text_of(page)


def test_a_provider_that_is_down_is_named_with_what_to_do(site: Site) -> None:
    customer = site.world.customer()
    slice_ = spend(customer)
    site.world.metadata.slices.record_probe(slice_.account_id, {slice_.billing_period: "token"}, NOW)
    failed = ("the provider answered 503", Fault.PROVIDER, NOW, AFTER_TRANSIENT)
    site.world.metadata.failures.record(slice_, *failed)
    with site.signed_in(customer.token) as browser:
        said = text_of(browser.get("/"))
    assert "Needs a person" in said
    assert re.search(rf"{slice_.account_id} · 2026-11 ?: the provider answered 503", said)
    assert "Failing" in said
    assert "191.25" in said, "what is published stays"


def test_what_is_simulated_and_what_is_not_final_say_so(site: Site) -> None:
    customer = site.world.customer()
    spend(customer, is_simulated=True)
    with site.signed_in(customer.token) as browser:
        for path in ("/", "/explore"):
            said = text_of(browser.get(path))
            assert "Simulated data" in said
            assert "Data through 17 Nov 2026" in said
        assert "Not final: charges can still come" in text_of(browser.get("/explore?period=this-month"))
        assert "Complete" in text_of(browser.get("/explore?period=last-month"))


def test_an_account_that_is_far_behind_is_not_compared_with(site: Site) -> None:
    """The figure is then up to yesterday, and the page says how far the data reach."""
    customer = site.world.customer()
    spend(customer)
    late = Account(f"{customer.customer_id}.late", customer.customer_id, "aws")
    site.world.metadata.accounts.add(late)
    slice_ = Slice(customer.customer_id, "aws", late.account_id, BillingPeriod(2026, 11))
    customer.publish(slice_, [], data_through=datetime(2026, 11, 5, tzinfo=UTC))
    with site.signed_in(customer.token) as browser:
        said = text_of(browser.get("/"))
    assert "1 Nov 2026 to 17 Nov 2026" in said
    assert "Data through 4 Nov 2026" in said


def test_without_clickhouse_a_page_says_so_and_nothing_that_nobody_knows(world: World) -> None:
    customer = world.customer()
    spend(customer)
    there = urlsplit(str(world.settings.clickhouse_url))
    relay = Relay(there.hostname or "", there.port or 0, b"\xffnever\xff", delivered=False)
    netloc = there.netloc.replace(f":{there.port}", f":{relay.port}")
    settings = world.settings.model_copy(update={"clickhouse_url": urlunsplit(there._replace(netloc=netloc))})
    with serving(settings, clock=lambda: NOW) as url, Site(world, url).signed_in(customer.token) as browser:
        assert "191.25" in browser.get("/").text
        relay._lost = b"POST"
        for path in ("/?currency=EUR", "/explore?period=last-month"):
            answer = browser.get(path)
            assert answer.status_code == 200
            said = text_of(answer)
            assert "a database does not answer Try again in a few seconds." in said
            assert "Nothing was charged" not in said
            assert "No account" not in said
    relay.close()


def test_without_postgresql_nobody_is_let_in_and_the_page_says_why(
    settings: Settings, warehouse: Warehouse, metadata: Metadata
) -> None:
    token = metadata.tokens.issue("root", None, "admin").plaintext
    metadata.close()
    there = urlsplit(str(settings.postgres_url))
    with serving(settings) as url, httpx.Client(base_url=url, headers={"Accept": "text/html"}, timeout=60) as browser:
        browser.post("/sign-in", data={"token": token}, headers={"Origin": url})
        assert "There is no customer yet" in text_of(browser.get("/"))
        with psycopg.connect(urlunsplit(there._replace(path="/postgres")), autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{there.path[1:]}" WITH ALLOW_CONNECTIONS false'.encode())
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (there.path[1:],)
            )
        answer = browser.get("/")
        assert answer.status_code == 503
        assert "PostgreSQL does not answer" in text_of(answer)


def test_sums_of_large_amounts_are_exact_on_the_page(site: Site) -> None:
    customer = site.world.customer()
    amounts = [Decimal(f"{12345678901 + number}.123456789012345678") for number in range(60)]
    charges = [Charge(date(2026, 11, 2), amount, service=f"S{number}") for number, amount in enumerate(amounts)]
    customer.publish(slice_of(customer.customer_id, "main", BillingPeriod(2026, 11)), charges)
    with site.signed_in(customer.token) as browser:
        page = browser.get("/explore?period=this-month&by=SERVICE").text
    for value in (exact_sum(amounts), exact_sum(amounts[:10])):
        assert f'value="{plain(value)}"' in page


def test_changes_of_skus_are_split_by_price_and_usage_and_what_is_left_out_is_a_row(site: Site) -> None:
    customer = site.world.customer()
    for month, cost, quantity in ((10, 30, 10), (11, 72, 12)):
        used = {"quantity": Decimal(quantity), "unit": "Hours"}
        small = [Charge(date(2026, month, 5), Decimal(month), sku=f"small {number:02}", **used) for number in range(60)]
        charge = Charge(date(2026, month, 5), Decimal(cost), sku="m5", **used)
        customer.publish(slice_of(customer.customer_id, "main", BillingPeriod(2026, month)), [charge, *small])
    with site.signed_in(customer.token) as browser:
        text = text_of(browser.get("/explore?from=2026-11-01&to=2026-11-17&group=SKU&compare=1"))
        assert "Change By price By usage" in text
        assert "m5 72.00 9.8 % 30.00 +42.00 ▲ +140 % +30.00 +12.00" in text
        assert "and 11 more 121.00 16.5 % 110.00 +11.00 ▲ +10 %" in text
        assert "All 732.00 630.00 +102.00 ▲ +16 %" in text
        overview = text_of(browser.get("/"))
        assert "Movers by service" in overview
