-- Select list: the columns of every derived table that say whose rows they are.
customer_id,
provider,
account_id,
generation,
billing_period
