"""The filters of a page as its reader sees them: each accepted value, with the address of the page without it."""

from __future__ import annotations

from dataclasses import replace

from optiinfra_api.exploring.state import DIMENSIONS, TAG, State
from optiinfra_api.web.breakdown import LABELS, label_of
from optiinfra_api.web.visit import Visit


def chips(visit: Visit, path: str, state: State) -> list[dict[str, str]]:
    """Dimension, value and the address `without` it, for each accepted value of each filter of `state`."""
    return [
        {
            "dimension": f"Tag {state.tag_key}" if dimension == TAG else LABELS[dimension],
            "value": label_of((value,), (DIMENSIONS.get(dimension, "tag"),)),
            "without": visit.link(path, **state.without(dimension, value).parameters()),
        }
        for dimension, accepted in state.filters.items()
        for value in accepted
    ]


def cleared(visit: Visit, path: str, state: State) -> str:
    """The address of the page without any filter."""
    return visit.link(path, **replace(state, filters={}, tag_key="").parameters())
