"""A simulated cloud on a loopback port: requests, faults, pages, certificates."""
