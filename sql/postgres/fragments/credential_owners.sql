-- Select list and all of a subquery: what may have a secret: the accounts that are read, and the places that files are delivered to.
SELECT
    account_id,
    customer_id,
    provider,
    settings
FROM optiinfra.accounts
UNION ALL
SELECT
    delivery_id,
    customer_id,
    'delivery',
    settings
FROM optiinfra.deliveries
