"""DigitalOcean: billing insights and invoices."""
