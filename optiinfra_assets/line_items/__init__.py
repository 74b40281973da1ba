"""The form in which line items travel, and the door through which every provider's values enter it.

``SCHEMA`` is what a provider's batches look like. `Normalizer` makes such batches from columns as delivered: `Layout` says which FOCUS
column each is, `RejectedValue` names the first value that cannot be stored exactly. Each of ``MANDATORY`` has to be delivered, each of
``NOT_NULL`` with a value in every row, and one of ``SOURCES`` says how the line items came here.
"""

from optiinfra_assets.domain.focus import NOT_NULL
from optiinfra_assets.line_items.layout import MANDATORY, Layout, LayoutRejected
from optiinfra_assets.line_items.normalizer import Normalizer
from optiinfra_assets.line_items.rejected_value import RejectedValue
from optiinfra_assets.line_items.schema import SCHEMA, SOURCES

__all__ = [
    "MANDATORY",
    "NOT_NULL",
    "SCHEMA",
    "SOURCES",
    "Layout",
    "LayoutRejected",
    "Normalizer",
    "RejectedValue",
]
