"""How many decimal places the smallest unit of a currency has, as of ISO 4217."""

from __future__ import annotations

from typing import Final

_NONE: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE: Final = "BHD IQD JOD KWD LYD OMR TND"


def decimal_places(currency: str) -> int:
    """Return 2 for USD, 0 for JPY, 3 for KWD; 2 for a currency that is not known."""
    if currency in _NONE.split():
        return 0
    return 3 if currency in _THREE.split() else 2
