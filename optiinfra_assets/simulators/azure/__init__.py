"""A simulated Azure."""
