-- An account if it has these settings, which it then keeps to the end of the transaction: whoever changes it, or its secret, waits.
-- No row comes back if it has others. Those who only refer to the account do not wait.
SELECT account_id
FROM optiinfra.accounts
WHERE account_id = %(account_id)s AND settings = %(settings)s
FOR NO KEY UPDATE
