"""How values are shown: amounts, days and instants. Amounts are exact decimals until they are text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from optiinfra_assets.domain.exact_amounts import plain

MINUS: Final = "\N{MINUS SIGN}"
NOTHING: Final = "\N{EN DASH}"
_CENT: Final = Decimal("0.01")


def money(amount: Decimal | str) -> str:
    """An amount with two decimals: ``1,234.50``; of less than a cent, ``<0.01``."""
    value = Decimal(amount)
    shown = value.copy_abs().quantize(_CENT, ROUND_HALF_EVEN)
    if value and not shown:
        return "<0.01" if value > 0 else f"{MINUS}<0.01"
    return f"{MINUS if value < 0 else ''}{shown:,.2f}"


def signed(amount: Decimal | str) -> str:
    """As `money`, with a plus before what is more than nothing."""
    return f"+{money(amount)}" if Decimal(amount) > 0 else money(amount)


def percent(now: Decimal, before: Decimal) -> str:
    """The change from `before` to `now`: ``+12 %``; ``new`` from nothing, and a dash where a percentage says nothing."""
    if before <= 0 or now < 0:
        return "new" if not before and now > 0 else NOTHING
    change = (now - before) / before * 100
    if abs(change) >= 1000:
        return f"{'+' if change > 0 else MINUS}{abs(change) / 100 + (change > 0):,.0f}\N{MULTIPLICATION SIGN}"
    places = 0 if abs(change) >= 10 or not change else 1
    sign = "+" if change > 0 else MINUS if change < 0 else ""
    return f"{sign}{abs(change):.{places}f} %"


def share(part: Decimal, whole: Decimal) -> str:
    """`part` of `whole` in percent; a dash where that says nothing."""
    if whole <= 0 or part < 0:
        return NOTHING
    value = part / whole * 100
    return "<0.1 %" if 0 < value < Decimal("0.1") else f"{value:.1f} %"


def day(value: date | str | None) -> str:
    """``28 Nov 2026``."""
    found = date.fromisoformat(value) if isinstance(value, str) else value
    return f"{found.day} {found:%b %Y}" if found else NOTHING


def instant(value: datetime | str | None) -> str:
    """``28 Nov 2026, 14:05 UTC``."""
    if value is None:
        return NOTHING
    found = (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)
    return f"{day(found.date())}, {found:%H:%M} UTC"


def through(value: datetime | str | None) -> str:
    """The last whole day before an exclusive end: ``27 Nov 2026`` of the first instant of the 28th; else the instant."""
    if value is None:
        return "unknown"
    found = (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)
    is_midnight = (found.hour, found.minute, found.second) == (0, 0, 0)
    return day(found.date() - timedelta(days=1)) if is_midnight else instant(found)


ALL: Final[Mapping[str, Callable[..., Any]]] = {
    "money": money,
    "signed": signed,
    "plain": plain,
    "percent": percent,
    "share": share,
    "day": day,
    "instant": instant,
    "through": through,
}
"""The filters of the templates."""
