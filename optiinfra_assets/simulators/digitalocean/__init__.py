"""A simulated DigitalOcean."""
