-- Select list: a slice with the results of its last probe and its last collection.
accounts.customer_id,
accounts.provider,
account_id,
billing_period,
seen_token,
seen_at,
collected_token,
checked_at,
generation,
published_at,
line_items
