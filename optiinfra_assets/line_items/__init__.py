"""Normalization: a provider's columns in, Arrow record batches of FOCUS line items out, every value exact or rejected.

``SCHEMA`` is the schema of a provider's batches. `Normalizer` makes such batches from delivered columns: `Layout` says which FOCUS
column each one is, `RejectedValue` names the first value that cannot be stored exactly. A delivery must have each column of ``MANDATORY``
and a value in every row for each column of ``NOT_NULL``; one of ``SOURCES`` says how the line items were obtained.
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
