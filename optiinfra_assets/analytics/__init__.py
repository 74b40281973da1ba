"""What figures mean: forecasts, rates between currencies, comparisons, reconciliation, as pure functions without I/O."""
