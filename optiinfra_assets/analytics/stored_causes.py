"""Causes of anomalies as JSON: what `explain` found, amounts as texts without exponent."""

from __future__ import annotations

from typing import Any, Final

from optiinfra_assets.analytics.explanation import AnomalyCause, Contribution
from optiinfra_assets.domain.exact_amounts import plain

AMOUNTS: Final = ("expected", "cost", "excess", "price", "usage", "new", "gone")


def stored_cause(cause: AnomalyCause) -> dict[str, Any]:
    """Return the causes as a JSON object: total, path, dimension, contributors, others and the part that is explained."""
    return {
        "total": _contribution(cause.total),
        "path": [
            {"dimension": step.dimension, "share": plain(step.share), **_contribution(step.contribution)}
            for step in cause.path
        ],
        "depth": cause.depth,
        "dimension": cause.dimension,
        "contributors": [_contribution(one) for one in cause.contributors],
        "others": _contribution(cause.others),
        "explained": plain(cause.explained),
    }


def _contribution(one: Contribution) -> dict[str, Any]:
    return {"value": one.value, **{name: plain(getattr(one, name)) for name in AMOUNTS}}
