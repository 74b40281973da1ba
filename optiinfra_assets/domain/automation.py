"""The schedules and sensors of Dagster without which nothing is collected by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

AutomationKind = Literal["schedule", "sensor"]
KINDS: Final[tuple[AutomationKind, ...]] = get_args(AutomationKind)


@dataclass(frozen=True, slots=True)
class Automation:
    """A schedule or sensor that runs unless a person stops it, and whether it does."""

    kind: AutomationKind
    name: str
    is_running: bool

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def automation_problem(automations: Sequence[Automation]) -> str | None:
    """Say in one line which of all schedules and sensors are stopped and what starts them; None if all of them run."""
    if not automations:
        return "unknown: the code location is not loaded"
    stopped = [str(one) for one in automations if not one.is_running]
    return f"stopped: {', '.join(stopped)}: type `optiinfra schedule start`" if stopped else None
