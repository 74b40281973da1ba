"""Fields on customers, tokens and the access log."""
