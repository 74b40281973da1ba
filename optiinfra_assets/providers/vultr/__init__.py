"""Vultr: pending charges and invoices."""
