"""What figures mean: forecasts, anomalies, their causes, and the standing of budgets, as pure functions over arrays."""
