"""``/sql``: statements of callers over the views of what is current, and links that expire."""
