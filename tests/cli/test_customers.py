"""The verb customers, and that what the command line does with customers and tokens is on record."""

from __future__ import annotations

import json

import pytest
from command_line import Run

from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings


def test_customers_are_added_listed_and_renamed(connected: Run) -> None:
    assert connected("customers", "list").out == "no customer yet; next: optiinfra customers add <customer>\n"
    assert connected("customers", "add", "beta").out == "added beta (beta)\n"
    added = json.loads(connected("customers", "add", "acme", "--name", "Acme Ltd", "--json").out)
    assert (added["customer_id"], added["name"]) == ("acme", "Acme Ltd")
    assert connected("customers", "rename", "acme", "Acme Inc").out == "renamed acme (Acme Inc)\n"
    listed = json.loads(connected("customers", "list", "--json").out)
    assert [(one["customer_id"], one["name"]) for one in listed] == [("acme", "Acme Inc"), ("beta", "beta")]
    shown = connected("customers", "list").out
    assert "Acme Inc" in shown
    assert "UTC" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "acme"], "customer: 'acme' exists"),
        (["add", "Acme"], "customer: 'Acme' is not accepted: use 1 to 100 lower-case letters"),
        (["add", "beta", "--name", ""], "name: '' is not accepted: use 1 to 100 printable characters"),
        (["rename", "nobody", "Nobody"], "customer: 'nobody' does not exist"),
        (["rename", "acme", " "], "name: ' ' is not accepted"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_is_not_accepted(connected: Run, arguments: list[str], said: str) -> None:
    assert connected("customers", "add", "acme").code == 0
    assert said in connected("customers", *arguments).error


def test_acts_of_the_command_line_are_on_record(connected: Run, settings: Settings) -> None:
    connected("customers", "add", "acme")
    issued = json.loads(connected("token", "create", "--customer", "acme", "--json").out)
    assert connected("token", "revoke", issued["token_id"]).code == 0
    metadata = Metadata.connect(settings)
    log = metadata.access_audit.find()
    metadata.close()
    assert [(one.action, one.actor, one.token_id) for one in log] == [
        ("revoke_token", "cli", issued["token_id"]),
        ("create_token", "cli", issued["token_id"]),
        ("create_customer", "cli", None),
    ]
    assert all(":" in one.origin for one in log)
