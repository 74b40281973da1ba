"""Words and values that every layer shares. Nothing here does I/O or imports another package of ours."""
