"""Forecasts of a customer as bytes, to store them: compressed arrays and their names, nothing that could run."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from optiinfra_assets.analytics.arrays import Calendar
from optiinfra_assets.analytics.charge_parts import CostPart
from optiinfra_assets.analytics.cost_history import CostHistory, Method, SeriesForecasts
from optiinfra_assets.analytics.customer_forecast import CurrencyForecast, SeriesKey
from optiinfra_assets.analytics.forecast import exact
from optiinfra_assets.domain.subunits import decimal_places

_ERRORS = ("errors_of_sums", "errors_of_days", "actual", "level")


def to_bytes(forecasts: Sequence[CurrencyForecast]) -> bytes:
    """Return the bytes of forecasts, one a currency. Errors, which bounds are made of, keep seven digits."""
    names: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for number, one in enumerate(forecasts):
        names.append(
            {
                "currency": one.currency,
                "keys": [list(key[:4]) for key in one.keys],
                "methods": [method.value for method in one.series.methods],
                "recent from": one.recent.first_day.isoformat(),
            }
        )
        found: dict[str, Any] = {part.value: values.astype(np.int64) for part, values in one.series.parts.items()}
        found |= {name: getattr(one.series, name).astype(np.float32) for name in _ERRORS}
        found |= {"run out": one.series.credits_run_out, "recent": one.recent.usage}
        found |= {"through": one.through.astype(np.int64), "days": one.days.dates.astype(np.int64)}
        arrays |= {f"{number}.{name}": values for name, values in found.items()}
    body = io.BytesIO()
    np.savez(body, names=np.frombuffer(json.dumps(names).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
    return zlib.compress(body.getvalue(), 3)


def from_bytes(body: bytes) -> list[CurrencyForecast]:
    """Return the forecasts that `to_bytes` made bytes of."""
    with np.load(io.BytesIO(zlib.decompress(body)), allow_pickle=False) as arrays:
        names = json.loads(arrays["names"].tobytes())
        return [
            _one(about, {name: arrays[f"{number}.{name}"] for name in _stored()}) for number, about in enumerate(names)
        ]


def _stored() -> list[str]:
    return [*(part.value for part in CostPart), *_ERRORS, "run out", "recent", "through", "days"]


def _one(about: dict[str, Any], found: dict[str, Any]) -> CurrencyForecast:
    keys = [SeriesKey(*key) for key in about["keys"]]
    through, days = found["through"].astype("M8[D]"), Calendar(found["days"].astype("M8[D]"))
    past = CostHistory.of_daily(date.fromisoformat(about["recent from"]), found["recent"])
    recent = CostHistory(past.first_day, through, past.usage, past.support, past.tax, past.credits, past.credits_left)
    digits = decimal_places(about["currency"])
    series = SeriesForecasts(
        parts={part: exact(found[part.value]) for part in CostPart},
        errors_of_sums=found["errors_of_sums"].astype(np.float64),
        errors_of_days=found["errors_of_days"].astype(np.float64),
        actual=found["actual"].astype(np.float64),
        level=found["level"].astype(np.float64),
        methods=[Method(method) for method in about["methods"]],
        credits_run_out=found["run out"],
        digits=digits,
    )
    return CurrencyForecast(about["currency"], keys, through, days, series, recent)
