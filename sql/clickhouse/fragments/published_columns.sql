-- Select list: the columns of a publication that readers need, in the order of the fields of `PublishedGeneration`.
provider,
account_id,
billing_period,
generation,
published_at,
line_items,
first_charge_date,
last_charge_date,
data_through,
is_final,
is_simulated
