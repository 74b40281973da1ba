"""The types that the tests of the command line share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """Its one line on stderr."""
        assert self.code != 0
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("error: ")
        return self.err.removeprefix("error: ").strip()


class Run(Protocol):
    """``run("accounts", "--json")`` runs ``optiinfra accounts --json`` through its entry point."""

    def __call__(self, *arguments: str) -> Ran: ...
