"""A simulated Google Cloud."""
