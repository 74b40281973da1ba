"""Clouds that report only a running total of the month: readings and invoices in, daily charges trued up to the invoices out."""
