"""Text that a spreadsheet would run as a formula, and how it is written to files for people: with an apostrophe before it.

Text that begins so after apostrophes gets one more, so that a reader that takes one away has the text again.
"""

from __future__ import annotations

from typing import Final

FORMULA_SIGNS: Final = "=+-@\t\r"
"""First characters of text that Excel, LibreOffice or Google Sheets take for a formula, or skip before one."""
MARK: Final = "'"
"""What is written before such text."""
MARKED: Final = r"^'('*[=+\-@\t\r])"
"""Regular expression (RE2) of text that was marked; its group is the beginning without the mark."""
