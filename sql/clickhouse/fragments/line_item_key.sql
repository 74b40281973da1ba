-- Select list: the first columns of a line item: what it is of, and its place in its generation.
provider,
account_id AS account,
billing_period,
generation,
line_number
