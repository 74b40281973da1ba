-- Select list: the columns of a rule.
rule_id, customer_id, kind, name, options, accounts, channels, timing, muted_until, created_at, checked_at, standing, services, budgets
