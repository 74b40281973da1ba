"""Causes of anomalies as JSON: what `explain` found, amounts as texts without exponent."""

from __future__ import annotations

from typing import Any, Final

from optiinfra_assets.analytics.explanation import AnomalyCause, Contribution, DimensionCause
from optiinfra_assets.domain.exact_amounts import plain

AMOUNTS: Final = ("expected", "cost", "excess", "price", "usage", "new", "gone")


def stored_cause(cause: AnomalyCause) -> dict[str, Any]:
    """Return the causes as a JSON object: total, path, the values that tell most, and those of each dimension."""
    return {
        "path": [
            {"dimension": step.dimension, "share": plain(step.share), **_contribution(step.contribution)}
            for step in cause.path
        ],
        "depth": cause.depth,
        **stored_dimension(cause.named),
        "total": _contribution(cause.total),
        "by_dimension": [stored_dimension(one) for one in cause.by_dimension],
    }


def stored_dimension(one: DimensionCause) -> dict[str, Any]:
    """Return the values of a dimension as a JSON object: dimension, total, contributors, others and the part that is explained."""
    return {
        "dimension": one.dimension,
        "total": _contribution(one.total),
        "contributors": [_contribution(value) for value in one.contributors],
        "others": _contribution(one.others),
        "explained": plain(one.explained),
    }


def _contribution(one: Contribution) -> dict[str, Any]:
    return {"value": one.value, **{name: plain(getattr(one, name)) for name in AMOUNTS}}
