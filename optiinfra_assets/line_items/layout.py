"""Recognizes the FOCUS columns of a delivery by their names, and the version of FOCUS that it follows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from optiinfra_assets.domain import focus
from optiinfra_assets.domain.focus_datasets import sibling_dataset, squeezed
from optiinfra_assets.domain.quoting import quoted

_UNTIL_1_3 = ("ProviderName", "PublisherName")
_BY_LOWER_NAME = {name.lower(): name for name in focus.BY_NAME}
_OLD_BY_LOWER_NAME = {old.lower(): new for old, new in focus.PRE_1_0_NAMES.items()}
_OUR_EXPORT: Final = frozenset({"generation", "line_number", "billed_cost", "x_columns"})
"""Columns that show the download of line items in our own columns; see `Layout.extra_map`."""


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
    """The columns of a delivery are not accepted; the message names the column and what is accepted.

    Attributes:
        has_costs: the delivery has costs of charges, only not all the columns that they need; otherwise it is something else.
    """

    def __init__(self, message: str, *, has_costs: bool = True) -> None:
        super().__init__(message)
        self.has_costs = has_costs


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
        respelled: delivered names that were recognized in spite of spaces or underscores.
        extra_map: position of the column with all extras as one map: the delivery is our own download of line items, whose other columns
            that FOCUS has not are those of this platform and stay out. None otherwise.
    """

    names: tuple[str, ...]
    version: focus.Version
    positions: dict[str, int]
    extras: tuple[tuple[int, str], ...]
    is_preview: bool
    respelled: tuple[str, ...] = ()
    extra_map: int | None = None

    @classmethod
    def of(cls, names: Sequence[str], *, may_lack_nullable: bool = False) -> Layout:
        """Recognize the columns of a delivery by their names.

        Args:
            names: as delivered, in order.
            may_lack_nullable: accept a delivery without mandatory columns that may be null in every row.

        Raises:
            LayoutRejected: two columns have one name, or a mandatory column of the version is missing.
        """
        positions = _focus_positions(names)
        if positions:  # in a file without a header row the names are values, and values may be equal
            _refuse_twins(names)
        version = _version(positions)
        is_preview = any(names[n].lower() in _OLD_BY_LOWER_NAME for n in positions.values())
        spared = {"ChargeClass", "ContractedCost"} if is_preview else set()
        if may_lack_nullable:
            spared |= {column.name for column in focus.COLUMNS if column.nullable}
        _refuse_missing(names, positions, version, spared)
        is_ours = {name.lower() for name in names} >= _OUR_EXPORT
        return cls(
            names=tuple(names),
            version=version,
            positions=positions,
            extras=() if is_ours else _extras(names, positions),
            is_preview=is_preview,
            respelled=() if is_ours else tuple(names[n] for n in positions.values() if not _is_known(names[n])),
            extra_map=[name.lower() for name in names].index("x_columns") if is_ours else None,
        )

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
        twin = seen.get(_plain(name))
        if twin == name:
            raise LayoutRejected(f"two columns have the name {quoted(name)}: remove or rename one")
        if twin is not None:
            but_for = "capitals" if twin.lower() == name.lower() else "capitals and spaces"
            raise LayoutRejected(
                f"columns {quoted(twin)} and {quoted(name)} have the same name but for {but_for}: remove or rename one"
            )
        seen[_plain(name)] = name


def _plain(name: str) -> str:
    return name.strip().lower()


def _is_known(name: str) -> bool:
    return name.lower() in _BY_LOWER_NAME or name.lower() in _OLD_BY_LOWER_NAME


def _focus_positions(names: Sequence[str]) -> dict[str, int]:
    positions = {_BY_LOWER_NAME[_plain(name)]: n for n, name in enumerate(names) if _plain(name) in _BY_LOWER_NAME}
    for n, name in enumerate(names):
        modern = _OLD_BY_LOWER_NAME.get(_plain(name)) or _BY_LOWER_NAME.get(squeezed(name))
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


def _refuse_missing(
    delivered: Sequence[str], positions: dict[str, int], version: focus.Version, spared: Collection[str]
) -> None:
    missing = [name for name in mandatory(version) if name not in positions and name not in spared]
    if not missing:
        return
    if sibling := sibling_dataset(delivered):
        raise LayoutRejected(f"is the FOCUS dataset {sibling}, which has no costs of charges", has_costs=False)
    names = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    has_costs = not {"ChargePeriodStart", "EffectiveCost"}.isdisjoint(positions) or "BilledCost" in positions
    said = f"mandatory column {names} is missing"
    if has_costs:
        raise LayoutRejected(
            f"{said}: the columns are taken for FOCUS {version_text(version)} CostAndUsage; "
            "export that dataset with all its mandatory columns"
        )
    columns = ", ".join(map(quoted, delivered[:5])) + (", ..." if len(delivered) > 5 else "")
    raise LayoutRejected(f"{said}: the columns are {columns}, not those of FOCUS CostAndUsage", has_costs=False)


def _extras(names: Sequence[str], positions: dict[str, int]) -> tuple[tuple[int, str], ...]:
    stored = {
        n
        for name, n in positions.items()
        if focus.BY_NAME[name].until is None and _plain(names[n]) not in _OLD_BY_LOWER_NAME
    }
    extras: list[tuple[int, str]] = []
    taken: dict[str, str] = {}
    for n, name in enumerate(names):
        if n in stored:
            continue
        kept = _extra_name(n, name)
        if kept in taken:
            raise LayoutRejected(
                f"columns {quoted(taken[kept])} and {quoted(name)} would both be kept as {quoted(kept)}: rename one"
            )
        taken[kept] = name
        extras.append((n, kept))
    return tuple(extras)


def _extra_name(position: int, name: str) -> str:
    name = name.strip()
    if not name:
        return f"x_unnamed_{position + 1}"
    if name.lower().startswith("x_"):
        return name
    return f"x_{_BY_LOWER_NAME.get(name.lower()) or _BY_LOWER_NAME.get(squeezed(name), name)}"
