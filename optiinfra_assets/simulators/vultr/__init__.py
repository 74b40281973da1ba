"""A simulated Vultr."""
