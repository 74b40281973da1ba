"""What every request passes, whatever it asks: logs, metrics, errors, limits."""
