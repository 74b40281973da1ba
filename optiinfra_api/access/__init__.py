"""Authentication and authorization: what every request passes before it reaches a customer's data."""
