"""What a GraphQL type and a record call the same is copied; words become members, and what does not fit is an error."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from optiinfra_api.fields.administration.access_log import AccessAction, AccessAuditEntry
from optiinfra_api.fields.administration.customers import Customer
from optiinfra_api.fields.administration.tokens import TokenRole
from optiinfra_api.fields.from_record import from_record
from optiinfra_assets.metadata.access_audit import AccessEntry
from optiinfra_assets.metadata.tokens import Principal

ENTRY = AccessEntry(
    id=2**40,
    at=datetime(2026, 11, 30, tzinfo=UTC),
    actor="cli",
    origin="host",
    action="create_token",
    customer_id=None,
    token_id="t",
    role="operator",
    name="n",
    detail=None,
)


def test_words_become_members_and_null_stays_null() -> None:
    shown = from_record(AccessAuditEntry, ENTRY)
    assert (shown.id, shown.at, shown.customer_id) == (2**40, ENTRY.at, None)
    assert (shown.action, shown.role) == (AccessAction.CREATE_TOKEN, TokenRole.OPERATOR)
    assert from_record(AccessAuditEntry, replace(ENTRY, role=None)).role is None


def test_what_is_given_goes_before_what_the_record_has() -> None:
    shown = from_record(AccessAuditEntry, ENTRY, name="other", role=None)
    assert (shown.name, shown.role, shown.actor) == ("other", None, "cli")


def test_a_word_that_the_enum_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="'owner' is not a valid TokenRole"):
        from_record(AccessAuditEntry, replace(ENTRY, role="owner"))  # type: ignore[arg-type]


def test_a_record_that_lacks_a_field_is_refused() -> None:
    with pytest.raises(AttributeError, match="created_at"):
        from_record(Customer, Principal("t", "n", "acme", "viewer"))
