"""Joins charges to machines for clouds whose lines only mention a machine in a text: snapshots of machine lists in, one `Instance` out.

Customers change and reuse addresses and labels, and no list contains a deleted machine. So providers keep machine lists as snapshots, and
each line item is joined to the list of its own time. A charge without a match has no resource.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime

from optiinfra_assets.line_items.row_batches import Value
from optiinfra_assets.providers.context import Snapshot


@dataclass(frozen=True, slots=True)
class Instance:
    """One machine at one time.

    Attributes:
        kind: FOCUS ResourceType, such as ``Instance``.
        marks: ids and addresses that identify this machine alone.
        tags: a tag without a value has the value ``true``, as in FOCUS.
    """

    resource_id: str
    name: str
    kind: str
    region: str
    plan: str
    marks: tuple[str, ...]
    tags: Mapping[str, str]

    def values(self) -> dict[str, Value]:
        """Return the columns that it adds to a line item: FOCUS columns and ``x_Plan``."""
        return {
            "RegionId": self.region,
            "ResourceId": self.resource_id,
            "ResourceName": self.name,
            "ResourceType": self.kind,
            "Tags": self.tags,
            "x_Plan": self.plan,
        }


@dataclass(frozen=True, slots=True)
class _Index:
    marked: Mapping[str, Instance]
    named: Mapping[str, Instance]


@dataclass(slots=True)
class InstanceHistory:
    """The machines of an account over time.

    Attributes:
        snapshots: lists of machines, oldest first.
        parse: returns the machines of a snapshot's body.
    """

    snapshots: Sequence[Snapshot]
    parse: Callable[[bytes], list[Instance]]
    _indexes: dict[int, _Index] = field(default_factory=dict, init=False, repr=False)

    def find(self, marks: Sequence[str], name: str | None, start: datetime, end: datetime) -> Instance | None:
        """Return the machine that a line item of [start, end) (UTC) is for, or None.

        The machine has one of `marks`, and `name` if that is given: another machine may have the address by now. Without a known mark this
        returns the only machine of that name. It uses the list at `end`, and the list at `start` for a machine that is gone by then.
        """
        return self._known(marks, name, end) or self._known(marks, name, start)

    def _known(self, marks: Sequence[str], name: str | None, moment: datetime) -> Instance | None:
        if not self.snapshots:
            return None
        earlier = sum(snapshot.taken_at <= moment for snapshot in self.snapshots)
        index = self._index(max(earlier - 1, 0))
        for mark in marks:
            machine = index.marked.get(mark)
            if machine is not None:
                return machine if name in (None, machine.name) else None
        return index.named.get(name) if name else None

    def _index(self, number: int) -> _Index:
        if number not in self._indexes:
            machines = self.parse(self.snapshots[number].body)
            uses = Counter(machine.name for machine in machines)
            self._indexes[number] = _Index(
                {mark: machine for machine in machines for mark in machine.marks},
                {machine.name: machine for machine in machines if machine.name and uses[machine.name] == 1},
            )
        return self._indexes[number]


def daily_body(day: date, machines: Iterable[Instance]) -> bytes:
    """Return the body of a snapshot of the machines of a UTC day; it has only what `daily_list` needs."""
    return json.dumps({"day": str(day), "machines": [asdict(machine) for machine in machines]}).encode()


def daily_list(body: bytes) -> list[Instance]:
    """Return the machines of a snapshot whose body is a `daily_body`."""
    return [Instance(**{**machine, "marks": tuple(machine["marks"])}) for machine in json.loads(body)["machines"]]
