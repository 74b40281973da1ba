"""The options of commands that choose charges: one for each filter of cost queries, and those of tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from optiinfra_assets.domain.charge_filters import FILTERS, ChargeFilter, TagCondition

NAMES: Final = {"charge_category": "category"}
"""Options that are not called as their filter."""
DIMENSIONS: Final = {NAMES.get(name, name.replace("_", "-")): name for name in FILTERS if name != "currency"}
"""Option -> filter."""


def of_charges(command: Any) -> Any:
    """Give a command the options that choose charges."""
    options = [
        *(
            click.option(f"--{name}", of, multiple=True, help=f"Only this {name.replace('-', ' ')}; '' for none.")
            for name, of in DIMENSIONS.items()
        ),
        click.option("--tag", multiple=True, help="NAME=VALUE: only charges with this tag; NAME: without it."),
        click.option("--ignore-tag-case", is_flag=True, help="Names of tags that differ in case only are one."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def chosen_charges(given: Mapping[str, Any]) -> ChargeFilter:
    """Return the filter that the options say. Raises UsageError if a value is none that is accepted."""
    tags: dict[str, list[str | None]] = {}
    for key, sign, value in (one.partition("=") for one in given["tag"]):
        tags.setdefault(key, []).append(value if sign else None)
    conditions = [TagCondition(key, tuple(values), given["ignore_tag_case"]) for key, values in tags.items()]
    found = ChargeFilter.of({of: given[of] for of in DIMENSIONS.values()}, tags=conditions)
    try:
        found.check()
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return found
