"""Runs GraphQL operations, for the endpoints and for whatever else of this process needs data."""
