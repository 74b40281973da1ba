"""Stored rates: the same again changes nothing, what was used stays, and a customer's own rates are its own and on record."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.rates import FrozenRate, MonthFrozen, Pair, Update
from optiinfra_assets.vault.credential_audit import Actor

ACTOR = Actor("token-a", "192.0.2.7")
OCTOBER = date(2026, 10, 1)


def usd(day: int, rate: str) -> tuple[date, str, Decimal]:
    """A rate of October."""
    return date(2026, 10, day), "USD", Decimal(rate)


@pytest.fixture
def acme(metadata: Metadata) -> Metadata:
    """Two customers."""
    for customer in ("acme", "beta"):
        metadata.customers.add(customer)
    return metadata


def test_a_file_again_changes_nothing_and_a_revised_rate_is_told(metadata: Metadata) -> None:
    assert metadata.rates.is_empty()
    assert metadata.rates.update("ECB", [usd(1, "1.1"), usd(2, "1.2")]) == Update(2, 2, 0)
    assert metadata.rates.update("ECB", [usd(1, "1.10"), usd(2, "1.2")]) == Update(2, 0, 0)
    assert metadata.rates.update("ECB", [usd(2, "1.3"), usd(3, "1.4")]) == Update(2, 1, 1)
    assert metadata.rates.quotes("USD")[date(2026, 10, 2)] == (Decimal("1.3"), "ECB")
    (found,) = metadata.rates.find(date(2026, 10, 9), "USD")
    assert (found.day, found.per_euro) == (date(2026, 10, 3), Decimal("1.4"))
    assert metadata.rates.find(date(2026, 9, 30)) == []
    (extent,) = metadata.rates.extent()
    assert (extent.rates, extent.first_day, extent.last_day) == (3, date(2026, 10, 1), date(2026, 10, 3))


def test_whoever_freezes_first_decides_and_the_service_sees_its_customer_only(acme: Metadata) -> None:
    pair = Pair("USD", "CHF", "day")
    first = FrozenRate(OCTOBER, Decimal("0.8"), OCTOBER, "ECB")
    later = [
        FrozenRate(OCTOBER, Decimal("0.9"), OCTOBER, "ECB"),
        FrozenRate(date(2026, 10, 2), Decimal(1), OCTOBER, "ECB"),
    ]
    assert acme.rates.freeze(pair, [first], customer_id="acme") == [first]
    assert set(acme.rates.freeze(pair, later, customer_id="acme")) == {first, later[1]}
    acme.rates.override(OCTOBER, "USD", "EUR", Decimal("0.7"), customer_id="acme", actor=ACTOR)
    acme.rates.set_method("month", customer_id="acme", actor=ACTOR)
    with acme.of_customer("beta"):
        assert acme.rates.frozen(pair, customer_id="acme") == []
        assert acme.rates.overrides(customer_id="acme") == []
        assert acme.rates.method(customer_id="acme") == "day"
    with acme.of_customer("acme"):
        assert len(acme.rates.frozen(pair, customer_id="acme")) == 2
        assert acme.rates.method(customer_id="acme") == "month"


def test_a_rate_of_a_customers_own_leaves_a_used_month_unless_told_to(acme: Metadata) -> None:
    frozen = Pair("CHF", "USD", "month")
    acme.rates.freeze(frozen, [FrozenRate(date(2026, 10, 31), Decimal(1), OCTOBER, "ECB")], customer_id="acme")
    with pytest.raises(MonthFrozen, match="2026-10 USD to CHF were converted already"):
        acme.rates.override(OCTOBER, "USD", "CHF", Decimal("0.7"), customer_id="acme", actor=ACTOR)
    assert acme.rates.overrides(customer_id="acme") == []
    acme.rates.override(date(2026, 9, 1), "USD", "CHF", Decimal("0.6"), customer_id="acme", actor=ACTOR)
    acme.rates.override(OCTOBER, "USD", "CHF", Decimal("0.7"), customer_id="acme", actor=ACTOR, reopen=True)
    assert acme.rates.frozen(frozen, customer_id="acme") == []
    assert [one.rate for one in acme.rates.overrides(customer_id="acme")] == [Decimal("0.7"), Decimal("0.6")]
    assert acme.rates.overrides(customer_id="beta") == []
    removed = acme.rates.remove_override(OCTOBER, "USD", "CHF", customer_id="acme", actor=ACTOR)
    assert removed.rate == Decimal("0.7")
    with pytest.raises(RecordNotFound, match="2026-10 USD to CHF has no rate of acme's own"):
        acme.rates.remove_override(OCTOBER, "USD", "CHF", customer_id="acme", actor=ACTOR)
    for pair, said in ((("usd", "CHF"), "'usd' is not accepted"), (("USD", "USD"), "use two currencies")):
        with pytest.raises(ValueError, match=said):
            acme.rates.override(OCTOBER, *pair, Decimal(1), customer_id="acme", actor=ACTOR)
    with pytest.raises(RecordNotFound, match="'nobody' does not exist"):
        acme.rates.override(OCTOBER, "USD", "CHF", Decimal(1), customer_id="nobody", actor=ACTOR)
    acme.rates.set_method("month", customer_id="acme", actor=ACTOR)
    acme.rates.set_method("month", customer_id="acme", actor=ACTOR)
    log = [(one.action, one.name, one.detail) for one in acme.access_audit.find(customer_id="acme")]
    assert log[:4] == [
        ("set_rate_method", "month", "day"),
        ("remove_rate", "2026-10 USD to CHF", "0.7"),
        ("set_rate", "2026-10 USD to CHF", None),
        ("set_rate", "2026-09 USD to CHF", None),
    ]
