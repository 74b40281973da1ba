"""What published figures say together: invoices, and the costs compared with them."""
