"""Fields on accounts and their credentials."""
