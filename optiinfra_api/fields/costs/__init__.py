"""Fields on costs."""
