-- Stores who gave the settings and the secrets of an account: the operator of the platform, or a customer over the API.
UPDATE optiinfra.accounts
SET settings_by_operator = %(settings_by_operator)s, secrets_by_operator = %(secrets_by_operator)s
WHERE account_id = %(account_id)s
