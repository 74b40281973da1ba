"""What published figures say together: forecasts and budgets, invoices, and the costs compared with them."""
