-- Select list: a comparison of costs and invoices.
provider, account_id, billing_period, issuer, currency, compared_at, since, generation, statements, ours, stated, not_in_costs, difference,
tolerance, line_items, unassigned, unassigned_cost, invoice_ids, status, reason, moved, gaps, agreed_ours, agreed_with, agreed_generation
