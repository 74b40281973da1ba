"""Compares what a collection brought with what is published: an answer that lacks costs must not become a cost of zero."""

from __future__ import annotations

from typing import Final

from optiinfra_assets.domain.errors import NothingThere
from optiinfra_assets.domain.publications import Publication
from optiinfra_assets.providers.base import LineItemStream
from optiinfra_assets.warehouse.loading import LoadResult

_CONFIRM: Final = "what was collected stays; if the source is right, confirm it: optiinfra collect ... --accept-empty"


def refuse_lost(before: Publication, loaded: LoadResult, collection: LineItemStream) -> None:
    """Check that a collection has something wherever the published generation has something, as far as the source promises that.

    Args:
        before: the published generation of the slice.
        loaded: what came now.
        collection: the stream, read to its end.

    Raises:
        NothingThere: no line item came though some are published, and the source does not say that the period was removed; or the answer
            reaches over fewer of the days asked for than what is published.
    """
    if before.line_items and not loaded.line_items:
        if collection.is_removed:
            return
        raise NothingThere(
            f"{before.slice}: the source answered without any line item, and {before.line_items} are published: {_CONFIRM}"
        )
    if collection.days is None or before.first_charge_date is None or before.last_charge_date is None:
        return
    first = max(before.first_charge_date, collection.days.first)
    last = min(before.last_charge_date, collection.days.last)
    if loaded.first_charge_date is None or loaded.last_charge_date is None or first > last:
        return
    if loaded.first_charge_date > first or loaded.last_charge_date < last:
        raise NothingThere(
            f"{before.slice}: the source answered with charges from {loaded.first_charge_date} to {loaded.last_charge_date}, and those of "
            f"{first} to {last} are published: {_CONFIRM}"
        )
