-- Select list: what readers need to know of a publication, in the order of the fields of `Published`.
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
