"""A simulated Linode."""
