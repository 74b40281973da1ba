"""What applies to every request: logs, metrics, errors, limits."""
