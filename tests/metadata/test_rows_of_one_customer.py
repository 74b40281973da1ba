"""Within `Database.of_customer` PostgreSQL itself shows the rows of one customer, whatever is asked, and lets nothing be changed."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from alert_world import hook, occasion, rule
from planted_anomaly import planted_anomaly

from optiinfra_assets.analytics.reconciliation import MonthState, reconcile
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.anomalies import UsageKey
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.domain.commitments import Commitment
from optiinfra_assets.domain.invoices import InvoiceStatement
from optiinfra_assets.domain.reconciliations import ChargeGroup, StoredReconciliation
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.forecasts import MadeForecast
from optiinfra_assets.metadata.rates import FrozenRate, Pair
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.credential_audit import Actor

PERIOD = BillingPeriod(2026, 10)
CUSTOMERS = ("acme", "beta")
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
COMMITMENT = Commitment(
    commitment_id="c",
    contract_id="k",
    category="Spend",
    type_="Agreement",
    period_start=START,
    period_end=END,
    contract_start=START,
    contract_end=END,
)


def alert(metadata: Metadata, customer: str) -> None:
    """A rule of a customer, with an occasion and its message."""
    channel, _ = hook(metadata, "https://example.com/hook", customer_id=customer)
    made = rule(metadata, channel)
    with metadata.transaction():
        metadata.alert_outbox.record(made, [occasion(1)], datetime.now(UTC))


def fill(metadata: Metadata) -> None:
    """For each of two customers a row in every table that holds rows of customers."""
    group = ChargeGroup("issuer", "USD", "", "Usage", "Compute", None, Decimal(1), 1)
    for customer in CUSTOMERS:
        metadata.customers.add(customer)
        account = metadata.accounts.add(Account(f"{customer}.main", customer, "focus"))
        metadata.slices.record_probe(account.account_id, {PERIOD: "token"}, datetime.now(UTC))
        metadata.credentials.put(account, {"api_key": "secret"}, Actor.here("test"))
        metadata.collections.start(
            f"task-{customer}", "cli", Slice(customer, "focus", f"{customer}.main", PERIOD), "run"
        )
        metadata.activity.record_requests("probe", {f"{customer}.main": (1, Decimal(0))}, datetime.now(UTC))
        metadata.slices.start_generation(Slice(customer, "focus", f"{customer}.main", PERIOD), "run")
        metadata.tokens.issue("dashboard", customer, "viewer")
        author = Principal("alice", "alice", customer, "viewer")
        view = {"customer_id": customer, "principal": author, "actor": Actor.here("test")}
        metadata.saved_views.save("mine", "/explore", None, **view)
        metadata.commitments.replace(account, [COMMITMENT], datetime.now(UTC))
        made = MadeForecast(datetime.now(UTC), 1, None, None, is_simulated=False, is_by_sub_account=True)
        metadata.forecasts.keep(customer, made, b"", 95)
        wanted = {
            "chosen": {},
            "month": date(2026, 10, 1),
            "currency": None,
            "amount": None,
            "factor": Decimal(2),
            "note": "",
        }
        budget = Budget("all", Cadence.MONTHLY, Decimal(5), "USD")
        metadata.budgets.save(budget, customer_id=customer, principal=author, now=datetime.now(UTC))
        metadata.forecasts.override(wanted, customer_id=customer, principal=author, now=datetime.now(UTC))
        series = UsageKey("focus", f"{customer}.main", "Compute", "USD")
        planted_anomaly(metadata, series, date(2026, 10, 1), Decimal(50), author, datetime(2026, 10, 2, tzinfo=UTC))
        own = {"customer_id": customer, "actor": Actor.here("test")}
        metadata.rates.override(PERIOD.start.date(), "USD", "CHF", Decimal(1), **own)
        metadata.rates.set_method("month", **own)
        frozen = FrozenRate(PERIOD.start.date(), Decimal(1), PERIOD.start.date(), "ECB")
        metadata.rates.freeze(Pair("USD", "CHF", "day"), [frozen], customer_id=customer)
        slice_, now = Slice(customer, "focus", f"{customer}.main", PERIOD), datetime.now(UTC)
        metadata.invoices.publish(slice_, "source", InvoiceStatement(), now)
        (found,) = reconcile([group], None, MonthState(PERIOD, now, False, {}))
        metadata.invoices.add_reconciliations(customer, [StoredReconciliation(slice_, found, now, now, 0, 0, None)])
        alert(metadata, customer)
    metadata.tokens.issue("root", None, "admin")


@pytest.fixture
def filled(metadata: Metadata) -> Metadata:
    """Two customers with everything."""
    fill(metadata)
    return metadata


def rows(metadata: Metadata, text: str) -> list[dict[str, object]]:
    """The rows of a statement of the test's own, on the connection of this thread's transaction."""
    return metadata._thread.connection.execute(text.encode()).fetchall()  # type: ignore[no-any-return]


def tables(settings: Settings) -> dict[str, list[str]]:
    """Columns of each table of ours."""
    with psycopg.connect(str(settings.postgres_url)) as connection:
        found: dict[str, list[str]] = {}
        for table, column in connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables "
            "USING (table_schema, table_name) WHERE table_schema = 'optiinfra' AND table_type = 'BASE TABLE'"
        ):
            found.setdefault(table, []).append(column)
    return found


def test_without_any_condition_only_the_customers_rows_are_seen(filled: Metadata) -> None:
    for customer in CUSTOMERS:
        with filled.of_customer(customer):
            assert {one.customer_id for one in filled.customers.find()} == {customer}
            assert {one.customer_id for one in filled.accounts.find()} == {customer}
            assert {one.account.customer_id for one in filled.accounts.states()} == {customer}
            assert {one.slice.customer_id for one in filled.slices.states()} == {customer}
            assert {one.slice.customer_id for one in filled.collections.history()} == {customer}
            assert {one.customer_id for one in filled.credentials.audit()} == {customer}
            assert {one.customer_id for one in filled.tokens.find()} == {customer}
            assert {one.customer_id for one in filled.access_audit.find()} == {customer}
    assert {one.customer_id for one in filled.tokens.find()} == {*CUSTOMERS, None}


def test_each_table_the_role_may_read_shows_rows_of_one_customer(filled: Metadata, settings: Settings) -> None:
    with psycopg.connect(str(settings.postgres_url)) as connection:
        readable = {
            row[0]
            for row in connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'optiinfra'::regnamespace AND relkind IN ('r', 'v', 'm', 'p') "
                "AND has_any_column_privilege('optiinfra_api', oid, 'SELECT')"
            )
        }
    for table in readable:
        of_row = "account_id" if table in ("slice_state", "generations", "provider_requests") else "customer_id"
        with filled.of_customer("acme"):
            found = rows(filled, f"SELECT {of_row} AS id FROM optiinfra.{table}")
        assert {str(row["id"]).partition(".")[0] for row in found} == {"acme"}, table
    assert readable == {
        "customers",
        "accounts",
        "slice_state",
        "generations",
        "collection_history",
        "credentials",
        "credential_audit_log",
        "access_audit_log",
        "api_tokens",
        "provider_requests",
        "collection_events",
        "saved_views",
        "commitments",
        "anomaly_refreshes",
        "anomaly_states",
        "anomaly_versions",
        "expectations",
        "forecasts",
        "forecast_overrides",
        "budgets",
        "budget_changes",
        "rate_overrides",
        "rate_settings",
        "frozen_rates",
        "invoice_statements",
        "reconciliations",
        "alert_channels",
        "alert_rules",
        "alert_occasions",
        "alert_deliveries",
        "alert_outbox",
    }


def test_every_table_with_a_customer_has_row_policies(metadata: Metadata, settings: Settings) -> None:
    with psycopg.connect(str(settings.postgres_url)) as connection:
        guarded = {
            row[0]
            for row in connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'optiinfra'::regnamespace AND relrowsecurity"
            )
        }
    with_customer = {table for table, columns in tables(settings).items() if "customer_id" in columns}
    assert with_customer - guarded == set(), "add the table to a migration such as 0027_rows_of_one_customer.sql"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT token_hash FROM optiinfra.api_tokens",
        "SELECT ciphertext FROM optiinfra.credentials",
        "SELECT wrapped_key FROM optiinfra.credentials",
        "SELECT key_id FROM optiinfra.master_keys",
        "SELECT ciphertext FROM optiinfra.channel_secrets",
        "SELECT wrapped_key FROM optiinfra.sealed_keys",
        "SELECT body FROM optiinfra.provider_snapshots",
        "UPDATE optiinfra.accounts SET status = 'disabled'",
        "INSERT INTO optiinfra.customers (customer_id, name) VALUES ('acme', 'x')",
        "DELETE FROM optiinfra.collection_history",
    ],
)
def test_what_it_may_not_read_or_do_is_refused(filled: Metadata, statement: str) -> None:
    refused = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
    with pytest.raises(refused), filled.of_customer("acme"):
        rows(filled, statement)


@pytest.mark.parametrize("customer", ["", "nobody", "acme' OR true --"])
def test_a_customer_that_is_none_sees_nothing(filled: Metadata, customer: str) -> None:
    with filled.of_customer(customer):
        assert (
            filled.customers.find(),
            filled.collections.history(),
            filled.tokens.find(),
            filled.slices.states(),
        ) == (
            [],
            [],
            [],
            [],
        )


def test_nothing_of_it_stays_behind(filled: Metadata) -> None:
    with filled.of_customer("acme"):
        filled.customers.find()
    with pytest.raises(ZeroDivisionError), filled.of_customer("acme"):
        raise ZeroDivisionError
    assert len(filled.customers.find()) == 2
    filled.customers.add("gamma")
    with filled.transaction():
        assert len(filled.customers.find()) == 3
        with pytest.raises(RuntimeError, match="within a transaction"), filled.of_customer("acme"):
            pass
        filled.customers.add("delta")


def test_the_role_alone_sees_nothing(filled: Metadata) -> None:
    with filled.transaction():
        rows(filled, "SELECT set_config('role', 'optiinfra_api', true)")
        assert filled.customers.find() == []
        assert filled.slices.states() == []


def test_threads_do_not_mix(filled: Metadata) -> None:
    wrong: list[object] = []

    def read(customer: str) -> None:
        for _ in range(50):
            with filled.of_customer(customer):
                seen = [one.customer_id for one in filled.customers.find()]
            if seen != [customer]:
                wrong.append(seen)

    threads = [threading.Thread(target=read, args=(customer,)) for customer in CUSTOMERS * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


@pytest.fixture
def plain_user(settings: Settings) -> Iterator[Settings]:
    """Settings of a user that is no superuser and owns nothing but the database of this test."""
    name = f"plain_{uuid.uuid4().hex[:12]}"
    database = urlsplit(str(settings.postgres_url)).path.strip("/")
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as admin:
        host, port = admin.info.host, admin.info.port
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'plain'".encode())
        admin.execute(f'ALTER DATABASE "{database}" OWNER TO {name}'.encode())
        url = f"postgresql://{name}:plain@/{database}?host={quote(host, safe='')}&port={port}"
        yield settings.model_copy(update={"postgres_url": url})
        admin.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER".encode())
        admin.execute(f"DROP OWNED BY {name}".encode())
        admin.execute(f"DROP ROLE {name}".encode())


def test_a_user_without_rights_over_roles_is_told_what_to_ask_for(plain_user: Settings, settings: Settings) -> None:
    user = str(psycopg.conninfo.conninfo_to_dict(str(plain_user.postgres_url))["user"])
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as admin:
        opened = Metadata.connect(plain_user)
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
            opened.migrate()
        asked = f"GRANT optiinfra_api TO {user}"
        assert f"CREATE ROLE optiinfra_api NOLOGIN; {asked}" in str(refused.value)
        admin.execute(
            b"DO $$ BEGIN CREATE ROLE optiinfra_api NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
        admin.execute(asked.encode())
        opened.migrate()
        _works(opened)


def test_a_user_that_may_make_roles_needs_nobody(plain_user: Settings, settings: Settings) -> None:
    user = str(psycopg.conninfo.conninfo_to_dict(str(plain_user.postgres_url))["user"])
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as admin:
        others = admin.execute(b"SELECT count(*) FROM pg_roles WHERE rolname = 'optiinfra_api'").fetchone()
        admin.execute(f"ALTER ROLE {user} CREATEROLE".encode())
        if others == (1,):
            # Made by another: the rights over it are given as to one who made it.
            admin.execute(f"GRANT optiinfra_api TO {user} WITH ADMIN TRUE, SET FALSE".encode())
    opened = Metadata.connect(plain_user)
    opened.migrate()
    _works(opened)


def _works(metadata: Metadata) -> None:
    fill(metadata)
    with metadata.of_customer("acme"):
        assert [one.customer_id for one in metadata.customers.find()] == ["acme"]
        assert {one.customer_id for one in metadata.tokens.find()} == {"acme"}
    assert len(metadata.customers.find()) == 2
    metadata.close()
