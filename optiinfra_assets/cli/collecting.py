"""The command collect, and polling of a task until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from optiinfra_assets.cli.output import print_json, print_warnings, progress_bar

if TYPE_CHECKING:
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.metadata.collections import CollectionRecord, CollectionTask, TaskStatus

_POLL_SECONDS = 0.3
_ENDED = ("succeeded", "failed", "canceled")
_SHOWN_FAILURES = 20


@click.command()
@click.option("--customer", help="Only this customer's accounts.")
@click.option("--provider", help="Only accounts at this provider.")
@click.option("--account", help="Only this account, as shown by `optiinfra accounts`.")
@click.option(
    "--period",
    help="This billing period, YYYY-MM, changed or not; if left out: what is due, and the last two months.",
)
@click.option("--accept-empty", is_flag=True, help="A source with nothing in it means no line items; needs --account.")
@click.option("--wait", is_flag=True, help="Show progress and return when done; exit code 1 if a slice failed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def collect(
    customer: str | None,
    provider: str | None,
    account: str | None,
    period: str | None,
    accept_empty: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Collect now, through Dagster, what otherwise comes within 15 minutes of a change.

    A slice that did not change publishes nothing.

    \b
    Examples:
      optiinfra collect --customer acme --wait
      optiinfra collect --account acme.focus --period 2026-11 --wait --json
    """
    from optiinfra_assets.database.errors import NothingDue
    from optiinfra_assets.domain.accounts import BillingPeriod
    from optiinfra_assets.ingestion.triggering import trigger_collection
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.settings import Settings

    if accept_empty and not account:
        raise click.UsageError("--accept-empty: say for which account with --account")
    billing_period = BillingPeriod.parse(period) if period else None
    settings = Settings()
    with closing(Metadata.connect(settings)) as metadata:
        try:
            task = trigger_collection(
                settings,
                metadata,
                customer_id=customer,
                provider=provider,
                account_id=account,
                billing_period=billing_period,
                trigger="cli",
                accept_empty=accept_empty,
            )
            _report(metadata, task, wait=wait, as_json=as_json)
        except NothingDue as nothing:
            print_json({"task": None, "slices": []}) if as_json else click.echo(str(nothing))


def _report(metadata: Metadata, task: CollectionTask, *, wait: bool, as_json: bool) -> None:
    if not wait:
        asked = f"task {task.task_id}: {len(task.slices)} slices asked for; follow it with: optiinfra status"
        print_json({"task": task.task_id, "slices": [str(one) for one in task.slices]}) if as_json else click.echo(
            asked
        )
        return
    try:
        done = wait_for(metadata, task)
    except KeyboardInterrupt:
        said = f"\ntask {task.task_id} goes on without this command; follow it with: optiinfra status"
        click.echo(said, err=True)
        raise
    if as_json:
        print_json(_as_json(done))
    else:
        _print_outcome(done)
    if done.state != "succeeded":
        raise click.exceptions.Exit(1)


def follow(metadata: Metadata, task_id: str) -> Iterator[TaskStatus]:
    """Poll the status of a task and yield it each time, until the task has ended; the last one is the final status."""

    while True:
        status = metadata.collections.task_status(task_id)
        yield status
        if status.state in _ENDED and status.done == len(status.slices):
            return
        time.sleep(_POLL_SECONDS)


def wait_for(
    metadata: Metadata, task: CollectionTask, first: Callable[[CollectionRecord], None] | None = None
) -> TaskStatus:
    """Wait until a task has ended, with a progress bar on stderr; return its final status. Call `first` once a slice is published."""
    with progress_bar("{task.description}", "slices") as progress:
        bar = progress.add_task(f"collecting {task.task_id}", total=len(task.slices))
        for status in follow(metadata, task.task_id):
            published = next((row for row in status.slices if row.status == "succeeded"), None)
            if first and published:
                first(published)
                first = None
            progress.update(bar, completed=status.done, total=len(status.slices), description=f"{status.state:<9}")
    return status


def _as_json(done: TaskStatus) -> dict[str, Any]:
    rows = [{**asdict(row), "slice": str(row.slice)} for row in done.slices]
    return {"task": done.task_id, "state": done.state, "done": done.done, "error": done.error, "slices": rows}


def _warnings(done: TaskStatus) -> Iterator[str]:
    """Yield each warning once, with the slices that it is about: a file that is skipped is skipped in every month."""
    found: dict[str, list[str]] = {}
    for row in done.slices:
        for one in row.warnings:
            found.setdefault(str(one), []).append(str(row.slice))
    for text, slices in found.items():
        more = f" and {len(slices) - 1} more" if len(slices) > 1 else ""
        yield f"{slices[0]}{more}: {text}"


def _print_outcome(done: TaskStatus) -> None:
    counts: dict[str, int] = {}
    for row in done.slices:
        counts[row.status] = counts.get(row.status, 0) + 1
    lines = sum(row.rows or 0 for row in done.slices)
    click.echo(
        f"{done.state}: {', '.join(f'{count} {name}' for name, count in sorted(counts.items()))}; {lines} line items"
    )
    print_warnings(_warnings(done))
    failed = [row for row in done.slices if row.status == "failed"]
    for row in failed[:_SHOWN_FAILURES]:
        click.echo(f"error: {row.slice}: {row.error}", err=True)
    if len(failed) > _SHOWN_FAILURES:
        click.echo(
            f'error: and {len(failed) - _SHOWN_FAILURES} more; see collectionStatus(taskId: "{done.task_id}") of the GraphQL service, '
            "or the runs in Dagster",
            err=True,
        )
