-- Select list: the first columns of a line item: its provider, account and billing period, its generation, and its place in it.
provider,
account_id AS account,
billing_period,
generation,
line_number
