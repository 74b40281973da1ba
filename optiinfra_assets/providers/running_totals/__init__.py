"""Clouds that tell only a month's running total: what each day cost, trued up to the invoice."""
