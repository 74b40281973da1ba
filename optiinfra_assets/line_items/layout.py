"""Recognizes the FOCUS columns of a delivery by their names, and the version of FOCUS that it follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from optiinfra_assets.domain import focus

_UNTIL_1_3 = ("ProviderName", "PublisherName")
_BY_LOWER_NAME = {name.lower(): name for name in focus.BY_NAME}
_OLD_BY_LOWER_NAME = {old.lower(): new for old, new in focus.PRE_1_0_NAMES.items()}


def mandatory(version: focus.Version) -> tuple[str, ...]:
    """Columns that a delivery of `version` must have.

    1.3 renamed the provider columns and kept the old names as deprecated: either pair is accepted.
    """
    return tuple(
        column.name
        for column in focus.COLUMNS
        if column.mandatory and column.since <= version and not (version >= focus.V1_3 and column.name in _UNTIL_1_3)
    )


MANDATORY: Final = mandatory(focus.V1_4)
"""Columns that line items must have, though not all need a value (see `NOT_NULL`): those of FOCUS 1.4."""


class LayoutRejected(ValueError):
    """The columns of a delivery are not accepted; the message names the column and what is accepted."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one delivery.

    Attributes:
        names: as delivered, in order.
        version: FOCUS version recognized from the columns.
        positions: FOCUS name -> position in `names`. Matching ignores case; names from before 1.0 count as the 1.0 name.
        extras: (position, name under ``x_``) of the columns that are kept in ``x_columns``.
        is_preview: the delivery has a name from before 1.0, as Oracle's reports still do: columns that 1.0 made mandatory may be absent,
            and of the enumerations only that of ChargeCategory is enforced.
    """

    names: tuple[str, ...]
    version: focus.Version
    positions: dict[str, int]
    extras: tuple[tuple[int, str], ...]
    is_preview: bool

    @classmethod
    def of(cls, names: Sequence[str]) -> Layout:
        """Recognize the columns of a delivery by their names.

        Raises:
            LayoutRejected: two columns have one name, or a mandatory column of the version is missing.
        """
        positions = _focus_positions(names)
        if positions:  # in a file without a header row the names are values, and values may be equal
            _refuse_twins(names)
        version = _version(positions)
        is_preview = any(names[n].lower() in _OLD_BY_LOWER_NAME for n in positions.values())
        _refuse_missing(positions, version, ("ChargeClass", "ContractedCost") if is_preview else ())
        return cls(tuple(names), version, positions, _extras(names, positions), is_preview)

    @property
    def version_text(self) -> str:
        """The version as text, such as ``1.2``; ``before 1.0``."""
        return "before 1.0" if self.is_preview else version_text(self.version)


def version_text(version: focus.Version) -> str:
    """``(1, 2)`` -> ``1.2``."""
    return f"{version[0]}.{version[1]}"


def _refuse_twins(names: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for name in filter(None, names):
        twin = seen.get(name.lower())
        if twin == name:
            raise LayoutRejected(f"two columns have the name {name!r}: remove or rename one")
        if twin is not None:
            raise LayoutRejected(
                f"columns {twin!r} and {name!r} have the same name but for capitals: remove or rename one"
            )
        seen[name.lower()] = name


def _focus_positions(names: Sequence[str]) -> dict[str, int]:
    positions = {_BY_LOWER_NAME[name.lower()]: n for n, name in enumerate(names) if name.lower() in _BY_LOWER_NAME}
    for n, name in enumerate(names):
        modern = _OLD_BY_LOWER_NAME.get(name.lower())
        if modern is not None:
            positions.setdefault(modern, n)
    return positions


def _version(positions: dict[str, int]) -> focus.Version:
    if "ServiceProviderName" in positions:
        has_1_4 = any(focus.BY_NAME[name].since == focus.V1_4 for name in positions)
        return focus.V1_4 if has_1_4 or not any(name in positions for name in _UNTIL_1_3) else focus.V1_3
    return max(
        (focus.BY_NAME[name].since for name in positions if focus.BY_NAME[name].since <= focus.V1_2),
        default=focus.V1_0,
    )


def _refuse_missing(positions: dict[str, int], version: focus.Version, spared: Sequence[str]) -> None:
    missing = [name for name in mandatory(version) if name not in positions and name not in spared]
    if missing:
        names = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise LayoutRejected(
            f"mandatory column {names} is missing: the columns are taken for FOCUS {version_text(version)} CostAndUsage; "
            "export that dataset with all its mandatory columns"
        )


def _extras(names: Sequence[str], positions: dict[str, int]) -> tuple[tuple[int, str], ...]:
    stored = {
        n for name, n in positions.items() if focus.BY_NAME[name].until is None and names[n].lower() == name.lower()
    }
    extras: list[tuple[int, str]] = []
    taken: dict[str, str] = {}
    for n, name in enumerate(names):
        if n in stored:
            continue
        kept = _extra_name(n, name)
        if kept in taken:
            raise LayoutRejected(f"columns {taken[kept]!r} and {name!r} would both be kept as {kept!r}: rename one")
        taken[kept] = name
        extras.append((n, kept))
    return tuple(extras)


def _extra_name(position: int, name: str) -> str:
    if not name:
        return f"x_unnamed_{position + 1}"
    if name.lower().startswith("x_"):
        return name
    return f"x_{_BY_LOWER_NAME.get(name.lower(), name)}"
