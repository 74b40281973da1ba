"""What figures mean: forecasts, rates between currencies, comparisons, as pure functions without I/O."""
