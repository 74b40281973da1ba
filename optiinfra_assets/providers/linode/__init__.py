"""Linode: month-to-date totals and invoices."""
