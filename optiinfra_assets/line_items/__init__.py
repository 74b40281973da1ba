"""The form in which line items travel, and the door through which every provider's values enter it.

``SCHEMA`` is what a provider's batches look like. `Door` makes such batches from columns as delivered: `Layout` says which FOCUS
column each is, `Refused` names the first value that cannot be stored exactly.
"""

from optiinfra_assets.line_items.layout import Layout, LayoutRefused
from optiinfra_assets.line_items.normalizer import Door
from optiinfra_assets.line_items.rejected_value import Refused
from optiinfra_assets.line_items.schema import SCHEMA

__all__ = ["SCHEMA", "Door", "Layout", "LayoutRefused", "Refused"]
