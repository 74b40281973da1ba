-- Returns and locks an account if it has these settings, until the transaction ends: others who change it or its secret wait.
-- Returns no row if it has other settings. Transactions that only refer to the account do not wait.
SELECT account_id
FROM optiinfra.accounts
WHERE account_id = %(account_id)s AND settings = %(settings)s
FOR NO KEY UPDATE
