"""A simulated AWS."""
