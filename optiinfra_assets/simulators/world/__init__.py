"""The charges of the simulated customers, whatever the cloud that bills them."""
