"""Requests that only explain or label costs: a provider declares them, and one rule holds for all of them.

Whatever happens to such a request, costs come and a warning says what they lack. Refused, missing, broken, throttled and malformed are all
the same here: names and labels may be late, costs may not. An answer that never comes takes only a small share of the call. A provider
declares these endpoints in `Provider.auxiliary` and reads each under `AuxiliaryEndpoint.read`.
The matrix of failures fails every declared endpoint in every way, and accepts no request to an endpoint that is not declared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from optiinfra_assets.domain.errors import ProviderError
from optiinfra_assets.domain.source_warnings import SourceWarnings

if TYPE_CHECKING:
    from optiinfra_assets.providers.context import ProviderContext

EXPLANATION_MISSING: Final = "explanation-missing"
"""Code of the warning about an endpoint that only explains costs and could not be read."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AuxiliaryEndpoint:
    """An endpoint whose answers only explain costs.

    Attributes:
        mark: regular expression found in each request to it and in no other, written as ``GET /path``, header X-Amz-Target and body, each
            on a line of its own.
        lacks: what is missing without it, as the object of "lack": ``names, regions and tags of instances``.
    """

    mark: str
    lacks: str

    def read(self, context: ProviderContext, ask: Callable[[], T], otherwise: T) -> T:
        """Return what `ask` returns. If it raises a ProviderError, add a warning to `context` and return `otherwise`."""
        try:
            with context.deadline.explaining():
                return ask()
        except ProviderError as error:
            self.warn(context.warnings, str(error))
            return otherwise

    def warn(self, warnings: SourceWarnings, reason: str) -> None:
        """Add the warning that this endpoint could not be read; `reason` is one line without secrets."""
        warnings.add(EXPLANATION_MISSING, f"the costs are whole, but lack {self.lacks}", 1, reason)
