-- Adds an account. Adding the same account again makes it active, and it is then of whoever added it last;
-- returns no row if the id exists with other content.
INSERT INTO optiinfra.accounts (
    account_id, customer_id, provider, settings, is_simulated, settings_by_operator, secrets_by_operator
)
VALUES (
    %(account_id)s,
    %(customer_id)s,
    %(provider)s,
    %(settings)s,
    %(is_simulated)s,
    %(settings_by_operator)s,
    %(secrets_by_operator)s
)
ON CONFLICT (account_id) DO UPDATE
SET status = 'active',
    disabled_at = NULL,
    settings_by_operator = excluded.settings_by_operator,
    secrets_by_operator = excluded.secrets_by_operator
WHERE (accounts.customer_id, accounts.provider, accounts.settings, accounts.is_simulated)
    = (excluded.customer_id, excluded.provider, excluded.settings, excluded.is_simulated)
RETURNING account_id, customer_id, provider, settings, is_simulated, settings_by_operator, secrets_by_operator
