-- Select list: the columns of every derived table that identify the customer, account and generation of a row.
customer_id,
provider,
account_id,
generation,
billing_period
