"""What browsers see: sign-in, and what is served behind it."""
