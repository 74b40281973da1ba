"""What happens at the simulated customers, whatever the cloud that bills it."""
