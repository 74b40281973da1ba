-- Select list: a slice as last probed and last collected.
accounts.customer_id,
accounts.provider,
account_id,
billing_period,
seen_token,
seen_at,
collected_token,
checked_at,
generation,
published_at
