"""Recognizes the folders of clouds' exports that keep every run of a month: read as plain files, they would count a month several times."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.providers.files.location import FileVersion

_RUN: Final = re.compile(r"(?P<month>(?:.*/)?(?:\d{8}-\d{8}|BILLING_PERIOD=\d{4}-\d\d))/(?P<run>[^/]+)/.*")
"""A month's folder (its days, or its name), the folder of one run, and the run's files."""


def refuse_several_runs(files: Iterable[FileVersion], address: str) -> None:
    """Check that no month's folder holds files of two runs.

    Raises:
        BadData: one does; names both runs and says what to do.
    """
    seen: dict[str, str] = {}
    for file in files:
        match = _RUN.fullmatch(file.name)
        if match is None:
            continue
        first = seen.setdefault(match["month"], match["run"])
        if first != match["run"]:
            raise BadData(
                f"{address}/{match['month']}: holds two runs of an export, {first} and {match['run']}, each with the whole month, "
                "which would count twice: connect the export as one of its cloud, which takes the newest run, let it overwrite its files, "
                "or remove the older run"
            )
