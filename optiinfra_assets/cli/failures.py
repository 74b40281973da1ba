"""Prints failures that stand, for the commands status and accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from optiinfra_assets.cli.output import print_table

if TYPE_CHECKING:
    from optiinfra_assets.domain.failures import Failure

_SHOWN = 50


def failure_as_json(failure: Failure) -> dict[str, Any]:
    """Return a failure for scripts."""
    return {
        "account": failure.account_id,
        "provider": failure.provider,
        "period": None if failure.billing_period is None else str(failure.billing_period),
        "message": failure.message,
        "fault": failure.fault.value,
        "since": failure.since,
        "retry_at": failure.retry_at,
        "failures": failure.failures,
        "remedy": failure.remedy,
    }


def print_failures(failures: Sequence[Failure]) -> None:
    """Print what fails, since when, whose fault it is and when it is tried again, the first 50; then what to do, by whose fault it is."""
    columns = ("failing", "period", "since", "fault", "tried again", "why")
    print_table(columns, [_row(one) for one in failures[:_SHOWN]])
    if len(failures) > _SHOWN:
        click.echo(f"and {len(failures) - _SHOWN} more: optiinfra accounts --json")
    remedies = {one.fault.value: one.remedy for one in failures}
    for fault, remedy in sorted(remedies.items()):
        click.echo(f"{fault}: {remedy}")
    click.echo("To try one now: optiinfra collect --account <account> --period <period> --wait")


def _row(failure: Failure) -> tuple[object, ...]:
    again = failure.retry_at if failure.retry_at and failure.retry_at > datetime.now(UTC) else "next tick"
    period = failure.billing_period or "probe"
    return (failure.account_id, period, failure.since, failure.fault.value, again, failure.message)
