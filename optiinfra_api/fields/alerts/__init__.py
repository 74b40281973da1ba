"""Fields on alerts: rules, channels and messages."""
