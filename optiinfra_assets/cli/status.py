"""The command status: shows the components, the connected accounts, what fails, the open tasks, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from optiinfra_assets.cli.failures import failure_as_json, print_failures
from optiinfra_assets.cli.output import print_json, print_table
from optiinfra_assets.cli.stores import opened_stores

if TYPE_CHECKING:
    from optiinfra_assets.cli.health import ComponentHealth
    from optiinfra_assets.cli.problems import Problem
    from optiinfra_assets.domain.failures import Failure
    from optiinfra_assets.domain.publications import ResolvedGenerations
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.metadata.accounts import AccountState
    from optiinfra_assets.settings import Settings
    from optiinfra_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """The status of one account. Times are UTC; `data_through` is exclusive; None: not yet, or unknown."""

    account: str
    provider: str
    status: str
    is_simulated: bool
    periods: int
    due: int
    last_probe_at: datetime | None
    last_publication_at: datetime | None
    data_through: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task that has not ended."""

    task: str
    trigger: str
    slices: int
    running: int
    since: datetime


@dataclass(frozen=True, slots=True)
class PlatformContents:
    """What the databases hold: accounts, open tasks, failures that stand, and everything that is not well."""

    accounts: list[AccountStatus] = field(default_factory=list)
    tasks: list[OpenTask] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show what runs, what is connected, what fails, what is under way, and what to do next.

    Exit code 0 if every part answers or nothing was started here yet, 1 if a part is down. "All is well" is said only if nothing
    fails, waits for too long or is nearly full; with --json that is `is_well`.

    \b
    Examples:
      optiinfra status
      OPTIINFRA_HOME=~/.optiinfra-demo optiinfra status --json
    """
    from optiinfra_assets.cli import health
    from optiinfra_assets.settings import Settings

    settings = Settings()
    is_started = bool(settings.postgres_url or settings.clickhouse_url)
    parts = health.check_components(settings) if is_started else []
    up = {part.name for part in parts if part.is_up}
    found = _contents(settings) if up >= {"postgres", "clickhouse"} else _without_clickhouse(settings, up, is_started)
    following = _next(parts, found) if is_started else _how_to_start(settings)
    if as_json:
        _print_json(settings, parts, found, following)
    else:
        _print(settings, parts, found, following)
    if not all(part.is_up for part in parts):
        raise click.exceptions.Exit(1)


def _without_clickhouse(settings: Settings, up: Collection[str], is_started: bool) -> PlatformContents:
    """What can be said without the costs: a full disk is a usual reason for which a database is down, and PostgreSQL knows the failures."""
    from optiinfra_assets.cli.problems import home_disk
    from optiinfra_assets.metadata import Metadata

    problem = home_disk(settings) if is_started else None
    found = PlatformContents(problems=[problem] if problem else [])
    if "postgres" in up:
        with closing(Metadata.connect(settings)) as metadata:
            if not metadata.migrate(dry_run=True):
                found = replace(found, tasks=_open_tasks(metadata), failures=metadata.failures.find())
    return found


def _contents(settings: Settings) -> PlatformContents:
    from optiinfra_assets.cli.problems import problems_of

    with opened_stores(settings) as (metadata, warehouse):
        if metadata.migrate(dry_run=True) or warehouse.migrate(dry_run=True):
            return PlatformContents()
        failures = metadata.failures.find()
        problems = problems_of(settings, metadata, warehouse, failures, datetime.now(UTC))
        return PlatformContents(_account_lines(metadata, warehouse), _open_tasks(metadata), failures, problems)


def _account_lines(metadata: Metadata, warehouse: Warehouse) -> list[AccountStatus]:
    states = metadata.accounts.states()
    due = Counter(one.slice.account_id for one in metadata.slices.states(due=True))
    published: dict[str, ResolvedGenerations] = {}
    for customer_id in sorted({state.account.customer_id for state in states}):
        resolved = warehouse.resolve(customer_id, standing=metadata.slices.freshness(customer_id))
        published |= resolved.by_account()
    return [
        _account_line(state, published.get(state.account.account_id), due[state.account.account_id]) for state in states
    ]


def _account_line(state: AccountState, published: ResolvedGenerations | None, due: int) -> AccountStatus:
    return AccountStatus(
        account=state.account.account_id,
        provider=state.account.provider,
        status=state.status,
        is_simulated=state.account.is_simulated,
        periods=len(published.publications) if published else 0,
        due=due,
        last_probe_at=state.last_probe_at,
        last_publication_at=published.published_at if published else None,
        data_through=published.data_through if published else None,
        last_error=state.last_error,
    )


def _open_tasks(metadata: Metadata) -> list[OpenTask]:
    by_task: dict[str, list[Any]] = {}
    for record in metadata.work_queue.open_collections():
        by_task.setdefault(record.task_id, []).append(record)
    return [
        OpenTask(
            task,
            records[0].trigger,
            len(records),
            sum(one.status == "running" for one in records),
            min(one.queued_at for one in records),
        )
        for task, records in by_task.items()
    ]


def _how_to_start(settings: Settings) -> str:
    """Return what to do where no addresses are known: a platform that starts writes them when its databases answer."""
    from optiinfra_assets.embedded import home_folder
    from optiinfra_assets.settings import demo_home

    for home in (settings.home, demo_home()):
        if home_folder.is_held(home):
            return f"the platform in {home} is starting or stopping: ask again in a minute"
    return "nothing runs here; type: optiinfra up     (or, with simulated data: optiinfra demo)"


def _next(parts: list[ComponentHealth], found: PlatformContents) -> str:
    """Return what the user should do now, with the command to type."""
    from optiinfra_assets.cli.health import AUTOMATION

    down = [part for part in parts if not part.is_up]
    if down and down[0].name == AUTOMATION:
        return f"nothing is collected by itself: {down[0].detail}"
    full = next((one for one in found.problems if one.kind == "disk"), None)
    if down and full:
        return f"{down[0].name} is down, and {full.what}: {full.remedy}"
    if down:
        return f"{down[0].name} is down; if no `optiinfra up` runs in this home, start it; else see its log in OPTIINFRA_HOME/logs"
    if any("optiinfra migrate" in part.detail for part in parts):
        return "type: optiinfra migrate"
    active = [line for line in found.accounts if line.status == "active"]
    if not active:
        return "nothing is connected; type: optiinfra connect focus --customer acme --location /data/focus"
    if found.problems:
        first = found.problems[0]
        more = f" (and {len(found.problems) - 1} more, see above)" if len(found.problems) > 1 else ""
        return f"not well: {first.what}: {first.remedy}{more}"
    if found.tasks:
        return "collections are under way; all else is well"
    if any(line.due for line in active):
        return "changes are collected within 15 minutes; now: optiinfra collect --wait"
    return "all is well; a token for GraphQL: optiinfra token create --customer <customer>"


def _print_json(settings: Settings, parts: list[ComponentHealth], found: PlatformContents, following: str) -> None:
    is_up = bool(parts) and all(part.is_up for part in parts)
    print_json(
        {
            "home": settings.home,
            "is_up": is_up,
            "is_well": is_up and not found.problems,
            "parts": [asdict(part) for part in parts],
            "accounts": [asdict(line) for line in found.accounts],
            "failures": [failure_as_json(one) for one in found.failures],
            "problems": [asdict(one) for one in found.problems],
            "open_tasks": [asdict(task) for task in found.tasks],
            "next": following,
        }
    )


def _print(settings: Settings, parts: list[ComponentHealth], found: PlatformContents, following: str) -> None:
    click.echo(f"home {settings.home}")
    if parts:
        click.echo()
        print_table(
            ("part", "state", "detail"),
            [(part.name, "up" if part.is_up else "DOWN", part.detail) for part in parts],
        )
    if found.accounts:
        click.echo()
        print_table(tuple(_COLUMNS), [[cell(line) for cell in _COLUMNS.values()] for line in found.accounts])
    if found.failures:
        click.echo()
        print_failures(found.failures)
    others = [one for one in found.problems if one.kind != "failure"]
    if others:
        click.echo()
        print_table(("not well", "since", "do"), [(one.what, one.since, one.remedy) for one in others])
    if found.tasks:
        click.echo()
        columns = ("open task", "asked by", "slices", "running", "since")
        print_table(columns, [(task.task, task.trigger, task.slices, task.running, task.since) for task in found.tasks])
    click.echo(f"\nnext: {following}")


def _name(line: AccountStatus) -> str:
    return f"{line.account}{' (simulated)' if line.is_simulated else ''}{' (disabled)' if line.status == 'disabled' else ''}"


_COLUMNS: Final[dict[str, Callable[[AccountStatus], object]]] = {
    "account": _name,
    "provider": lambda line: line.provider,
    "periods": lambda line: line.periods,
    "due": lambda line: line.due,
    "last probe": lambda line: line.last_probe_at,
    "last publication": lambda line: line.last_publication_at,
    "data through": lambda line: line.data_through,
    "last error": lambda line: line.last_error,
}
