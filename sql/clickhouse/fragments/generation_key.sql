-- Select list: the columns of every derived table that say whose rows they are.
-- Included by: derived/*.sql. Parameters: none.
customer_id,
provider,
account_id,
generation,
billing_period
