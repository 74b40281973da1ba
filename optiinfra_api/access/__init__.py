"""Who may do what: the gate between a request and any customer's data."""
