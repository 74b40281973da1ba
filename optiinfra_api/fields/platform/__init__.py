"""Fields on the platform itself."""
